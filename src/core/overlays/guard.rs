//! The guard: exact target, old and new value, the equivalent command line. Cancel is the default.

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Overlay, edit, open};
use crate::core::act;
use crate::core::effect::Effect;
use crate::core::model::Model;
use crate::incident::{Action, UndoKind};

/// One change as the dialog shows it and as it will be journalled.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub action: Action,
    pub target: String,
    pub old: String,
    pub new: String,
    pub command: String,
    pub note: Option<String>,
    /// What to put on record before the change.
    pub capture: Option<UndoKind>,
    /// Ledger entry that the change puts back.
    pub undoes: Option<String>,
    /// Checklist item at which it is to be put back.
    pub due: Option<String>,
}

/// No change takes more lines than that to show.
const LINES_MOST: usize = 12;

/// The dialog.
#[derive(Debug, Clone)]
pub struct Guard {
    pub title: String,
    pub steps: Vec<Step>,
    /// What the change as a whole may do that its single steps do not show.
    pub warning: Option<String>,
    /// What has to be typed before it goes on.
    pub typed: Option<String>,
    pub input: Input,
    /// The button with the focus: false is Cancel.
    pub go: bool,
    pub hint: Option<String>,
    /// First line shown, when they do not all fit.
    pub top: usize,
}

impl Guard {
    pub fn new(title: String, steps: Vec<Step>, typed: Option<String>) -> Guard {
        Guard { title, steps, warning: None, typed, input: Input::default(), go: false, hint: None, top: 0 }
    }

    /// True once everything asked for is there.
    pub fn ready(&self) -> bool {
        self.typed.as_ref().is_none_or(|t| self.input.value() == t)
    }

    pub(super) fn key(mut self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        self.hint = None;
        match key.code {
            KeyCode::Esc => {
                model.tell(crate::core::model::Level::Info, "Cancelled: nothing was changed.");
                return Vec::new();
            }
            KeyCode::Tab | KeyCode::BackTab => self.go = !self.go,
            KeyCode::Left | KeyCode::Right if self.typed.is_none() => self.go = !self.go,
            KeyCode::Down => self.top = (self.top + 1).min(self.steps.len() * LINES_MOST),
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Enter => return self.enter(model),
            KeyCode::Char('y') if self.typed.is_none() => return act::accept(model, self),
            KeyCode::Char('n') if self.typed.is_none() => return Vec::new(),
            _ if self.typed.is_some() => {
                edit(&mut self.input, key);
            }
            _ => {}
        }
        open(model, Overlay::Guard(self));
        Vec::new()
    }

    fn enter(mut self, model: &mut Model) -> Vec<Effect> {
        let typed = self.typed.is_some() && !self.input.value().is_empty();
        if self.ready() && (self.go || typed) {
            return act::accept(model, self);
        }
        if typed || self.go {
            let name = self.typed.clone().unwrap_or_default();
            self.hint = Some(format!("That is not `{name}`. Type it exactly, or Esc to cancel."));
            open(model, Overlay::Guard(self));
            return Vec::new();
        }
        model.tell(crate::core::model::Level::Info, "Cancelled: nothing was changed.");
        Vec::new()
    }
}
