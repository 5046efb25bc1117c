//! Draws Tunnels: where each leads comes first, in words and in colour.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::empty;
use crate::core::Model;
use crate::core::panes::PaneId;
use crate::core::panes::tunnels::{self, Row};
use crate::core::tunnel::ends_at;
use crate::domain::{Backend, Orphan, ServerClass, Tunnel, TunnelState, clock, text};
use crate::view::parts::{cell, cell_right, draw_rows, nth, put, row_style, wrap};
use crate::view::theme::{Role, Theme};

/// The columns between the server's name and the state, the most wanted first, where there is room for them.
const COLUMNS: [(&str, usize); 6] =
    [("AGE", 7), ("CONN", 5), ("SENT", 7), ("RECEIVED", 8), ("LATENCY", 7), ("THROUGH", 18)];
/// Width of id and target, with the blanks after them.
const LEAD: usize = 14;
/// What name and state have to themselves before there is any other column.
const BOTH: usize = 46;

pub fn draw(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    let rows = tunnels::rows(model);
    if rows.is_empty() {
        let text = empty(model, PaneId::Tunnels, "No tunnel is open. t opens one: to live, or to a copy.");
        put(Line::styled(text, theme.style(Role::Dim)), area, buffer);
        return;
    }
    let top = tunnels::head_lines(model);
    let lines = area.height.saturating_sub(top);
    let detail = tunnels::detail_lines(lines);
    let body = Rect::new(area.x, area.y + top, area.width, lines - detail);
    put(head(theme, area.width), nth(area, 0), buffer);
    let list = &model.panes.tunnels;
    draw_rows(list, &rows, body, row_style(theme, true, focused), buffer, |row| match row {
        Row::Tunnel(id) => tunnels::tunnel(model, *id).map(|t| tunnel_row(model, theme, t, area.width)),
        Row::Orphan(namespace, pod) => {
            tunnels::orphan(model, namespace, pod).map(|o| orphan_row(model, theme, o, area.width))
        }
    });
    // The cursor hides no LIVE.
    let selected =
        list.position(&rows).and_then(|n| n.checked_sub(list.top)).and_then(|n| u16::try_from(n).ok());
    if let (Some(n), Some(tunnel)) = (selected, tunnels::selected(model).filter(|t| t.state.is_alive())) {
        let place =
            Rect::new(body.x.saturating_add(4), body.y, body.width.saturating_sub(4).min(9), body.height);
        put(
            Line::styled(cell(tunnel.which.word(), 9), theme.style(class_role(tunnel.which))),
            nth(place, n),
            buffer,
        );
    }
    // A pane too low for particulars has them where it has no rows.
    let shown = body.height.min(rows.len() as u16);
    let below = match detail {
        0 => Rect::new(area.x, body.y + shown, area.width, body.height - shown),
        _ => Rect::new(area.x, body.y + body.height, area.width, detail),
    };
    let particulars = match (tunnels::selected(model), tunnels::selected_orphan(model)) {
        (Some(tunnel), _) => details(model, theme, tunnel, area.width, below.height),
        (None, Some(orphan)) => orphan_details(model, theme, orphan, area.width),
        (None, None) => Vec::new(),
    };
    for (n, line) in particulars.into_iter().enumerate() {
        put(line, nth(below, n as u16), buffer);
    }
}

/// Widths of the name and the state, and how many columns stand between them.
fn columns(width: u16) -> (usize, usize, usize) {
    let mut left = usize::from(width).saturating_sub(LEAD + 2);
    let mut shown = 0;
    for (_, wide) in COLUMNS {
        if left < BOTH + wide + 1 {
            break;
        }
        left -= wide + 1;
        shown += 1;
    }
    let name = (left * 3 / 5).clamp(12, 34);
    (name, left.saturating_sub(name), shown)
}

fn head<'a>(theme: &Theme, width: u16) -> Line<'a> {
    let (name, state, shown) = columns(width);
    let mut text = format!("{}{} ", cell("    TO", LEAD), cell("SERVER", name));
    for (title, wide) in COLUMNS.iter().take(shown) {
        text.push_str(&format!("{} ", cell_right(title, *wide)));
    }
    text.push_str(&cell("STATE", state));
    Line::styled(text, theme.style(Role::Dim))
}

fn class_role(class: ServerClass) -> Role {
    match class {
        ServerClass::Live => Role::Live,
        ServerClass::Ptr => Role::Ptr,
        ServerClass::SideCopy => Role::Dim,
    }
}

