//! Comparisons of real pairs of servers: every result against the ground truth of a full ordered copy.

mod exact;
pub mod pair;
mod truth;
mod wire;
