//! Changes to the outside world: what is asked, what the guard shows, and the order capture → intent → act → outcome.

use super::comparing;
use super::effect::Effect;
use super::model::{About, Level, Model, Pending};
use super::overlays::guard::{Guard, Step};
use super::overlays::palette::Palette;
use super::overlays::{Overlay, open};
use super::panes::replicas;
use super::pods;
use super::sense;
use super::session;
use super::tunnel;
use crate::domain::{Deployment, DeploymentKey, Source, text};
use crate::incident::fold::LedgerRecord;
use crate::incident::words::count;
use crate::incident::{Action, Entry, Event, Outcome, Undo, UndoKind};
use crate::runbook::{Do, Item};

/// How long `:arm` may last at most, in minutes.
pub const ARM_MAX: u32 = 60;

/// False, saying so, if a change to one of them is still on its way.
fn at_rest(model: &mut Model, keys: &[DeploymentKey]) -> bool {
    let busy = keys.iter().find(|k| model.pending.values().any(|p| p.is_about(k))).map(|k| k.name.clone());
    if let Some(name) = &busy {
        model.tell(Level::Warning, format!("A change to {name} is still on its way: wait for its outcome."));
    }
    busy.is_none()
}

/// True if changes are allowed now; otherwise says what to do first.
pub fn allowed(model: &mut Model) -> bool {
    if model.session.is_none() {
        let text = session::missing(model, "Every change goes on record");
        model.tell(Level::Warning, text);
        return false;
    }
    if !model.is_armed() {
        model.tell(Level::Warning, "Read-only. Enter arms for 15 minutes; then ask again.");
        open(model, Overlay::Palette(Palette::suggesting("arm 15m")));
        return false;
    }
    true
}

/// Asks the guard to scale deployments to `to`.
pub fn scale(model: &mut Model, keys: &[DeploymentKey], to: i32) {
    if !allowed(model) || !at_rest(model, keys) {
        return;
    }
    let found: Vec<Deployment> =
        keys.iter().filter_map(|k| replicas::deployment(model, k)).cloned().collect();
    let steps: Vec<Step> =
        found.iter().filter(|d| d.wanted != to).map(|d| scale_step(model, d, to)).collect();
    if steps.is_empty() {
        model.tell(Level::Info, format!("Nothing to do: already at {to}."));
        return;
    }
    let what = if let [one] = steps.as_slice() {
        one.target.clone()
    } else {
        format!("{} deployments", steps.len())
    };
    ask(model, format!("Scale {what} to {to}"), steps);
}

/// Asks the guard to put back what was captured: for `keys`, or everything that is open.
/// What is as captured already leaves the ledger at once.
pub fn restore(model: &mut Model, keys: Option<&[DeploymentKey]>) -> Vec<Effect> {
    if !allowed(model) {
        return Vec::new();
    }
    if model.world.deployments.value.is_none() {
        let text =
            format!("No deployment is known yet (kubernetes: {}).", model.standing(Source::Kubernetes));
        model.tell(Level::Warning, text);
        return Vec::new();
    }
    let mut steps = Vec::new();
    let mut same = Vec::new();
    let mut gone = false;
    let replicas_of = |l: &LedgerRecord| {
        let (deployment, replicas) = l.undo.kind.replicas()?;
        Some((l.undo.id.clone(), deployment.clone(), replicas))
    };
    let open: Vec<_> =
        model.session.iter().flat_map(|s| s.state.open_undo()).filter_map(replicas_of).collect();
    let named: Vec<_> = open.iter().map(|(_, deployment, _)| deployment.clone()).collect();
    if !at_rest(model, &named) {
        return Vec::new();
    }
    for (id, deployment, replicas) in open {
        if keys.is_some_and(|k| !k.contains(&deployment)) {
            continue;
        }
        match replicas::deployment(model, &deployment).cloned() {
            Some(d) if d.wanted == replicas => same.push((id, d)),
            Some(d) => {
                steps.push(scale_step(model, &d, replicas));
            }
            None => {
                gone = true;
                let text = format!(
                    "{deployment} is not there: cannot put {} back. Make it again, or waive it (L, w).",
                    count(replicas)
                );
                model.tell(Level::Error, text);
            }
        }
    }
    if steps.is_empty() && same.is_empty() && !gone {
        let text = match keys {
            Some(_) if !named.is_empty() => {
                "Nothing to put back here: what is open is another's (L shows it)."
            }
            _ => "Nothing to put back: no captured replicas are open.",
        };
        model.tell(Level::Info, text);
    }
    let effects = as_captured(model, same);
    if !steps.is_empty() {
        ask(model, "Put back captured replicas".into(), steps);
    }
    effects
}

