//! The `/` filter: fuzzy words, `!word` for absence, `field:word` for one column. All words must hold.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// A parsed filter, ready to be asked many times.
#[derive(Debug)]
pub struct Filter {
    words: Vec<Word>,
    exact: bool,
    matcher: Matcher,
    buffer: Vec<char>,
}

#[derive(Debug)]
struct Word {
    field: Option<String>,
    absent: bool,
    pattern: Pattern,
    plain: String,
}

impl Filter {
    pub fn new(text: &str) -> Filter {
        let words = text.split_whitespace().map(Word::new).collect();
        Filter { words, exact: false, matcher: Matcher::new(Config::DEFAULT), buffer: Vec::new() }
    }

    /// A filter whose words must stand in a value as they are, in any case: for data, where alike is not enough.
    pub fn exact(text: &str) -> Filter {
        Filter { exact: true, ..Filter::new(text) }
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The first field asked for that no row has (any beginning of a field's name will do).
    pub fn unknown_field(&self, known: &[&str]) -> Option<&str> {
        let asked = self.words.iter().filter_map(|w| w.field.as_deref());
        asked.into_iter().find(|f| !known.iter().any(|k| k.starts_with(f)))
    }

    /// True if a row with these `(field, value)` pairs passes.
    pub fn admits(&mut self, fields: &[(&str, &str)]) -> bool {
        let Filter { words, exact, matcher, buffer } = self;
        words.iter().all(|word| {
            let mut values = fields
                .iter()
                .filter(|(name, _)| word.field.as_ref().is_none_or(|f| name.starts_with(f.as_str())))
                .map(|(_, value)| *value);
            if *exact && !word.absent {
                values.any(|v| v.to_lowercase().contains(&word.plain))
            } else if word.absent {
                values.all(|v| !v.to_lowercase().contains(&word.plain))
            } else {
                values.any(|v| word.pattern.score(Utf32Str::new(v, buffer), matcher).is_some())
            }
        })
    }
}

impl Word {
    fn new(text: &str) -> Word {
        let (absent, rest) = text.strip_prefix('!').map_or((false, text), |r| (true, r));
        let (field, value) = match rest.split_once(':') {
            Some((f, v)) if !f.is_empty() => (Some(f.to_lowercase()), v),
            _ => (None, rest),
        };
        Word {
            field,
            absent,
            pattern: Pattern::parse(value, CaseMatching::Ignore, Normalization::Smart),
            plain: value.to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fields_and_absence() {
        let row = [("name", "refer-serious-misconduct-worker"), ("status", "CrashLoopBackOff")];
        let admits = |text: &str| Filter::new(text).admits(&row);
        assert!(admits("") && admits("rsmwork") && admits("misconduct worker"));
        assert!(!admits("zebra") && !admits("!worker") && admits("!web"));
        let unknown = |text: &str| Filter::new(text).unknown_field(&["name", "status"]).map(str::to_owned);
        assert_eq!(unknown("web st:ready !name:x"), None);
        assert_eq!(unknown("web !statsu:ready").as_deref(), Some("statsu"));
        let exact = |text: &str| Filter::exact(text).admits(&row);
        assert!(exact("serious-MIS status:crash") && !exact("rsmwork") && !exact("!worker"));
        assert!(admits("status:crash") && !admits("status:running") && admits("!status:running"));
    }
}
