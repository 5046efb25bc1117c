//! Draws Compare below a table: differing rows with both versions beside each other, and the columns of one row. LIVE
//! left, PTR right, in words and in colour; what differs has a sign as well as a colour.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::compare::kind_role;
use super::empty;
use crate::compare::model::RowDiff;
use crate::compare::{Side, TableResult, Verdict};
use crate::core::Model;
use crate::core::comparison::RowKey;
use crate::core::panes::compare_rows::{self as rules, kind, sign};
use crate::core::panes::compare_value::{NULL, around, shown};
use crate::core::panes::{PaneId, compare};
use crate::domain::text;
use crate::view::parts::{cell, highlight, nth, put, row_style};
use crate::view::theme::{Role, Theme};

/// Width of a row's kind, its sign and mark before it.
const KIND: usize = 12;
/// Narrowest and widest column of a side.
const COLUMN: (usize, usize) = (6, 28);
/// Widest key.
const KEY: usize = 24;

/// The name of a side as the screen has it.
pub fn side_word(side: Side) -> &'static str {
    match side {
        Side::Live => "LIVE",
        Side::Restored => "PTR",
    }
}

pub fn side_role(side: Side) -> Role {
    match side {
        Side::Live => Role::Live,
        Side::Restored => Role::Ptr,
    }
}

/// Where the parts of a line stand.
struct Grid {
    key: usize,
    /// Width of one side, its edge included.
    side: usize,
    /// Columns that show, each with its width.
    columns: Vec<(u16, usize)>,
    /// Columns before and after those.
    before: usize,
    after: usize,
}

impl Grid {
    fn new(model: &Model, result: &TableResult, rows: &[&RowDiff], width: u16) -> Grid {
        let width = usize::from(width);
        let name = result.key.join(", ").width();
        let keys = rows.iter().map(|r| rules::key_text(r).width()).max().unwrap_or(0);
        let key = keys.max(name).clamp(3, KEY.min(width / 4).max(3));
        let side = (width.saturating_sub(KIND + key + 1)) / 2;
        let others = rules::others(result);
        let left = model.panes.compare.left.min(others.len().saturating_sub(1));
        let mut columns = Vec::new();
        let mut room = side.saturating_sub(2);
        for column in others.iter().skip(left) {
            // Two columns at least where there is room for two.
            let most = (side / 3).clamp(12, COLUMN.1);
            let wide = wanted(result, rows, *column).clamp(COLUMN.0, most);
            if !columns.is_empty() && wide + 2 > room {
                break;
            }
            let wide = wide.min(room.saturating_sub(2)).max(1);
            columns.push((*column, wide));
            room = room.saturating_sub(wide + 2);
        }
        let after = others.len() - left - columns.len().min(others.len() - left);
        Grid { key, side, columns, before: left, after }
    }
}

/// The width that a column would like.
fn wanted(result: &TableResult, rows: &[&RowDiff], column: u16) -> usize {
    let name = result.columns.get(usize::from(column)).map_or(0, |c| c.width());
    let values = rows.iter().flat_map(|r| Side::BOTH.into_iter().map(|s| rules::value(r, s, column)));
    values.flatten().map(|v| shown(v).width()).chain([name]).max().unwrap_or(0)
}

pub fn rows(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    let Some((table, result)) = compare::table(model).and_then(|t| Some((t, t.result.as_ref()?))) else {
        return;
    };
    let keys = compare_rows_in_sight(model, area);
    let in_sight: Vec<&RowDiff> = keys.iter().filter_map(|k| table.row(k)).collect();
    let grid = Grid::new(model, result, &in_sight, area.width);
    put(sides(model, theme, &grid), nth(area, 0), buffer);
    put(names(theme, result, &grid), nth(area, 1), buffer);
    let body = Rect::new(area.x, area.y + 2, area.width, area.height.saturating_sub(2));
    if keys.is_empty() {
        let text = empty(model, PaneId::Compare, "No row differs.");
        put(Line::styled(text, theme.style(Role::Dim)), body, buffer);
        return;
    }
    for (n, (key, row)) in keys.iter().zip(&in_sight).enumerate() {
        let line = nth(body, n as u16);
        let marked = is_marked(model, table.head.id, key);
        let selected = model.panes.compare.rows.selected.as_ref() == Some(key);
        draw_row(theme, (&grid, absent(result)), row, marked, line, buffer);
        if selected {
            highlight(line, row_style(theme, true, focused), buffer);
            // Under the cursor too it must be seen what differs.
            differences(theme, &grid, row, line, buffer);
        }
    }
}

