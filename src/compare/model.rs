//! What a comparison finds: verdicts of tables, rows of each kind. Plain data. "Lost" is only in the restored copy, "new"
//! only on live. Times are UTC, sizes bytes, durations seconds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::Utc;

pub use super::news::{Advice, Event, Progress, Summary, TableHead};
pub use super::options::{Mode, Options};

/// One of the two databases. Live comes first and stands left, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Live,
    Restored,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Live, Side::Restored];

    pub fn word(self) -> &'static str {
        match self {
            Side::Live => "live",
            Side::Restored => "restored",
        }
    }

    pub fn other(self) -> Side {
        match self {
            Side::Live => Side::Restored,
            Side::Restored => Side::Live,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A table's name as it is in the catalogue: not quoted, not cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Number of a table within one comparison.
pub type TableId = u32;

/// How a table was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Same files: the visible (ctid, xmin) pairs are the row versions.
    Physical,
    /// The table was rewritten but its rows kept their transaction: (key, xmin).
    KeyXmin,
    /// Every row's content, rows known by key.
    Content,
    /// Every row's content, rows without a key counted by content.
    ContentCounts,
    /// On one side only: counted.
    OneSide,
}

impl Path {
    pub fn word(self) -> &'static str {
        match self {
            Path::Physical => "physical",
            Path::KeyXmin => "key_xmin",
            Path::Content => "content",
            Path::ContentCounts => "content_counts",
            Path::OneSide => "one_side",
        }
    }
}

/// A condition of the physical path. All must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    /// `--mode logical` was asked for.
    Mode,
    SystemIdentifier,
    Database,
    /// Both major versions are the same, block size too.
    Version,
    /// The copy left live's history where it can be followed.
    Timeline,
    RelationOid,
    Filenode,
    /// `pg_class.xmin` is unchanged: no rewrite, no ALTER.
    CatalogueRow,
    Heap,
    Logged,
    /// Statistics of the copy count no write since its recovery.
    CopyUnwritten,
    /// Young rows of the copy have the same content on live.
    YoungRows,
}

/// A gate and whether it held, with what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    pub gate: GateName,
    pub passed: bool,
    /// What was seen, in words.
    pub saw: String,
}

/// How many rows differ, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Only in the restored copy.
    pub lost: u64,
    /// Only on live.
    pub new: u64,
    /// Same key, another content.
    pub changed: u64,
    /// Written again with the same content.
    pub touched_same: u64,
    /// False: estimated from a sample, because too much differs to fetch it all.
    pub exact: bool,
}

impl Counts {
    pub const NONE: Counts = Counts { lost: 0, new: 0, changed: 0, touched_same: 0, exact: true };

    /// Rows whose content differs: what a person must look at.
    pub fn differing(&self) -> u64 {
        self.lost + self.new + self.changed
    }
}

/// What was found about a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Every row is the same. Rows may have been written again with the same content.
    Same,
    /// Rows differ; [`TableResult::counts`] says how many.
    Changed,
    /// Only in the restored copy: dropped on live.
    Gone,
    /// Only on live: created since.
    New,
    /// The rows' common columns are the same; definitions differ.
    SchemaDiffers,
    NotComparable {
        why: String,
    },
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Changed => "changed",
            Verdict::Gone => "gone",
            Verdict::New => "new",
            Verdict::SchemaDiffers => "schema_differs",
            Verdict::NotComparable { .. } => "not_comparable",
        }
    }
}

/// What a row's difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    Lost,
    Changed,
    New,
    TouchedSame,
}

impl RowKind {
    pub fn word(self) -> &'static str {
        match self {
            RowKind::Lost => "lost",
            RowKind::Changed => "changed",
            RowKind::New => "new",
            RowKind::TouchedSame => "touched_same",
        }
    }
}

/// A value as PostgreSQL writes it (UTC, ISO, hex), not cleaned of control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    pub text: String,
    /// Set if `text` is only the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

/// What was left off a long value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Size of the whole text.
    pub bytes: u64,
    /// MD5 of the whole text, to see whether two long values differ.
    pub md5: String,
}

/// One side's version of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowVersion {
    /// One for each of [`TableResult::columns`]; `None` is NULL.
    pub values: Vec<Option<Value>>,
    /// Where the version lies, e.g. `(12,3)`: good for this snapshot only.
    pub ctid: String,
    /// The transaction that wrote it.
    pub xmin: u32,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowDiff {
    pub kind: RowKind,
    /// Values of [`TableResult::key`]'s columns; empty without a key.
    pub key: Vec<Option<Value>>,
    pub live: Option<RowVersion>,
    pub restored: Option<RowVersion>,
    /// Indexes into [`TableResult::columns`] of the columns that differ.
    pub differing: Vec<u16>,
    /// How many equal rows this stands for: above 1 in tables without a key only.
    pub copies: u64,
}

/// A difference of definitions: a column, constraint, index, trigger, view, function, sequence...
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaChange {
    /// `table`, `column`, `constraint`, `index`, `trigger`, `view`, `function`, `sequence`, `extension`, `policy`...
    pub what: String,
    /// The table it belongs to, or its own name.
    pub on: String,
    /// In words: `column phone: text on live, varchar(20) in the copy`.
    pub says: String,
    /// True for what is expected, such as a sequence of the copy up to 32 ahead.
    pub normal: bool,
}

/// All about one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableResult {
    pub id: TableId,
    pub table: TableName,
    /// Its name in the restored copy if that is another.
    pub restored_as: Option<TableName>,
    /// The partitioned table that it is a part of.
    pub partition_of: Option<TableName>,
    #[serde(flatten)]
    pub verdict: Verdict,
    /// `None` when it could not be compared.
    pub path: Option<Path>,
    /// Why that path, in words.
    pub why_path: String,
    pub gates: Vec<Gate>,
    pub rows_live: Option<u64>,
    pub rows_restored: Option<u64>,
    #[serde(flatten)]
    pub counts: Counts,
    /// Columns on both sides, in live's order.
    pub columns: Vec<String>,
    /// Names of the key's columns; empty without one.
    pub key: Vec<String>,
    /// Differing rows, lost first, as many as [`Options::rows`] for each kind.
    pub rows: Vec<RowDiff>,
    pub schema: Vec<SchemaChange>,
    /// What one may think about it: patterns, times, cautions.
    pub notes: Vec<String>,
    /// When rows were last written, by column.
    pub times: Vec<ColumnTimes>,
    /// Received from both servers for this table.
    pub bytes: u64,
    pub seconds: f64,
}

/// Newest values of a timestamp column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnTimes {
    pub column: String,
    pub newest_live: Option<Utc>,
    pub newest_restored: Option<Utc>,
    /// Among the rows that live lost.
    pub newest_lost: Option<Utc>,
}

/// What one server says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerFacts {
    pub version: String,
    /// Such as 150018.
    pub version_num: u32,
    pub system_identifier: String,
    pub database: String,
    pub database_oid: u32,
    pub user: String,
    pub timeline: u32,
    pub in_recovery: bool,
    /// Next transaction identifier, with epoch.
    pub next_xid: u64,
    pub now: Option<Utc>,
    pub started: Option<Utc>,
    /// Commit time of the last transaction that its recovery replayed: how far the copy goes.
    pub replayed_to: Option<Utc>,
    /// Its statistics count from here on.
    pub counting_since: Option<Utc>,
    pub block_size: u32,
    pub shared_buffers: u64,
    pub commit_timestamps: bool,
    pub prepared_transactions: u32,
}
