//! Draws the guard: every change with target, old and new value and command line; Cancel first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::field;
use crate::core::Model;
use crate::core::model::Detail;
use crate::core::overlays::guard::{Guard, Step};
use crate::domain::{Source, clock};
use crate::incident::{Action, UndoKind};
use crate::view::parts::{cell, hint, nth, put, window, wrap};
use crate::view::theme::{Role, Theme};

pub fn draw(model: &Model, theme: &Theme, guard: &Guard, frame: &mut Frame<'_>) {
    let width = 100.min(frame.area().width);
    let inner_width = width.saturating_sub(2);
    let steps: Vec<Vec<Line<'_>>> = guard.steps.iter().map(|s| step(model, theme, s, inner_width)).collect();
    let warning = guard.warning.iter().flat_map(|text| wrap(text, inner_width));
    let warning = warning.map(|line| Line::styled(line, theme.style(Role::Danger))).collect();
    let steps: Vec<Vec<Line<'_>>> = std::iter::once(warning).chain(steps).collect();
    let wanted: usize = steps.iter().map(Vec::len).sum();
    let height = (wanted as u16).saturating_add(9).min(frame.area().height);
    let inner = window(&guard.title, Role::Danger, theme, (width, height), frame);
    let target = &model.target;
    let drill = if target.exercise { "EXERCISE · " } else { "" };
    let place = format!(
        " {drill}{} of {} · cluster {} ",
        target.environment.to_uppercase(),
        target.service,
        target.cluster
    );
    let band = theme.style(if target.production { Role::BandProduction } else { Role::BandOther });
    let buffer = frame.buffer_mut();
    put(
        Line::styled(crate::view::parts::cell(&place, usize::from(inner.width)), band),
        nth(inner, 0),
        buffer,
    );
    let foot = 5.min(inner.height.saturating_sub(1));
    let body = Rect::new(inner.x, inner.y + 1, inner.width, inner.height.saturating_sub(1 + foot));
    let lines: Vec<Line<'_>> = steps.into_iter().flatten().collect();
    // Never scrolled past the end.
    let top = guard.top.min(lines.len().saturating_sub(usize::from(body.height)));
    let hidden = lines.len().saturating_sub(top + usize::from(body.height));
    for (n, line) in lines.into_iter().skip(top).take(usize::from(body.height)).enumerate() {
        put(line, nth(body, n as u16), buffer);
    }
    let rest = Rect::new(inner.x, body.y + body.height, inner.width, foot);
    if hidden > 0 || top > 0 {
        let more = format!("↓ {hidden} lines more, ↑ {top}");
        put(Line::styled(more, theme.style(Role::Warn)), nth(rest, 0), buffer);
    }
    buttons(theme, guard, rest, frame);
}

fn step<'a>(model: &Model, theme: &Theme, step: &Step, width: u16) -> Vec<Line<'a>> {
    let dim = theme.style(Role::Dim);
    let mut lines = Vec::new();
    let mut labelled = |label: &'static str, text: &str, role: Role| {
        for (n, part) in wrap(text, width.saturating_sub(8)).into_iter().enumerate() {
            let lead = if n == 0 { label } else { "" };
            lines.push(Line::from(vec![
                Span::styled(cell(lead, 8), dim),
                Span::styled(part, theme.style(role)),
            ]));
        }
    };
    labelled("target", &step.target, Role::Title);
    let (old, role) = now(model, step);
    labelled("now", &old, role);
    labelled("then", &step.new, Role::Danger);
    labelled("same as", &step.command, Role::Info);
    let note = match (&step.capture, &step.undoes) {
        (Some(UndoKind::TunnelPods { .. }), _) => {
            Some("in the undo ledger (L) until the cluster lists it no more".to_owned())
        }
        (Some(_), _) => Some("captured before the change; b puts it back exactly".to_owned()),
        (None, Some(id)) => Some(format!("puts back {id}")),
        (None, None) => None,
    };
    for text in note.into_iter().chain(step.note.clone()) {
        for part in wrap(&text, width.saturating_sub(8)) {
            lines.push(Line::from(vec![Span::raw("        "), Span::styled(part, theme.style(Role::Text))]));
        }
    }
    lines
}

/// The value that the change replaces, as old as it is; the source may have moved on unseen.
fn now(model: &Model, step: &Step) -> (String, Role) {
    let Action::Scale { .. } = step.action else { return (step.old.clone(), Role::Text) };
    let (_, as_of, ..) = model.world.phase(Source::Kubernetes);
    let age = as_of.map_or_else(String::new, |at| format!(" · heard {} ago", clock::span(model.now - at)));
    if model.unwell(Source::Kubernetes) {
        let why = model.standing_short(Source::Kubernetes, Detail::Next);
        (format!("NOT KNOWN, it was {} (kubernetes {why})", step.old), Role::Warn)
    } else {
        (format!("{}{age}", step.old), Role::Text)
    }
}

fn buttons(theme: &Theme, guard: &Guard, area: Rect, frame: &mut Frame<'_>) {
    let hint_line = guard.hint.clone().unwrap_or_default();
    put(Line::styled(hint_line, theme.style(Role::Danger)), nth(area, 1), frame.buffer_mut());
    match &guard.typed {
        Some(name) => {
            let ask = Line::from(vec![
                Span::styled("Type ", theme.style(Role::Text)),
                Span::styled(name.clone(), theme.style(Role::Danger)),
                Span::styled(
                    " and Enter to go on. Enter on nothing, or Esc: cancel.",
                    theme.style(Role::Text),
                ),
            ]);
            put(ask, nth(area, 2), frame.buffer_mut());
            field("> ", &guard.input, true, theme, nth(area, 3), frame);
        }
        None => {
            let button = |text: &'static str, on: bool| {
                Span::styled(
                    if on { format!("[ {text} ]") } else { format!("  {text}  ") },
                    theme.style(if on { Role::Selected } else { Role::Text }),
                )
            };
            let mut spans = vec![
                button("Cancel", !guard.go),
                Span::raw("   "),
                button("Go on", guard.go),
                Span::raw("     "),
            ];
            spans.extend(hint(theme, "y", "go on"));
            spans.extend(hint(theme, "Esc", "cancel"));
            put(Line::from(spans), nth(area, 3), frame.buffer_mut());
        }
    }
}
