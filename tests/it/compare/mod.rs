//! Comparisons of real pairs of servers: every result against the ground truth of a full ordered copy.

mod command;
mod cuts;
mod exact;
mod load;
pub mod pair;
mod pitfalls;
mod question;
mod truth;
mod whole;
mod wire;
