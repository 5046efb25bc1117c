//! Answers the runbook's probes from what the providers know. Pure; never asks anybody.

use std::collections::BTreeSet;

use crate::core::comparison::Stage;
use crate::core::model::Model;
use crate::core::panes::compare_past;
use crate::domain::{Deployment, DeploymentKey, Sensed, ServerClass, Source, Verdict};
use crate::incident::{Action, Mark, Outcome};
use crate::runbook::{Compare, Expect, Item, Probe, Scope, Value, Which};

/// A probe's bare answer.
enum Answer {
    Number(i64),
    Word(String),
    Unknown,
}

/// What the item's probe sees now; `None` if the item has no probe.
pub fn sense(model: &Model, item: &Item) -> Option<Sensed> {
    let probe = item.sense.as_ref()?;
    if let Some(seen) = compared(model, item, probe) {
        return Some(seen);
    }
    let (answer, mut words, source) = ask(model, probe);
    let never_there = says_absent(probe, &answer) && !copy_was_there(model, item);
    let (as_of, label, unwell) = match source {
        Some(source) => {
            let (_, as_of, _, _) = model.world.phase(source);
            (as_of, source.word().to_owned(), model.unwell(source))
        }
        None => (Some(model.now), "undo ledger".to_owned(), false),
    };
    // An old value proves nothing: the source could have moved on unseen.
    let mut verdict =
        if unwell { Verdict::Unknown } else { judge(model, probe, item.verify.as_ref(), &answer) };
    if never_there && verdict == Verdict::Pass {
        verdict = Verdict::Unknown;
        words.push_str(", and no copy was seen in this incident");
    }
    Some(Sensed { value: words, source: label, as_of, verdict })
}

/// True if the answer is that there is no restored copy.
fn says_absent(probe: &Probe, answer: &Answer) -> bool {
    match (probe, answer) {
        (Probe::ServerCount { which: Which::Ptr }, Answer::Number(n)) => *n == 0,
        (Probe::ServerState { which: Which::Ptr }, Answer::Word(word)) => word == "absent",
        _ => false,
    }
}

/// That no copy is there proves that it is gone only if there was one in this incident: Azure listed it, something went
/// to it, its being Ready was verified, or everything before this item is answered.
fn copy_was_there(model: &Model, item: &Item) -> bool {
    let (Some(session), Some(runbook)) = (&model.session, model.runbook()) else { return false };
    let opened = session.state.facts.as_ref().map(|f| f.opened_at);
    let listed = model.world.copy_seen.zip(opened).is_some_and(|(seen, opened)| seen >= opened);
    let used = session.state.actions.iter().any(|a| match (&a.action, &a.ended) {
        (Action::Compare { .. }, Some((_, Outcome::Done { .. }))) => true,
        (Action::OpenTunnel { request }, Some((_, Outcome::Done { .. }))) => {
            request.which == ServerClass::Ptr
        }
        _ => false,
    });
    let mark = |i: &Item| session.state.mark(&i.id);
    let mut before = runbook.items().take_while(|i| i.id != item.id);
    let of_copy = |i: &Item| matches!(i.sense, Some(Probe::ServerState { which: Which::Ptr }));
    let verified = runbook.items().any(|i| i.id != item.id && of_copy(i) && mark(i) == Mark::Verified);
    listed || used || verified || before.all(|i| mark(i) != Mark::Open)
}

/// Whom the item's probe asks, if that is a source of data.
pub fn source(model: &Model, item: &Item) -> Option<Source> {
    ask(model, item.sense.as_ref()?).2
}

/// What the item's probe must show, in words; `None` where nothing is expected.
pub fn expectation(model: &Model, item: &Item) -> Option<String> {
    let expect = item.verify.as_ref()?;
    let sign = match expect.compare {
        Compare::Equal => "",
        Compare::NotEqual => "not ",
        Compare::AtLeast => "at least ",
        Compare::AtMost => "at most ",
    };
    let value = match &expect.value {
        Value::Number(n) => match item.sense {
            Some(Probe::CompareRecoverable) => format!("{n} lost or changed"),
            Some(Probe::CompareDiffering) => format!("{n} that differ"),
            _ => n.to_string(),
        },
        Value::Word(w) => w.clone(),
        Value::Captured => match captured(model, item.sense.as_ref()) {
            Some(n) => format!("{n} (as captured)"),
            None => "what was captured (nothing yet)".into(),
        },
    };
    Some(format!("{sign}{value}"))
}

/// The deployments in a scope.
pub fn in_scope<'a>(model: &'a Model, scope: &'a Scope) -> impl Iterator<Item = &'a Deployment> {
    let all = model.world.deployments.value.iter().flat_map(|m| m.values());
    all.filter(move |d| covers(model, scope, &d.key.name))
}

