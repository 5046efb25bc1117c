//! What can be wrong with a journal, in words that say what to do next.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::event::Entry;

/// Why a journal could not be made, read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    /// A line is not what was written. `readable` is what comes before it.
    #[error(
        "{}:{line}: {what}. The {} entries before it are readable: drtui report FILE --readable-part",
        .path.display(), .readable.len()
    )]
    Damaged { path: PathBuf, line: usize, what: String, readable: Vec<Entry> },
    /// Another process writes this journal. `entries` is what it holds now, to be shown read-only.
    #[error(
        "{} is being written by {}; it can be read but not written from here",
        .path.display(), .holder.as_deref().unwrap_or("another process")
    )]
    Held { path: PathBuf, holder: Option<String>, entries: Vec<Entry> },
    /// The file is not the one that was written: replaced, cut or written by someone else.
    #[error("{}: {what}. Nothing was written; stop, keep both files, and open the incident again", .path.display())]
    Changed { path: PathBuf, what: String },
    #[error("entry of {bytes} bytes: a journal line may have {max}; shorten the text")]
    TooLong { bytes: usize, max: usize },
    #[error("{} is over {max} bytes: open a new incident", .path.display())]
    Full { path: PathBuf, max: u64 },
    #[error("the first entry of a journal says that an incident was opened; this one does not")]
    NotOpening,
    #[error("`{id}` cannot name an incident: small letters, digits and hyphens, at most {max}")]
    BadId { id: String, max: usize },
    #[error("no incident `{id}` in {}; `drtui incident list` shows what there is", .dir.display())]
    NotFound { id: String, dir: PathBuf },
    #[error("`{name}` begins {} incidents, say more of one: {}", .found.len(), .found.join(", "))]
    Ambiguous { name: String, found: Vec<String> },
    #[error("cannot write this entry as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl JournalError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> JournalError {
        JournalError::Io { doing, path: path.to_owned(), source }
    }
}
