//! What a probe saw: shown before a person answers, kept as evidence after.

use serde::{Deserialize, Serialize};

use super::Utc;

/// What a probe concludes. `Unknown` is not a failure: the source could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    Unknown,
}

/// A sensed value with its source and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensed {
    /// The value in words: `0 of 2 ready`.
    pub value: String,
    /// Where it comes from: `kubernetes watch`.
    pub source: String,
    /// When the source was last heard to say it (UTC); `None` if never.
    pub as_of: Option<Utc>,
    pub verdict: Verdict,
}
