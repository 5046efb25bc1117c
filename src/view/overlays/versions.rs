//! Draws both versions of one value as one text: lines of LIVE before those of PTR, what differs in `[…]` and in colour.

use ratatui::Frame;
use ratatui::text::{Line, Span};

use crate::core::Model;
use crate::core::overlays::versions::{Versions, shown};
use crate::core::panes::compare_diff::{self, Whose};
use crate::view::parts::{hint, nth, put, window};
use crate::view::theme::{Role, Theme};

/// Width of the word before a line.
const WORD: usize = 6;

pub fn draw(model: &Model, theme: &Theme, it: &Versions, frame: &mut Frame<'_>) {
    let size = (frame.area().width.saturating_sub(4).min(140), frame.area().height.saturating_sub(4));
    let Some(content) = shown(model, it.column) else {
        window("The row is not there any more", Role::BorderFocus, theme, (50, 4), frame);
        return;
    };
    let inner = window(&content.title, Role::BorderFocus, theme, size, frame);
    let width = usize::from(inner.width).saturating_sub(WORD).max(4);
    let mut lines: Vec<Line<'_>> =
        content.remarks.iter().map(|r| Line::styled(r.clone(), theme.style(Role::Warn))).collect();
    for line in &content.lines {
        lines.extend(wrapped(theme, line, width));
    }
    let room = usize::from(inner.height.saturating_sub(1));
    let top = it.top.min(lines.len().saturating_sub(room));
    let more = lines.len().saturating_sub(top + room);
    for (n, line) in lines.into_iter().skip(top).take(room).enumerate() {
        put(line, nth(inner, n as u16), frame.buffer_mut());
    }
    let scroll = if more > 0 { format!("{more} lines more") } else { "scroll".into() };
    let keys = [
        hint(theme, "↑↓", &scroll),
        hint(theme, "y", "copy the PTR version"),
        hint(theme, "f", "fetch the whole"),
        hint(theme, "Esc", "leave"),
    ]
    .concat();
    put(Line::from(keys), nth(inner, inner.height.saturating_sub(1)), frame.buffer_mut());
}

/// A line in as many rows as it needs, its word before the first.
fn wrapped<'a>(theme: &Theme, line: &compare_diff::Line, width: usize) -> Vec<Line<'a>> {
    let (word, role) = match line.whose {
        Whose::Both => ("", Role::Text),
        Whose::Live => ("LIVE", Role::Live),
        Whose::Restored => ("PTR", Role::Ptr),
    };
    // What the line holds, character by character, with whether it differs.
    let mut cells: Vec<(bool, char)> = Vec::new();
    for (differs, text) in &line.pieces {
        let marked = *differs && line.whose != Whose::Both;
        cells.extend(marked.then_some((true, '[')));
        cells.extend(text.chars().map(|c| (marked, c)));
        cells.extend(marked.then_some((true, ']')));
    }
    let mut rows: Vec<Vec<(bool, char)>> = vec![Vec::new()];
    let mut used = 0;
    for (marked, c) in cells {
        let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + wide > width {
            rows.push(Vec::new());
            used = 0;
        }
        used += wide;
        if let Some(last) = rows.last_mut() {
            last.push((marked, c));
        }
    }
    let body = theme.style(if line.whose == Whose::Both { Role::Dim } else { Role::Text });
    let draw = |(n, row): (usize, Vec<(bool, char)>)| {
        let word = if n == 0 { word } else { "" };
        let mut spans = vec![Span::styled(format!("{word:WORD$}"), theme.style(role))];
        for group in row.chunk_by(|a, b| a.0 == b.0) {
            let marked = group.first().is_some_and(|(m, _)| *m);
            let text: String = group.iter().map(|(_, c)| *c).collect();
            spans.push(Span::styled(text, if marked { theme.style(Role::Match) } else { body }));
        }
        Line::from(spans)
    };
    rows.into_iter().enumerate().map(draw).collect()
}
