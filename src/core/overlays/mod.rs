//! What lies over the panes: a stack of plain values. The top one gets the keys; each file decides for its own.

pub mod answer;
pub mod comparing;
pub mod guard;
pub mod ledger;
pub mod opening;
pub mod palette;
pub mod prompt;
pub mod query;
pub mod reader;
pub mod tunnelling;
pub mod versions;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::effect::Effect;
use super::model::{Level, Model};
use crate::domain::text;

/// An overlay with its state.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// Help, messages or an item's details: text to scroll.
    Reader(reader::Reader),
    Palette(palette::Palette),
    /// One line to type: note, reason, filter.
    Prompt(prompt::Prompt),
    Answer(answer::Answer),
    Guard(guard::Guard),
    Ledger(ledger::Ledger),
    Opening(opening::Opening),
    Tunnelling(tunnelling::Tunnelling),
    /// How to compare.
    Comparing(Box<comparing::Form>),
    /// Both versions of a value.
    Versions(versions::Versions),
    /// One question to both databases.
    Query(Box<query::Query>),
}

/// Puts a prompt on top, with what was typed into it before and not sent.
pub fn ask(model: &mut Model, kind: prompt::Kind) {
    let prompt = prompt::Prompt::drafted(model, kind);
    open(model, Overlay::Prompt(prompt));
}

/// Puts an overlay on top.
pub fn open(model: &mut Model, overlay: Overlay) {
    model.overlays.push(overlay);
}

/// Gives a key to the top overlay. It is taken off first; a handler that stays puts itself back.
pub fn key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    if let (KeyCode::Char(c), true) =
        (key.code, key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT))
    {
        match c {
            'c' => return self::key(model, &KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)),
            'z' => return vec![Effect::Suspend],
            'l' => return vec![Effect::Redraw],
            // Ctrl-Y is not y: only fields have a use for the rest (Ctrl-U, Ctrl-W, …).
            _ if !takes_text(model.overlays.last()) => return Vec::new(),
            _ => {}
        }
    }
    let form = match model.overlays.last() {
        Some(form @ (Overlay::Tunnelling(_) | Overlay::Comparing(_))) if key.code == KeyCode::Enter => {
            Some(form.clone())
        }
        _ => None,
    };
    let depth = model.overlays.len();
    let effects = to_the_top(model, key);
    // What was filled in is there again below the question whether to arm.
    if let Some(form) = form
        && model.overlays.len() == depth
        && matches!(model.overlays.last(), Some(Overlay::Palette(_)))
    {
        model.overlays.insert(depth.saturating_sub(1), form);
    }
    effects
}

fn to_the_top(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    match model.overlays.pop() {
        Some(Overlay::Reader(it)) => it.key(model, key),
        Some(Overlay::Palette(it)) => it.key(model, key),
        Some(Overlay::Prompt(it)) => it.key(model, key),
        Some(Overlay::Answer(it)) => it.key(model, key),
        Some(Overlay::Guard(it)) => it.key(model, key),
        Some(Overlay::Ledger(it)) => it.key(model, key),
        Some(Overlay::Opening(it)) => it.key(model, key),
        Some(Overlay::Tunnelling(it)) => it.key(model, key),
        Some(Overlay::Comparing(it)) => it.key(model, key),
        Some(Overlay::Versions(it)) => it.key(model, key),
        Some(Overlay::Query(it)) => it.key(model, key),
        None => Vec::new(),
    }
}

fn takes_text(overlay: Option<&Overlay>) -> bool {
    match overlay {
        Some(
            Overlay::Palette(_)
            | Overlay::Prompt(_)
            | Overlay::Opening(_)
            | Overlay::Tunnelling(_)
            | Overlay::Comparing(_),
        ) => true,
        Some(Overlay::Query(query)) => !query.reading,
        Some(Overlay::Guard(guard)) => guard.typed.is_some(),
        Some(Overlay::Reader(reader)) => reader.page == reader::Page::Help,
        _ => false,
    }
}

/// Pasted text goes into the top overlay's field, never anywhere else; whole or not at all.
pub fn paste(model: &mut Model, pasted: &str) {
    let clean = text::clean(pasted);
    let input = match model.overlays.last_mut() {
        Some(Overlay::Palette(it)) => Some(&mut it.input),
        Some(Overlay::Prompt(it)) => Some(&mut it.input),
        Some(Overlay::Guard(it)) if it.typed.is_some() => Some(&mut it.input),
        Some(Overlay::Opening(it)) => it.field_mut(),
        Some(Overlay::Tunnelling(it)) => it.field_mut(),
        Some(Overlay::Comparing(it)) => it.field_mut(),
        Some(Overlay::Query(it)) if !it.reading => Some(&mut it.input),
        _ => None,
    };
    let Some(input) = input else { return };
    let mut new = clean.chars().count();
    if new >= text::FIELD_MAX {
        // Cleaning stops there: the rest has to be counted as it came.
        new = new.max(pasted.chars().count());
    }
    let length = input.value().chars().count() + new;
    if length > text::FIELD_MAX {
        let most = text::FIELD_MAX;
        let text = format!("Too long: {length} characters, {most} fit. Nothing was pasted.");
        model.tell(Level::Warning, text);
        return;
    }
    for c in clean.chars() {
        input.handle(tui_input::InputRequest::InsertChar(c));
    }
}

/// Edits a one-line field; true if the key was for it.
fn edit(input: &mut Input, key: &KeyEvent) -> bool {
    let printable = matches!(key.code, KeyCode::Char(_)) && input.value().chars().count() >= text::FIELD_MAX;
    !printable && input.handle_event(&crossterm::event::Event::Key(*key)).is_some()
}
