//! Tunnels against the sandbox's cluster and real servers: what is carried, what is said when it cannot be, and what is
//! left behind, which is nothing.

mod carry;
mod command;
mod faults;
mod given_up;
mod ground;
mod redis;
mod secrets;
mod sleep;
mod vault;
