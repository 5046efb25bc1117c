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
use crate::incident::fold::{ActionRecord, LedgerRecord};
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

    /// Notes that the end of an undo is on its way to the journal; false if it is already.
    pub fn end_undo(&mut self, id: &str) -> bool {
        self.ending.insert(id.to_owned())
    }

    /// The journal refused: the ends of undos may not be on record and are looked for again.
    pub fn ends_again(&mut self) {
        self.ending.clear();
    }

    /// True if an action that puts the undo back has succeeded.
    fn restored(&self, record: &LedgerRecord) -> bool {
        let done = |a: &ActionRecord| matches!(a.ended, Some((_, Outcome::Done { .. })));
        self.state.actions.iter().any(|a| a.undoes.as_deref() == Some(record.undo.id.as_str()) && done(a))
    }

    /// True if every change since the capture has failed: there is nothing of ours to put back.
    fn untouched(&self, record: &LedgerRecord) -> bool {
        let UndoKind::Replicas { deployment, .. } = &record.undo.kind;
        let changes = |a: &&ActionRecord| {
            a.at >= record.at && matches!(&a.action, Action::Scale { deployment: d, .. } if d == deployment)
        };
        let mut since = self.state.actions.iter().filter(changes).peekable();
        since.peek().is_some() && since.all(|a| matches!(a.ended, Some((_, Outcome::Failed { .. }))))
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

/// A change is over and on record: the watch may have shown its end already.
pub fn on_finished(model: &mut Model) -> Vec<Effect> {
    let events = put_back(model);
    if events.is_empty() { Vec::new() } else { vec![Effect::Journal(events)] }
}

fn settle_awaiting(model: &mut Model) {
    let Some(map) = &model.world.deployments.value else { return };
    model.awaiting.retain(|key, from| map.get(key).is_some_and(|d| d.wanted == *from));
}

/// Undos whose deployments the watch shows as captured, because a finished action put them back (wanted and ready), or
/// because every change that they were captured for has failed.
fn put_back(model: &mut Model) -> Vec<Event> {
    let Model { session, world, .. } = model;
    let (Some(session), Some(map)) = (session, &world.deployments.value) else { return Vec::new() };
    // An old value proves nothing.
    if world.deployments.phase != Phase::Live {
        return Vec::new();
    }
    let mut done = Vec::new();
    for record in session.state.open_undo() {
        let UndoKind::Replicas { deployment, replicas, .. } = &record.undo.kind;
        let Some(d) = map.get(deployment).filter(|d| d.wanted == *replicas) else { continue };
        let name = &deployment.name;
        if session.restored(record) && d.ready >= *replicas {
            let how = format!("{name}: {} wanted and {} ready, as captured", d.wanted, d.ready);
            done.push((record.undo.id.clone(), how));
        } else if session.untouched(record) {
            let how = format!("{name}: the change was not made, {} wanted as captured", d.wanted);
            done.push((record.undo.id.clone(), how));
        }
    }
    done.retain(|(id, _)| session.end_undo(id));
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

/// Once after a resume, when every source that probes ask has answered or failed: senses again what was answered
/// before.
fn resense(model: &mut Model) -> Vec<Event> {
    let due = model.session.as_ref().is_some_and(|s| s.resense);
    let web = model.target.health_url.is_some();
    let mut asked = [Source::Kubernetes, Source::Azure].into_iter().chain(web.then_some(Source::Web));
    if !due || !asked.all(|s| model.world.answered(s)) {
        return Vec::new();
    }
    let Some(runbook) = model.runbook().cloned() else { return Vec::new() };
    let (mut held, mut unknown, mut differ) = (0, 0, Vec::new());
    for item in runbook.items().filter(|i| i.verify.is_some()) {
        let mark = model.session.as_ref().map_or(Mark::Open, |s| s.state.mark(&item.id));
        if !matches!(mark, Mark::Verified | Mark::Said) {
            continue;
        }
        match (contradiction(model, item), sense::sense(model, item).map(|s| s.verdict)) {
            (Some(value), _) => differ.push(format!("{}: now {value}", item.title)),
            (None, Some(Verdict::Pass)) => held += 1,
            // Put back on purpose meanwhile.
            (None, Some(Verdict::Fail)) => {}
            (None, _) => unknown += 1,
        }
    }
    let words = told_again(held, unknown, &differ);
    if !differ.is_empty() {
        model.tell(Level::Error, format!("After the resume {words}"));
    }
    if let Some(session) = model.session.as_mut() {
        session.resense = false;
    }
    if let Some(mark) = model.away.bookmark.as_mut() {
        mark.sensing = false;
        mark.changed.push(words.clone());
    }
    vec![Event::Observed { what: format!("sensed again: {words}"), source: "resume".into() }]
}

fn told_again(held: usize, unknown: usize, differ: &[String]) -> String {
    let items = |n: usize| if n == 1 { "1 answered item".to_owned() } else { format!("{n} answered items") };
    let mut words = match (held, unknown, differ.len()) {
        (0, 0, 0) => "no answered item has a probe to ask again".to_owned(),
        (1, ..) => format!("{} still holds", items(1)),
        (n, ..) => format!("{} still hold", items(n)),
    };
    if unknown > 0 {
        words.push_str(&format!(", {} cannot be sensed now", items(unknown)));
    }
    if !differ.is_empty() {
        words.push_str(&format!(", LOOK AGAIN at {}", differ.join("; ")));
    }
    words
}
