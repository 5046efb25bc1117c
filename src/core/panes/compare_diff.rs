//! Two versions of a long value as one text with what differs marked: JSON key by key, everything else word by word.

use similar::{ChangeTag, TextDiff};

use super::compare_value::escaped;

/// Longest text that is compared, in characters: a person reads no more.
const MOST: usize = 20_000;
/// Characters before a first difference that lies far in.
const BEFORE: usize = 400;

/// Whose a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Both,
    Live,
    Restored,
}

/// A line: whose it is, and its pieces, each with whether it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub whose: Whose,
    pub pieces: Vec<(bool, String)>,
}

/// The lines of both versions, live's before the copy's where they differ. Nothing in them can reach the terminal raw.
pub fn diff(live: &str, restored: &str) -> Vec<Line> {
    let (live, restored) = match (pretty(live), pretty(restored)) {
        // Where only blanks differ, those are what is shown.
        (Some(a), Some(b)) if a != b => (a, b),
        _ => near(live, restored),
    };
    let diff = TextDiff::from_lines(&live, &restored);
    let mut lines = Vec::new();
    for op in diff.ops() {
        for change in diff.iter_inline_changes(op) {
            let whose = match change.tag() {
                ChangeTag::Equal => Whose::Both,
                ChangeTag::Delete => Whose::Live,
                ChangeTag::Insert => Whose::Restored,
            };
            let piece = |(differs, text): (bool, &str)| (differs, escaped(text.trim_end_matches('\n'), "\\"));
            let mut pieces: Vec<_> = change.iter_strings_lossy().map(|(d, t)| piece((d, &t))).collect();
            pieces.retain(|(_, text)| !text.is_empty());
            if whose != Whose::Both && pieces.iter().all(|(differs, _)| !differs) {
                // Nothing in common with any other line.
                pieces.iter_mut().for_each(|(differs, _)| *differs = true);
            }
            lines.push(Line { whose, pieces });
        }
    }
    lines
}

/// One version alone, in lines.
pub fn alone(text: &str) -> Vec<Line> {
    let text = pretty(text).unwrap_or_else(|| bounded(text));
    let line = |l: &str| Line { whose: Whose::Both, pieces: vec![(false, escaped(l, "\\"))] };
    text.split('\n').map(line).collect()
}

/// Both texts as far as a person reads. Of long ones that begin alike, from a little before their first difference.
fn near(live: &str, restored: &str) -> (String, String) {
    if live.len().max(restored.len()) <= MOST {
        return (live.to_owned(), restored.to_owned());
    }
    let same = live.chars().zip(restored.chars()).take_while(|(a, b)| a == b).count();
    let skip = if same > MOST / 2 { same - BEFORE } else { 0 };
    let part = |text: &str| {
        let left = if skip > 0 {
            format!("… {skip} characters that are the same on both …\n")
        } else {
            String::new()
        };
        let mut rest = text.chars().skip(skip);
        let shown: String = rest.by_ref().take(MOST).collect();
        let right = match rest.count() {
            0 => String::new(),
            more => format!("\n… {more} more characters are not shown …"),
        };
        format!("{left}{shown}{right}")
    };
    (part(live), part(restored))
}

fn bounded(text: &str) -> String {
    text.chars().take(MOST).collect()
}

/// A JSON object or array with a line for each key; `None` for anything else. Numbers and texts stay as they are
/// written: 1.0 is not 1.
fn pretty(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) || text.len() > MOST || !is_json(text) {
        return None;
    }
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_text, mut escape) = (0usize, false, false);
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth.min(40)));
    };
    for c in text.chars() {
        if in_text {
            out.push(c);
            in_text = escape || c != '"';
            escape = !escape && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_text = true;
                out.push(c);
            }
            '{' | '[' => {
                depth += 1;
                out.push(c);
                newline(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                newline(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    Some(out)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flat(lines: &[Line]) -> Vec<String> {
        let piece = |(differs, text): &(bool, String)| {
            if *differs { format!("<{text}>") } else { text.clone() }
        };
        let line = |l: &Line| format!("{:?} {}", l.whose, l.pieces.iter().map(piece).collect::<String>());
        lines.iter().map(line).collect()
    }

    #[test]
    fn json_is_compared_key_by_key_and_numbers_stay_as_written() {
        let found = diff(r#"{"a": 1.0, "b": "x,{y", "c": []}"#, r#"{"a": 1, "b": "x,{y", "c": []}"#);
        let flat = flat(&found);
        assert!(flat.contains(&"Both   \"b\": \"x,{y\",".to_owned()), "{flat:#?}");
        assert_eq!(flat.iter().filter(|l| !l.starts_with("Both")).count(), 2, "{flat:#?}");
        assert!(pretty("{not json").is_none() && pretty("[1,").is_none() && pretty("plain").is_none());
    }

    #[test]
    fn text_is_compared_word_by_word() {
        let found = flat(&diff("the quick brown fox", "the quick red fox"));
        assert_eq!(found, ["Live the quick <brown> fox", "Restored the quick <red> fox"]);
        assert_eq!(flat(&diff("same", "same")), ["Both same"]);
        assert_eq!(flat(&diff("a\u{1b}b", "a")).len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn both_versions_are_all_there(a in "[a-c \\n]{0,30}", b in "[a-c \\n]{0,30}") {
            let lines = diff(&a, &b);
            let of = |whose: Whose| {
                let mine = lines.iter().filter(|l| l.whose == whose || l.whose == Whose::Both);
                mine.flat_map(|l| l.pieces.iter().map(|(_, t)| t.as_str())).collect::<String>()
            };
            prop_assert_eq!(of(Whose::Live), a.replace('\n', ""));
            prop_assert_eq!(of(Whose::Restored), b.replace('\n', ""));
        }

        #[test]
        fn any_text_is_survived(a in ".{0,60}", b in ".{0,60}") {
            for line in diff(&a, &b) {
                prop_assert!(line.pieces.iter().all(|(_, t)| t.chars().all(super::super::compare_value::is_seen)));
            }
        }
    }
}
