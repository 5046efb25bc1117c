//! One line to type: a note, a reason, a filter.

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Overlay, edit, open};
use crate::core::effect::Effect;
use crate::core::model::{Level, Model};
use crate::core::panes::{self, PaneId};
use crate::core::{recorded, tunnel};
use crate::domain::{Sensed, Tool, Utc, text};
use crate::incident::{Event, Mark};
use crate::runbook::Record;

/// What the line is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Filter(PaneId),
    /// A note, on an item or on the incident.
    Note(Option<String>),
    /// Why an item is overridden, with what was sensed when the person decided.
    Override {
        item: String,
        title: String,
        sensed: Option<Sensed>,
    },
    /// The value that a person found, for an item that is only said done.
    Said {
        item: String,
        title: String,
        sensed: Option<Sensed>,
        /// What kind of value that is; `None`: any words.
        record: Option<Record>,
    },
    /// Why an answered item is opened again.
    Reopen {
        item: String,
        title: String,
    },
    /// Why a captured state is not put back.
    Waive {
        undo: String,
        what: String,
    },
    /// Why a waived undo is to be put back after all.
    Unwaive {
        undo: String,
        what: String,
    },
    /// One sentence to close the incident with; `left` says what is left undone.
    Close {
        left: String,
    },
    /// The arguments of a program that gets the terminal.
    Arguments {
        tool: Tool,
        read_only: bool,
    },
}

/// The prompt.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub kind: Kind,
    pub input: Input,
}

impl Prompt {
    pub fn new(kind: Kind) -> Prompt {
        Prompt { kind, input: Input::default() }
    }

    /// A prompt with text already typed.
    pub fn with(kind: Kind, text: &str) -> Prompt {
        Prompt { kind, input: Input::new(text.to_owned()) }
    }

    /// One with what was typed into it before and not sent.
    pub fn drafted(model: &Model, kind: Kind) -> Prompt {
        let prompt = Prompt::new(kind);
        match prompt.about().and_then(|about| model.drafts.get(&about)) {
            Some(draft) => Prompt::with(prompt.kind, draft),
            None => prompt,
        }
    }

    /// What it is, in a word or two.
    pub fn title(&self) -> String {
        match &self.kind {
            Kind::Filter(_) => "Filter".into(),
            Kind::Note(_) => "Note".into(),
            Kind::Override { .. } => "[!] Override".into(),
            Kind::Said { .. } => "[~] Said done".into(),
            Kind::Reopen { .. } => "Open again".into(),
            Kind::Waive { .. } => "Waive".into(),
            Kind::Unwaive { .. } => "Put back after all".into(),
            Kind::Close { .. } => "Close the incident".into(),
            Kind::Arguments { tool, .. } => tool.word().into(),
        }
    }

    /// The question.
    pub fn label(&self) -> String {
        match &self.kind {
            Kind::Filter(pane) => format!("Filter {}: words, !word, field:word", pane.title().to_lowercase()),
            Kind::Note(None) => "Note for the timeline".into(),
            Kind::Note(Some(_)) => "Note on this item".into(),
            Kind::Override { title, .. } => format!("Override `{title}`: why? Your name goes on record"),
            Kind::Said { title, record: Some(record), .. } => {
                format!("`{title}`: {} It goes on record", recorded::question(record))
            }
            Kind::Said { title, .. } => format!("`{title}` is done: what did you find? It goes on record"),
            Kind::Reopen { title, .. } => format!("Open `{title}` again: why?"),
            Kind::Waive { what, .. } => format!("Do NOT put back ({what}): why? Your name goes on record"),
            Kind::Arguments { tool, .. } => {
                format!("Arguments of {}; the connection is added, no password belongs here", tool.word())
            }
            Kind::Unwaive { what, .. } => {
                format!("Put back after all ({what}): why? Your name goes on record")
            }
            Kind::Close { left } => format!("Close the incident ({left}): one sentence for the record"),
        }
    }