/// Takes undos off the ledger whose deployments are as captured without our doing, if the watch shows it now.
fn as_captured(model: &mut Model, same: Vec<(String, Deployment)>) -> Vec<Effect> {
    let mut events = Vec::new();
    for (undo, d) in same {
        let name = &d.key.name;
        if model.unwell(Source::Kubernetes) || d.ready < d.wanted {
            let text = format!("{name} wants {} as captured and is not seen ready: b again then.", d.wanted);
            model.tell(Level::Warning, text);
        } else if model.session.as_mut().is_some_and(|s| s.end_undo(&undo)) {
            let how = format!(
                "{name}: {} wanted and {} ready, as captured, found so when asked to put it back",
                d.wanted, d.ready
            );
            model.tell(Level::Info, format!("{name} is as captured already: {undo} is off the ledger."));
            events.push(Event::Undone { undo, how });
        }
    }
    if events.is_empty() { Vec::new() } else { vec![Effect::Journal(events)] }
}

/// Asks the guard for what a checklist item does.
pub fn item(model: &mut Model, item: &Item) -> Vec<Effect> {
    match &item.action {
        Some(Do::Scale { scope, to }) => {
            let keys: Vec<_> = sense::in_scope(model, scope).map(|d| d.key.clone()).collect();
            if keys.is_empty() {
                model.tell(Level::Warning, "No deployment of this environment is known yet.");
                return Vec::new();
            }
            scale(model, &keys, *to);
            if let (Some(Overlay::Guard(guard)), Some(due)) = (model.overlays.last_mut(), &item.undo) {
                for step in &mut guard.steps {
                    step.due = Some(due.clone());
                }
            }
        }
        Some(Do::Restore { scope }) => {
            let keys: Vec<_> = sense::open_in_scope(model, scope).into_iter().collect();
            return restore(model, Some(&keys));
        }
        None => model
            .tell(Level::Info, "This item changes nothing by itself: Enter answers it, v shows its notes."),
    }
    Vec::new()
}

/// Asks the guard for a sandbox disaster.
pub fn disaster(model: &mut Model, name: &str) {
    if model.target.sandbox.is_none() {
        model.tell(Level::Warning, "Disasters exist in the sandbox only.");
        return;
    }
    let name = if name.is_empty() { "rows-deleted" } else { name };
    let action = Action::SandboxDisaster { name: name.to_owned() };
    let step = Step {
        target: "the sandbox's live database".into(),
        old: "as it is".into(),
        new: format!("after {name}"),
        command: action.command_line(),
        action,
        note: Some("Deletes and corrupts rows the way an errant job would.".into()),
        capture: None,
        undoes: None,
        due: None,
    };
    open(model, Overlay::Guard(Guard::new(format!("Make a disaster: {name}"), vec![step], None)));
}

fn scale_step(model: &Model, d: &Deployment, to: i32) -> Step {
    let action = Action::Scale { deployment: d.key.clone(), from: d.wanted, to };
    let (capture, undoes) = bookkeeping(model, d, to);
    let mut notes = Vec::new();
    if let Some(set) = replicas::drift(model, d) {
        notes.push(format!("someone set {} after we set {set}: this writes over it", d.wanted));
    }
    if let Some(hpa) = &d.hpa {
        let then = if to == 0 { "pauses at 0, resumes above" } else { "steers again above 0" };
        notes.push(format!("autoscaler {} {}–{} {then}", hpa.name, hpa.min, hpa.max));
    }
    Step {
        target: d.key.to_string(),
        old: format!("{}, {} ready", count(d.wanted), d.ready),
        new: count(to),
        command: action.command_line(),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        capture,
        undoes,
        due: None,
        action,
    }
}

/// What to capture before `d` is scaled to `to`, and which open undo that puts back. What is recorded is what was there
/// before the incident's first change, not what the incident made of it.
fn bookkeeping(model: &Model, d: &Deployment, to: i32) -> (Option<UndoKind>, Option<String>) {
    match model.session.as_ref().and_then(|s| s.open_capture(&d.key)) {
        Some((id, replicas)) => (None, (replicas == to).then(|| id.to_owned())),
        None => {
            let (deployment, hpa) = (d.key.clone(), d.hpa.clone());
            (Some(UndoKind::Replicas { deployment, replicas: d.wanted, hpa }), None)
        }
    }
}

