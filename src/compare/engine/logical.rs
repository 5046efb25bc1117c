//! The logical path: sketches of keys and contents, or of keys and writers where a rewrite kept them; and estimates from a
//! sample when too much differs to be fetched.

use super::pace::Resting;
use super::session::Session;
use super::table::{Asking, At, Compared, Differences, Table, pick};
use super::{CompareError, gentle};
use crate::compare::ask::{logical as ask, physical, rows};
use crate::compare::join::{self, Found};
use crate::compare::link::Later;
use crate::compare::model::{Counts, Event, Path, RowKind, Side};
use crate::compare::sketch::{Cell, Item, Sketch, first_size};

/// Bits of the largest sketch: 3 x 2^15 cells, about 7 MB from each side and 60,000 differences.
const LARGEST: u32 = 15;
/// A larger try has eight times the cells.
const STEP: u32 = 3;
/// Rows of a sample.
const SAMPLE: u64 = 20_000;
/// Keys in one question.
const KEYS_AT_ONCE: usize = 5_000;

/// Compares a table by sketches.
pub async fn compare(asking: &Asking<'_>, table: &Table) -> Result<Compared, CompareError> {
    let by_writer = table.plan.path == Path::KeyXmin;
    let rows = table.live.estimate().max(table.restored.estimate());
    let mut log2 = first_size(rows.max(table.bytes() / 512));
    loop {
        let sketch = sketch(asking, table, log2, by_writer).await?;
        let (rows_live, rows_restored) = (sketch.rows_live, sketch.rows_restored);
        let mut found = Differences { rows_live, rows_restored, ..Differences::default() };
        let items = sketch.read();
        let differs = items.as_ref().is_none_or(|i| !i.is_empty());
        asking.tell.hint(Event::Glimpse { id: table.id, differs, rows_live, rows_restored });
        let apart = rows_live.abs_diff(rows_restored);
        match items {
            Some(items) => {
                let (live, restored) = if by_writer {
                    let (mine, theirs) = (keys(&items, true), keys(&items, false));
                    tokio::try_join!(
                        contents(asking, Side::Live, table, &mine),
                        contents(asking, Side::Restored, table, &theirs)
                    )?
                } else {
                    (of_side(&items, table, true), of_side(&items, table, false))
                };
                found.joined = join::join(live, restored);
                found.counts = join::count(&found.joined);
                return Ok(Compared::Done(Box::new(found)));
            }
            None if by_writer && log2 + STEP > LARGEST => {
                let why = "file: the table was rewritten and its rows did not keep their writers".to_owned();
                return Ok(Compared::Fallback { why, young: false });
            }
            None if log2 + STEP <= LARGEST && apart < 1 << (log2 + STEP) => log2 += STEP,
            None => {
                return estimate(asking, table, found).await.map(|f| Compared::Done(Box::new(f)));
            }
        }
    }
}

/// Blocks of live's table at which a scan of it can rest.
fn blocks(asking: &Asking<'_>, table: &Table) -> Option<u64> {
    let heap = table.live.am.as_deref() == Some("heap");
    heap.then(|| table.live.bytes / u64::from(asking.ground.live.block_size))
}

/// A condition with which live's scan rests so.
fn rests(asking: &Asking<'_>, table: &Table, resting: Resting) -> String {
    let (blocks, times) = (blocks(asking, table).unwrap_or(0), resting.times);
    times.map(|times| physical::resting(blocks, times)).unwrap_or_default()
}

fn question(table: &Table, side: Side, log2: u32, by_writer: bool, rests: &str) -> String {
    let content = if by_writer { ask::key_and_writer(&table.key(side)) } else { table.content(side) };
    // A row without a key is known by its content.
    let key = if table.plan.key.is_some() { table.key(side) } else { "0::int8".to_owned() };
    ask::sketch(table.scan(side), &key, &content, log2, rests)
}

async fn sketch(
    asking: &Asking<'_>,
    table: &Table,
    log2: u32,
    by_writer: bool,
) -> Result<Sketch, CompareError> {
    let begun = |resting| -> Later<'_, _> {
        Box::pin(async move {
            let rests = rests(asking, table, resting);
            let sql = question(table, Side::Live, log2, by_writer, &rests);
            let ((), cells) = tokio::try_join!(asking.live.begin(), cells(asking.live, &sql))?;
            Ok(cells)
        })
    };
    let live = || -> Later<'_, _> {
        Box::pin(async {
            let whole = gentle::undivided(asking, blocks(asking, table), begun).await?;
            whole.map_err(|why| CompareError::NotWhole { why })
        })
    };
    let on_copy = question(table, Side::Restored, log2, by_writer, "");
    let copy = Box::pin(cells(asking.restored, &on_copy));
    let (live, restored) = gentle::beside(asking, live, copy).await?;
    let mut sketch = Sketch::new(log2);
    for (cells, session) in [(live, asking.live), (restored, asking.restored)] {
        for (index, cell) in cells {
            sketch
                .add(index, cell, session.side == Side::Live)
                .ok_or_else(|| session.garbled("a sketch", "a cell beyond its end"))?;
        }
    }
    Ok(sketch)
}

