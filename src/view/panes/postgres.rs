//! Draws Postgres: servers, and for the selected one its restore window in both clocks and its last hour.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::empty;
use crate::core::Model;
use crate::core::panes::{PaneId, postgres};
use crate::domain::{Metrics, Sample, Server, ServerClass, Source, clock, text};
use crate::view::parts::{cell, draw_rows, nth, put, row_style, spark};
use crate::view::theme::{Role, Theme};

pub fn draw(model: &Model, theme: &Theme, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    let lines = area.height.saturating_sub(1);
    let detail = postgres::detail_lines(lines);
    let body = Rect::new(area.x, area.y + 1, area.width, lines - detail);
    put(head(theme, area.width), nth(area, 0), buffer);
    let rows = postgres::rows(model);
    if rows.is_empty() {
        let text = empty(model, PaneId::Postgres, "Azure lists no flexible server in this resource group.");
        put(Line::styled(text, theme.style(Role::Dim)), body, buffer);
        return;
    }
    let list = &model.panes.postgres;
    draw_rows(list, &rows, body, row_style(theme, true, focused), buffer, |name| {
        postgres::server(model, name).map(|server| row(model, theme, server, area.width))
    });
    let below = Rect::new(area.x, body.y + body.height, area.width, detail);
    if let Some(server) = list.selected.as_ref().and_then(|n| postgres::server(model, n)) {
        for (n, line) in details(model, theme, server, area.width).into_iter().enumerate() {
            put(line, nth(below, n as u16), buffer);
        }
    }
}

fn name_width(width: u16) -> usize {
    usize::from(width).saturating_sub(if width >= 74 { 49 } else { 33 }).max(10)
}

fn head<'a>(theme: &Theme, width: u16) -> Line<'a> {
    let sku = if width >= 74 { cell("SKU", 17) } else { String::new() };
    let text = format!(
        "{} {} {} {} {sku}",
        cell("WHAT", 9),
        cell("SERVER", name_width(width)),
        cell("STATE", 12),
        cell("PG", 6)
    );
    Line::styled(text, theme.style(Role::Dim))
}

fn row<'a>(model: &Model, theme: &Theme, server: &Server, width: u16) -> Line<'a> {
    let stale = model.unwell(Source::Azure);
    let plain = theme.style(if stale { Role::Stale } else { Role::Text });
    let class = match server.class {
        ServerClass::Live => Role::Live,
        ServerClass::Ptr => Role::Ptr,
        ServerClass::SideCopy => Role::Dim,
    };
    let name = name_width(width);
    let ready = server.state.eq_ignore_ascii_case("Ready");
    let state = if stale {
        Role::Stale
    } else if ready {
        Role::Ok
    } else {
        Role::Warn
    };
    let mut spans = vec![
        Span::styled(cell(server.class.word(), 9), theme.style(class)),
        Span::raw(" "),
        Span::styled(cell(&text::fit_middle(&server.name, name), name), plain),
        Span::raw(" "),
        Span::styled(cell(&server.state, 12), theme.style(state)),
        Span::raw(" "),
        Span::styled(cell(&server.version, 6), plain),
    ];
    if width >= 74 {
        spans.push(Span::styled(format!(" {}", cell(&server.sku, 17)), theme.style(Role::Dim)));
    }
    Line::from(spans)
}

fn details<'a>(model: &Model, theme: &Theme, server: &Server, width: u16) -> Vec<Line<'a>> {
    let dim = theme.style(Role::Dim);
    let text = theme.style(Role::Text);
    // Its end does not go on with our clock while Azure is silent, and has its age then.
    let stale = model.unwell(Source::Azure);
    let told = model.world.servers.as_of.unwrap_or(model.now);
    let age = if stale { format!(" · {} old", clock::span(model.now - told)) } else { String::new() };
    let window = match (server.restore_window(told), server.earliest_restore) {
        (Some((from, to)), _) => vec![
            format!("restorable {} to {}", clock::london_day_s(from), clock::london_day_s(to)),
            format!("           {} to {}{age}", clock::utc_day_s(from), clock::utc_day_s(to)),
        ],
        (None, Some(from)) => vec![
            format!("restorable from {}", clock::both_s(from)),
            "           nothing is older than 5 minutes yet".into(),
        ],
        (None, None) => vec!["restore window: Azure does not say".into()],
    };
    let days = server.retention_days.map_or_else(String::new, |d| format!("kept {d} days · "));
    let storage = server.storage_gb.map_or_else(String::new, |g| format!("{g} GB · "));
    let facts = format!("{days}{} · {storage}HA {}", server.tier, server.ha);
    let text = if stale { theme.style(Role::Stale) } else { text };
    let mut lines: Vec<Line<'_>> = window.into_iter().map(|l| Line::styled(l, text)).collect();
    lines.push(Line::styled(facts, dim));
    match model.world.metrics.value.as_ref().and_then(|m| m.get(&server.name)) {
        Some(metrics) => lines.extend(sparks(model, theme, metrics, width)),
        None => lines.push(Line::styled(format!("metrics: {}", model.standing(Source::Monitor)), dim)),
    }
    lines
}

fn sparks<'a>(model: &Model, theme: &Theme, metrics: &Metrics, width: u16) -> Vec<Line<'a>> {
    let stale = model.unwell(Source::Monitor);
    let all: [(&str, &[Sample], Option<f64>, &str); 4] = [
        ("CPU", &metrics.cpu, Some(100.0), "%"),
        ("memory", &metrics.memory, Some(100.0), "%"),
        ("connections", &metrics.connections, None, ""),
        ("storage", &metrics.storage, Some(100.0), "%"),
    ];
    let bars = usize::from(width).saturating_sub(34).clamp(5, 60);
    let line = |(name, samples, top, unit): &(&str, &[Sample], Option<f64>, &str)| {
        let last = samples.iter().rev().find(|s| s.value.is_some());
        let value = last.and_then(|s| s.value).map_or_else(|| "no data".into(), |v| format!("{v:.0}{unit}"));
        let at = last.map_or_else(String::new, |s| clock::london_hm(s.at));
        Line::from(vec![
            Span::styled(cell(name, 12), theme.style(Role::Dim)),
            Span::styled(
                spark(samples, *top, bars),
                theme.style(if stale { Role::Stale } else { Role::Spark }),
            ),
            Span::styled(
                format!(" {}", cell(&value, 8)),
                theme.style(if stale { Role::Stale } else { Role::Text }),
            ),
            Span::styled(at, theme.style(Role::Dim)),
        ])
    };
    all.iter().map(line).collect()
}
