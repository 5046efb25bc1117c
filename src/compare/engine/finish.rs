//! From what was found to a table's result, and to the summary of all.

use std::collections::BTreeMap;

use super::CompareError;
use super::session::Session;
use super::table::{Asking, At, Differences, Table};
use crate::compare::ask::content::Shared;
use crate::compare::ask::physical::Scan;
use crate::compare::ask::rows::{self, Place};
use crate::compare::catalogue::{Column, Pair, Relation};
use crate::compare::meaning;
use crate::compare::model::{
    ColumnTimes, Counts, RowDiff, RowKind, SchemaChange, Side, Summary, TableId, TableResult, Verdict,
};
use crate::domain::Utc;

/// A table this small is read through for the newest time in it.
const READ_THROUGH: u64 = 16 << 20;
/// Lost rows whose times are looked at.
const LOST_ROWS: usize = 5_000;

/// A result about which nothing is known yet.
pub fn blank(id: TableId, pair: &Pair, schema: Vec<SchemaChange>) -> TableResult {
    let restored_as = pair.restored.as_ref().map(Relation::table).filter(|name| *name != pair.table());
    TableResult {
        id,
        table: pair.table(),
        restored_as,
        partition_of: pair.live.as_ref().or(pair.restored.as_ref()).and_then(|r| r.parent.clone()),
        verdict: Verdict::Same,
        path: None,
        why_path: String::new(),
        gates: Vec::new(),
        rows_live: None,
        rows_restored: None,
        counts: Counts::NONE,
        columns: Vec::new(),
        key: Vec::new(),
        rows: Vec::new(),
        schema,
        notes: Vec::new(),
        times: Vec::new(),
        bytes: 0,
        seconds: 0.0,
    }
}

/// Fills in how the table was compared.
pub fn planned(result: &mut TableResult, table: &Table) {
    let plan = &table.plan;
    result.path = Some(plan.path);
    result.why_path.clone_from(&plan.why);
    result.gates.clone_from(&plan.gates);
    result.columns = plan.shared.iter().map(|s| s.live.name.clone()).collect();
    let key = plan.key.as_ref().map(|k| k.columns()).unwrap_or_default();
    result.key = key.iter().map(|s| s.live.name.clone()).collect();
}

/// Fills in what differs.
pub fn compared(result: &mut TableResult, found: Differences, rows: Vec<RowDiff>) {
    result.rows_live = Some(found.rows_live);
    result.rows_restored = Some(found.rows_restored);
    result.counts = found.counts;
    result.notes.extend(meaning::patterns(&result.columns, &rows, &found.counts));
    result.notes.extend(found.notes);
    result.rows = rows;
    let own_schema = result.schema.iter().any(|c| !c.normal);
    result.verdict = verdict(&found.counts, own_schema);
}

/// What the counts prove, of a table whose definitions differ or do not.
fn verdict(counts: &Counts, own_schema: bool) -> Verdict {
    if counts.differing() > 0 {
        Verdict::Changed
    } else if !counts.exact {
        // It does differ: only how much nobody could count. No difference counted is no proof that there is none.
        let why =
            "too much differs to list it, and none of it was counted: compare this table alone".to_owned();
        Verdict::NotComparable { why }
    } else if own_schema {
        Verdict::SchemaDiffers
    } else {
        Verdict::Same
    }
}

/// Newest values of the columns that tell when rows were written: where an index gives them at once, or the table is
/// small.
pub async fn times(
    asking: &Asking<'_>,
    table: &Table,
    found: &Differences,
) -> Result<Vec<ColumnTimes>, CompareError> {
    if found.counts.differing() == 0 {
        return Ok(Vec::new());
    }
    let lost = places_of(found, RowKind::Lost);
    // All at once: the questions follow each other on the wire without waiting.
    let telling = table.plan.shared.iter().filter(|s| meaning::tells_when(&s.live));
    let mut asked = Vec::new();
    for shared in telling {
        asked.push(times_of(asking, table, shared, &lost));
    }
    let all = futures::future::try_join_all(asked).await?;
    Ok(all.into_iter().filter(|t| t.newest_live.or(t.newest_restored).or(t.newest_lost).is_some()).collect())
}

