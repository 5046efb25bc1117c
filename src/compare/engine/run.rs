//! The course of a comparison: both catalogues, a first look at small tables, then one table after the other, each begun
//! again when a connection was cut.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::item::{Item, alone};
use super::known::{self, Known};
use super::pace::Pace;
use super::pieces::Pieces;
use super::session::stopped;
use super::sides::Sides;
use super::table::{Asking, Compared, Differences, Table, Teller};
use super::{CompareError, Job, Outcome, fetch, finish, logical, overview, physical};
use crate::compare::catalogue::Pair;
use crate::compare::gates::Ground;
use crate::compare::model::{
    Event, Gate, GateName, Path, Progress, SchemaChange, TableHead, TableId, TableResult, Verdict,
};

/// Tries of one step, the connection being cut each time.
const TRIES: u32 = 8;
/// How often a table is begun again because its transaction on live was not to wait.
const ROOMS: u32 = 5;

/// Compares to the end, or until it is cancelled. Events come as things become known; the last is `Done`.
///
/// # Errors
/// See [`CompareError`]; tables that cannot be compared are verdicts and no errors.
pub async fn run(job: Job) -> Outcome {
    let mut run = Run {
        sides: Sides::new(&job),
        tell: Teller { events: job.events.clone(), progress: Mutex::default() },
        pace: Pace::new(&job.options),
        began: Instant::now(),
        job,
    };
    let outcome = run.all().await;
    if outcome.is_err() {
        run.sides.cancel_all().await;
    }
    outcome
}

struct Run {
    job: Job,
    sides: Sides,
    tell: Teller,
    pace: Pace,
    began: Instant,
}

impl Run {
    async fn all(&mut self) -> Outcome {
        let known = self.know().await?;
        let (live, restored) = (known.ground.live.clone(), known.ground.restored.clone());
        let replayed_to = restored.replayed_to;
        self.tell.tell(Event::Opened { live: Box::new(live), restored: Box::new(restored) }).await;
        self.list(&known).await;
        let mut results = Vec::with_capacity(known.pairs.len());
        let mut work = Vec::new();
        for (index, pair) in known.pairs.iter().enumerate() {
            let id = TableId::try_from(index).unwrap_or(TableId::MAX);
            let schema = known.schema.get(index).cloned().unwrap_or_default();
            work.push(self.plan(id, pair, schema, &known.ground));
        }
        // Tables that somebody holds come last: perhaps they are free by then.
        work.sort_by_key(|w| (w.held(), w.result.id));
        self.first_look(&known.ground, &mut work, &mut results).await?;
        for mut item in work {
            if self.tell.events.is_closed() {
                return Err(CompareError::Cancelled);
            }
            self.one(&known.ground, &mut item).await?;
            self.finished(item.result, item.pair.bytes(), &mut results).await;
        }
        results.sort_by_key(|r: &TableResult| r.id);
        let seconds = self.began.elapsed().as_secs_f64();
        let summary =
            finish::summary(&results, &known.elsewhere, replayed_to, self.sides.received(), seconds);
        self.tell.tell(Event::Done { summary: Box::new(summary.clone()) }).await;
        Ok(summary)
    }

    async fn know(&mut self) -> Result<Known, CompareError> {
        let mut tries = 0;
        loop {
            let asked = async {
                let (live, restored) = self.sides.ready().await?;
                tokio::try_join!(known::read(live), known::read(restored))
            };
            match asked.await {
                Ok((live, restored)) => {
                    self.pace.usual(live.0.active);
                    return known::understand(live, restored, &self.job.options, &self.tell);
                }
                Err(e) => self.again(e, &mut tries).await?,
            }
        }
    }

    async fn list(&self, known: &Known) {
        let head = |(index, pair): (usize, &Pair)| TableHead {
            id: TableId::try_from(index).unwrap_or(TableId::MAX),
            table: pair.table(),
            partition_of: pair.live.as_ref().or(pair.restored.as_ref()).and_then(|r| r.parent.clone()),
            bytes: pair.bytes(),
            rows: pair.rows(),
        };
        let tables: Vec<TableHead> = known.pairs.iter().enumerate().map(head).collect();
        self.tell.with(|p| {
            *p = Progress {
                tables: u32::try_from(tables.len()).unwrap_or(u32::MAX),
                total: tables.iter().map(|t| t.bytes).sum(),
                ..Progress::default()
            };
        });
        self.tell.tell(Event::Listed { tables }).await;
        if !known.elsewhere.is_empty() {
            self.tell.tell(Event::Schema { changes: known.elsewhere.clone() }).await;
        }
    }

