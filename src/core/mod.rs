//! DECIDES: the model and how messages change it. Pure: no I/O, no clock, no widgets.
//! `update(&mut Model, Msg) -> Vec<Effect>` is the only door.

pub mod act;
pub mod command;
pub mod comparing;
pub mod comparison;
pub mod effect;
pub mod filter;
pub mod follow;
pub mod keymap;
pub mod layout;
pub mod list;
pub mod model;
pub mod more;
pub mod msg;
pub mod overlays;
pub mod panes;
pub mod pods;
pub mod recorded;
pub mod run;
pub mod sense;
pub mod session;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod tunnel;
pub mod update;
pub mod when;
pub mod world;

pub use command::Command;
pub use effect::Effect;
pub use model::Model;
pub use msg::Msg;
pub use panes::PaneId;
pub use update::update;
