//! Draws pages of text: help, messages, details of an item.

use ratatui::Frame;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::field;
use crate::compare::gates;
use crate::core::command::{Danger, REGISTRY, Scope, Spec, label};
use crate::core::model::Level;
use crate::core::overlays::palette::available;
use crate::core::overlays::reader::{Page, Reader};
use crate::core::panes::compare;
use crate::core::{Model, sense, session};
use crate::domain::{Sensed, clock, text};
use crate::view::parts::{cell, hint, mark_role, nth, put, window, wrap};
use crate::view::theme::{Role, Theme};

pub fn draw(model: &Model, theme: &Theme, reader: &Reader, frame: &mut Frame<'_>) {
    let size = (100, frame.area().height.saturating_sub(2));
    let width = 98.min(frame.area().width.saturating_sub(2));
    let (title, lines) = match &reader.page {
        Page::Help => ("Help", help(model, theme, reader.search.value(), width)),
        Page::Messages => ("Messages", messages(model, theme, width)),
        Page::Details(id) => ("Details", details(model, theme, id, width)),
        Page::Compared(id) => ("How it was compared", compared(model, theme, *id, width)),
    };
    let inner = window(title, Role::BorderFocus, theme, size, frame);
    let first = u16::from(reader.page == Page::Help) * 2;
    let room = inner.height.saturating_sub(first + 1);
    let top = reader.top.min(lines.len().saturating_sub(usize::from(room)));
    let total = lines.len();
    for (n, line) in lines.into_iter().skip(top).take(usize::from(room)).enumerate() {
        put(line, nth(inner, first + n as u16), frame.buffer_mut());
    }
    if reader.page == Page::Help {
        field("search: ", &reader.search, true, theme, nth(inner, 0), frame);
    }
    let more = total.saturating_sub(top + usize::from(room));
    let mut keys = hint(theme, "↑↓", &if more > 0 { format!("{more} lines more") } else { "scroll".into() });
    keys.extend(hint(theme, "Esc", "leave"));
    put(Line::from(keys), nth(inner, inner.height.saturating_sub(1)), frame.buffer_mut());
}

/// How a table was compared, and what differs besides tables.
fn compared<'a>(model: &Model, theme: &Theme, id: u32, width: u16) -> Vec<Line<'a>> {
    let Some(comparison) = &model.compare else { return Vec::new() };
    let mut lines = Vec::new();
    let mut say = |role: Role, words: &str| {
        lines.extend(wrap(words, width).into_iter().map(|l| Line::styled(l, theme.style(role))));
    };
    if let Some(table) = comparison.tables.get(&id) {
        say(Role::Title, &text::clean(&table.head.table.to_string()));
        for (caution, words) in compare::details(table) {
            say(if caution { Role::Warn } else { Role::Text }, &words);
        }
        for gate in table.result.iter().flat_map(|r| &r.gates).filter(|g| g.passed) {
            say(Role::Dim, &format!("gate {} holds: {}", gates::word(gate.gate), text::clean(&gate.saw)));
        }
    }
    if !comparison.schema.is_empty() {
        say(Role::Title, "Besides tables");
        for change in &comparison.schema {
            let normal = if change.normal { " (normal)" } else { "" };
            let role = if change.normal { Role::Dim } else { Role::Warn };
            say(role, &text::clean(&format!("{} {}: {}{normal}", change.what, change.on, change.says)));
        }
    }
    if !comparison.notes.is_empty() {
        say(Role::Title, "On the way");
        comparison.notes.iter().for_each(|note| say(Role::Dim, note));
    }
    lines
}

