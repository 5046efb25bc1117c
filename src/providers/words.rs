//! Turns errors and headers of any client into the words and numbers that a responder reads. Pure.

use std::error::Error;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::domain::{Utc, text};

/// Longest reason that is kept, in columns.
const REASON_MAX: usize = 240;
/// Longest wait that a source may ask for, in seconds.
const WAIT_MAX: u64 = 600;

/// Outside text as one short, clean line.
pub fn plain(text: &str) -> String {
    text::fit(&line(text), REASON_MAX)
}

/// Outside text as one clean line, as long as outside text may be.
pub fn line(text: &str) -> String {
    text::clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The innermost cause, which says most: `Connection refused`, `invalid peer certificate: UnknownIssuer`.
pub fn cause(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    for _ in 0..16 {
        match inner.source() {
            Some(next) => inner = next,
            None => break,
        }
    }
    let words = plain(&inner.to_string());
    match words.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => words,
    }
}

/// True if `error` or one of its causes satisfies `is`.
pub fn any_cause(error: &(dyn Error + 'static), is: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    for _ in 0..16 {
        match next {
            Some(error) if is(error) => return true,
            Some(error) => next = error.source(),
            None => break,
        }
    }
    false
}

/// `Retry-After` in seconds, from its number or its date, at most ten minutes.
pub fn retry_after(headers: &HeaderMap, now: Utc) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            u64::try_from((until.to_utc() - now).num_seconds()).unwrap_or(0)
        }
    };
    Some(seconds.min(WAIT_MAX))
}

/// Why `body` is not the JSON that was expected, with how it begins.
pub fn not_json(what: &str, body: &[u8], error: &serde_json::Error) -> String {
    let head: Vec<u8> = body.iter().copied().take(40).collect();
    let head = plain(&String::from_utf8_lossy(&head));
    if head.starts_with(['{', '[']) {
        plain(&format!("{what}: {error}"))
    } else {
        format!("{what} is not JSON; it begins with {head:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn retry_after_is_read_as_number_and_date_and_bounded() {
        let now: Utc = "2026-11-20T10:00:00Z".parse().unwrap();
        assert_eq!(retry_after(&headers("17"), now), Some(17));
        assert_eq!(retry_after(&headers("Fri, 20 Nov 2026 10:00:42 GMT"), now), Some(42));
        assert_eq!(retry_after(&headers("Fri, 20 Nov 2026 09:00:00 GMT"), now), Some(0));
        assert_eq!(retry_after(&headers("99999999"), now), Some(WAIT_MAX));
        assert_eq!(retry_after(&headers("soon"), now), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn the_innermost_cause_speaks() {
        let inner = std::io::Error::from_raw_os_error(111);
        let outer = std::io::Error::other(inner);
        assert_eq!(cause(&outer), "Connection refused");
    }

    #[test]
    fn a_page_in_place_of_json_is_called_so() {
        let body = b"<html>\x1b[2J hello";
        let error = serde_json::from_slice::<serde_json::Value>(body).unwrap_err();
        assert_eq!(
            not_json("the list of pods", body, &error),
            "the list of pods is not JSON; it begins with \"<html> hello\""
        );
    }
}
