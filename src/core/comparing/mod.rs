//! What a person does with comparisons: begin and stop one, go into a table and a row and back, mark rows, copy them, ask
//! both databases a question.

pub mod begin;
pub mod fetch;

use crate::compare::model::Event;
use crate::compare::{RowKind, Verdict};
use crate::core::command::Command;
use crate::core::comparison::{Comparison, RowKey, Stage};
use crate::core::effect::Effect;
use crate::core::list::Move;
use crate::core::model::{Level as Tone, Model};
use crate::core::msg::Msg;
use crate::core::overlays::query::Query;
use crate::core::overlays::reader::{Page, Reader};
use crate::core::overlays::versions::Versions;
use crate::core::overlays::{Overlay, open};
use crate::core::panes::compare::{self, Level};
use crate::core::panes::compare_copy::{Form, copy};
use crate::core::panes::{self, PaneId, compare_past, compare_rows};
use crate::domain::{CompareRequest, text};
use crate::incident::Outcome;

const NOTHING: &str = "Nothing is compared yet: c compares live with the PTR copy.";

/// Runs one of the pane's commands.
pub fn run(model: &mut Model, command: Command, argument: &str) -> Vec<Effect> {
    match command {
        Command::Compare => begin::form(model, argument),
        Command::FetchMore => return fetch::fetch(model),
        Command::CancelCompare => return cancel(model),
        Command::Open => return enter(model),
        Command::Back => back(model),
        Command::ColumnsLeft => scroll(model, false),
        Command::ColumnsRight => scroll(model, true),
        Command::NextDifference => jump(model, true),
        Command::PreviousDifference => jump(model, false),
        Command::MarkRepair => mark(model),
        Command::CopyCsv => return copy_row(model, Form::Csv),
        Command::CopyJson => return copy_row(model, Form::Json),
        Command::CopyInsert => return copy_row(model, Form::Insert),
        Command::AskBoth => ask_both(model),
        Command::HowCompared => {
            if let Some(id) = compare::table(model).map(|t| t.head.id) {
                open(model, Overlay::Reader(Reader::new(Page::Compared(id))));
            }
        }
        _ => {}
    }
    Vec::new()
}

fn warn(model: &mut Model, text: impl Into<String>) -> Vec<Effect> {
    model.tell(Tone::Warning, text);
    Vec::new()
}

/// `x`: stops what runs, on the servers too.
fn cancel(model: &mut Model) -> Vec<Effect> {
    if let Some(effects) = fetch::cancel(model) {
        return effects;
    }
    match model.compare.as_mut().filter(|c| c.is_running()) {
        Some(comparison) => {
            comparison.stopping = true;
            vec![Effect::CancelCompare { run: comparison.request.run }]
        }
        None => warn(model, "No comparison is running."),
    }
}

/// News of a comparison; those of an older one are dropped.
pub fn on_news(model: &mut Model, run: u32, news: Vec<Event>) {
    if let Some(comparison) = model.compare.as_mut().filter(|c| c.request.run == run) {
        for event in news {
            comparison.apply(event);
        }
    }
}

/// A comparison ended. What goes on record is its outcome in counts and times.
pub fn ended(model: &mut Model, request: &CompareRequest, outcome: Outcome) -> Outcome {
    let now = model.now;
    let Some(comparison) = model.compare.as_mut().filter(|c| c.request.run == request.run) else {
        return outcome;
    };
    match outcome {
        Outcome::Done { .. } => {
            comparison.stage = Stage::Done { at: now };
            let (said, result) = (comparison.outcome(), comparison.record());
            if comparison.is_whole() {
                model.earlier = None;
            }
            model.tell(Tone::Info, format!("Compared: {said}"));
            Outcome::Done { result }
        }
        Outcome::Failed { why } | Outcome::Unknown { why } => {
            comparison.stage = Stage::Ended { at: now, why: why.clone() };
            let stopped = comparison.stopping;
            let done = comparison.progress.tables_done;
            let tone = if stopped { Tone::Warning } else { Tone::Error };
            model.tell(tone, format!("The comparison stopped: {why}"));
            Outcome::Failed { why: format!("{why}, after {done} tables") }
        }
    }
}

/// True while something about a comparison changes by the second.
pub fn needs_a_second(model: &Model) -> bool {
    model.compare.as_ref().is_some_and(|c| c.is_running() || c.fetch.is_some())
}

