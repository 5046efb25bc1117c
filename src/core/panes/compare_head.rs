//! What stands above Compare's rows: whether it is finished, whether that is all, what to conclude, what comes next. Most
//! important first: where there is little room, the end is left out.

use super::compare::{Level, name, row, table};
use super::{PaneId, compare_rows, tunnels::bytes};
use crate::compare::model::Progress;
use crate::compare::{RowKind, TableResult};
use crate::core::comparison::{Comparison, Stage, Table, advice};
use crate::core::model::Model;
use crate::core::more::What;
use crate::domain::{clock, text};

/// A line above the rows: its part in the picture, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// Which two servers, and how far it is.
    Progress(String),
    /// What to conclude.
    Conclusion(String),
    /// More of what it means.
    Meaning(String),
    /// Something is wrong, or not known.
    Caution(String),
}

impl Head {
    /// The same in lines of at most `width` columns. Progress is one line: its beginning is what counts.
    fn wrapped(self, width: usize) -> Vec<Head> {
        let (words, make): (String, fn(String) -> Head) = match self {
            Head::Progress(_) => return vec![self],
            Head::Conclusion(words) => (words, Head::Conclusion),
            Head::Meaning(words) => (words, Head::Meaning),
            Head::Caution(words) => (words, Head::Caution),
        };
        // A caution has its sign before it.
        let lines = textwrap::wrap(&words, width.saturating_sub(2).max(20));
        lines.into_iter().map(|line| make(line.into_owned())).collect()
    }
}

/// All of it, as far as there is room.
pub fn head(model: &Model) -> Vec<Head> {
    let Some(comparison) = &model.compare else { return Vec::new() };
    let (width, height) = model
        .layout()
        .rect(PaneId::Compare)
        .map_or((0, 0), |r| (r.width.saturating_sub(2), r.height.saturating_sub(2)));
    let mut lines = match model.panes.compare.level {
        Level::Tables => meaning(model, comparison),
        Level::Rows | Level::Columns => about_table(model, comparison),
    };
    let n = comparison.marked.len();
    if let (Some(Head::Progress(first)), 1..) = (lines.first_mut(), n) {
        *first = format!("marked for repair: {n} · {first}");
    }
    let mut lines: Vec<Head> = lines.into_iter().flat_map(|l| l.wrapped(usize::from(width))).collect();
    lines.truncate(usize::from(height / 3).clamp(1, 9));
    lines
}

fn meaning(model: &Model, comparison: &Comparison) -> Vec<Head> {
    let mut lines = vec![stage(model, comparison)];
    if let Some(part) = comparison.request.options.part() {
        let part = text::clean(&part);
        lines.push(Head::Caution(format!("PART ONLY ({part}): this says nothing about the rest.")));
    }
    if let Some(summary) = &comparison.summary {
        let why = text::clean(&summary.advice_why);
        lines.push(Head::Conclusion(format!("{}: {why}", advice(summary.advice))));
    } else if comparison.is_running()
        && let Some(note) = comparison.notes.back()
    {
        lines.push(Head::Meaning(note.clone()));
    }
    let unknown = comparison.unknown();
    if unknown > 0 && !comparison.is_running() {
        let tables = text::counted(unknown, "table");
        lines.push(Head::Caution(format!(
            "{tables} NOT compared: nobody knows what is lost there. /verdict:not lists them, v says why."
        )));
    }
    if let Some((at, from)) = comparison.summary.as_ref().and_then(|s| Some((s.recovery_point?, s))) {
        let from = from.recovery_point_from.as_deref().unwrap_or("the newest thing in it");
        lines.push(Head::Meaning(format!(
            "Recovery point, as the data show it: {} ({})",
            clock::both(at),
            text::clean(from)
        )));
    }
    if comparison.summary.is_some() {
        lines.extend(newest_lost(comparison).map(Head::Meaning));
    }
    if comparison.cuts > 0 && !comparison.is_running() {
        let times = text::counted(comparison.cuts, "time");
        lines.push(Head::Meaning(format!(
            "Connections were cut or refused {times}: the table at hand was begun again."
        )));
    }
    let strange = comparison.schema.iter().filter(|c| !c.normal).count();
    if strange > 0 {
        let definitions = text::counted(strange, "definition");
        let verb = if strange == 1 { "differs" } else { "differ" };
        lines.push(Head::Caution(format!("{definitions} besides tables {verb}: v lists them")));
    }
    let earlier = model.earlier.as_ref().filter(|_| !comparison.is_running());
    if let Some((earlier, at)) = earlier.and_then(|e| Some((e, e.ended()?))) {
        let at = clock::london_hm(at);
        lines.insert(
            1,
            Head::Conclusion(format!(
                "The one that ended at {at} stays the evidence: {}. Backspace shows it again.",
                earlier.outcome()
            )),
        );
    }
    if !comparison.is_running() {
        lines.push(Head::Progress(next(comparison).to_owned()));
    }
    lines
}

