//! Compare, one table: its differing rows, and the columns of one of them.

use super::compare::{row, table};
use super::compare_value::shown;
use crate::compare::model::{RowDiff, RowVersion};
use crate::compare::{RowKind, Side, TableResult, Value};
use crate::core::comparison::RowKey;
use crate::core::filter::Filter;
use crate::core::model::Model;

/// The rows that pass the filter, in the engine's order: lost first.
pub fn rows(model: &Model) -> Vec<RowKey> {
    let Some(result) = table(model).and_then(|t| t.result.as_ref()) else { return Vec::new() };
    let mut filter = Filter::exact(&model.panes.compare.rows.filter);
    let found = result.rows.iter().filter(|r| filter.is_empty() || admits(&mut filter, result, r));
    found.map(RowKey::of).collect()
}

/// `kind:lost`, `column:value`, a value of any column on either side.
fn admits(filter: &mut Filter, result: &TableResult, row: &RowDiff) -> bool {
    let mut fields = vec![("kind", kind(row.kind))];
    for version in [&row.live, &row.restored].into_iter().flatten() {
        let named = result.columns.iter().zip(&version.values);
        fields.extend(named.map(|(c, v)| (c.as_str(), v.as_ref().map_or("null", |v| v.text.as_str()))));
    }
    filter.admits(&fields)
}

/// A kind in a word.
pub fn kind(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Lost => "lost",
        RowKind::Changed => "changed",
        RowKind::New => "new",
        RowKind::TouchedSame => "same",
    }
}

/// The sign of a kind, beside its word and its colour.
pub fn sign(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Lost => "-",
        RowKind::Changed => "≠",
        RowKind::New => "+",
        RowKind::TouchedSame => "=",
    }
}

/// A row's key in one line.
pub fn key_text(row: &RowDiff) -> String {
    if row.key.is_empty() {
        return if row.copies > 1 { format!("×{}", row.copies) } else { "no key".into() };
    }
    row.key.iter().map(|v| shown(v.as_ref())).collect::<Vec<_>>().join(", ")
}

/// One side's version of a row.
pub fn version(row: &RowDiff, side: Side) -> Option<&RowVersion> {
    match side {
        Side::Live => row.live.as_ref(),
        Side::Restored => row.restored.as_ref(),
    }
}

/// One side's value in a column: `None` if the row is not there, `Some(None)` for NULL.
pub fn value(row: &RowDiff, side: Side, column: u16) -> Option<Option<&Value>> {
    version(row, side)?.values.get(usize::from(column)).map(Option::as_ref)
}

/// Indexes of the columns that are not of the key: what is scrolled while the key stays. First those in which most of the
/// changed rows differ.
pub fn others(result: &TableResult) -> Vec<u16> {
    let of_key = |c: &String| result.key.contains(c);
    let mut differ = vec![0_usize; result.columns.len()];
    for column in result.rows.iter().filter(|r| r.kind == RowKind::Changed).flat_map(|r| &r.differing) {
        if let Some(n) = differ.get_mut(usize::from(*column)) {
            *n += 1;
        }
    }
    let mut found: Vec<(u16, usize)> = (0u16..)
        .zip(result.columns.iter().zip(differ))
        .filter(|(_, (c, _))| !of_key(c))
        .map(|(column, (_, n))| (column, n))
        .collect();
    found.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    found.into_iter().map(|(column, _)| column).collect()
}

/// Indexes of the selected row's columns that pass the filter.
pub fn columns(model: &Model) -> Vec<u16> {
    let Some(result) = table(model).and_then(|t| t.result.as_ref()) else { return Vec::new() };
    let Some(row) = row(model) else { return Vec::new() };
    let mut filter = Filter::exact(&model.panes.compare.columns.filter);
    let text = |side, n| match value(row, side, n) {
        Some(Some(v)) => v.text.as_str(),
        Some(None) => "null",
        None => "",
    };
    (0u16..)
        .zip(&result.columns)
        .filter(|(n, name)| {
            let state = if row.differing.contains(n) { "differs" } else { "same" };
            filter.is_empty()
                || filter.admits(&[
                    ("column", name.as_str()),
                    ("kind", state),
                    ("live", text(Side::Live, *n)),
                    ("ptr", text(Side::Restored, *n)),
                ])
        })
        .map(|(n, _)| n)
        .collect()
}

/// How many more differing rows there are than are here.
pub fn missing(result: &TableResult) -> u64 {
    let here: u64 =
        result.rows.iter().filter(|r| r.kind != RowKind::TouchedSame).map(|r| r.copies.max(1)).sum();
    result.counts.differing().saturating_sub(here)
}
