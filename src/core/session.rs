//! The open incident as the cockpit follows it: its journal's entries, what they add up to, and what is captured
//! and contradicted. `follow` says what news make of it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;

use super::model::Model;
use super::sense;
use super::world::Change;
use crate::domain::{DeploymentKey, Source, Utc, Verdict};
use crate::incident::fold::{ActionRecord, LedgerRecord};
use crate::incident::{Action, Entry, Event, Mark, Outcome, PlannedItem, State};
use crate::runbook::{Do, Item, Probe, Runbook, Scope};

/// Note with which people record that stakeholders were told.
pub const UPDATE_SENT: &str = "Update sent to stakeholders";
/// Note with which people take such a record back.
pub const UPDATE_NOT_SENT: &str = "No update was sent: the last record of one is taken back";
/// Time between two updates of a high-risk incident (incident playbook, `platform.md` §12).
pub const UPDATE_EVERY: Duration = Duration::minutes(30);

/// Changes of one thing that go on record in ten minutes.
const FLAPS_MAX: u32 = 10;

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
    /// Changes of each deployment and source that went on record: since when, and how many.
    flaps: BTreeMap<String, (Utc, u32)>,
    next_action: u64,
    next_undo: u64,
}

impl Session {
    pub fn new(entries: Vec<Entry>, resumed: bool) -> Session {
        let state = State::fold(&entries);
        let number = |id: String| id.trim_start_matches(['a', 'u']).parse().unwrap_or(1);
        let (next_action, next_undo) = (number(state.next_action_id()), number(state.next_undo_id()));
        let hidden = state.open_actions().map(|a| a.id.clone()).collect();
        Session {
            entries,
            state,
            resense: resumed,
            ending: BTreeSet::new(),
            hidden,
            flaps: BTreeMap::new(),
            next_action,
            next_undo,
        }
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
            let mut all = self.state.ledger.iter().rev().filter_map(|l| l.undo.kind.replicas());
            all.find(|(deployment, _)| *deployment == key).map(|(_, replicas)| replicas)
        })
    }

    /// True once replicas of some deployment were captured.
    pub fn has_captures(&self) -> bool {
        self.state.ledger.iter().any(|l| l.undo.kind.replicas().is_some())
    }

    /// Id and replicas of the open undo of a deployment: the oldest, for a later one may have recorded what we made.
    pub fn open_capture(&self, key: &DeploymentKey) -> Option<(&str, i32)> {
        let open = self.state.open_undo().filter(|l| !self.ending.contains(&l.undo.id));
        open.map(|l| &l.undo).find_map(|undo| {
            let (deployment, replicas) = undo.kind.replicas()?;
            (deployment == key).then_some((undo.id.as_str(), replicas))
        })
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

    /// True if the deployment's last change is one that puts the undo back, and succeeded.
    pub fn restored(&self, record: &LedgerRecord) -> bool {
        let Some((deployment, _)) = record.undo.kind.replicas() else { return false };
        let about =
            |a: &&ActionRecord| matches!(&a.action, Action::Scale { deployment: d, .. } if d == deployment);
        self.state.actions.iter().rev().find(about).is_some_and(|a| {
            a.undoes.as_deref() == Some(record.undo.id.as_str())
                && matches!(a.ended, Some((_, Outcome::Done { .. })))
        })
    }

    /// True if every change since the capture has failed: there is nothing of ours to put back.
    pub fn untouched(&self, record: &LedgerRecord) -> bool {
        let Some((deployment, _)) = record.undo.kind.replicas() else { return false };
        let changes = |a: &&ActionRecord| {
            a.at >= record.at && matches!(&a.action, Action::Scale { deployment: d, .. } if d == deployment)
        };
        let mut since = self.state.actions.iter().filter(changes).peekable();
        since.peek().is_some() && since.all(|a| matches!(a.ended, Some((_, Outcome::Failed { .. }))))
    }

    /// True while the end of an action is hidden by a crash, or by a journal that refused it.
    pub fn is_hidden(&self, id: &str) -> bool {
        self.hidden.contains(id)
    }

    pub fn hides(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// The ends of these actions are to be found out from the watch.
    pub fn hide(&mut self, ids: impl IntoIterator<Item = String>) {
        self.hidden.extend(ids);
    }

    /// The ends of these actions are known now.
    pub fn reveal<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        for id in ids {
            self.hidden.remove(id);
        }
    }

    /// Whether one more change goes on record, and what to add to its words: of a deployment, of how a source stands and
    /// of the service's page ten in ten minutes at most; the timeline shows the others as news.
    pub fn may_record(&mut self, change: &Change) -> Option<&'static str> {
        let flaps = change.standing || change.source == Source::Web;
        let about = change.deployment.clone().or_else(|| flaps.then(|| change.source.word().to_owned()));
        let Some(about) = about else { return Some("") };
        let (since, count) = self.flaps.entry(about).or_insert((change.at, 0));
        if change.at - *since > Duration::minutes(10) {
            (*since, *count) = (change.at, 0);
        }
        *count += 1;
        match (*count).cmp(&FLAPS_MAX) {
            Ordering::Less => Some(""),
            Ordering::Equal => Some("; this goes up and down: no more of it on record for a while"),
            Ordering::Greater => None,
        }
    }

    /// When stakeholders were last updated (UTC), as far as nobody took it back.
    pub fn last_update(&self) -> Option<Utc> {
        let mut sent = Vec::new();
        for note in &self.state.notes {
            if note.text.starts_with(UPDATE_SENT) {
                sent.push(note.at);
            } else if note.text.starts_with(UPDATE_NOT_SENT) {
                sent.pop();
            }
        }
        sent.pop()
    }

    /// When the next update to stakeholders is due (UTC).
    pub fn update_due(&self) -> Option<Utc> {
        self.last_update().or(self.state.facts.as_ref().map(|f| f.opened_at)).map(|at| at + UPDATE_EVERY)
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

/// Why nothing of `what` can be done without an incident, and what to do: open one, or go where it is open.
pub fn missing(model: &Model, what: &str) -> String {
    match &model.held {
        Some(held) => {
            let (id, state) = (&held.incident, &held.state);
            format!("{what}, and incident {id} is open elsewhere: {state}. Do it there; i looks again.")
        }
        None => format!("{what}: open an incident first (i)."),
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

/// What the runbook wants done before the service may run again and is not, in words: until then nobody has said that
/// its data are right.
pub fn before_reopening(model: &Model) -> Option<String> {
    let (session, runbook) = (model.session.as_ref()?, model.runbook()?);
    let reopens = |item: &&Item| matches!(item.action, Some(Do::Restore { .. }));
    let reopening = runbook.items().position(|i| reopens(&i))?;
    let open = |item: &&Item| session.state.mark(&item.id) == Mark::Open;
    let left = runbook.items().take(reopening).filter(open).count();
    (left > 0).then(|| {
        format!(
            "DATA NOT RESTORED, says the checklist: {left} of {reopening} items before the restart are open. \
             The service would run on the data as they are."
        )
    })
}

/// How many answered items the sensors contradict now.
pub fn to_look_at_again(model: &Model) -> usize {
    if model.session.is_none() {
        return 0;
    }
    model.runbook().map_or(0, |r| r.items().filter(|i| contradiction(model, i).is_some()).count())
}

/// When the last of what the item changed was put back (UTC), if all of it is: its mark then speaks of the past.
/// So does that of an item that only looked at what the change did, once the sensors say otherwise.
pub fn put_back(model: &Model, item: &Item) -> Option<Utc> {
    let session = model.session.as_ref()?;
    if session.state.mark(&item.id) == Mark::Open {
        return None;
    }
    let scope = match &item.action {
        Some(Do::Scale { scope, .. }) => scope,
        Some(Do::Restore { .. }) => return None,
        None if undone_on_purpose(model, item) => &Scope::App,
        None => return None,
    };
    let mut last = None;
    for record in &session.state.ledger {
        let captured = record.undo.kind.replicas();
        if captured.is_some_and(|(deployment, _)| sense::covers(model, scope, &deployment.name)) {
            match &record.ended {
                None => return None,
                Some(end) if end.put_back => last = last.max(Some(end.at)),
                // Waived: not all of it is back.
                Some(_) => return None,
            }
        }
    }
    // An answer given after that speaks of the world as it is since.
    last.filter(|at| session.state.answers.get(&item.id).is_some_and(|answer| answer.at <= *at))
}

/// True for an answered item that the sensors contradict because the incident put back what made it true.
pub fn undone_on_purpose(model: &Model, item: &Item) -> bool {
    let answered =
        model.session.as_ref().is_some_and(|s| matches!(s.state.mark(&item.id), Mark::Verified | Mark::Said));
    answered
        && restoring(model, item)
        && sense::sense(model, item).is_some_and(|s| s.verdict == Verdict::Fail)
}

/// True once the incident puts things back, for items that come before the one that does: what they made true is
/// being undone on purpose.
fn restoring(model: &Model, item: &Item) -> bool {
    use Probe::{ReplicasReady, ReplicasWanted, ServiceHealth, UndoOpen};
    // Of a server, or of rows, nothing is put back.
    match item.sense {
        Some(ReplicasWanted { .. } | ReplicasReady { .. } | ServiceHealth | UndoOpen) => {}
        _ => return false,
    }
    let Some(session) = &model.session else { return false };
    // A change made after the last putting back is meant to hold again.
    let last = session.state.actions.iter().rfind(|a| matches!(a.action, Action::Scale { .. }));
    let begun = last.filter(|a| a.undoes.is_some()).map(|a| a.at);
    let answered = session.state.answers.get(&item.id).map(|a| a.at);
    // An answer given after that speaks of the world as it is since.
    let before = answered.zip(begun).is_some_and(|(answered, begun)| answered < begun);
    let Some(runbook) = model.runbook().filter(|_| before) else { return false };
    let put_back = runbook.items().position(|i| matches!(i.action, Some(Do::Restore { .. })));
    let here = runbook.items().position(|i| i.id == item.id);
    put_back.zip(here).is_none_or(|(put_back, here)| here < put_back)
}
