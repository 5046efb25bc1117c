//! The open incidents of the target with what they must still put back, from their journals.

use serde::Serialize;

use crate::domain::{Target, Utc, clock, text::clean};
use crate::incident::list::{self, Summary};
use crate::incident::{JournalError, State, store, words};

/// An incident that is not closed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenIncident {
    pub id: String,
    pub title: String,
    pub exercise: bool,
    pub opened_at: Option<Utc>,
    pub opened_by: String,
    /// When the last line was written (UTC).
    pub last_at: Option<Utc>,
    /// What was changed and is neither put back nor waived.
    pub undo_open: Vec<UndoOpen>,
    /// What is wrong with the journal; the rest is then from its readable part.
    pub damage: Option<String>,
}

/// An open line of the undo ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UndoOpen {
    pub id: String,
    /// What was there before the change.
    pub captured: String,
    pub since: Utc,
}

/// The open incidents of the target, newest first.
///
/// # Errors
/// If the folder of the journals cannot be read.
pub fn incidents(dir: &std::path::Path, target: &Target) -> Result<Vec<OpenIncident>, JournalError> {
    let found = list::list(dir)?;
    Ok(found.into_iter().filter(|s| s.is_open_for(target) && s.is_here(target)).map(incident).collect())
}

fn incident(summary: Summary) -> OpenIncident {
    let entries = match store::read(&summary.path) {
        Ok(entries) => entries,
        Err(JournalError::Damaged { readable, .. }) => readable,
        Err(_) => Vec::new(),
    };
    let state = State::fold(&entries);
    let undo_open = state.open_undo().map(|l| UndoOpen {
        id: clean(&l.undo.id),
        captured: words::captured(&l.undo),
        since: l.at,
    });
    let undo_open = undo_open.collect();
    let facts = state.facts;
    OpenIncident {
        id: clean(&summary.id),
        title: facts.as_ref().map(|f| clean(&f.runbook.title)).unwrap_or_default(),
        exercise: summary.exercise,
        opened_at: summary.opened_at,
        opened_by: facts.map(|f| clean(&f.opened_by)).unwrap_or_default(),
        last_at: summary.last_at,
        undo_open,
        damage: summary.damage,
    }
}

impl OpenIncident {
    /// For people: one line, and one for each undo that is open.
    pub fn lines(&self) -> Vec<String> {
        let kind = if self.exercise { "EXERCISE" } else { "INCIDENT" };
        let since = self.opened_at.map(clock::both).unwrap_or_default();
        let damage = self.damage.as_ref().map_or_else(String::new, |d| format!("; DAMAGED: {}", clean(d)));
        let mut lines = vec![format!(
            "{kind} {} open: {}, since {since} by {}; {} to put back{damage}",
            self.id,
            self.title,
            self.opened_by,
            self.undo_open.len()
        )];
        let undo = |u: &UndoOpen| format!("  {} {}, since {}", u.id, u.captured, clock::both(u.since));
        lines.extend(self.undo_open.iter().map(undo));
        lines
    }
}
