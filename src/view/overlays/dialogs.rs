//! Draws the smaller dialogs: palette, prompt, ledger, opening form.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{field, form_end};
use crate::core::Model;
use crate::core::command::label;
use crate::core::overlays::ledger::Ledger;
use crate::core::overlays::opening::Opening;
use crate::core::overlays::palette::Palette;
use crate::core::overlays::prompt::Prompt;
use crate::domain::{clock, text};
use crate::incident::words::captured;
use crate::view::parts::{cell, cell_right, ends, highlight, hint, nth, put, window, wrap};
use crate::view::theme::{Role, Theme};

pub fn palette(model: &Model, theme: &Theme, it: &Palette, frame: &mut Frame<'_>) {
    let height = 20.min(frame.area().height);
    let inner = window("Commands", Role::BorderFocus, theme, (90, height), frame);
    field(": ", &it.input, true, theme, nth(inner, 0), frame);
    let rows = Rect::new(inner.x, inner.y + 2, inner.width, inner.height.saturating_sub(2));
    let found = it.matches(model);
    let entered = it.entered(model).is_some();
    let first = (it.selected + 1).saturating_sub(usize::from(rows.height));
    let buffer = frame.buffer_mut();
    let summary = usize::from(rows.width).saturating_sub(32);
    if found.is_empty() {
        put(Line::styled("No command matches.", theme.style(Role::Dim)), rows, buffer);
    }
    for (n, spec) in found.iter().skip(first).take(usize::from(rows.height)).enumerate() {
        let key = spec.keys.first().map(|k| label(k)).unwrap_or_default();
        let name = format!("{} {}", spec.name, spec.argument);
        let line = Line::from(vec![
            Span::styled(cell(&name, 24), theme.style(Role::Text)),
            Span::styled(cell_right(&key, 6), theme.style(Role::Key)),
            Span::styled(format!("  {}", text::fit(spec.summary, summary)), theme.style(Role::Dim)),
        ]);
        put(line, nth(rows, n as u16), buffer);
        // Marked is what Enter would run.
        if first + n == it.selected && entered {
            highlight(nth(rows, n as u16), theme.style(Role::Selected), buffer);
        }
    }
}

pub fn prompt(model: &Model, theme: &Theme, it: &Prompt, frame: &mut Frame<'_>) {
    let width = 90.min(frame.area().width);
    let label = wrap(&it.label(), width.saturating_sub(4));
    // A value of a kind is echoed as it would go on record, before it does.
    let echo = it.understood(model.now).map(|value| match value {
        Ok(value) => (format!("= {value}"), Role::Info),
        Err(_) => ("?".to_owned(), Role::Dim),
    });
    let rows = label.len() as u16 + 4 + u16::from(echo.is_some());
    let inner = window(&it.title(), Role::BorderFocus, theme, (width, rows), frame);
    for (n, line) in label.iter().enumerate() {
        put(Line::styled(line.clone(), theme.style(Role::Title)), nth(inner, n as u16), frame.buffer_mut());
    }
    let rest = label.len() as u16;
    field("> ", &it.input, true, theme, nth(inner, rest), frame);
    let below = rest + 1 + u16::from(echo.is_some());
    if let Some((words, role)) = echo {
        put(Line::styled(words, theme.style(role)), nth(inner, rest + 1), frame.buffer_mut());
    }
    let keys = [hint(theme, "Enter", "keep"), hint(theme, "Esc", "leave")].concat();
    put(Line::from(keys), nth(inner, below), frame.buffer_mut());
}

