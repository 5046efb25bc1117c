//! The logical path: sketches of keys and contents, or of keys and writers where a rewrite kept them; and estimates from a
//! sample when too much differs to be fetched.

use super::session::Session;
use super::table::{Asking, At, Compared, Differences, Table, pick};
use super::{CompareError, gentle};
use crate::compare::ask::{logical as ask, physical};
use crate::compare::join::{self, Found};
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
        asking.tell.tell(Event::Glimpse { id: table.id, differs, rows_live, rows_restored }).await;
        let apart = rows_live.abs_diff(rows_restored);
        match items {
            Some(items) => {
                let (live, restored) = if by_writer {
                    let (mine, theirs) = (keys(&items, true), keys(&items, false));
                    tokio::try_join!(
                        contents(asking.live, table, &mine),
                        contents(asking.restored, table, &theirs)
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

async fn sketch(
    asking: &Asking<'_>,
    table: &Table,
    log2: u32,
    by_writer: bool,
) -> Result<Sketch, CompareError> {
    let question = |side| {
        let content = if by_writer { ask::key_and_writer(&table.key(side)) } else { table.content(side) };
        // A row without a key is known by its content.
        let key = if table.plan.key.is_some() { table.key(side) } else { "0::int8".to_owned() };
        let rest =
            asking.pace.rest().filter(|_| side == Side::Live && table.live.am.as_deref() == Some("heap"));
        let blocks = table.live.bytes / u64::from(asking.ground.live.block_size);
        let rest = rest.map(|times| physical::resting(blocks, times)).unwrap_or_default();
        ask::sketch(table.scan(side), &key, &content, log2, &rest)
    };
    let (on_live, on_copy) = (question(Side::Live), question(Side::Restored));
    let live = async {
        let whole = gentle::undivided(asking, || Box::pin(begun_cells(asking.live, &on_live)));
        if let Some(cells) = whole.await? {
            return Ok(cells);
        }
        let name = table.live.table();
        asking.tell.note(format!("{name}: live is busy again and again: reading it all the same"));
        gentle::chunk(asking, None, begun_cells(asking.live, &on_live)).await
    };
    let (live, restored) = tokio::try_join!(live, cells(asking.restored, &on_copy))?;
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

async fn begun_cells(session: &Session, sql: &str) -> Result<Vec<(i64, Cell)>, CompareError> {
    let ((), cells) = tokio::try_join!(session.begin(), cells(session, sql))?;
    Ok(cells)
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
async fn contents(session: &Session, table: &Table, keys: &[i64]) -> Result<Vec<Found<At>>, CompareError> {
    let side = session.side;
    let mut all = Vec::with_capacity(keys.len());
    let Some(key) = &table.plan.key else { return Ok(all) };
    for some in keys.chunks(KEYS_AT_ONCE) {
        let condition = key.any(some, table.plan.agreement, pick(side));
        let sql = crate::compare::ask::rows::identities(
            table.scan(side),
            &table.key(side),
            &table.content(side),
            &condition,
        );
        session
            .each("differing rows", &sql, |row| {
                let (key, content) = (row.try_get(1).ok()?, row.try_get(2).ok()?);
                all.push(Found { key, content, copies: 1, place: At::Name });
                Some(())
            })
            .await?;
    }
    Ok(all)
}

/// When more differs than is fetched: looks at one row in 2^n, chosen by key on both sides, and multiplies.
pub async fn estimate(
    asking: &Asking<'_>,
    table: &Table,
    mut found: Differences,
) -> Result<Differences, CompareError> {
    let (live, restored) = (found.rows_live, found.rows_restored);
    let counted = Counts { lost: restored, new: live, exact: true, ..Counts::NONE };
    let Some(_) = &table.plan.key else {
        let exact = live == 0 || restored == 0;
        let (lost, new) = (restored.saturating_sub(live), live.saturating_sub(restored));
        found.counts = Counts { lost, new, exact, ..Counts::NONE };
        found.notes.push("too much differs to list it, and without a key nothing can be estimated: the numbers are those of rows alone".to_owned());
        return Ok(found);
    };
    let bits = (live.max(restored) / SAMPLE).max(1).next_power_of_two().trailing_zeros();
    let (a, b) = tokio::try_join!(sample(asking.live, table, bits), sample(asking.restored, table, bits))?;
    found.joined = join::join(a, b);
    // A sample has rows that nobody touched, too.
    found.joined.retain(|j| j.kind != RowKind::TouchedSame);
    let seen = join::count(&found.joined);
    let times = 1_u64 << bits;
    found.counts = if live == 0 || restored == 0 {
        counted
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
    Ok(found)
}

async fn sample(session: &Session, table: &Table, bits: u32) -> Result<Vec<Found<At>>, CompareError> {
    let side = session.side;
    let mut all = Vec::new();
    let sql = ask::sample(table.scan(side), &table.key(side), &table.content(side), bits);
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
