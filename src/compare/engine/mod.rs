//! Runs the comparison: opens the sessions, asks, reads, tells. The only part of `compare` that does anything; what it
//! asks and what answers mean is decided elsewhere. At most two connections to live, one of which only watches its load; results leave
//! through a bounded channel. When a connection is cut, the table at hand begins again; finished tables stay.

mod fetch;
mod finish;
mod gentle;
mod item;
mod known;
mod logical;
mod one_side;
mod overview;
mod pace;
mod physical;
mod pieces;
mod run;
mod session;
mod sides;
mod table;
mod young;

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{mpsc, watch};

use super::link::Connect;
use super::model::{Event, Options, Side, Summary};

pub use fetch::{Wanted, whole};
pub use run::run;

/// Why a comparison, or a part of it, ended early.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompareError {
    #[error("cannot connect to the {side} database: {why}")]
    Connect { side: Side, why: String },
    /// A connection went away; trying again may help.
    #[error("the connection to the {side} database was cut while it was asked for {what}: {why}")]
    Cut { side: Side, what: &'static str, why: String },
    /// The server refused a statement.
    #[error("the {side} database refuses to tell {what}: {why} ({code})")]
    Refused { side: Side, what: &'static str, why: String, code: String },
    #[error("the {side} database's answer for {what} was not understood: {why}")]
    Garbled { side: Side, what: &'static str, why: String },
    #[error(
        "both addresses lead to the same database {database}: nothing to compare; give the restored server"
    )]
    OneServer { database: String },
    #[error("the {side} database is PostgreSQL {version}: comparing needs 14 or newer")]
    TooOld { side: Side, version: String },
    /// The server's time limit for a statement.
    #[error(
        "the {side} database did not tell {what} within {seconds} s: leave the table out (--exclude), or compare a part of it (--where)"
    )]
    TooLong { side: Side, what: &'static str, seconds: u64 },
    /// Live is busy; the transaction there was ended rather than held.
    #[error("live has no room: {why}; compare again when there is less to do, or allow more (--max-load)")]
    NoRoom { why: String },
    /// The table was rewritten, or another one has its name now.
    #[error("the table on live was replaced while it was compared")]
    OtherFile,
    /// Live was not read to the end of a statement that cannot be divided.
    #[error(
        "its contents on live are read in one statement, and {why}: compare again when there is less to do, allow more (--max-load), or compare a part of it (--where)"
    )]
    NotWhole { why: String },
    #[error("no table matches; see --table and --exclude")]
    NoTable,
    #[error("the time allowed on live is used up; see --budget")]
    OverBudget,
    #[error("cancelled")]
    Cancelled,
}

impl CompareError {
    /// Another connection may do better.
    fn is_cut(&self) -> bool {
        matches!(self, CompareError::Cut { .. })
    }

    /// A table cannot be compared for it; others can.
    fn is_of_one_table(&self) -> bool {
        matches!(
            self,
            CompareError::Refused { .. }
                | CompareError::Garbled { .. }
                | CompareError::TooLong { .. }
                | CompareError::NotWhole { .. }
        )
    }
}

/// Where to connect, what to compare, whom to tell.
pub struct Job {
    pub live: Arc<dyn Connect>,
    pub restored: Arc<dyn Connect>,
    pub options: Options,
    /// News, in order. The comparison waits for its reader; when nobody reads any more it ends.
    pub events: mpsc::Sender<Event>,
    /// Becomes true to cancel: on the servers too.
    pub stop: watch::Receiver<bool>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The end of a comparison.
pub type Outcome = Result<Summary, CompareError>;
