//! Everything that can happen to the cockpit, as plain data: logged, compared, recorded and replayed.

use crossterm::event::Event as Input;
use serde::{Deserialize, Serialize};

use crate::domain::{Update, Utc};
use crate::incident::{Action, Entry, Outcome};

/// One happening. Time enters only as [`Msg::Tick`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "msg", rename_all = "snake_case")]
pub enum Msg {
    /// The time it is now (UTC). Sent before every batch of messages and when [`crate::core::Model::next_wake`] is due.
    Tick { now: Utc },
    /// Keys, mouse, paste, resize, focus.
    Input { input: Input },
    /// News from a provider, with the time at which it was true.
    News { update: Update, at: Utc },
    /// An incident's journal is open: new, or read again after a stop. `notes` tells what was mended while reading.
    Opened { entries: Vec<Entry>, resumed: bool, notes: Vec<String> },
    /// These entries are on disk (fsynced).
    Journalled { entries: Vec<Entry> },
    /// The journal could not take what was asked; nothing that depended on it was done.
    JournalFailed { why: String },
    /// A change ended. `id` is the action's.
    Acted { id: String, action: Action, outcome: Outcome },
    /// Text went to the clipboard: this many characters.
    Copied { chars: usize },
    /// Something the runtime was asked for did not work.
    Trouble { what: String },
    /// A plain message for the person.
    Info { what: String },
}
