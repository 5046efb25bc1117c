//! One incident: what happened (journal entries), what follows from it (the fold), what is still to be undone
//! (the ledger), and what it reads like afterwards (the report). Pure but for `store`.

pub mod event;

pub use event::{Action, Entry, Event, Mark, Outcome, PlannedItem, RunbookRef, Undo, UndoKind};
