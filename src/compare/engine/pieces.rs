//! Live's buckets in short pieces, for when others are at work there: each piece is a statement that sees a moment of its
//! own, and live rests between them with no transaction open, because a snapshot that stands costs whoever writes hot
//! rows more than the reading itself. That all pieces hold for one moment is proven by one short count at the end.

use std::time::Duration;

use super::table::{Asking, Table};
use super::{CompareError, gentle};
use crate::compare::ask::physical as ask;
use crate::compare::buckets::{Bucket, Buckets};
use crate::compare::link::Later;
use crate::compare::model::Side;

/// Smaller tables are read within one transaction: they are done before anybody feels it.
const SMALL: u64 = 16 << 20;
/// A piece takes this part of the time of a chunk: 60 ms, unless somebody wants it otherwise.
const PART: u32 = 8;
/// Rows of a piece, at most and at least; and the most in one block.
const MOST_ROWS: u64 = 10_000_000;
const LEAST_ROWS: u64 = 5_000;
const DENSEST: u64 = 291;
/// Units in one question by TID ranges, at first, at most and at least.
const FIRST_UNITS: usize = 32;
const MOST_UNITS: usize = 2_048;
const LEAST_UNITS: usize = 8;

/// What was read of live in pieces, over one connection: another one may lead to a server with another history.
#[derive(Debug, Default)]
pub struct Pieces {
    /// All transactions before this one were over when the first piece was read; empty before that.
    since: String,
    blocks: u64,
    /// By unit of blocks.
    units: Buckets,
    /// Rows of the longest piece of a sequential scan.
    longest: u64,
    /// The table was written to meanwhile: it is read in one transaction.
    given_up: bool,
}

/// True if the table can be read in pieces.
pub fn fit(table: &Table) -> bool {
    // Pieces are counted in rows, before any condition.
    table.live.bytes > SMALL && table.scan(Side::Live).filter.is_none() && !table.pieces(|p| p.given_up)
}

/// Blocks of a unit: a bucket has a whole number of them.
fn unit(width: u64) -> u64 {
    (width / 16).max(16)
}

/// Live's buckets and blocks, of many moments; `ring`: by sequential scans as far as that goes, so that the server uses
/// few of its buffers.
pub async fn read(
    asking: &Asking<'_>,
    table: &Table,
    width: u64,
    ring: bool,
) -> Result<(Buckets, u64), CompareError> {
    begin(asking, table).await?;
    if ring {
        scan(asking, table, unit(width)).await?;
    }
    gaps(asking, table, unit(width)).await?;
    asking.tell.with(|p| p.now = table.live.table().to_string());
    let mut all = Buckets::new();
    Ok(table.pieces(|p| {
        for (number, unit_) in &p.units {
            let bucket = all.entry(number * unit(width) / width).or_default();
            (bucket.rows, bucket.h) = (bucket.rows + unit_.rows, bucket.h ^ unit_.h);
        }
        (all, p.blocks)
    }))
}

/// Before the first piece: the moment after which every writer is known by its number.
async fn begin(asking: &Asking<'_>, table: &Table) -> Result<(), CompareError> {
    asking.live.end().await?;
    if !table.pieces(|p| p.since.is_empty()) {
        return Ok(());
    }
    asking.tell.note(format!(
        "{}: others are at work on live: it is read in short pieces, with rests between them; --max-load 0 reads at full speed",
        table.live.table()
    ));
    let mut first = None;
    let sql = ask::since(table.live.oid);
    let read = asking.live.each("its snapshot", &sql, |row| {
        first = Some((row.try_get::<_, String>(0).ok()?, number(&row, 1)?));
        Some(())
    });
    read.await?;
    let (since, bytes) = first.ok_or_else(|| asking.live.garbled("its snapshot", "no answer"))?;
    let blocks = bytes.div_ceil(u64::from(asking.ground.live.block_size));
    table.pieces(|p| (p.since, p.blocks) = (since, blocks));
    Ok(())
}

