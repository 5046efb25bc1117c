//! Draws Tunnels: where each leads comes first, in words and in colour.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::empty;
use crate::core::Model;
use crate::core::panes::PaneId;
use crate::core::panes::tunnels::{self, Row};
use crate::core::tunnel::ends_at;
use crate::domain::{Orphan, ServerClass, Tunnel, TunnelState, clock, text};
use crate::view::parts::{cell, cell_right, draw_rows, nth, put, row_style};
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
            tunnels::orphan(model, namespace, pod).map(|o| orphan_row(model, theme, o))
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
    let below = Rect::new(area.x, body.y + body.height, area.width, detail);
    let particulars = match (tunnels::selected(model), tunnels::selected_orphan(model)) {
        (Some(tunnel), _) => details(model, theme, tunnel),
        (None, Some(orphan)) => orphan_details(model, theme, orphan),
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
    let mut spans = vec![
        Span::styled(cell(&tunnel.id.to_string(), 3), theme.style(Role::Dim)),
        Span::raw(" "),
        Span::styled(cell(tunnel.which.word(), 9), theme.style(class)),
        Span::raw(" "),
        Span::styled(cell(&text::fit_end(&tunnel.server, name), name), plain),
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

fn orphan_row<'a>(model: &Model, theme: &Theme, orphan: &Orphan) -> Line<'a> {
    Line::from(vec![
        Span::styled(cell("!", 4), theme.style(Role::Warn)),
        Span::styled(cell("POD LEFT", 10), theme.style(Role::Warn)),
        Span::styled(format!("{} ", orphan.pod), theme.style(Role::Text)),
        Span::styled(tunnels::orphan_words(model, orphan), theme.style(Role::Dim)),
    ])
}

/// What does not fit the row, the most needed first: how to connect, into what, through what, until when.
fn details<'a>(model: &Model, theme: &Theme, tunnel: &Tunnel) -> Vec<Line<'a>> {
    let (dim, plain) = (theme.style(Role::Dim), theme.style(Role::Text));
    let pair = |label: &str, words: String, style| {
        Line::from(vec![Span::styled(cell(label, 9), dim), Span::styled(words, style)])
    };
    let mut lines = Vec::new();
    let status = tunnels::status(model, tunnel);
    match tunnels::line(tunnel).filter(|_| tunnel.state.is_open()) {
        Some(line) => lines.push(pair("y copies", line, theme.style(Role::Info))),
        None => lines.push(pair("state", status, theme.style(state_role(tunnel)))),
    }
    if let Some(warning) = &tunnel.warning {
        lines.push(pair("look out", warning.clone(), theme.style(Role::Warn)));
    }
    let port = tunnel.local_port.map_or_else(|| "no local port yet".into(), |p| format!("127.0.0.1:{p}"));
    let user = if tunnel.user.is_empty() { String::new() } else { format!(" as {}", tunnel.user) };
    lines.push(pair("into", format!("{}{user} · {port}", tunnel.database), plain));
    let own = if tunnel.via.own_pod { ", made for it" } else { "" };
    let pod = tunnel.via.pod.clone().unwrap_or_else(|| "no pod yet".into());
    let way = format!("{}/{pod}{own}, by {}", tunnel.via.app.namespace, tunnel.via.method.word());
    lines.push(pair("through", way, plain));
    let traffic = &tunnel.traffic;
    let latency = tunnel.latency_ms.map_or_else(|| "latency not measured".into(), |ms| format!("{ms} ms"));
    let counts = format!(
        "{} sent · {} received · {} connections, {} in all · {latency}",
        tunnels::bytes(traffic.sent),
        tunnels::bytes(traffic.received),
        traffic.open,
        traffic.total
    );
    lines.push(pair("traffic", counts, dim));
    lines.push(pair("ends", limits(model, tunnel), dim));
    lines
}

fn limits(model: &Model, tunnel: &Tunnel) -> String {
    let age = clock::minutes(model.now - tunnel.opened_at);
    let idle = tunnel.idle_limit_s.map_or_else(String::new, |s| {
        format!(", after {} without a byte", clock::span(chrono::Duration::seconds(i64::from(s))))
    });
    let hard =
        ends_at(tunnel).map_or_else(String::new, |at| format!(", at {} whatever happens", clock::both(at)));
    format!("open {age}; with drtui{idle}{hard}")
}

fn orphan_details<'a>(model: &Model, theme: &Theme, orphan: &Orphan) -> Vec<Line<'a>> {
    let incident = orphan.incident.as_ref().map_or_else(String::new, |i| format!(" in incident {i}"));
    vec![
        Line::styled(
            format!(
                "{}/{}: {}{incident}",
                orphan.namespace,
                orphan.pod,
                tunnels::orphan_words(model, orphan)
            ),
            theme.style(Role::Text),
        ),
        Line::styled("X deletes it, through the guard. y copies the kubectl line.", theme.style(Role::Dim)),
    ]
}
