//! The physical path of one table, in one transaction on live: buckets, differing blocks, row versions with the proof
//! that none was overlooked, then identities joined on key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::session::Session;
use super::table::{Asking, At, Compared, Differences, Table};
use super::{CompareError, fetch, logical, young};
use crate::compare::ask::physical as ask;
use crate::compare::buckets::{self, Bucket, Buckets, OnlyOn, Version};
use crate::compare::join;
use crate::compare::model::{Event, Side};

/// Blocks of the copy in one statement: 256 MB.
const COPY_CHUNK: u64 = 32_768;
/// Buckets and blocks in one question.
const BUCKETS_AT_ONCE: usize = 1_000;
const BLOCKS_AT_ONCE: usize = 512;
/// Row versions on one side only that are fetched one by one if more than a tenth of the table differs.
const MANY: u64 = 300_000;
/// And never more than this.
const MOST: u64 = 1_000_000;

/// Compares a table whose gates hold. Live is within a transaction.
pub async fn compare(asking: &Asking<'_>, table: &Table) -> Result<Compared, CompareError> {
    let blocks = size(asking, table).await?;
    let width = buckets::width(blocks);
    // The copy is done with its buckets first, and looks for its youngest rows while live still counts.
    let copy = async {
        let (found, ages) = copy_buckets(asking, table, blocks, width).await?;
        let young = ages.into_iter().filter(|(_, age)| *age <= young::WINDOW as i64);
        let young: Vec<u64> = young.map(|(bucket, _)| bucket).collect();
        let places = young::places(asking.restored, table, &young, width).await?;
        Ok((found, places))
    };
    let ((live, _), (restored, young)) = tokio::try_join!(live_buckets(asking, table, blocks, width), copy)?;
    let differing = buckets::differing(&live, &restored);
    let (rows_live, rows_restored) = (rows(&live), rows(&restored));
    let differs = !differing.is_empty();
    asking.tell.tell(Event::Glimpse { id: table.id, differs, rows_live, rows_restored }).await;
    if young::collides(asking, table, &young).await? {
        let why = "young rows: rows of the copy were written after its recovery".to_owned();
        return Ok(Compared::Fallback { why, young: true });
    }
    let mut found = Differences { rows_live, rows_restored, ..Differences::default() };
    found.counts.exact = true;
    if differing.is_empty() {
        return Ok(Compared::Done(Box::new(found)));
    }
    let suspects = differing_blocks(asking, table, &differing, width).await?;
    let per_block = (rows_live.max(rows_restored) / blocks.max(1)).max(1);
    let versions: u64 = suspects.values().map(|b| b.len() as u64).sum::<u64>() * per_block;
    if versions > MOST || (versions > MANY && versions * 10 > rows_live.max(rows_restored)) {
        return logical::estimate(asking, table, found).await.map(|f| Compared::Done(Box::new(f)));
    }
    let only = match versions_apart(asking, table, suspects, width, &live, &restored).await? {
        Some(only) => only,
        None => {
            let why = "the differences found do not add up to those of their buckets".to_owned();
            return Ok(Compared::Fallback { why, young: false });
        }
    };
    let (live, restored) = tokio::try_join!(
        fetch::identities(asking.live, table, &only.live),
        fetch::identities(asking.restored, table, &only.restored)
    )?;
    found.joined = join::join::<At>(live, restored);
    found.counts = join::count(&found.joined);
    Ok(Compared::Done(Box::new(found)))
}

fn rows(buckets: &Buckets) -> u64 {
    buckets.values().map(|b| b.rows).sum()
}

/// Blocks that either side's rows can lie in, as it is now.
async fn size(asking: &Asking<'_>, table: &Table) -> Result<u64, CompareError> {
    let question = |side| format!("SELECT pg_relation_size({}::oid)::int8", table.relation(side).oid);
    let (live, restored) = (question(Side::Live), question(Side::Restored));
    let (live, restored) = tokio::try_join!(
        asking.live.number("a table's size", &live),
        asking.restored.number("a table's size", &restored)
    )?;
    Ok(live.max(restored).div_ceil(u64::from(asking.ground.live.block_size)))
}