/// What the next key does.
fn next(comparison: &Comparison) -> &'static str {
    match &comparison.stage {
        Stage::Ended { .. } if comparison.tables.is_empty() => "Next: c compares again",
        Stage::Ended { .. } => "Next: c compares again · Enter looks into a table that was finished",
        Stage::Done { .. } if !comparison.is_whole() => {
            "Next: Enter looks into a table · c compares all of it: the checklist wants the whole as evidence"
        }
        _ if comparison.differing() == 0 => "Next: 1 goes back to the checklist, this is its evidence",
        _ => {
            "Next: Enter looks into a table · ] next difference · 1 back to the checklist with this as evidence"
        }
    }
}

/// When the lost rows were last written, by the table that lost most.
fn newest_lost(comparison: &Comparison) -> Option<String> {
    let results = comparison.tables.values().filter_map(|t| t.result.as_ref());
    let times = results.flat_map(|r| r.times.iter().map(move |t| (r, t)));
    let (result, time) =
        times.filter(|(_, t)| t.newest_lost.is_some()).max_by_key(|(r, t)| (t.newest_lost, r.counts.lost))?;
    let at = time.newest_lost?;
    let column = text::clean(&time.column);
    Some(format!(
        "Newest lost row: {} ({}.{column})",
        clock::both(at),
        text::clean(&result.table.to_string())
    ))
}

fn received(p: &Progress) -> String {
    format!("{} from LIVE, {} from PTR", bytes(p.received_live), bytes(p.received_restored))
}

/// Is it finished, and is that all? Then how long it took, or how long it will.
fn stage(model: &Model, comparison: &Comparison) -> Head {
    let p = &comparison.progress;
    let all = comparison.tables.len();
    let ago = |at| clock::span(model.now - at);
    match &comparison.stage {
        Stage::Running => Head::Progress(running(comparison)),
        Stage::Done { at } => {
            let summary = comparison.summary.as_ref();
            let (took, mut p) = (summary.map_or(p.elapsed, |s| s.seconds), p.clone());
            if let Some(s) = summary {
                (p.received_live, p.received_restored) = (s.received_live, s.received_restored);
            }
            let which = match (comparison.unknown(), all) {
                (0, 1) => "the only table".to_owned(),
                (0, _) => format!("all {all} tables"),
                (n, _) => format!("{} of {all} tables", all.saturating_sub(n)),
            };
            let (took, received) = (seconds(took), received(&p));
            let part = if comparison.request.options.part().is_some() { ", PART ONLY" } else { "" };
            let ago = ago(*at);
            Head::Progress(format!("FINISHED {ago} ago{part}: {which} compared in {took} · {received}"))
        }
        Stage::Ended { at, why } => {
            let done = all.saturating_sub(comparison.unknown());
            let why = text::clean(why);
            Head::Caution(format!("NOT FINISHED: {why} · {done} of {all} tables compared · {} ago", ago(*at)))
        }
    }
}

