//! Draws Timeline: what is on record stands out from what only passed by.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::empty;
use crate::core::Model;
use crate::core::panes::PaneId;
use crate::core::panes::timeline::{self, Kind, Row};
use crate::domain::{Utc, clock};
use crate::incident::{Event, Mark, Outcome};
use crate::view::parts::{cell, draw_rows, mark_role, nth, put, row_style, wrap};
use crate::view::theme::{Role, Theme};

pub fn draw(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let rows = timeline::rows(model);
    let buffer = frame.buffer_mut();
    if rows.is_empty() {
        let text = empty(model, PaneId::Timeline, "Nothing has happened yet.");
        put(Line::styled(text, theme.style(Role::Dim)), area, buffer);
        return;
    }
    let list = &model.panes.timeline;
    let detail = timeline::detail_lines(area.height);
    let body = Rect::new(area.x, area.y, area.width, area.height - detail);
    draw_rows(list, &rows, body, row_style(theme, true, focused), buffer, |row| {
        Some(text(model, theme, row, area.width))
    });
    let below = Rect::new(area.x, body.y + body.height, area.width, detail);
    if let Some(row) = &list.selected {
        put(
            Line::styled("─".repeat(usize::from(area.width)), theme.style(Role::Border)),
            nth(below, 0),
            buffer,
        );
        let whole = format!("{}: {}", clock::utc_full(row.at), timeline::text(model, row));
        for (n, line) in wrap(&whole, area.width).into_iter().enumerate() {
            put(Line::styled(line, theme.style(Role::Dim)), nth(below, n as u16 + 1), buffer);
        }
    }
}

fn text<'a>(model: &Model, theme: &Theme, row: &Row, width: u16) -> Line<'a> {
    let (sign, role, who) = match row.kind {
        Kind::News(_) => ("·", Role::Dim, ""),
        Kind::Entry(seq) => match timeline::entry(model, seq) {
            Some(entry) => {
                let (sign, role) = looks(&entry.event);
                (sign, role, entry.author().split('@').next().unwrap_or(""))
            }
            None => ("?", Role::Dim, ""),
        },
    };
    let mut spans = vec![
        Span::styled(format!("{} ", when(model, row.at)), theme.style(Role::Dim)),
        Span::styled(format!("{sign} "), theme.style(role)),
    ];
    if width >= 90 {
        spans.push(Span::styled(format!("{} ", cell(who, 8)), theme.style(Role::Dim)));
    }
    spans.push(Span::styled(model.target.shorten(&timeline::text(model, row)), theme.style(role)));
    Line::from(spans)
}

/// The clock time; with day and zone where those are not today's and not the one in the pane's title.
fn when(model: &Model, at: Utc) -> String {
    let same = clock::london_date(at) == clock::london_date(model.now)
        && clock::london_zone(at) == clock::london_zone(model.now);
    if same { clock::london_hms(at) } else { clock::london_day(at) }
}

fn looks(event: &Event) -> (&'static str, Role) {
    match event {
        Event::Answered { mark: Mark::Open, .. } => ("*", Role::Text),
        Event::Answered { mark, .. } => ("*", mark_role(*mark)),
        Event::Finished { outcome: Outcome::Done { .. }, .. } => ("+", Role::Ok),
        Event::Finished { .. } => ("✗", Role::Danger),
        Event::Intended { .. } | Event::Armed { .. } | Event::Waived { .. } | Event::Unwaived { .. } => {
            ("!", Role::Warn)
        }
        Event::Undone { .. } => ("+", Role::Ok),
        Event::Noted { .. } => ("\"", Role::Info),
        Event::Observed { .. } => ("o", Role::Text),
        _ => ("*", Role::Text),
    }
}
