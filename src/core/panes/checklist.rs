//! Checklist: the runbook's items with their marks, what is sensed for the selected one, and where to go on.

use unicode_width::UnicodeWidthStr;

use crate::core::filter::Filter;
use crate::core::layout::inner;
use crate::core::model::{Bookmark, Model};
use crate::core::panes::PaneId;
use crate::core::sense;
use crate::domain::{clock, text};
use crate::incident::{Action, Mark};
use crate::runbook::{Do, Item, Section};

/// A row is a section's title or an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    Section(String),
    Item(String),
}

/// A line above the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// Title and condition: is this the right runbook?
    Condition(String),
    Goal(String),
    /// What is known by heart.
    Memory(String),
    /// An incident is open and written elsewhere.
    Held(String),
    /// What to press when no incident is open.
    Invite(String),
    /// For a person who comes back.
    Away(String),
}

/// Fields of a row that a filter may name.
pub const FIELDS: [&str; 4] = ["title", "section", "role", "status"];

/// Rows that pass the filter; sections without a row are left out.
pub fn rows(model: &Model) -> Vec<Row> {
    let mut filter = Filter::new(&model.panes.checklist.filter);
    let mut rows = Vec::new();
    for section in model.runbook().iter().flat_map(|r| r.sections.iter()) {
        let items: Vec<_> = section.items.iter().filter(|i| admits(model, &mut filter, section, i)).collect();
        if !items.is_empty() {
            rows.push(Row::Section(section.id.clone()));
            rows.extend(items.into_iter().map(|i| Row::Item(i.id.clone())));
        }
    }
    rows
}

fn admits(model: &Model, filter: &mut Filter, section: &Section, item: &Item) -> bool {
    let role = item.role.map_or("", |r| r.word());
    filter.admits(&[
        ("title", &item.title),
        ("section", &section.title),
        ("role", role),
        ("status", mark(model, &item.id).word()),
    ])
}

/// Rows before the filter.
pub fn total(model: &Model) -> usize {
    model.runbook().map_or(0, |r| r.sections.iter().map(|s| s.items.len() + 1).sum())
}

pub fn mark(model: &Model, item: &str) -> Mark {
    model.session.as_ref().map_or(Mark::Open, |s| s.state.mark(item))
}

/// The selected item.
pub fn selected(model: &Model) -> Option<&Item> {
    match model.panes.checklist.selected.as_ref()? {
        Row::Item(id) => model.runbook()?.item(id),
        Row::Section(_) => None,
    }
}

/// The first item that is not answered, in the runbook's order.
pub fn current(model: &Model) -> Option<&Item> {
    model.runbook()?.items().find(|i| mark(model, &i.id) == Mark::Open)
}

/// The lines above the rows.
pub fn head(model: &Model) -> Vec<Head> {
    let Some(runbook) = model.runbook() else {
        let pinned = model.session.as_ref().map(|s| s.runbook_id().to_owned());
        return vec![Head::Invite(match pinned {
            Some(id) => {
                format!("The incident's runbook `{id}` is not here: the journal and the undo ledger (L) are.")
            }
            None => "No runbook could be read: see messages (M).".into(),
        })];
    };
    let condition = format!("{}: {}", runbook.title.to_uppercase(), runbook.condition);
    let goal = format!("Goal: {}", runbook.goal);
    let (width, most) = (head_width(model), if model.size.1 >= 40 { 3 } else { 1 });
    let mut lines: Vec<Head> = wrapped(&condition, width, most).map(Head::Condition).collect();
    if model.size.1 >= 24 {
        lines.extend(wrapped(&goal, width, most).map(Head::Goal));
    }
    if let Some(held) = model.held.as_ref().filter(|_| model.session.is_none()) {
        let words = format!("INCIDENT {} is {}; read-only here. {}", held.incident, held.state, held.advice);
        // Before anything of the runbook: its marks are not seen here.
        lines = wrapped(&words, width, 8).map(Head::Held).chain(lines).collect();
    } else if model.session.is_none() {
        let words = if model.looking {
            "Looking for an open incident…"
        } else {
            "No incident is open: i opens one."
        };
        lines.push(Head::Invite(words.into()));
    }
    if !runbook.memory.is_empty() {
        lines.push(Head::Memory(runbook.memory.join(" · ").to_uppercase()));
    }
    if let Some(mark) = model.away.bookmark.as_ref().filter(|_| !has_details(model, lines.len()))
        && let Some(first) = lines.first_mut()
    {
        // No room below the rows: the first line gives way, and no row moves.
        *first = Head::Away(away_line(mark));
    }
    lines
}

