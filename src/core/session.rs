//! The open incident as the cockpit follows it: its journal's entries, what they add up to, and what must be sensed
//! again or put on record because of what the providers say.

use std::collections::BTreeSet;

use chrono::Duration;

use super::effect::Effect;
use super::model::{Level, Model};
use super::panes::replicas;
use super::sense;
use super::world::Change;
use crate::domain::{DeploymentKey, Phase, Source, Utc, Verdict};
use crate::incident::{Action, Entry, Event, Mark, Outcome, PlannedItem, State, UndoKind};
use crate::runbook::{Do, Item, Runbook};

/// Note with which people record that stakeholders were told.
pub const UPDATE_SENT: &str = "Update sent to stakeholders";
/// Time between two updates of a high-risk incident (incident playbook, `platform.md` §12).
pub const UPDATE_EVERY: Duration = Duration::minutes(30);

/// An open incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub entries: Vec<Entry>,
    pub state: State,
    /// True until what was said done has been sensed again after a resume.
    pub resense: bool,
    /// Ids of undos that are seen to be put back: their end is on its way to the journal.
    ending: BTreeSet<String>,
    /// Actions whose end a stop or crash hid, until the watch tells.
    hidden: BTreeSet<String>,
    next_action: u64,
    next_undo: u64,
}

impl Session {
    pub fn new(entries: Vec<Entry>, resumed: bool) -> Session {
        let state = State::fold(&entries);
        let number = |id: String| id.trim_start_matches(['a', 'u']).parse().unwrap_or(1);
        let (next_action, next_undo) = (number(state.next_action_id()), number(state.next_undo_id()));
        let hidden = state.open_actions().map(|a| a.id.clone()).collect();
        Session { entries, state, resense: resumed, ending: BTreeSet::new(), hidden, next_action, next_undo }
    }

    pub fn push(&mut self, entry: Entry) {
        self.state.apply(&entry);
        self.entries.push(entry);
    }

    pub fn runbook_id(&self) -> &str {
        self.state.facts.as_ref().map_or("", |f| f.runbook.id.as_str())
    }

    pub fn new_action_id(&mut self) -> String {
        self.next_action += 1;
        format!("a{}", self.next_action - 1)
    }

    pub fn new_undo_id(&mut self) -> String {
        self.next_undo += 1;
        format!("u{}", self.next_undo - 1)
    }

    /// The replicas first captured for a deployment and not yet put back, else those captured last.
    pub fn captured(&self, key: &DeploymentKey) -> Option<i32> {
        self.open_capture(key).map(|(_, n)| n).or_else(|| {
            self.state.ledger.iter().rev().find_map(|l| match &l.undo.kind {
                UndoKind::Replicas { deployment, replicas, .. } if deployment == key => Some(*replicas),
                UndoKind::Replicas { .. } => None,
            })
        })
    }

    pub fn has_captures(&self) -> bool {
        !self.state.ledger.is_empty()
    }

    /// Id and replicas of the open undo of a deployment.
    pub fn open_capture(&self, key: &DeploymentKey) -> Option<(&str, i32)> {
        self.state.captured_replicas(key)
    }

    /// The replicas that the incident's last successful change set for a deployment.
    pub fn last_set(&self, key: &DeploymentKey) -> Option<i32> {
        self.state.actions.iter().rev().find_map(|a| match (&a.action, &a.ended) {
            (Action::Scale { deployment, to, .. }, Some((_, Outcome::Done { .. }))) if deployment == key => {
                Some(*to)
            }
            _ => None,
        })
    }

    /// When the next update to stakeholders is due (UTC).
    pub fn update_due(&self) -> Option<Utc> {
        let sent = self.state.notes.iter().rev().find(|n| n.text.starts_with(UPDATE_SENT)).map(|n| n.at);
        sent.or(self.state.facts.as_ref().map(|f| f.opened_at)).map(|at| at + UPDATE_EVERY)
    }

