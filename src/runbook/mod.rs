//! Markdown in, Runbook out: parse and check. Pure.

mod blocks;
pub mod check;
mod error;
mod find;
mod front;
pub mod model;
mod outline;
pub mod parse;
mod plain;
mod words;

pub use check::{Finding, check};
pub use model::{
    Compare, Do, Expect, Item, Link, Probe, Record, Role, Runbook, Scope, Section, Value, Which,
};
pub use parse::{Problem, RunbookError, parse};
