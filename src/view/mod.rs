//! DRAWS: the model to cells. Decides nothing.

pub mod chrome;
pub mod overlays;
pub mod panes;
pub mod parts;
#[cfg(test)]
mod tests;
pub mod theme;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::core::Model;
use crate::core::layout;
use theme::{Role, Theme};

/// Draws the whole screen.
pub fn draw(model: &Model, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    if layout::too_small(area.width, area.height) {
        card(theme, area, frame);
        return;
    }
    // The frame's own size is the truth: a resize message may still be on its way.
    let parts = layout::layout(area.width, area.height, model.focus, model.zoom);
    chrome::header(model, theme, parts.header, frame);
    for (pane, rect) in &parts.panes {
        panes::draw(model, theme, *pane, *rect, frame);
    }
    chrome::strip(model, theme, parts.strip, frame);
    chrome::footer(model, theme, parts.footer, frame);
    for overlay in &model.overlays {
        overlays::draw(model, theme, overlay, frame);
    }
    chrome::toast(model, theme, parts.footer, frame);
}

fn card(theme: &Theme, area: Rect, frame: &mut Frame<'_>) {
    let (w, h) = layout::MIN;
    let lines = vec![
        Line::from("drtui").style(theme.style(Role::Title)),
        Line::from(format!("needs {w}x{h}")),
        Line::from(format!("has {}x{}", area.width, area.height)),
    ];
    frame.render_widget(Paragraph::new(lines).style(theme.style(Role::Text)), area);
}
