//! The physical path of one table, as of one moment on live: buckets, differing blocks, row versions with the proof
//! that none was overlooked, then identities joined on key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::pace::Resting;
use super::session::Session;
use super::table::{Asking, At, Compared, Copied, Differences, Table};
use super::{CompareError, fetch, gentle, logical, pieces, young};
use crate::compare::ask::physical as ask;
use crate::compare::ask::session::SNAPSHOT;
use crate::compare::buckets::{self, Bucket, Buckets, OnlyOn, Version};
use crate::compare::join;
use crate::compare::link::Later;
use crate::compare::model::{Event, Side};

/// Blocks of the copy in one statement: 256 MB.
const COPY_CHUNK: u64 = 32_768;
/// A copy that takes longer for that reads from cold storage: there two connections read faster than one.
const SLOW_CHUNK: Duration = Duration::from_secs(1);
/// Buckets and blocks in one question.
const BUCKETS_AT_ONCE: usize = 1_000;
const BLOCKS_AT_ONCE: usize = 2_048;
/// Row versions on one side only that are fetched one by one if more than a tenth of the table differs.
const MANY: u64 = 300_000;
/// And never more than this.
const MOST: u64 = 1_000_000;

/// Compares a table whose gates hold.
pub async fn compare(asking: &Asking<'_>, table: &Table) -> Result<Compared, CompareError> {
    match compare_files(asking, table).await {
        Err(CompareError::OtherFile) => {
            let why = "file: live's table is another one than when we came".to_owned();
            Ok(Compared::Fallback { why, young: false })
        }
        other => other,
    }
}

async fn compare_files(asking: &Asking<'_>, table: &Table) -> Result<Compared, CompareError> {
    let block_size = u64::from(asking.ground.live.block_size);
    let width = buckets::width(table.bytes().div_ceil(block_size));
    // The copy is done with its buckets first, and looks for its youngest rows while live still counts.
    let copy = async {
        let (found, ages) = copy_buckets(asking, table, width).await?;
        let young = ages.into_iter().filter(|(_, age)| *age <= young::WINDOW as i64);
        let young: Vec<u64> = young.map(|(bucket, _)| bucket).collect();
        let places = young::places(asking.restored, table, &young, width).await?;
        Ok((found, places))
    };
    let live = || -> Later<'_, _> { Box::pin(live_buckets(asking, table, width)) };
    let ((live, blocks), (restored, young)) = gentle::beside(asking, live, Box::pin(copy)).await?;
    if !asking.live.is_within() {
        pieces::hold(asking, table, &live).await?;
    }
    let differing = buckets::differing(&live, &restored);
    let (rows_live, rows_restored) = (rows(&live), rows(&restored));
    let differs = !differing.is_empty();
    asking.tell.hint(Event::Glimpse { id: table.id, differs, rows_live, rows_restored });
    // Now that it is locked, nobody can give it another one.
    let ((), collides) = tokio::try_join!(same_file(asking, table), young::collides(asking, table, &young))?;
    if collides {
        let why = "young rows: rows of the copy were written after its recovery".to_owned();
        return Ok(Compared::Fallback { why, young: true });
    }
    let mut found = Differences { rows_live, rows_restored, ..Differences::default() };
    found.counts.exact = true;
    if differing.is_empty() {
        return Ok(Compared::Done(Box::new(found)));
    }
    let suspects = differing_blocks(asking, table, &differing, width).await?;
    let blocks = blocks.max(table.restored.bytes.div_ceil(block_size)).max(1);
    let per_block = (rows_live.max(rows_restored) / blocks).max(1);
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
        fetch::identities(asking, Side::Live, table, &only.live),
        fetch::identities(asking, Side::Restored, table, &only.restored)
    )?;
    found.joined = join::join::<At>(live, restored);
    found.counts = join::count(&found.joined);
    Ok(Compared::Done(Box::new(found)))
}

fn rows(buckets: &Buckets) -> u64 {
    buckets.values().map(|b| b.rows).sum()
}

