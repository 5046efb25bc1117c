//! The embedded world: real PostgreSQL, simulated Azure, Kubernetes and service, disasters and faults. Knows `domain` only.

pub mod address;
pub mod azure;
pub mod blobs;
pub mod certs;
pub mod clock;
pub mod control;
pub mod dependencies;
pub mod disaster;
pub mod estate;
pub mod faults;
pub mod github;
pub mod history;
pub mod kubernetes;
pub mod options;
pub mod postgres;
pub mod recovery;
pub mod rundir;
pub mod serve;
pub mod service;
pub mod state;
pub mod traffic;
pub mod world;

pub use options::{Options, Say, Scale};
