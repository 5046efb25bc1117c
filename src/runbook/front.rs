//! Front matter: `key: value` lines between two lines `---`. A small part of YAML, on purpose.

use chrono::{Days, Months, NaiveDate};

use super::error::{At, Problem, short};
use crate::domain::text::clean;

/// Keys of drtui's own front matter.
pub(super) const KEYS: &[&str] =
    &["runbook", "version", "condition", "goal", "rto", "rpo", "memory", "last_reviewed_on", "review_in"];
/// Longest objective or estimate: 30 days in minutes.
const MINUTES_MAX: u32 = 43_200;

/// Front matter as written: key, value, line.
#[derive(Debug, Default)]
pub(super) struct Front {
    pub(super) pairs: Vec<(String, String, usize)>,
    /// First line that is no pair.
    pub(super) stray: Option<(String, usize)>,
    /// A `title` in the front matter of another tool.
    pub(super) title: Option<String>,
}

/// What drtui's front matter says.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) version: u32,
    pub(super) condition: String,
    pub(super) goal: String,
    pub(super) rto_minutes: Option<u32>,
    pub(super) rpo_minutes: Option<u32>,
    pub(super) memory: Vec<String>,
    pub(super) last_reviewed_on: Option<NaiveDate>,
    pub(super) review_by: Option<NaiveDate>,
}

/// Splits `text` into its front matter, what follows it, and the number of lines before that.
pub(super) fn split(text: &str) -> Result<(Front, &str, usize), At> {
    let mut front = Front::default();
    let Some(first) = text.split_inclusive('\n').next().filter(|l| l.trim_end() == "---") else {
        return Ok((front, text, 0));
    };
    let mut used = first.len();
    for (number, raw) in (2..).zip(text.split_inclusive('\n').skip(1)) {
        used += raw.len();
        let line = raw.trim_end();
        if line == "---" {
            return Ok((front, text.get(used..).unwrap_or_default(), number));
        }
        front.take(line, number);
    }
    Err(At::new(1, Problem::Unclosed))
}

impl Front {
    fn take(&mut self, line: &str, number: usize) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return;
        }
        match pair(line) {
            Some((key, value)) => {
                if key == "title" {
                    self.title = Some(value.clone());
                }
                self.pairs.push((key, value, number));
            }
            None if self.stray.is_none() => self.stray = Some((line.to_owned(), number)),
            None => {}
        }
    }

    /// True if it says that this is one of drtui's runbooks.
    pub(super) fn is_ours(&self) -> bool {
        self.pairs.iter().any(|(key, _, _)| key == "runbook")
    }

    /// Reads it as drtui's, to the letter.
    pub(super) fn head(&self) -> Result<Head, At> {
        let mut head = Head::default();
        let mut review_in = None;
        for (number, (key, value, line)) in self.pairs.iter().enumerate() {
            let earlier = self.pairs.iter().take(number).any(|(k, _, _)| k == key);
            if earlier && key != "memory" {
                return Err(At::new(*line, Problem::Twice { key: key.clone() }));
            }
            match key.as_str() {
                "runbook" => head.id = id(value, *line)?,
                "version" => {
                    head.version = value
                        .parse()
                        .map_err(|_| At::value(*line, key, value, "a whole number, e.g. `3`"))?;
                }
                "condition" => head.condition.clone_from(value),
                "goal" => head.goal.clone_from(value),
                "rto" => head.rto_minutes = objective(key, value, *line)?,
                "rpo" => head.rpo_minutes = objective(key, value, *line)?,
                "memory" => {
                    let lines = value.split('·').map(str::trim).filter(|l| !l.is_empty());
                    head.memory.extend(lines.map(str::to_owned));
                }
                "last_reviewed_on" => {
                    let date = value
                        .parse()
                        .map_err(|_| At::value(*line, key, value, "a date, e.g. `2026-08-01`"))?;
                    head.last_reviewed_on = Some(date);
                }
                "review_in" => review_in = Some((value, *line)),
                _ => return Err(At::unknown(*line, "key", key, KEYS)),
            }
        }
        if let Some((found, line)) = &self.stray {
            return Err(At::new(*line, Problem::NotAPair { found: short(found) }));
        }
        for (key, missing) in [("runbook", head.id.is_empty()), ("version", !self.has("version"))] {
            if missing {
                return Err(At::new(1, Problem::Missing { key }));
            }
        }
        if let Some((value, line)) = review_in {
            let later = after(value).ok_or_else(|| At::value(line, "review_in", value, "e.g. `6 months`"))?;
            head.review_by = head.last_reviewed_on.and_then(later);
        }
        Ok(head)
    }

    fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(k, _, _)| k == key)
    }
}

