//! An event in one line for people: the timeline, the report. Outside text is cleaned, never marked up.

use super::event::{Action, Event, Outcome, Undo, UndoKind};
use crate::domain::clock;
use crate::domain::text::clean;

/// What happened, without who and when.
pub fn words(event: &Event) -> String {
    clean(&match event {
        Event::Opened { runbook, service, environment, exercise, .. } => format!(
            "{} opened: {} ({service} {environment})",
            if *exercise { "EXERCISE" } else { "incident" },
            runbook.title
        ),
        Event::Planned { items, .. } => format!("the runbook plans {} items", items.len()),
        Event::Resumed { notes } if notes.is_empty() => "cockpit resumed the incident, read-only".to_owned(),
        Event::Resumed { notes } => format!("cockpit resumed the incident, read-only: {}", notes.join("; ")),
        Event::Armed { until } => format!("armed until {}", clock::both(*until)),
        Event::Disarmed { why } => format!("read-only again: {why}"),
        Event::Answered { title, mark, sensed, reason, .. } => {
            let saw =
                sensed.as_ref().map(|s| format!(", saw {} ({})", s.value, s.source)).unwrap_or_default();
            let why = reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
            format!("{} {title}: {}{saw}{why}", mark.sign(), mark.word())
        }
        Event::Reopened { title, why, .. } => format!("[ ] {title}: opened again: {why}"),
        Event::Noted { text, .. } => format!("note: {text}"),
        Event::Captured { undo } => format!("captured {}: {}", undo.id, captured(undo)),
        Event::Intended { id, action, undoes, .. } => {
            let back = undoes.as_ref().map(|u| format!(" (puts back {u})")).unwrap_or_default();
            format!("about to {}{back} [{id}]", change(action))
        }
        Event::Finished { id, outcome } => format!("{id} {}", ended(outcome)),
        Event::Undone { undo, how } => format!("{undo} put back: {how}"),
        Event::Waived { undo, reason } => format!("{undo} will not be put back: {reason}"),
        Event::Unwaived { undo, why } => format!("{undo} is to be put back after all: {why}"),
        Event::Observed { what, source } => format!("{what} ({source})"),
        Event::Closed { summary } => format!("closed: {summary}"),
    })
}

/// What an action does: `scale tra-test/web from 2 to 0`.
pub fn change(action: &Action) -> String {
    match action {
        Action::Scale { deployment, from, to } => format!("scale {deployment} from {from} to {to}"),
        Action::SandboxDisaster { name } => format!("inject the disaster {name} into the sandbox"),
        Action::OpenTunnel { request } => {
            let server = request.target();
            let through = if request.own_pod { "a pod of its own" } else { "a pod of the app" };
            format!(
                "open tunnel {} to {} ({}){} through {through}, with the credentials of {}",
                request.id,
                server,
                request.which.word(),
                if request.unverified { ", its certificate NOT verified," } else { "" },
                request.app
            )
        }
        Action::HandOff { hand_off, which, server, database } => {
            let how = if hand_off.read_only { "read-only" } else { "READ-WRITE" };
            format!(
                "hand the terminal to {} on {server}/{database} ({}), {how}, through tunnel {}",
                hand_off.tool.word(),
                which.word(),
                hand_off.tunnel
            )
        }
        Action::DeletePod { namespace, pod } => format!("delete the pod {namespace}/{pod}, left by a tunnel"),
        Action::Compare { request } => {
            let through = if request.own_pod { "pods of its own" } else { "a pod of the app" };
            let part = request.options.part().map_or_else(String::new, |p| format!(" IN PART ({p})"));
            format!(
                "compare LIVE {} with PTR {}{part}, reading only, through {through}, with the credentials of {}",
                request.live, request.restored, request.app
            )
        }
    }
}

/// What an undo holds: `tra-test/web had 2 replicas, autoscaler web-hpa 2 to 8`.
pub fn captured(undo: &Undo) -> String {
    match &undo.kind {
        UndoKind::Replicas { deployment, replicas, hpa } => {
            let hpa = hpa
                .as_ref()
                .map(|h| format!(", autoscaler {} {} to {}", h.name, h.min, h.max))
                .unwrap_or_default();
            format!("{deployment} had {}{hpa}", count(*replicas))
        }
        UndoKind::TunnelPods { namespace, tunnels, server } => {
            let ids: Vec<String> = tunnels.iter().map(ToString::to_string).collect();
            format!("{namespace} had no pod for tunnel {} to {server}", ids.join(" and "))
        }
    }
}

/// `1 replica`, `2 replicas`.
pub fn count(replicas: i32) -> String {
    crate::domain::text::counted(replicas, "replica")
}

/// `done: …`, `failed: …`, `ended nobody knows how: …`.
pub fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { result } => format!("done: {result}"),
        Outcome::Failed { why } => format!("failed: {why}"),
        Outcome::Unknown { why } => format!("ended nobody knows how: {why}"),
    }
}
