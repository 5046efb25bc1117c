//! Live is a patient: chunks sized to take the time that was allowed, waiting while others are busy or answers grow slow,
//! and an end when the budget is used.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::CompareError;
use super::session::{Session, stopped};
use crate::compare::ask::session as ask;
use crate::compare::model::Options;

/// How often the load is looked at, and how long a pause lasts before looking again.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Blocks of a first chunk: 32 MB.
const FIRST_CHUNK: u64 = 4_096;

/// How much live is asked for.
#[derive(Debug)]
pub struct Pace {
    chunk: Duration,
    max_load: u32,
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
            }),
        }
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Blocks for the next chunk, a multiple of `width`.
    pub fn blocks(&self, width: u64) -> u64 {
        self.state(|s| s.blocks).next_multiple_of(width.max(1))
    }

    /// Takes note that a statement over `blocks` blocks took so long. `None`: it was not a chunk.
    pub fn took(&self, blocks: Option<u64>, time: Duration) {
        let chunk = self.chunk.as_secs_f64();
        self.state(|s| {
            s.spent += time;
            if let Some(blocks) = blocks {
                // Halfway to what would just fill the time: one slow chunk does not decide.
                let fitting = blocks as f64 * chunk / time.as_secs_f64().max(0.001);
                let next = (blocks as f64 + fitting) / 2.0;
                s.blocks = (next as u64).clamp(64, 1 << 20);
            }
        });
    }

    /// True when the time that we may work on live is used up.
    pub fn used_up(&self) -> bool {
        self.budget.is_some_and(|budget| self.state(|s| s.spent) >= budget)
    }

    /// Waits until live has room for us; says why if it waits. Never longer than it takes to be cancelled.
    pub async fn wait(
        &self,
        live: &Session,
        stop: &tokio::sync::watch::Receiver<bool>,
        mut say: impl FnMut(String),
    ) -> Result<(), CompareError> {
        if self.max_load == 0 || self.state(|s| s.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY)) {
            return Ok(());
        }
        let mut said = false;
        loop {
            let asked = Instant::now();
            let load = live.number("its load", ask::LOAD).await?;
            let (time, quickest) = (asked.elapsed(), self.state(|s| s.quickest));
            self.state(|s| (s.looked, s.quickest) = (Some(Instant::now()), s.quickest.min(time)));
            let slow = time > quickest.saturating_mul(5).saturating_add(Duration::from_millis(100));
            if load <= u64::from(self.max_load) && !slow {
                return Ok(());
            }
            if !said {
                said = true;
                say(format!("waiting: live has {load} active sessions, more than {}", self.max_load));
            }
            let mut stop = stop.clone();
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stopped(&mut stop) => return Err(CompareError::Cancelled),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_and_shrink_towards_the_time_allowed() {
        let pace = Pace::new(&Options::default());
        assert_eq!(pace.blocks(64), 4_096);
        pace.took(Some(4_096), Duration::from_millis(50));
        let more = pace.blocks(64);
        assert!(more > 10_000 && more.is_multiple_of(64), "{more}");
        pace.took(Some(more), Duration::from_secs(10));
        assert!(pace.blocks(64) < more);
    }

    #[test]
    fn the_budget_counts_every_statement() {
        let pace = Pace::new(&Options { budget: Some(Duration::from_secs(1)), ..Options::default() });
        pace.took(None, Duration::from_millis(600));
        assert!(!pace.used_up());
        pace.took(Some(1), Duration::from_millis(600));
        assert!(pace.used_up());
    }
}
