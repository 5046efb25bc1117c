//! Draws Checklist: condition, goal and memory items on top, the items, and what is sensed for the selected one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::empty;
use crate::core::panes::PaneId;
use crate::core::panes::checklist::{self, Head, Row};
use crate::core::{Model, sense, session};
use crate::domain::{Verdict, clock};
use crate::incident::Mark;
use crate::runbook::Item;
use crate::view::parts::{cell, draw_rows, mark_role, nth, put, row_style, wrap};
use crate::view::theme::{Role, Theme};

/// Columns that an item's title keeps beside what is said of it.
const TITLE_LEAST: usize = 30;

pub fn draw(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let head = checklist::head(model);
    let buffer = frame.buffer_mut();
    for (n, line) in head.iter().enumerate() {
        put(head_line(theme, line, area.width), nth(area, n as u16), buffer);
    }
    let lines = area.height.saturating_sub(head.len() as u16);
    let detail = checklist::detail_lines(lines);
    let body = Rect::new(area.x, area.y + area.height - lines, area.width, lines - detail);
    let rows = checklist::rows(model);
    if rows.is_empty() {
        let text = empty(model, PaneId::Checklist, "This runbook has no items.");
        put(Line::styled(text, theme.style(Role::Dim)), body, buffer);
    }
    let current = checklist::current(model).map(|i| i.id.clone());
    let list = &model.panes.checklist;
    draw_rows(list, &rows, body, row_style(theme, true, focused), buffer, |key| {
        Some(row(model, theme, key, current.as_deref(), area.width))
    });
    let below = Rect::new(area.x, body.y + body.height, area.width, detail);
    // Who comes back reads first what they missed, where the evidence of the row under the cursor stands otherwise.
    let away = checklist::away(model, detail.saturating_sub(1));
    let lines = match checklist::selected(model) {
        _ if !away.is_empty() => away.into_iter().map(|l| Line::styled(l, theme.style(Role::Info))).collect(),
        Some(item) => details(model, theme, item, area.width),
        None => return,
    };
    put(Line::styled("─".repeat(usize::from(area.width)), theme.style(Role::Border)), nth(below, 0), buffer);
    for (n, line) in lines.into_iter().enumerate() {
        put(line, nth(below, n as u16 + 1), buffer);
    }
}

fn head_line<'a>(theme: &Theme, line: &Head, width: u16) -> Line<'a> {
    let (text, role) = match line {
        Head::Condition(t) => (t, Role::Title),
        Head::Goal(t) => (t, Role::Dim),
        Head::Memory(t) => (t, Role::Warn),
        Head::Held(t) => (t, Role::Danger),
        Head::Invite(t) | Head::Away(t) => (t, Role::Info),
    };
    Line::styled(cell(text, usize::from(width)), theme.style(role))
}

fn row<'a>(model: &Model, theme: &Theme, key: &Row, current: Option<&str>, width: u16) -> Line<'a> {
    let Some(runbook) = model.runbook() else { return Line::default() };
    let id = match key {
        Row::Section(id) => {
            let title = runbook.sections.iter().find(|s| s.id == *id).map_or("", |s| s.title.as_str());
            return Line::styled(cell(title, usize::from(width)), theme.style(Role::Title));
        }
        Row::Item(id) => id,
    };
    let Some(item) = runbook.item(id) else { return Line::default() };
    let mark = checklist::mark(model, id);
    let here = if current == Some(id.as_str()) && model.session.is_some() { ">" } else { " " };
    let mut tail = String::new();
    if let Some(value) = session::contradiction(model, item) {
        tail = format!("LOOK AGAIN: now {value}");
        // The title is what finds it again; the value stands below the rows.
        if tail.width() + TITLE_LEAST > usize::from(width) {
            tail = "LOOK AGAIN".into();
        }
    } else if let Some(at) = session::put_back(model, item) {
        tail = format!("put back {}", clock::london_hm(at));
    } else if mark == Mark::Open {
        tail = sense::sense(model, item)
            .filter(|s| s.verdict == Verdict::Pass)
            .map_or(String::new(), |_| "ready to verify".into());
    }
    let role = item.role.map_or("", |r| r.word());
    let estimate = item.estimate.map_or_else(String::new, |m| format!(" ~{m} m"));
    let right = if tail.is_empty() { format!("{role}{estimate}") } else { tail.clone() };
    let room = usize::from(width).saturating_sub(8 + unicode_width::UnicodeWidthStr::width(right.as_str()));
    let title = format!("{}{}", "  ".repeat(usize::from(item.depth)), item.title);
    let text = theme.style(if mark == Mark::Open { Role::Text } else { Role::Dim });
    let right_role = if tail.starts_with("LOOK") {
        Role::Danger
    } else if tail.starts_with("put back") {
        Role::Info
    } else if tail.is_empty() {
        Role::Dim
    } else {
        Role::Ok
    };
    Line::from(vec![
        Span::styled(format!("{here} "), theme.style(Role::Key)),
        Span::styled(mark.sign(), theme.style(mark_role(mark))),
        Span::raw(" "),
        Span::styled(cell(&title, room), text),
        Span::raw(" "),
        Span::styled(right, theme.style(right_role)),
    ])
}

fn details<'a>(model: &Model, theme: &Theme, item: &Item, width: u16) -> Vec<Line<'a>> {
    let dim = theme.style(Role::Dim);
    let mut lines = Vec::new();
    if item.title.len() + 20 > usize::from(width) {
        // The row may have cut it.
        lines.extend(wrap(&item.title, width).into_iter().map(|l| Line::styled(l, theme.style(Role::Text))));
    }
    if let Some(answer) = model.session.as_ref().and_then(|s| s.state.answers.get(&item.id)) {
        let saw =
            answer.sensed.as_ref().map_or_else(String::new, |s| format!(" · saw {} ({})", s.value, s.source));
        let why = answer.reason.as_ref().map_or_else(String::new, |r| format!(" · {r}"));
        let text = format!("{} by {} {}{saw}{why}", answer.mark.word(), answer.who, clock::both(answer.at));
        let style = theme.style(mark_role(answer.mark));
        lines.extend(wrap(&text, width).into_iter().map(|l| Line::styled(l, style)));
    }
    if let Some(sensed) = sense::sense(model, item) {
        let role = match sensed.verdict {
            Verdict::Pass => Role::Ok,
            Verdict::Fail => Role::Warn,
            Verdict::Unknown => Role::Dim,
        };
        let value = format!("sensed: {}", sensed.value);
        let rest = match sense::expectation(model, item) {
            Some(expected) => format!("must be {expected} · {}", sensed.source),
            None => sensed.source,
        };
        let one = format!("{value}, {rest}");
        // What must be is never what is cut.
        let texts = if one.width() <= usize::from(width) { vec![one] } else { vec![value, rest] };
        let wrapped = texts.iter().flat_map(|text| wrap(text, width));
        lines.extend(wrapped.map(|l| Line::styled(l, theme.style(role))));
    }
    if item.action.is_some() {
        lines.push(Line::styled("d does it, through the guard", theme.style(Role::Info)));
    }
    if let Some(note) = item.notes.first() {
        lines.extend(wrap(note, width).into_iter().map(|l| Line::styled(l, dim)));
    }
    lines
}
