//! Answering an item: the sensed value, its source and age first, then the person's key. Never a silent tick.

use crossterm::event::{KeyCode, KeyEvent};

use super::prompt::Kind;
use super::{Overlay, ask, open};
use crate::core::act;
use crate::core::command::Command;
use crate::core::effect::Effect;
use crate::core::model::{Level, Model};
use crate::core::panes::PaneId;
use crate::core::run::run;
use crate::core::sense;
use crate::domain::{Sensed, Verdict};
use crate::incident::{Event, Mark};
use crate::runbook::Item;

/// The dialog for one item, by its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub item: String,
}

/// What a key may answer now, and why not.
#[derive(Debug, Clone, PartialEq)]
pub struct Choices {
    pub sensed: Option<Sensed>,
    /// `Enter` verifies.
    pub verify: bool,
    /// `s` says done, `S` with the value found.
    pub said: bool,
    pub why: &'static str,
}

/// The choices for an item, from what is sensed at this moment.
pub fn choices(model: &Model, item: &Item) -> Choices {
    let sensed = sense::sense(model, item);
    let (verify, said, why) = match (&sensed, item.verify.is_some()) {
        (Some(s), true) => match s.verdict {
            Verdict::Pass => {
                (true, false, "The sensed value is what it must be: Enter accepts it as verified.")
            }
            Verdict::Fail => {
                (false, false, "The sensed value is NOT what it must be. Wait for it, or o overrides it.")
            }
            Verdict::Unknown if sense::wants_comparison(item) => {
                (false, true, "No complete comparison answers it: c compares. s says it is done, unverified.")
            }
            Verdict::Unknown => (false, true, "It cannot be sensed now: s says it is done, unverified."),
        },
        (Some(_), false) => (false, true, "Look at the value; s says that you did."),
        (None, _) if item.wants_value() => {
            (false, true, "Nothing can be sensed for this item: s asks what it is.")
        }
        (None, _) => (false, true, "Nothing can be sensed for this item: s says it is done."),
    };
    Choices { sensed, verify, said, why }
}

impl Answer {
    pub(super) fn key(self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        let Some(item) = model.runbook().and_then(|r| r.item(&self.item)).cloned() else { return Vec::new() };
        let choices = choices(model, &item);
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Vec::new(),
            KeyCode::Enter if choices.verify => return answered(&item, Mark::Verified, choices.sensed),
            KeyCode::Char('s') if choices.said && !item.wants_value() => {
                return answered(&item, Mark::Said, choices.sensed);
            }
            KeyCode::Char('s' | 'S') if choices.said => {
                open(model, Overlay::Answer(self));
                let kind = Kind::Said {
                    item: item.id,
                    title: item.title,
                    sensed: choices.sensed,
                    record: item.record,
                };
                ask(model, kind);
                return Vec::new();
            }
            KeyCode::Char('o') => {
                open(model, Overlay::Answer(self));
                let kind = Kind::Override { item: item.id, title: item.title, sensed: choices.sensed };
                ask(model, kind);
                return Vec::new();
            }
            KeyCode::Char('n') => {
                open(model, Overlay::Answer(self));
                ask(model, Kind::Note(Some(item.id)));
                return Vec::new();
            }
            KeyCode::Char('d') => {
                return act::item(model, &item);
            }
            KeyCode::Char('c') if sense::wants_comparison(&item) => {
                model.focus = PaneId::Compare;
                return run(model, Command::Compare, "");
            }
            KeyCode::Char('v') => {
                open(model, Overlay::Answer(self));
                super::reader::details(model, &item.id);
                return Vec::new();
            }
            KeyCode::Enter | KeyCode::Char('s' | 'S') => model.tell(Level::Warning, choices.why),
            _ => {}
        }
        open(model, Overlay::Answer(self));
        Vec::new()
    }
}

fn answered(item: &Item, mark: Mark, sensed: Option<Sensed>) -> Vec<Effect> {
    vec![Effect::Journal(vec![Event::Answered {
        item: item.id.clone(),
        title: item.title.clone(),
        mark,
        sensed,
        reason: None,
    }])]
}