fn state_role(tunnel: &Tunnel) -> Role {
    match &tunnel.state {
        TunnelState::Open if tunnel.warning.is_some() => Role::Warn,
        TunnelState::Open => Role::Ok,
        TunnelState::Opening { .. } => Role::Info,
        TunnelState::Reconnecting { .. } => Role::Warn,
        TunnelState::Closed { .. } => Role::Dim,
        TunnelState::Failed { .. } => Role::Danger,
    }
}

fn tunnel_row<'a>(model: &Model, theme: &Theme, tunnel: &Tunnel, width: u16) -> Line<'a> {
    let (name, state, shown) = columns(width);
    let alive = tunnel.state.is_alive();
    let plain = theme.style(if alive { Role::Text } else { Role::Dim });
    let class = if alive { class_role(tunnel.which) } else { Role::Dim };
    // Names differ at their ends.
    let target = match tunnel.server.as_str() {
        "" => tunnel.target(),
        server => text::fit_end(server, name),
    };
    let mut spans = vec![
        Span::styled(cell(&tunnel.id.to_string(), 3), theme.style(Role::Dim)),
        Span::raw(" "),
        Span::styled(cell(tunnel.which.word(), 9), theme.style(class)),
        Span::raw(" "),
        Span::styled(cell(&target, name), plain),
        Span::raw(" "),
    ];
    let traffic = &tunnel.traffic;
    let values = [
        clock::minutes(model.now - tunnel.opened_at),
        format!("{}/{}", traffic.open, traffic.total),
        tunnels::bytes(traffic.sent),
        tunnels::bytes(traffic.received),
        tunnel.latency_ms.map_or_else(|| "-".into(), |ms| format!("{ms} ms")),
        via(tunnel),
    ];
    for (value, (_, wide)) in values.iter().zip(COLUMNS).take(shown) {
        spans.push(Span::styled(format!("{} ", cell_right(&text::fit_end(value, wide), wide)), plain));
    }
    let words = tunnels::status(model, tunnel);
    spans.push(Span::styled(cell(&words, state.max(8)), theme.style(state_role(tunnel))));
    Line::from(spans)
}

fn via(tunnel: &Tunnel) -> String {
    let pod = tunnel.via.pod.clone().unwrap_or_else(|| tunnel.via.app.name.clone());
    if tunnel.via.own_pod { format!("own {pod}") } else { pod }
}

fn orphan_row<'a>(model: &Model, theme: &Theme, orphan: &Orphan, width: u16) -> Line<'a> {
    let room = usize::from(width).saturating_sub(LEAD);
    let pod = text::fit(&orphan.pod, room);
    let rest = text::fit(&format!(" {}", tunnels::orphan_words(model, orphan)), room - pod.width());
    Line::from(vec![
        Span::styled(cell("!", 4), theme.style(Role::Warn)),
        Span::styled(cell("POD LEFT", 10), theme.style(Role::Warn)),
        Span::styled(pod, theme.style(Role::Text)),
        Span::styled(rest, theme.style(Role::Dim)),
    ])
}

/// Width of what stands before each particular.
const LABEL: usize = 9;

/// A particular, over as many lines as it needs.
fn fact<'a>(theme: &Theme, label: &str, words: &str, role: Role, width: u16) -> Vec<Line<'a>> {
    let line = |(n, part): (usize, String)| {
        let label = if n == 0 { label } else { "" };
        Line::from(vec![
            Span::styled(cell(label, LABEL), theme.style(Role::Dim)),
            Span::styled(part.replace(NO_BREAK, " "), theme.style(role)),
        ])
    };
    wrap(words, width.saturating_sub(LABEL as u16)).into_iter().enumerate().map(line).collect()
}

/// Fewer lines than this begin with the local port.
const PARTICULARS: u16 = 4;

