//! The account of an incident, from its journal alone. What the journal does not know is said, not guessed.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::event::{Action, Entry, Mark, Outcome};
use super::fold::{ActionRecord, Answer, Closing, Facts, LedgerRecord, Plan, State};
use super::words;
use crate::domain::text::clean;
use crate::domain::{Sensed, Utc, clock};

pub use super::report_markdown::render;

/// What a comparison's outcome on record says before the copy's newest time (`core::comparison`, `outcome`).
const COPY_REACHES: &str = "the copy reaches ";

/// How a report is made.
#[derive(Debug, Clone, Default)]
pub struct Make {
    /// Now, for an incident that is still open; `None`: the time of its last entry.
    pub now: Option<Utc>,
    /// What is wrong with the journal, if only its readable part is reported.
    pub damage: Option<String>,
}

/// The report in Markdown.
pub fn markdown(entries: &[Entry], make: &Make) -> String {
    render(&Account::of(entries, make))
}

/// The report as JSON: the same account.
pub fn json(entries: &[Entry], make: &Make) -> Value {
    serde_json::to_value(Account::of(entries, make)).unwrap_or_default()
}

/// An instant in both clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    pub utc: Utc,
    pub london: String,
}

impl From<Utc> for Moment {
    fn from(utc: Utc) -> Moment {
        Moment { utc, london: clock::london_full(utc) }
    }
}

/// Everything that a report says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Version of this structure.
    pub format: u32,
    /// Stamped on every page.
    pub exercise: bool,
    /// Set if the journal is damaged and this is its readable part.
    pub readable_part_only: Option<String>,
    pub facts: Option<Facts>,
    pub plan: Option<Plan>,
    pub closed: Option<Closing>,
    /// Everyone who wrote an entry.
    pub people: Vec<String>,
    pub resumed: u32,
    pub clocks: Vec<Clock>,
    /// End of the clocks: closing, or the time of the report.
    pub until: Option<Moment>,
    /// Whether the agreed RTO was met, from disruption to close; `None` if one of them is not known.
    pub rto_met: Option<bool>,
    /// The newest time in the restored copy, as the last finished comparison on record found it.
    pub copy_reaches: Option<String>,
    pub scorecard: Scorecard,
    pub steps: Vec<Step>,
    pub changes: Vec<Change>,
    pub undo: Vec<UndoLine>,
    pub notes: Vec<NoteLine>,
    pub timeline: Vec<Line>,
    /// Entries that do not fit what came before them.
    pub oddities: Vec<String>,
    /// What a reader may miss and the journal does not hold.
    pub not_known: Vec<String>,
    pub integrity: Integrity,
}

