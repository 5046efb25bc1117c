//! What is wrong with a runbook: file, line, and the nearest thing that would be right.

use thiserror::Error;

/// A runbook that cannot be used: `loss-of-data.md:41: unknown key …`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {problem}")]
pub struct RunbookError {
    pub file: String,
    /// Counts from 1.
    pub line: usize,
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    #[error("unknown {what} `{word}`; {hint}")]
    Unknown {
        what: &'static str,
        word: String,
        /// `did you mean …?` or what there is.
        hint: String,
    },
    #[error("`{key}`: cannot read `{value}`; write {want}")]
    Value { key: String, value: String, want: &'static str },
    #[error("expected `key: value`, found `{found}`")]
    NotAPair { found: String },
    #[error("`{key}` stands here twice")]
    Twice { key: String },
    #[error("the front matter has no `{key}`")]
    Missing { key: &'static str },
    #[error("the front matter is not closed: end it with a line `---`")]
    Unclosed,
    #[error(
        "two items are called `{id}` (the other is on line {first}): ids come from titles, so word one differently"
    )]
    SameId { id: String, first: usize },
    #[error("`undo: {id}` names no item; {hint}")]
    NoSuchItem { id: String, hint: String },
    #[error("`verify` without `sense`: say what is to be looked at")]
    VerifyWithoutSense,
    #[error("`{probe}` gives {gives}; it cannot be compared with `{expect}`")]
    Mismatch { probe: String, gives: &'static str, expect: String },
    #[error("this `dr` block is not under an item: make the step a `###` heading")]
    Homeless,
    #[error("a second `dr` block under one item: make it one block, or two items")]
    SecondBlock,
    #[error("{0}")]
    Outline(&'static str),
    #[error("{count} memory items: at most 3 are known by heart")]
    TooMuchToRemember { count: usize },
    #[error("{what}: at most {max}")]
    TooLarge { what: &'static str, max: usize },
}

/// A problem on a line of a file that is not named yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) problem: Problem,
}

impl At {
    pub(super) fn new(line: usize, problem: Problem) -> At {
        At { line, problem }
    }

    pub(super) fn unknown(line: usize, what: &'static str, word: &str, known: &[&str]) -> At {
        At::new(line, Problem::Unknown { what, word: short(word), hint: hint(word, known) })
    }

    pub(super) fn value(line: usize, key: &str, value: &str, want: &'static str) -> At {
        At::new(line, Problem::Value { key: key.to_owned(), value: short(value), want })
    }
}

/// `did you mean …?` if something known is near, else all that is known.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    let word: String = word.chars().take(80).collect();
    let allowed = (word.chars().count() / 3).max(2);
    match crate::domain::text::nearest(&word, known.iter().copied(), allowed) {
        Some(k) => format!("did you mean `{k}`?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("there is {}", known.iter().take(12).copied().collect::<Vec<_>>().join(", ")),
    }
}

/// Outside text as it may stand in a message.
pub(super) fn short(text: &str) -> String {
    crate::domain::text::fit(&crate::domain::text::clean(text), 60)
}
