//! How objects are written out: as they are, or as the `Table` that kubectl asks for to print columns.

use axum::body::Body;
use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::json::{int, list, text};
use super::kinds::Resource;
use super::route::{Options, Route};
use super::store::Object;

/// The form a client asked for.
#[derive(Debug, Clone)]
pub struct Format {
    /// Columns of the resource, when a table was asked for.
    table: Option<(Resource, Include)>,
    /// Autoscalers go out in their older version.
    legacy: bool,
    /// Column definitions go with the first table of a watch only.
    columns_sent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Include {
    None,
    Metadata,
    Object,
}

impl Format {
    pub fn of(headers: &HeaderMap, resource: Resource, route: &Route, options: &Options) -> Format {
        let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        let asked = accept.split(',').any(|kind| {
            ["as=Table", "v=v1", "g=meta.k8s.io"]
                .iter()
                .all(|part| kind.split(';').any(|given| given.trim() == *part))
        });
        let include = match options.get("includeObject") {
            "Object" => Include::Object,
            "None" => Include::None,
            _ => Include::Metadata,
        };
        let legacy = resource == Resource::Hpa && route.version == "v1";
        Format { table: asked.then_some((resource, include)), legacy, columns_sent: false }
    }

    fn text(&self, object: &Object) -> Bytes {
        if self.legacy {
            return Bytes::from(super::legacy::shown(&object.value).to_string());
        }
        object.json().clone()
    }

    /// One object.
    pub fn object(&self, object: &Object) -> Bytes {
        match self.table {
            None => self.text(object),
            Some((resource, include)) => {
                let version = text(&object.value, "/metadata/resourceVersion");
                let metadata = json!({"resourceVersion": version});
                let rows = vec![row(resource, include, &object.value)];
                Bytes::from(table(Some(resource), &metadata, rows).to_string())
            }
        }
    }

    /// A list with this `metadata`.
    pub fn list(&self, resource: Resource, metadata: &Value, items: &[std::sync::Arc<Object>]) -> Body {
        if let Some((resource, include)) = self.table {
            let rows = items.iter().map(|item| row(resource, include, &item.value)).collect();
            return Body::from(table(Some(resource), metadata, rows).to_string());
        }
        let items: Vec<Bytes> = items.iter().map(|item| self.text(item)).collect();
        let size: usize = items.iter().map(|item| item.len() + 1).sum();
        let mut text = Vec::with_capacity(size + 256);
        let head = format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
            resource.kind(),
            if self.legacy { "autoscaling/v1".to_owned() } else { resource.api_version() }
        );
        text.extend_from_slice(head.as_bytes());
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                text.push(b',');
            }
            text.extend_from_slice(item);
        }
        text.extend_from_slice(b"]}");
        Body::from(text)
    }

    /// Appends one watch event.
    pub fn event(&mut self, to: &mut Vec<u8>, kind: &str, object: &Object) {
        to.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
        match self.table {
            None => to.extend_from_slice(&self.text(object)),
            Some((resource, include)) => {
                let columns = (!self.columns_sent).then_some(resource);
                self.columns_sent = true;
                let version = text(&object.value, "/metadata/resourceVersion");
                let metadata = json!({"resourceVersion": version});
                let rows = vec![row(resource, include, &object.value)];
                to.extend_from_slice(table(columns, &metadata, rows).to_string().as_bytes());
            }
        }
        to.extend_from_slice(b"}\n");
    }

    /// A bookmark event at `revision`.
    pub fn bookmark(&self, resource: Resource, revision: u64) -> Bytes {
        let metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        let object = match self.table {
            Some(_) => table(None, &metadata, Vec::new()),
            None => {
                json!({"kind": resource.kind(), "apiVersion": resource.api_version(), "metadata": metadata})
            }
        };
        Bytes::from(format!("{}\n", json!({"type": "BOOKMARK", "object": object})))
    }
}

fn table(columns: Option<Resource>, metadata: &Value, rows: Vec<Value>) -> Value {
    let columns: Vec<Value> = columns
        .into_iter()
        .flat_map(columns_of)
        .map(|(name, wide)| {
            let format = if name == "Name" { "name" } else { "" };
            let (kind, priority) = (column_type(name), i32::from(wide));
            json!({"name": name, "type": kind, "format": format, "description": name, "priority": priority})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": columns, "rows": rows,
    })
}

