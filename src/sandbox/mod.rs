//! The embedded world: real PostgreSQL, simulated Azure, Kubernetes and service, disasters and faults. Knows `domain` only.

pub mod certs;
pub mod faults;
pub mod kubernetes;
pub mod serve;