fn compare_rows_in_sight(model: &Model, area: Rect) -> Vec<RowKey> {
    let height = usize::from(area.height.saturating_sub(2));
    let top = model.panes.compare.rows.top;
    rules::rows(model).into_iter().skip(top).take(height).collect()
}

fn is_marked(model: &Model, table: u32, key: &RowKey) -> bool {
    model.compare.as_ref().is_some_and(|c| c.marked.contains(&(table, key.clone())))
}

/// Which side is which, above all else.
fn sides<'a>(model: &Model, theme: &Theme, grid: &Grid) -> Line<'a> {
    let request = model.compare.as_ref().map(|c| &c.request);
    let half = |side: Side, server: &str| {
        let word = side_word(side);
        let name = text::fit_end(server, grid.side.saturating_sub(word.len() + 5));
        vec![
            Span::styled("│ ", theme.style(Role::Dim)),
            Span::styled(format!(" {word} "), theme.style(side_role(side))),
            Span::styled(
                cell(&format!(" {name}"), grid.side.saturating_sub(word.len() + 4)),
                theme.style(Role::Dim),
            ),
        ]
    };
    let scroll = match (grid.before, grid.after) {
        (0, 0) => String::new(),
        (before, after) => format!("← {before} · {after} →"),
    };
    let mut spans = vec![Span::styled(cell(&scroll, KIND + grid.key), theme.style(Role::Key))];
    spans.extend(half(Side::Live, request.map_or("", |r| r.live.as_str())));
    spans.extend(half(Side::Restored, request.map_or("", |r| r.restored.as_str())));
    Line::from(spans)
}

fn names<'a>(theme: &Theme, result: &TableResult, grid: &Grid) -> Line<'a> {
    let dim = theme.style(Role::Dim);
    let key = if result.key.is_empty() { "(no key)".into() } else { text::clean(&result.key.join(", ")) };
    let mut spans = vec![
        Span::styled(cell("  KIND", KIND), dim),
        Span::styled(cell(&key, grid.key), theme.style(Role::Title)),
    ];
    for _ in Side::BOTH {
        let mut part = String::from("│ ");
        for (column, wide) in &grid.columns {
            let name = result.columns.get(usize::from(*column)).map_or(String::new(), |c| text::clean(c));
            part.push_str(&format!(" {} ", cell(&name, *wide)));
        }
        spans.push(Span::styled(cell(&part, grid.side), dim));
    }
    Line::from(spans)
}

/// What a side lacks that has no version of a row.
fn absent(result: &TableResult) -> &'static str {
    if matches!(result.verdict, Verdict::Gone | Verdict::New) { "table" } else { "row" }
}

fn draw_row(
    theme: &Theme,
    (grid, absent): (&Grid, &str),
    row: &RowDiff,
    marked: bool,
    line: Rect,
    buffer: &mut Buffer,
) {
    let style = theme.style(kind_role(row.kind));
    let mut spans = vec![
        Span::styled(if marked { "▌ " } else { "  " }, theme.style(Role::Key)),
        Span::styled(cell(&format!("{} {}", sign(row.kind), kind(row.kind)), KIND - 2), style),
        Span::styled(cell(&rules::key_text(row), grid.key), theme.style(Role::Title)),
    ];
    for side in Side::BOTH {
        spans.push(Span::styled("│ ", theme.style(Role::Dim)));
        let room = grid.side.saturating_sub(2);
        if rules::version(row, side).is_none() {
            let words = format!(" — no such {absent} in {}", side_word(side));
            spans.push(Span::styled(cell(&words, room), theme.style(Role::Dim)));
            continue;
        }
        let mut used = 0;
        for (column, wide) in &grid.columns {
            let (mark, words, role) = one_value(row, side, *column, *wide);
            spans.push(Span::styled(format!("{mark}{} ", cell(&words, *wide)), theme.style(role)));
            used += wide + 2;
        }
        spans.push(Span::raw(" ".repeat(room.saturating_sub(used))));
    }
    put(Line::from(spans), line, buffer);
}

