//! TALKS: adapters to the outside; domain values out. Never sees the model.