/// `Enter`: into the table, into the row, into the value.
fn enter(model: &mut Model) -> Vec<Effect> {
    match model.panes.compare.level {
        Level::Tables if model.compare.is_none() => {
            let past = compare_past::last(model).is_some();
            let words = "Of a comparison before this start only its record is left: c compares again.";
            return warn(model, if past { words } else { NOTHING });
        }
        Level::Tables => into_table(model),
        Level::Rows => {
            let view = &mut model.panes.compare;
            if let Some(key) = view.rows.selected.clone() {
                (view.row, view.level) = (Some(key), Level::Columns);
                view.columns = Default::default();
                first_difference(model);
            }
        }
        Level::Columns => {
            if let Some(column) = model.panes.compare.columns.selected {
                open(model, Overlay::Versions(Versions { column, top: 0 }));
            }
        }
    }
    Vec::new()
}

fn into_table(model: &mut Model) {
    let Some(table) = compare::table(model) else { return };
    let (id, name) = (table.head.id, table.head.table.to_string());
    let why = match table.result.as_ref().map(|r| (&r.verdict, r.rows.is_empty())) {
        None => Some(format!("{name} is not compared yet.")),
        Some((Verdict::NotComparable { .. }, _)) => {
            Some(format!("{name} could not be compared: v says why."))
        }
        Some((_, true)) => Some(format!("No row of {name} differs: v says how it was compared.")),
        Some(_) => None,
    };
    if let Some(why) = why {
        model.tell(Tone::Info, crate::domain::text::clean(&why));
        return;
    }
    let view = &mut model.panes.compare;
    if view.table != Some(id) {
        (view.rows, view.left) = (Default::default(), 0);
    }
    (view.table, view.level, view.held) = (Some(id), Level::Rows, true);
    // Two versions side by side need the width of the screen.
    view.zoomed = !model.zoom;
    model.zoom = true;
}

/// Selects the first column that differs.
fn first_difference(model: &mut Model) {
    let first = compare::row(model).and_then(|r| r.differing.first().copied());
    if first.is_some() {
        model.panes.compare.columns.selected = first;
    }
}

/// `Backspace`, Esc: out of the row, out of the table. False if there is nothing to go out of.
pub fn step_out(model: &mut Model) -> bool {
    let view = &mut model.panes.compare;
    match view.level {
        Level::Tables => return false,
        Level::Columns => view.level = Level::Rows,
        Level::Rows => {
            view.level = Level::Tables;
            if std::mem::take(&mut view.zoomed) {
                model.zoom = false;
            }
        }
    }
    true
}

/// Out of the row, out of the table; out of a comparison that is not the evidence, to the one that is. Rows that are marked
/// in the one that goes hold it.
fn back(model: &mut Model) {
    let idle = |c: &Comparison| !c.is_running() && c.fetch.is_none();
    let Some(shown) = (!step_out(model)).then_some(model.compare.as_ref()).flatten().filter(|c| idle(c))
    else {
        return;
    };
    let marked = shown.marked.len();
    if model.earlier.is_some() && marked > 0 {
        let rows = text::counted(marked, "marked row");
        warn(model, format!("{rows} would go with this comparison: take the marks away first (space)."));
    } else if let Some(earlier) = model.earlier.take() {
        model.compare = Some(*earlier);
        model.panes.compare.held = false;
    }
}

fn scroll(model: &mut Model, right: bool) {
    let most = compare::table(model)
        .and_then(|t| t.result.as_ref())
        .map_or(0, |r| compare_rows::others(r).len().saturating_sub(1));
    let left = &mut model.panes.compare.left;
    *left = if right { (*left + 1).min(most) } else { left.saturating_sub(1) };
}

/// `]` and `[`: the next table that differs, the next kind of row, the next column that differs.
fn jump(model: &mut Model, forward: bool) {
    let level = model.panes.compare.level;
    let found = match level {
        Level::Tables => jump_table(model, forward),
        Level::Rows => jump_row(model, forward),
        Level::Columns => jump_column(model, forward),
    };
    if !found {
        let words = match level {
            _ if model.compare.is_none() => NOTHING,
            _ if !model.panes.compare.filter().is_empty() => {
                "Nothing more that differs that way among what the filter shows: Esc takes it away."
            }
            Level::Tables => "No further table that differs that way.",
            Level::Rows => {
                "No further kind of difference in this table that way: Backspace goes back to the tables."
            }
            Level::Columns => {
                "No further column of this row differs that way: Backspace goes back to the rows."
            }
        };
        model.tell(Tone::Info, words);
    }
    panes::hold(model, PaneId::Compare);
    panes::settle(model);
}