    fn plan(&self, id: TableId, pair: &Pair, schema: Vec<SchemaChange>, ground: &Ground) -> Item {
        let mut result = finish::blank(id, pair, schema);
        let mut table = None;
        if let (Some(live), Some(restored)) = (&pair.live, &pair.restored) {
            if live.kind == "p" && restored.kind == "p" {
                result.path = Some(Path::OneSide);
                result.why_path = "partitioned: its rows are in its partitions".to_owned();
                let differs = result.schema.iter().any(|c| !c.normal);
                result.verdict = if differs { Verdict::SchemaDiffers } else { Verdict::Same };
                return Item { pair: pair.clone(), result, table, done: true };
            }
            match ground.plan(live, restored) {
                Ok(plan) => {
                    let made = Table::new(id, live.clone(), restored.clone(), plan, &self.job.options);
                    finish::planned(&mut result, &made);
                    table = Some(made);
                }
                Err(why) => result.verdict = Verdict::NotComparable { why },
            }
        }
        let done = matches!(result.verdict, Verdict::NotComparable { .. });
        Item { pair: pair.clone(), result, table, done }
    }

    /// Small tables, many at once. One that is the same is finished; if a question fails, its tables go one by one.
    async fn first_look(
        &mut self,
        ground: &Ground,
        work: &mut Vec<Item>,
        results: &mut Vec<TableResult>,
    ) -> Result<(), CompareError> {
        let (mut same, mut shares) = (overview::Same::new(), BTreeMap::new());
        let small: Vec<&Table> =
            work.iter().filter_map(|w| w.table.as_ref()).filter(|t| overview::is_small(t)).collect();
        for batch in overview::batches(&small) {
            let (began, before) = (Instant::now(), self.sides.received());
            let mut tries = 0;
            loop {
                match self.look(ground, &batch).await {
                    Ok(found) => {
                        same.extend(found);
                        break;
                    }
                    // Each table says so.
                    Err(CompareError::OverBudget | CompareError::NoRoom { .. }) => break,
                    Err(e) if e.is_of_one_table() => {
                        self.sides.renew_copy().await;
                        break;
                    }
                    Err(e) => self.again(e, &mut tries).await?,
                }
            }
            let (after, n) = (self.sides.received(), batch.len() as u64);
            let bytes = (after.0 - before.0 + after.1 - before.1) / n.max(1);
            let seconds = began.elapsed().as_secs_f64() / n.max(1) as f64;
            shares.extend(batch.iter().map(|t| (t.id, (bytes, seconds))));
        }
        let mut rest = Vec::new();
        for mut item in std::mem::take(work) {
            let result = &mut item.result;
            (result.bytes, result.seconds) = shares.get(&result.id).copied().unwrap_or_default();
            let Some(rows) = same.get(&result.id) else {
                rest.push(item);
                continue;
            };
            finish::compared(result, Differences::none(*rows), vec![]);
            self.finished(item.result, item.pair.bytes(), results).await;
        }
        *work = rest;
        Ok(())
    }

    async fn look(&mut self, ground: &Ground, batch: &[&Table]) -> Result<overview::Same, CompareError> {
        self.sides.ready().await?;
        let asking = asking(&self.sides, &self.job, ground, &self.pace, &self.tell);
        overview::look(&asking.ok_or(CompareError::Cancelled)?, batch).await
    }

    async fn finished(&self, result: TableResult, bytes: u64, results: &mut Vec<TableResult>) {
        let received = self.sides.received();
        let elapsed = self.began.elapsed().as_secs_f64();
        self.tell.with(|p| {
            p.settle(bytes);
            (p.received_live, p.received_restored) = received;
            p.elapsed = elapsed;
            p.left = (p.done > 0).then(|| elapsed * (p.total - p.done) as f64 / p.done as f64);
        });
        self.tell.tell(Event::Table { table: Box::new(result.clone()) }).await;
        self.tell.advance(0);
        // The rows have been told; only numbers are needed for the summary.
        results.push(TableResult { rows: Vec::new(), ..result });
    }

