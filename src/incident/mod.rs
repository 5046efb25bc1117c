//! One incident: what happened (journal entries), what follows from it (the fold), what is still to be undone
//! (the ledger), and what it reads like afterwards (the report). Pure but for `store` and `list`.

pub mod error;
pub mod event;
pub mod fold;
pub mod hash;
pub mod id;
pub mod list;
pub mod report;
mod report_markdown;
#[cfg(test)]
mod sample;
pub mod scan;
pub mod store;
pub mod words;

pub use error::JournalError;
pub use event::{Action, Entry, Event, Mark, Outcome, PlannedItem, RunbookRef, Undo, UndoKind};
pub use fold::State;
pub use store::Journal;
