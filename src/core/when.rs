//! Times as people type them: London unless they say UTC; hours that do not exist or happen twice are refused
//! with the question to answer.

use chrono::offset::LocalResult;
use chrono::{Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Europe::London;
use thiserror::Error;

use crate::domain::{Utc, clock};

/// Why a typed time cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WhenError {
    #[error("not a time: `{0}`. Type 13:41, 13:41:07, 2026-11-20 13:41 (London) or 13:41Z (UTC)")]
    NotATime(String),
    #[error("{0} does not exist in London: the clocks go forward that hour. Type it in UTC (…Z)")]
    DoesNotExist(String),
    #[error("{text} happens twice in London that night: type `{text} BST` ({bst}) or `{text} GMT` ({gmt})")]
    Twice { text: String, bst: String, gmt: String },
    #[error("{text}: London has {there} at that time. Type it without a zone, or in UTC (…Z)")]
    WrongZone { text: String, there: String },
    #[error("{text} today is still to come ({today}). If you mean yesterday, type `{yesterday}`")]
    WhichDay { text: String, yesterday: String, today: String },
    #[error("{0} is in the future")]
    Future(String),
}

/// Reads a time in the past: `13:41`, `13:41:07`, with a date before it if not today (a bare time that has not
/// come yet today means yesterday); London by default, `Z`/`UTC` for UTC, `BST`/`GMT` to tell the doubled hour.
pub fn parse(text: &str, now: Utc) -> Result<Utc, WhenError> {
    let given = text.trim();
    let (rest, zone) = split_zone(given);
    let bad = || WhenError::NotATime(given.to_owned());
    let found = match rest.rsplit_once([' ', 'T']) {
        Some((date, time)) => {
            let date = NaiveDate::parse_from_str(date.trim(), "%Y-%m-%d").map_err(|_| bad())?;
            resolve(date.and_time(clock_time(time).ok_or_else(bad)?), zone, given)?
        }
        None => {
            let time = clock_time(rest).ok_or_else(bad)?;
            let today = match zone {
                Zone::Utc => now.date_naive(),
                _ => now.with_timezone(&London).date_naive(),
            };
            match resolve(today.and_time(time), zone, given) {
                Ok(at) if at <= now => at,
                // Just ahead of now is a slip of the fingers and not yesterday.
                Ok(at) if at - now <= Duration::minutes(15) => {
                    return Err(WhenError::Future(clock::both(at)));
                }
                Ok(today_at) => {
                    let yesterday = resolve(today.pred_opt().unwrap_or(today).and_time(time), zone, given)?;
                    // A bare time that was half a day ago may as well be a mistake: the day has to be said.
                    if now - yesterday > Duration::hours(8) {
                        return Err(WhenError::WhichDay {
                            text: given.to_owned(),
                            yesterday: format!("{} {given}", yesterday.with_timezone(&London).date_naive()),
                            today: clock::both(today_at),
                        });
                    }
                    yesterday
                }
                Err(e) => return Err(e),
            }
        }
    };
    if found > now + Duration::seconds(1) {
        return Err(WhenError::Future(clock::both(found)));
    }
    Ok(found)
}

#[derive(Clone, Copy, PartialEq)]
enum Zone {
    London,
    Bst,
    Gmt,
    Utc,
}

/// True if the text says its zone.
pub fn has_zone(text: &str) -> bool {
    split_zone(text.trim()).1 != Zone::London
}

fn split_zone(text: &str) -> (&str, Zone) {
    for (suffix, zone) in [("UTC", Zone::Utc), ("Z", Zone::Utc), ("BST", Zone::Bst), ("GMT", Zone::Gmt)] {
        if let Some(rest) = text.strip_suffix(suffix) {
            return (rest.trim_end(), zone);
        }
    }
    (text, Zone::London)
}

fn clock_time(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S", "%H:%M"].iter().find_map(|f| NaiveTime::parse_from_str(text.trim(), f).ok())
}

fn resolve(local: NaiveDateTime, zone: Zone, text: &str) -> Result<Utc, WhenError> {
    let named = |at: Utc, name: &str| {
        let there = at.with_timezone(&London).format("%Z").to_string();
        if there == name { Ok(at) } else { Err(WhenError::WrongZone { text: text.to_owned(), there }) }
    };
    match zone {
        Zone::Utc => Ok(local.and_utc()),
        Zone::Gmt => named(local.and_utc(), "GMT"),
        Zone::Bst => named((local - Duration::hours(1)).and_utc(), "BST"),
        Zone::London => match London.from_local_datetime(&local) {
            LocalResult::Single(at) => Ok(at.to_utc()),
            LocalResult::None => Err(WhenError::DoesNotExist(text.to_owned())),
            LocalResult::Ambiguous(first, second) => Err(WhenError::Twice {
                text: text.to_owned(),
                bst: clock::utc_hm(first.to_utc()),
                gmt: clock::utc_hm(second.to_utc()),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Utc {
        text.parse().unwrap()
    }

    #[test]
    fn london_is_the_default_and_is_converted() {
        let now = at("2026-07-10T15:00:00Z");
        assert_eq!(parse("13:41", now).unwrap(), at("2026-07-10T12:41:00Z"));
        assert_eq!(parse("13:41:07Z", now).unwrap(), at("2026-07-10T13:41:07Z"));
        assert_eq!(parse("2026-01-10 13:41", now).unwrap(), at("2026-01-10T13:41:00Z"));
    }

    #[test]
    fn a_time_not_yet_come_today_was_yesterday() {
        assert!(matches!(parse("23:59", at("2026-11-20T13:23:00Z")), Err(WhenError::WhichDay { .. })));
        assert_eq!(parse("23:50", at("2026-11-20T00:10:00Z")).unwrap(), at("2026-11-19T23:50:00Z"));
    }

    #[test]
    fn clock_change_hours_are_asked_about() {
        let october = at("2026-10-25T09:00:00Z");
        assert!(matches!(parse("01:30", october), Err(WhenError::Twice { .. })));
        assert_eq!(parse("01:30 BST", october).unwrap(), at("2026-10-25T00:30:00Z"));
        assert_eq!(parse("01:30 GMT", october).unwrap(), at("2026-10-25T01:30:00Z"));
        let march = at("2026-03-29T09:00:00Z");
        assert!(matches!(parse("01:30", march), Err(WhenError::DoesNotExist(_))));
    }

    #[test]
    fn nonsense_and_the_future_are_refused() {
        let now = at("2026-11-20T10:00:00Z");
        assert!(matches!(parse("10:05", now), Err(WhenError::Future(_))), "not yesterday");
        assert!(matches!(parse("09:30 BST", now), Err(WhenError::WrongZone { .. })));
        assert!(matches!(parse("soon", now), Err(WhenError::NotATime(_))));
        assert!(matches!(parse("2026-11-21 10:00", now), Err(WhenError::Future(_))));
    }
}
