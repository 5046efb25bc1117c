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
    /// `up`; `down` where nothing serves the page (502, 503, 504); `failing` where something answers and is not well:
    /// a service that fails may still write.
    pub fn word(&self) -> &'static str {
        match self.status {
            Some(200..300) => "up",
            Some(502..=504) => "down",
            _ => "failing",
        }
    }

    /// True for a 2xx answer.
    pub fn is_up(&self) -> bool {
        self.status.is_some_and(|s| (200..300).contains(&s))
    }
}
