//! Draws the query box: one SELECT, LIVE's answer left, the copy's right.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::field;
use crate::compare::{Side, Value};
use crate::core::overlays::query::{Query, Reply};
use crate::core::panes::compare_value::{around, shown};
use crate::domain::text;
use crate::view::panes::compare_rows::{side_role, side_word};
use crate::view::parts::{cell, hint, nth, put, window, wrap};
use crate::view::theme::{Role, Theme};

/// Widest column of an answer.
const COLUMN: usize = 30;

pub fn draw(theme: &Theme, it: &Query, frame: &mut Frame<'_>) {
    let size = (frame.area().width.saturating_sub(2), frame.area().height.saturating_sub(2));
    let inner = window("Ask both databases one SELECT", Role::BorderFocus, theme, size, frame);
    field("SELECT> ", &it.input, !it.reading, theme, nth(inner, 0), frame);
    let (words, role) = match &it.problem {
        Some(why) => (format!("NOT asked: {why}"), Role::Danger),
        None => (
            "Reads only, on both; 200 rows and 10 s at most; nothing of it goes on record.".to_owned(),
            Role::Dim,
        ),
    };
    put(Line::styled(words, theme.style(role)), nth(inner, 1), frame.buffer_mut());
    let body = Rect::new(inner.x, inner.y + 2, inner.width, inner.height.saturating_sub(3));
    let half = body.width / 2;
    let place = |side: Side| match side {
        Side::Live => Rect::new(body.x, body.y, half, body.height),
        Side::Restored => Rect::new(body.x + half, body.y, body.width - half, body.height),
    };
    for side in Side::BOTH {
        let replies = it.answers.as_ref().map(|(live, restored)| match side {
            Side::Live => (live, restored),
            Side::Restored => (restored, live),
        });
        answer(theme, it, side, replies, place(side), frame);
    }
    let keys = [
        hint(theme, "Enter", "ask"),
        hint(theme, "Tab", if it.reading { "type" } else { "read: ← →" }),
        hint(theme, "↑↓", "rows"),
        hint(theme, "Esc", "leave"),
    ]
    .concat();
    put(Line::from(keys), nth(inner, inner.height.saturating_sub(1)), frame.buffer_mut());
}

fn answer(
    theme: &Theme,
    it: &Query,
    side: Side,
    replies: Option<(&Reply, &Reply)>,
    area: Rect,
    frame: &mut Frame<'_>,
) {
    let buffer = frame.buffer_mut();
    let server = match side {
        Side::Live => &it.request.live,
        Side::Restored => &it.request.restored,
    };
    let state = match replies {
        Some((Reply::Rows { rows, more, cut, took_ms, .. }, _)) => {
            let rows = text::counted(rows.len(), "row");
            let first = if *more { "the first " } else { "" };
            let cut = if *cut { ", long values CUT" } else { "" };
            format!("{first}{rows} in {took_ms} ms{cut}")
        }
        Some((Reply::Failed { .. }, _)) => "failed".into(),
        None if it.asked.is_some() => "asked…".into(),
        None => String::new(),
    };
    let word = side_word(side);
    let room = usize::from(area.width).saturating_sub(word.len() + state.width() + 6);
    let head = Line::from(vec![
        Span::styled("│ ", theme.style(Role::Dim)),
        Span::styled(format!(" {word} "), theme.style(side_role(side))),
        Span::styled(format!(" {state} {}", text::fit_end(server, room)), theme.style(Role::Dim)),
    ]);
    put(head, nth(area, 0), buffer);
    match replies {
        Some((Reply::Rows { columns, rows, .. }, other)) => {
            let widths = widths(columns, rows);
            let mut names = String::from("│ ");
            for (name, wide) in columns.iter().zip(&widths).skip(it.left) {
                names.push_str(&format!(" {} ", cell(&text::clean(name), *wide)));
            }
            put(Line::styled(names, theme.style(Role::Title)), nth(area, 1), buffer);
            for (n, row) in
                rows.iter().enumerate().skip(it.top).take(usize::from(area.height.saturating_sub(2)))
            {
                let line = nth(area, (n - it.top) as u16 + 2);
                put(one_row(theme, row, same_row(other, n), &widths, it.left), line, buffer);
            }
        }
        Some((Reply::Failed { why }, _)) => {
            for (n, part) in wrap(&text::clean(why), area.width.saturating_sub(3)).into_iter().enumerate() {
                let line = Line::styled(format!("│ {part}"), theme.style(Role::Danger));
                put(line, nth(area, n as u16 + 1), buffer);
            }
        }
        None => {}
    }
}

fn same_row(other: &Reply, n: usize) -> Option<&Vec<Option<String>>> {
    match other {
        Reply::Rows { rows, .. } => rows.get(n),
        Reply::Failed { .. } => None,
    }
}

fn widths(columns: &[String], rows: &[Vec<Option<String>>]) -> Vec<usize> {
    let wanted = |n: usize, name: &String| {
        let values = rows.iter().filter_map(|r| r.get(n)).map(|v| words(v.as_ref()).width());
        values.chain([name.width()]).max().unwrap_or(0).clamp(3, COLUMN)
    };
    columns.iter().enumerate().map(|(n, name)| wanted(n, name)).collect()
}

fn words(value: Option<&String>) -> String {
    let value = value.map(|text| Value { text: text.clone(), cut: None });
    shown(value.as_ref())
}

/// A row; values that are not as in the same row of the other side have the sign and the colour of a difference.
fn one_row<'a>(
    theme: &Theme,
    row: &[Option<String>],
    other: Option<&Vec<Option<String>>>,
    widths: &[usize],
    left: usize,
) -> Line<'a> {
    let mut spans = vec![Span::styled("│ ", theme.style(Role::Dim))];
    for (n, (value, wide)) in row.iter().zip(widths).enumerate().skip(left) {
        let there = other.and_then(|o| o.get(n));
        let same = there == Some(value);
        let seen = words(value.as_ref());
        let seen = there.map_or(seen.clone(), |o| around(&seen, &words(o.as_ref()), *wide));
        let (sign, role) = match (same, value) {
            (false, _) => ('≠', Role::Match),
            (true, None) => (' ', Role::Stale),
            (true, Some(_)) => (' ', Role::Text),
        };
        spans.push(Span::styled(format!("{sign}{} ", cell(&seen, *wide)), theme.style(role)));
    }
    Line::from(spans)
}
