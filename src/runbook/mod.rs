//! Markdown in, Runbook out: parse and check. Pure.

pub mod model;

pub use model::{Compare, Do, Expect, Item, Link, Probe, Role, Runbook, Scope, Section, Value, Which};
