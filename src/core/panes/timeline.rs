//! Timeline: the journal of the open incident, and what the providers reported meanwhile.

use crate::core::filter::Filter;
use crate::core::model::Model;
use crate::core::world::Change;
use crate::domain::{Utc, clock};
use crate::incident::Entry;
use crate::incident::words::words;

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

/// Fields of a row that a filter may name.
pub const FIELDS: [&str; 2] = ["what", "who"];

/// All rows that pass the filter, oldest first. News that the journal holds too is shown once.
pub fn rows(model: &Model) -> Vec<Row> {
    let text = model.panes.timeline.filter.trim();
    let mut filter = Filter::new(text);
    // Without a filter no line needs its words.
    let all = text.is_empty();
    let mut rows = Vec::new();
    for entry in model.session.iter().flat_map(|s| s.entries.iter()) {
        if all || filter.admits(&[("what", &words(&entry.event)), ("who", entry.author())]) {
            rows.push(Row { at: entry.at, kind: Kind::Entry(entry.seq) });
        }
    }
    for change in news(model) {
        if all || filter.admits(&[("what", &change.what)]) {
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
    model.world.changes.iter().filter(|c| !c.recorded)
}

pub fn entry(model: &Model, seq: u64) -> Option<&Entry> {
    let index = usize::try_from(seq).ok()?.checked_sub(1)?;
    model.session.as_ref()?.entries.get(index)
}

pub fn change(model: &Model, id: u64) -> Option<&Change> {
    model.world.changes.iter().find(|c| c.id == id)
}

/// A row in one line.
pub fn text(model: &Model, row: &Row) -> String {
    match row.kind {
        Kind::Entry(seq) => entry(model, seq).map(|e| words(&e.event)).unwrap_or_default(),
        Kind::News(id) => {
            change(model, id).map(|c| format!("{}: {}", c.source.word(), c.what)).unwrap_or_default()
        }
    }
}

/// Lines below the list for the selected row's whole text, out of `lines` in all.
pub fn detail_lines(lines: u16) -> u16 {
    if lines >= 9 { 3 } else { 0 }
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