/// Opens the guard on these changes.
pub fn ask(model: &mut Model, title: String, steps: Vec<Step>) {
    let name = model.target.environment.clone();
    ask_for(model, title, steps, name);
}

/// The same; in production `name` has to be typed, which tells apart what the change may be confused with.
pub fn ask_for(model: &mut Model, title: String, steps: Vec<Step>, name: String) {
    let typed = model.target.production.then_some(name);
    let warning = steps.iter().any(starts_service).then(|| session::before_reopening(model)).flatten();
    open(model, Overlay::Guard(Guard { warning, ..Guard::new(title, steps, typed) }));
}

/// True if a step lets something run again that was stopped.
fn starts_service(step: &Step) -> bool {
    matches!(step.action, Action::Scale { from: 0, to, .. } if to > 0)
}

/// The person accepted: the world must still be as the dialog showed it, and we must still be armed.
pub fn accept(model: &mut Model, guard: Guard) -> Vec<Effect> {
    let sandbox_only = guard.steps.iter().all(|s| matches!(s.action, Action::SandboxDisaster { .. }));
    if !sandbox_only && !model.is_armed() {
        model.tell(Level::Error, "Not done: the arming has run out. :arm 15m and ask again.");
        return Vec::new();
    }
    if let Some(moved) = guard.steps.iter().find_map(|s| moved(model, &s.action)) {
        model.tell(Level::Error, format!("Not done: {moved} since the dialog opened. Look, and ask again."));
        return Vec::new();
    }
    let mut events = Vec::new();
    let mut effects = Vec::new();
    for mut step in guard.steps {
        if let Action::Scale { deployment, to, .. } = &step.action
            && let Some(d) = replicas::deployment(model, deployment)
        {
            // The ledger may have moved since the dialog opened.
            (step.capture, step.undoes) = bookkeeping(model, d, *to);
        }
        let Some(session) = model.session.as_mut() else {
            // Only the sandbox's disasters may happen outside an incident.
            if let Action::SandboxDisaster { .. } = step.action {
                model.pending.insert("d0".into(), Pending::new(step.action.clone(), true));
                effects.push(Effect::Run { id: "d0".into(), action: step.action });
            }
            continue;
        };
        let id = session.new_action_id();
        if let Some(kind) = step.capture {
            events.push(Event::Captured { undo: Undo { id: session.new_undo_id(), kind, due: step.due } });
        }
        begin(model, &id, step.action.clone());
        events.push(Event::Intended { id, action: step.action, command: step.command, undoes: step.undoes });
    }
    model.panes.replicas.marked.clear();
    if !events.is_empty() {
        effects.push(Effect::Journal(events));
    }
    effects
}

/// A look through a tunnel that needs no arming: its intent goes on record, and then it is made.
pub fn intend(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(session) = model.session.as_mut() else {
        let text = session::missing(model, "Every look into a database goes on record");
        model.tell(Level::Warning, text);
        return Vec::new();
    };
    let id = session.new_action_id();
    begin(model, &id, action.clone());
    let command = action.command_line();
    vec![Effect::Journal(vec![Event::Intended { id, action, command, undoes: None }])]
}

fn begin(model: &mut Model, id: &str, action: Action) {
    if matches!(action, Action::HandOff { .. }) {
        model.handing_since = Some(model.now);
    }
    model.pending.insert(id.to_owned(), Pending::new(action, false));
}

fn moved(model: &Model, action: &Action) -> Option<String> {
    if let Action::HandOff { hand_off, .. } = action {
        return (!tunnel::is_open(model, hand_off.tunnel))
            .then(|| format!("tunnel {} was lost", hand_off.tunnel));
    }
    let Action::Scale { deployment, from, .. } = action else { return None };
    match replicas::deployment(model, deployment) {
        Some(d) if d.wanted == *from => None,
        Some(d) => Some(format!("{} went from {from} to {}", deployment.name, d.wanted)),
        None => Some(format!("{} is gone", deployment.name)),
    }
}

/// An entry is on disk: if it is the intent of a change that waits for it, the change may be made now; if it is the
/// outcome of one, the change is over.
pub fn on_journalled(model: &mut Model, entry: &Entry) -> Option<Effect> {
    if let Event::Finished { id, .. } = &entry.event {
        model.pending.remove(id);
    }
    let Event::Intended { id, action, .. } = &entry.event else { return None };
    if !model.pending.contains_key(id) && matches!(action, Action::HandOff { .. }) {
        return Some(tunnel::came_late(id));
    }
    let pending = model.pending.get_mut(id).filter(|p| !p.running)?;
    pending.running = true;
    if let Some(about) = About::action(action) {
        model.settle(&about);
    }
    if matches!(action, Action::HandOff { .. }) {
        model.handing_since = None;
    }
    if let Action::Compare { request } = action {
        comparing::begin::began(model, request);
    }
    Some(Effect::Run { id: id.clone(), action: action.clone() })
}

