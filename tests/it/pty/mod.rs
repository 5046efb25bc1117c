//! The real program in a pseudo-terminal.

pub mod handoff;
pub mod harness;
mod harness_tests;
mod picture;
mod screenshot;
mod terminal;
pub mod tunnels;
