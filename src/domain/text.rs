//! Text from outside (names, logs, rows, error bodies) made safe to draw: no control sequences, bounded size.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Longest outside text that is kept for one field, in characters.
pub const FIELD_MAX: usize = 2_000;

/// Removes terminal control sequences and every other control, bidirectional or zero-width format character;
/// newlines and tabs become one space; keeps at most [`FIELD_MAX`] characters.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(FIELD_MAX));
    let mut chars = text.chars().peekable();
    let mut kept = 0;
    while let Some(c) = chars.next() {
        if kept >= FIELD_MAX {
            break;
        }
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\n' | '\r' | '\t' => {
                out.push(' ');
                kept += 1;
            }
            c if is_unsafe(c) => {}
            c => {
                out.push(c);
                kept += 1;
            }
        }
    }
    out
}

/// `text` cut to at most `width` terminal columns, with `…` where something was cut.
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > width {
            break;
        }
        used += w;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// `text` cut at its start to at most `width` terminal columns: for names that differ at their end.
pub fn fit_end(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = Vec::new();
    let mut used = 1;
    for c in text.chars().rev() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.extend((width > 0).then_some('…'));
    kept.into_iter().rev().collect()
}

/// `text` cut in its middle to at most `width` terminal columns: for names that begin alike and differ at their end.
pub fn fit_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width / 4 {
            break;
        }
        out.push(c);
    }
    let rest = width.saturating_sub(out.width());
    out.push_str(&fit_end(text, rest));
    out
}

/// `1 change`, `2 changes`.
pub fn counted<N: std::fmt::Display + PartialEq + From<u8>>(n: N, word: &str) -> String {
    let plural = if n == N::from(1) { "" } else { "s" };
    format!("{n} {word}{plural}")
}

/// The known name that is nearest to `name`, if one is at most `most` letters away.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, most: usize) -> Option<&'a str> {
    let near = known.into_iter().map(|k| (strsim::damerau_levenshtein(name, k), k));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}

/// `text` with passwords in URLs, signatures, tokens and `password=…` values blotted out.
pub fn redact(text: &str) -> String {
    let mut out = text.to_owned();
    for word in ["password=", "pwd=", "sig=", "secret=", "token=", "Bearer ", "bearer ", "&s=", "&c=", "&h="]
    {
        out = blot(&out, word, |c| c.is_whitespace() || "&\"'\\,;<>".contains(c));
    }
    blot_url_passwords(&out)
}

/// Replaces what follows each `word`, up to a character at which `ends` holds.
fn blot(text: &str, word: &str, ends: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        out.push_str(before);
        out.push_str(word);
        let tail = after.trim_start_matches(|c| !ends(c));
        if tail.len() < after.len() {
            out.push_str("[hidden]");
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// `scheme://user:password@host` without the password.
fn blot_url_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "/\"'<>?".contains(c)).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
            Some((user, host)) => {
                out.push_str(user);
                out.push_str(":[hidden]@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        // OSC, DCS, SOS, PM, APC run to BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    break;
                }
            }
        }
        // Charset designations and the like take one more byte.
        Some(' '..='/') => {
            chars.next();
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    for c in chars.by_ref() {
        if matches!(c, '\u{40}'..='\u{7e}') {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_leave_no_trace() {
        assert_eq!(clean("web\u{1b}[31;1m-red\u{1b}[0m"), "web-red");
        assert_eq!(clean("a\u{1b}]0;evil title\u{7}b"), "ab");
        assert_eq!(clean("a\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\"), "alink");
        assert_eq!(clean("a\nb\tc\r"), "a b c ");
        assert_eq!(clean("a\u{9b}2Jb\u{202e}c\u{0}"), "abc");
    }

    #[test]
    fn outside_text_is_bounded() {
        assert_eq!(clean(&"x".repeat(5_000_000)).len(), FIELD_MAX);
    }

    #[test]
    fn secrets_are_blotted_out() {
        let text =
            "postgres://u:pa@ss@db.example:5432/x?a=1&password=hunter2&b=2 Bearer abc.def {\"sig=xyz\"}";
        let safe = redact(text);
        for secret in ["pa@ss", "hunter2", "abc.def", "xyz"] {
            assert!(!safe.contains(secret), "{safe}");
        }
        assert!(safe.contains("postgres://u:[hidden]@db.example:5432/x?a=1") && safe.contains("b=2"));
        assert_eq!(redact("https://a.example/x?y=1"), "https://a.example/x?y=1");
    }

    #[test]
    fn fit_counts_columns_not_characters() {
        assert_eq!(fit("データベース", 5), "デー…");
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("abcd", 0), "");
        assert_eq!(fit_end("app-worker", 7), "…worker");
        assert_eq!(fit_end("ab", 0), "");
        assert_eq!(fit_middle("refer-misconduct-production-worker", 16), "refe…tion-worker");
        for width in 0..12 {
            assert!(fit_middle("データベースabcdef", width).width() <= width, "{width}");
        }
        assert_eq!(fit_middle("abc", 3), "abc");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(
            [counted(0, "change"), counted(1, "change"), counted(2, "change")].join(" "),
            "0 changes 1 change 2 changes"
        );
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("statsu", ["name", "status"], 2), Some("status"));
        assert_eq!(nearest("zzzz", ["name", "status"], 2), None);
    }
}
