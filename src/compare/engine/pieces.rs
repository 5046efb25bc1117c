//! Live's buckets in short pieces, for when others are at work there: each piece is a statement that sees a moment of its
//! own, and live rests between them with no transaction open, because a snapshot that stands costs whoever writes hot
//! rows more than the reading itself. That all pieces hold for one moment is proven by one short count at the end.

use std::time::Duration;

use super::table::{Asking, Table};
use super::{CompareError, gentle};
use crate::compare::ask::physical as ask;
use crate::compare::buckets::{Bucket, Buckets};
use crate::compare::model::Side;

/// Smaller tables are read within one transaction: they are done before anybody feels it.
const SMALL: u64 = 16 << 20;
/// A piece takes this part of the time of a chunk: 60 ms, unless somebody wants it otherwise.
const PART: u32 = 8;
/// Rows of the first piece, and the most of one.
const FIRST_ROWS: u64 = 20_000;
const MOST_ROWS: u64 = 10_000_000;
/// Units in one question by TID ranges, at first and at most.
const FIRST_UNITS: usize = 32;
const MOST_UNITS: usize = 2_048;

/// What was read of live in pieces. Kept when a connection is cut: no transaction holds it together.
#[derive(Debug, Default)]
pub struct Pieces {
    /// All transactions before this one were over when the first piece was read; empty before that.
    since: String,
    blocks: u64,
    /// By unit of blocks.
    units: Buckets,
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
        first =
            Some((row.try_get::<_, String>(0).ok()?, u64::try_from(row.try_get::<_, i64>(1).ok()?).ok()?));
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
    let blocks = table.pieces(|p| p.blocks).max(1);
    let in_a_unit = table.live.estimate() * unit / blocks + 1;
    let mut rows = FIRST_ROWS;
    loop {
        rows = rows.max(8 * in_a_unit);
        // Wide enough for places where rows lie thinner.
        let most = 4 * rows / in_a_unit + 16;
        let sql = ask::piece(table.scan(Side::Live).table, rows, unit, most);
        let (mut first, mut seen) = (0, Buckets::new());
        let read = asking.live.each("a piece of a table", &sql, |row| {
            first = number(&row, 0)?;
            seen.insert(number(&row, 1)?, bucket(&row)?);
            Some(())
        });
        let ((), took) = gentle::chunk(asking, None, read).await?;
        if !table.pieces(|p| p.take(first, &seen, most, unit)) {
            return Ok(());
        }
        told(asking, table, unit);
        rows = fitting(asking, rows, took).clamp(1_000, MOST_ROWS);
    }
}

impl Pieces {
    /// Takes the units that were read from their first block to their last; false if none of them is new. Of the first
    /// and the last one nobody knows whether they were.
    fn take(&mut self, first: u64, seen: &Buckets, most: u64, unit: u64) -> bool {
        let within = seen.range(1..=most).next_back().map_or(0, |(number, _)| *number);
        let before = self.units.len();
        let units = self.blocks.div_ceil(unit);
        for number in 2..within {
            let unit = first + number - 1;
            if unit < units {
                self.units.insert(unit, seen.get(&number).copied().unwrap_or_default());
            }
        }
        self.units.len() > before
    }

    fn missing(&self, unit: u64, at_once: usize) -> Vec<u64> {
        let units = 0..self.blocks.div_ceil(unit);
        units.filter(|u| !self.units.contains_key(u)).take(at_once).collect()
    }
}

/// What the scans left out, by TID ranges.
async fn gaps(asking: &Asking<'_>, table: &Table, unit: u64) -> Result<(), CompareError> {
    let mut at_once = FIRST_UNITS;
    loop {
        let missing = table.pieces(|p| p.missing(unit, at_once));
        if missing.is_empty() {
            return Ok(());
        }
        let sql = ask::buckets_of(table.scan(Side::Live), &missing, unit);
        let mut found = Buckets::new();
        let read = asking.live.each("a piece of a table", &sql, |row| {
            found.insert(number(&row, 0)?, Bucket { rows: number(&row, 1)?, h: row.try_get(2).ok()? });
            Some(())
        });
        let ((), took) = gentle::chunk(asking, None, read).await?;
        if found.len() != missing.len() {
            return Err(asking.live.garbled("a piece of a table", "not every part of it"));
        }
        table.pieces(|p| p.units.extend(found));
        told(asking, table, unit);
        let fits = fitting(asking, missing.len() as u64, took);
        at_once = usize::try_from(fits).unwrap_or(MOST_UNITS).clamp(1, MOST_UNITS);
    }
}