async fn cells(session: &Session, sql: &str) -> Result<Vec<(i64, Cell)>, CompareError> {
    let mut all = Vec::new();
    session
        .each("a sketch", sql, |row| {
            let sum = |column| row.try_get::<_, &str>(column).ok()?.parse::<i128>().ok();
            let cell = Cell {
                n: row.try_get(1).ok()?,
                keys: sum(2)?,
                contents: sum(3)?,
                checks: row.try_get(4).ok()?,
            };
            all.push((row.try_get(0).ok()?, cell));
            Some(())
        })
        .await?;
    Ok(all)
}

fn keys(items: &[Item], live: bool) -> Vec<i64> {
    items.iter().filter(|i| (i.copies > 0) == live).map(|i| i.key).collect()
}

fn of_side(items: &[Item], table: &Table, live: bool) -> Vec<Found<At>> {
    let mine = items.iter().filter(|i| (i.copies > 0) == live);
    let keyed = table.plan.key.is_some();
    let mut all: Vec<Found<At>> = mine
        .map(|i| Found {
            key: keyed.then_some(i.key),
            content: i.content,
            copies: i.copies.unsigned_abs(),
            place: At::Name,
        })
        .collect();
    all.sort_by_key(|f| (f.key, f.content));
    all
}

/// Contents of rows by key.
async fn contents(
    asking: &Asking<'_>,
    side: Side,
    table: &Table,
    keys: &[i64],
) -> Result<Vec<Found<At>>, CompareError> {
    let mut all = Vec::with_capacity(keys.len());
    let Some(key) = &table.plan.key else { return Ok(all) };
    for some in keys.chunks(KEYS_AT_ONCE) {
        let condition = key.any(some, table.plan.agreement, pick(side));
        let sql = rows::identities(table.scan(side), &table.key(side), &table.content(side), &condition);
        let read = asking.session(side).each("differing rows", &sql, |row| {
            let (key, content) = (row.try_get(1).ok()?, row.try_get(2).ok()?);
            all.push(Found { key, content, copies: 1, place: At::Name });
            Some(())
        });
        gentle::ask(asking, side, read).await?;
    }
    Ok(all)
}

/// When more differs than is fetched: looks at one row in 2^n, chosen by key on both sides, and multiplies.
pub async fn estimate(
    asking: &Asking<'_>,
    table: &Table,
    found: Differences,
) -> Result<Differences, CompareError> {
    let (live, restored) = (found.rows_live, found.rows_restored);
    if table.plan.key.is_none() {
        return Ok(by_rows_alone(found, "without a key nothing can be estimated"));
    }
    let bits = (live.max(restored) / SAMPLE).max(1).next_power_of_two().trailing_zeros();
    let begun = |resting| -> Later<'_, _> {
        Box::pin(async move {
            let rests = rests(asking, table, resting);
            let sampled = sample(asking.live, table, bits, &rests);
            let ((), rows) = tokio::try_join!(asking.live.begin(), sampled)?;
            Ok(rows)
        })
    };
    let on_live = || -> Later<'_, _> { Box::pin(gentle::undivided(asking, blocks(asking, table), begun)) };
    let on_copy = Box::pin(sample(asking.restored, table, bits, ""));
    match gentle::beside(asking, on_live, on_copy).await? {
        (Ok(a), b) => Ok(from_sample(found, bits, (a, b))),
        (Err(why), _) => Ok(by_rows_alone(found, &why)),
    }
}

fn by_rows_alone(mut found: Differences, why: &str) -> Differences {
    let (live, restored) = (found.rows_live, found.rows_restored);
    let exact = live == 0 || restored == 0;
    let (lost, new) = (restored.saturating_sub(live), live.saturating_sub(restored));
    found.counts = Counts { lost, new, exact, ..Counts::NONE };
    found.notes.push(format!("too much differs to list it, and {why}: the numbers are those of rows alone"));
    found
}

fn from_sample(mut found: Differences, bits: u32, (a, b): (Vec<Found<At>>, Vec<Found<At>>)) -> Differences {
    let (live, restored) = (found.rows_live, found.rows_restored);
    found.joined = join::join(a, b);
    // A sample has rows that nobody touched, too.
    found.joined.retain(|j| j.kind != RowKind::TouchedSame);
    let seen = join::count(&found.joined);
    let times = 1_u64 << bits;
    found.counts = if live == 0 || restored == 0 {
        Counts { lost: restored, new: live, exact: true, ..Counts::NONE }
    } else {
        Counts {
            lost: seen.lost * times,
            new: seen.new * times,
            changed: seen.changed * times,
            touched_same: 0,
            exact: bits == 0,
        }
    };
    if bits > 0 {
        found.notes.push(format!(
            "too much differs to fetch it all: numbers and rows are from a sample of one row in {times}, chosen by key"
        ));
    }
    found
}

async fn sample(
    session: &Session,
    table: &Table,
    bits: u32,
    rests: &str,
) -> Result<Vec<Found<At>>, CompareError> {
    let side = session.side;
    let mut all = Vec::new();
    let sql = ask::sample(table.scan(side), &table.key(side), &table.content(side), bits, rests);
    session
        .each("a sample of rows", &sql, |row| {
            let (key, content) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
            all.push(Found { key, content, copies: 1, place: At::Name });
            Some(())
        })
        .await?;
    all.sort_by_key(|f| (f.key, f.content));
    Ok(all)
}
