//! What the recovery workflows do in the sandbox's world: back up, restore, restore to a time, revive, deploy, and set
//! maintenance mode.

pub mod live;
pub mod servers;

pub use servers::{Doing, Refusal, Servers};
