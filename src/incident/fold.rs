//! What follows from a journal: facts, marks, actions, the undo ledger. Pure and total: any order of any entries folds
//! without panic, and what makes no sense is kept as an oddity instead of being dropped in silence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{Action, Entry, Event, Mark, Outcome, PlannedItem, RunbookRef, Undo};
use crate::domain::{DeploymentKey, Sensed, Utc};

/// Everything that a journal says, as of its last entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub facts: Option<Facts>,
    pub plan: Option<Plan>,
    /// The last answer of each item that was ever answered, by item id. A reopened item has [`Mark::Open`].
    pub answers: BTreeMap<String, Answer>,
    pub notes: Vec<Note>,
    /// Until when changes may be made (UTC). Whoever asks compares it with the clock.
    pub armed_until: Option<Utc>,
    /// Every change that was intended, in order.
    pub actions: Vec<ActionRecord>,
    /// Every undo that was ever opened, in order.
    pub ledger: Vec<LedgerRecord>,
    /// Item that was answered last: where to come back to after an interruption.
    pub last_answered: Option<String>,
    pub closed: Option<Closing>,
    /// How often the cockpit came back to the incident after a stop or crash.
    pub resumed: u32,
    /// Sequence number of the last entry.
    pub seq: u64,
    /// Hash of the last entry.
    pub head: String,
    pub last_at: Option<Utc>,
    /// Entries that do not fit what came before, in words.
    pub oddities: Vec<String>,
}

/// What the opening entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub incident: String,
    pub runbook: RunbookRef,
    pub service: String,
    pub environment: String,
    pub production: bool,
    pub exercise: bool,
    pub disrupted_at: Option<Utc>,
    pub detected_at: Option<Utc>,
    /// The cluster, or the run of a sandbox.
    pub place: Option<String>,
    /// When it was declared: the time of the first entry (UTC).
    pub opened_at: Utc,
    pub opened_by: String,
}

/// What the runbook planned when the incident opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub goal: String,
    pub condition: String,
    pub rto_minutes: Option<u32>,
    pub rpo_minutes: Option<u32>,
    pub items: Vec<PlannedItem>,
}

/// How an item was answered, by whom, and what they saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub title: String,
    pub mark: Mark,
    pub sensed: Option<Sensed>,
    /// Why it was overridden or opened again, or what the person added.
    pub reason: Option<String>,
    pub who: String,
    pub at: Utc,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub text: String,
    pub item: Option<String>,
    pub who: String,
    pub at: Utc,
}

/// A change and how it ended. `ended` is `None` while it runs, and for ever if the process died under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    pub id: String,
    pub action: Action,
    pub command: String,
    pub undoes: Option<String>,
    pub who: String,
    pub at: Utc,
    pub ended: Option<(Utc, Outcome)>,
}

impl ActionRecord {
    /// True if nobody can say from the journal whether the change took place.
    pub fn is_uncertain(&self) -> bool {
        matches!(self.ended, None | Some((_, Outcome::Unknown { .. })))
    }
}

/// An undo of the ledger and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRecord {
    pub undo: Undo,
    /// Who captured the state, and when.
    pub who: String,
    pub at: Utc,
    pub ended: Option<UndoEnd>,
}

/// How an undo left the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoEnd {
    /// `false`: waived.
    pub put_back: bool,
    /// What was sensed, or why it was waived.
    pub words: String,
    pub who: String,
    pub at: Utc,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    pub summary: String,
    pub who: String,
    pub at: Utc,
}

impl State {
    pub fn fold(entries: &[Entry]) -> State {
        let mut state = State::default();
        for entry in entries {
            state.apply(entry);
        }
        state
    }

    /// Takes in the next entry. Never panics, whatever the entry says.
    pub fn apply(&mut self, entry: &Entry) {
        self.seq = entry.seq;
        self.head.clone_from(&entry.hash);
        self.last_at = Some(entry.at);
        match &entry.event {
            Event::Opened { .. } | Event::Planned { .. } => self.apply_opening(entry),
            Event::Resumed { .. } => {
                self.resumed = self.resumed.saturating_add(1);
                // A cockpit that comes back is read-only.
                self.armed_until = None;
            }
            Event::Armed { until } => self.armed_until = Some(*until),
            Event::Disarmed { .. } => self.armed_until = None,
            Event::Answered { .. } | Event::Reopened { .. } => self.apply_answer(entry),
            Event::Noted { text, item } => self.notes.push(Note {
                text: text.clone(),
                item: item.clone(),
                who: entry.who.clone(),
                at: entry.at,
            }),
            Event::Intended { .. } | Event::Finished { .. } => self.apply_action(entry),
            Event::Captured { .. } | Event::Undone { .. } | Event::Waived { .. } => self.apply_ledger(entry),
            Event::Unwaived { undo, .. } => self.apply_unwaived(entry, undo),
            Event::Observed { .. } => {}
            Event::Closed { summary } => {
                self.closed =
                    Some(Closing { summary: summary.clone(), who: entry.who.clone(), at: entry.at });
            }
        }
    }

    /// The mark of an item; open if nobody answered it.
    pub fn mark(&self, item: &str) -> Mark {
        self.answers.get(item).map_or(Mark::Open, |a| a.mark)
    }

    /// Undo entries that are neither put back nor waived.
    pub fn open_undo(&self) -> impl Iterator<Item = &LedgerRecord> {
        self.ledger.iter().filter(|l| l.ended.is_none())
    }

    /// Changes that were intended and whose end is not on record.
    pub fn open_actions(&self) -> impl Iterator<Item = &ActionRecord> {
        self.actions.iter().filter(|a| a.ended.is_none())
    }