pub fn ledger(model: &Model, theme: &Theme, it: &Ledger, frame: &mut Frame<'_>) {
    let records = model.session.as_ref().map_or(&[][..], |s| s.state.ledger.as_slice());
    let height = (records.len() as u16 + 5).min(frame.area().height);
    let inner =
        window("Undo ledger: what must still be put back", Role::BorderFocus, theme, (100, height), frame);
    let rows = Rect::new(inner.x, inner.y, inner.width, inner.height.saturating_sub(2));
    let first = (it.selected + 1).saturating_sub(usize::from(rows.height));
    let buffer = frame.buffer_mut();
    if records.is_empty() {
        let words = if model.session.is_some() {
            "Nothing was changed so far."
        } else {
            "No incident is open: there is no ledger."
        };
        put(Line::styled(words, theme.style(Role::Dim)), rows, buffer);
    }
    for (n, record) in records.iter().skip(first).take(usize::from(rows.height)).enumerate() {
        let (state, role) = match &record.ended {
            None => ("OPEN".to_owned(), Role::Warn),
            Some(end) if end.put_back => (format!("put back {}", clock::london_hm(end.at)), Role::Ok),
            Some(_) => ("WAIVED".to_owned(), Role::Danger),
        };
        let why = record
            .ended
            .as_ref()
            .filter(|e| !e.put_back)
            .map_or_else(String::new, |e| format!(" · {}: {}", e.who, e.words));
        let spans = vec![
            Span::styled(cell(&record.undo.id, 5), theme.style(Role::Key)),
            Span::styled(cell(&state, 20), theme.style(role)),
            Span::styled(model.target.shorten(&captured(&record.undo)), theme.style(Role::Text)),
            Span::styled(why, theme.style(Role::Danger)),
        ];
        let line = ends(spans, Vec::new(), rows.width);
        put(line, nth(rows, n as u16), buffer);
        if first + n == it.selected {
            highlight(nth(rows, n as u16), theme.style(Role::Selected), buffer);
        }
    }
    let keys = [
        hint(theme, "b", "put back"),
        hint(theme, "w", "waive, saying why"),
        hint(theme, "x", "open a waived one again"),
        hint(theme, "Esc", "leave"),
    ]
    .concat();
    put(Line::from(keys), nth(inner, inner.height.saturating_sub(1)), buffer);
}

pub fn opening(model: &Model, theme: &Theme, it: &Opening, frame: &mut Frame<'_>) {
    let width = 92.min(frame.area().width);
    let inner = window("Open an incident", Role::BorderFocus, theme, (width, 14), frame);
    let runbook = model.runbooks.get(it.runbook);
    let title = runbook.map_or("none could be read", |r| r.title.as_str());
    let drill = if model.target.exercise {
        "EXERCISE: the record says that this is a drill."
    } else {
        "This is not a drill."
    };
    let dim = theme.style(Role::Dim);
    let picked = theme.style(if it.field == 0 { Role::Input } else { Role::Text });
    let more = if model.runbooks.len() > 1 {
        format!(" {} of {}, ← →", it.runbook + 1, model.runbooks.len())
    } else {
        String::new()
    };
    let buffer = frame.buffer_mut();
    put(Line::styled(drill, theme.style(Role::Warn)), nth(inner, 0), buffer);
    put(
        Line::from(vec![
            Span::styled("runbook  ", dim),
            Span::styled(title.to_owned(), picked),
            Span::styled(more, dim),
        ]),
        nth(inner, 2),
        buffer,
    );
    let condition = runbook.map_or_else(String::new, |r| format!("when {}", r.condition));
    put(Line::styled(condition, dim), nth(inner, 3), buffer);
    put(
        Line::styled("Times: 13:41 or 13:41:07 or 2026-11-20 13:41 (London), 13:41Z (UTC).", dim),
        nth(inner, 8),
        buffer,
    );
    form_end(theme, it.problem.as_deref(), 9, inner, buffer);
    for (n, label, input) in
        [(1, "began    (blank: not known) ", &it.began), (2, "noticed  (blank: now)       ", &it.noticed)]
    {
        let row = nth(inner, 4 + n as u16);
        let half = Rect::new(row.x, row.y, row.width.min(54), row.height);
        field(label, input, it.field == n, theme, half, frame);
        let rest = Rect::new(row.x + half.width, row.y, row.width - half.width, row.height);
        let words = format!(" {}", it.understood(model, input));
        put(Line::styled(words, theme.style(Role::Info)), rest, frame.buffer_mut());
    }
}