/// The deployments in a scope that have something to put back, whether they are still there or not.
pub fn open_in_scope(model: &Model, scope: &Scope) -> BTreeSet<DeploymentKey> {
    let open = model.session.iter().flat_map(|s| s.state.open_undo()).map(|l| &l.undo.kind);
    open.filter_map(|kind| kind.replicas())
        .map(|(deployment, _)| deployment)
        .filter(|key| covers(model, scope, &key.name))
        .cloned()
        .collect()
}

/// Those that were changed, are not put back, and are not there any more.
fn gone(model: &Model, scope: &Scope) -> Vec<DeploymentKey> {
    let Some(map) = &model.world.deployments.value else { return Vec::new() };
    open_in_scope(model, scope).into_iter().filter(|key| !map.contains_key(key)).collect()
}

/// True if a scope takes in the deployment of this name.
pub fn covers(model: &Model, scope: &Scope, name: &str) -> bool {
    let app = model.target.app.as_str();
    model.target.owns(name)
        && match scope {
            Scope::App => true,
            Scope::Web => name == app || name.strip_prefix(app) == Some("-web"),
            Scope::Suffix(s) => name.strip_prefix(app).and_then(|r| r.strip_prefix('-')) == Some(s.as_str()),
        }
}

fn ask(model: &Model, probe: &Probe) -> (Answer, String, Option<Source>) {
    match probe {
        Probe::ReplicasWanted { scope } => replicas(model, scope, "wanted", |d| d.wanted),
        Probe::ReplicasReady { scope } => replicas(model, scope, "ready", |d| d.ready),
        Probe::ServerState { which } => {
            let found = model.world.servers.value.as_ref().map(|all| {
                let states: Vec<_> =
                    all.iter().filter(|s| s.class == class(*which)).map(|s| s.state.clone()).collect();
                if states.is_empty() { "absent".to_owned() } else { states.join(", ") }
            });
            word(found, Source::Azure)
        }
        Probe::ServerCount { which } => match &model.world.servers.value {
            Some(all) => {
                let n = all.iter().filter(|s| s.class == class(*which)).count();
                (Answer::Number(n as i64), format!("{n} listed"), Some(Source::Azure))
            }
            None => unknown(Source::Azure),
        },
        Probe::ServiceHealth => {
            let health = model.world.health.value.as_ref();
            let status = health.map(|h| h.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string()));
            match (health, status) {
                (Some(h), Some(status)) => {
                    let up = h.word();
                    (Answer::Word(up.into()), format!("{up} ({status})"), Some(Source::Web))
                }
                _ => unknown(Source::Web),
            }
        }
        Probe::UndoOpen => match &model.session {
            Some(session) => {
                let n = session.state.open_undo().count();
                (Answer::Number(n as i64), format!("{n} open"), None)
            }
            None => (Answer::Unknown, "no incident is open".into(), None),
        },
        Probe::CompareRecoverable | Probe::CompareDiffering => {
            (Answer::Unknown, "nothing is compared yet".into(), None)
        }
    }
}

/// True for items whose evidence is a comparison.
pub fn wants_comparison(item: &Item) -> bool {
    matches!(item.sense, Some(Probe::CompareRecoverable | Probe::CompareDiffering))
}

/// What the last comparison says, in counts and times alone; as of its end.
fn compared(model: &Model, item: &Item, probe: &Probe) -> Option<Sensed> {
    if !wants_comparison(item) {
        return None;
    }
    let unknown = |value: &str, source: String| {
        let (value, verdict) = (value.to_owned(), Verdict::Unknown);
        Some(Sensed { value, source, as_of: None, verdict })
    };
    let later = model.compare.as_ref().filter(|c| !c.is_whole());
    let earlier = model.earlier.as_deref().filter(|_| later.is_some());
    let Some(comparison) = earlier.or(model.compare.as_ref()) else {
        let past = compare_past::last(model).is_some();
        let words =
            if past { "not compared since this start of the cockpit" } else { "nothing is compared yet" };
        return unknown(words, "comparison".into());
    };
    let source = format!("comparison of {}", comparison.pair());
    let (at, complete) = match &comparison.stage {
        Stage::Running => return unknown("a comparison is running", source),
        Stage::Done { at } => (*at, true),
        Stage::Ended { at, .. } => (*at, false),
    };
    let counts = comparison.counts();
    let recoverable = counts.lost.saturating_add(counts.changed);
    let number = match probe {
        Probe::CompareRecoverable => recoverable,
        // A table that is gone or new differs even if it holds no row.
        _ => counts.differing().max(comparison.differing() as u64),
    };
    let number = Answer::Number(i64::try_from(number).unwrap_or(i64::MAX));
    let verdict = judge(model, probe, item.verify.as_ref(), &number);
    // What was found was found, whatever else was not looked at; that there is no more, only the whole proves.
    let whole = comparison.unknown() == 0 && comparison.request.options.part().is_none();
    let at_least = item.verify.as_ref().is_some_and(|e| e.compare == Compare::AtLeast);
    let found = verdict == Verdict::Pass && at_least && *probe == Probe::CompareRecoverable;
    let verdict = if complete && (whole || found) { verdict } else { Verdict::Unknown };
    let stopped = if complete { "" } else { "NOT COMPLETE: " };
    let since = match later.filter(|_| earlier.is_some()).map(|c| &c.stage) {
        None => "",
        Some(Stage::Running) => "; a later one is running",
        Some(Stage::Done { .. }) => "; a later one was of a part only",
        Some(Stage::Ended { .. }) => "; a later one was NOT finished",
    };
    let value = format!("{stopped}{}{since}", comparison.outcome());
    Some(Sensed { value, source, as_of: Some(at), verdict })
}