/// Pieces of a sequential scan, until one brings nothing new.
async fn scan(asking: &Asking<'_>, table: &Table, unit: u64) -> Result<(), CompareError> {
    let since = table.pieces(|p| p.since.clone());
    // So many that three units next to each other are among them; and a part of the table only.
    let least = |thickest: u64| LEAST_ROWS.max(4 * thickest);
    let most = |least: u64| MOST_ROWS.min(table.live.estimate() / 16).max(least);
    let mut rows = least(unit * DENSEST);
    loop {
        table.pieces(|p| p.longest = p.longest.max(rows));
        let sql = ask::piece(table.scan(Side::Live).table, rows, unit, &since);
        let (seen, took) = piece(asking, table, &sql).await?;
        if !table.pieces(|p| p.take(&seen)) {
            break;
        }
        told(asking, table, unit);
        let least = least(table.pieces(|p| p.thickest()));
        rows = fitting(asking, rows, took).clamp(least, most(least));
    }
    table.pieces(Pieces::check);
    Ok(())
}

impl Pieces {
    /// Begins anew: the connection was cut.
    pub fn forget(&mut self) {
        *self = Pieces { given_up: self.given_up, ..Pieces::default() };
    }

    /// Takes the units that were read from their first block to their last: those between two that were seen, too. False if
    /// none of them is new. A unit in which the piece began or ended has a neighbour that it did not see, unless it went
    /// round the whole table: see [`Pieces::check`].
    fn take(&mut self, seen: &Buckets) -> bool {
        let before = self.units.len();
        let between =
            |unit: u64| unit > 0 && seen.contains_key(&(unit - 1)) && seen.contains_key(&(unit + 1));
        self.units.extend(seen.iter().filter(|(unit, _)| between(**unit)));
        self.units.len() > before
    }

    fn thickest(&self) -> u64 {
        self.units.values().map(|b| b.rows).max().unwrap_or(0)
    }

    /// Forgets all if the longest piece may have gone round the table.
    fn check(&mut self) {
        let all: u64 = self.units.values().map(|b| b.rows).sum();
        if self.longest + 3 * self.thickest() >= all {
            self.units.clear();
        }
    }

    fn missing(&self, unit: u64, at_once: usize) -> Vec<u64> {
        let units = 0..self.blocks.div_ceil(unit);
        units.filter(|u| !self.units.contains_key(u)).take(at_once).collect()
    }
}

/// What the scans left out, by TID ranges.
async fn gaps(asking: &Asking<'_>, table: &Table, unit: u64) -> Result<(), CompareError> {
    let since = table.pieces(|p| p.since.clone());
    let mut at_once = FIRST_UNITS;
    loop {
        let missing = table.pieces(|p| p.missing(unit, at_once));
        if missing.is_empty() {
            return Ok(());
        }
        let sql = ask::buckets_of(table.scan(Side::Live), &missing, unit, &since);
        let (found, took) = piece(asking, table, &sql).await?;
        if found.len() != missing.len() {
            return Err(asking.live.garbled("a piece of a table", "not every part of it"));
        }
        table.pieces(|p| p.units.extend(found));
        told(asking, table, unit);
        let fits = fitting(asking, missing.len() as u64, took);
        at_once = usize::try_from(fits).unwrap_or(MOST_UNITS).clamp(LEAST_UNITS, MOST_UNITS);
    }
}

/// One piece, by unit, and how long it took; an error if somebody wrote there since the first one.
async fn piece(asking: &Asking<'_>, table: &Table, sql: &str) -> Result<(Buckets, Duration), CompareError> {
    let (mut seen, mut young) = (Buckets::new(), false);
    let read = asking.live.each("a piece of a table", sql, |row| {
        seen.insert(number(&row, 0)?, Bucket { rows: number(&row, 1)?, h: row.try_get(2).ok()? });
        young |= row.try_get::<_, bool>(3).ok()?;
        Some(())
    });
    let ((), took) = gentle::chunk(asking, None, read).await?;
    if young { Err(give_up(table, WRITTEN)) } else { Ok((seen, took)) }
}

