//! The embedded world: real PostgreSQL, simulated Azure, Kubernetes and service, disasters and faults. Knows `domain` only.
