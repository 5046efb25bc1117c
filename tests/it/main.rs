//! One test binary: every file here is a group of tests on the real crate or the real program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod compare;
mod compare_pane;
mod docs;
mod house;
mod incident;
mod installed;
mod journal;
mod kubectl;
mod postgres_connect;
mod providers;
mod pty;
mod replay;
mod sandbox_github;
mod sandbox_kubernetes;
mod sandbox_outside;
mod sandbox_postgres;
mod sandbox_restore;
mod sandbox_streams;
mod sandbox_world;
mod tunnel;