/// The journal refused: changes whose intent is not on disk are dropped, and those that have ended are waited for no
/// longer.
pub fn on_journal_failed(model: &mut Model, why: &str) {
    let dropped = model.pending.values().filter(|p| !p.running).count();
    let ended = model
        .pending
        .iter()
        .filter(|(_, p)| p.running && p.ended)
        .map(|(id, _)| id.clone())
        .collect::<Vec<_>>();
    model.pending.retain(|_, p| p.running && !p.ended);
    model.handing_since = None;
    if let Some(session) = model.session.as_mut() {
        session.ends_again();
        // Their outcomes are not on record: the watch tells.
        session.hide(ended);
    }
    let tail =
        if dropped > 0 { format!(" NOT made: {}.", text::counted(dropped, "change")) } else { String::new() };
    model.tell(Level::Error, format!("The journal cannot be written: {why}.{tail}"));
}

/// A change ended.
pub fn acted(model: &mut Model, id: String, action: Action, outcome: Outcome) -> Vec<Effect> {
    let outcome = match &action {
        Action::Compare { request } => comparing::ended(model, request, outcome),
        _ => outcome,
    };
    match &outcome {
        // Said already.
        _ if matches!(action, Action::Compare { .. }) => {}
        Outcome::Done { result } => {
            if let Action::Scale { deployment, from, to } = &action
                && replicas::deployment(model, deployment).is_some_and(|d| d.wanted == *from)
                && from != to
            {
                model.awaiting.insert(deployment.clone(), (*from, model.now));
            }
            model.tell(Level::Info, format!("Done: {result}"));
        }
        Outcome::Failed { why } if matches!(action, Action::HandOff { .. }) => {
            model.tell(Level::Warning, why.clone());
        }
        Outcome::Failed { why } => {
            model.tell(Level::Error, format!("NOT done: {}: {why}", action.command_line()))
        }
        Outcome::Unknown { why } => {
            let text =
                format!("UNKNOWN whether done: {}: {why}. Look before trying again.", action.command_line());
            model.tell(Level::Error, text);
        }
    }
    let done = matches!(outcome, Outcome::Done { .. });
    let moved = done && matches!(action, Action::Scale { .. } | Action::SandboxDisaster { .. });
    // What the service says now is what one wants to see: not what it said before.
    let mut effects: Vec<Effect> = moved.then_some(Effect::RetryNow(Source::Web)).into_iter().collect();
    if model.session.is_none() || id == "d0" {
        model.pending.remove(&id);
        return effects;
    }
    if let Some(pending) = model.pending.get_mut(&id) {
        pending.ended = true;
    }
    effects.push(Effect::Journal(vec![Event::Finished { id, outcome }]));
    effects.extend(pods::look(&action));
    effects
}

/// `:arm 15m`: allows changes for a bounded time.
pub fn arm(model: &mut Model, argument: &str) -> Vec<Effect> {
    if model.session.is_none() {
        let text = session::missing(model, "Every change goes on record");
        model.tell(Level::Warning, text);
        return Vec::new();
    }
    let text = if argument.is_empty() { "15m" } else { argument };
    let minutes = text.trim_end_matches('m').parse::<u32>().ok().filter(|m| (1..=ARM_MAX).contains(m));
    let Some(minutes) = minutes else {
        model.tell(
            Level::Warning,
            format!("`{text}` is not a time to arm for: say 1m to {ARM_MAX}m, e.g. :arm 15m."),
        );
        return Vec::new();
    };
    let until = model.now + chrono::Duration::minutes(i64::from(minutes));
    vec![Effect::Journal(vec![Event::Armed { until }])]
}

/// Back to read-only.
pub fn disarm(model: &mut Model, why: &str) -> Vec<Effect> {
    if model.armed_until.take().is_none() {
        return Vec::new();
    }
    model.tell(Level::Info, format!("Read-only: {why}."));
    if model.session.is_some() {
        vec![Effect::Journal(vec![Event::Disarmed { why: why.to_owned() }])]
    } else {
        Vec::new()
    }
}
