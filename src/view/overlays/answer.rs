//! Draws the answer dialog: value, source and age first, then the keys that may answer.

use ratatui::Frame;
use ratatui::text::{Line, Span};

use crate::core::overlays::answer::{Answer, choices};
use crate::core::{Model, sense};
use crate::domain::{Verdict, clock};
use crate::runbook::Item;
use crate::view::parts::{cell, hint, nth, put, window, wrap};
use crate::view::theme::{Role, Theme};

pub fn draw(model: &Model, theme: &Theme, answer: &Answer, frame: &mut Frame<'_>) {
    let Some(item) = model.runbook().and_then(|r| r.item(&answer.item)) else { return };
    let choices = choices(model, item);
    let width = 84.min(frame.area().width);
    let dim = theme.style(Role::Dim);
    let mut lines = vec![Line::default()];
    match &choices.sensed {
        Some(sensed) => {
            let (word, role) = match sensed.verdict {
                Verdict::Pass => ("as it must be", Role::Ok),
                Verdict::Fail => ("NOT as it must be", Role::Danger),
                Verdict::Unknown => ("cannot be judged", Role::Warn),
            };
            lines.extend(labelled(theme, "sensed", &sensed.value, Role::Title, width));
            let age = sensed.as_of.map_or_else(
                || "never heard of".into(),
                |at| format!("{} ago, {}", clock::span(model.now - at), clock::both_s(at)),
            );
            let source = format!("{age} · {}", sensed.source);
            lines.extend(labelled(theme, "as of", &source, Role::Text, width));
            let expects = sense::expectation(model, item).unwrap_or_else(|| "nothing in particular".into());
            lines.extend(labelled(theme, "must be", &expects, Role::Text, width));
            lines.extend(labelled(theme, "verdict", word, role, width));
        }
        None => lines.push(Line::styled("sensed   nothing: only a person can tell", dim)),
    }
    lines.push(Line::default());
    lines.extend(wrap(choices.why, width - 4).into_iter().map(|l| Line::styled(l, theme.style(Role::Text))));
    lines.push(Line::default());
    let offers = [
        (choices.verify, "Enter", "[x] verified"),
        (choices.said, "s", if item.wants_value() { "[~] said, with the value" } else { "[~] said done" }),
        (choices.said && !item.wants_value(), "S", "with value"),
        (true, "o", "[!] override"),
        (item.action.is_some(), "d", "do it"),
        (sense::wants_comparison(item), "c", "compare"),
    ];
    let keys = offers.into_iter().filter(|(offered, ..)| *offered);
    let keys: Vec<Span<'_>> = keys.flat_map(|(_, key, what)| hint(theme, key, what)).collect();
    lines.push(Line::from(keys));
    lines.push(Line::from(
        [("n", "note"), ("v", "details"), ("Esc", "leave")].map(|(k, w)| hint(theme, k, w)).concat(),
    ));
    // What is sensed and the keys come first, the notes as far as there is room.
    let room = usize::from(frame.area().height).saturating_sub(lines.len() + 2);
    lines.splice(0..0, notes(theme, item, width, room));
    let inner = window(&item.title, Role::BorderFocus, theme, (width, lines.len() as u16 + 2), frame);
    for (n, line) in lines.into_iter().enumerate() {
        put(line, nth(inner, n as u16), frame.buffer_mut());
    }
}

/// A label and all of its words.
fn labelled<'a>(theme: &Theme, label: &str, words: &str, role: Role, width: u16) -> Vec<Line<'a>> {
    let lines = wrap(words, width.saturating_sub(13)).into_iter().enumerate();
    lines
        .map(|(n, line)| {
            let label = if n == 0 { label } else { "" };
            Line::from(vec![
                Span::styled(cell(label, 9), theme.style(Role::Dim)),
                Span::styled(line, theme.style(role)),
            ])
        })
        .collect()
}

/// The item's notes, as many lines as there is room for; what is hidden is said.
fn notes<'a>(theme: &Theme, item: &Item, width: u16, room: usize) -> Vec<Line<'a>> {
    let all: Vec<String> = item.notes.iter().flat_map(|n| wrap(n, width - 4)).collect();
    let room = room.clamp(2, 11);
    let hidden = if all.len() > room { all.len() + 1 - room } else { 0 };
    let room = if hidden > 0 { room - 1 } else { room };
    let shown = all.into_iter().take(room);
    let mut lines: Vec<Line<'_>> = shown.map(|l| Line::styled(l, theme.style(Role::Dim))).collect();
    if hidden > 0 {
        lines.push(Line::styled(format!("… {hidden} lines more: v shows them"), theme.style(Role::Warn)));
    }
    lines
}
