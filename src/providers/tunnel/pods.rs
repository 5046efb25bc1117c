//! Pods to go through: the app's, and what becomes of one in use.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::super::kubernetes::http::Lines;
use super::super::words;
use super::api::Api;
use super::place::Way;
use super::state::Board;
use crate::domain::{DeploymentKey, Fault, TunnelState, backoff};

/// What matters of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodView {
    pub name: String,
    pub uid: String,
    /// Runs, passes its readiness probe, and is not being deleted.
    pub ready: bool,
    /// Runs and is not being deleted, whatever its probe says: one that fails for want of the database serves a tunnel.
    pub usable: bool,
    /// It is being deleted.
    pub going: bool,
    /// It will never run again: failed, succeeded, or gone.
    pub over: bool,
    /// Why it is not ready, in words.
    pub why: String,
    pub container: Option<String>,
    version: String,
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl PodView {
    pub fn of(pod: &Value) -> PodView {
        let phase = at(pod, "/status/phase");
        let going = pod.pointer("/metadata/deletionTimestamp").is_some();
        let conditions = items(pod, "/status/conditions");
        let is_ready = conditions.iter().any(|c| at(c, "/type") == "Ready" && at(c, "/status") == "True");
        let over = matches!(phase, "Failed" | "Succeeded");
        // Sidecars (proxies) may come first; the annotation names the one that people mean.
        let named = at(pod, "/metadata/annotations/kubectl.kubernetes.io~1default-container");
        PodView {
            name: at(pod, "/metadata/name").to_owned(),
            uid: at(pod, "/metadata/uid").to_owned(),
            ready: phase == "Running" && is_ready && !going,
            usable: phase == "Running" && !going,
            going,
            over,
            why: why(pod, phase, going),
            container: Some(named).filter(|n| !n.is_empty()).map(str::to_owned),
            version: at(pod, "/metadata/resourceVersion").to_owned(),
        }
    }
}

fn why(pod: &Value, phase: &str, going: bool) -> String {
    let waiting = items(pod, "/status/containerStatuses").iter().find_map(|c| {
        let reason = at(c, "/state/waiting/reason");
        (!reason.is_empty()).then(|| format!("{reason} {}", at(c, "/state/waiting/message")))
    });
    let unscheduled = items(pod, "/status/conditions").iter().find_map(|c| {
        let is = at(c, "/type") == "PodScheduled" && at(c, "/status") == "False";
        is.then(|| format!("not scheduled: {}", at(c, "/message")))
    });
    let ended = at(pod, "/status/reason");
    let text = match (waiting, unscheduled) {
        _ if going => "it is being deleted".to_owned(),
        (Some(waiting), _) => waiting,
        (None, Some(unscheduled)) => unscheduled,
        _ if !ended.is_empty() => format!("{phase}: {ended}"),
        _ => phase.to_lowercase(),
    };
    words::plain(&text)
}

/// The label selector of a deployment, as a query has it.
pub fn selector(deployment: &Value) -> String {
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let pairs = labels.into_iter().flatten().filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?)));
    pairs.collect::<Vec<_>>().join(",")
}

/// A pod of a deployment to go through: a ready one, else one that runs; not `but` if there is another.
///
/// # Errors
/// [`Fault::NotFound`] says how many there are and why none serves.
pub async fn of_app(
    api: &Api,
    app: &DeploymentKey,
    selector: &str,
    but: Option<&str>,
) -> Result<PodView, Fault> {
    if selector.is_empty() {
        return Err(Fault::Garbled { why: format!("deployment {app} selects no pods by label") });
    }
    let all: Vec<PodView> =
        api.list("pods", &app.namespace, selector).await?.iter().map(PodView::of).collect();
    let usable = all.iter().filter(|p| p.usable);
    let best = usable.min_by_key(|p| (but == Some(p.name.as_str()), !p.ready, p.name.clone()));
    if let Some(found) = best {
        return Ok(found.clone());
    }
    let why = match all.first() {
        None => "it has no pods (scaled to 0?)".to_owned(),
        Some(first) => format!("none of its {} pods runs ({}: {})", all.len(), first.name, first.why),
    };
    let what = format!("no pod of {app} to go through: {why}. A pod of its own does without (-x)");
    Err(Fault::NotFound { what })
}

