//! The main body of the tests: messages in, model and effects looked at.

mod acting;
mod answering;
pub mod comparing;
mod moving;
mod pods;
mod properties;
mod resuming;
mod tunnels;