/// By one sequential scan when the table is so large that the server reads it through its small ring of buffers; else
/// in chunks of the time allowed.
async fn live_buckets(
    asking: &Asking<'_>,
    table: &Table,
    blocks: u64,
    width: u64,
) -> Result<(Buckets, BTreeMap<u64, i64>), CompareError> {
    let (live, scan) = (asking.live, table.scan(Side::Live));
    let mut found = (Buckets::new(), BTreeMap::new());
    let ring = blocks * u64::from(asking.ground.live.block_size) > asking.ground.live.shared_buffers / 4;
    if ring {
        asking.pace.wait(live, asking.stop, |text| asking.tell.note(text)).await?;
        let began = Instant::now();
        let sql = ask::buckets_by_scan(scan, blocks, width);
        live.each("fingerprints", &sql, |row| take_bucket(&row, &mut found, false)).await?;
        asking.pace.took(None, began.elapsed());
        return Ok(found);
    }
    let mut from = 0;
    while from < blocks {
        asking.pace.wait(live, asking.stop, |text| asking.tell.note(text)).await?;
        let to = (from + asking.pace.blocks(width)).min(blocks);
        let began = Instant::now();
        let sql = ask::buckets_by_range(scan, from, to, width, false);
        live.each("fingerprints", &sql, |row| take_bucket(&row, &mut found, false)).await?;
        asking.pace.took(Some(to - from), began.elapsed());
        from = to;
    }
    Ok(found)
}

fn take_bucket(
    row: &tokio_postgres::Row,
    into: &mut (Buckets, BTreeMap<u64, i64>),
    ages: bool,
) -> Option<()> {
    let bucket = u64::try_from(row.try_get::<_, i64>(0).ok()?).ok()?;
    let rows = u64::try_from(row.try_get::<_, i64>(1).ok()?).ok()?;
    let h = row.try_get(2).ok()?;
    into.0.insert(bucket, Bucket { rows, h });
    if ages {
        into.1.insert(bucket, row.try_get(3).ok()?);
    }
    Some(())
}

/// By TID ranges, on two connections if the table is large.
async fn copy_buckets(
    asking: &Asking<'_>,
    table: &Table,
    blocks: u64,
    width: u64,
) -> Result<(Buckets, BTreeMap<u64, i64>), CompareError> {
    let next = AtomicU64::new(0);
    let chunk = COPY_CHUNK.next_multiple_of(width);
    let work = async |session: &Session| {
        let mut found = (Buckets::new(), BTreeMap::new());
        loop {
            let from = next.fetch_add(chunk, Ordering::Relaxed);
            if from >= blocks {
                return Ok::<_, CompareError>(found);
            }
            let to = (from + chunk).min(blocks);
            let sql = ask::buckets_by_range(table.scan(Side::Restored), from, to, width, true);
            session.each("fingerprints", &sql, |row| take_bucket(&row, &mut found, true)).await?;
            asking.tell.advance((to - from) * u64::from(asking.ground.live.block_size));
        }
    };
    let second = asking.second.filter(|_| blocks > 2 * chunk);
    let (mut found, more) = match second {
        Some(second) => tokio::try_join!(work(asking.restored), work(second))?,
        None => (work(asking.restored).await?, Default::default()),
    };
    found.0.extend(more.0);
    found.1.extend(more.1);
    Ok(found)
}

/// Blocks by bucket.
type Suspects = BTreeMap<u64, Vec<u64>>;

