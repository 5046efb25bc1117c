//! Draws Compare: what it means on top, then the tables, those that lost most first. LIVE left, PTR right, always.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{compare_rows, empty};
use crate::compare::{RowKind, Verdict};
use crate::core::Model;
use crate::core::comparison::Table;
use crate::core::panes::PaneId;
use crate::core::panes::compare::{self, Level};
use crate::core::panes::compare_head::{self, Head};
use crate::core::panes::compare_past;
use crate::domain::text;
use crate::view::parts::{cell, cell_right, highlight, nth, put, row_style, wrap};
use crate::view::theme::{Role, Theme};

/// Width of a count.
const NUMBER: usize = 8;

pub fn draw(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    if model.compare.is_none() {
        nothing(model, theme, area, frame);
        return;
    }
    let head = compare_head::head(model);
    for (n, line) in head.iter().enumerate() {
        put(head_line(theme, line), nth(area, n as u16), frame.buffer_mut());
    }
    let top = (head.len() as u16).min(area.height);
    let area = Rect::new(area.x, area.y + top, area.width, area.height - top);
    match model.panes.compare.level {
        Level::Tables => tables(model, theme, focused, area, frame),
        Level::Rows => compare_rows::rows(model, theme, focused, area, frame),
        Level::Columns => compare_rows::columns(model, theme, focused, area, frame),
    }
}

/// What to do, and what the record holds of an earlier run.
fn nothing(model: &Model, theme: &Theme, area: Rect, frame: &mut Frame<'_>) {
    let past = compare_past::lines(model);
    let first = if past.is_empty() {
        let words = "Nothing is compared yet. c compares LIVE with its PTR copy: reads only, on both.";
        Head::Progress(words.to_owned())
    } else {
        Head::Conclusion("Compare again: c. Reads only, on both.".to_owned())
    };
    let mut line = 0;
    for head in std::iter::once(first).chain(past) {
        let styled = head_line(theme, &head);
        for part in wrap(&styled.to_string(), area.width) {
            if line < area.height {
                put(Line::styled(part, styled.style), nth(area, line), frame.buffer_mut());
            }
            line += 1;
        }
    }
}

fn head_line<'a>(theme: &Theme, head: &Head) -> Line<'a> {
    let (words, role) = match head {
        Head::Progress(words) => (words, Role::Dim),
        Head::Conclusion(words) => (words, Role::Title),
        Head::Meaning(words) => (words, Role::Info),
        Head::Caution(words) => (words, Role::Warn),
    };
    let sign = if matches!(head, Head::Caution(_)) { "! " } else { "" };
    Line::styled(format!("{sign}{words}"), theme.style(role))
}

/// Which counts there is room for, how many from which on: what was lost and changed before how many rows there are.
fn shown(width: u16) -> (usize, usize) {
    match width {
        0..60 => (2, 2),
        60..76 => (3, 2),
        _ => (5, 0),
    }
}

/// Width of the name and of the verdict.
fn widths(width: u16) -> (usize, usize) {
    let rest = usize::from(width).saturating_sub(shown(width).0 * (NUMBER + 1));
    let verdict = (rest * 3 / 7).clamp(9, 40);
    (rest.saturating_sub(verdict).max(6), verdict)
}

fn tables(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    put(title(theme, area.width), nth(area, 0), buffer);
    let lines = area.height.saturating_sub(1);
    let detail = compare::detail_lines(model, lines);
    let body = Rect::new(area.x, area.y + 1, area.width, lines - detail);
    let rows = compare::tables(model);
    if rows.is_empty() {
        let words = if model.compare.as_ref().is_some_and(|c| c.is_running()) {
            "Reading both catalogues…"
        } else {
            "No table was compared."
        };
        let text = empty(model, PaneId::Compare, words);
        put(Line::styled(text, theme.style(Role::Dim)), body, buffer);
        return;
    }
    let list = &model.panes.compare.tables;
    for (n, id) in rows.iter().skip(list.top).take(usize::from(body.height)).enumerate() {
        let Some(table) = model.compare.as_ref().and_then(|c| c.tables.get(id)) else { continue };
        let line = nth(body, n as u16);
        put(table_row(model, theme, table, area.width), line, buffer);
        if list.selected == Some(*id) {
            highlight(line, row_style(theme, true, focused), buffer);
        }
    }
    let below = Rect::new(area.x, body.y + body.height, area.width, detail);
    for (n, (caution, words)) in compare::table(model).map(compare::details).into_iter().flatten().enumerate()
    {
        let role = if caution { Role::Warn } else { Role::Dim };
        let sign = if caution { "! " } else { "  " };
        put(Line::styled(format!("{sign}{words}"), theme.style(role)), nth(below, n as u16), buffer);
    }
}