/// An error unless live's table is still the one that the gates looked at.
async fn same_file(asking: &Asking<'_>, table: &Table) -> Result<(), CompareError> {
    let (mut same, sql) = (false, ask::file(&table.live.table()));
    let read = asking.live.each("its file", &sql, |row| {
        let (file, writer): (Option<i64>, &str) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
        same = file == table.live.filenode.map(i64::from) && writer == table.live.xmin;
        Some(())
    });
    read.await?;
    if same { Ok(()) } else { Err(CompareError::OtherFile) }
}

/// Blocks of the table on one side, as it is now.
async fn size(asking: &Asking<'_>, table: &Table, side: Side) -> Result<u64, CompareError> {
    let question = format!("SELECT pg_relation_size({}::oid)::int8", table.relation(side).oid);
    let bytes = asking.session(side).number("a table's size", &question).await?;
    Ok(bytes.div_ceil(u64::from(asking.ground.live.block_size)))
}

/// Begins live's transaction, and asks for the table's blocks as they are then.
async fn opened(asking: &Asking<'_>, table: &Table) -> Result<u64, CompareError> {
    // Asked one after the other, without waiting in between.
    let ((), blocks) = tokio::try_join!(asking.live.begin(), size(asking, table, Side::Live))?;
    Ok(blocks)
}

/// Live's buckets and blocks: in pieces with no transaction open if others are at work; else by one sequential scan when
/// the table is so large that the server reads it through its small ring of buffers; else in chunks of the time allowed.
async fn live_buckets(
    asking: &Asking<'_>,
    table: &Table,
    width: u64,
) -> Result<(Buckets, u64), CompareError> {
    let (live, scan) = (asking.live, table.scan(Side::Live));
    let ring = table.live.bytes > asking.ground.live.shared_buffers / 4;
    if asking.pace.rests() && pieces::fit(table) {
        return pieces::read(asking, table, width, ring).await;
    }
    if ring {
        let size = table.live.bytes / u64::from(asking.ground.live.block_size);
        let scan = |resting| -> Later<'_, _> { Box::pin(whole(asking, table, width, resting)) };
        match gentle::undivided(asking, Some(size), scan).await? {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => return pieces::read(asking, table, width, ring).await,
            Err(why) => asking.tell.note(format!("{}: {why}: reading it in chunks", table.live.table())),
        }
    }
    gentle::wait(asking).await?;
    let blocks = opened(asking, table).await?;
    let (mut from, mut found) = (0, Copied::default());
    while from < blocks {
        let to = (from + asking.pace.blocks(width)).min(blocks);
        let sql = ask::buckets_by_range(scan, from, to, width, false);
        let read = live.each("fingerprints", &sql, |row| take_bucket(&row, &mut found, false));
        gentle::chunk(asking, Some(to - from), read).await?;
        from = to;
    }
    Ok((found.0, blocks))
}

/// All of live's buckets in one statement; `None` if others came and it is better read in pieces.
async fn whole(
    asking: &Asking<'_>,
    table: &Table,
    width: u64,
    resting: Resting,
) -> Result<Option<(Buckets, u64)>, CompareError> {
    if resting.rests() && pieces::fit(table) {
        return Ok(None);
    }
    let blocks = opened(asking, table).await?;
    let (began, mut found) = (Instant::now(), Copied::default());
    let sql = ask::buckets_by_scan(table.scan(Side::Live), blocks, width, resting.times);
    asking.live.each("fingerprints", &sql, |row| take_bucket(&row, &mut found, false)).await?;
    asking.pace.learn(blocks, resting.worked(began.elapsed()));
    Ok(Some((found.0, blocks)))
}

fn take_bucket(row: &tokio_postgres::Row, into: &mut Copied, ages: bool) -> Option<()> {
    let bucket = u64::try_from(row.try_get::<_, i64>(0).ok()?).ok()?;
    let rows = u64::try_from(row.try_get::<_, i64>(1).ok()?).ok()?;
    let h = row.try_get(2).ok()?;
    into.0.insert(bucket, Bucket { rows, h });
    if ages {
        into.1.insert(bucket, row.try_get(3).ok()?);
    }
    Some(())
}