/// The first of `rows` after (or before) `here` at which `holds`.
fn seek<K: PartialEq + Clone>(
    rows: &[K],
    here: Option<&K>,
    on: bool,
    holds: impl Fn(&K) -> bool,
) -> Option<K> {
    let at = here.and_then(|h| rows.iter().position(|r| r == h));
    let (before, after) = rows.split_at(at.unwrap_or(0));
    if on {
        after.iter().skip(usize::from(at.is_some())).find(|k| holds(k)).cloned()
    } else {
        before.iter().rev().find(|k| holds(k)).cloned()
    }
}

fn jump_table(model: &mut Model, on: bool) -> bool {
    let rows = compare::tables(model);
    let Some(comparison) = &model.compare else { return false };
    let differs = |id: &u32| comparison.tables.get(id).and_then(|t| t.differs()) == Some(true);
    let to = seek(&rows, model.panes.compare.tables.selected.as_ref(), on, differs);
    let found = to.is_some();
    if found {
        model.panes.compare.tables.selected = to;
    }
    found
}

/// To the first row of the next kind, or into the next stretch of other columns that differ.
fn jump_row(model: &mut Model, on: bool) -> bool {
    let rows = compare_rows::rows(model);
    let Some(table) = compare::table(model) else { return false };
    let shape = |key: &RowKey| table.row(key).map(|r| (r.kind, r.differing.clone()));
    let here = model.panes.compare.rows.selected.as_ref();
    let now = here.and_then(&shape);
    let to = seek(&rows, here, on, |k| shape(k) != now && k.kind != RowKind::TouchedSame);
    let found = to.is_some();
    if found {
        model.panes.compare.rows.selected = to;
    }
    found
}

fn jump_column(model: &mut Model, on: bool) -> bool {
    let columns = compare_rows::columns(model);
    let Some(row) = compare::row(model) else { return false };
    let here = model.panes.compare.columns.selected.as_ref();
    let to = seek(&columns, here, on, |c| row.differing.contains(c));
    let found = to.is_some();
    if found {
        model.panes.compare.columns.selected = to;
    }
    found
}

/// `Space`: marks the row for a repair, or takes the mark away.
fn mark(model: &mut Model) {
    let view = &model.panes.compare;
    let key = match view.level {
        Level::Tables => None,
        Level::Rows => view.rows.selected.clone(),
        Level::Columns => view.row.clone(),
    };
    let (Some(id), Some(key)) = (view.table, key) else {
        warn(model, "Go into a table first (Enter): rows are marked one by one.");
        return;
    };
    let Some(comparison) = &mut model.compare else { return };
    if !comparison.marked.remove(&(id, key.clone())) {
        comparison.marked.insert((id, key));
    }
    let n = comparison.marked.len();
    let text = if n == 1 { "1 row is".to_owned() } else { format!("{n} rows are") };
    model.tell(Tone::Info, format!("{text} marked for repair."));
    if model.panes.compare.level == Level::Rows {
        panes::go(model, PaneId::Compare, Move::Down);
    }
}

fn copy_row(model: &mut Model, form: Form) -> Vec<Effect> {
    let found = compare::row(model).zip(compare::table(model).and_then(|t| t.result.as_ref()));
    match found.map(|(row, result)| copy(result, row, form)) {
        Some(Ok(text)) => vec![Effect::CopySilently(text)],
        Some(Err(why)) => warn(model, why),
        None => warn(model, "Select a row first: Enter goes into a table."),
    }
}

fn ask_both(model: &mut Model) {
    match &model.compare {
        Some(comparison) => {
            let request = comparison.request.clone();
            let before = model.panes.compare_query.clone();
            open(model, Overlay::Query(Box::new(Query::new(request, &before))));
        }
        None => {
            warn(model, "Compare first (c): the question goes to the two databases that were compared.");
        }
    }
}

/// Both databases answered a question.
pub fn answered(model: &mut Model, msg: Msg) {
    let Msg::Queried { id, live, restored } = msg else { return };
    for overlay in &mut model.overlays {
        if let Overlay::Query(query) = overlay
            && query.asked == Some(id)
        {
            query.answers = Some((live, restored));
            query.asked = None;
            return;
        }
    }
}