    /// Items of the runbook by mark: verified, said, overridden, open.
    pub fn tally(&self, runbook: &Runbook) -> [usize; 4] {
        let mut tally = [0; 4];
        for item in runbook.items() {
            let slot = match self.state.mark(&item.id) {
                Mark::Verified => 0,
                Mark::Said => 1,
                Mark::Overridden => 2,
                Mark::Open => 3,
            };
            if let Some(n) = tally.get_mut(slot) {
                *n += 1;
            }
        }
        tally
    }
}

/// The runbook as it is put on record when an incident opens.
pub fn plan(runbook: &Runbook) -> Event {
    let planned = |section: &str, item: &Item| PlannedItem {
        id: item.id.clone(),
        title: item.title.clone(),
        section: section.to_owned(),
        role: item.role.map(|r| r.word().to_owned()),
        estimate: item.estimate,
    };
    Event::Planned {
        goal: runbook.goal.clone(),
        condition: runbook.condition.clone(),
        rto_minutes: runbook.rto_minutes,
        rpo_minutes: runbook.rpo_minutes,
        items: runbook.sections.iter().flat_map(|s| s.items.iter().map(|i| planned(&s.title, i))).collect(),
    }
}

/// An answered item that the sensors contradict now, with what they say: looked at again, never unticked silently.
/// What a later item put back on purpose is not a contradiction.
pub fn contradiction(model: &Model, item: &Item) -> Option<String> {
    let session = model.session.as_ref()?;
    if !matches!(session.state.mark(&item.id), Mark::Verified | Mark::Said) {
        return None;
    }
    if restoring(model, item) {
        return None;
    }
    sense::sense(model, item).filter(|s| s.verdict == Verdict::Fail).map(|s| s.value)
}

/// True once the incident puts things back, for items that come before the one that does: what they made true is
/// being undone on purpose.
fn restoring(model: &Model, item: &Item) -> bool {
    let begun = model.session.as_ref().is_some_and(|s| s.state.actions.iter().any(|a| a.undoes.is_some()));
    let Some(runbook) = model.runbook().filter(|_| begun) else { return false };
    let put_back = runbook.items().position(|i| matches!(i.action, Some(Do::Restore { .. })));
    let here = runbook.items().position(|i| i.id == item.id);
    put_back.zip(here).is_none_or(|(put_back, here)| here < put_back)
}

/// What follows from news: drift, undos that are seen to be put back, actions whose end a crash hid, and what was
/// said done before a resume.
pub fn on_news(model: &mut Model, changes: &[Change], deployment: Option<&DeploymentKey>) -> Vec<Effect> {
    if model.session.is_none() {
        return Vec::new();
    }
    let mut events = Vec::new();
    for change in changes.iter().filter(|c| c.major) {
        events.push(Event::Observed { what: change.what.clone(), source: change.source.word().to_owned() });
    }
    settle_awaiting(model);
    events.extend(put_back(model));
    events.extend(hidden_ends(model));
    events.extend(drifts(model, deployment));
    events.extend(resense(model));
    if events.is_empty() { Vec::new() } else { vec![Effect::Journal(events)] }
}

fn settle_awaiting(model: &mut Model) {
    let Some(map) = &model.world.deployments.value else { return };
    model.awaiting.retain(|key, from| map.get(key).is_some_and(|d| d.wanted == *from));
}

/// Undos that a finished action put back, and that the watch shows: wanted and ready as captured.
fn put_back(model: &mut Model) -> Vec<Event> {
    let Model { session, world, .. } = model;
    let (Some(session), Some(map)) = (session, &world.deployments.value) else { return Vec::new() };
    let mut done = Vec::new();
    for record in session.state.open_undo() {
        let UndoKind::Replicas { deployment, replicas, .. } = &record.undo.kind;
        let restored = session.state.actions.iter().any(|a| {
            a.undoes.as_deref() == Some(record.undo.id.as_str())
                && matches!(a.ended, Some((_, Outcome::Done { .. })))
        });
        if let Some(d) = map.get(deployment)
            && restored
            && !session.ending.contains(&record.undo.id)
            && d.wanted == *replicas
            && d.ready >= *replicas
        {
            let how = format!("{}: {} wanted and {} ready, as captured", deployment.name, d.wanted, d.ready);
            done.push((record.undo.id.clone(), how));
        }
    }
    let ids = done.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    session.ending.extend(ids);
    done.into_iter().map(|(undo, how)| Event::Undone { undo, how }).collect()
}

