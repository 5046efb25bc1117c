//! The panes: each file draws its rows; the frame round them is drawn here.

pub mod checklist;
pub mod compare;
pub mod compare_rows;
pub mod postgres;
pub mod replicas;
pub mod timeline;
pub mod tunnels;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType};

use super::theme::{Role, Theme};
use crate::core::panes::{self, PaneId};
use crate::core::{Model, world};
use crate::domain::{Phase, Source, clock};

/// Draws a pane with its border. The focused one has a border of another shape, not only of another colour.
pub fn draw(model: &Model, theme: &Theme, pane: PaneId, area: Rect, frame: &mut Frame<'_>) {
    let focused = model.focus == pane;
    let (kind, role) =
        if focused { (BorderType::Thick, Role::BorderFocus) } else { (BorderType::Plain, Role::Border) };
    let block = Block::bordered()
        .border_type(kind)
        .border_style(theme.style(role))
        .title(title(model, theme, pane, focused))
        .title(Line::from(standing(model, theme, pane, area.width)).right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if inner.height == 0 || inner.width < 4 {
        return;
    }
    match pane {
        PaneId::Checklist => checklist::draw(model, theme, focused, inner, frame),
        PaneId::Replicas => replicas::draw(model, theme, focused, inner, frame),
        PaneId::Postgres => postgres::draw(model, theme, focused, inner, frame),
        PaneId::Tunnels => tunnels::draw(model, theme, focused, inner, frame),
        PaneId::Compare => compare::draw(model, theme, focused, inner, frame),
        PaneId::Timeline => timeline::draw(model, theme, focused, inner, frame),
    }
}

fn title<'a>(model: &Model, theme: &Theme, pane: PaneId, focused: bool) -> Line<'a> {
    let style = theme.style(if focused { Role::Title } else { Role::Dim });
    let zone = if pane == PaneId::Timeline {
        format!("(London, {}) ", clock::london_zone(model.now))
    } else {
        String::new()
    };
    let mut spans = vec![Span::styled(format!(" {} {} {zone}", pane.number(), pane.title()), style)];
    let filter = panes::filter(model, pane);
    if !filter.is_empty() {
        let (shown, all) = panes::counts(model, pane);
        spans.push(Span::styled(format!("/{filter} {shown} of {all} "), theme.style(Role::Match)));
    }
    Line::from(spans)
}

/// The source behind a pane.
fn source(pane: PaneId) -> Option<Source> {
    match pane {
        PaneId::Replicas => Some(Source::Kubernetes),
        PaneId::Postgres => Some(Source::Azure),
        PaneId::Checklist | PaneId::Tunnels | PaneId::Compare | PaneId::Timeline => None,
    }
}

fn standing<'a>(model: &Model, theme: &Theme, pane: PaneId, width: u16) -> Vec<Span<'a>> {
    let Some(source) = source(pane) else { return Vec::new() };
    let role = if model.unwell(source) { Role::Warn } else { Role::Dim };
    let sign = if model.unwell(source) { "! " } else { "" };
    // The title and its filter come first; the header has the whole reason.
    let room = usize::from(width).saturating_sub(18 + panes::filter(model, pane).len());
    vec![Span::styled(
        format!(" {sign}{} ", crate::domain::text::fit(&model.standing(source), room.min(60))),
        theme.style(role),
    )]
}

/// What to say where there are no rows.
fn empty(model: &Model, pane: PaneId, nothing: &str) -> String {
    let filter = panes::filter(model, pane);
    if let Some(problem) = panes::filter_problem(model, pane) {
        return problem;
    }
    if !filter.is_empty() {
        return format!("Nothing matches /{filter}. Esc clears the filter.");
    }
    match source(pane).map(|s| model.world.phase(s).0) {
        Some(Phase::Loading) => "Waiting for the first answer…".into(),
        Some(phase) if !phase.is_healthy() => world::trouble(phase),
        _ => nothing.to_owned(),
    }
}
