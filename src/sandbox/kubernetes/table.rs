//! How objects are written out: as they are, or as the `Table` that kubectl asks for to print columns.

use axum::body::Body;
use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::json::{int, list, text};
use super::kinds::Resource;
use super::route::Options;
use super::store::Object;

/// The form a client asked for.
#[derive(Debug, Clone)]
pub struct Format {
    /// Columns of the resource, when a table was asked for.
    table: Option<(Resource, Include)>,
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
    pub fn of(headers: &HeaderMap, resource: Resource, options: &Options) -> Format {
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
        Format { table: asked.then_some((resource, include)), columns_sent: false }
    }

    /// One object.
    pub fn object(&self, object: &Object) -> Bytes {
        match self.table {
            None => object.json().clone(),
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
        let size: usize = items.iter().map(|item| item.json().len() + 1).sum();
        let mut text = Vec::with_capacity(size + 256);
        let head = format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
            resource.kind(),
            resource.api_version()
        );
        text.extend_from_slice(head.as_bytes());
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                text.push(b',');
            }
            text.extend_from_slice(item.json());
        }
        text.extend_from_slice(b"]}");
        Body::from(text)
    }

    /// Appends one watch event.
    pub fn event(&mut self, to: &mut Vec<u8>, kind: &str, object: &Object) {
        to.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
        match self.table {
            None => to.extend_from_slice(object.json()),
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
            let format = if *name == "Name" { "name" } else { "" };
            let (kind, priority) = (column_type(name), i32::from(*wide));
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
        "Up-to-date" | "Available" | "Desired" | "Current" | "MinPods" | "MaxPods" | "Replicas" | "Data" => {
            "integer"
        }
        _ => "string",
    }
}

/// Column names, and whether they show only with `-o wide`.
fn columns_of(resource: Resource) -> &'static [(&'static str, bool)] {
    match resource {
        Resource::Namespace => &[("Name", false), ("Status", false), ("Age", false)],
        Resource::Secret => &[("Name", false), ("Type", false), ("Data", false), ("Age", false)],
        Resource::Pod => &[
            ("Name", false),
            ("Ready", false),
            ("Status", false),
            ("Restarts", false),
            ("Age", false),
            ("IP", true),
            ("Node", true),
        ],
        Resource::Event => {
            &[("Last Seen", false), ("Type", false), ("Reason", false), ("Object", false), ("Message", false)]
        }
        Resource::Deployment => &[
            ("Name", false),
            ("Ready", false),
            ("Up-to-date", false),
            ("Available", false),
            ("Age", false),
            ("Images", true),
        ],
        Resource::ReplicaSet => {
            &[("Name", false), ("Desired", false), ("Current", false), ("Ready", false), ("Age", false)]
        }
        Resource::Hpa => &[
            ("Name", false),
            ("Reference", false),
            ("Targets", false),
            ("MinPods", false),
            ("MaxPods", false),
            ("Replicas", false),
            ("Age", false),
        ],
    }
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
        Resource::Pod => {
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
        Resource::Event => {
            let about = format!(
                "{}/{}",
                text(value, "/involvedObject/kind").to_lowercase(),
                text(value, "/involvedObject/name")
            );
            let seen = self::age(text(value, "/lastTimestamp"));
            json!([seen, text(value, "/type"), text(value, "/reason"), about, text(value, "/message")])
        }
        Resource::Deployment => {
            let ready = format!("{}/{}", int(value, "/status/readyReplicas"), int(value, "/spec/replicas"));
            let (updated, available) =
                (int(value, "/status/updatedReplicas"), int(value, "/status/availableReplicas"));
            let image = text(value, "/spec/template/spec/containers/0/image");
            json!([name, ready, updated, available, age, image])
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

fn pod_status(pod: &Value) -> &str {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return "Terminating";
    }
    match text(pod, "/status/containerStatuses/0/state/waiting/reason") {
        "" => text(pod, "/status/phase"),
        reason => reason,
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// An age as kubectl shows it.
fn age(since: &str) -> String {
    let Ok(since) = DateTime::parse_from_rfc3339(since) else { return "<unknown>".to_owned() };
    let seconds = (Utc::now() - since.with_timezone(&Utc)).num_seconds().max(0);
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
                columns_of(resource).len(),
                "{resource:?}"
            );
        }
    }
}