fn column_type(name: &str) -> &'static str {
    match name {
        "Up-to-date" | "Available" | "Desired" | "Current" | "MinPods" | "MaxPods" | "Replicas" | "Data"
        | "Secrets" => "integer",
        _ => "string",
    }
}

/// Column names, and whether they show only with `-o wide`.
fn columns_of(resource: Resource) -> impl Iterator<Item = (&'static str, bool)> {
    let names = match resource {
        Resource::Namespace => "Name|Status|Age",
        Resource::Secret => "Name|Type|Data|Age",
        Resource::ConfigMap => "Name|Data|Age",
        Resource::ServiceAccount => "Name|Secrets|Age",
        Resource::Service => "Name|Type|Cluster-IP|External-IP|Port(s)|Age|+Selector",
        Resource::Ingress => "Name|Class|Hosts|Address|Ports|Age",
        Resource::Job => "Name|Status|Completions|Duration|Age|+Containers|+Images|+Selector",
        Resource::Pod => "Name|Ready|Status|Restarts|Age|+IP|+Node",
        Resource::Event => "Last Seen|Type|Reason|Object|Message",
        Resource::Deployment => "Name|Ready|Up-to-date|Available|Age|+Containers|+Images|+Selector",
        Resource::ReplicaSet => "Name|Desired|Current|Ready|Age",
        Resource::Hpa => "Name|Reference|Targets|MinPods|MaxPods|Replicas|Age",
    };
    names.split('|').map(|name| name.strip_prefix('+').map_or((name, false), |name| (name, true)))
}

fn row(resource: Resource, include: Include, value: &Value) -> Value {
    let object = match include {
        Include::None => Value::Null,
        Include::Object => value.clone(),
        Include::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": value.get("metadata").cloned().unwrap_or_default(),
        }),
    };
    json!({"cells": cells(resource, value), "object": object})
}

fn cells(resource: Resource, value: &Value) -> Value {
    let name = text(value, "/metadata/name");
    let age = age(text(value, "/metadata/creationTimestamp"));
    match resource {
        Resource::Namespace => json!([name, text(value, "/status/phase"), age]),
        Resource::Secret => {
            let count = value.get("data").and_then(Value::as_object).map_or(0, serde_json::Map::len);
            json!([name, text(value, "/type"), count, age])
        }
        Resource::ConfigMap => {
            let size =
                |part: &str| value.get(part).and_then(Value::as_object).map_or(0, serde_json::Map::len);
            json!([name, size("data") + size("binaryData"), age])
        }
        Resource::ServiceAccount => json!([name, list(value, "/secrets").len(), age]),
        Resource::Service => service_cells(name, age, value),
        Resource::Ingress => ingress_cells(name, age, value),
        Resource::Job => job_cells(name, age, value),
        Resource::Pod => pod_cells(name, age, value),
        Resource::Event => event_cells(value),
        Resource::Deployment => {
            let ready = format!("{}/{}", int(value, "/status/readyReplicas"), int(value, "/spec/replicas"));
            let (updated, available) =
                (int(value, "/status/updatedReplicas"), int(value, "/status/availableReplicas"));
            let [container, image, selector] = template(value);
            json!([name, ready, updated, available, age, container, image, selector])
        }
        Resource::ReplicaSet => json!([
            name,
            int(value, "/spec/replicas"),
            int(value, "/status/replicas"),
            int(value, "/status/readyReplicas"),
            age,
        ]),
        Resource::Hpa => {
            let target = text(value, "/spec/scaleTargetRef/name");
            let percent = int(value, "/spec/metrics/0/resource/target/averageUtilization");
            json!([
                name,
                format!("Deployment/{target}"),
                format!("cpu: <unknown>/{percent}%"),
                int(value, "/spec/minReplicas"),
                int(value, "/spec/maxReplicas"),
                int(value, "/status/currentReplicas"),
                age,
            ])
        }
    }
}

fn service_cells(name: &str, age: String, value: &Value) -> Value {
    let ports: Vec<String> = list(value, "/spec/ports")
        .iter()
        .map(|port| format!("{}/{}", int(port, "/port"), text(port, "/protocol")))
        .collect();
    json!([
        name,
        text(value, "/spec/type"),
        or_none(text(value, "/spec/clusterIP")),
        "<none>",
        ports.join(","),
        age,
        pairs(value.pointer("/spec/selector")),
    ])
}