/// A value with its sign and its colour. Where both versions begin alike, the part that differs is brought into sight.
fn one_value(row: &RowDiff, side: Side, column: u16, wide: usize) -> (char, String, Role) {
    let value = rules::value(row, side, column).flatten();
    let words = shown(value);
    let both = row.live.is_some() && row.restored.is_some();
    if both && row.differing.contains(&column) {
        let other = shown(rules::value(row, side.other(), column).flatten());
        return ('≠', around(&words, &other, wide), Role::Match);
    }
    (' ', words, if value.is_none() { Role::Stale } else { Role::Text })
}

/// Draws what differs again, over the cursor's colour.
fn differences(theme: &Theme, grid: &Grid, row: &RowDiff, line: Rect, buffer: &mut Buffer) {
    if row.live.is_none() || row.restored.is_none() {
        return;
    }
    for half in 0..2 {
        let mut x = KIND + grid.key + half * grid.side + 2;
        for (column, wide) in &grid.columns {
            if row.differing.contains(column) && x < usize::from(line.width) {
                let width = (wide + 1).min(usize::from(line.width) - x);
                let place = Rect::new(line.x + x as u16, line.y, width as u16, line.height);
                highlight(place, theme.style(Role::Match), buffer);
            }
            x += wide + 2;
        }
    }
}

/// The columns of one row, a line each.
pub fn columns(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    let Some(result) = compare::table(model).and_then(|t| t.result.as_ref()) else { return };
    let Some(row) = compare::row(model) else { return };
    let names = result.columns.iter().map(|c| c.width()).max().unwrap_or(0);
    let name = (names + 3).min(usize::from(area.width) / 4).max(10);
    let side = (usize::from(area.width).saturating_sub(name)) / 2;
    let mut head = vec![Span::styled(cell("  COLUMN", name), theme.style(Role::Dim))];
    for which in Side::BOTH {
        let absent = if rules::version(row, which).is_none() { "  — no such row" } else { "" };
        head.push(Span::styled("│ ", theme.style(Role::Dim)));
        head.push(Span::styled(format!(" {} ", side_word(which)), theme.style(side_role(which))));
        let rest = side.saturating_sub(side_word(which).len() + 4);
        head.push(Span::styled(cell(absent, rest), theme.style(Role::Dim)));
    }
    put(Line::from(head), nth(area, 0), buffer);
    let body = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    let found = rules::columns(model);
    if found.is_empty() {
        let text = empty(model, PaneId::Compare, "This row has no column on both sides.");
        put(Line::styled(text, theme.style(Role::Dim)), body, buffer);
        return;
    }
    let list = &model.panes.compare.columns;
    for (n, column) in found.iter().skip(list.top).take(usize::from(body.height)).enumerate() {
        let line = nth(body, n as u16);
        let selected = list.selected == Some(*column);
        put(column_line(theme, result, row, *column, (name, side)), line, buffer);
        if selected {
            highlight(line, row_style(theme, true, focused), buffer);
        }
    }
}

fn column_line<'a>(
    theme: &Theme,
    result: &TableResult,
    row: &RowDiff,
    column: u16,
    (name, side): (usize, usize),
) -> Line<'a> {
    let title = result.columns.get(usize::from(column)).cloned().unwrap_or_default();
    let is_key = result.key.contains(&title);
    let differs = row.differing.contains(&column) && row.live.is_some() && row.restored.is_some();
    let sign = if differs { "≠ " } else { "  " };
    let role = if differs {
        Role::Match
    } else if is_key {
        Role::Title
    } else {
        Role::Dim
    };
    let mut spans =
        vec![Span::styled(cell(&format!("{sign}{}", text::clean(&title)), name), theme.style(role))];
    for which in Side::BOTH {
        let room = side.saturating_sub(3);
        spans.push(Span::styled("│ ", theme.style(Role::Dim)));
        let part = if rules::version(row, which).is_none() {
            Span::styled(cell("—", room), theme.style(Role::Dim))
        } else {
            let (_, words, role) = one_value(row, which, column, room);
            let role = if words == NULL { Role::Stale } else { role };
            Span::styled(cell(&words, room), theme.style(role))
        };
        spans.push(part);
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}
