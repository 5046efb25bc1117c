//! One rhythm for everything that is asked again and again: polls that fall on the same beat wake the machine once.

use std::time::Duration;

use tokio::time::Instant;

/// The common start of all intervals.
#[derive(Debug, Clone, Copy)]
pub struct Beat(Instant);

impl Beat {
    pub fn start() -> Beat {
        Beat(Instant::now())
    }

    /// The first multiple of `every` after `now`.
    pub fn next(self, every: Duration, now: Instant) -> Instant {
        let every_ms = every.as_millis().max(1);
        let past = now.saturating_duration_since(self.0).as_millis();
        let next = (past / every_ms + 1) * every_ms;
        self.0 + Duration::from_millis(u64::try_from(next).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_meet() {
        let beat = Beat::start();
        let at = |ms| beat.0 + Duration::from_millis(ms);
        let (ten, thirty) = (Duration::from_secs(10), Duration::from_secs(30));
        assert_eq!(beat.next(ten, at(0)), at(10_000));
        assert_eq!(beat.next(ten, at(9_999)), at(10_000));
        assert_eq!(beat.next(ten, at(20_001)), at(30_000));
        assert_eq!(beat.next(thirty, at(20_001)), at(30_000));
    }
}
