//! A database's value as it is shown: no two different values look the same, and none reaches the terminal raw.

use crate::compare::Value;
use crate::core::panes::tunnels::bytes;

/// What NULL looks like. The text `NULL` is shown with quotes.
pub const NULL: &str = "NULL";

/// A value in one line. NULL is bare; text that could be taken for it, is empty, or holds what cannot be seen stands in
/// quotes with escapes; a value of which only the beginning is here says how long it is.
pub fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return NULL.into() };
    match &value.cut {
        Some(cut) => format!("{}… {}", quoted(&value.text), bytes(cut.bytes)),
        None if is_plain(&value.text) => value.text.clone(),
        None => quoted(&value.text),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.eq_ignore_ascii_case(NULL)
        && !text.starts_with('\'')
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && text.chars().all(is_seen)
}

/// True for what a terminal shows as itself.
pub fn is_seen(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    // A blank of another width looks like a blank.
    let blank = c != ' ' && c.is_whitespace();
    !c.is_control() && !hidden && !blank && unicode_width::UnicodeWidthChar::width(c).is_some_and(|w| w > 0)
}

fn quoted(text: &str) -> String {
    format!("'{}'", escaped(text, "'\\"))
}

/// `text` with everything that cannot be seen, and each of `also`, escaped.
pub fn escaped(text: &str, also: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if also.contains(c) => out.extend(['\\', c]),
            c if is_seen(c) => out.push(c),
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    out
}

/// Two values of at most `width` columns, from a little before the place where they first differ, if that place would
/// not be in sight otherwise.
pub fn around(value: &str, other: &str, width: usize) -> String {
    // One may stand in quotes and the other not.
    let bare = |text: &'_ str| text.trim_start_matches('\'').to_owned();
    let same = bare(value).chars().zip(bare(other).chars()).take_while(|(a, b)| a == b).count();
    if width < 8 || same + 2 < width || value == other {
        return value.to_owned();
    }
    let skip = same.saturating_sub(width / 3);
    std::iter::once('…').chain(value.chars().skip(skip)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::model::Cut;

    fn value(text: &str) -> Value {
        Value { text: text.into(), cut: None }
    }

    #[test]
    fn nothing_is_taken_for_null_and_nothing_hides() {
        for (text, seen) in [
            ("NULL", "'NULL'"),
            ("null", "'null'"),
            ("", "''"),
            (" a", "' a'"),
            ("a\u{1b}[31mb", "'a\\u{1b}[31mb'"),
            ("'quoted'", "'\\'quoted\\''"),
            ("line\nbreak", "'line\\nbreak'"),
            ("a\u{202e}b", "'a\\u{202e}b'"),
            ("e\u{301}", "'e\\u{301}'"),
            ("O'Hara \\ \"x\"", "O'Hara \\ \"x\""),
            ("データ", "データ"),
        ] {
            assert_eq!(shown(Some(&value(text))), seen);
        }
        assert_eq!(shown(None), "NULL");
        let cut = Some(Cut { bytes: 1_200_000, md5: "x".into() });
        assert_eq!(shown(Some(&Value { text: "abc".into(), cut })), "'abc'… 1.2 MB");
    }

    #[test]
    fn a_difference_far_in_is_brought_into_sight() {
        let (a, b) = (format!("{}A tail", "x".repeat(300)), format!("{}B tail", "x".repeat(300)));
        assert!(around(&a, &b, 20).starts_with('…') && around(&a, &b, 20).chars().take(20).any(|c| c == 'A'));
        assert_eq!(around("abc", "abd", 20), "abc");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn different_values_look_different(
            a in prop::option::of("[\\x00-\\x7fé\u{202e}\u{200b}データ'\\\\]{0,12}"),
            b in prop::option::of("[\\x00-\\x7fé\u{202e}\u{200b}データ'\\\\]{0,12}|NULL|null|''"),
        ) {
            let (x, y) = (a.as_deref().map(value), b.as_deref().map(value));
            prop_assert_eq!(shown(x.as_ref()) == shown(y.as_ref()), a == b);
            prop_assert!(shown(x.as_ref()).chars().all(is_seen));
        }

        #[test]
        fn whatever_it_is_it_can_be_drawn(text in "\\PC{0,40}|.{0,40}") {
            prop_assert!(shown(Some(&value(&text))).chars().all(is_seen));
        }
    }
}
