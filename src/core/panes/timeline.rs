//! Timeline: the journal of the open incident, and what the providers reported meanwhile.

use crate::core::filter::Filter;
use crate::core::model::Model;
use crate::core::world::Change;
use crate::domain::{Sensed, Utc, clock};
use crate::incident::{Entry, Event, Mark, Outcome, UndoKind};

/// A row is known by its time and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub at: Utc,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Not on the record: a provider's news, by change id.
    News(u64),
    /// On the record: sequence number in the journal.
    Entry(u64),
}

/// All rows that pass the filter, oldest first. News that the journal holds too is shown once.
pub fn rows(model: &Model) -> Vec<Row> {
    let mut filter = Filter::new(&model.panes.timeline.filter);
    let mut rows = Vec::new();
    for entry in model.session.iter().flat_map(|s| s.entries.iter()) {
        if filter.admits(&[("what", &entry_text(entry)), ("who", &entry.who)]) {
            rows.push(Row { at: entry.at, kind: Kind::Entry(entry.seq) });
        }
    }
    for change in news(model) {
        if filter.admits(&[("what", &change.what)]) {
            rows.push(Row { at: change.at, kind: Kind::News(change.id) });
        }
    }
    rows.sort();
    rows
}

/// Rows before the filter.
pub fn total(model: &Model) -> usize {
    model.session.as_ref().map_or(0, |s| s.entries.len()) + news(model).count()
}

fn news(model: &Model) -> impl Iterator<Item = &Change> {
    let opened = model.session.as_ref().and_then(|s| s.entries.first()).map(|e| e.at);
    model.world.changes.iter().filter(move |c| !(c.major && opened.is_some_and(|at| at <= c.at)))
}

pub fn entry(model: &Model, seq: u64) -> Option<&Entry> {
    let index = usize::try_from(seq).ok()?.checked_sub(1)?;
    model.session.as_ref()?.entries.get(index)
}

pub fn change(model: &Model, id: u64) -> Option<&Change> {
    model.world.changes.iter().find(|c| c.id == id)
}

/// An entry in one line.
pub fn entry_text(entry: &Entry) -> String {
    match &entry.event {
        Event::Opened { incident, exercise, .. } => {
            format!("{}incident {incident} opened", if *exercise { "EXERCISE: " } else { "" })
        }
        Event::Planned { items, .. } => format!("runbook pinned: {} items", items.len()),
        Event::Resumed { notes } => format!("resumed{}", joined(notes)),
        Event::Armed { until } => format!("armed until {}", clock::both(*until)),
        Event::Disarmed { why } => format!("read-only: {why}"),
        Event::Answered { title, mark, sensed, reason, .. } => {
            answered(title, *mark, sensed.as_ref(), reason)
        }
        Event::Reopened { title, why, .. } => format!("[ ] {title}: opened again, {why}"),
        Event::Noted { text, .. } => format!("note: {text}"),
        Event::Captured { undo } => format!("captured {}: {}", undo.id, undo_text(&undo.kind)),
        Event::Intended { id, command, .. } => format!("{id} about to: {command}"),
        Event::Finished { id, outcome } => match outcome {
            Outcome::Done { result } => format!("{id} done: {result}"),
            Outcome::Failed { why } => format!("{id} FAILED: {why}"),
            Outcome::Unknown { why } => format!("{id} UNKNOWN: {why}"),
        },
        Event::Undone { undo, how } => format!("{undo} put back: {how}"),
        Event::Waived { undo, reason } => format!("{undo} WAIVED: {reason}"),
        Event::Observed { what, source } => format!("{source}: {what}"),
        Event::Closed { summary } => format!("closed: {summary}"),
    }
}

/// What an undo puts back, in words.
pub fn undo_text(kind: &UndoKind) -> String {
    match kind {
        UndoKind::Replicas { deployment, replicas, hpa } => {
            let hpa = hpa
                .as_ref()
                .map_or_else(String::new, |h| format!(", autoscaler {} {}–{}", h.name, h.min, h.max));
            format!("{} had {replicas} replicas{hpa}", deployment.name)
        }
    }
}

fn answered(title: &str, mark: Mark, sensed: Option<&Sensed>, reason: &Option<String>) -> String {
    let value = sensed.map_or_else(String::new, |s| format!(" · {} ({})", s.value, s.source));
    let reason = reason.as_ref().map_or_else(String::new, |r| format!(" · {r}"));
    format!("{} {title}{value}{reason}", mark.sign())
}

fn joined(notes: &[String]) -> String {
    if notes.is_empty() { String::new() } else { format!(": {}", notes.join("; ")) }
}

/// A row in one line.
pub fn text(model: &Model, row: &Row) -> String {
    match row.kind {
        Kind::Entry(seq) => entry(model, seq).map(entry_text).unwrap_or_default(),
        Kind::News(id) => {
            change(model, id).map(|c| format!("{}: {}", c.source.word(), c.what)).unwrap_or_default()
        }
    }
}

pub fn copy_text(model: &Model) -> Option<String> {
    let row = model.panes.timeline.selected.as_ref()?;
    Some(format!("{} {}", clock::utc_full(row.at), text(model, row)))
}

/// One line for the strip.
pub fn summary(model: &Model) -> String {
    let n = model.session.as_ref().map_or(0, |s| s.entries.len());
    if n == 0 { "no incident".into() } else { format!("{n} on record") }
}
