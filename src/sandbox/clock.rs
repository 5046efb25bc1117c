//! The sandbox's own time: what its Azure and GitHub say the time is. Real time, unless a disaster shifts it. All that is
//! kept is kept in real time and shifted when it is said, so that everything shifts together and comes back together.
//! Rows that PostgreSQL itself stamps cannot be shifted: they stay in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc, Weekday};

/// Shared by all simulators of one sandbox; clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    shift_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Now, as the sandbox's Azure and GitHub say it (UTC).
    pub fn now(&self) -> DateTime<Utc> {
        self.shown(Utc::now())
    }

    /// Now, as the header `Date` has it: RFC 1123.
    pub fn header(&self) -> String {
        rfc_1123(self.now())
    }

    /// How far it is ahead of real time.
    pub fn shift(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.shift_ms.load(Ordering::Relaxed))
    }

    /// Sets how far it is ahead of real time.
    pub fn set_shift(&self, shift: TimeDelta) {
        self.shift_ms.store(shift.num_milliseconds(), Ordering::Relaxed);
    }

    /// A real time as the sandbox says it.
    pub fn shown(&self, real: DateTime<Utc>) -> DateTime<Utc> {
        real.checked_add_signed(self.shift()).unwrap_or(real)
    }

    /// The real time of what the sandbox says.
    pub fn real(&self, shown: DateTime<Utc>) -> DateTime<Utc> {
        shown.checked_sub_signed(self.shift()).unwrap_or(shown)
    }
}

/// As HTTP writes times.
pub fn rfc_1123(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// 01:00 UTC of the last Sunday of October or March that lies nearest to `day`: when British clocks change.
pub fn clock_change_near(day: NaiveDate) -> Option<DateTime<Utc>> {
    let changes = (day.year() - 1..=day.year() + 1)
        .flat_map(|year| [(year, 3), (year, 10)])
        .filter_map(|(year, month)| last_sunday(year, month));
    let nearest = changes.min_by_key(|change| (*change - day).num_days().abs())?;
    Some(nearest.and_hms_opt(1, 0, 0)?.and_utc())
}

/// March and October have 31 days.
fn last_sunday(year: i32, month: u32) -> Option<NaiveDate> {
    let last = NaiveDate::from_ymd_opt(year, month, 31)?;
    let back = last.weekday().days_since(Weekday::Sun);
    last.checked_sub_days(Days::new(u64::from(back)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_back() {
        let clock = Clock::default();
        let real = Utc::now();
        assert_eq!(clock.shown(real), real);
        clock.clone().set_shift(TimeDelta::days(-26));
        assert_eq!(clock.shown(real), real - TimeDelta::days(26));
        assert_eq!(clock.real(clock.shown(real)), real);
    }

    #[test]
    fn the_nearest_clock_change_is_found() {
        let near =
            |y, m, d| clock_change_near(NaiveDate::from_ymd_opt(y, m, d).unwrap()).unwrap().to_rfc3339();
        assert_eq!(near(2026, 11, 20), "2026-10-25T01:00:00+00:00");
        assert_eq!(near(2026, 4, 2), "2026-03-29T01:00:00+00:00");
        assert_eq!(near(2027, 1, 5), "2026-10-25T01:00:00+00:00");
    }
}