    /// The captured state of a deployment that is still to be put back: the oldest open one, because a later capture
    /// may have recorded the zero that we made.
    pub fn captured_replicas(&self, deployment: &DeploymentKey) -> Option<(&str, i32)> {
        self.open_undo().find_map(|l| {
            let (d, replicas) = l.undo.kind.replicas()?;
            (d == deployment).then_some((l.undo.id.as_str(), replicas))
        })
    }

    /// True if nothing is left to be put back.
    pub fn can_close(&self) -> bool {
        self.open_undo().next().is_none()
    }

    pub fn is_armed(&self, now: Utc) -> bool {
        self.closed.is_none() && self.armed_until.is_some_and(|until| now < until)
    }

    /// An id for the next undo that no earlier one has.
    pub fn next_undo_id(&self) -> String {
        next_id('u', self.ledger.iter().map(|l| l.undo.id.as_str()))
    }

    /// An id for the next action that no earlier one has.
    pub fn next_action_id(&self) -> String {
        next_id('a', self.actions.iter().map(|a| a.id.as_str()))
    }

    fn odd(&mut self, entry: &Entry, what: impl std::fmt::Display) {
        self.oddities.push(format!("entry {}: {what}", entry.seq));
    }

    fn apply_opening(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Opened { .. } if self.facts.is_some() => self.odd(entry, "the incident was opened again"),
            Event::Opened {
                incident,
                runbook,
                service,
                environment,
                production,
                exercise,
                disrupted_at,
                detected_at,
                place,
            } => {
                self.facts = Some(Facts {
                    incident: incident.clone(),
                    runbook: runbook.clone(),
                    service: service.clone(),
                    environment: environment.clone(),
                    production: *production,
                    exercise: *exercise,
                    disrupted_at: *disrupted_at,
                    detected_at: *detected_at,
                    place: place.clone(),
                    opened_at: entry.at,
                    opened_by: entry.who.clone(),
                });
            }
            Event::Planned { goal, condition, rto_minutes, rpo_minutes, items } => {
                self.plan = Some(Plan {
                    goal: goal.clone(),
                    condition: condition.clone(),
                    rto_minutes: *rto_minutes,
                    rpo_minutes: *rpo_minutes,
                    items: items.clone(),
                });
            }
            _ => {}
        }
    }

    fn apply_answer(&mut self, entry: &Entry) {
        let (item, title, mark, sensed, reason) = match &entry.event {
            Event::Answered { item, title, mark, sensed, reason } => {
                self.last_answered = Some(item.clone());
                (item, title, *mark, sensed.clone(), reason.clone())
            }
            Event::Reopened { item, title, why } => {
                if !self.answers.contains_key(item) {
                    self.odd(entry, format_args!("`{item}` was opened again but never answered"));
                }
                (item, title, Mark::Open, None, Some(why.clone()))
            }
            _ => return,
        };
        let answer =
            Answer { title: title.clone(), mark, sensed, reason, who: entry.who.clone(), at: entry.at };
        self.answers.insert(item.clone(), answer);
    }

    fn apply_action(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Intended { id, action, command, undoes } => {
                if self.actions.iter().any(|a| a.id == *id) {
                    self.odd(entry, format_args!("action `{id}` was intended twice"));
                }
                self.actions.push(ActionRecord {
                    id: id.clone(),
                    action: action.clone(),
                    command: command.clone(),
                    undoes: undoes.clone(),
                    who: entry.who.clone(),
                    at: entry.at,
                    ended: None,
                });
            }
            Event::Finished { id, outcome } => {
                let open = self.actions.iter_mut().rev().find(|a| a.id == *id);
                match open {
                    Some(action) => {
                        // A second word on an unknown outcome is news; on a known one it is odd.
                        let known = !action.is_uncertain();
                        action.ended = Some((entry.at, outcome.clone()));
                        if known {
                            self.odd(entry, format_args!("action `{id}` finished twice"));
                        }
                    }
                    None => self.odd(entry, format_args!("action `{id}` finished but was never intended")),
                }
            }
            _ => {}
        }
    }

    fn apply_ledger(&mut self, entry: &Entry) {
        let (id, put_back, words) = match &entry.event {
            Event::Captured { undo } => {
                if self.ledger.iter().any(|l| l.undo.id == undo.id) {
                    self.odd(entry, format_args!("undo `{}` was captured twice", undo.id));
                }
                self.ledger.push(LedgerRecord {
                    undo: undo.clone(),
                    who: entry.who.clone(),
                    at: entry.at,
                    ended: None,
                });
                return;
            }
            Event::Undone { undo, how } => (undo, true, how),
            Event::Waived { undo, reason } => (undo, false, reason),
            _ => return,
        };
        let end = UndoEnd { put_back, words: words.clone(), who: entry.author().to_owned(), at: entry.at };
        match self.ledger.iter_mut().find(|l| l.undo.id == *id && l.ended.is_none()) {
            Some(record) => record.ended = Some(end),
            None => self.odd(entry, format_args!("undo `{id}` is not open")),
        }
    }
}

impl State {
    fn apply_unwaived(&mut self, entry: &Entry, id: &str) {
        let waived = |l: &&mut LedgerRecord| l.undo.id == id && l.ended.as_ref().is_some_and(|e| !e.put_back);
        match self.ledger.iter_mut().rev().find(waived) {
            Some(record) => record.ended = None,
            None => self.odd(entry, format_args!("undo `{id}` was not waived")),
        }
    }
}

/// `u1`, `u2`, …: one more than the highest number in use.
fn next_id<'a>(letter: char, used: impl Iterator<Item = &'a str>) -> String {
    let highest = used.filter_map(|id| id.strip_prefix(letter)?.parse::<u64>().ok()).max().unwrap_or(0);
    format!("{letter}{}", highest.saturating_add(1))
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
