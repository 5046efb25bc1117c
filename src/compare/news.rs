//! What a running comparison tells, in the order in which it becomes known: events, how far it is, and the summary at the
//! end. Sizes are bytes, durations seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Counts, SchemaChange, ServerFacts, TableId, TableName, TableResult};
use crate::domain::Utc;

/// A table before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableHead {
    pub id: TableId,
    pub table: TableName,
    pub partition_of: Option<TableName>,
    /// The larger of both sides.
    pub bytes: u64,
    /// The server's estimate.
    pub rows: u64,
}

/// Where a running comparison stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub tables_done: u32,
    pub tables: u32,
    /// Table bytes looked at and in all, of the larger side.
    pub done: u64,
    pub total: u64,
    /// Received so far.
    pub received_live: u64,
    pub received_restored: u64,
    pub elapsed: f64,
    /// Estimated seconds left; `None` at the beginning.
    pub left: Option<f64>,
    /// What is being done now, in words.
    pub now: String,
    /// Of [`Progress::done`], what belongs to finished tables.
    #[serde(skip)]
    pub settled: u64,
}

impl Progress {
    /// Counts a finished table, whatever was counted of it before.
    pub fn settle(&mut self, bytes: u64) {
        self.settled = (self.settled + bytes).min(self.total);
        self.done = self.settled;
        self.tables_done += 1;
    }

    /// 0 to 100.
    pub fn percent(&self) -> u8 {
        u8::try_from((self.done.min(self.total) * 100).checked_div(self.total).unwrap_or(0)).unwrap_or(100)
    }
}

/// News of a running comparison, in the order in which it became known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Both servers answer.
    Opened {
        live: Box<ServerFacts>,
        restored: Box<ServerFacts>,
    },
    /// The tables that will be compared.
    Listed {
        tables: Vec<TableHead>,
    },
    /// Differences of definitions that belong to no compared table, or to all.
    Schema {
        changes: Vec<SchemaChange>,
    },
    /// First answer about a table, before its rows are known. `differs` false is final.
    Glimpse {
        id: TableId,
        differs: bool,
        rows_live: u64,
        rows_restored: u64,
    },
    /// All about a table. May come again with more.
    Table {
        table: Box<TableResult>,
    },
    Progress {
        progress: Progress,
    },
    /// Something to know: a reconnection, a pause because live is busy.
    Note {
        text: String,
    },
    /// The end.
    Done {
        summary: Box<Summary>,
    },
}

/// What to conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Nothing differs.
    NothingToDo,
    /// Live has nothing that the copy lacks: the copy can replace it.
    RestoreAll,
    /// Both have rows that the other lacks: repair from the copy.
    RepairSome,
    /// The copy has nothing that live lacks: it may be from after the loss.
    ChooseAnotherTime,
    /// Too much could not be compared.
    LookCloser,
}

/// The whole comparison in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of tables by [`Verdict::word`].
    pub tables: BTreeMap<String, u32>,
    #[serde(flatten)]
    pub counts: Counts,
    /// Definitions that differ and should not.
    pub schema_changes: u32,
    pub advice: Advice,
    /// Why, in words.
    pub advice_why: String,
    /// Newest thing found in the copy: the recovery point as the data show it.
    pub recovery_point: Option<Utc>,
    /// Where that was read.
    pub recovery_point_from: Option<String>,
    pub received_live: u64,
    pub received_restored: u64,
    pub seconds: f64,
}

impl Summary {
    pub fn differs(&self) -> bool {
        let count = |word: &str| self.tables.get(word).copied().unwrap_or(0);
        self.schema_changes > 0 || ["changed", "gone", "new", "schema_differs"].iter().any(|w| count(w) > 0)
    }

    pub fn incomplete(&self) -> bool {
        self.tables.get("not_comparable").is_some_and(|n| *n > 0)
    }
}