fn help<'a>(model: &Model, theme: &Theme, search: &str, width: u16) -> Vec<Line<'a>> {
    let wanted = search.to_lowercase();
    let matches = |s: &&Spec| {
        available(model, s)
            && (wanted.is_empty() || format!("{} {}", s.name, s.summary).to_lowercase().contains(&wanted))
    };
    let mut lines = Vec::new();
    let mut group = |title: String, specs: Vec<&Spec>| {
        if specs.is_empty() {
            return;
        }
        lines.push(Line::styled(title, theme.style(Role::Title)));
        for spec in specs {
            let keys: Vec<String> = spec.keys.iter().map(|k| label(k)).collect();
            let keys =
                if keys.is_empty() { format!(":{} {}", spec.name, spec.argument) } else { keys.join(" ") };
            let guarded = if spec.danger == Danger::Safe { "" } else { "  (guarded)" };
            let text = wrap(&format!("{}{guarded}", spec.summary), width.saturating_sub(26));
            for (n, part) in text.into_iter().enumerate() {
                let keys = if n == 0 { format!(" {keys} ") } else { String::new() };
                let role = if n == 0 { Role::Key } else { Role::Text };
                lines.push(Line::from(vec![
                    Span::styled(cell(&keys, 24), theme.style(role)),
                    Span::styled(format!(" {part}"), theme.style(Role::Text)),
                ]));
            }
        }
        lines.push(Line::default());
    };
    let here = Scope::Pane(model.focus);
    group(
        format!("In {}", model.focus.title()),
        REGISTRY.iter().filter(|s| s.scope == here).filter(matches).collect(),
    );
    group(
        "Everywhere".into(),
        REGISTRY.iter().filter(|s| s.scope == Scope::Everywhere).filter(matches).collect(),
    );
    group(
        "In the other panes".into(),
        REGISTRY.iter().filter(|s| s.scope != here && s.scope != Scope::Everywhere).filter(matches).collect(),
    );
    lines.push(Line::styled(
        "Marks: [ ] open  [x] verified by a probe  [~] said done  [!] overridden",
        theme.style(Role::Text),
    ));
    lines.push(Line::styled(
        "Shift with the mouse selects text in most terminals; m gives the mouse back for good.",
        theme.style(Role::Dim),
    ));
    lines
}

fn messages<'a>(model: &Model, theme: &Theme, width: u16) -> Vec<Line<'a>> {
    if model.messages.is_empty() {
        return vec![Line::styled("No messages yet.", theme.style(Role::Dim))];
    }
    let mut lines = Vec::new();
    for message in model.messages.iter().rev() {
        let role = match message.level {
            Level::Info => Role::Text,
            Level::Warning => Role::Warn,
            Level::Error => Role::Danger,
        };
        let text = format!("{}  {}", clock::london_hm(message.at), message.text);
        lines.extend(wrap(&text, width).into_iter().map(|l| Line::styled(l, theme.style(role))));
    }
    lines
}

fn heard(sensed: &Sensed) -> String {
    sensed.as_of.map_or_else(String::new, |at| format!(", as of {}", clock::london_s(at)))
}

/// The words, all of them.
fn said<'a>(words: &str, width: u16, style: Style) -> impl Iterator<Item = Line<'a>> {
    wrap(words, width).into_iter().map(move |line| Line::styled(line, style))
}

fn details<'a>(model: &Model, theme: &Theme, id: &str, width: u16) -> Vec<Line<'a>> {
    let Some(item) = model.runbook().and_then(|r| r.item(id)) else { return Vec::new() };
    let dim = theme.style(Role::Dim);
    let mut lines = vec![Line::styled(item.title.clone(), theme.style(Role::Title)), Line::default()];
    for note in &item.notes {
        lines.extend(wrap(note, width).into_iter().map(|l| Line::styled(l, theme.style(Role::Text))));
        lines.push(Line::default());
    }
    for command in &item.commands {
        lines.push(Line::from(vec![
            Span::styled("$ ", dim),
            Span::styled(command.clone(), theme.style(Role::Info)),
        ]));
    }
    for link in &item.links {
        lines.push(Line::from(vec![
            Span::styled(format!("{}: ", link.text), dim),
            Span::styled(link.url.clone(), theme.style(Role::Info)),
        ]));
    }
    if let Some(sensed) = sense::sense(model, item) {
        let expects = sense::expectation(model, item).map_or_else(String::new, |e| format!(", must be {e}"));
        let words = format!("sensed: {}{expects} ({}{})", sensed.value, sensed.source, heard(&sensed));
        lines.extend(said(&words, width, theme.style(Role::Text)));
    }
    if let Some(open) = &model.session {
        if let Some(answer) = open.state.answers.get(id) {
            let text = format!(
                "{} {} by {} at {}",
                answer.mark.sign(),
                answer.mark.word(),
                answer.who,
                clock::both(answer.at)
            );
            lines.push(Line::styled(text, theme.style(mark_role(answer.mark))));
            if let Some(at) = session::put_back(model, item) {
                let text = format!("  what it changed was put back at {}", clock::both_s(at));
                lines.push(Line::styled(text, theme.style(Role::Info)));
            }
            if let Some(saw) = &answer.sensed {
                let words = format!("  saw {} ({}{})", saw.value, saw.source, heard(saw));
                lines.extend(said(&words, width, dim));
            }
            if let Some(reason) = &answer.reason {
                lines.extend(said(&format!("  because {reason}"), width, dim));
            }
        }
        for note in open.state.notes.iter().filter(|n| n.item.as_deref() == Some(id)) {
            let words = format!("note by {}: {}", note.who, note.text);
            lines.extend(said(&words, width, theme.style(Role::Info)));
        }
    }
    lines
}
