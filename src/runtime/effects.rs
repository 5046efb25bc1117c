//! Carries out what `update` asked for: each effect as a task of its own, with a time limit; outcomes come back as
//! messages.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::core::Msg;
use crate::incident::{Action, Outcome};
use crate::providers::Providers;

/// A change that has not ended by then counts as unknown.
const LIMIT: Duration = Duration::from_secs(40);
/// A pod of its own has to be scheduled, and its image fetched.
const POD_LIMIT: Duration = Duration::from_secs(180);
/// A disaster in a realistic sandbox; its own patience (`providers::sandbox`) ends before.
const DISASTER_LIMIT: Duration = Duration::from_secs(910);

/// Makes a change and reports how it ended.
pub fn run(providers: Arc<Providers>, id: String, action: Action, answers: mpsc::Sender<Msg>) {
    tokio::spawn(async move {
        let limit = match &action {
            Action::OpenTunnel { request } if request.own_pod => POD_LIMIT,
            Action::SandboxDisaster { .. } => DISASTER_LIMIT,
            _ => LIMIT,
        };
        let outcome = match tokio::time::timeout(limit, act(&providers, &action)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unknown { why: format!("no answer within {} s", limit.as_secs()) },
        };
        // Fails only while the cockpit ends; the journal then shows an intent without an end, which resume looks into.
        let _ = answers.send(Msg::Acted { id, action, outcome }).await;
    });
}

async fn act(providers: &Providers, action: &Action) -> Outcome {
    match action {
        Action::Scale { deployment, from, to } => match providers.scale(deployment, *from, *to).await {
            Ok(done) => {
                Outcome::Done { result: format!("{} scaled {} → {}", deployment.name, done.from, done.to) }
            }
            Err(e) if e.maybe_applied => Outcome::Unknown { why: e.fault.to_string() },
            Err(e) => Outcome::Failed { why: e.fault.to_string() },
        },
        Action::OpenTunnel { request } => match providers.open_tunnel(request).await {
            Ok(result) => Outcome::Done { result },
            Err(e) => Outcome::Failed { why: e.to_string() },
        },
        Action::DeletePod { namespace, pod } => match providers.delete_pod(namespace, pod).await {
            Ok(()) => Outcome::Done { result: format!("pod {namespace}/{pod} deleted") },
            Err(e) => Outcome::Failed { why: e.to_string() },
        },
        // Runs by itself: `comparing`.
        Action::Compare { .. } => Outcome::Failed { why: "not begun".to_owned() },
        // The loop's own: it has the terminal.
        Action::HandOff { .. } => Outcome::Failed { why: "no terminal to hand over".to_owned() },
        Action::SandboxDisaster { name } => match providers.sandbox_disaster(name).await {
            Ok(result) => Outcome::Done { result },
            Err(e) => Outcome::Failed { why: e.to_string() },
        },
    }
}
