//! Maintenance mode as the platform has it: objects in the cluster. The page is a deployment with a service; the service's
//! ingress is led to it, and a temporary ingress leads those who work on it to the service.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sandbox::estate::{HOST, NAMESPACE, WEB};
use crate::sandbox::kubernetes::{Cluster, Resource};

/// Name of the page's deployment and service.
pub const MAINTENANCE: &str = "refer-serious-misconduct-maintenance";
/// The image that is the page.
pub const IMAGE: &str = "ghcr.io/dfe-digital/refer-serious-misconduct-maintenance";
/// The host of the temporary address, without the environment, as the platform makes it.
pub const TEMPORARY_HOST: &str = "refer-serious-misconduct-temp.teacherservices.cloud";
/// The page's own address.
const MAINTENANCE_HOST: &str = "refer-serious-misconduct-maintenance.teacherservices.cloud";
/// Pods of the page.
const REPLICAS: usize = 2;
/// Longest wait for the page's pods.
const PATIENCE: Duration = Duration::from_secs(60);

/// What users see meanwhile.
pub const PAGE: &str = "<!doctype html>\n<html lang=\"en\"><head><title>Sorry, the service is unavailable - Refer \
    serious misconduct by a teacher</title></head>\n<body><h1>Sorry, the service is unavailable</h1>\n<p>You will be able to \
    use the service later.</p>\n<p>We are working on it. Answers that you saved before are kept.</p></body></html>\n";

/// Puts the page in front of the service. `log` gets kubectl's words.
///
/// # Errors
/// The cluster refuses, or the page does not get ready; the service's ingress is then where it was.
pub async fn fail_over(cluster: &Cluster, log: &(dyn Fn(&str) + Sync)) -> Result<(), String> {
    apply(cluster, Resource::Deployment, &deployment(), log)?;
    apply(cluster, Resource::Service, &service(), log)?;
    apply(cluster, Resource::Ingress, &ingress(MAINTENANCE_HOST, MAINTENANCE), log)?;
    let ready = async {
        let mut ready = cluster.ready_replicas(NAMESPACE, MAINTENANCE);
        while ready < REPLICAS {
            ready = cluster.ready_changed(NAMESPACE, MAINTENANCE, ready).await;
        }
    };
    if tokio::time::timeout(PATIENCE, ready).await.is_err() {
        return Err("error: timed out waiting for the condition".into());
    }
    log(&format!("deployment \"{MAINTENANCE}\" successfully rolled out"));
    apply(cluster, Resource::Ingress, &ingress(HOST, MAINTENANCE), log)?;
    apply(cluster, Resource::Ingress, &ingress(TEMPORARY_HOST, WEB), log)
}

/// Leads the ingress back to the service and takes away what the page needed.
///
/// # Errors
/// The cluster refuses.
pub fn fail_back(cluster: &Cluster, log: &(dyn Fn(&str) + Sync)) -> Result<(), String> {
    apply(cluster, Resource::Ingress, &ingress(HOST, WEB), log)?;
    for (resource, name) in [
        (Resource::Ingress, TEMPORARY_HOST),
        (Resource::Ingress, MAINTENANCE_HOST),
        (Resource::Service, MAINTENANCE),
        (Resource::Deployment, MAINTENANCE),
    ] {
        // As with --ignore-not-found.
        if cluster.remove(resource, NAMESPACE, name) {
            log(&format!("{} \"{name}\" deleted", kind(resource)));
        }
    }
    Ok(())
}

/// What a deployment does: terraform knows one place for the ingress to lead, whatever was done by hand. True if it had
/// to be changed.
///
/// # Errors
/// The cluster refuses.
pub fn put_back(cluster: &Cluster) -> Result<bool, String> {
    Ok(cluster.apply(Resource::Ingress, NAMESPACE, &ingress(HOST, WEB))? != "unchanged")
}

fn apply(
    cluster: &Cluster,
    resource: Resource,
    value: &Value,
    log: &(dyn Fn(&str) + Sync),
) -> Result<(), String> {
    let done = cluster.apply(resource, NAMESPACE, value)?;
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    log(&format!("{}/{name} {done}", kind(resource)));
    Ok(())
}

/// As kubectl calls it.
fn kind(resource: Resource) -> String {
    match resource.group() {
        "" => resource.kind().to_lowercase(),
        group => format!("{}.{group}", resource.kind().to_lowercase()),
    }
}

fn deployment() -> Value {
    let labels = json!({"app": MAINTENANCE});
    json!({
        "metadata": {"name": MAINTENANCE, "labels": labels},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{
                "name": MAINTENANCE, "image": format!("{IMAGE}:main"), "ports": [{"containerPort": 8080}],
                "resources": {"limits": {"cpu": "100m", "memory": "50Mi"}, "requests": {"cpu": "10m", "memory": "50Mi"}},
            }]}},
        },
    })
}

fn service() -> Value {
    json!({
        "metadata": {"name": MAINTENANCE},
        "spec": {
            "type": "ClusterIP", "selector": {"app": MAINTENANCE},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    })
}

/// Ingresses are called as their hosts.
fn ingress(host: &str, service: &str) -> Value {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    json!({
        "metadata": {"name": host},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": host, "http": {"paths": [
                {"path": "/", "pathType": "ImplementationSpecific", "backend": backend}]}}],
        },
    })
}
