//! What is wanted of a comparison.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which path the caller allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Physical where its gates hold, else logical.
    #[default]
    Auto,
    /// Physical or not at all.
    Physical,
    /// Contents only.
    Logical,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub mode: Mode,
    /// Patterns (`*`, `?`) on `schema.name` or `name`; empty is all.
    pub tables: Vec<String>,
    pub exclude: Vec<String>,
    /// SQL condition on the rows of every compared table.
    pub filter: Option<String>,
    /// Rows to fetch of each kind and table.
    pub rows: usize,
    /// How long one statement may run on live where it can be divided.
    pub chunk: Duration,
    /// Sessions at work on live, ours apart, above which we wait. `None`: twice those of the beginning, at least 8 more;
    /// 0 never waits.
    pub max_load: Option<u32>,
    /// How long live may work for us in all; waits and rests do not count.
    pub budget: Option<Duration>,
    /// Longest statement: the server stops one that takes longer.
    pub statement: Duration,
    /// Connections to the copy, 1 or 2.
    pub restored_connections: u8,
    /// Bytes of a value that are fetched; longer ones are cut.
    pub value_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mode: Mode::Auto,
            tables: Vec::new(),
            exclude: Vec::new(),
            filter: None,
            rows: 100,
            chunk: Duration::from_millis(500),
            max_load: None,
            budget: None,
            statement: Duration::from_secs(3_600),
            restored_connections: 2,
            value_bytes: 2_000,
        }
    }
}
