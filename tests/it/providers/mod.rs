//! Contract tests: the production clients against the sandbox, through its faults, and against small servers of our own
//! where an answer must go wrong in one exact place.

mod azure;
mod control;
mod ear;
mod faults;
mod kubernetes;
mod scale;
mod status;
mod web;
mod world;
