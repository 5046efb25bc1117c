//! `f`: more of what a comparison found. More rows than are listed come from comparing that one table again; the whole of a
//! value comes from the very version of the row that was found. One at a time, on no record.

use super::{begin, warn};
use crate::compare::Side;
use crate::compare::engine::Wanted;
use crate::core::comparison::RowKey;
use crate::core::effect::Effect;
use crate::core::model::{Level as Tone, Model};
use crate::core::more::{Fetch, Fetched, More, What};
use crate::core::overlays::comparing::ROWS_MAX;
use crate::core::panes::compare::{self, Level};
use crate::core::panes::compare_rows;
use crate::domain::text;

/// Runs the command where the person is: a table's rows, or a row's value.
pub fn fetch(model: &mut Model) -> Vec<Effect> {
    match model.panes.compare.level {
        Level::Columns => match model.panes.compare.columns.selected {
            Some(column) => value(model, column),
            None => Vec::new(),
        },
        Level::Rows | Level::Tables => rows(model),
    }
}

/// Why nothing can be fetched now.
fn hindrance(model: &Model) -> Option<&'static str> {
    let comparison = model.compare.as_ref()?;
    if comparison.is_running() {
        return Some("The comparison is still running: more is fetched when it is finished.");
    }
    // Its ways to the databases go when it begins, and so do the findings.
    if begin::is_asked(model) {
        return Some("Another comparison is about to begin: more is fetched when that is finished.");
    }
    comparison.fetch.is_some().then_some("Something is being fetched: x stops it.")
}

fn rows(model: &mut Model) -> Vec<Effect> {
    let Some((id, result)) = compare::table(model).and_then(|t| Some((t.head.id, t.result.as_ref()?))) else {
        return warn(model, "Select a table that was compared.");
    };
    if compare_rows::missing(result) == 0 {
        return warn(model, "All its differing rows are here: there are no more to fetch.");
    }
    let table = result.table.clone();
    let most = |n: u32| n.saturating_mul(10).min(ROWS_MAX);
    let here = model.compare.as_ref().and_then(|c| c.tables.get(&id)).and_then(|t| t.rows_asked);
    let asked = model.compare.as_ref().map_or(ROWS_MAX, |c| here.unwrap_or(c.request.options.rows));
    if asked >= ROWS_MAX {
        let text = format!(
            "{ROWS_MAX} rows of each kind are the most that are listed: c compares with a condition, or \
             drtui compare --rows lists more."
        );
        return warn(model, text);
    }
    let rows = most(asked);
    begin(model, What::Rows { table: id, rows }, More::Rows { table, rows })
}

/// The whole of a value on both sides, as far as it was cut.
pub fn value(model: &mut Model, column: u16) -> Vec<Effect> {
    let Some((id, result)) = compare::table(model).and_then(|t| Some((t.head.id, t.result.as_ref()?))) else {
        return Vec::new();
    };
    let Some(row) = compare::row(model) else { return Vec::new() };
    let Some(name) = result.columns.get(usize::from(column)) else { return Vec::new() };
    let cut = |side: &Side| {
        let version = compare_rows::version(row, *side)?;
        compare_rows::value(row, *side, column).flatten()?.cut.as_ref()?;
        let renamed = result.restored_as.as_ref().filter(|_| *side == Side::Restored);
        Some(Wanted {
            side: *side,
            table: renamed.unwrap_or(&result.table).clone(),
            column: name.clone(),
            ctid: version.ctid.clone(),
            xmin: version.xmin,
        })
    };
    let wanted: Vec<Wanted> = Side::BOTH.iter().filter_map(cut).collect();
    if wanted.is_empty() {
        return warn(model, "This value is all here.");
    }
    let what = What::Value { table: id, row: RowKey::of(row), column };
    begin(model, what, More::Values(wanted))
}

fn begin(model: &mut Model, what: What, more: More) -> Vec<Effect> {
    if let Some(why) = hindrance(model) {
        return warn(model, why);
    }
    let now = model.now;
    model.panes.queries += 1;
    let id = model.panes.queries;
    let Some(comparison) = &mut model.compare else { return Vec::new() };
    comparison.fetch = Some(Fetch { id, what, began: now, done: None, note: None, stopping: false });
    comparison.failed = None;
    vec![Effect::Fetch { id, request: Box::new(comparison.request.clone()), more }]
}

/// `x` while something is fetched; `None` if nothing is.
pub fn cancel(model: &mut Model) -> Option<Vec<Effect>> {
    let fetch = model.compare.as_mut()?.fetch.as_mut()?;
    fetch.stopping = true;
    Some(vec![Effect::CancelFetch { id: fetch.id }])
}

/// News of what is fetched; those of something else are dropped.
pub fn on_news(model: &mut Model, id: u64, news: Fetched) {
    let Some(comparison) = model.compare.as_mut() else { return };
    let Some(fetch) = comparison.fetch.as_mut().filter(|f| f.id == id) else { return };
    match news {
        Fetched::Progress { progress } => fetch.done = Some(progress.percent()),
        Fetched::Note { text } => fetch.note = Some(text::clean(&text)),
        Fetched::Rows { result } => {
            if let What::Rows { table, rows } = fetch.what {
                let now = model.now;
                comparison.look_again(table, rows, now, result);
            }
        }
        Fetched::Value { side, value } => {
            if let What::Value { table, row, column } = fetch.what.clone() {
                comparison.complete(table, &row, column, side, value);
            }
        }
        Fetched::Ended { why } => {
            let what = comparison.fetch.take().map(|f| f.what);
            let Some(why) = why else { return };
            comparison.failed = what.map(|what| (what, text::clean(&why)));
            model.tell(Tone::Warning, format!("Not fetched: {}", text::clean(&why)));
        }
    }
}
