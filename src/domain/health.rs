//! What the service itself says at its health page.

use serde::{Deserialize, Serialize};

/// One answer of a health page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub url: String,
    /// HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    /// First words of the answer or of the failure, cleaned.
    pub says: String,
}

impl Health {
    /// True for a 2xx answer.
    pub fn is_up(&self) -> bool {
        self.status.is_some_and(|s| (200..300).contains(&s))
    }
}
