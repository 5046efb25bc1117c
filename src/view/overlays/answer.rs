//! Draws the answer dialog: value, source and age first, then the keys that may answer.

use ratatui::Frame;
use ratatui::text::{Line, Span};

use crate::core::overlays::answer::{Answer, choices};
use crate::core::{Model, sense};
use crate::domain::{Verdict, clock};
use crate::runbook::Item;
use crate::view::parts::{hint, nth, put, window, wrap};
use crate::view::theme::{Role, Theme};

pub fn draw(model: &Model, theme: &Theme, answer: &Answer, frame: &mut Frame<'_>) {
    let Some(item) = model.runbook().and_then(|r| r.item(&answer.item)) else { return };
    let choices = choices(model, item);
    let width = 84.min(frame.area().width);
    let dim = theme.style(Role::Dim);
    let mut lines = Vec::new();
    lines.extend(notes(theme, item, width, frame.area().height));
    lines.push(Line::default());
    match &choices.sensed {
        Some(sensed) => {
            let (word, role) = match sensed.verdict {
                Verdict::Pass => ("as it must be", Role::Ok),
                Verdict::Fail => ("NOT as it must be", Role::Danger),
                Verdict::Unknown => ("cannot be judged", Role::Warn),
            };
            lines.push(Line::from(vec![
                Span::styled("sensed   ", dim),
                Span::styled(sensed.value.clone(), theme.style(Role::Title)),
            ]));
            let age = sensed.as_of.map_or_else(
                || "never heard of".into(),
                |at| format!("{} ago, {}", clock::span(model.now - at), clock::both_s(at)),
            );
            lines.push(Line::from(vec![
                Span::styled("source   ", dim),
                Span::raw(format!("{} · {age}", sensed.source)),
            ]));
            let expects = sense::expectation(model, item).unwrap_or_else(|| "nothing in particular".into());
            lines.push(Line::from(vec![Span::styled("must be  ", dim), Span::raw(expects)]));
            lines.push(Line::from(vec![
                Span::styled("verdict  ", dim),
                Span::styled(word, theme.style(role)),
            ]));
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
    let inner = window(&item.title, Role::BorderFocus, theme, (width, lines.len() as u16 + 2), frame);
    for (n, line) in lines.into_iter().enumerate() {
        put(line, nth(inner, n as u16), frame.buffer_mut());
    }
}

/// The item's notes, as many lines as there is room for; what is hidden is said.
fn notes<'a>(theme: &Theme, item: &Item, width: u16, height: u16) -> Vec<Line<'a>> {
    let all: Vec<String> = item.notes.iter().flat_map(|n| wrap(n, width - 4)).collect();
    let room = usize::from(height).saturating_sub(14).clamp(2, 10);
    let hidden = all.len().saturating_sub(room);
    let shown = all.into_iter().take(room);
    let mut lines: Vec<Line<'_>> = shown.map(|l| Line::styled(l, theme.style(Role::Dim))).collect();
    if hidden > 0 {
        lines.push(Line::styled(format!("… {hidden} lines more: v shows them"), theme.style(Role::Warn)));
    }
    lines
}