fn ingress_cells(name: &str, age: String, value: &Value) -> Value {
    let hosts: Vec<&str> = list(value, "/spec/rules").iter().map(|rule| text(rule, "/host")).collect();
    let ports = if list(value, "/spec/tls").is_empty() { "80" } else { "80, 443" };
    json!([
        name,
        or_none(text(value, "/spec/ingressClassName")),
        if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") },
        text(value, "/status/loadBalancer/ingress/0/ip"),
        ports,
        age,
    ])
}

fn pod_cells(name: &str, age: String, value: &Value) -> Value {
    let containers = list(value, "/spec/containers").len();
    let statuses = list(value, "/status/containerStatuses");
    let ready = statuses.iter().filter(|s| s.get("ready") == Some(&Value::Bool(true))).count();
    let restarts: i64 = statuses.iter().map(|s| int(s, "/restartCount")).sum();
    json!([
        name,
        format!("{ready}/{containers}"),
        pod_status(value),
        restarts.to_string(),
        age,
        or_none(text(value, "/status/podIP")),
        or_none(text(value, "/spec/nodeName")),
    ])
}

fn event_cells(value: &Value) -> Value {
    let about = format!(
        "{}/{}",
        text(value, "/involvedObject/kind").to_lowercase(),
        text(value, "/involvedObject/name")
    );
    let seen = self::age(text(value, "/lastTimestamp"));
    json!([seen, text(value, "/type"), text(value, "/reason"), about, text(value, "/message")])
}

fn job_cells(name: &str, age: String, job: &Value) -> Value {
    let done = |kind: &str| {
        list(job, "/status/conditions")
            .iter()
            .any(|c| text(c, "/type") == kind && text(c, "/status") == "True")
    };
    let status = match () {
        () if done("Complete") => "Complete",
        () if done("Failed") => "Failed",
        () => "Running",
    };
    let completions = job.pointer("/spec/completions").and_then(Value::as_i64).unwrap_or(1);
    let began = DateTime::parse_from_rfc3339(text(job, "/status/startTime"));
    let ended = DateTime::parse_from_rfc3339(text(job, "/status/completionTime"));
    let duration = match (began, ended) {
        (Ok(began), Ok(ended)) => span((ended - began).num_seconds()),
        (Ok(_), Err(_)) => self::age(text(job, "/status/startTime")),
        _ => String::new(),
    };
    let [container, image, selector] = template(job);
    let completed = format!("{}/{completions}", int(job, "/status/succeeded"));
    json!([name, status, completed, duration, age, container, image, selector])
}

/// Container, image and selector of what has a pod template.
fn template(value: &Value) -> [String; 3] {
    let container = "/spec/template/spec/containers/0";
    let part = |name: &str| text(value, &format!("{container}/{name}")).to_owned();
    [part("name"), part("image"), pairs(value.pointer("/spec/selector/matchLabels"))]
}

fn pairs(labels: Option<&Value>) -> String {
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let pairs: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    or_none(&pairs.join(",")).to_owned()
}

fn pod_status(pod: &Value) -> &str {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return "Terminating";
    }
    let state = "/status/containerStatuses/0/state";
    let waiting = text(pod, &format!("{state}/waiting/reason"));
    let ended = text(pod, &format!("{state}/terminated/reason"));
    match (text(pod, "/status/reason"), waiting, ended) {
        ("", "", "") => text(pod, "/status/phase"),
        ("", "", reason) | ("", reason, _) | (reason, _, _) => reason,
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// An age as kubectl shows it.
fn age(since: &str) -> String {
    let Ok(since) = DateTime::parse_from_rfc3339(since) else { return "<unknown>".to_owned() };
    span((Utc::now() - since.with_timezone(&Utc)).num_seconds())
}

/// So many seconds as kubectl shows them.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 && seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 && minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 && hours % 24 > 0 => format!("{days}d{}h", hours % 24),
        () => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    #[test]
    fn ages_read_as_kubectl_shows_them() {
        for (seconds, shown) in
            [(5, "5s"), (130, "2m10s"), (700, "11m"), (4 * 3_600, "4h"), (90_000, "25h"), (864_000, "10d")]
        {
            assert_eq!(age(&super::super::json::time(Utc::now() - Duration::seconds(seconds))), shown);
        }
        assert_eq!(age(""), "<unknown>");
    }

    #[test]
    fn cells_fit_columns() {
        for resource in Resource::ALL {
            assert_eq!(
                cells(resource, &json!({})).as_array().unwrap().len(),
                columns_of(resource).count(),
                "{resource:?}"
            );
        }
    }
}
