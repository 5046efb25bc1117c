//! DRAWS: the model to cells. Decides nothing.
