//! Opening an incident: which runbook, when it began, when it was noticed.

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Overlay, edit, open};
use crate::core::effect::Effect;
use crate::core::model::{Level, Model};
use crate::core::when;
use crate::domain::{Utc, clock};
use crate::incident::{Event, RunbookRef};

/// The form. Fields: 0 runbook, 1 began, 2 noticed.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    pub runbook: usize,
    pub began: Input,
    pub noticed: Input,
    pub field: usize,
    pub problem: Option<String>,
}

impl Opening {
    /// The text field with the focus.
    pub fn field_mut(&mut self) -> Option<&mut Input> {
        match self.field {
            1 => Some(&mut self.began),
            2 => Some(&mut self.noticed),
            _ => None,
        }
    }

    pub(super) fn key(mut self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        let last = model.runbooks.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Tab | KeyCode::Down => self.field = (self.field + 1) % 3,
            KeyCode::BackTab | KeyCode::Up => self.field = (self.field + 2) % 3,
            KeyCode::Left if self.field == 0 => self.runbook = self.runbook.saturating_sub(1),
            KeyCode::Right if self.field == 0 => self.runbook = (self.runbook + 1).min(last),
            KeyCode::Enter if model.session.is_some() => {
                model.tell(Level::Warning, "An incident is open already: :close ends it first.");
                return Vec::new();
            }
            KeyCode::Enter => match self.event(model) {
                Ok(event) => return vec![Effect::OpenIncident(event)],
                Err(why) => self.problem = Some(why),
            },
            _ => {
                self.problem = None;
                if self.field == 0 && matches!(key.code, KeyCode::Char(_)) {
                    // Nothing that is typed gets lost: the next field takes it.
                    self.field = 1;
                }
                if let Some(input) = self.field_mut() {
                    edit(input, key);
                }
            }
        }
        open(model, Overlay::Opening(self));
        Vec::new()
    }

    fn event(&self, model: &Model) -> Result<Event, String> {
        let Some(runbook) = model.runbooks.get(self.runbook) else {
            return Err("No runbook could be read.".into());
        };
        let began = time(&self.began, model.now).map_err(|e| format!("Began: {e}"))?;
        let noticed =
            time(&self.noticed, model.now).map_err(|e| format!("Noticed: {e}"))?.unwrap_or(model.now);
        if began.is_some_and(|b| b > noticed) {
            return Err("It was noticed before it began? Check both times.".into());
        }
        Ok(Event::Opened {
            incident: String::new(),
            runbook: RunbookRef {
                id: runbook.id.clone(),
                title: runbook.title.clone(),
                version: runbook.version,
                sha256: runbook.sha256.clone(),
            },
            service: model.target.service.clone(),
            environment: model.target.environment.clone(),
            production: model.target.production,
            exercise: model.target.exercise,
            disrupted_at: began,
            detected_at: Some(noticed),
            place: Some(model.target.cluster.clone()),
        })
    }
}

impl Opening {
    /// What a time field is understood as, in both clocks.
    pub fn understood(&self, model: &Model, input: &Input) -> String {
        match time(input, model.now) {
            Ok(Some(at)) => format!("= {}", clock::both(at)),
            Ok(None) => String::new(),
            Err(_) => "?".into(),
        }
    }
}

fn time(input: &Input, now: Utc) -> Result<Option<Utc>, when::WhenError> {
    let text = input.value().trim();
    if text.is_empty() { Ok(None) } else { when::parse(text, now).map(Some) }
}
