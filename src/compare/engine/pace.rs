//! Live is a patient: chunks sized to take the time that was allowed, waiting while others are busy or answers grow slow,
//! and an end when the budget is used.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::CompareError;
use super::session::Session;
use crate::compare::ask::physical::REST_EVERY;
use crate::compare::ask::session as ask;
use crate::compare::model::{Options, Side};

/// How often the load is looked at, and how long a pause lasts before looking again.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Blocks of a first chunk: 32 MB.
const FIRST_CHUNK: u64 = 4_096;
/// Sessions at work above those of the beginning that are no reason to wait, when nobody said how many are.
const SPARE: u64 = 8;
/// Answers this much slower than the quickest one are a reason to wait.
const SLOWER: u32 = 5;
const SLOWER_BY: Duration = Duration::from_millis(100);

/// While others are at work on live we rest this many times as long as we worked: beside pgbench on one core that leaves
/// it more than nine tenths of its rate (`benches/compare/beside.rs`).
const REST: u32 = 14;
/// Within a transaction: longer rests would hold its snapshot longer, which costs those who write more than they gain.
const REST_WITHIN: u32 = 1;
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(3);

/// How a statement rests within itself: the server sleeps there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resting {
    /// How many times as long as it works; `None`: not at all.
    pub times: Option<u32>,
    /// How often, at most a second each time.
    pieces: u64,
    /// It could, if it were begun anew.
    pub could: bool,
}

impl Resting {
    pub fn rests(self) -> bool {
        self.times.is_some()
    }

    /// How long it worked, of so long a time, at least.
    pub fn worked(self, took: Duration) -> Duration {
        let Some(times) = self.times else { return took };
        (took / (1 + times)).max(took.saturating_sub(Duration::from_secs(self.pieces)))
    }

    /// How long it takes for so much work, at most.
    pub fn lasts(self, work: Duration) -> Duration {
        let Some(times) = self.times else { return work };
        (work * (1 + times)).min(work + Duration::from_secs(self.pieces))
    }
}

/// How much live is asked for.
#[derive(Debug)]
pub struct Pace {
    chunk: Duration,
    max_load: Option<u32>,
    budget: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    blocks: u64,
    spent: Duration,
    looked: Option<Instant>,
    /// The quickest answer so far: what slow is measured against.
    quickest: Duration,
    /// Sessions at work when we came, and when we looked last.
    usual: u64,
    load: u64,
    /// The last look found no room for us.
    full: bool,
    /// Others were at work in the last two looks: we rest. Nobody was: we do not. Else as before.
    others: bool,
}

impl Pace {
    pub fn new(options: &Options) -> Pace {
        Pace {
            chunk: options.chunk,
            max_load: options.max_load,
            budget: options.budget,
            state: Mutex::new(State {
                blocks: FIRST_CHUNK,
                spent: Duration::ZERO,
                looked: None,
                quickest: Duration::MAX,
                usual: 0,
                load: 0,
                full: false,
                others: false,
            }),
        }
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes note of the sessions that were at work when we came.
    pub fn usual(&self, sessions: u64) {
        self.state(|s| (s.usual, s.load, s.others) = (sessions, sessions, sessions > 0));
        // Too many already: then the first step looks again, and waits.
        let quiet = sessions <= self.limit();
        self.state(|s| s.looked = quiet.then(Instant::now));
    }

    /// Blocks for the next chunk, a multiple of `width`.
    pub fn blocks(&self, width: u64) -> u64 {
        self.state(|s| s.blocks).next_multiple_of(width.max(1))
    }

    /// Sizes the next chunk by one of so many blocks that took so long.
    pub fn size(&self, blocks: u64, time: Duration) {
        // Halfway to what would just fill the time: one slow chunk does not decide.
        let fitting = self.fitting(blocks, time);
        self.state(|s| s.blocks = u64::midpoint(blocks, fitting).clamp(64, 1 << 20));
    }

    /// Sizes the chunks that follow by a whole table of so many blocks that took so long.
    pub fn learn(&self, blocks: u64, time: Duration) {
        let fitting = self.fitting(blocks, time);
        self.state(|s| s.blocks = fitting.clamp(64, 1 << 20));
    }

    /// Takes note of time that live worked for us.
    pub fn spent(&self, time: Duration) {
        self.state(|s| s.spent += time);
    }

    fn fitting(&self, blocks: u64, time: Duration) -> u64 {
        // The cast saturates.
        (blocks as f64 * self.chunk.as_secs_f64() / time.as_secs_f64().max(0.001)) as u64
    }

    /// What is left of the time that we may work on live; `None`: as long as it takes.
    pub fn left(&self) -> Option<Duration> {
        let spent = self.state(|s| s.spent);
        self.budget.map(|budget| budget.saturating_sub(spent))
    }

    /// An error when the time that we may work on live is used up.
    pub fn within_budget(&self) -> Result<(), CompareError> {
        match self.left() {
            Some(Duration::ZERO) => Err(CompareError::OverBudget),
            _ => Ok(()),
        }
    }

    /// How long an answer without work takes; nothing before live was looked at.
    pub fn way(&self) -> Duration {
        self.state(|s| if s.quickest == Duration::MAX { Duration::ZERO } else { s.quickest })
    }

    /// True if we rest: others are at work.
    pub fn rests(&self) -> bool {
        self.watches() && self.state(|s| s.others)
    }

    /// The rest after so much work, within a transaction on live or not.
    pub fn rest_after(&self, worked: Duration, within: bool) -> Duration {
        let times = if within { REST_WITHIN } else { REST };
        if self.rests() { (worked * times).min(LONGEST_REST) } else { Duration::ZERO }
    }

    /// How a statement over so many blocks, at most, rests within itself; `None`: it has no blocks to rest at.
    pub fn resting(&self, blocks: Option<u64>) -> Resting {
        blocks.map_or_else(Resting::default, |n| Resting {
            times: self.rests().then_some(REST_WITHIN),
            pieces: n / REST_EVERY,
            could: true,
        })
    }

    /// True if load and answers are looked at.
    pub fn watches(&self) -> bool {
        self.max_load != Some(0)
    }

    /// Sessions at work that are no reason to wait.
    fn limit(&self) -> u64 {
        let usual = self.state(|s| s.usual);
        self.max_load.map_or_else(|| (usual * 2).max(usual + SPARE), u64::from)
    }

    /// True if nobody has to look now: nobody wants to, or somebody did just now and there was room.
    pub fn is_quiet(&self) -> bool {
        let fresh = |s: &mut State| !s.full && s.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY);
        !self.watches() || self.state(fresh)
    }