fn replicas(
    model: &Model,
    scope: &Scope,
    what: &str,
    count: impl Fn(&Deployment) -> i32,
) -> (Answer, String, Option<Source>) {
    if model.world.deployments.value.is_none() {
        return unknown(Source::Kubernetes);
    }
    let (mut sum, mut wanted, mut parts) = (0, 0, Vec::new());
    for d in in_scope(model, scope) {
        sum += i64::from(count(d));
        wanted += i64::from(d.wanted);
        parts.push(format!("{} {}", short_name(model, &d.key), count(d)));
    }
    if parts.is_empty() {
        return (Answer::Unknown, "no such deployment".into(), Some(Source::Kubernetes));
    }
    parts.extend(gone(model, scope).iter().map(|key| format!("{} is gone", short_name(model, key))));
    let of = if what == "ready" { format!(" of {wanted} wanted") } else { String::new() };
    (Answer::Number(sum), format!("{sum} {what}{of} ({})", parts.join(", ")), Some(Source::Kubernetes))
}

/// `web` or `worker` for `app` and `app-worker`.
pub fn short_name(model: &Model, key: &DeploymentKey) -> String {
    match key.name.strip_prefix(model.target.app.as_str()) {
        Some("") => "web".into(),
        Some(rest) => rest.trim_start_matches('-').to_owned(),
        None => key.name.clone(),
    }
}

fn word(found: Option<String>, source: Source) -> (Answer, String, Option<Source>) {
    match found {
        Some(text) => (Answer::Word(text.clone()), text, Some(source)),
        None => unknown(source),
    }
}

fn unknown(source: Source) -> (Answer, String, Option<Source>) {
    (Answer::Unknown, "not known yet".into(), Some(source))
}

fn class(which: Which) -> ServerClass {
    match which {
        Which::Live => ServerClass::Live,
        Which::Ptr => ServerClass::Ptr,
    }
}

fn judge(model: &Model, probe: &Probe, expect: Option<&Expect>, answer: &Answer) -> Verdict {
    let Some(expect) = expect else { return Verdict::Unknown };
    let holds = match (answer, &expect.value) {
        (Answer::Number(n), Value::Number(want)) => compare(expect.compare, *n, *want),
        (Answer::Number(n), Value::Captured) => match captured(model, Some(probe)) {
            Some(want) => compare(expect.compare, *n, want),
            None => return Verdict::Unknown,
        },
        (Answer::Word(w), Value::Word(want)) => match expect.compare {
            Compare::Equal => w.eq_ignore_ascii_case(want),
            Compare::NotEqual => !w.eq_ignore_ascii_case(want),
            Compare::AtLeast | Compare::AtMost => return Verdict::Unknown,
        },
        _ => return Verdict::Unknown,
    };
    if holds { Verdict::Pass } else { Verdict::Fail }
}

fn compare(how: Compare, found: i64, want: i64) -> bool {
    match how {
        Compare::Equal => found == want,
        Compare::NotEqual => found != want,
        Compare::AtLeast => found >= want,
        Compare::AtMost => found <= want,
    }
}

/// Sum of the replicas ever captured in this incident for the probe's deployments.
fn captured(model: &Model, probe: Option<&Probe>) -> Option<i64> {
    let (Probe::ReplicasWanted { scope } | Probe::ReplicasReady { scope }) = probe? else { return None };
    let session = model.session.as_ref()?;
    let mut sum = None;
    for d in in_scope(model, scope) {
        // A deployment that was never changed counts as it is wanted now.
        let count = session.captured(&d.key).unwrap_or(d.wanted);
        sum = Some(sum.unwrap_or(0) + i64::from(count));
    }
    // One that is gone and not put back is still owed.
    for count in gone(model, scope).iter().filter_map(|key| session.captured(key)) {
        sum = Some(sum.unwrap_or(0) + i64::from(count));
    }
    session.has_captures().then_some(sum).flatten()
}