/// A watch that is silent for so long is asked again: after a sleep of the machine it would be silent for ever.
const SILENCE: Duration = Duration::from_secs(60);

/// The longest wait before the cluster is asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// The states of one pod, from now on.
#[derive(Debug)]
pub struct Follow {
    api: Api,
    namespace: String,
    name: String,
    lines: Option<Lines>,
    failures: u32,
    /// Told while the API server is away and the way leads through this pod.
    told: Option<(Board, Way)>,
}

impl Follow {
    pub fn new(api: &Api, namespace: &str, name: &str) -> Follow {
        let (api, namespace, name) = (api.clone(), namespace.to_owned(), name.to_owned());
        Follow { api, namespace, name, lines: None, failures: 0, told: None }
    }

    /// As the pod that an open tunnel goes through: `board` says so while the cluster cannot be asked. When `way` leads
    /// elsewhere, or nowhere yet, this pod has no say in it any more.
    #[must_use]
    pub fn telling(self, board: &Board, way: &Way) -> Follow {
        Follow { told: Some((board.clone(), way.clone())), ..self }
    }

    /// Follows in a task of its own: whoever waits for something else meanwhile interrupts no request.
    pub fn in_background(mut self) -> Views {
        let (tell, views) = mpsc::channel(4);
        let task = tokio::spawn(async move {
            while let Some(view) = self.next().await {
                if tell.send(view).await.is_err() {
                    return;
                }
            }
        });
        Views { views, task }
    }

    /// The pod as it is, then whenever it changes; `None` when it is gone. Faults are waited out: the last state stands.
    pub async fn next(&mut self) -> Option<PodView> {
        loop {
            if let Some(lines) = &mut self.lines {
                match timeout(SILENCE, lines.next()).await {
                    Ok(Ok(Some(line))) => match event(&line) {
                        Event::Is(view) => return Some(view),
                        Event::Gone => return None,
                        Event::Other => self.lines = None,
                    },
                    Ok(Ok(None) | Err(_)) | Err(_) => self.lines = None,
                }
                continue;
            }
            match self.look().await {
                Ok(view) => {
                    self.answered(&view);
                    return Some(view);
                }
                Err(Fault::NotFound { .. }) => return None,
                Err(fault) => {
                    self.failures += 1;
                    let asked = fault.retry_after();
                    // Whoever waits for the way to be back looks at it.
                    let wait =
                        backoff::wait(self.failures, rand::random(), asked).min(asked.unwrap_or(AGAIN));
                    self.refused(&fault, wait);
                    sleep(wait).await;
                }
            }
        }
    }

    fn answered(&mut self, view: &PodView) {
        if std::mem::take(&mut self.failures) > 0 && view.usable {
            self.tell(|board| board.state(TunnelState::Open));
        }
    }

    /// No connection can be made while the cluster is away; those that stand may live on.
    fn refused(&self, fault: &Fault, wait: Duration) {
        let away =
            matches!(fault, Fault::Unreachable { .. } | Fault::TimedOut { .. } | Fault::AuthExpired { .. });
        if away {
            let next = chrono::TimeDelta::from_std(wait).ok().map(|wait| chrono::Utc::now() + wait);
            self.tell(|board| board.reconnecting(format!("the cluster cannot be asked: {fault}"), next));
        }
    }

    fn tell(&self, what: impl FnOnce(&Board)) {
        if let Some((board, way)) = &self.told {
            way.if_through(&self.name, || what(board));
        }
    }