fn running(comparison: &Comparison) -> String {
    let p = &comparison.progress;
    let left = p.left.map_or_else(String::new, |s| format!(" · {} left", seconds(s)));
    let verb = if comparison.stopping { "STOPPING" } else { "COMPARING" };
    let now = if p.now.is_empty() { String::new() } else { format!(" · {}", text::clean(&p.now)) };
    let (percent, done, all, received) = (p.percent(), p.tables_done, p.tables, received(p));
    format!("{verb}, {percent} %: {done} of {all} tables{left}{now} · {received}")
}

/// `0.8 s`, `12 s`, `3 m`.
pub fn seconds(value: f64) -> String {
    if value < 9.95 {
        format!("{:.1} s", value.max(0.0))
    } else {
        clock::span(chrono::Duration::milliseconds((value.min(1e9) * 1e3) as i64))
    }
}

fn about_table(model: &Model, comparison: &Comparison) -> Vec<Head> {
    let Some(table) = table(model) else { return Vec::new() };
    let name = name(table);
    let Some(result) = &table.result else { return vec![Head::Progress(name)] };
    if let (Level::Columns, Some(row)) = (model.panes.compare.level, row(model)) {
        let key = compare_rows::key_text(row);
        let (sign, kind) = (compare_rows::sign(row.kind), compare_rows::kind(row.kind));
        let key = format!("{name} · {sign} {kind} · {} {key}", text::clean(&result.key.join(", ")));
        return std::iter::once(Head::Progress(key)).chain(fetching(comparison, table)).collect();
    }
    let mut lines = vec![Head::Progress(format!("{name} · {}", kinds(result)))];
    lines.extend(fetching(comparison, table));
    if !model.panes.compare.rows.filter.is_empty() && compare_rows::missing(result) > 0 {
        lines.push(Head::Caution("The filter looks only at the rows that are here: f fetches more.".into()));
    }
    if !result.counts.exact {
        lines.push(Head::Caution("Too much differs to list: numbers and rows are from a sample.".into()));
    }
    lines.extend(result.notes.iter().map(|n| Head::Meaning(text::clean(n))));
    lines
}

/// How many rows of each kind, and whether these are all.
fn kinds(result: &TableResult) -> String {
    let counts = &result.counts;
    let about = if counts.exact { "" } else { "about " };
    let kinds =
        [(counts.lost, RowKind::Lost), (counts.changed, RowKind::Changed), (counts.new, RowKind::New)];
    let mut missing = false;
    let mut shown: Vec<String> = Vec::new();
    for (n, kind) in kinds.into_iter().filter(|(n, _)| *n > 0) {
        let here = result.rows.iter().filter(|r| r.kind == kind).map(|r| r.copies.max(1)).sum::<u64>();
        let first = if here < n { format!(" (the first {here} here)") } else { String::new() };
        missing |= here < n;
        shown.push(format!("{about}{n} {}{first}", compare_rows::kind(kind)));
    }
    shown.push(if missing { "f fetches more".into() } else { "that is all".into() });
    if counts.touched_same > 0 {
        shown.push(format!("{} written again, same content", counts.touched_same));
    }
    shown.join(" · ")
}

/// More of this table that is being fetched, or was not.
fn fetching(comparison: &Comparison, table: &Table) -> Option<Head> {
    let of = |what: &What| match what {
        What::Rows { table, .. } | What::Value { table, .. } => *table,
    };
    if let Some(fetch) = comparison.fetch.as_ref().filter(|f| of(&f.what) == table.head.id) {
        let what = match fetch.what {
            What::Rows { rows, .. } => format!("Comparing this table again for {rows} rows of each kind"),
            What::Value { .. } => "Fetching the whole value".to_owned(),
        };
        let done = fetch.done.map_or_else(String::new, |n| format!(", {n} %"));
        let note = fetch.note.as_ref().map_or_else(String::new, |n| format!(" · {n}"));
        let stop = if fetch.stopping { "stopping" } else { "x stops it" };
        return Some(Head::Meaning(format!("{what}{done} · {stop}{note}")));
    }
    let (_, why) = comparison.failed.as_ref().filter(|(what, _)| of(what) == table.head.id)?;
    Some(Head::Caution(format!("Not fetched: {why}")))
}