/// The copy's buckets by TID ranges, on two connections if its storage is slow. Chunks that were read before a
/// connection was cut are not read again, unless the copy follows somebody or was written meanwhile: chunks of two moments
/// do not belong together.
async fn copy_buckets(asking: &Asking<'_>, table: &Table, width: u64) -> Result<Copied, CompareError> {
    let copy = asking.restored;
    let (blocks, snapshot) =
        tokio::try_join!(size(asking, table, Side::Restored), copy.text("its snapshot", SNAPSHOT))?;
    if asking.ground.restored.in_recovery {
        table.copying("");
    }
    table.copying(&snapshot);
    let chunk = COPY_CHUNK.next_multiple_of(width);
    let copy = Chunks { asking, table, width, blocks, chunk, next: AtomicU64::new(0) };
    let began = Instant::now();
    copy.one(asking.restored).await?;
    let slow = began.elapsed() > SLOW_CHUNK && blocks > 3 * chunk;
    let beside = async {
        let second = if slow { asking.sides.second().await } else { None };
        match second {
            Some(second) => copy.all(second).await,
            None => Ok(()),
        }
    };
    tokio::try_join!(beside, copy.all(asking.restored))?;
    Ok(table.copy())
}

/// The copy in chunks, which its connections take one by one.
struct Chunks<'a> {
    asking: &'a Asking<'a>,
    table: &'a Table,
    width: u64,
    blocks: u64,
    chunk: u64,
    next: AtomicU64,
}

impl Chunks<'_> {
    /// Reads the next chunk; false if there is none.
    async fn one(&self, session: &Session) -> Result<bool, CompareError> {
        let from = self.next.fetch_add(self.chunk, Ordering::Relaxed);
        if from >= self.blocks {
            return Ok(false);
        }
        let to = (from + self.chunk).min(self.blocks);
        if !self.table.is_copied(from) {
            let mut found = Copied::default();
            let scan = self.table.scan(Side::Restored);
            let sql = ask::buckets_by_range(scan, from, to, self.width, true);
            let began = Instant::now();
            session.each("fingerprints", &sql, |row| take_bucket(&row, &mut found, true)).await?;
            self.table.keep(from, found);
            // Nothing is gained by being done long before live, and the two may share a machine or its storage.
            let within = self.asking.live.is_within();
            gentle::pause(self.asking, self.asking.pace.rest_after(began.elapsed(), within)).await?;
        }
        self.asking.tell.advance((to - from) * u64::from(self.asking.ground.live.block_size));
        Ok(true)
    }

    async fn all(&self, session: &Session) -> Result<(), CompareError> {
        while self.one(session).await? {}
        Ok(())
    }
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
    let mut left = differing;
    while !left.is_empty() {
        let fitting = usize::try_from(asking.pace.blocks(width) / width).unwrap_or(BUCKETS_AT_ONCE);
        let (some, rest) = left.split_at(fitting.clamp(1, BUCKETS_AT_ONCE).min(left.len()));
        left = rest;
        let question = |side| ask::blocks(table.scan(side), some, width);
        let blocks = some.len() as u64 * width;
        let (live, restored) = both(asking, Some(blocks), question).await?;
        let of = |all: &Packed, n| all.get(&n).cloned().unwrap_or_default();
        for bucket in some {
            let blocks =
                buckets::differing_blocks(*bucket, width, &of(&live, *bucket), &of(&restored, *bucket));
            suspects.insert(*bucket, blocks);
        }
    }
    Ok(suspects)
}

/// The answers of both sides; live's is a chunk of so many blocks.
async fn both(
    asking: &Asking<'_>,
    blocks: Option<u64>,
    question: impl Fn(Side) -> String,
) -> Result<(Packed, Packed), CompareError> {
    let (on_live, on_copy) = (question(Side::Live), question(Side::Restored));
    let live = gentle::chunk(asking, blocks, Box::pin(packed(asking.live, &on_live)));
    let ((live, _), restored) = tokio::try_join!(live, packed(asking.restored, &on_copy))?;
    Ok((live, restored))
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
        let question = |side| ask::versions(table.scan(side), some);
        let (live, restored) = both(asking, None, question).await?;
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
