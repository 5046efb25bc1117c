//! Rate limits: so many requests an hour, and not too many changes in a minute.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;

/// Requests an hour.
pub const HOURLY: u64 = 5_000;
/// Changes a minute before the secondary limit speaks.
const CHANGES: usize = 80;
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Window {
    used: u64,
    /// Unix seconds.
    reset: i64,
    changes: VecDeque<Instant>,
}

/// The token's limits.
#[derive(Debug, Default)]
pub struct Limits {
    window: Mutex<Window>,
}

/// What the headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub used: u64,
    pub reset: i64,
}

impl Left {
    pub fn remaining(self) -> u64 {
        HOURLY.saturating_sub(self.used)
    }
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Primary,
    /// Seconds to wait.
    Secondary(u64),
}

impl Limits {
    /// Where the limits stand.
    pub fn left(&self) -> Left {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.roll();
        Left { used: window.used, reset: window.reset }
    }

    /// Counts a request.
    pub fn count(&self) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.roll();
        window.used += 1;
    }

    /// Whether a request may pass; `changes` marks one that is not a read.
    pub fn check(&self, changes: bool) -> Result<(), Over> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.roll();
        if window.used >= HOURLY {
            return Err(Over::Primary);
        }
        if !changes {
            return Ok(());
        }
        let now = Instant::now();
        while window.changes.front().is_some_and(|at| now.duration_since(*at) > MINUTE) {
            window.changes.pop_front();
        }
        if let (true, Some(first)) = (window.changes.len() >= CHANGES, window.changes.front()) {
            let wait = MINUTE.saturating_sub(now.duration_since(*first));
            return Err(Over::Secondary(wait.as_secs().max(1)));
        }
        window.changes.push_back(now);
        Ok(())
    }
}

impl Window {
    fn roll(&mut self) {
        let now = Utc::now().timestamp();
        if now >= self.reset {
            (self.used, self.reset) = (0, now + 3_600);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_in_a_minute_and_requests_in_an_hour_are_limited() {
        let limits = Limits::default();
        for _ in 0..CHANGES {
            assert_eq!(limits.check(true), Ok(()));
        }
        assert!(matches!(limits.check(true), Err(Over::Secondary(1..=60))));
        assert_eq!(limits.check(false), Ok(()));
        for _ in 0..HOURLY {
            limits.count();
        }
        assert_eq!((limits.check(false), limits.left().remaining()), (Err(Over::Primary), 0));
    }
}
