//! Draws the form that opens a tunnel: LIVE or a copy, in words and colour, before anything else.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{field, form_end};
use crate::core::Model;
use crate::core::overlays::tunnelling::Tunnelling;
use crate::core::tunnel;
use crate::domain::ServerClass;
use crate::view::parts::{ends, nth, put, window};
use crate::view::theme::{Role, Theme};

pub fn draw(model: &Model, theme: &Theme, it: &Tunnelling, frame: &mut Frame<'_>) {
    let width = 92.min(frame.area().width);
    let inner = window("Open a tunnel", Role::BorderFocus, theme, (width, 13), frame);
    let buffer = frame.buffer_mut();
    for (n, line) in choices(model, theme, it).into_iter().enumerate() {
        put(ends(line.spans, Vec::new(), inner.width), nth(inner, n as u16 + 1), buffer);
    }
    form_end(theme, it.problem.as_deref(), 7, inner, buffer);
    for (n, label, input) in [
        (2, "database  (blank: the app's)    ", &it.database),
        (3, "local port  (blank: a free one) ", &it.port),
    ] {
        let row = nth(inner, 3 + n as u16);
        let half = Rect::new(row.x, row.y, row.width.min(66), row.height);
        field(label, input, it.field == n, theme, half, frame);
    }
}

/// To which server, through what, and what that takes.
fn choices<'a>(model: &Model, theme: &Theme, it: &Tunnelling) -> Vec<Line<'a>> {
    let dim = theme.style(Role::Dim);
    let which = it.which(model);
    let role = match which {
        ServerClass::Live => Role::Live,
        ServerClass::Ptr => Role::Ptr,
        ServerClass::SideCopy => Role::Text,
    };
    let all = tunnel::servers(model);
    let place = all.iter().position(|(name, _)| *name == it.server).map_or(0, |n| n + 1);
    let picked = |n: usize| theme.style(if it.field == n { Role::Input } else { Role::Text });
    let more = if all.len() > 1 { format!("  {place} of {}, ← →", all.len()) } else { String::new() };
    let target = which.place(&model.target.environment);
    let to = Line::from(vec![
        Span::styled("to        ", dim),
        Span::styled(format!(" {target} "), theme.style(role)),
        Span::raw(" "),
        Span::styled(it.server.clone(), picked(0)),
        Span::styled(more, dim),
    ]);
    let (app, ready) = tunnel::way(model);
    let way = if it.own_pod { "a pod made for it (as konduit -x)" } else { "a pod of the app" };
    let through = Line::from(vec![
        Span::styled("through   ", dim),
        Span::styled(way, picked(1)),
        Span::styled("  ← → · credentials of ", dim),
        Span::styled(app.to_string(), theme.style(Role::Text)),
    ]);
    let (words, role) = match (it.own_pod, ready) {
        (true, Some(false)) => {
            ("No pod of the service runs: one of its own is needed, and arming (:arm).", Role::Warn)
        }
        (true, _) => ("Makes a pod: through the guard, armed.", Role::Warn),
        (false, Some(false)) => {
            ("No pod of the service runs: this will not work, choose a pod of its own.", Role::Warn)
        }
        (false, _) => ("Changes nothing: no arming needed. Sessions start read-only.", Role::Dim),
    };
    vec![to, through, Line::from(Span::styled(words, theme.style(role)))]
}
