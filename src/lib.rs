//! drtui: the incident cockpit for lost databases and lost data. `README.md` says what it is for; the modules below
//! are the house, and `tests/it/house.rs` holds who may know whom.

pub mod cli;
pub mod compare;
pub mod config;
pub mod core;
pub mod domain;
pub mod incident;
pub mod providers;
pub mod runbook;
pub mod runtime;
pub mod sandbox;
pub mod view;