    pub(super) fn key(mut self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Esc => {
                if let Kind::Filter(pane) = self.kind {
                    panes::set_filter(model, pane, String::new());
                } else {
                    self.keep(model);
                }
                return Vec::new();
            }
            KeyCode::Enter => return self.enter(model),
            _ => {
                edit(&mut self.input, key);
                if let Kind::Filter(pane) = self.kind {
                    panes::set_filter(model, pane, self.input.value().to_owned());
                }
            }
        }
        open(model, Overlay::Prompt(self));
        Vec::new()
    }

    /// What is typed as it would go on record, or why it would not; `None` where any words do.
    pub fn understood(&self, now: Utc) -> Option<Result<String, String>> {
        let Kind::Said { record: Some(record), .. } = &self.kind else { return None };
        Some(recorded::value(record, &text::clean(self.input.value().trim()), now))
    }

    /// What was typed and not sent is there again when the same is asked next.
    fn keep(self, model: &mut Model) {
        let Some(about) = self.about() else { return };
        let typed = self.input.value().to_owned();
        model.drafts.remove(&about);
        if !typed.trim().is_empty() {
            model.tell(
                Level::Info,
                "Not sent. What you typed is kept, and is there when you ask for it again.",
            );
            model.drafts.insert(about, typed);
        }
    }

    /// What a draft is about; `None` for what is not kept.
    fn about(&self) -> Option<String> {
        let about = match &self.kind {
            Kind::Filter(_) | Kind::Arguments { .. } => return None,
            Kind::Note(item) => item.as_deref().unwrap_or_default(),
            Kind::Override { item, .. } | Kind::Said { item, .. } | Kind::Reopen { item, .. } => item,
            Kind::Waive { undo, .. } | Kind::Unwaive { undo, .. } => undo,
            Kind::Close { .. } => "",
        };
        Some(format!("{} {about}", self.title()))
    }

    fn enter(self, model: &mut Model) -> Vec<Effect> {
        let text = text::redact(&text::clean(self.input.value().trim()));
        if let Kind::Filter(pane) = self.kind {
            if let Some(problem) = panes::filter_problem(model, pane) {
                model.tell(Level::Warning, problem);
            }
            return Vec::new();
        }
        if let Kind::Arguments { tool, read_only } = self.kind {
            let typed = text::clean(self.input.value().trim());
            return tunnel::hand_off(model, tool, &typed, read_only);
        }
        if text.is_empty() {
            model.tell(Level::Warning, "Type a few words, or Esc to leave it.");
            open(model, Overlay::Prompt(self));
            return Vec::new();
        }
        let text = match self.understood(model.now) {
            None => text,
            Some(Ok(value)) => value,
            Some(Err(why)) => {
                model.tell(Level::Warning, why);
                open(model, Overlay::Prompt(self));
                return Vec::new();
            }
        };
        if let Some(about) = self.about() {
            model.drafts.remove(&about);
        }
        let event = match self.kind {
            Kind::Filter(_) | Kind::Arguments { .. } => return Vec::new(),
            Kind::Note(item) => Event::Noted { text, item },
            Kind::Override { item, title, sensed } => {
                // The answer dialog below has its answer.
                model.overlays.retain(|o| !matches!(o, Overlay::Answer(_)));
                Event::Answered { item, title, mark: Mark::Overridden, sensed, reason: Some(text) }
            }
            Kind::Said { item, title, sensed, .. } => {
                model.overlays.retain(|o| !matches!(o, Overlay::Answer(_)));
                Event::Answered { item, title, mark: Mark::Said, sensed, reason: Some(text) }
            }
            Kind::Reopen { item, title } => Event::Reopened { item, title, why: text },
            Kind::Waive { undo, .. } => Event::Waived { undo, reason: text },
            Kind::Unwaive { undo, .. } => Event::Unwaived { undo, why: text },
            Kind::Close { .. } => Event::Closed { summary: text },
        };
        vec![Effect::Journal(vec![event])]
    }
}