/// `key: value`, the value without quotes and without a comment after it. Keys do not start with a space.
pub(super) fn pair(line: &str) -> Option<(String, String)> {
    let (key, rest) = line.split_once(':')?;
    let named = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    (named && (rest.is_empty() || rest.starts_with([' ', '\t'])))
        .then(|| (key.to_owned(), value(rest.trim())))
}

fn value(text: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inside, after)) = text.strip_prefix(quote).and_then(|t| t.split_once(quote))
            && (after.trim().is_empty() || after.trim_start().starts_with('#'))
        {
            return clean(inside);
        }
    }
    let bare = text.find(" #").and_then(|at| text.get(..at)).unwrap_or(text);
    clean(bare.trim())
}

fn id(value: &str, line: usize) -> Result<String, At> {
    let fine = !value.is_empty()
        && value.len() <= 60
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fine {
        Ok(value.to_owned())
    } else {
        Err(At::value(line, "runbook", value, "small letters, digits and hyphens, e.g. `loss-of-data`"))
    }
}

fn objective(key: &str, value: &str, line: usize) -> Result<Option<u32>, At> {
    if value == "not-agreed" {
        return Ok(None);
    }
    minutes(value).map(Some).ok_or_else(|| At::value(line, key, value, "`4h`, `90m` or `not-agreed`"))
}

/// `2m`, `1h`, `1h30m` in minutes.
pub(super) fn minutes(text: &str) -> Option<u32> {
    let (hours, rest) = match text.split_once('h') {
        Some((hours, rest)) => (hours.parse::<u32>().ok()?, rest),
        None => (0, text),
    };
    let rest = if rest.is_empty() && text.ends_with('h') {
        0
    } else {
        rest.strip_suffix('m')?.parse::<u32>().ok()?
    };
    hours.checked_mul(60)?.checked_add(rest).filter(|m| *m <= MINUTES_MAX)
}

/// `6 months`, `2 weeks`, `90 days`: what comes so much later.
fn after(text: &str) -> Option<impl Fn(NaiveDate) -> Option<NaiveDate> + use<>> {
    let (number, unit) = text.split_once(' ')?;
    let number: u32 = number.parse().ok().filter(|n| *n <= 1_000)?;
    let (months, days) = match unit.trim().trim_end_matches('s') {
        "year" => (number.checked_mul(12)?, 0),
        "month" => (number, 0),
        "week" => (0, u64::from(number) * 7),
        "day" => (0, u64::from(number)),
        _ => return None,
    };
    Some(move |date: NaiveDate| {
        date.checked_add_months(Months::new(months))?.checked_add_days(Days::new(days))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_bounded() {
        assert_eq!((minutes("2m"), minutes("4h"), minutes("1h30m")), (Some(2), Some(240), Some(90)));
        for bad in ["", "m", "h", "90", "1.5h", "-1m", "99999999h", "1h30", "4294967295m"] {
            assert_eq!(minutes(bad), None, "{bad}");
        }
    }

    #[test]
    fn values_lose_quotes_and_comments_only() {
        assert_eq!(pair("rto: 4h   # agreed").unwrap().1, "4h");
        assert_eq!(pair("goal: \"keep # this\" # not this").unwrap().1, "keep # this");
        assert_eq!(pair("goal: it's#1").unwrap().1, "it's#1");
        assert_eq!(pair("  - tag"), None);
        assert_eq!(pair("http://x"), None);
    }

    #[test]
    fn the_review_date_is_counted_in_calendar_months() {
        let text = "---\nrunbook: x\nversion: 1\nlast_reviewed_on: 2026-08-31\nreview_in: 6 months\n---\n";
        let head = split(text).unwrap().0.head().unwrap();
        assert_eq!(head.review_by, NaiveDate::from_ymd_opt(2027, 2, 28));
    }
}
