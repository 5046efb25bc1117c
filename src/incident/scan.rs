//! What the bytes of a journal file hold: its entries, how far they are good, and what is wrong after that. Pure.

use super::event::Entry;
use super::hash::{self, ZERO};

/// A journal file read to its end or to its first bad line.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Entries before the first bad line.
    pub entries: Vec<Entry>,
    /// Bytes that those entries take, newlines included.
    pub good_len: usize,
    pub end: End,
}

/// How a journal file ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With the newline of its last good entry.
    Whole,
    /// The last entry is whole but for its newline: only that byte was lost.
    NoNewline,
    /// With the beginning of a line: an append that was cut off before it was acknowledged.
    Torn { line: usize, bytes: usize },
    /// With a line that cannot be right. `line` counts from 1.
    Damaged { line: usize, what: String },
}

/// Reads `bytes` as a journal.
pub fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan { entries: Vec::new(), good_len: 0, end: End::Whole };
    let mut prev = ZERO.to_owned();
    let mut seq: u64 = 0;
    for piece in bytes.split_inclusive(|b| *b == b'\n') {
        seq += 1;
        let line = scan.entries.len() + 1;
        let whole = piece.strip_suffix(b"\n");
        match hash::unseal(whole.unwrap_or(piece), seq, &prev) {
            Ok(entry) => {
                prev.clone_from(&entry.hash);
                scan.entries.push(entry);
                scan.good_len += piece.len();
                if whole.is_none() {
                    scan.end = End::NoNewline;
                }
            }
            Err(_) if whole.is_none() && is_beginning(piece) => {
                scan.end = End::Torn { line, bytes: piece.len() };
            }
            Err(what) => {
                scan.end = End::Damaged { line, what };
                return scan;
            }
        }
    }
    if scan.entries.is_empty() && scan.end == End::Whole {
        scan.end =
            End::Damaged { line: 1, what: "the file is empty: no incident was opened in it".to_owned() };
    }
    scan
}

/// True if `piece` can be the beginning of a line: it is JSON that stops too early, and nothing else is wrong with it.
fn is_beginning(piece: &[u8]) -> bool {
    let text = match std::str::from_utf8(piece) {
        Ok(text) => text,
        // A character of several bytes may be cut in the middle.
        Err(e) if e.error_len().is_none() => {
            match std::str::from_utf8(piece.get(..e.valid_up_to()).unwrap_or(&[])) {
                Ok(text) => text,
                Err(_) => return false,
            }
        }
        Err(_) => return false,
    };
    "{\"seq\":".starts_with(text)
        || (text.starts_with("{\"seq\":")
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err_and(|e| e.is_eof()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample;
    use super::*;

    #[test]
    fn a_journal_cut_anywhere_keeps_every_whole_line_and_calls_the_rest_torn() {
        let bytes = sample::lines();
        let ends: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] == b'\n').collect();
        for cut in 1..bytes.len() {
            let whole = ends.iter().filter(|e| **e < cut).count();
            let scan = scan(&bytes[..cut]);
            if ends.contains(&cut) {
                assert_eq!((scan.entries.len(), scan.end), (whole + 1, End::NoNewline), "cut at {cut}");
            } else {
                assert_eq!(scan.entries.len(), whole, "cut at {cut}");
                let torn = matches!(scan.end, End::Torn { line, .. } if line == whole + 1);
                assert!(
                    torn || (scan.end == End::Whole && cut == ends[whole - 1] + 1),
                    "{cut}: {:?}",
                    scan.end
                );
            }
        }
    }

    #[test]
    fn a_missing_a_doubled_and_a_moved_line_are_seen() {
        let bytes = sample::lines();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
        let damage = |order: &[usize]| {
            let made: Vec<u8> = order.iter().flat_map(|i| lines[*i].to_vec()).collect();
            match scan(&made).end {
                End::Damaged { line, .. } => line,
                other => panic!("{order:?} passed as {other:?}"),
            }
        };
        assert_eq!(damage(&[0, 2, 3]), 2);
        assert_eq!(damage(&[0, 1, 1, 2]), 3);
        assert_eq!(damage(&[0, 2, 1, 3]), 2);
        assert_eq!(damage(&[1, 2]), 1);
        assert_eq!(damage(&[]), 1);
    }

    #[test]
    fn a_line_rewritten_with_a_right_hash_of_its_own_breaks_the_chain_after_it() {
        let bytes = sample::lines();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
        let mut entry = scan(&bytes).entries[1].clone();
        entry.who = "mallory@elsewhere".into();
        let (_, forged) =
            hash::seal(entry.seq, &entry.prev, entry.event.clone(), entry.at, &entry.who).unwrap();
        let made = [lines[0], forged.as_bytes(), lines[2]].concat();
        assert!(matches!(scan(&made).end, End::Damaged { line: 3, .. }));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn one_changed_byte_anywhere_is_found_on_its_line(at in any::<prop::sample::Index>(), flip in 1u8..=255) {
            let mut bytes = sample::lines();
            let at = at.index(bytes.len());
            let line = 1 + bytes[..at].iter().filter(|b| **b == b'\n').count();
            bytes[at] ^= flip;
            let scan = scan(&bytes);
            match scan.end {
                End::Damaged { line: found, .. } => prop_assert_eq!(found, line),
                other => prop_assert!(false, "byte {} passed as {:?}", at, other),
            }
            prop_assert_eq!(scan.entries.len(), line - 1);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let scan = scan(&bytes);
            prop_assert!(scan.good_len <= bytes.len());
        }
    }
}
