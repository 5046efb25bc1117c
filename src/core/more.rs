//! More of what a comparison found, fetched after it: what is asked for, how far it is, and what came.

use serde::{Deserialize, Serialize};

use super::comparison::RowKey;
use crate::compare::engine::Wanted;
use crate::compare::model::{Progress, Value};
use crate::compare::{Side, TableId, TableName, TableResult};
use crate::domain::Utc;

/// What the runtime is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum More {
    /// One table again, with as many rows of each kind.
    Rows { table: TableName, rows: u32 },
    /// The whole of one value, on the sides on which it was cut.
    Values(Vec<Wanted>),
}

/// The same as the pane knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Rows { table: TableId, rows: u32 },
    Value { table: TableId, row: RowKey, column: u16 },
}

/// What is being fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    pub id: u64,
    pub what: What,
    /// When it was asked for (UTC).
    pub began: Utc,
    /// Percent, once it is known.
    pub done: Option<u8>,
    /// What the engine said last, such as that a connection was cut.
    pub note: Option<String>,
    /// The person asked to stop it.
    pub stopping: bool,
}

/// News of it. The last is `Ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fetched", rename_all = "snake_case")]
pub enum Fetched {
    Progress {
        progress: Progress,
    },
    Note {
        text: String,
    },
    Rows {
        result: Box<TableResult>,
    },
    /// The value on one side; `None` if that version of the row is not there any more.
    Value {
        side: Side,
        value: Option<Option<Value>>,
    },
    Ended {
        /// Why not all of it came.
        why: Option<String>,
    },
}
