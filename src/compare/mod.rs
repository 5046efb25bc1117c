//! What to ask two PostgreSQL servers, live and a restored copy, and what their answers mean. Everything here is pure but
//! `engine`, which runs the questions over connections that somebody else makes ([`link`]). Reads only.

pub mod ask;
pub mod buckets;
pub mod catalogue;
pub mod engine;
pub mod gates;
pub mod join;
pub mod link;
pub mod meaning;
pub mod model;
pub mod news;
pub mod options;
pub mod question;
pub mod report;
pub mod schema;
pub mod sketch;

pub use model::{
    Counts, Event, Gate, GateName, Mode, Options, Path, Progress, RowDiff, RowKind, RowVersion, ServerFacts,
    Side, Summary, TableId, TableName, TableResult, Value, Verdict,
};
