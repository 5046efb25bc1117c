//! Printing for people and scripts: a reader that goes away (`| head`) is no error.

use std::io::{self, Write};

use color_eyre::eyre::{Result, WrapErr};
use serde::Serialize;

/// Prints `text` and a newline if it has none.
///
/// # Errors
/// When standard output cannot be written for another reason than that nobody reads it.
pub fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e).wrap_err("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Prints `value` as indented JSON.
///
/// # Errors
/// As [`text`].
pub fn json(value: &impl Serialize) -> Result<()> {
    text(&serde_json::to_string_pretty(value).wrap_err("cannot write this as JSON")?)
}