async fn times_of(
    asking: &Asking<'_>,
    table: &Table,
    shared: &Shared,
    lost: &[Place],
) -> Result<ColumnTimes, CompareError> {
    let cheap = |r: &Relation, c: &Column| r.leading.contains(&c.num) || r.bytes <= READ_THROUGH;
    let cheap = cheap(&table.live, &shared.live) && cheap(&table.restored, &shared.restored);
    let (on_live, on_copy) = (table.scan(Side::Live), table.scan(Side::Restored));
    let everywhere = Some("true".to_owned()).filter(|_| cheap);
    let lost = Some(rows::at(lost)).filter(|_| !lost.is_empty());
    let (newest_live, newest_restored, newest_lost) = tokio::try_join!(
        newest(asking.live, on_live, &shared.live, everywhere.clone()),
        newest(asking.restored, on_copy, &shared.restored, everywhere),
        newest(asking.restored, on_copy, &shared.restored, lost)
    )?;
    Ok(ColumnTimes { column: shared.live.name.clone(), newest_live, newest_restored, newest_lost })
}

fn places_of(found: &Differences, kind: RowKind) -> Vec<Place> {
    let of = found.joined.iter().filter(|j| j.kind == kind).filter_map(|j| j.restored);
    of.filter_map(|f| match f.place {
        At::Place(place) => Some(place),
        At::Name => None,
    })
    .take(LOST_ROWS)
    .collect()
}

async fn newest(
    session: &Session,
    scan: Scan<'_>,
    column: &Column,
    condition: Option<String>,
) -> Result<Option<Utc>, CompareError> {
    let Some(condition) = condition else { return Ok(None) };
    let rows = session.rows("its newest times", &rows::newest(scan, &column.name, &condition)).await?;
    let micros = rows.first().and_then(|row| row.try_get::<_, Option<i64>>(0).ok().flatten());
    Ok(micros.and_then(Utc::from_timestamp_micros))
}

/// When the transaction that changed most of the shown rows was committed, where the server keeps that.
pub async fn commit_time(asking: &Asking<'_>, rows: &[RowDiff]) -> Result<Option<String>, CompareError> {
    if !asking.ground.live.commit_timestamps {
        return Ok(None);
    }
    let mut by: BTreeMap<u32, u64> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.kind == RowKind::Changed) {
        if let Some(live) = &row.live {
            *by.entry(live.xmin).or_default() += row.copies;
        }
    }
    let Some((xmin, count)) = by.into_iter().max_by_key(|(_, n)| *n) else { return Ok(None) };
    let sql = format!("SELECT (extract(epoch FROM pg_xact_commit_timestamp('{xmin}'::xid)) * 1000000)::int8");
    // The server may have forgotten it: then there is no time, and no harm.
    let rows = asking.live.rows("when a transaction was committed", &sql).await?;
    let micros = rows.first().and_then(|row| row.try_get::<_, Option<i64>>(0).ok().flatten());
    let at = micros.and_then(Utc::from_timestamp_micros);
    Ok(at.map(|at| {
        format!("transaction {xmin} changed {count} of them and was committed at {} UTC", at.format("%F %T"))
    }))
}

/// The summary of all tables.
pub fn summary(
    tables: &[TableResult],
    schema: &[SchemaChange],
    replayed_to: Option<Utc>,
    received: (u64, u64),
    seconds: f64,
) -> Summary {
    let mut by: BTreeMap<String, u32> = BTreeMap::new();
    for table in tables {
        *by.entry(table.verdict.word().to_owned()).or_default() += 1;
    }
    let of_tables = tables.iter().flat_map(|t| &t.schema);
    let (advice, advice_why) = meaning::advise(tables);
    let in_data = tables
        .iter()
        .flat_map(|t| {
            t.times
                .iter()
                .filter_map(move |c| Some((c.newest_restored?, format!("{}.{}", t.table, c.column))))
        })
        .max();
    let replayed =
        replayed_to.map(|at| (at, "the last transaction that the copy's recovery replayed".to_owned()));
    let point = in_data.into_iter().chain(replayed).max();
    Summary {
        tables: by,
        counts: meaning::totals(tables),
        schema_changes: u32::try_from(of_tables.chain(schema).filter(|c| !c.normal).count())
            .unwrap_or(u32::MAX),
        advice,
        advice_why,
        recovery_point: point.as_ref().map(|p| p.0),
        recovery_point_from: point.map(|p| p.1),
        received_live: received.0,
        received_restored: received.1,
        seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_difference_in_an_estimate_is_no_proof_of_sameness() {
        let estimate = Counts { exact: false, ..Counts::NONE };
        for own_schema in [false, true] {
            assert!(matches!(verdict(&estimate, own_schema), Verdict::NotComparable { .. }));
        }
        assert_eq!(verdict(&Counts { lost: 1, ..estimate }, false), Verdict::Changed);
        assert_eq!(verdict(&Counts::NONE, false), Verdict::Same);
        assert_eq!(verdict(&Counts::NONE, true), Verdict::SchemaDiffers);
    }
}
