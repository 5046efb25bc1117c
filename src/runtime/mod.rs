//! DOES: the loop, effects, input, terminal, signals, recorder, clipboard.

pub mod clipboard;
pub mod input;
pub mod signals;
pub mod terminal;
