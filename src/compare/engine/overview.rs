//! T1: small tables on the physical path, many in one question on each side, so that the first verdicts are there at once.

use std::collections::BTreeMap;
use std::time::Instant;

use super::table::{Asking, Table};
use super::{CompareError, gentle, young};
use crate::compare::ask::physical as ask;
use crate::compare::model::{Event, Path, Side, TableId};

/// Tables up to 8 MB are small.
pub const SMALL: u64 = 8 << 20;
/// Bytes and tables in one question.
const BYTES_AT_ONCE: u64 = 64 << 20;
const TABLES_AT_ONCE: usize = 50;

/// True if a first look at this table costs next to nothing.
pub fn is_small(table: &Table) -> bool {
    table.plan.path == Path::Physical
        && table.bytes() <= SMALL
        && table.live.held_by.is_none()
        && table.restored.held_by.is_none()
}

/// Groups tables into questions.
pub fn batches<'a>(tables: &[&'a Table]) -> Vec<Vec<&'a Table>> {
    let mut all: Vec<Vec<&Table>> = Vec::new();
    let mut bytes = 0;
    for table in tables {
        match all.last_mut() {
            Some(last) if last.len() < TABLES_AT_ONCE && bytes + table.bytes() <= BYTES_AT_ONCE => {
                last.push(table);
            }
            _ => {
                all.push(vec![table]);
                bytes = 0;
            }
        }
        bytes += table.bytes();
    }
    all
}

/// Rows of both sides of each table that is the same.
pub type Same = BTreeMap<TableId, u64>;

/// One look at all of `tables`: those that are the same, for certain.
pub async fn look(asking: &Asking<'_>, tables: &[&Table]) -> Result<Same, CompareError> {
    let question = |side| {
        let scans: Vec<_> = tables.iter().map(|t| (t.id, t.scan(side))).collect();
        ask::overview(&scans, side == Side::Restored)
    };
    let (on_live, on_copy) = (question(Side::Live), question(Side::Restored));
    gentle::wait(asking).await?;
    let began = Instant::now();
    let on_live = async {
        let ((), found) = tokio::try_join!(asking.live.begin(), answers(asking.live, &on_live))?;
        Ok((found, began.elapsed()))
    };
    let ((live, took), restored) = tokio::try_join!(on_live, answers(asking.restored, &on_copy))?;
    asking.pace.spent(took);
    let (mut same, mut young, mut glimpses) = (Same::new(), Vec::new(), Vec::new());
    for table in tables {
        let (Some(l), Some(r)) = (live.get(&table.id), restored.get(&table.id)) else { continue };
        let differs = (l.rows, l.h) != (r.rows, r.h);
        glimpses.push(Event::Glimpse { id: table.id, differs, rows_live: l.rows, rows_restored: r.rows });
        if !differs {
            same.insert(table.id, l.rows);
            if r.age <= young::WINDOW as i64 {
                young.push(*table);
            }
        }
    }
    // All at once: the questions follow each other on the wire without waiting.
    let width = SMALL / 1_024;
    let checks = young.iter().map(async |t| {
        let places = young::places(asking.restored, t, &[0], width).await?;
        young::collides(asking, t, &places).await
    });
    for (table, collides) in young.iter().zip(futures::future::try_join_all(checks).await?) {
        if collides {
            same.remove(&table.id);
        }
    }
    asking.live.end().await?;
    // Only now: the reader may be slow, and no transaction waits for it.
    for glimpse in glimpses {
        asking.tell.tell(glimpse).await;
    }
    gentle::pause(asking, asking.pace.rest_after(took, false)).await?;
    Ok(same)
}

struct Answer {
    rows: u64,
    h: i64,
    age: i64,
}

async fn answers(on: &super::session::Session, sql: &str) -> Result<BTreeMap<TableId, Answer>, CompareError> {
    let mut all = BTreeMap::new();
    on.each("fingerprints", sql, |row| {
        let id = TableId::try_from(row.try_get::<_, i64>(0).ok()?).ok()?;
        let rows = u64::try_from(row.try_get::<_, i64>(1).ok()?).ok()?;
        all.insert(id, Answer { rows, h: row.try_get(2).ok()?, age: row.try_get(3).ok()? });
        Some(())
    })
    .await?;
    Ok(all)
}
