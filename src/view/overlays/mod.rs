//! Draws what lies over the panes.

mod answer;
mod comparing;
mod dialogs;
mod guard;
mod query;
mod reader;
mod tunnelling;
mod versions;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use tui_input::Input;

use super::parts::{hint, nth, put, wrap};
use super::theme::{Role, Theme};
use crate::core::Model;
use crate::core::overlays::Overlay;

pub fn draw(model: &Model, theme: &Theme, overlay: &Overlay, frame: &mut Frame<'_>) {
    match overlay {
        Overlay::Reader(it) => reader::draw(model, theme, it, frame),
        Overlay::Palette(it) => dialogs::palette(model, theme, it, frame),
        Overlay::Prompt(it) => dialogs::prompt(model, theme, it, frame),
        Overlay::Answer(it) => answer::draw(model, theme, it, frame),
        Overlay::Guard(it) => guard::draw(model, theme, it, frame),
        Overlay::Ledger(it) => dialogs::ledger(model, theme, it, frame),
        Overlay::Opening(it) => dialogs::opening(model, theme, it, frame),
        Overlay::Tunnelling(it) => tunnelling::draw(model, theme, it, frame),
        Overlay::Comparing(it) => comparing::draw(model, theme, it, frame),
        Overlay::Versions(it) => versions::draw(model, theme, it, frame),
        Overlay::Query(it) => query::draw(theme, it, frame),
    }
}

/// A one-line field at the top of `area`, with the cursor in it if it has the focus.
fn field(label: &str, input: &Input, focused: bool, theme: &Theme, area: Rect, frame: &mut Frame<'_>) {
    let label_width = unicode_width::UnicodeWidthStr::width(label) as u16;
    let room = area.width.saturating_sub(label_width + 1);
    let scroll = input.visual_scroll(usize::from(room.saturating_sub(1)));
    let shown: String = input.value().chars().skip(scroll).take(usize::from(room)).collect();
    let style = theme.style(if focused { Role::Input } else { Role::Text });
    let padded = super::parts::cell(&shown, usize::from(room));
    let line =
        Line::from(vec![Span::styled(label.to_owned(), theme.style(Role::Dim)), Span::styled(padded, style)]);
    put(line, nth(area, 0), frame.buffer_mut());
    if focused && area.height > 0 {
        let x = area.x
            + label_width
            + (input.visual_cursor().saturating_sub(scroll) as u16).min(room.saturating_sub(1));
        frame.set_cursor_position(Position::new(x, area.y));
    }
}

/// What is wrong with a form, from `row` on, and its keys at the bottom.
fn form_end(theme: &Theme, problem: Option<&str>, row: u16, inner: Rect, buffer: &mut Buffer) {
    let problem = wrap(problem.unwrap_or(""), inner.width);
    for (n, line) in problem.into_iter().take(2).enumerate() {
        put(Line::styled(line, theme.style(Role::Danger)), nth(inner, row + n as u16), buffer);
    }
    let keys = [
        hint(theme, "Enter", "open it, on record"),
        hint(theme, "Tab", "next field"),
        hint(theme, "Esc", "leave"),
    ]
    .concat();
    put(Line::from(keys), nth(inner, inner.height.saturating_sub(1)), buffer);
}