/// Time since one of the beginnings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// `disruption`, `detection` or `declaration`.
    pub since: &'static str,
    pub from: Option<Moment>,
    /// Seconds up to [`Account::until`].
    pub elapsed_s: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scorecard {
    /// Items of the runbook; `None` if the journal does not hold its plan.
    pub planned: Option<usize>,
    pub verified: usize,
    pub said: usize,
    pub overridden: usize,
    /// Planned and never answered, or opened again; without a plan only the latter.
    pub open: usize,
    pub changes_done: usize,
    pub changes_failed: usize,
    /// Nobody can say from the journal whether these took place.
    pub changes_unknown: usize,
    /// Tunnels and comparisons that went through the guard (a pod of their own) and changed no data.
    pub reads_done: usize,
    pub reads_failed: usize,
    pub reads_unknown: usize,
    pub undo_put_back: usize,
    pub undo_waived: usize,
    pub undo_open: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub item: String,
    pub title: String,
    pub section: Option<String>,
    pub role: Option<String>,
    /// Estimate of the runbook in minutes.
    pub planned_minutes: Option<u32>,
    pub mark: Mark,
    pub answered: Option<Moment>,
    /// Seconds from declaration to the answer.
    pub after_s: Option<i64>,
    pub who: Option<String>,
    pub sensed: Option<Sensed>,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub id: String,
    pub what: String,
    pub target: String,
    pub old: Option<String>,
    pub new: Option<String>,
    pub command: String,
    pub who: String,
    pub at: Moment,
    pub ended: Option<Moment>,
    /// `done`, `failed` or `unknown`.
    pub outcome: &'static str,
    pub detail: String,
    pub undoes: Option<String>,
    /// Changes no data: a tunnel or a comparison, through a pod of its own.
    pub reads_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoLine {
    pub id: String,
    pub captured: String,
    pub who: String,
    pub at: Moment,
    /// Item of the runbook that was to put it back.
    pub due: Option<String>,
    /// `open`, `put back` or `waived`.
    pub state: &'static str,
    pub ended_by: Option<String>,
    pub ended_at: Option<Moment>,
    pub words: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoteLine {
    pub at: Moment,
    pub who: String,
    pub text: String,
    pub item: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub seq: u64,
    pub at: Moment,
    pub who: String,
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Integrity {
    pub entries: usize,
    pub head_hash: String,
}

impl Account {
    pub fn of(entries: &[Entry], make: &Make) -> Account {
        let state = State::fold(entries);
        let until = end(&state, make);
        let opened = state.facts.as_ref().map(|f| f.opened_at);
        let steps = steps(&state, opened);
        let people: BTreeSet<String> = entries.iter().map(|e| clean(&e.who)).collect();
        // A look through a tunnel changes nothing; the timeline has it.
        let made = state.actions.iter().filter(|a| a.action.is_change());
        let changes: Vec<Change> = made.map(change).collect();
        let rto_met = rto_met(&state);
        Account {
            format: 1,
            exercise: state.facts.as_ref().is_some_and(|f| f.exercise),
            readable_part_only: make.damage.clone(),
            people: people.into_iter().collect(),
            resumed: state.resumed,
            clocks: clocks(state.facts.as_ref(), until),
            until: until.map(Moment::from),
            rto_met,
            copy_reaches: copy_reaches(&state),
            scorecard: score(&state, &steps, &changes),
            not_known: not_known(&state, rto_met, &changes),
            steps,
            changes,
            undo: state.ledger.iter().map(undo).collect(),
            notes: state
                .notes
                .iter()
                .map(|n| NoteLine {
                    at: n.at.into(),
                    who: clean(&n.who),
                    text: clean(&n.text),
                    item: n.item.clone(),
                })
                .collect(),
            timeline: entries
                .iter()
                .map(|e| Line {
                    seq: e.seq,
                    at: e.at.into(),
                    who: clean(e.author()),
                    what: words::words(&e.event),
                })
                .collect(),
            oddities: state.oddities.clone(),
            integrity: Integrity { entries: entries.len(), head_hash: state.head.clone() },
            facts: state.facts,
            plan: state.plan,
            closed: state.closed,
        }
    }
}

/// Where the clocks stop: at closing, else now, else at the last entry.
fn end(state: &State, make: &Make) -> Option<Utc> {
    state.closed.as_ref().map(|c| c.at).or(make.now).or(state.last_at)
}

fn clocks(facts: Option<&Facts>, until: Option<Utc>) -> Vec<Clock> {
    let Some(facts) = facts else { return Vec::new() };
    [
        ("disruption", facts.disrupted_at),
        ("detection", facts.detected_at),
        ("declaration", Some(facts.opened_at)),
    ]
    .into_iter()
    .map(|(since, from)| Clock {
        since,
        from: from.map(Moment::from),
        elapsed_s: from.zip(until).map(|(from, until)| (until - from).num_seconds()),
    })
    .collect()
}

fn rto_met(state: &State) -> Option<bool> {
    let rto = i64::from(state.plan.as_ref()?.rto_minutes?);
    let from = state.facts.as_ref()?.disrupted_at?;
    let until = state.closed.as_ref()?.at;
    Some((until - from).num_seconds() <= rto * 60)
}

/// The planned items in their order, then what was answered beyond the plan.
fn steps(state: &State, opened: Option<Utc>) -> Vec<Step> {
    let planned = state.plan.as_ref().map(|p| p.items.as_slice()).unwrap_or_default();
    let mut steps: Vec<Step> = planned
        .iter()
        .map(|p| Step {
            title: clean(&p.title),
            section: Some(clean(&p.section)),
            role: p.role.clone(),
            planned_minutes: p.estimate,
            ..step(&p.id, state.answers.get(&p.id), opened)
        })
        .collect();
    let mut beyond: Vec<(&String, &Answer)> =
        state.answers.iter().filter(|(id, _)| !planned.iter().any(|p| p.id == **id)).collect();
    beyond.sort_by_key(|(_, a)| a.at);
    steps.extend(beyond.into_iter().map(|(id, answer)| step(id, Some(answer), opened)));
    steps
}

fn step(id: &str, answer: Option<&Answer>, opened: Option<Utc>) -> Step {
    Step {
        item: clean(id),
        title: answer.map(|a| clean(&a.title)).unwrap_or_default(),
        section: None,
        role: None,
        planned_minutes: None,
        mark: answer.map_or(Mark::Open, |a| a.mark),
        answered: answer.map(|a| a.at.into()),
        after_s: answer.zip(opened).map(|(a, opened)| (a.at - opened).num_seconds()),
        who: answer.map(|a| clean(&a.who)),
        sensed: answer.and_then(|a| a.sensed.clone()),
        reason: answer.and_then(|a| a.reason.as_deref().map(clean)),
    }
}

fn change(record: &ActionRecord) -> Change {
    let (target, old, new) = match &record.action {
        Action::Scale { deployment, from, to } => {
            (deployment.to_string(), Some(words::count(*from)), Some(words::count(*to)))
        }
        Action::SandboxDisaster { .. } => ("sandbox".to_owned(), None, None),
        Action::OpenTunnel { request } => (request.server.clone().unwrap_or_default(), None, None),
        Action::HandOff { server, database, .. } => (format!("{server}/{database}"), None, None),
        Action::DeletePod { namespace, pod } => (format!("{namespace}/{pod}"), None, None),
        Action::Compare { request } => (format!("{} with {}", request.live, request.restored), None, None),
    };
    let (outcome, detail) = match &record.ended {
        Some((_, Outcome::Done { result })) => ("done", clean(result)),
        Some((_, Outcome::Failed { why })) => ("failed", clean(why)),
        Some((_, Outcome::Unknown { why })) => ("unknown", clean(why)),
        None => ("unknown", "the journal has the intent and no outcome".to_owned()),
    };
    Change {
        id: clean(&record.id),
        what: clean(&words::change(&record.action)),
        target: clean(&target),
        old,
        new,
        command: clean(&record.command),
        who: clean(&record.who),
        at: record.at.into(),
        ended: record.ended.as_ref().map(|(at, _)| (*at).into()),
        outcome,
        detail,
        undoes: record.undoes.clone(),
        reads_only: matches!(record.action, Action::OpenTunnel { .. } | Action::Compare { .. }),
    }
}

/// How far the copy reaches by the last comparison on record that came to its end.
fn copy_reaches(state: &State) -> Option<String> {
    let said = |a: &ActionRecord| match (&a.action, &a.ended) {
        (Action::Compare { request }, Some((_, Outcome::Done { result })))
            if request.options.part().is_none() =>
        {
            let (_, rest) = result.split_once(COPY_REACHES)?;
            Some(clean(rest.split(';').next().unwrap_or(rest).trim()))
        }
        _ => None,
    };
    state.actions.iter().rev().find_map(said)
}

fn undo(record: &LedgerRecord) -> UndoLine {
    let ended = record.ended.as_ref();
    UndoLine {
        id: clean(&record.undo.id),
        captured: clean(&words::captured(&record.undo)),
        who: clean(&record.who),
        at: record.at.into(),
        due: record.undo.due.clone(),
        state: match ended {
            None => "open",
            Some(end) if end.put_back => "put back",
            Some(_) => "waived",
        },
        ended_by: ended.map(|e| clean(&e.who)),
        ended_at: ended.map(|e| e.at.into()),
        words: ended.map(|e| clean(&e.words)),
    }
}

fn score(state: &State, steps: &[Step], changes: &[Change]) -> Scorecard {
    let marked = |mark| steps.iter().filter(|s| s.mark == mark).count();
    let count = |reads, word| changes.iter().filter(|c| c.reads_only == reads && c.outcome == word).count();
    let (outcome, read) = (|word| count(false, word), |word| count(true, word));
    let undone = |put_back| {
        state.ledger.iter().filter(|l| l.ended.as_ref().is_some_and(|e| e.put_back == put_back)).count()
    };
    Scorecard {
        planned: state.plan.as_ref().map(|p| p.items.len()),
        verified: marked(Mark::Verified),
        said: marked(Mark::Said),
        overridden: marked(Mark::Overridden),
        open: marked(Mark::Open),
        changes_done: outcome("done"),
        changes_failed: outcome("failed"),
        changes_unknown: outcome("unknown"),
        reads_done: read("done"),
        reads_failed: read("failed"),
        reads_unknown: read("unknown"),
        undo_put_back: undone(true),
        undo_waived: undone(false),
        undo_open: state.open_undo().count(),
    }
}

fn not_known(state: &State, rto_met: Option<bool>, changes: &[Change]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut say = |unknown: bool, what: &str| {
        if unknown {
            missing.push(what.to_owned());
        }
    };
    let facts = state.facts.as_ref();
    let plan = state.plan.as_ref();
    say(facts.is_none(), "who opened the incident, for which service, with which runbook");
    say(facts.is_some_and(|f| f.disrupted_at.is_none()), "when the disruption began");
    say(facts.is_some_and(|f| f.detected_at.is_none()), "when it was detected");
    say(state.closed.is_none(), "when it ended: the incident is not closed");
    say(plan.is_none(), "the runbook's items: how many were never answered cannot be counted");
    say(plan.is_some_and(|p| p.rto_minutes.is_none()), "a recovery time objective: none is agreed");
    say(plan.is_some_and(|p| p.rpo_minutes.is_none()), "a recovery point objective: none is agreed");
    say(
        plan.is_some_and(|p| p.rto_minutes.is_some()) && rto_met.is_none(),
        "whether the recovery time objective was met: its start or its end is missing",
    );
    say(
        changes.iter().any(|c| c.outcome == "unknown"),
        "the outcome of the changes marked unknown: only the provider can say",
    );
    say(
        copy_reaches(state).is_none(),
        "the recovery point that was reached, other than as people noted it: no finished comparison is on record",
    );
    say(true, "what was said outside the cockpit: calls, messages, commands typed elsewhere");
    say(true, "roles of the people, findings, and actions with owner and due date: the review adds them");
    missing
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