/// Actions that were intended before a stop or crash and whose end is not on record: the watch tells what happened.
fn hidden_ends(model: &mut Model) -> Vec<Event> {
    let Model { session, world, .. } = model;
    let (Some(session), Some(map)) = (session, &world.deployments.value) else { return Vec::new() };
    if session.hidden.is_empty() || world.deployments.phase != Phase::Live {
        return Vec::new();
    }
    let mut ends = Vec::new();
    for action in session.state.open_actions().filter(|a| session.hidden.contains(&a.id)) {
        let Action::Scale { deployment, from, to } = &action.action else { continue };
        let Some(d) = map.get(deployment) else { continue };
        let outcome = if d.wanted == *to {
            Outcome::Done { result: format!("sensed after resume: {} wants {to}", deployment.name) }
        } else if d.wanted == *from {
            Outcome::Failed {
                why: format!("not applied: sensed after resume, {} still wants {from}", deployment.name),
            }
        } else {
            Outcome::Unknown { why: format!("sensed after resume: {} wants {}", deployment.name, d.wanted) }
        };
        ends.push((action.id.clone(), outcome));
    }
    session.hidden.retain(|id| !ends.iter().any(|(ended, _)| ended == id));
    ends.into_iter().map(|(id, outcome)| Event::Finished { id, outcome }).collect()
}

fn drifts(model: &mut Model, only: Option<&DeploymentKey>) -> Vec<Event> {
    let Some(map) = &model.world.deployments.value else { return Vec::new() };
    let suspects: Vec<_> = match only {
        Some(key) => map.get(key).into_iter().collect(),
        None => map.values().collect(),
    };
    let found: Vec<_> = suspects
        .into_iter()
        .filter_map(|d| replicas::drift(model, d).map(|set| (d.key.clone(), set, d.wanted)))
        .collect();
    let mut events = Vec::new();
    for (key, set, wanted) in found {
        if model.drift_told.insert((key.clone(), wanted)) {
            let what = format!(
                "{} was set to {set} by this incident and wants {wanted} now: someone scaled it",
                key.name
            );
            model.tell(Level::Error, format!("DRIFT: {what}"));
            events.push(Event::Observed { what, source: "drift".into() });
        }
    }
    events
}

/// Once after a resume, when every source has answered: senses again what was answered before.
fn resense(model: &mut Model) -> Vec<Event> {
    let due = model.session.as_ref().is_some_and(|s| s.resense);
    if !due || !Source::ALL.iter().all(|s| model.world.answered(*s)) {
        return Vec::new();
    }
    let Some(runbook) = model.runbook().cloned() else { return Vec::new() };
    let (mut held, mut differ) = (0, Vec::new());
    for item in runbook.items() {
        let answered = model.session.as_ref().is_some_and(|s| s.state.mark(&item.id) != Mark::Open);
        if answered && item.sense.is_some() {
            match contradiction(model, item) {
                Some(value) => differ.push(format!("{}: now {value}", item.title)),
                None => held += 1,
            }
        }
    }
    if let Some(session) = model.session.as_mut() {
        session.resense = false;
    }
    let what = if differ.is_empty() {
        format!("sensed again after resume: {held} answered items still hold")
    } else {
        let text = format!("sensed again after resume: {held} hold, LOOK AGAIN at {}", differ.join("; "));
        model.tell(Level::Error, text.clone());
        text
    };
    vec![Event::Observed { what, source: "resume".into() }]
}
