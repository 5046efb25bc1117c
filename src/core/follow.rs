//! What follows from news while an incident is open: drift, undos that are seen to be put back, actions whose end was
//! hidden by a crash, and what was said done before a resume.

use chrono::Duration;

use super::effect::Effect;
use super::model::{Level, Model};
use super::panes::replicas;
use super::pods;
use super::sense;
use super::session::{Session, contradiction};
use super::world::{self, Change};
use crate::domain::{Deployment, DeploymentKey, Phase, Source, Utc, Verdict};
use crate::incident::fold::ActionRecord;
use crate::incident::{Action, Event, Mark, Outcome};

/// A request that was under way at a crash may still land that late.
const LATE: Duration = Duration::seconds(60);

/// What the news were about.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// The one deployment they were about; `None` for anything else.
    pub deployment: Option<DeploymentKey>,
    /// When a whole list of deployments was true, if they were one.
    pub listed: Option<Utc>,
}

/// What follows from news: drift, undos that are seen to be put back, actions whose end a crash hid, and what was
/// said done before a resume.
pub fn on_news(model: &mut Model, changes: &[Change], news: &News) -> Vec<Effect> {
    if model.session.is_none() {
        return Vec::new();
    }
    let mut events = observed(model, changes);
    settle_awaiting(model, news);
    events.extend(put_back(model));
    events.extend(pods::deleted(model));
    events.extend(hidden_ends(model));
    events.extend(drifts(model, news.deployment.as_ref()));
    events.extend(resense(model));
    let mut effects = if events.is_empty() { Vec::new() } else { vec![Effect::Journal(events)] };
    // A deployment of the service has come to rest: its page says something else now.
    let ours = |c: &Change| c.major && c.deployment.as_ref().is_some_and(|name| model.target.owns(name));
    if changes.iter().any(ours) {
        effects.push(Effect::RetryNow(Source::Web));
    }
    effects
}

/// A change is over and on record: the watch may have shown its end already.
pub fn on_finished(model: &mut Model) -> Vec<Effect> {
    let mut events = put_back(model);
    events.extend(pods::deleted(model));
    // Somebody may have moved a deployment while our change to it was on its way.
    events.extend(drifts(model, None));
    if events.is_empty() { Vec::new() } else { vec![Effect::Journal(events)] }
}

/// What goes on record: the service's own, and not every beat of a deployment that flaps.
fn observed(model: &mut Model, changes: &[Change]) -> Vec<Event> {
    let Model { session, world, target, .. } = model;
    let Some(session) = session else { return Vec::new() };
    let mut events = Vec::new();
    for change in changes.iter().filter(|c| c.major) {
        let ours = change.deployment.as_ref().is_none_or(|name| target.owns(name));
        let Some(more) = ours.then(|| session.may_record(change)).flatten() else { continue };
        if let Some(kept) = world.changes.iter_mut().rev().find(|c| c.id == change.id) {
            kept.recorded = true;
        }
        let who = if change.standing { format!("{} ", change.source.word()) } else { String::new() };
        let what = format!("{who}{}{more}", change.what);
        events.push(Event::Observed { what, source: change.source.word().to_owned() });
    }
    events
}

/// What does not answer and how the service is when the record begins: what came before is on no other line of it.
pub fn at_opening(model: &Model) -> Event {
    let mut parts: Vec<String> = Vec::new();
    for source in Source::ALL.into_iter().filter(|s| model.unwell(*s)) {
        let phase = model.world.phase(source).0;
        let why = if phase.is_healthy() { "overdue".to_owned() } else { world::outage(phase) };
        parts.push(format!("{} does not answer: {why}", source.word()));
    }
    if let Some(health) = &model.world.health.value {
        let status = health.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
        parts.push(format!("the service is {} ({status})", health.word()));
    }
    if parts.is_empty() {
        parts.push("nothing is known of the service yet".into());
    }
    Event::Observed { what: format!("at the opening {}", parts.join("; ")), source: "sources".into() }
}

/// The watch has shown a change of ours once the count is another one, or a list made after it shows the old one.
fn settle_awaiting(model: &mut Model, news: &News) {
    let Some(map) = &model.world.deployments.value else { return };
    model.awaiting.retain(|key, (from, since)| {
        map.get(key).is_some_and(|d| d.wanted == *from) && news.listed.is_none_or(|at| at <= *since)
    });
}

/// Undos whose deployments the watch shows as captured, because a finished action put them back (wanted and ready), or
/// because every change that they were captured for has failed.
fn put_back(model: &mut Model) -> Vec<Event> {
    let Model { session, world, pending, awaiting, .. } = model;
    let (Some(session), Some(map)) = (session, &world.deployments.value) else { return Vec::new() };
    // An old value proves nothing.
    if world.deployments.phase != Phase::Live {
        return Vec::new();
    }
    let mut done = Vec::new();
    for record in session.state.open_undo() {
        let Some((deployment, replicas)) = record.undo.kind.replicas() else { continue };
        let Some(d) = map.get(deployment) else { continue };
        // A change that is on its way, or that the watch has not shown yet, says more than what the watch shows before it.
        let on_its_way =
            pending.values().any(|p| p.is_about(deployment)) || awaiting.contains_key(deployment);
        if on_its_way || !is_back(d, replicas) {
            continue;
        }
        let name = &deployment.name;
        if session.restored(record) && d.ready >= d.wanted.min(replicas) {
            done.push((record.undo.id.clone(), back_in_words(d, replicas)));
        } else if session.untouched(record) {
            let how = format!("{name}: the change was not made, {} wanted as captured", d.wanted);
            done.push((record.undo.id.clone(), how));
        }
    }
    done.retain(|(id, _)| session.end_undo(id));
    done.into_iter().map(|(undo, how)| Event::Undone { undo, how }).collect()
}