    /// Why live has no room for us, unless it has.
    pub async fn busy(&self, live: &Session) -> Result<Option<String>, CompareError> {
        let why = self.look(live).await?;
        self.state(|s| s.full = why.is_some());
        Ok(why)
    }

    /// Takes note of the sessions at work that a look saw.
    fn saw(&self, load: u64) {
        self.state(|s| {
            match (s.load, load) {
                (1.., 1..) => s.others = true,
                (0, 0) => s.others = false,
                // One moment says nothing.
                _ => {}
            }
            s.load = load;
        });
    }

    async fn look(&self, live: &Session) -> Result<Option<String>, CompareError> {
        debug_assert_eq!(live.side, Side::Live);
        let asked = Instant::now();
        let (_, load) =
            tokio::try_join!(live.rows("its load", ask::LOOK_AGAIN), live.number("its load", ask::LOAD))?;
        let time = asked.elapsed();
        self.saw(load);
        let quickest = self.state(|s| {
            (s.looked, s.quickest) = (Some(Instant::now()), s.quickest.min(time));
            s.quickest
        });
        let limit = self.limit();
        if load > limit {
            return Ok(Some(format!("live has {load} sessions at work, more than {limit}")));
        }
        let slow = quickest.saturating_mul(SLOWER).saturating_add(SLOWER_BY);
        Ok((time > slow).then(|| {
            let ms = |t: Duration| t.as_millis();
            format!("live takes {} ms for an answer that took {} ms", ms(time), ms(quickest))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_and_shrink_towards_the_time_allowed() {
        let pace = Pace::new(&Options::default());
        assert_eq!(pace.blocks(64), 4_096);
        pace.size(4_096, Duration::from_millis(50));
        let more = pace.blocks(64);
        assert!(more > 10_000 && more.is_multiple_of(64), "{more}");
        pace.size(more, Duration::from_secs(10));
        assert!(pace.blocks(64) < more);
        pace.learn(200_000, Duration::from_secs(2));
        assert_eq!(pace.blocks(1), 50_000);
    }

    #[test]
    fn the_budget_counts_every_statement() {
        let pace = Pace::new(&Options { budget: Some(Duration::from_secs(1)), ..Options::default() });
        pace.spent(Duration::from_millis(600));
        assert_eq!(pace.left(), Some(Duration::from_millis(400)));
        pace.spent(Duration::from_millis(600));
        assert_eq!(pace.within_budget(), Err(CompareError::OverBudget));
        assert_eq!(Pace::new(&Options::default()).left(), None);
    }

    #[test]
    fn the_time_that_a_statement_sleeps_is_no_work() {
        let s = Duration::from_secs;
        let resting = |times, pieces| Resting { times, pieces, could: true };
        assert_eq!((resting(None, 9).worked(s(30)), resting(None, 9).lasts(s(30))), (s(30), s(30)));
        let quick = resting(Some(9), 100);
        assert_eq!((quick.worked(s(30)), quick.lasts(s(3))), (s(3), s(30)));
        // A rest is a second at most: of 30 s this one worked 20 s or more.
        let slow = resting(Some(9), 10);
        assert_eq!((slow.worked(s(30)), slow.lasts(s(20))), (s(20), s(30)));
    }

    #[test]
    fn others_who_left_are_no_reason_to_rest_any_more() {
        let pace = Pace::new(&Options::default());
        pace.usual(1);
        let looks =
            [(0, true), (0, false), (1, false), (1, true), (0, true), (1, true), (0, true), (0, false)];
        for (n, (load, rests)) in looks.into_iter().enumerate() {
            pace.saw(load);
            assert_eq!(pace.rests(), rests, "look {n}");
        }
    }

    #[test]
    fn without_a_limit_the_load_of_the_beginning_is_one() {
        let pace = |max_load| Pace::new(&Options { max_load, ..Options::default() });
        let (own, said) = (pace(None), pace(Some(3)));
        own.usual(2);
        assert_eq!(own.limit(), 10);
        own.usual(30);
        assert_eq!((own.limit(), said.limit()), (60, 3));
        assert!(!pace(Some(0)).watches());
        assert!(own.rests() && !said.rests(), "nobody else, no rest");
        let ms = Duration::from_millis;
        assert_eq!(own.rest_after(ms(100), false), ms(1_400));
        assert_eq!(own.rest_after(ms(100), true), ms(100), "a snapshot is not held for a rest");
        let never = pace(Some(0));
        never.usual(30);
        assert!(!never.rests());
    }
}
