//! An [`Account`] as Markdown that GitHub renders. Everything from outside is escaped. Pure.

use std::fmt::Write as _;

use super::hash::RECIPE;
use super::report::{Account, Change, Moment, Step, UndoLine};
use crate::domain::{Utc, clock};

/// The report in Markdown.
pub fn render(account: &Account) -> String {
    let mut out = String::new();
    head(&mut out, account);
    clocks(&mut out, account);
    scorecard(&mut out, account);
    steps(&mut out, account);
    changes(&mut out, account);
    overrides(&mut out, account);
    ledger(&mut out, account);
    notes(&mut out, account);
    timeline(&mut out, account);
    not_known(&mut out, account);
    integrity(&mut out, account);
    out
}

/// Text that Markdown and HTML leave as it is, on one line, also in a table.
fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A code span that holds any text, also in a table.
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ").replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn both(moment: &Moment) -> String {
    format!("{} ({})", moment.london, clock::utc_hm(moment.utc))
}

/// `03 Jul 10:02:00 BST (09:02:00 UTC)`: an incident may go past midnight.
fn short(at: Utc) -> String {
    let london = at.with_timezone(&chrono_tz::Europe::London);
    format!("{} ({})", london.format("%d %b %H:%M:%S %Z"), at.format("%H:%M:%S UTC"))
}

fn span(seconds: i64) -> String {
    clock::span(chrono::Duration::seconds(seconds))
}

fn minutes(minutes: Option<u32>) -> String {
    minutes.map_or_else(|| "not agreed".to_owned(), |m| span(i64::from(m) * 60))
}

