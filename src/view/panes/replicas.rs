//! Draws Replicas: only the rows that show.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::empty;
use crate::core::Model;
use crate::core::panes::{PaneId, replicas};
use crate::domain::{Deployment, Source, text};
use crate::view::parts::{cell, cell_right, draw_rows, nth, put, row_style};
use crate::view::theme::{Role, Theme};

/// Number columns, with their widths. The narrow pane has those of [`NARROW`] only.
const NUMBERS: [(&str, usize); 7] =
    [("WANT", 5), ("READY", 6), ("UPD", 5), ("AVAIL", 6), ("WAS", 5), ("RST", 5), ("HPA", 6)];
const NARROW: [&str; 3] = ["WANT", "READY", "WAS"];

pub fn draw(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    let rows = replicas::rows(model);
    let body = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    let list = &model.panes.replicas;
    let columns = Columns::of(area.width, rows.iter().map(|k| k.name.width()).max().unwrap_or_default());
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

/// The columns that a width has room for. What a row is doing moves none of them.
struct Columns {
    numbers: Vec<(&'static str, usize)>,
    name: usize,
    state: usize,
}

impl Columns {
    /// Names get what they need, as long as states keep their least.
    fn of(width: u16, longest_name: usize) -> Columns {
        let wide = width >= 74;
        let numbers: Vec<_> = NUMBERS.into_iter().filter(|(name, _)| wide || NARROW.contains(name)).collect();
        let least_state = if width >= 100 { 24 } else { 14 };
        let least_name = "DEPLOYMENT".len();
        let room = usize::from(width).saturating_sub(numbers.iter().map(|(_, w)| w).sum::<usize>() + 3);
        let name = longest_name.clamp(least_name, room.saturating_sub(least_state).max(least_name));
        Columns { numbers, name, state: room.saturating_sub(name) }
    }
}

fn head<'a>(theme: &Theme, columns: &Columns) -> Line<'a> {
    let mut line = format!("  {}", cell("DEPLOYMENT", columns.name));
    for (name, width) in &columns.numbers {
        line.push_str(&cell_right(name, *width));
    }
    line.push(' ');
    line.push_str(&cell("STATE", columns.state));
    Line::styled(line, theme.style(Role::Dim))
}

fn row<'a>(model: &Model, theme: &Theme, d: &Deployment, columns: &Columns) -> Line<'a> {
    let stale = model.unwell(Source::Kubernetes);
    let plain = theme.style(if stale { Role::Stale } else { Role::Text });
    let own = model.target.owns(&d.key.name);
    let mark = if model.panes.replicas.marked.contains(&d.key) { "▌ " } else { "  " };
    let mut spans = vec![
        Span::styled(mark, theme.style(Role::Key)),
        Span::styled(
            cell(&text::fit_middle(&d.key.name, columns.name), columns.name),
            if own { plain } else { theme.style(Role::Dim) },
        ),
    ];
    for (column, width) in &columns.numbers {
        let (text, style) = number(model, theme, d, column, plain);
        spans.push(Span::styled(cell_right(&text, *width), style));
    }
    let words = replicas::status(model, d);
    let role = if replicas::drift(model, d).is_some() || !d.waiting.is_empty() {
        Role::Danger
    } else if moving(d) {
        Role::Warn
    } else {
        Role::Dim
    };
    spans.push(Span::raw(" "));
    spans.push(Span::styled(cell(&words, columns.state), theme.style(role)));
    Line::from(spans)
}

/// Not yet what was asked for.
fn moving(d: &Deployment) -> bool {
    d.ready != d.wanted || d.total != d.wanted
}

fn number(model: &Model, theme: &Theme, d: &Deployment, column: &str, plain: Style) -> (String, Style) {
    let stale = model.unwell(Source::Kubernetes);
    match column {
        "WANT" => (d.wanted.to_string(), plain),
        "READY" if stale => (d.ready.to_string(), plain),
        "READY" => (d.ready.to_string(), theme.style(if moving(d) { Role::Warn } else { Role::Ok })),
        "UPD" => (d.updated.to_string(), plain),
        "AVAIL" => (d.available.to_string(), plain),
        "WAS" => match replicas::was(model, &d.key) {
            Some(was) => (was.to_string(), theme.style(Role::Info)),
            None => ("-".to_owned(), theme.style(Role::Dim)),
        },
        "RST" if d.restarts > 0 => (d.restarts.to_string(), theme.style(Role::Warn)),
        "RST" => (d.restarts.to_string(), plain),
        _ => {
            let hpa = d.hpa.as_ref().map_or_else(|| "-".to_owned(), |h| format!("{}–{}", h.min, h.max));
            (hpa, theme.style(Role::Dim))
        }
    }
}
