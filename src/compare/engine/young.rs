//! The gate of young rows. A copy that was written after its recovery uses transaction numbers again that live used for
//! something else, and then equal (ctid, xmin) mean different rows. Its statistics tell of writes, but a crash empties
//! them. So for each young transaction of the copy two rows are looked at: where both sides have them, their content must
//! be the same.

use std::collections::HashMap;

use super::CompareError;
use super::session::Session;
use super::table::{Asking, Table};
use crate::compare::ask::physical;
use crate::compare::ask::rows::{self, Place};
use crate::compare::buckets;
use crate::compare::model::Side;

/// Transactions of the copy, counted back from its next one, that are looked at.
pub const WINDOW: u64 = 2_000;
/// Rows that are looked at in one table.
const MOST: usize = 2_000;

/// Places of the copy's rows to look at: of each young transaction two, in the buckets where the copy has young rows.
pub async fn places(
    copy: &Session,
    table: &Table,
    buckets: &[u64],
    width: u64,
) -> Result<Vec<Place>, CompareError> {
    let mut places: Vec<Place> = Vec::new();
    if buckets.is_empty() {
        return Ok(places);
    }
    let sql = physical::young(table.scan(Side::Restored), buckets, width, WINDOW, MOST);
    copy.each("its youngest rows", &sql, |row| {
        for column in 1..=2 {
            places.push(buckets::place(row.try_get(column).ok()?)?);
        }
        Some(())
    })
    .await?;
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

/// True if at one of these places the copy has a row with the writer of one of live, but another content.
pub async fn collides(asking: &Asking<'_>, table: &Table, places: &[Place]) -> Result<bool, CompareError> {
    if places.is_empty() {
        return Ok(false);
    }
    let (live, restored) =
        tokio::try_join!(contents(asking.live, table, places), contents(asking.restored, table, places))?;
    let other = |(name, content): (&(Place, i64), &i64)| live.get(name).is_some_and(|c| c != content);
    Ok(restored.iter().any(other))
}

/// Content of the versions at these places, by place and writer.
async fn contents(
    session: &Session,
    table: &Table,
    places: &[Place],
) -> Result<HashMap<(Place, i64), i64>, CompareError> {
    let mut found = HashMap::new();
    let side = session.side;
    let sql = rows::identities(table.scan(side), "NULL::int8", &table.content(side), &rows::at(places));
    session
        .each("its youngest rows", &sql, |row| {
            let place = buckets::place(row.try_get(0).ok()?)?;
            found.insert((place, row.try_get(3).ok()?), row.try_get(2).ok()?);
            Some(())
        })
        .await?;
    Ok(found)
}