/// Says how far live is: the bytes that are counted as done are the copy's.
fn told(asking: &Asking<'_>, table: &Table, unit: u64) {
    let percent = table.pieces(|p| p.units.len() as u64 * 100 / p.blocks.div_ceil(unit).max(1));
    let now = format!("{}: {percent} % of it read in short pieces", table.live.table());
    asking.tell.with(|p| p.now = now);
    asking.tell.advance(0);
}

/// So many next time, after so many took so long: halfway to what would just fill the time of a piece, at most twice as
/// many.
fn fitting(asking: &Asking<'_>, many: u64, took: Duration) -> u64 {
    let time = asking.options.chunk / PART;
    // The cast saturates.
    let fits = (many as f64 * time.as_secs_f64() / took.as_secs_f64().max(0.001)) as u64;
    u64::midpoint(many, fits).min(many * 2)
}

fn number(row: &tokio_postgres::Row, column: usize) -> Option<u64> {
    u64::try_from(row.try_get::<_, i64>(column).ok()?).ok()
}

const WRITTEN: &str = "it was written to while it was read in pieces";

/// Next time the table is read in one transaction.
fn give_up(table: &Table, why: &str) -> CompareError {
    table.pieces(|p| *p = Pieces { given_up: true, ..Pieces::default() });
    CompareError::NoRoom { why: why.to_owned() }
}

/// Begins live's transaction and proves that every piece holds for it: no row there is younger than the first piece, so
/// each was seen by the piece that read its block; and they are as many as the pieces saw, so none of those is gone.
///
/// # Errors
/// [`CompareError::NoRoom`] if the table was written to, or there was no room to count it: then it is to be read in one
/// transaction.
pub async fn hold(asking: &Asking<'_>, table: &Table, buckets: &Buckets) -> Result<(), CompareError> {
    let sql = ask::written(table.scan(Side::Live).table, &table.pieces(|p| p.since.clone()));
    let count = |_| -> Later<'_, _> {
        Box::pin(async {
            let mut found = None;
            let read = asking.live.each("whether it was written to", &sql, |row| {
                found = Some((number(&row, 0)?, number(&row, 1)?));
                Some(())
            });
            tokio::try_join!(asking.live.begin(), read)?;
            found.ok_or_else(|| asking.live.garbled("whether it was written to", "no answer"))
        })
    };
    let (rows, young) = match gentle::undivided(asking, None, count).await? {
        Ok(found) => found,
        Err(why) => return Err(give_up(table, &why)),
    };
    let seen: u64 = buckets.values().map(|b| b.rows).sum();
    if rows == seen && young == 0 {
        return Ok(());
    }
    asking.live.end().await?;
    Err(give_up(table, WRITTEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(units: &[u64]) -> Buckets {
        units.iter().map(|unit| (*unit, Bucket { rows: 3, h: 7 })).collect()
    }

    fn taken(p: &Pieces) -> Vec<u64> {
        p.units.keys().copied().collect()
    }

    #[test]
    fn only_what_lies_between_two_that_were_seen_is_taken() {
        let mut p = Pieces { blocks: 16 * 10, ..Pieces::default() };
        // From the end round to the beginning; 3 is empty or was not read.
        assert!(p.take(&seen(&[0, 1, 2, 4, 5, 6, 8, 9])));
        assert_eq!(taken(&p), [1, 5]);
        assert!(!p.take(&seen(&[4, 5, 6])), "nothing new");
        assert_eq!(p.missing(16, 3), [0, 2, 3]);
        assert_eq!(p.missing(16, 99), [0, 2, 3, 4, 6, 7, 8, 9]);
    }

    #[test]
    fn a_piece_that_may_have_gone_round_the_table_proves_nothing() {
        let mut p = Pieces { blocks: 160, longest: 14, ..Pieces::default() };
        p.take(&seen(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
        p.check();
        assert_eq!(taken(&p).len(), 8, "24 rows");
        p.longest = 15;
        p.check();
        assert!(taken(&p).is_empty());
    }
}
