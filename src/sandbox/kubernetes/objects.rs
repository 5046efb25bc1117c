//! Builds the objects of the cluster: namespaces, secrets, deployments and what the controllers make of them.

use std::time::Duration;

use chrono::Utc;
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::json::{self, text};
use super::kinds::Resource;
use super::store::{self, Inner};
use super::{DeploymentSpec, SecretSpec};

/// Letters and digits of generated names: no vowels, so that no words come out.
const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
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
}

pub fn namespace(name: &str) -> Value {
    json!({
        "kind": "Namespace", "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}, "creationTimestamp": ago(300)},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    })
}

pub fn secret(spec: &SecretSpec) -> Value {
    use base64::Engine;
    let encode = |plain: &String| base64::engine::general_purpose::STANDARD.encode(plain);
    let data: serde_json::Map<String, Value> =
        spec.data.iter().map(|(key, plain)| (key.clone(), encode(plain).into())).collect();
    json!({
        "kind": "Secret", "apiVersion": "v1", "type": "Opaque", "data": data,
        "metadata": {"namespace": spec.namespace, "name": spec.name, "creationTimestamp": ago(30)},
    })
}

pub fn deployment(spec: &DeploymentSpec) -> Value {
    let env_from: Vec<Value> = spec.secrets.iter().map(|s| json!({"secretRef": {"name": s}})).collect();
    let labels = json!({"app": spec.name});
    json!({
        "kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {
            "namespace": spec.namespace, "name": spec.name, "labels": labels, "creationTimestamp": ago(30),
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "spec": {
            "replicas": spec.replicas, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": spec.name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{
                        "name": spec.name, "image": spec.image, "imagePullPolicy": "IfNotPresent",
                        "envFrom": env_from,
                        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
                    }],
                    "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
                },
            },
        },
        "status": {},
    })
}

pub fn autoscaler(spec: &DeploymentSpec, min: u32, max: u32) -> Value {
    let wanted = spec.replicas;
    json!({
        "kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2",
        "metadata": {"namespace": spec.namespace, "name": spec.name, "creationTimestamp": ago(30)},
        "spec": {
            "minReplicas": min, "maxReplicas": max,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": spec.name},
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
        },
        "status": {"currentReplicas": wanted, "desiredReplicas": wanted},
    })
}

/// A replica set of `deployment` for its present template, at 0 replicas.
pub fn replica_set(deployment: &Value, revision: u64) -> Value {
    let template = deployment.pointer("/spec/template").cloned().unwrap_or_default();
    let hash = template_hash(&template);
    let mut labels = template.pointer("/metadata/labels").cloned().unwrap_or_default();
    json::set(&mut labels, &["pod-template-hash"], hash.as_str().into());
    let mut selector = deployment.pointer("/spec/selector").cloned().unwrap_or_default();
    json::set(&mut selector, &["matchLabels", "pod-template-hash"], hash.as_str().into());
    let mut template = template;
    json::set(&mut template, &["metadata", "labels"], labels.clone());
    json!({
        "kind": "ReplicaSet", "apiVersion": "apps/v1",
        "metadata": {
            "namespace": text(deployment, "/metadata/namespace"),
            "name": format!("{}-{hash}", text(deployment, "/metadata/name")),
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [owner(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
        "status": {"replicas": 0},
    })
}

/// A new pod of `replica_set`: pending, not yet scheduled.
pub fn pod(replica_set: &Value) -> Value {
    let labels = replica_set.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
    let mut spec = replica_set.pointer("/spec/template/spec").cloned().unwrap_or_default();
    json::set(&mut spec, &["serviceAccountName"], "default".into());
    let mut metadata = json!({
        "namespace": text(replica_set, "/metadata/namespace"),
        "name": format!("{}-{}", text(replica_set, "/metadata/name"), random_name(5)),
        "generateName": format!("{}-", text(replica_set, "/metadata/name")),
        "labels": labels,
        "ownerReferences": [owner(replica_set)],
    });
    if let Some(annotations) = replica_set.pointer("/spec/template/metadata/annotations") {
        json::set(&mut metadata, &["annotations"], annotations.clone());
    }
    json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec,
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    })
}

/// Where `pod` is in its life, from what it says itself.
pub fn stage(pod: &Value) -> Stage {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return Stage::Ending;
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
pub fn move_pod(pod: &mut Value, stage: Stage, reason: &str, at: &str) {
    if pod.pointer("/spec/nodeName").is_none() {
        let node = NODES.choose(&mut rand::rng()).copied().unwrap_or("aks-apps1");
        json::set(pod, &["spec", "nodeName"], node.into());
    }
    let mut restarts = json::int(pod, "/status/containerStatuses/0/restartCount");
    let template = "/spec/containers/0";
    let (name, image) = (
        text(pod, &format!("{template}/name")).to_owned(),
        text(pod, &format!("{template}/image")).to_owned(),
    );
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
        Stage::Unscheduled | Stage::Creating | Stage::Ending => {
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
            .map(|(kind, holds)| pod_condition(pod, kind, holds, at))
            .into();
    json::set(pod, &["status", "conditions"], conditions.into());
    json::set(
        pod,
        &["status", "containerStatuses"],
        json!([{
            "name": name, "image": image, "imageID": "", "ready": ready, "started": up,
            "restartCount": restarts, "state": state, "lastState": {},
        }]),
    );
}

/// A condition of a pod, with the time of the one it replaces while that holds.
fn pod_condition(pod: &Value, kind: &str, holds: bool, at: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let old = json::list(pod, "/status/conditions").iter().find(|c| text(c, "/type") == kind);
    match old.filter(|old| text(old, "/status") == status) {
        Some(old) => old.clone(),
        None => json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": at}),
    }
}

/// Marks `pod` as told to stop.
pub fn end_pod(pod: &mut Value, grace: Duration) {
    let gone_by = Utc::now() + chrono::Duration::from_std(grace).unwrap_or_default();
    json::set(pod, &["metadata", "deletionTimestamp"], json::time(gone_by).into());
    json::set(pod, &["metadata", "deletionGracePeriodSeconds"], grace.as_secs().into());
}

/// True if both templates start the same pods.
pub fn same_template(deployment: &Value, replica_set: &Value) -> bool {
    let mut theirs = replica_set.pointer("/spec/template").cloned().unwrap_or_default();
    json::remove(&mut theirs, &["metadata", "labels", "pod-template-hash"]);
    deployment.pointer("/spec/template") == Some(&theirs)
}

/// Ten safe characters from a pod template.
fn template_hash(template: &Value) -> String {
    let digest = Sha256::digest(template.to_string().as_bytes());
    digest.iter().take(10).map(|byte| safe(usize::from(*byte))).collect()
}

fn safe(number: usize) -> char {
    SAFE.get(number % SAFE.len()).map_or('x', |byte| char::from(*byte))
}

fn random_name(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| safe(rng.random_range(0..SAFE.len()))).collect()
}

fn owner(object: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": text(object, "/kind"), "name": text(object, "/metadata/name"),
        "uid": text(object, "/metadata/uid"), "controller": true, "blockOwnerDeletion": true,
    })
}

