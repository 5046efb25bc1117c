//! Builds the objects of the cluster: namespaces, secrets, deployments and what the controllers make of them.

use chrono::Utc;
use rand::Rng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::json::{self, text};
use super::kinds::Resource;
use super::pod::{self, Stage};
use super::store::{self, Inner};
use super::{DeploymentSpec, HostSpec, SecretSpec};

/// Letters and digits of generated names: no vowels, so that no words come out.
const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

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
        let mut pod = pod::new(&set);
        pod::step(&mut pod, Stage::Ready, "", &at);
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
    fn a_replica_set_knows_its_template() {
        let mut value = deployment(&spec());
        let set = replica_set(&value, 1);
        assert!(same_template(&value, &set));
        json::set(&mut value, &["spec", "template", "metadata", "annotations", "x"], "y".into());
        assert!(!same_template(&value, &set));
        assert_ne!(replica_set(&value, 2).pointer("/metadata/name"), set.pointer("/metadata/name"));
    }
}