async fn differing_blocks(
    asking: &Asking<'_>,
    table: &Table,
    differing: &[u64],
    width: u64,
) -> Result<Suspects, CompareError> {
    let mut suspects = Suspects::new();
    for some in differing.chunks(BUCKETS_AT_ONCE) {
        let began = Instant::now();
        let question = |side| ask::blocks(table.scan(side), some, width);
        let (live, restored) = both(asking, question).await?;
        asking.pace.took(None, began.elapsed());
        let of = |all: &Packed, n| all.get(&n).cloned().unwrap_or_default();
        for bucket in some {
            let blocks =
                buckets::differing_blocks(*bucket, width, &of(&live, *bucket), &of(&restored, *bucket));
            suspects.insert(*bucket, blocks);
        }
    }
    Ok(suspects)
}

/// The answers of both sides.
async fn both(
    asking: &Asking<'_>,
    question: impl Fn(Side) -> String,
) -> Result<(Packed, Packed), CompareError> {
    let (on_live, on_copy) = (question(Side::Live), question(Side::Restored));
    tokio::try_join!(packed(asking.live, &on_live), packed(asking.restored, &on_copy))
}

/// Bytes by number of bucket or block.
type Packed = BTreeMap<u64, Vec<u8>>;

async fn packed(session: &Session, sql: &str) -> Result<Packed, CompareError> {
    let mut all = Packed::new();
    session
        .each("block fingerprints", sql, |row| {
            let number = u64::try_from(row.try_get::<_, i64>(0).ok()?).ok()?;
            all.insert(number, row.try_get::<_, Option<Vec<u8>>>(1).ok()?.unwrap_or_default());
            Some(())
        })
        .await?;
    Ok(all)
}

/// Row versions on one side only, proven bucket by bucket; a bucket that does not add up is read whole. `None` if it
/// does not add up even then.
async fn versions_apart(
    asking: &Asking<'_>,
    table: &Table,
    suspects: Suspects,
    width: u64,
    live: &Buckets,
    restored: &Buckets,
) -> Result<Option<OnlyOn>, CompareError> {
    let mut all = OnlyOn::default();
    let mut unproven = Vec::new();
    let of = |buckets: &Buckets, n| buckets.get(&n).copied().unwrap_or_default();
    for (whole, suspects) in [(false, suspects), (true, Suspects::new())] {
        let suspects = if whole { every_block(&unproven, width) } else { suspects };
        let found = read_versions(asking, table, &suspects, width).await?;
        unproven.clear();
        for bucket in suspects.keys() {
            let only = found.get(bucket).cloned().unwrap_or_default();
            if buckets::proven(of(live, *bucket), of(restored, *bucket), &only) {
                all.live.extend(only.live);
                all.restored.extend(only.restored);
            } else {
                unproven.push(*bucket);
            }
        }
        if unproven.is_empty() {
            return Ok(Some(all));
        }
    }
    Ok(None)
}

fn every_block(buckets: &[u64], width: u64) -> Suspects {
    buckets.iter().map(|b| (*b, (b * width..(b + 1) * width).collect())).collect()
}

/// Reads blocks on both sides; what only one side sees, by bucket.
async fn read_versions(
    asking: &Asking<'_>,
    table: &Table,
    suspects: &Suspects,
    width: u64,
) -> Result<BTreeMap<u64, OnlyOn>, CompareError> {
    let blocks: Vec<u64> = suspects.values().flatten().copied().collect();
    let mut found: BTreeMap<u64, OnlyOn> = BTreeMap::new();
    for some in blocks.chunks(BLOCKS_AT_ONCE) {
        let (live, restored) = both(asking, |side| ask::versions(table.scan(side), some)).await?;
        for block in some {
            let read = |all: &Packed, session: &Session| -> Result<Vec<Version>, CompareError> {
                let packed = all.get(block).map(Vec::as_slice).unwrap_or_default();
                buckets::versions(*block, packed)
                    .ok_or_else(|| session.garbled("row versions", "not in records of 14 bytes"))
            };
            let only = buckets::apart(read(&live, asking.live)?, read(&restored, asking.restored)?);
            let into = found.entry(block / width.max(1)).or_default();
            into.live.extend(only.live);
            into.restored.extend(only.restored);
        }
    }
    Ok(found)
}