/// What does not fit the row, the most needed first: how to connect or why not, into what, through what, until when.
fn details<'a>(model: &Model, theme: &Theme, tunnel: &Tunnel, width: u16, height: u16) -> Vec<Line<'a>> {
    let room = usize::from(width).saturating_sub(LABEL);
    let fact = |label: &str, words: &str, role| fact(theme, label, words, role, width);
    let mut lines = match tunnels::line(tunnel).filter(|_| tunnel.state.is_open()) {
        Some(line) => fact("y copies", &text::fit(&line, room).replace(' ', NO_BREAK), Role::Info),
        None => fact("state", &tunnels::status(model, tunnel), state_role(tunnel)),
    };
    if let Some(warning) = &tunnel.warning {
        lines.extend(fact("look out", warning, Role::Warn));
    }
    let into = fact("into", &into(tunnel), Role::Text);
    if height < PARTICULARS && tunnel.state.is_open() {
        lines.splice(0..0, into);
    } else {
        lines.extend(into);
    }
    lines.extend(fact("through", &through(tunnel), Role::Text));
    if let Some(ends) = limits(model, tunnel, room) {
        lines.extend(fact("ends", &ends, Role::Dim));
    }
    let traffic = &tunnel.traffic;
    if tunnel.state.is_alive() || traffic.total > 0 {
        let latency = tunnel.latency_ms.map_or_else(|| "not measured".into(), |ms| format!("{ms} ms"));
        let counts = format!(
            "{} sent · {} received · {} connections, {} in all · {latency}",
            tunnels::bytes(traffic.sent),
            tunnels::bytes(traffic.received),
            traffic.open,
            traffic.total
        );
        lines.extend(fact("traffic", &counts, Role::Dim));
    }
    lines
}

/// What it leads into: `rsm_production as u3f · 127.0.0.1:50001`, `redis 0 of web`.
fn into(tunnel: &Tunnel) -> String {
    let mut words = match tunnel.backend {
        Backend::Postgres if tunnel.database.is_empty() => format!("the database of {}", tunnel.via.app.name),
        Backend::Postgres => tunnel.database.clone(),
        Backend::Redis => {
            let index = if tunnel.database.is_empty() { "" } else { " " };
            format!("redis{index}{} of {}", tunnel.database, tunnel.via.app.name)
        }
    };
    if !tunnel.user.is_empty() {
        words.push_str(&format!(" as {}", tunnel.user));
    }
    match tunnel.local_port {
        Some(port) => words.push_str(&format!(" · 127.0.0.1:{port}")),
        None if tunnel.state.is_alive() => words.push_str(" · no local port yet"),
        None => {}
    }
    words
}

fn through(tunnel: &Tunnel) -> String {
    let (namespace, method) = (&tunnel.via.app.namespace, tunnel.via.method.word());
    let own = if tunnel.via.own_pod { ", made for it" } else { "" };
    match &tunnel.via.pod {
        Some(pod) => format!("{namespace}/{pod}{own}, by {method}"),
        None if tunnel.state.is_alive() => format!("{namespace}, no pod yet"),
        None => format!("{namespace}, it came to no pod"),
    }
}

/// Blanks at which no line is broken.
const NO_BREAK: &str = "\u{a0}";

/// When it ends: the deadline first and in one piece. `None` when it has ended.
fn limits(model: &Model, tunnel: &Tunnel, room: usize) -> Option<String> {
    if !tunnel.state.is_alive() {
        return None;
    }
    let mut parts = Vec::new();
    if let Some(at) = ends_at(tunnel) {
        let both = clock::both(at);
        let whole = if both.width() <= room { both } else { clock::london_day(at) };
        parts.push(format!("{} whatever happens", whole.replace(' ', NO_BREAK)));
    }
    if let Some(seconds) = tunnel.idle_limit_s {
        let idle = clock::span(chrono::Duration::seconds(i64::from(seconds)));
        parts.push(format!("after {idle} without a byte"));
    }
    parts.push("with drtui".into());
    let age = clock::minutes(model.now - tunnel.opened_at);
    Some(format!("{} · open {age}", parts.join(", ")))
}

fn orphan_details<'a>(model: &Model, theme: &Theme, orphan: &Orphan, width: u16) -> Vec<Line<'a>> {
    let incident = orphan.incident.as_ref().map_or_else(String::new, |i| format!(" in incident {i}"));
    let mut words = tunnels::orphan_words(model, orphan);
    if let Some(time) = orphan.ends_at.map(clock::london_hm) {
        words = words.replace(&time, &time.replace(' ', NO_BREAK));
    }
    let words = format!("{}/{}: {words}{incident}", orphan.namespace, orphan.pod);
    let hint = "X deletes it, through the guard. y copies the kubectl line.";
    let lines = |words: &str, role| {
        let parts = wrap(words, width).into_iter();
        parts.map(move |part| Line::styled(part.replace(NO_BREAK, " "), theme.style(role)))
    };
    lines(&words, Role::Text).chain(lines(hint, Role::Dim)).collect()
}