/// Says how far live is: the bytes that are counted as done are the copy's.
fn told(asking: &Asking<'_>, table: &Table, unit: u64) {
    let percent = table.pieces(|p| p.units.len() as u64 * 100 / p.blocks.div_ceil(unit).max(1));
    let now = format!("{}: {percent} % of it read in short pieces", table.live.table());
    asking.tell.with(|p| p.now = now);
    asking.tell.advance(0);
}

/// So many next time, after so many took so long: halfway to what would just fill the time of a piece.
fn fitting(asking: &Asking<'_>, many: u64, took: Duration) -> u64 {
    let time = asking.options.chunk / PART;
    // The cast saturates.
    u64::midpoint(many, (many as f64 * time.as_secs_f64() / took.as_secs_f64().max(0.001)) as u64)
}

fn number(row: &tokio_postgres::Row, column: usize) -> Option<u64> {
    u64::try_from(row.try_get::<_, i64>(column).ok()?).ok()
}

fn bucket(row: &tokio_postgres::Row) -> Option<Bucket> {
    Some(Bucket { rows: number(row, 2)?, h: row.try_get(3).ok()? })
}

/// Begins live's transaction and proves that every piece holds for it: no row there is younger than the first piece, so
/// each was seen by the piece that read its block; and they are as many as the pieces saw, so none of those is gone.
///
/// # Errors
/// [`CompareError::NoRoom`] if the table was written to: then it is to be read in one transaction.
pub async fn hold(asking: &Asking<'_>, table: &Table, buckets: &Buckets) -> Result<(), CompareError> {
    asking.live.begin().await?;
    let sql = ask::written(&table.live.table(), &table.pieces(|p| p.since.clone()));
    let mut found = None;
    let read = asking.live.each("whether it was written to", &sql, |row| {
        found = Some((number(&row, 0)?, number(&row, 1)?, number(&row, 2)?));
        Some(())
    });
    gentle::at_once(asking, read).await?;
    let (rows, young, file) = found.ok_or_else(|| asking.live.garbled("its rows", "no answer"))?;
    let seen: u64 = buckets.values().map(|b| b.rows).sum();
    if rows == seen && young == 0 && Some(file) == table.live.filenode.map(u64::from) {
        return Ok(());
    }
    table.pieces(|p| *p = Pieces { given_up: true, ..Pieces::default() });
    asking.live.end().await?;
    Err(CompareError::NoRoom { why: "it was written to while it was read in pieces".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Bucket = Bucket { rows: 3, h: 7 };

    fn pieces(blocks: u64) -> Pieces {
        Pieces { blocks, ..Pieces::default() }
    }

    #[test]
    fn the_ends_of_a_piece_are_not_taken() {
        let mut p = pieces(16 * 10);
        let seen = Buckets::from([(1, SEEN), (2, SEEN), (4, SEEN), (5, SEEN)]);
        assert!(p.take(3, &seen, 20, 16));
        // Units 3 and 7 may have been read in part; 5 was read and is empty.
        assert_eq!(p.units, Buckets::from([(4, SEEN), (5, Bucket::default()), (6, SEEN)]));
        assert!(!p.take(3, &seen, 20, 16), "nothing new");
        assert_eq!(p.missing(16, 3), [0, 1, 2]);
        assert_eq!(p.missing(16, 99), [0, 1, 2, 3, 7, 8, 9]);
    }

    #[test]
    fn what_lies_outside_of_the_window_is_left_out() {
        let mut p = pieces(16 * 4);
        // The scan went round to the beginning, and beyond the window; unit 5 is behind the end.
        let seen = Buckets::from([(0, SEEN), (1, SEEN), (2, SEEN), (3, SEEN), (4, SEEN), (5, SEEN)]);
        assert!(p.take(1, &seen, 4, 16));
        assert_eq!(p.units, Buckets::from([(2, SEEN), (3, SEEN)]));
        assert!(!p.take(1, &Buckets::from([(0, SEEN)]), 4, 16));
    }
}