fn ago(days: i64) -> String {
    json::time(Utc::now() - chrono::Duration::days(days))
}

/// Records a Kubernetes Event about `object`, as `component` would.
pub fn record_event(inner: &mut Inner, object: &Value, component: &str, reason: &str, message: &str) {
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let at = json::now();
    let suffix: u64 = rand::random();
    inner.put(
        Resource::Event,
        json!({
            "kind": "Event", "apiVersion": "v1", "type": "Normal", "reason": reason, "message": message,
            "metadata": {"namespace": namespace, "name": format!("{name}.{suffix:016x}")},
            "involvedObject": {
                "kind": text(object, "/kind"), "apiVersion": text(object, "/apiVersion"),
                "namespace": namespace, "name": name, "uid": text(object, "/metadata/uid"),
                "resourceVersion": text(object, "/metadata/resourceVersion"),
            },
            "source": {"component": component}, "reportingComponent": component, "reportingInstance": "",
            "firstTimestamp": at, "lastTimestamp": at, "count": 1, "eventTime": null,
        }),
    );
}

/// Puts a deployment with everything below it, settled: no controller has anything to do for it.
pub fn settle(inner: &mut Inner, spec: &DeploymentSpec) {
    let replicas = usize::try_from(spec.replicas).unwrap_or(usize::MAX);
    let mut value = deployment(spec);
    json::set(&mut value, &["metadata", "uid"], store::uid().into());
    let mut set = replica_set(&value, 1);
    json::set(&mut set, &["metadata", "uid"], store::uid().into());
    json::set(&mut set, &["metadata", "creationTimestamp"], ago(4).into());
    json::set(&mut set, &["spec", "replicas"], spec.replicas.into());
    let at = ago(4);
    let full = super::status::Tally { active: replicas, ready: replicas };
    super::status::of_replica_set(&mut set, full, 1);
    super::status::of_deployment(&mut value, full, replicas, 1, &at);
    for _ in 0..replicas {
        let mut pod = pod(&set);
        move_pod(&mut pod, Stage::Ready, "", &at);
        json::set(&mut pod, &["metadata", "creationTimestamp"], at.as_str().into());
        inner.put_quietly(Resource::Pod, pod);
    }
    inner.put_quietly(Resource::ReplicaSet, set);
    inner.put_quietly(Resource::Deployment, value);
    if let Some((min, max)) = spec.hpa {
        let mut scaler = autoscaler(spec, min, max);
        super::status::of_autoscaler(&mut scaler, spec.replicas.into(), spec.replicas.into(), &at);
        inner.put_quietly(Resource::Hpa, scaler);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> DeploymentSpec {
        DeploymentSpec { namespace: "ns".into(), name: "web".into(), replicas: 2, ..Default::default() }
    }

    #[test]
    fn a_pod_says_its_stage() {
        let set = replica_set(&deployment(&spec()), 1);
        let mut pod = pod(&set);
        assert_eq!(stage(&pod), Stage::Unscheduled);
        for next in [Stage::Creating, Stage::Starting, Stage::Ready, Stage::Crashing, Stage::Starting] {
            move_pod(&mut pod, next, "CrashLoopBackOff", "2026-11-20T00:00:00Z");
            assert_eq!(stage(&pod), next);
        }
        assert_eq!(json::int(&pod, "/status/containerStatuses/0/restartCount"), 1);
        end_pod(&mut pod, Duration::from_secs(30));
        assert_eq!(stage(&pod), Stage::Ending);
        assert_eq!(store::deployment_of(&pod), "web");
    }

    #[test]
    fn a_replica_set_knows_its_template() {
        let mut value = deployment(&spec());
        let set = replica_set(&value, 1);
        assert!(same_template(&value, &set));
        json::set(&mut value, &["spec", "template", "metadata", "annotations", "x"], "y".into());
        assert!(!same_template(&value, &set));
        assert_ne!(replica_set(&value, 2).pointer("/metadata/name"), set.pointer("/metadata/name"));
    }
}
