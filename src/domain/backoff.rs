//! When to try again: doubling from one second to thirty, with jitter, for ever. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(30);

/// The wait before try number `failures + 1`. `jitter` in 0..=1 takes away up to a quarter;
/// `asked` is what the source asked for (Retry-After) and is never undercut.
pub fn wait(failures: u32, jitter: f64, asked: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let capped = doubled.min(CAP);
    let ours = capped.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0));
    asked.map_or(ours, |a| ours.max(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_the_cap_and_stays() {
        let waits: Vec<_> = (1..40).map(|n| wait(n, 0.0, None)).collect();
        assert_eq!(waits.first(), Some(&FIRST));
        assert!(waits.windows(2).all(|w| w[0] <= w[1]));
        assert_eq!(waits.last(), Some(&CAP));
    }

    #[test]
    fn it_never_undercuts_what_was_asked() {
        assert_eq!(wait(1, 1.0, Some(Duration::from_secs(17))), Duration::from_secs(17));
        assert!(wait(1, 1.0, None) >= Duration::from_millis(750));
    }
}