/// True if a deployment wants what was captured, or what its autoscaler has made of it since.
fn is_back(d: &Deployment, captured: i32) -> bool {
    d.wanted == captured || (captured > 0 && replicas::is_steered(d))
}

/// How a deployment stands that was put back: with the number captured, and whose doing another one is.
fn back_in_words(d: &Deployment, captured: i32) -> String {
    let name = &d.key.name;
    match &d.hpa {
        Some(hpa) if d.wanted != captured => format!(
            "{name}: set to {captured} as captured; its autoscaler {} ({}–{}) has made it {} since, {} ready",
            hpa.name, hpa.min, hpa.max, d.wanted, d.ready
        ),
        _ => format!("{name}: {} wanted and {} ready, as captured", d.wanted, d.ready),
    }
}

/// Actions that were intended before a stop or crash and whose end is not on record: the watch tells what happened.
fn hidden_ends(model: &mut Model) -> Vec<Event> {
    let Model { session, world, now, .. } = model;
    let (Some(session), Some(map)) = (session, &world.deployments.value) else { return Vec::new() };
    if !session.hides() || world.deployments.phase != Phase::Live {
        return Vec::new();
    }
    let mut ends = with_the_cockpit(session);
    for action in session.state.open_actions().filter(|a| session.is_hidden(&a.id)) {
        let Action::Scale { deployment, from, to } = &action.action else { continue };
        let Some(d) = map.get(deployment) else { continue };
        if d.wanted == *from && *now - action.at < LATE {
            continue;
        }
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
    session.reveal(ends.iter().map(|(id, _)| id.as_str()));
    ends.into_iter().map(|(id, outcome)| Event::Finished { id, outcome }).collect()
}

/// Comparisons, tunnels and the programs in them end with the cockpit that had them, whatever else is not known of them.
fn with_the_cockpit(session: &Session) -> Vec<(String, Outcome)> {
    let why = "the cockpit stopped before it ended: it ended with it";
    let ended = |a: &&ActionRecord| {
        let ours =
            matches!(a.action, Action::OpenTunnel { .. } | Action::HandOff { .. } | Action::Compare { .. });
        ours && session.is_hidden(&a.id)
    };
    let open = session.state.open_actions().filter(ended);
    open.map(|a| (a.id.clone(), Outcome::Unknown { why: why.into() })).collect()
}

fn drifts(model: &mut Model, only: Option<&DeploymentKey>) -> Vec<Event> {
    let Some(map) = &model.world.deployments.value else { return Vec::new() };
    let suspects: Vec<_> = match only {
        Some(key) => map.get(key).into_iter().collect(),
        None => map.values().collect(),
    };
    let mut found = Vec::new();
    let mut calm = Vec::new();
    for d in suspects {
        match replicas::drift(model, d) {
            Some(set) => found.push((d.key.clone(), set, d.wanted)),
            None => calm.push(d.key.clone()),
        }
    }
    if !model.drift_told.is_empty() {
        model.drift_told.retain(|(key, _)| !calm.contains(key));
    }
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
    let (mut held, mut back, mut unknown, mut differ) = (0, 0, 0, Vec::new());
    for item in runbook.items().filter(|i| i.verify.is_some()) {
        let mark = model.session.as_ref().map_or(Mark::Open, |s| s.state.mark(&item.id));
        if !matches!(mark, Mark::Verified | Mark::Said) {
            continue;
        }
        match (contradiction(model, item), sense::sense(model, item).map(|s| s.verdict)) {
            (Some(value), _) => differ.push(format!("{}: now {value}", item.title)),
            (None, Some(Verdict::Pass)) => held += 1,
            // What was put back on purpose is no contradiction.
            (None, Some(Verdict::Fail)) => back += 1,
            (None, _) => unknown += 1,
        }
    }
    let words = told_again(held, back, unknown, &differ);
    if !differ.is_empty() {
        model.tell(Level::Error, format!("After the resume {words}"));
    }
    if let Some(session) = model.session.as_mut() {
        session.resense = false;
    }
    if let Some(mark) = model.away.bookmark.as_mut() {
        mark.sensing = false;
        mark.sensed = Some(words.clone());
    }
    vec![Event::Observed { what: format!("sensed again: {words}"), source: "resume".into() }]
}

/// Every answered item that has a probe is in one of the counts.
fn told_again(held: usize, back: usize, unknown: usize, differ: &[String]) -> String {
    let items = |n: usize| if n == 1 { "1 answered item".to_owned() } else { format!("{n} answered items") };
    if held + back + unknown + differ.len() == 0 {
        return "no answered item has a probe to ask again".to_owned();
    }
    let mut words = format!("{} still hold{}", items(held), if held == 1 { "s" } else { "" });
    if back > 0 {
        words.push_str(&format!(", {} put back on purpose", items(back)));
    }
    if unknown > 0 {
        words.push_str(&format!(", {} cannot be sensed now", items(unknown)));
    }
    if !differ.is_empty() {
        words.push_str(&format!(", LOOK AGAIN at {}", differ.join("; ")));
    }
    words
}
