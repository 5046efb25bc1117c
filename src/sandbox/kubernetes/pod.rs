//! A pod and its life: how it begins, moves from stage to stage, and ends.

use std::time::Duration;

use chrono::Utc;
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use super::json::{self, text};
use super::objects::{owner, random_name};

const NODES: [&str; 3] =
    ["aks-apps1-23812210-vmss000000", "aks-apps1-23812210-vmss000001", "aks-apps1-23812210-vmss000002"];

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Unscheduled,
    Creating,
    Starting,
    Ready,
    /// Its container crashes and is started again later and later.
    Crashing,
    Ending,
    /// All its containers have ended for good.
    Done,
}

/// How the container ended last.
pub const LAST_END: &str = "/status/containerStatuses/0/lastState/terminated";

/// A new pod of `replica_set`: pending, not yet scheduled.
pub fn new(replica_set: &Value) -> Value {
    of_parent(replica_set, &json!({}))
}

/// A new pod of a job.
pub fn of_job(job: &Value) -> Value {
    let (name, uid) = (text(job, "/metadata/name"), text(job, "/metadata/uid"));
    of_parent(
        job,
        &json!({
            "job-name": name, "controller-uid": uid,
            "batch.kubernetes.io/job-name": name, "batch.kubernetes.io/controller-uid": uid,
        }),
    )
}

fn of_parent(parent: &Value, more_labels: &Value) -> Value {
    let mut labels = parent.pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    for (key, value) in more_labels.as_object().into_iter().flatten() {
        json::set(&mut labels, &[key], value.clone());
    }
    let spec = parent.pointer("/spec/template/spec").cloned().unwrap_or_default();
    let mut metadata = json!({
        "namespace": text(parent, "/metadata/namespace"),
        "name": format!("{}-{}", text(parent, "/metadata/name"), random_name(5)),
        "generateName": format!("{}-", text(parent, "/metadata/name")),
        "labels": labels,
        "ownerReferences": [owner(parent)],
    });
    if let Some(annotations) = parent.pointer("/spec/template/metadata/annotations") {
        json::set(&mut metadata, &["annotations"], annotations.clone());
    }
    let mut pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec});
    begin(&mut pod);
    pod
}

/// Fills in what the API server gives a new pod.
pub fn begin(pod: &mut Value) {
    for (name, default) in [
        ("serviceAccountName", "default"),
        ("restartPolicy", "Always"),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
    ] {
        if text(pod, &format!("/spec/{name}")).is_empty() {
            json::set(pod, &["spec", name], default.into());
        }
    }
    let any = |what: &str| {
        let containers = json::list(pod, "/spec/containers");
        containers.iter().any(|container| container.pointer(&format!("/resources/{what}")).is_some())
    };
    let class = if any("requests") || any("limits") { "Burstable" } else { "BestEffort" };
    json::set(pod, &["status"], json!({"phase": "Pending", "qosClass": class}));
}

/// Where `pod` is in its life, from what it says itself.
pub fn stage(pod: &Value) -> Stage {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return Stage::Ending;
    }
    if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
        return Stage::Done;
    }
    let container = "/status/containerStatuses/0";
    match text(pod, &format!("{container}/state/waiting/reason")) {
        "" => {}
        "ContainerCreating" => return Stage::Creating,
        _ => return Stage::Crashing,
    }
    match pod.pointer(container).and_then(|c| c.get("ready")).and_then(Value::as_bool) {
        None => Stage::Unscheduled,
        Some(false) => Stage::Starting,
        Some(true) => Stage::Ready,
    }
}

