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
use super::{DeploymentSpec, HostSpec, SecretSpec};

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
    /// All its containers have ended for good.
    Done,
}

/// How the container ended last.
pub const LAST_END: &str = "/status/containerStatuses/0/lastState/terminated";

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

/// What every namespace has from its beginning.
pub fn furnish(inner: &mut Inner, namespace: &str, ca_pem: &str) {
    let metadata = |name: &str| json!({"namespace": namespace, "name": name, "creationTimestamp": ago(300)});
    inner.put_quietly(
        Resource::ServiceAccount,
        json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata("default")}),
    );
    inner.put_quietly(
        Resource::ConfigMap,
        json!({
            "kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata("kube-root-ca.crt"),
            "data": {"ca.crt": ca_pem},
        }),
    );
}

/// A service for a deployment's port and an ingress that leads `host` to it.
pub fn published(inner: &mut Inner, spec: &HostSpec) {
    let (namespace, name) = (&spec.namespace, &spec.deployment);
    let metadata = |name: &str| json!({"namespace": namespace, "name": name, "labels": {"app": name}, "creationTimestamp": ago(300)});
    let mut service = json!({
        "kind": "Service", "apiVersion": "v1", "metadata": metadata(name),
        "spec": {
            "type": "ClusterIP", "selector": {"app": name},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
        "status": {"loadBalancer": {}},
    });
    complete_service(&mut service);
    inner.put_quietly(Resource::Service, service);
    let backend = json!({"service": {"name": name, "port": {"number": 80}}});
    inner.put_quietly(
        Resource::Ingress,
        json!({
            "kind": "Ingress", "apiVersion": "networking.k8s.io/v1", "metadata": metadata(&spec.host),
            "spec": {
                "ingressClassName": "nginx",
                "rules": [{"host": spec.host, "http": {"paths": [
                    {"path": "/", "pathType": "ImplementationSpecific", "backend": backend}]}}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "20.90.17.4"}]}},
        }),
    );
}

/// Fills in what the API server gives a service.
pub fn complete_service(service: &mut Value) {
    let mut rng = rand::rng();
    let headless = text(service, "/spec/clusterIP") == "None";
    if text(service, "/spec/clusterIP").is_empty() {
        let ip = format!("10.0.{}.{}", rng.random_range(0..=255), rng.random_range(2..255));
        json::set(service, &["spec", "clusterIP"], ip.into());
    }
    if !headless {
        let ip = text(service, "/spec/clusterIP").to_owned();
        json::set(service, &["spec", "clusterIPs"], json!([ip]));
    }
    for (name, default) in
        [("type", "ClusterIP"), ("sessionAffinity", "None"), ("internalTrafficPolicy", "Cluster")]
    {
        if text(service, &format!("/spec/{name}")).is_empty() {
            json::set(service, &["spec", name], default.into());
        }
    }
    if let Some(ports) = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut) {
        for port in ports {
            if text(port, "/protocol").is_empty() {
                json::set(port, &["protocol"], "TCP".into());
            }
            if port.get("targetPort").is_none() {
                let same = port.get("port").cloned().unwrap_or_default();
                json::set(port, &["targetPort"], same);
            }
        }
    }
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
    pod_of(replica_set, &json!({}))
}

/// A new pod of a job.
pub fn job_pod(job: &Value) -> Value {
    let (name, uid) = (text(job, "/metadata/name"), text(job, "/metadata/uid"));
    pod_of(
        job,
        &json!({
            "job-name": name, "controller-uid": uid,
            "batch.kubernetes.io/job-name": name, "batch.kubernetes.io/controller-uid": uid,
        }),
    )
}

fn pod_of(parent: &Value, more_labels: &Value) -> Value {
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
    begin_pod(&mut pod);
    pod
}

/// Fills in what the API server gives a new pod.
pub fn begin_pod(pod: &mut Value) {
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
pub fn move_pod(pod: &mut Value, stage: Stage, reason: &str, at: &str) {
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
            .map(|(kind, holds)| pod_condition(pod, kind, holds, at))
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
pub fn finish_pod(pod: &mut Value, code: i32, at: &str) {
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
            .map(|(kind, holds)| pod_condition(pod, kind, holds, at))
            .into();
    json::set(pod, &["status", "conditions"], conditions.into());
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

/// As the API server ends generated names.
pub fn random_name(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| safe(rng.random_range(0..SAFE.len()))).collect()
}

/// The reference to `object` in what it owns.
pub fn owner(object: &Value) -> Value {
    json!({
        "apiVersion": text(object, "/apiVersion"), "kind": text(object, "/kind"), "name": text(object, "/metadata/name"),
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