fn has_details(model: &Model, head: usize) -> bool {
    let lines = model.layout().rect(PaneId::Checklist).map_or(0, |r| inner(r).height);
    detail_lines(lines.saturating_sub(head as u16)) > 1
}

fn head_width(model: &Model) -> usize {
    model.layout().rect(PaneId::Checklist).map_or(80, |r| usize::from(r.width.saturating_sub(2)).max(20))
}

/// `text` in lines of `width` columns, `most` of them; one alone is left whole for the view to cut.
fn wrapped(text: &str, width: usize, most: usize) -> impl Iterator<Item = String> {
    let lines = if most == 1 { vec![text.into()] } else { textwrap::wrap(text, width) };
    lines.into_iter().take(most).map(|l| l.into_owned()).collect::<Vec<_>>().into_iter()
}

/// What a person who comes back missed, in at most `most` lines below the rows: nothing above them moves.
pub fn away(model: &Model, most: u16) -> Vec<String> {
    let most = usize::from(most);
    let Some(mark) = model.away.bookmark.as_ref().filter(|_| most > 0) else { return Vec::new() };
    let mut parts = vec![away_line(mark)];
    parts.extend(mark.current.iter().map(|current| format!("Now: {current}")));
    parts.extend(mark.last_done.iter().map(|done| format!("Last done: {done}")));
    parts.extend(mark.sensed.iter().map(|words| format!("Meanwhile: {words}")));
    if mark.sensing {
        parts.push("What changed meanwhile is being sensed…".into());
    } else if mark.changed.is_empty() && mark.sensed.is_none() {
        parts.push("Nothing changed meanwhile.".into());
    }
    // The newest first: what has no room is the oldest.
    parts.extend(mark.changed.iter().rev().map(|c| format!("Meanwhile: {c}")));
    let width = head_width(model);
    let lines_of =
        |text: &str| textwrap::wrap(text, width).into_iter().map(|l| l.into_owned()).collect::<Vec<_>>();
    let mut lines: Vec<String> = parts.iter().flat_map(|p| lines_of(p)).collect();
    if lines.len() > most {
        lines = lines_of(&parts.join(" · "));
    }
    if lines.len() > most {
        lines.truncate(most);
        let tail = "… 7 tells the rest";
        if let Some(last) = lines.last_mut() {
            let kept = text::fit(last, width.saturating_sub(tail.width()));
            *last = format!("{}{tail}", kept.trim_end_matches('…'));
        }
    }
    lines
}

/// When, and not only for how long: it stays in sight, and stays true.
fn away_line(mark: &Bookmark) -> String {
    let away = mark.until - mark.since;
    let since = if away > chrono::Duration::hours(20) {
        clock::london_day_s(mark.since)
    } else {
        clock::london_hms(mark.since)
    };
    let (until, span) = (clock::london_s(mark.until), clock::span(away));
    if mark.resumed {
        format!("On record {since}, back {until} ({span}). Esc.")
    } else {
        format!("Away {since}–{until} ({span}). Esc hides this.")
    }
}

/// Lines below the rows for what is sensed for the selected item, out of `lines` in all.
pub fn detail_lines(lines: u16) -> u16 {
    match lines {
        0..=6 => 0,
        7..=12 => 3,
        13..=24 => 4,
        _ => 6,
    }
}

pub fn copy_text(model: &Model) -> Option<String> {
    let item = selected(model)?;
    if let Some(Do::Scale { scope, to }) = &item.action {
        let line = |d: &crate::domain::Deployment| {
            Action::Scale { deployment: d.key.clone(), from: d.wanted, to: *to }.command_line()
        };
        let lines: Vec<String> = sense::in_scope(model, scope).map(line).collect();
        return Some(lines.join("\n"));
    }
    item.commands
        .first()
        .cloned()
        .or_else(|| item.links.first().map(|l| l.url.clone()))
        .or(Some(item.title.clone()))
}

/// One line for the strip: `x3 ~1 !1 /14`. What was only said is not what was verified.
pub fn summary(model: &Model) -> String {
    let Some(runbook) = model.runbook() else { return "no runbook".into() };
    let total = runbook.items().count();
    let marked = [Mark::Verified, Mark::Said, Mark::Overridden].map(|wanted| {
        let n = runbook.items().filter(|i| mark(model, &i.id) == wanted).count();
        let sign = wanted.sign().trim_matches(['[', ']']);
        if n > 0 { format!("{sign}{n} ") } else { String::new() }
    });
    let marked = marked.concat();
    if marked.is_empty() { format!("0/{total}") } else { format!("{marked}/{total}") }
}
