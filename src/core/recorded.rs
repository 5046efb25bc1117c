//! What is typed for an item that says what kind of value it records: a time in both zones, or one word of several.

use super::when;
use crate::domain::{Utc, clock};
use crate::runbook::Record;

/// The value as it goes on record: `2026-07-10 13:41:00 BST = 2026-07-10T12:41:00Z`, `full`.
///
/// # Errors
/// Why it is none, and what to type, for a person.
pub fn value(record: &Record, text: &str, now: Utc) -> Result<String, String> {
    match record {
        Record::Time => time(text, now),
        // `2026-07-10T12:41:00` is what the workflow takes, and means UTC there.
        Record::TimeUtc if when::has_zone(text) => time(text, now),
        Record::TimeUtc => time(&format!("{}Z", text.trim()), now),
        Record::OneOf(words) => {
            let typed = text.trim().to_lowercase();
            if let Some(word) = words.iter().find(|w| w.to_lowercase() == typed) {
                return Ok(word.clone());
            }
            let mut fits = words.iter().filter(|w| !typed.is_empty() && w.to_lowercase().starts_with(&typed));
            match (fits.next(), fits.next()) {
                (Some(word), None) => Ok(word.clone()),
                _ => Err(format!("Not recorded: `{}` is none of {}.", text.trim(), words.join(", "))),
            }
        }
    }
}

fn time(text: &str, now: Utc) -> Result<String, String> {
    match when::parse(text, now) {
        Ok(at) => Ok(format!("{} = {}", clock::london_full(at), at.format("%Y-%m-%dT%H:%M:%SZ"))),
        Err(why) => Err(format!("Not recorded: {why}. What is uncertain about it is a note (n).")),
    }
}

/// What the person is asked for.
pub fn question(record: &Record) -> String {
    match record {
        Record::Time => "when? London unless you add Z (UTC), BST or GMT.".into(),
        Record::TimeUtc => "when? UTC unless you add BST or GMT.".into(),
        Record::OneOf(words) => match words.split_last() {
            Some((last, rest)) => format!("{} or {last}?", rest.join(", ")),
            None => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_both_zones_and_nonsense_is_none() {
        let now = "2026-07-10T15:00:00Z".parse().unwrap();
        let told = |text| value(&Record::Time, text, now);
        assert_eq!(told("13:41").unwrap(), "2026-07-10 13:41:00 BST = 2026-07-10T12:41:00Z");
        assert_eq!(told("2026-07-10T12:41:07Z").unwrap(), "2026-07-10 13:41:07 BST = 2026-07-10T12:41:07Z");
        for bad in ["about 25:77 BST-ish", "25:77", "13:41 or so", "2026-07-11 10:00"] {
            let why = told(bad).unwrap_err();
            assert!(why.starts_with("Not recorded: "), "{bad}: {why}");
        }
        assert!(told("soon").unwrap_err().contains("Type 13:41"));
    }

    #[test]
    fn where_utc_is_asked_for_a_time_without_a_zone_is_utc() {
        let now = "2026-07-10T15:00:00Z".parse().unwrap();
        let told = |text| value(&Record::TimeUtc, text, now).unwrap();
        for text in ["2026-07-10T12:30:00", "2026-07-10 12:30:00Z", "13:30 BST", "12:30"] {
            assert_eq!(told(text), "2026-07-10 13:30:00 BST = 2026-07-10T12:30:00Z", "{text}");
        }
        let grades = Record::OneOf(vec!["P1".into(), "P10".into()]);
        assert_eq!(value(&grades, "p1", now).unwrap(), "P1", "a word that another begins with");
    }

    #[test]
    fn a_choice_is_one_of_its_words_or_the_beginning_of_one() {
        let now = "2026-07-10T15:00:00Z".parse().unwrap();
        let record = Record::OneOf(vec!["full".into(), "partial".into()]);
        assert_eq!(question(&record), "full or partial?");
        assert_eq!(value(&record, "Full", now).unwrap(), "full");
        assert_eq!(value(&record, "p", now).unwrap(), "partial");
        for bad in ["", "both", "fully"] {
            assert!(value(&record, bad, now).unwrap_err().contains("none of full, partial"), "{bad}");
        }
    }
}
