//! What a runbook that parses could still do better. Findings, not errors. Pure.

use std::fmt;

use chrono::NaiveDate;
use serde::Serialize;

use super::model::{Item, Runbook};
use super::parse::{self, Lines, RunbookError};

/// Most items of a section: people omit less on short lists.
pub const SECTION_MAX: usize = 10;
/// Words that make an item a matter of opinion, or no action at all.
const VAGUE: &[&str] = &[
    "if necessary",
    "if needed",
    "if required",
    "as appropriate",
    "note that",
    "etc.",
    "as soon as possible",
];

/// Something to mend, at a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Counts from 1.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// Parses and audits a runbook. `today` is for the review date.
///
/// # Errors
/// As [`parse::parse`].
pub fn check(file_name: &str, text: &str, today: NaiveDate) -> Result<(Runbook, Vec<Finding>), RunbookError> {
    let (runbook, lines) = parse::parse_with_lines(file_name, text)?;
    let mut audit = Audit { lines: &lines, found: Vec::new() };
    audit.head(&runbook, today);
    for section in &runbook.sections {
        let line = lines.sections.get(&section.id).copied().unwrap_or(1);
        let items = section.items.iter().filter(|i| i.depth == 0).count();
        if items > SECTION_MAX {
            audit.add(
                line,
                format!("section `{}` has {items} items; split it: at most {SECTION_MAX}", section.title),
            );
        }
        if section.items.is_empty() && !runbook.plain {
            audit.add(line, format!("section `{}` has no item", section.title));
        }
    }
    for (number, item) in runbook.items().enumerate() {
        audit.item(&runbook, number, item);
    }
    let mut found = audit.found;
    found.sort_by_key(|f| f.line);
    Ok((runbook, found))
}

struct Audit<'a> {
    lines: &'a Lines,
    found: Vec<Finding>,
}

impl Audit<'_> {
    fn add(&mut self, line: usize, what: String) {
        self.found.push(Finding { line, what });
    }

    fn head(&mut self, runbook: &Runbook, today: NaiveDate) {
        if runbook.plain {
            self.add(1, "no `dr` block: a manual checklist, nothing is sensed or verified".to_owned());
            return;
        }
        for (empty, key, why) in [
            (runbook.condition.is_empty(), "condition", "the first error is the wrong checklist"),
            (runbook.goal.is_empty(), "goal", "it is shown on every screen"),
            (runbook.memory.is_empty(), "memory", "the first things to do are known by heart"),
        ] {
            if empty {
                self.add(1, format!("no `{key}`: {why}"));
            }
        }
        match runbook.review_by {
            Some(date) if date < today => self.add(1, format!("review was due on {date}")),
            Some(_) => {}
            None => self.add(
                1,
                "no `last_reviewed_on` with `review_in`: nobody will notice when it is out of date"
                    .to_owned(),
            ),
        }
    }

    fn item(&mut self, runbook: &Runbook, number: usize, item: &Item) {
        let line = self.lines.items.get(&item.id).copied().unwrap_or(1);
        let title = &item.title;
        let small = title.to_lowercase();
        if let Some(word) = VAGUE.iter().find(|w| small.contains(*w)) {
            self.add(
                line,
                format!("`{title}`: \"{word}\" leaves it to the reader; say when, or leave it out"),
            );
        }
        if runbook.plain {
            return;
        }
        if title.ends_with('.') || small.contains(" and then ") || small.contains("; ") {
            self.add(line, format!("`{title}`: one action a line, without a full stop"));
        }
        if item.action.is_some() && item.sense.is_none() {
            self.add(line, format!("`{title}` changes something and senses nothing: green is not recovered"));
        }
        if item.capture.is_some() && item.undo.is_none() {
            self.add(
                line,
                format!("`{title}` captures a state; `undo` should say at which item it is put back"),
            );
        }
        if matches!(item.action, Some(super::model::Do::Scale { .. })) && item.capture.is_none() {
            self.add(line, format!("`{title}` scales without `capture`: what was there is lost"));
        }
        if item.record.is_none() && item.wants_value() && small.contains(" time ") {
            self.add(line, format!("`{title}` takes any words; `record: time` refuses what is no time"));
        }
        let earlier = |target: &String| runbook.items().take(number).any(|i| i.id == *target);
        if item.undo.as_ref().is_some_and(earlier) {
            self.add(line, format!("`{title}` is undone at an item that comes before it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 20).unwrap()
    }

    #[test]
    fn a_poor_runbook_hears_what_is_poor() {
        let items: String = (0..11).map(|n| format!("### Look at {n} if necessary\n\n")).collect();
        let text = format!(
            "---\nrunbook: x\nversion: 1\nlast_reviewed_on: 2025-01-01\nreview_in: 6 months\n---\n# X\n## Much\n{items}## Little\n### Record the time it began\n### Stop it; wait\n```dr\ncapture: replicas(app)\ndo: scale(app, 0)\n```\n"
        );
        let (_, found) = check("x.md", &text, today()).unwrap();
        let all = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for part in [
            "no `condition`",
            "review was due on 2025-07-01",
            "8: section `Much` has 11",
            "if necessary",
            "senses nothing",
            "one action",
            "`undo` should",
            "`record: time` refuses",
        ] {
            assert!(all.contains(part), "{part} not in:\n{all}");
        }
    }
}
