//! Why a source did not give what was asked, in the words a responder needs.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Phase, text};

/// A failed request, sorted by what the reader can do about it. Texts are already cleaned of control sequences.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    #[error("cannot reach it: {why}")]
    Unreachable { why: String },
    #[error("no answer within {after_s} s")]
    TimedOut { after_s: u64 },
    /// 401, an expired token, or a sign-in plugin that fails or hangs.
    #[error("sign in again: {why}")]
    AuthExpired { why: String, fix: String },
    #[error("not allowed: {what}")]
    Denied { what: String },
    #[error("throttled{}", retry_words(*.retry_after_s))]
    Throttled { retry_after_s: Option<u64> },
    #[error("not found: {what}")]
    NotFound { what: String },
    /// The object is not as it was when the request was made.
    #[error("changed meanwhile: {what}")]
    Conflict { what: String },
    /// The answer could not be understood, or was too large.
    #[error("answer not understood: {why}")]
    Garbled { why: String },
    #[error("server error {status}: {why}")]
    Server { status: u16, why: String },
    /// We cannot even ask: configuration or local files are wrong.
    #[error("{why}")]
    Setup { why: String },
}

fn retry_words(seconds: Option<u64>) -> String {
    seconds.map_or_else(String::new, |s| format!(", asked to wait {s} s"))
}

impl Fault {
    /// The phase a source is in after this fault.
    pub fn phase(&self) -> Phase {
        match self {
            Fault::AuthExpired { why, fix } => Phase::AuthExpired { why: why.clone(), fix: fix.clone() },
            Fault::Denied { what } => Phase::Denied { what: what.clone() },
            other => Phase::Stale { why: text::fit(&text::clean(&other.to_string()), 200) },
        }
    }

    /// How long the source asked us to wait, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Fault::Throttled { retry_after_s: Some(s) } => Some(Duration::from_secs(*s)),
            _ => None,
        }
    }
}
