//! The hash chain of a journal, one line at a time. Pure.
//!
//! A line is the JSON of an [`Entry`] whose last field is `hash`. The hash is SHA-256 over the line's own bytes with
//! `,"hash":"…"` taken out (the closing brace stays, the newline does not count). It is taken over the bytes and not
//! over a re-made JSON, so a journal stays valid when a later version adds fields. `prev` repeats the hash of the
//! line before. Anyone can check a journal with `sh`, `sed` and `sha256sum`: see [`RECIPE`].

use sha2::{Digest, Sha256};

use super::event::{Entry, Event};
use crate::domain::Utc;

/// `prev` of the first line.
pub const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A shell script that checks the journal named by its first argument without drtui. Prints the number of entries and
/// the head hash, or the first line that does not fit, and then exits 1.
pub const RECIPE: &str = r#"n=0; prev=$(printf '0%.0s' $(seq 64))
while IFS= read -r line; do
  n=$((n+1))
  hash=$(printf %s "$line" | sed -n 's/^.*,"hash":"\([0-9a-f]\{64\}\)"}$/\1/p')
  want=$(printf %s "$line" | sed 's/,"hash":"[0-9a-f]\{64\}"}$/}/' | sha256sum | cut -d' ' -f1)
  case $line in *"\"prev\":\"$prev\",\"hash\":"*) ;; *) echo "line $n: chain broken"; exit 1;; esac
  [ "$hash" = "$want" ] || { echo "line $n: changed"; exit 1; }
  prev=$hash
done < "$1"
echo "$n entries, head $prev""#;

const OPENING: &str = ",\"hash\":\"";
const CLOSING: &str = "\"}";
const HEX: usize = 64;

/// SHA-256 of `bytes` in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(HEX), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Makes the entry that follows `prev` (`None` for the first) and its line, newline included.
///
/// # Errors
/// Only if an event cannot be written as JSON.
pub fn seal(
    seq: u64,
    prev: &str,
    event: Event,
    at: Utc,
    who: &str,
) -> Result<(Entry, String), serde_json::Error> {
    let mut entry = Entry { seq, at, who: who.to_owned(), event, prev: prev.to_owned(), hash: String::new() };
    let unsealed = serde_json::to_string(&entry)?;
    let body = unsealed.strip_suffix("\"\"}").and_then(|s| s.strip_suffix(",\"hash\":")).unwrap_or_default();
    entry.hash = sha256_hex(format!("{body}}}").as_bytes());
    let line = format!("{body}{OPENING}{}{CLOSING}\n", entry.hash);
    Ok((entry, line))
}

/// Reads one line (without its newline) that must be entry number `seq` after the line with hash `prev`.
///
/// # Errors
/// What is wrong with the line, in words for a person.
pub fn unseal(line: &[u8], seq: u64, prev: &str) -> Result<Entry, String> {
    let text =
        std::str::from_utf8(line).map_err(|_| "not UTF-8: the line was changed or damaged".to_owned())?;
    let (body, hash) =
        split(text).ok_or("does not end with its hash: the line was changed, cut or damaged")?;
    let actual = sha256_hex(format!("{body}}}").as_bytes());
    if actual != hash {
        return Err(format!(
            "was changed after it was written: its text hashes to {}…, which is not the hash it bears",
            start(&actual)
        ));
    }
    let entry: Entry = serde_json::from_str(text).map_err(|e| {
        format!("its hash is right but it is not understood ({e}): a newer drtui may have written it")
    })?;
    if entry.seq != seq {
        return Err(format!(
            "is entry {} where {seq} was expected: lines are missing or were moved",
            entry.seq
        ));
    }
    if entry.prev != prev {
        return Err("does not follow the line before it: the chain is broken".to_owned());
    }
    if (seq == 1) != matches!(entry.event, Event::Opened { .. }) {
        return Err("an incident is opened by its first entry and by no other".to_owned());
    }
    Ok(entry)
}

/// The line without `,"hash":"…"}`, and the hash.
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_suffix(CLOSING)?;
    let at = rest.len().checked_sub(HEX)?;
    let hash = rest.get(at..)?;
    let body = rest.get(..at)?.strip_suffix(OPENING)?;
    hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some((body, hash))
}

fn start(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_reads_back_as_the_same_entry() {
        let at = "2026-11-20T11:34:05.123456789Z".parse().unwrap();
        let note = Event::Resumed { notes: vec!["tab\t, \u{7f}, \"quoted\", Ž, 🜂".into()] };
        let (entry, line) = seal(2, ZERO, note, at, "ann@bastion").unwrap();
        assert_eq!(unseal(line.trim_end_matches('\n').as_bytes(), 2, ZERO), Ok(entry));
    }

    #[test]
    fn a_hash_is_sha256_of_the_line_without_it() {
        let at = "2026-11-20T11:34:05Z".parse().unwrap();
        let (entry, line) = seal(2, ZERO, Event::Resumed { notes: vec![] }, at, "a@b").unwrap();
        let body = line.trim_end().replace(&format!(",\"hash\":\"{}\"", entry.hash), "");
        assert_eq!(
            body,
            format!(
                r#"{{"seq":2,"at":"2026-11-20T11:34:05Z","who":"a@b","event":{{"kind":"resumed","notes":[]}},"prev":"{ZERO}"}}"#
            )
        );
        assert_eq!(sha256_hex(body.as_bytes()), entry.hash);
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
