//! DRAWS: the model to cells. Decides nothing.

pub mod theme;