    /// One table to its end, whatever happens to the connections.
    async fn one(&mut self, ground: &Ground, item: &mut Item) -> Result<(), CompareError> {
        if item.done {
            return Ok(());
        }
        self.tell.with(|p| p.now = item.result.table.to_string());
        let (began, before) = (Instant::now(), self.sides.received());
        let (mut tries, mut rooms) = (0, 0);
        loop {
            match self.attempt(ground, item).await {
                Ok(()) => break,
                Err(e) if e.is_cut() => {
                    item.table.iter().for_each(|t| t.pieces(Pieces::forget));
                    self.again(e, &mut tries).await?;
                }
                Err(CompareError::NoRoom { why }) if rooms < ROOMS => {
                    rooms += 1;
                    self.tell
                        .note(format!("{}: {why}: it begins again when there is room", item.result.table));
                }
                Err(e @ (CompareError::OverBudget | CompareError::NoRoom { .. })) => {
                    item.result.verdict = Verdict::NotComparable { why: e.to_string() };
                    break;
                }
                Err(e) if e.is_of_one_table() => {
                    self.sides.renew_copy().await;
                    item.result.verdict = Verdict::NotComparable { why: item.why(&e) };
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        // A failed one may have left its transaction open, and whoever is told may be slow. A failure shows at the next
        // question.
        if let Some((live, _)) = self.sides.open() {
            let _ = live.end().await;
        }
        let after = self.sides.received();
        item.result.bytes += after.0 - before.0 + after.1 - before.1;
        item.result.seconds += began.elapsed().as_secs_f64();
        Ok(())
    }

    async fn attempt(&mut self, ground: &Ground, item: &mut Item) -> Result<(), CompareError> {
        self.pace.within_budget()?;
        self.sides.ready().await?;
        let Some(asking) = asking(&self.sides, &self.job, ground, &self.pace, &self.tell) else {
            return Err(CompareError::Cancelled);
        };
        let Some(table) = &mut item.table else {
            return alone(&asking, &item.pair, &mut item.result).await;
        };
        let found = loop {
            let compared = if table.plan.path == Path::Physical {
                physical::compare(&asking, table).await?
            } else {
                logical::compare(&asking, table).await?
            };
            match compared {
                Compared::Done(found) => break *found,
                Compared::Fallback { why, young } => {
                    if young {
                        let saw = "equal places and writers, other contents".to_owned();
                        table.plan.gates.push(Gate { gate: GateName::YoungRows, passed: false, saw });
                    }
                    asking.tell.note(format!("{}: {why}; comparing contents", table.live.table()));
                    table.plan.fall_back(&why);
                }
            }
        };
        finish::planned(&mut item.result, table);
        // One after the other: a statement on live that is stopped takes what follows it on the wire with it.
        let rows = fetch::show(&asking, table, &found.joined).await?;
        item.result.times = finish::times(&asking, table, &found).await?;
        item.result.notes = finish::commit_time(&asking, &rows).await?.into_iter().collect();
        finish::compared(&mut item.result, found, rows);
        asking.live.end().await
    }

    /// Waits a little before the next try, or gives up.
    async fn again(&mut self, error: CompareError, tries: &mut u32) -> Result<(), CompareError> {
        if !error.is_cut() || *tries >= TRIES {
            return Err(error);
        }
        self.sides.cancel_all().await;
        self.sides.forget_all();
        let wait = Duration::from_millis(100 << (*tries).min(5));
        *tries += 1;
        self.tell.note(format!("{error}; trying again"));
        let mut stop = self.job.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = stopped(&mut stop) => Err(CompareError::Cancelled),
        }
    }
}

fn asking<'a>(
    sides: &'a Sides,
    job: &'a Job,
    ground: &'a Ground,
    pace: &'a Pace,
    tell: &'a Teller,
) -> Option<Asking<'a>> {
    let (live, restored) = sides.open()?;
    Some(Asking { live, restored, sides, options: &job.options, ground, pace, tell, stop: &job.stop })
}
