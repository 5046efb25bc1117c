//! The main body of the tests: messages in, model and effects looked at.

mod acting;
mod answering;
pub mod comparing;
pub mod evidence;
mod moving;
mod pods;
mod properties;
mod resuming;
mod tunnels;