    async fn look(&mut self) -> Result<PodView, Fault> {
        let pod = self.api.get("pods", &self.namespace, &self.name).await?;
        let view = PodView::of(&pod);
        match self.api.watch_pod(&self.namespace, &self.name, &view.version).await {
            Ok(lines) => self.lines = Some(lines),
            // Without the right to watch it is looked at now and then.
            Err(Fault::Denied { .. }) => sleep(Duration::from_secs(5)).await,
            Err(fault) => return Err(fault),
        }
        Ok(view)
    }
}

/// What a [`Follow`] in the background sees. Dropping this ends it.
#[derive(Debug)]
pub struct Views {
    views: mpsc::Receiver<PodView>,
    task: JoinHandle<()>,
}

impl Views {
    /// As [`Follow::next`]. Safe to drop and ask again.
    pub async fn next(&mut self) -> Option<PodView> {
        self.views.recv().await
    }
}

impl Drop for Views {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Event {
    Is(PodView),
    Gone,
    /// Bookmark, error, nonsense: look again.
    Other,
}

fn event(line: &[u8]) -> Event {
    let Ok(event) = serde_json::from_slice::<Value>(line) else { return Event::Other };
    let Some(pod) = event.get("object") else { return Event::Other };
    match at(&event, "/type") {
        "ADDED" | "MODIFIED" => Event::Is(PodView::of(pod)),
        "DELETED" => Event::Gone,
        _ => Event::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::place::{How, Place};
    use super::super::wish::{Wish, request};
    use super::super::{KubernetesSettings, Link, TunnelSettings};
    use super::*;

    #[tokio::test]
    async fn a_pod_that_the_tunnel_has_left_says_nothing_of_it_any_more() {
        let api = Api::new(Arc::new(Link::new(KubernetesSettings::default())));
        let board = Board::new(&Wish::of(&request(), &TunnelSettings::default(), "production"));
        let way = Way::new(api.clone());
        let through = |pod| Some(Arc::new(Place::new("ns", pod, None, How::Exec)));
        way.place.send_replace(through("web-1"));
        let mut follow = Follow::new(&api, "ns", "web-1").telling(&board, &way);
        let running = PodView::of(&json!({"metadata": {"name": "web-1"}, "status": {"phase": "Running"}}));
        let away = Fault::TimedOut { after_s: 10 };
        let fails = |follow: &mut Follow| {
            follow.failures += 1;
            follow.refused(&away, AGAIN);
        };
        fails(&mut follow);
        assert!(matches!(board.now().state, TunnelState::Reconnecting { .. }));
        follow.answered(&running);
        assert_eq!(board.now().state, TunnelState::Open);

        // It is left while the cluster is away, and the cluster answers before another pod is found.
        fails(&mut follow);
        way.leave();
        board.reconnecting("pod web-1 is gone".into(), None);
        follow.answered(&running);
        assert!(
            matches!(board.now().state, TunnelState::Reconnecting { why, .. } if why == "pod web-1 is gone")
        );
        way.place.send_replace(through("web-2"));
        board.state(TunnelState::Open);
        fails(&mut follow);
        assert_eq!(board.now().state, TunnelState::Open, "that is another pod's business");
    }

    #[test]
    fn a_pod_is_ready_only_while_it_lives() {
        let ready = json!({"type": "Ready", "status": "True"});
        let mut pod =
            json!({"metadata": {"name": "a"}, "status": {"phase": "Running", "conditions": [ready]}});
        assert!(PodView::of(&pod).ready);
        pod["metadata"]["deletionTimestamp"] = "2026-11-20T10:00:00Z".into();
        let going = PodView::of(&pod);
        assert!(!going.ready && !going.over && going.why == "it is being deleted", "{going:?}");
        let failed = json!({"status": {"phase": "Failed", "reason": "DeadlineExceeded"}});
        assert!(PodView::of(&failed).over && PodView::of(&failed).why == "Failed: DeadlineExceeded");
        let pulling = json!({"status": {"phase": "Pending", "containerStatuses": [
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such\u{1b}[31m image"}}}]}});
        assert_eq!(PodView::of(&pulling).why, "ImagePullBackOff no such image");
    }
}