fn title<'a>(theme: &Theme, width: u16) -> Line<'a> {
    let (name, verdict) = widths(width);
    let dim = theme.style(Role::Dim);
    let number =
        |words: &str, role| Span::styled(format!("{} ", cell_right(words, NUMBER)), theme.style(role));
    let counts = [
        number("LIVE", Role::Live),
        number("PTR", Role::Ptr),
        number("LOST", Role::Dim),
        number("CHANGED", Role::Dim),
        number("NEW", Role::Dim),
    ];
    let mut spans = vec![Span::styled(cell("  TABLE", name), dim)];
    spans.extend(counts.into_iter().skip(shown(width).1).take(shown(width).0));
    spans.push(Span::styled(cell("VERDICT", verdict), dim));
    Line::from(spans)
}

fn table_row<'a>(model: &Model, theme: &Theme, table: &Table, width: u16) -> Line<'a> {
    let (name, verdict) = widths(width);
    let role = role(table);
    let counts = table.counts();
    let (live, restored) = table.rows();
    let plain = theme.style(if table.differs() == Some(false) { Role::Dim } else { Role::Text });
    let rows = |n: Option<u64>| n.map_or_else(|| "-".into(), short);
    let about = counts.is_some_and(|c| !c.exact);
    let count = |n: Option<u64>| match n {
        None => String::new(),
        Some(0) => "0".into(),
        Some(n) if about => format!("~{}", short(n)),
        Some(n) => short(n),
    };
    let styled = |n: Option<u64>, role| theme.style(if n.unwrap_or(0) > 0 { role } else { Role::Dim });
    let number = |words: String, style| Span::styled(format!("{} ", cell_right(&words, NUMBER)), style);
    let (lost, changed, new) = (counts.map(|c| c.lost), counts.map(|c| c.changed), counts.map(|c| c.new));
    let marked = model.compare.as_ref().is_some_and(|c| c.marked.iter().any(|(id, _)| *id == table.head.id));
    let full = compare::name(table);
    let first = Span::styled(if marked { "▌ " } else { "  " }, theme.style(Role::Key));
    if matches!(table.result.as_ref().map(|r| &r.verdict), Some(Verdict::NotComparable { .. })) {
        // There are no numbers: the reason takes their place.
        let rest = usize::from(width).saturating_sub(name);
        let why = cell(&text::fit(&compare::verdict(table), rest), rest);
        let name = cell(&text::fit_end(&full, name - 2), name - 2);
        return Line::from(vec![first, Span::styled(name, plain), Span::styled(why, theme.style(role))]);
    }
    let counts = [
        number(rows(live), plain),
        number(rows(restored), plain),
        number(count(lost), styled(lost, kind_role(RowKind::Lost))),
        number(count(changed), styled(changed, kind_role(RowKind::Changed))),
        number(count(new), styled(new, kind_role(RowKind::New))),
    ];
    let mut spans = vec![first, Span::styled(cell(&text::fit_end(&full, name - 2), name - 2), plain)];
    spans.extend(counts.into_iter().skip(shown(width).1).take(shown(width).0));
    spans.push(Span::styled(cell(&compare::verdict(table), verdict), theme.style(role)));
    Line::from(spans)
}

fn role(table: &Table) -> Role {
    match table.result.as_ref().map(|r| &r.verdict) {
        Some(Verdict::Same) => Role::Dim,
        Some(Verdict::Gone | Verdict::Changed) => Role::Danger,
        Some(Verdict::New) => Role::Info,
        Some(Verdict::SchemaDiffers | Verdict::NotComparable { .. }) => Role::Warn,
        None if table.differs() == Some(true) => Role::Warn,
        None => Role::Dim,
    }
}

/// The colour of a kind of row, beside its sign and its word.
pub fn kind_role(kind: RowKind) -> Role {
    match kind {
        RowKind::Lost => Role::Danger,
        RowKind::Changed => Role::Warn,
        RowKind::New => Role::Info,
        RowKind::TouchedSame => Role::Dim,
    }
}

/// A count in at most seven characters: in full as far as it goes.
fn short(n: u64) -> String {
    match n {
        0..=9_999_999 => n.to_string(),
        10_000_000..=9_999_999_999 => format!("{}M", n / 1_000_000),
        _ => format!("{}G", (n / 1_000_000_000).min(999_999)),
    }
}
