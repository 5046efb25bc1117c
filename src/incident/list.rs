//! The journals of a folder, summed up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::JournalError;
use super::event::Entry;
use super::fold::State;
use super::{id, store};
use crate::domain::{Target, Utc};

/// Most journals that are listed, newest names first.
pub const MAX_LISTED: usize = 1_000;

/// One journal in a few words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub id: String,
    pub path: PathBuf,
    pub service: String,
    pub environment: String,
    pub runbook: String,
    /// The cluster, or the run of a sandbox, where it was opened.
    pub place: Option<String>,
    pub production: bool,
    pub exercise: bool,
    pub opened_at: Option<Utc>,
    /// When the last entry was written (UTC).
    pub last_at: Option<Utc>,
    /// Readable entries.
    pub entries: usize,
    pub closed: bool,
    /// Open entries of the undo ledger.
    pub open_undo: usize,
    /// What is wrong with the file, if something is. The other fields are then from the readable part.
    pub damage: Option<String>,
}

impl Summary {
    /// True for an incident that the cockpit should offer to resume.
    pub fn is_open(&self) -> bool {
        !self.closed && self.opened_at.is_some()
    }

    /// True if it is an open incident of the target's service and environment, wherever it was opened.
    pub fn is_open_for(&self, target: &Target) -> bool {
        self.is_open() && self.service == target.service && self.environment == target.environment
    }

    /// True if it was opened on the target's cluster (or run of a sandbox): only there it is resumed.
    pub fn is_here(&self, target: &Target) -> bool {
        self.place.as_ref().is_none_or(|p| *p == target.cluster)
    }
}

/// The journals in `dir`, newest first. A folder that does not exist holds none.
///
/// # Errors
/// If the folder cannot be read; a file that cannot is listed with its damage.
pub fn list(dir: &Path) -> Result<Vec<Summary>, JournalError> {
    let found = match fs::read_dir(dir) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(JournalError::io("read the folder", dir, e)),
    };
    let mut paths: Vec<PathBuf> = found
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|x| x == id::EXTENSION))
        .collect();
    paths.sort_unstable_by(|a, b| b.cmp(a));
    paths.truncate(MAX_LISTED);
    Ok(paths.iter().map(|p| summary(p)).collect())
}

/// The journal that `name` means: a file, or the id of an incident in `dir`, or what only one id there begins with.
///
/// # Errors
/// [`JournalError::NotFound`] if there is neither, [`JournalError::Ambiguous`] if several ids begin so.
pub fn locate(dir: &Path, name: &str) -> Result<PathBuf, JournalError> {
    if id::is_valid(name) {
        let path = id::path(dir, name);
        if path.is_file() {
            return Ok(path);
        }
    }
    let file = Path::new(name);
    if file.is_file() {
        return Ok(file.to_owned());
    }
    let mut found = begin_with(dir, name);
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(JournalError::NotFound { id: name.to_owned(), dir: dir.to_owned() }),
        _ => {
            found.sort_unstable_by(|a, b| b.cmp(a));
            let found = found.iter().map(|p| id::of_path(p)).collect();
            Err(JournalError::Ambiguous { name: name.to_owned(), found })
        }
    }
}

/// The journals in `dir` whose ids begin with `name`.
fn begin_with(dir: &Path, name: &str) -> Vec<PathBuf> {
    if !id::is_valid(name) {
        return Vec::new();
    }
    let all = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    all.filter(|p| p.extension().is_some_and(|x| x == id::EXTENSION) && id::of_path(p).starts_with(name))
        .collect()
}

fn summary(path: &Path) -> Summary {
    let (entries, damage) = match store::read(path) {
        Ok(entries) => (entries, None),
        Err(JournalError::Damaged { line, what, readable, .. }) => {
            (readable, Some(format!("line {line}: {what}")))
        }
        Err(other) => (Vec::new(), Some(other.to_string())),
    };
    sum_up(path, &entries, damage)
}

fn sum_up(path: &Path, entries: &[Entry], damage: Option<String>) -> Summary {
    let state = State::fold(entries);
    let facts = state.facts.clone();
    let of = |get: fn(&super::fold::Facts) -> String| facts.as_ref().map(get).unwrap_or_default();
    Summary {
        id: id::of_path(path),
        path: path.to_owned(),
        service: of(|f| f.service.clone()),
        environment: of(|f| f.environment.clone()),
        runbook: of(|f| f.runbook.id.clone()),
        place: facts.as_ref().and_then(|f| f.place.clone()),
        production: facts.as_ref().is_some_and(|f| f.production),
        exercise: facts.as_ref().is_some_and(|f| f.exercise),
        opened_at: facts.as_ref().map(|f| f.opened_at),
        last_at: entries.last().map(|e| e.at),
        entries: entries.len(),
        closed: state.closed.is_some(),
        open_undo: state.open_undo().count(),
        damage,
    }
}