fn row(out: &mut String, cells: &[String]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn table(out: &mut String, heads: &[&str]) {
    let _ = writeln!(out, "\n| {} |", heads.join(" | "));
    let _ = writeln!(out, "|{}", " --- |".repeat(heads.len()));
}

fn head(out: &mut String, a: &Account) {
    let title = a.facts.as_ref().map_or("unknown runbook", |f| f.runbook.title.as_str());
    let stamp = if a.exercise { "EXERCISE: " } else { "" };
    let _ = writeln!(out, "# {stamp}Incident report: {}", esc(title));
    if a.exercise {
        out.push_str("\n> **EXERCISE EXERCISE EXERCISE.** A drill, not an incident.\n");
    }
    if let Some(damage) = &a.readable_part_only {
        let _ = writeln!(
            out,
            "\n> **READABLE PART ONLY.** The journal is damaged: {}. What follows is what comes before that.",
            esc(damage)
        );
    }
    table(out, &["", ""]);
    let mut fact = |name: &str, value: String| row(out, &[name.to_owned(), value]);
    if let Some(f) = &a.facts {
        fact("Incident", code(&f.incident));
        fact("Service", esc(&f.service));
        fact(
            "Environment",
            format!("{}{}", esc(&f.environment), if f.production { " (production)" } else { "" }),
        );
        fact("Kind", if a.exercise { "exercise".into() } else { "incident".into() });
        fact(
            "Runbook",
            format!(
                "{}, {} version {}, SHA-256 {}",
                esc(&f.runbook.title),
                code(&f.runbook.id),
                f.runbook.version,
                code(&f.runbook.sha256)
            ),
        );
        fact("Declared", format!("{} by {}", both(&f.opened_at.into()), esc(&f.opened_by)));
    }
    match &a.closed {
        Some(c) => fact("Closed", format!("{} by {}: {}", both(&c.at.into()), esc(&c.who), esc(&c.summary))),
        None => fact("Closed", "**not closed**".into()),
    }
    if let Some(p) = &a.plan {
        fact("Condition", esc(&p.condition));
        fact("Goal", esc(&p.goal));
        fact("Recovery time objective", minutes(p.rto_minutes));
        fact("Recovery point objective", minutes(p.rpo_minutes));
    }
    fact("On record", a.people.iter().map(|p| esc(p)).collect::<Vec<_>>().join(", "));
    fact("Cockpit stopped and resumed", a.resumed.to_string());
}

fn clocks(out: &mut String, a: &Account) {
    out.push_str("\n## Clocks\n");
    table(out, &["Since", "London (UTC)", "Duration"]);
    for clock in &a.clocks {
        let from = clock.from.as_ref().map_or_else(|| "not known".to_owned(), both);
        let elapsed = clock.elapsed_s.map_or_else(|| "not known".to_owned(), span);
        row(out, &[clock.since.to_owned(), from, elapsed]);
    }
    if let Some(until) = &a.until {
        let what = if a.closed.is_some() { "the incident was closed" } else { "the incident is still open" };
        let _ = writeln!(out, "\nCounted until {}: {what}.", both(until));
    }
    match a.rto_met {
        Some(true) => out.push_str("\nThe recovery time objective was met, from disruption to close.\n"),
        Some(false) => {
            out.push_str("\nThe recovery time objective was **missed**, from disruption to close.\n")
        }
        None => {}
    }
    if let Some(reaches) = &a.copy_reaches {
        let _ = writeln!(
            out,
            "\nRecovery point: by the last comparison of everything the restored copy reaches {} at least.",
            esc(reaches)
        );
    }
}

fn scorecard(out: &mut String, a: &Account) {
    let s = &a.scorecard;
    out.push_str("\n## Scorecard\n\n");
    let of = s
        .planned
        .map_or_else(|| "the number of planned items is not known".to_owned(), |n| format!("{n} planned"));
    let _ = writeln!(
        out,
        "- Items: {} verified, {} said done, {} overridden, {} open ({of})",
        s.verified, s.said, s.overridden, s.open
    );
    let _ = writeln!(
        out,
        "- Changes: {} done, {} failed, {} with unknown outcome",
        s.changes_done, s.changes_failed, s.changes_unknown
    );
    if s.reads_done + s.reads_failed + s.reads_unknown > 0 {
        let _ = writeln!(
            out,
            "- Tunnels and comparisons through pods of their own, which change no data: {} done, {} failed, {} with unknown outcome",
            s.reads_done, s.reads_failed, s.reads_unknown
        );
    }
    let _ = writeln!(
        out,
        "- Undo: {} put back, {} waived, {} still open",
        s.undo_put_back, s.undo_waived, s.undo_open
    );
}

fn steps(out: &mut String, a: &Account) {
    out.push_str("\n## Steps\n\nAnswered: time since the declaration. Planned: the runbook's estimate.\n");
    let mut section: Option<&Option<String>> = None;
    for step in &a.steps {
        if section != Some(&step.section) {
            section = Some(&step.section);
            let name = step.section.as_deref().map_or_else(
                || if a.plan.is_some() { "Beyond the plan".to_owned() } else { "Answered".to_owned() },
                esc,
            );
            let _ = writeln!(out, "\n### {name}");
            table(out, &["", "Item", "Planned", "Answered", "Who", "Seen", "Reason"]);
        }
        step_row(out, step);
    }
    if a.steps.is_empty() {
        out.push_str("\nNo item was answered.\n");
    }
}

fn step_row(out: &mut String, step: &Step) {
    let sensed = step.sensed.as_ref().map(|s| {
        let age = s.as_of.map_or_else(|| "never confirmed".to_owned(), |at| format!("as of {}", short(at)));
        format!("{}; {}, {age}", esc(&s.value), esc(&s.source))
    });
    let answered = step.answered.as_ref().map(|at| {
        let after = step.after_s.map(|s| format!("+{}, ", span(s))).unwrap_or_default();
        format!("{after}{}", short(at.utc))
    });
    row(
        out,
        &[
            code(step.mark.sign()),
            esc(if step.title.is_empty() { &step.item } else { &step.title }),
            step.planned_minutes.map(|m| format!("{m} m")).unwrap_or_default(),
            answered.unwrap_or_else(|| "never".to_owned()),
            step.who.as_deref().map(esc).unwrap_or_default(),
            sensed.unwrap_or_default(),
            step.reason.as_deref().map(esc).unwrap_or_default(),
        ],
    );
}

fn changes(out: &mut String, a: &Account) {
    out.push_str("\n## Changes\n");
    if a.changes.is_empty() {
        out.push_str("\nNothing was changed from the cockpit.\n");
        return;
    }
    table(out, &["", "When", "Who", "Target", "Old → new", "Command", "Outcome"]);
    for change in &a.changes {
        change_row(out, change);
    }
}

fn change_row(out: &mut String, c: &Change) {
    let values = match (&c.old, &c.new) {
        (Some(old), Some(new)) => format!("{} → {}", esc(old), esc(new)),
        _ => esc(&c.what),
    };
    let undoes = c.undoes.as_ref().map(|u| format!(", puts back {}", esc(u))).unwrap_or_default();
    let outcome = if c.outcome == "unknown" { "**unknown**" } else { c.outcome };
    row(
        out,
        &[
            esc(&c.id),
            short(c.at.utc),
            esc(&c.who),
            esc(&c.target),
            format!("{values}{undoes}"),
            code(&c.command),
            format!("{outcome}: {}", esc(&c.detail)),
        ],
    );
}

fn overrides(out: &mut String, a: &Account) {
    out.push_str("\n## Overrides\n\n");
    let overridden: Vec<&Step> =
        a.steps.iter().filter(|s| s.mark == super::event::Mark::Overridden).collect();
    for step in &overridden {
        let _ = writeln!(
            out,
            "- {}: {} ({})",
            esc(&step.title),
            step.reason.as_deref().map_or_else(|| "no reason on record".to_owned(), esc),
            step.who.as_deref().map(esc).unwrap_or_default()
        );
    }
    if overridden.is_empty() {
        out.push_str("None.\n");
    }
}

fn ledger(out: &mut String, a: &Account) {
    out.push_str("\n## Undo ledger\n");
    if a.undo.is_empty() {
        out.push_str("\nNothing was captured.\n");
        return;
    }
    table(out, &["", "Captured", "When, who", "State"]);
    for undo in &a.undo {
        row(
            out,
            &[
                esc(&undo.id),
                esc(&undo.captured),
                format!("{}, {}", short(undo.at.utc), esc(&undo.who)),
                ledger_state(undo),
            ],
        );
    }
}

fn ledger_state(undo: &UndoLine) -> String {
    let by = || {
        format!(
            "{} by {}: {}",
            undo.ended_at.as_ref().map(|m| short(m.utc)).unwrap_or_default(),
            undo.ended_by.as_deref().map(esc).unwrap_or_default(),
            undo.words.as_deref().map(esc).unwrap_or_default()
        )
    };
    match (undo.state, &undo.due) {
        ("open", Some(due)) => format!("**still open**, due at {}", code(due)),
        ("open", None) => "**still open**".to_owned(),
        (state, _) => format!("{state} {}", by()),
    }
}

fn notes(out: &mut String, a: &Account) {
    out.push_str("\n## Notes\n\n");
    for note in &a.notes {
        let item = note.item.as_ref().map(|i| format!(", at {}", code(i))).unwrap_or_default();
        let _ = writeln!(out, "- {} {}{item}: {}", both(&note.at), esc(&note.who), esc(&note.text));
    }
    if a.notes.is_empty() {
        out.push_str("None.\n");
    }
}

fn timeline(out: &mut String, a: &Account) {
    out.push_str("\n## Timeline\n");
    table(out, &["", "London", "UTC", "Who", "What"]);
    for line in &a.timeline {
        row(
            out,
            &[
                line.seq.to_string(),
                line.at.london.clone(),
                clock::utc_full(line.at.utc),
                esc(&line.who),
                esc(&line.what),
            ],
        );
    }
    if !a.oddities.is_empty() {
        out.push_str("\nEntries that do not fit what came before them:\n\n");
        for odd in &a.oddities {
            let _ = writeln!(out, "- {}", esc(odd));
        }
    }
}

fn not_known(out: &mut String, a: &Account) {
    out.push_str("\n## What this report does not know\n\n");
    for what in &a.not_known {
        let _ = writeln!(out, "- {}", esc(what));
    }
}

fn integrity(out: &mut String, a: &Account) {
    let id = a.facts.as_ref().map_or("FILE", |f| f.incident.as_str());
    let head = &a.integrity.head_hash;
    let _ = writeln!(
        out,
        "\n## Integrity\n\nMade from {} journal entries. Hash of the last one: {}.\n\nEach line of the journal holds the SHA-256 of itself and of the line before. To check that the journal still holds\nexactly these entries:\n\n```sh\ndrtui incident verify {} --head {head}\n```\n\nWithout drtui, as `sh check.sh JOURNAL`:\n\n```sh\n{RECIPE}\n```",
        a.integrity.entries,
        code(head),
        id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>(),
    );
    if a.exercise {
        out.push_str("\n**EXERCISE EXERCISE EXERCISE**\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_cannot_become_markup() {
        assert_eq!(esc("<b> a|b *c* [d](e) `f` #g\nh"), "&lt;b&gt; a\\|b \\*c\\* \\[d\\](e) \\`f\\` \\#g h");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`x|`"), "`` `x\\|` ``");
    }
}
