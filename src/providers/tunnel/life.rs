//! Signs of life of a stream: when to ask for one, and when the far end must be taken for dead. Silence counts only
//! while somebody listens: a reader that was stopped has heard nothing and knows nothing.

use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// How often a silent stream is asked for a sign of life: load balancers cut what is silent for four minutes.
const BEAT: Duration = Duration::from_secs(20);
/// Silence after which a stream is dead: one sign of life was asked for and did not come.
const SILENCE: Duration = Duration::from_secs(45);
/// After a sleep of the machine, or of whoever reads, the far end has this long for a sign of life.
const AWAKE: Duration = Duration::from_secs(3);
/// A clock may run ahead of another by this much before we take it for a sleep.
const NAP: Duration = Duration::from_secs(10);

/// What is known of the far end's life.
#[derive(Debug)]
pub struct Life {
    beat: Interval,
    heard: Instant,
    looked: (Instant, SystemTime),
    /// After a sleep: dead if nothing is heard until then.
    until: Option<Instant>,
}

impl Life {
    pub fn new() -> Life {
        let now = Instant::now();
        let mut beat = interval_at(now + BEAT, BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Life { beat, heard: now, looked: (now, SystemTime::now()), until: None }
    }

    /// Something came.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
        self.until = None;
    }

    /// What is written waits: the far end cannot be asked, so that its silence does not count.
    pub fn held_back(&mut self) {
        self.heard = Instant::now();
    }

    /// Ready when it is time to look, and to ask for a sign of life.
    pub fn poll_beat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.beat.poll_tick(cx).map(drop)
    }

    /// True when the far end must be taken for dead. Asked at each beat, when all that has come is read: what waits to
    /// be read is life. Looks at both clocks.
    pub fn is_over(&mut self) -> bool {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let (before, wall_before) = std::mem::replace(&mut self.looked, (now, wall));
        let unread = now - before.max(self.heard) > BEAT + NAP;
        if unread || slept(now - before, wall.duration_since(wall_before).unwrap_or_default()) {
            self.heard = now;
            self.until = Some(now + AWAKE);
            self.beat.reset_after(AWAKE);
        }
        now - self.heard > SILENCE || self.until.is_some_and(|until| now >= until)
    }

    /// Lets time pass, and a beat come.
    #[cfg(test)]
    pub fn pass(&mut self, time: Duration) {
        self.heard -= time;
        self.looked.0 -= time;
        self.looked.1 -= time;
        self.until = self.until.map(|until| until - time);
        // In the past, so that it comes at the first look and not a millisecond later.
        self.beat.reset_at(Instant::now() - NAP);
    }
}

/// True if the machine slept: the clock on the wall went on and ours did not.
fn slept(ours: Duration, wall: Duration) -> bool {
    wall.saturating_sub(ours) > NAP
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_sleep_is_known_by_two_clocks() {
        assert!(slept(seconds(20), seconds(4_000)));
        assert!(!slept(seconds(20), seconds(21)));
        assert!(!slept(seconds(20), seconds(0)), "the clock was set back");
    }

    /// What each look says, after these many seconds each.
    async fn looks(passing: &[u64]) -> Vec<bool> {
        let mut life = Life::new();
        let look = |n: &u64| {
            life.pass(seconds(*n));
            life.is_over()
        };
        passing.iter().map(look).collect()
    }

    #[tokio::test]
    async fn silence_counts_while_somebody_listens_and_no_longer() {
        assert_eq!(looks(&[20, 20, 6]).await, [false, false, true], "nothing came though it was asked for");
        assert_eq!(looks(&[60, 2, 1]).await, [false, false, true], "after a stop it is asked anew, for 3 s");
        assert_eq!(looks(&[60, 60, 60, 3]).await, [false, false, false, true], "stopped again and again");
        let mut life = Life::new();
        for _ in 0..9 {
            life.pass(seconds(44));
            life.heard();
            assert!(!life.is_over(), "it lives");
        }
    }
}
