//! The embedded world: real PostgreSQL, simulated Azure, Kubernetes and service, disasters and faults. Knows `domain` only.

pub mod azure;
pub mod certs;
pub mod faults;
pub mod kubernetes;
pub mod options;
pub mod postgres;
pub mod rundir;
pub mod serve;
pub mod state;

pub use options::{Options, Say, Scale};