/// Moves `pod` to `stage` at `at`. `reason` is the waiting reason of a crashing container.
pub fn step(pod: &mut Value, stage: Stage, reason: &str, at: &str) {
    if pod.pointer("/spec/nodeName").is_none() {
        let node = NODES.choose(&mut rand::rng()).copied().unwrap_or("aks-apps1");
        json::set(pod, &["spec", "nodeName"], node.into());
    }
    let mut restarts = json::int(pod, "/status/containerStatuses/0/restartCount");
    let name = text(pod, "/spec/containers/0/name").to_owned();
    let ready = stage == Stage::Ready;
    let state = match stage {
        Stage::Starting | Stage::Ready => {
            let running = pod.pointer("/status/containerStatuses/0/state/running").cloned();
            json!({"running": running.unwrap_or_else(|| json!({"startedAt": at}))})
        }
        Stage::Crashing => {
            restarts += 1;
            let message = format!("back-off restarting failed container={name}");
            json!({"waiting": {"reason": reason, "message": message}})
        }
        Stage::Unscheduled | Stage::Creating | Stage::Ending | Stage::Done => {
            json!({"waiting": {"reason": "ContainerCreating"}})
        }
    };
    let up = matches!(stage, Stage::Starting | Stage::Ready);
    let phase = if stage == Stage::Creating { "Pending" } else { "Running" };
    if pod.pointer("/status/podIP").is_none() && phase == "Running" {
        let mut rng = rand::rng();
        let ip = format!("10.244.{}.{}", rng.random_range(0..64), rng.random_range(2..250));
        json::set(pod, &["status", "podIP"], ip.into());
    }
    if pod.pointer("/status/startTime").is_none() {
        json::set(pod, &["status", "startTime"], at.into());
    }
    json::set(pod, &["status", "phase"], phase.into());
    let conditions: Vec<Value> =
        [("Initialized", true), ("Ready", ready), ("ContainersReady", ready), ("PodScheduled", true)]
            .map(|(kind, holds)| condition(pod, kind, holds, at))
            .into();
    json::set(pod, &["status", "conditions"], conditions.into());
    let last = pod.pointer(LAST_END).map_or_else(|| json!({}), |last| json!({"terminated": last}));
    let statuses: Vec<Value> = json::list(pod, "/spec/containers")
        .iter()
        .map(|container| {
            json!({
                "name": text(container, "/name"), "image": text(container, "/image"), "imageID": "",
                "ready": ready, "started": up, "restartCount": restarts, "state": state, "lastState": last,
            })
        })
        .collect();
    json::set(pod, &["status", "containerStatuses"], statuses.into());
}

/// How a container of `pod` that ran until `at` ended.
pub fn terminated(pod: &Value, code: i32, at: &str) -> Value {
    let began = text(pod, "/status/containerStatuses/0/state/running/startedAt");
    json!({
        "exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" },
        "startedAt": if began.is_empty() { at } else { began }, "finishedAt": at,
    })
}

/// Notes how the container ended before it starts again.
pub fn set_last_end(pod: &mut Value, ended: Value) {
    if let Some(status) = pod.pointer_mut("/status/containerStatuses/0") {
        json::set(status, &["lastState", "terminated"], ended);
    }
}

/// Ends `pod` for good: its containers ended with `code` and do not start again.
pub fn finish(pod: &mut Value, code: i32, at: &str) {
    let ended = json!({"terminated": terminated(pod, code, at)});
    if let Some(statuses) = pod.pointer_mut("/status/containerStatuses").and_then(Value::as_array_mut) {
        for status in statuses {
            json::set(status, &["state"], ended.clone());
            json::set(status, &["ready"], false.into());
            json::set(status, &["started"], false.into());
        }
    }
    json::set(pod, &["status", "phase"], if code == 0 { "Succeeded" } else { "Failed" }.into());
    let conditions: Vec<Value> =
        [("Initialized", true), ("Ready", false), ("ContainersReady", false), ("PodScheduled", true)]
            .map(|(kind, holds)| condition(pod, kind, holds, at))
            .into();
    json::set(pod, &["status", "conditions"], conditions.into());
}

/// A condition of a pod, with the time of the one it replaces while that holds.
fn condition(pod: &Value, kind: &str, holds: bool, at: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let old = json::list(pod, "/status/conditions").iter().find(|c| text(c, "/type") == kind);
    match old.filter(|old| text(old, "/status") == status) {
        Some(old) => old.clone(),
        None => json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": at}),
    }
}

/// Marks `pod` as told to stop.
pub fn end(pod: &mut Value, grace: Duration) {
    let gone_by = Utc::now() + chrono::Duration::from_std(grace).unwrap_or_default();
    json::set(pod, &["metadata", "deletionTimestamp"], json::time(gone_by).into());
    json::set(pod, &["metadata", "deletionGracePeriodSeconds"], grace.as_secs().into());
}

#[cfg(test)]
mod tests {
    use super::super::DeploymentSpec;
    use super::super::objects::{deployment, replica_set};
    use super::super::store;
    use super::*;

    fn spec() -> DeploymentSpec {
        DeploymentSpec { namespace: "ns".into(), name: "web".into(), replicas: 2, ..Default::default() }
    }

    #[test]
    fn a_pod_says_its_stage() {
        let set = replica_set(&deployment(&spec()), 1);
        let mut pod = new(&set);
        assert_eq!(stage(&pod), Stage::Unscheduled);
        for next in [Stage::Creating, Stage::Starting, Stage::Ready, Stage::Crashing, Stage::Starting] {
            step(&mut pod, next, "CrashLoopBackOff", "2026-11-20T00:00:00Z");
            assert_eq!(stage(&pod), next);
        }
        assert_eq!(json::int(&pod, "/status/containerStatuses/0/restartCount"), 1);
        end(&mut pod, Duration::from_secs(30));
        assert_eq!(stage(&pod), Stage::Ending);
        assert_eq!(store::deployment_of(&pod), "web");
    }
}
