//! Text to scroll: help, messages, an item's details.

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Overlay, edit, open};
use crate::core::effect::Effect;
use crate::core::model::Model;

/// What is being read.
#[derive(Debug, Clone, PartialEq)]
pub enum Page {
    /// Keys and commands; typing narrows them down.
    Help,
    Messages,
    /// An item of the runbook, by id.
    Details(String),
    /// How a table was compared, by its number.
    Compared(crate::compare::TableId),
}

/// A page and how far it is scrolled.
#[derive(Debug, Clone)]
pub struct Reader {
    pub page: Page,
    pub top: usize,
    /// Help only: what is searched for.
    pub search: Input,
}

impl Reader {
    pub fn new(page: Page) -> Reader {
        Reader { page, top: 0, search: Input::default() }
    }

    pub(super) fn key(mut self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        let help = self.page == Page::Help;
        match key.code {
            KeyCode::Esc | KeyCode::Enter => return Vec::new(),
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Down => self.top += 1,
            KeyCode::PageUp => self.top = self.top.saturating_sub(10),
            KeyCode::PageDown => self.top += 10,
            KeyCode::Home => self.top = 0,
            KeyCode::Char('?') if help => return Vec::new(),
            _ if help => {
                edit(&mut self.search, key);
                self.top = 0;
            }
            KeyCode::Char('q' | 'v' | 'M') => return Vec::new(),
            KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::Char('j') => self.top += 1,
            KeyCode::Char('y') => {
                if let Page::Details(id) = &self.page {
                    let item = model.runbook().and_then(|r| r.item(id));
                    let text = item.and_then(|i| i.commands.first().cloned());
                    open(model, Overlay::Reader(self));
                    return text.map(Effect::Copy).into_iter().collect();
                }
            }
            _ => {}
        }
        open(model, Overlay::Reader(self));
        Vec::new()
    }
}

/// Opens an item's details.
pub fn details(model: &mut Model, item: &str) {
    open(model, Overlay::Reader(Reader::new(Page::Details(item.to_owned()))));
}
