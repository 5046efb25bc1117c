//! Draws Replicas: only the rows that show.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::empty;
use crate::core::Model;
use crate::core::panes::{PaneId, replicas};
use crate::domain::{Deployment, Source, text};
use crate::view::parts::{cell, cell_right, draw_rows, nth, put, row_style};
use crate::view::theme::{Role, Theme};

/// Width of the number columns.
const NUMBER: usize = 6;

pub fn draw(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    let rows = replicas::rows(model);
    let body = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    let list = &model.panes.replicas;
    let shown = rows.iter().skip(list.top).take(usize::from(body.height));
    let columns = Columns::of(model, area.width, shown.filter_map(|k| replicas::deployment(model, k)));
    put(head(theme, &columns), nth(area, 0), buffer);
    if rows.is_empty() {
        let text = empty(model, PaneId::Replicas, "No deployment of this environment exists here.");
        put(Line::styled(text, theme.style(Role::Dim)), body, buffer);
        return;
    }
    draw_rows(list, &rows, body, row_style(theme, true, focused), buffer, |key| {
        replicas::deployment(model, key).map(|d| row(model, theme, d, &columns))
    });
}

/// Widths of the columns that are not numbers.
struct Columns {
    wide: bool,
    name: usize,
    state: usize,
}

impl Columns {
    /// Names get what the states that show leave free, if they need it.
    fn of<'d>(model: &Model, width: u16, shown: impl Iterator<Item = &'d Deployment>) -> Columns {
        let wide = width >= 74;
        let width = usize::from(width);
        let numbers = if wide { NUMBER * 6 + 7 } else { NUMBER * 3 };
        let state = if wide { (width / 4).max(14) } else { (width / 4).clamp(12, 22) };
        let room = width.saturating_sub(numbers + 3);
        let (mut longest_name, mut longest_state) = (0, "STATE".len());
        for d in shown {
            longest_name = longest_name.max(d.key.name.width());
            longest_state = longest_state.max(replicas::status(model, d).width());
        }
        let least = room.saturating_sub(state);
        let name = longest_name.clamp(least, room.saturating_sub(longest_state).max(least));
        Columns { wide, name, state: room - name }
    }
}

fn head<'a>(theme: &Theme, columns: &Columns) -> Line<'a> {
    let mut line = format!("  {}", cell("DEPLOYMENT", columns.name));
    let numbers: &[&str] = if columns.wide {
        &["WANT", "READY", "UPD", "AVAIL", "WAS", "RST"]
    } else {
        &["WANT", "READY", "WAS"]
    };
    for n in numbers {
        line.push_str(&cell_right(n, NUMBER));
    }
    if columns.wide {
        line.push_str(&cell_right("HPA", 7));
    }
    line.push(' ');
    line.push_str(&cell("STATE", columns.state));
    Line::styled(line, theme.style(Role::Dim))
}

fn row<'a>(model: &Model, theme: &Theme, d: &Deployment, columns: &Columns) -> Line<'a> {
    let Columns { wide, name, state } = *columns;
    let stale = model.unwell(Source::Kubernetes);
    let plain = theme.style(if stale { Role::Stale } else { Role::Text });
    let own = model.target.owns(&d.key.name);
    let was = replicas::was(model, &d.key);
    let mark = if model.panes.replicas.marked.contains(&d.key) { "▌ " } else { "  " };
    let moving = d.ready != d.wanted || d.total != d.wanted;
    let ready = theme.style(if stale {
        Role::Stale
    } else if moving {
        Role::Warn
    } else {
        Role::Ok
    });
    let mut spans = vec![
        Span::styled(mark, theme.style(Role::Key)),
        Span::styled(
            cell(&text::fit_middle(&d.key.name, name), name),
            if own { plain } else { theme.style(Role::Dim) },
        ),
        Span::styled(cell_right(&d.wanted.to_string(), NUMBER), plain),
        Span::styled(cell_right(&d.ready.to_string(), NUMBER), ready),
    ];
    let was_text = was.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let was_style = theme.style(if was.is_some() { Role::Info } else { Role::Dim });
    if wide {
        spans.push(Span::styled(cell_right(&d.updated.to_string(), NUMBER), plain));
        spans.push(Span::styled(cell_right(&d.available.to_string(), NUMBER), plain));
        spans.push(Span::styled(cell_right(&was_text, NUMBER), was_style));
        spans.push(Span::styled(
            cell_right(&d.restarts.to_string(), NUMBER),
            if d.restarts > 0 { theme.style(Role::Warn) } else { plain },
        ));
        let hpa = d.hpa.as_ref().map_or_else(|| "-".to_owned(), |h| format!("{}–{}", h.min, h.max));
        spans.push(Span::styled(cell_right(&hpa, 7), theme.style(Role::Dim)));
    } else {
        spans.push(Span::styled(cell_right(&was_text, NUMBER), was_style));
    }
    let words = replicas::status(model, d);
    let role = if replicas::drift(model, d).is_some() || !d.waiting.is_empty() {
        Role::Danger
    } else if moving {
        Role::Warn
    } else {
        Role::Dim
    };
    spans.push(Span::raw(" "));
    spans.push(Span::styled(cell(&words, state), theme.style(role)));
    Line::from(spans)
}
