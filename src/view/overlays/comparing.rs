//! Draws the form that begins a comparison: LIVE and the copy, in words and colour, before anything else.

use ratatui::Frame;
use ratatui::text::{Line, Span};

use super::field;
use crate::core::Model;
use crate::core::comparing::begin;
use crate::core::overlays::comparing::Form;
use crate::core::tunnel;
use crate::domain::{ComparePath, ServerClass, text};
use crate::view::parts::{hint, nth, put, window, wrap};
use crate::view::theme::{Role, Theme};

pub fn draw(model: &Model, theme: &Theme, it: &Form, frame: &mut Frame<'_>) {
    let size = (92.min(frame.area().width), 14.min(frame.area().height));
    let inner = window("Compare: reads only, on both sides", Role::BorderFocus, theme, size, frame);
    put(pair(model, theme, it), nth(inner, 0), frame.buffer_mut());
    for (n, label, input) in [
        (1, "tables    (blank: all) ", &it.tables),
        (2, "leave out              ", &it.exclude),
        (3, "rows where (SQL)       ", &it.filter),
        (5, "wait at active sessions", &it.max_load),
        (6, "rows to list (100)     ", &it.rows),
    ] {
        field(&format!("{label} "), input, it.field == n, theme, nth(inner, n as u16), frame);
    }
    put(path(theme, it), nth(inner, 4), frame.buffer_mut());
    let bottom = inner.height.saturating_sub(1);
    let remarks = remarks(model, it)
        .into_iter()
        .flat_map(|(role, words)| wrap(&words, inner.width).into_iter().map(move |line| (role, line)));
    let room = usize::from(bottom.saturating_sub(7));
    for (n, (role, words)) in remarks.take(room).enumerate() {
        put(Line::styled(words, theme.style(role)), nth(inner, 7 + n as u16), frame.buffer_mut());
    }
    let keys = [
        hint(theme, "Enter", "compare, on record"),
        hint(theme, "Tab", "next field"),
        hint(theme, "Esc", "leave"),
    ]
    .concat();
    put(Line::from(keys), nth(inner, bottom), frame.buffer_mut());
}

fn pair<'a>(model: &Model, theme: &Theme, it: &Form) -> Line<'a> {
    let copies = begin::copies(model);
    let place = copies.iter().position(|s| s.name == it.copy).map_or(0, |n| n + 1);
    let more =
        if copies.len() > 1 { format!(" {place} of {}, ← →", copies.len()) } else { String::new() };
    let live = tunnel::servers(model).into_iter().find(|(_, class)| *class == ServerClass::Live);
    let picked = theme.style(if it.field == 0 { Role::Input } else { Role::Text });
    Line::from(vec![
        Span::styled(" LIVE ", theme.style(Role::Live)),
        Span::raw(format!(" {} ", text::fit_end(&live.map_or_else(String::new, |(name, _)| name), 24))),
        Span::styled(" PTR ", theme.style(Role::Ptr)),
        Span::raw(" "),
        Span::styled(it.copy.clone(), picked),
        Span::styled(more, theme.style(Role::Dim)),
    ])
}

fn path<'a>(theme: &Theme, it: &Form) -> Line<'a> {
    let means = match it.path {
        ComparePath::Auto => "same files where proven, else contents",
        ComparePath::Physical => "same files, or NOT compared",
        ComparePath::Logical => "contents: reads every row of both",
    };
    let picked = theme.style(if it.field == 4 { Role::Input } else { Role::Text });
    Line::from(vec![
        Span::styled("path                    ", theme.style(Role::Dim)),
        Span::styled(it.path.word(), picked),
        Span::styled(format!("  ← → · {means}"), theme.style(Role::Dim)),
    ])
}

/// What is wrong, or what follows from what stands there.
fn remarks(model: &Model, it: &Form) -> Vec<(Role, String)> {
    if let Some(why) = &it.problem {
        return vec![(Role::Danger, why.clone())];
    }
    let mut out = Vec::new();
    match it.options() {
        Err(why) => out.push((Role::Danger, why)),
        Ok(options) => {
            if options.part().is_some() {
                out.push((Role::Warn, "PART ONLY: it will say nothing about the rest.".into()));
            }
            if options.max_load == Some(0) {
                let text = "0: neither waits nor rests, however busy LIVE is.";
                out.push((Role::Warn, text.into()));
            }
            if options.filter.is_some() {
                let text = "On record goes that there is a condition, and its SHA-256; never the condition.";
                out.push((Role::Dim, text.into()));
            }
        }
    }
    if let Some(why) = begin::hindrance(model, &it.copy) {
        out.push((Role::Warn, why));
    }
    if model.session.is_none() {
        out.push((Role::Warn, "It needs an open incident (i): comparisons are on record.".into()));
    }
    if tunnel::way(model).1 == Some(false) {
        out.push((
            Role::Warn,
            "No pod of the service runs: pods are made for it, by the guard, armed.".into(),
        ));
    }
    if out.is_empty() {
        out.push((Role::Dim, "All tables, all rows. Changes nothing: no arming needed.".into()));
    }
    out
}
