//! Two clocks, one truth: an instant is UTC inside and is shown in London and UTC, named.

use chrono::{DateTime, Duration, Timelike};
use chrono_tz::Europe::London;

/// An instant in UTC, the only form in which drtui keeps or sends a time.
pub type Utc = DateTime<chrono::Utc>;

/// `14:03 BST`: the wall clock in London with the zone's own abbreviation.
pub fn london_hm(at: Utc) -> String {
    at.with_timezone(&London).format("%H:%M %Z").to_string()
}

/// `14:03:09`: the wall clock in London, for columns whose head names the zone ([`london_zone`]).
pub fn london_hms(at: Utc) -> String {
    at.with_timezone(&London).format("%H:%M:%S").to_string()
}

/// `14:03:09 BST`: the wall clock in London, to the second.
pub fn london_s(at: Utc) -> String {
    at.with_timezone(&London).format("%H:%M:%S %Z").to_string()
}

/// `BST` or `GMT`: what London's clocks show at `at`.
pub fn london_zone(at: Utc) -> String {
    at.with_timezone(&London).format("%Z").to_string()
}

/// `13:03 UTC`.
pub fn utc_hm(at: Utc) -> String {
    at.format("%H:%M UTC").to_string()
}

/// `13:03Z`: UTC in six columns.
pub fn utc_z(at: Utc) -> String {
    at.format("%H:%MZ").to_string()
}

/// `2026-11-20 14:03:09 GMT`: date and wall clock in London.
pub fn london_full(at: Utc) -> String {
    at.with_timezone(&London).format("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// `2026-11-20 14:03:09 UTC`.
pub fn utc_full(at: Utc) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `20 Nov 14:03 GMT / 14:03 UTC`: both clocks, for one line on screen.
pub fn both(at: Utc) -> String {
    format!("{} / {}", london_day(at), utc_hm(at))
}

/// `20 Nov 14:03:09 GMT / 14:03:09 UTC`: the same to the second, where an instant is compared with others.
pub fn both_s(at: Utc) -> String {
    format!("{} / {}", london_day_s(at), at.format("%H:%M:%S UTC"))
}

/// London's date at `at`.
pub fn london_date(at: Utc) -> chrono::NaiveDate {
    at.with_timezone(&London).date_naive()
}

/// `20 Nov 14:03 GMT`: London's date and clock.
pub fn london_day(at: Utc) -> String {
    at.with_timezone(&London).format("%d %b %H:%M %Z").to_string()
}

/// `20 Nov 14:03:09 GMT`.
pub fn london_day_s(at: Utc) -> String {
    at.with_timezone(&London).format("%d %b %H:%M:%S %Z").to_string()
}

/// `20 Nov 14:03:09 UTC`.
pub fn utc_day_s(at: Utc) -> String {
    at.format("%d %b %H:%M:%S UTC").to_string()
}

/// A duration in the fewest words that still tell: `0 s`, `42 s`, `3 m`, `2 h 05 m`, `4 d 3 h`.
/// Negative durations count as zero (clocks of two machines differ a little).
pub fn span(duration: Duration) -> String {
    let seconds = duration.num_seconds().max(0);
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} m", seconds / 60),
        3600..=86_399 => format!("{} h {:02} m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// The same in whole minutes, for clocks that are drawn once a minute: `0 m`, `42 m`, `2 h 05 m`.
pub fn minutes(duration: Duration) -> String {
    if duration.num_seconds() < 60 { "0 m".into() } else { span(duration) }
}

/// The next full minute after `at`: when a clock that shows minutes changes.
pub fn next_minute(at: Utc) -> Utc {
    let past = i64::from(at.second()) * 1000 + i64::from(at.timestamp_subsec_millis());
    at + Duration::milliseconds(60_000 - past.min(59_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Utc {
        text.parse().unwrap()
    }

    #[test]
    fn both_clocks_are_named_in_summer_and_winter() {
        assert_eq!(both(at("2026-07-01T12:30:00Z")), "01 Jul 13:30 BST / 12:30 UTC");
        assert_eq!(both(at("2026-12-01T12:30:00Z")), "01 Dec 12:30 GMT / 12:30 UTC");
    }

    #[test]
    fn the_hour_that_happens_twice_is_told_apart() {
        assert_eq!(london_hm(at("2026-10-25T00:30:00Z")), "01:30 BST");
        assert_eq!(london_hm(at("2026-10-25T01:30:00Z")), "01:30 GMT");
    }

    #[test]
    fn spans_use_the_two_largest_units() {
        assert_eq!(span(Duration::seconds(-5)), "0 s");
        assert_eq!(span(Duration::seconds(3599)), "59 m");
        assert_eq!(span(Duration::seconds(7500)), "2 h 05 m");
        assert_eq!(span(Duration::seconds(90_000)), "1 d 1 h");
    }

    #[test]
    fn the_next_minute_is_always_ahead() {
        for text in ["2026-11-20T10:00:00Z", "2026-11-20T10:00:59.999Z", "2026-11-20T10:00:30Z"] {
            let next = next_minute(at(text));
            assert!(next > at(text), "{next}");
            assert!(next.second() == 0 && next - at(text) <= Duration::seconds(60));
        }
    }
}
