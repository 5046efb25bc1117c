//! The few fields of Kubernetes objects that the cockpit shows. Everything else on the wire is skipped while parsing, so
//! that thousands of pods cost little memory.

use serde::Deserialize;

use super::merge::{PodRow, Thing};
use crate::domain::{Hpa, text};

/// Longest name Kubernetes allows.
const NAME_MAX: usize = 253;
/// Longest reason that is kept.
const REASON_MAX: usize = 60;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub name: String,
    pub resource_version: String,
    labels: Labels,
    owner_references: Vec<Owner>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "pod-template-hash")]
    template: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
    name: String,
    controller: Option<bool>,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub metadata: PageMeta,
    /// `null` for none in some versions.
    pub items: Option<Vec<T>>,
    /// Must end in `List`: an answer of something else must not read as "all gone".
    pub kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageMeta {
    pub resource_version: String,
    #[serde(default, rename = "continue")]
    pub more: Option<String>,
}

/// An object as listed and watched.
pub trait Lean: serde::de::DeserializeOwned + Clone + Send + 'static {
    fn version(&self) -> &str;
    /// What it is to the cockpit; `None` if nothing.
    fn thing(self) -> Option<Thing>;
}

#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    metadata: Meta,
    #[serde(default)]
    spec: DeploymentSpec,
    #[serde(default)]
    status: DeploymentStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct DeploymentSpec {
    replicas: Option<i32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeploymentStatus {
    replicas: i32,
    ready_replicas: i32,
    updated_replicas: i32,
    available_replicas: i32,
}

impl Lean for Deployment {
    fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    fn thing(self) -> Option<Thing> {
        Some(Thing::Deployment(super::merge::DeploymentRow {
            name: safe_name(&self.metadata.name),
            wanted: self.spec.replicas.unwrap_or(1),
            ready: self.status.ready_replicas,
            updated: self.status.updated_replicas,
            available: self.status.available_replicas,
            total: self.status.replicas,
        }))
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Pod {
    metadata: Meta,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    container_statuses: Vec<Container>,
    init_container_statuses: Vec<Container>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    restart_count: i32,
    state: State,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
}

impl Lean for Pod {
    fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    fn thing(self) -> Option<Thing> {
        let deployment = owner(&self.metadata)?;
        let containers = || self.status.container_statuses.iter().chain(&self.status.init_container_statuses);
        let unscheduled = self
            .status
            .conditions
            .iter()
            .filter(|c| c.kind == "PodScheduled" && c.status == "False")
            .map(|c| c.reason.as_str());
        let waiting = containers()
            .filter_map(|c| c.state.waiting.as_ref())
            .map(|w| w.reason.as_str())
            .chain(unscheduled)
            .filter(|r| !r.is_empty())
            .map(|r| text::fit(&text::clean(r), REASON_MAX))
            .collect();
        let restarts = containers().map(|c| c.restart_count.max(0)).fold(0_i32, i32::saturating_add);
        Some(Thing::Pod {
            deployment,
            name: safe_name(&self.metadata.name),
            row: PodRow { restarts, waiting },
        })
    }
}

/// The deployment that owns a pod: its replica set is called `<deployment>-<template hash>`.
fn owner(meta: &Meta) -> Option<String> {
    let set = meta.owner_references.iter().find(|o| o.controller == Some(true) && o.kind == "ReplicaSet")?;
    let by_label = meta
        .labels
        .template
        .as_deref()
        .and_then(|hash| set.name.strip_suffix(hash))
        .and_then(|name| name.strip_suffix('-'));
    let name = by_label.or_else(|| set.name.rsplit_once('-').map(|(name, _)| name))?;
    Some(safe_name(name))
}

#[derive(Debug, Clone, Deserialize)]
pub struct Autoscaler {
    metadata: Meta,
    #[serde(default)]
    spec: AutoscalerSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AutoscalerSpec {
    scale_target_ref: ScaleTarget,
    min_replicas: Option<i32>,
    max_replicas: i32,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ScaleTarget {
    kind: String,
    name: String,
}

impl Lean for Autoscaler {
    fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    fn thing(self) -> Option<Thing> {
        let target = self.spec.scale_target_ref;
        let name = safe_name(&self.metadata.name);
        let deployment = (target.kind == "Deployment").then(|| safe_name(&target.name));
        Some(Thing::Autoscaler {
            hpa: Hpa {
                name: name.clone(),
                min: self.spec.min_replicas.unwrap_or(1),
                max: self.spec.max_replicas,
            },
            name,
            deployment,
        })
    }
}

/// The name as it may be drawn. One that Kubernetes would not allow is marked, so that it can never pass for another.
pub fn safe_name(name: &str) -> String {
    let clean = text::fit(&text::clean(name), NAME_MAX);
    if clean == name { clean } else { format!("{clean}\u{fffd}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: Lean>(json: serde_json::Value) -> Option<Thing> {
        serde_json::from_value::<T>(json).unwrap().thing()
    }

    #[test]
    fn absent_fields_mean_what_kubernetes_means() {
        let thing = parse::<Deployment>(serde_json::json!({"metadata": {"name": "web"}, "status": {}}));
        let Some(Thing::Deployment(row)) = thing else { panic!("no deployment") };
        assert_eq!((row.wanted, row.ready, row.total), (1, 0, 0));
        let thing = parse::<Deployment>(serde_json::json!({
            "metadata": {"name": "web", "managedFields": [{"x": 1}], "labels": {"app": "web"}},
            "spec": {"replicas": 0, "template": {}},
        }));
        assert!(matches!(thing, Some(Thing::Deployment(row)) if row.wanted == 0));
    }

    #[test]
    fn a_pod_is_traced_to_its_deployment() {
        let pod = |label: Option<&str>, kind: &str| {
            parse::<Pod>(serde_json::json!({
                "metadata": {
                    "name": "a-b-66f-xyz",
                    "labels": {"pod-template-hash": label},
                    "ownerReferences": [{"kind": kind, "name": "a-b-66f", "controller": true}],
                },
                "status": {
                    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
                    "containerStatuses": [
                        {"restartCount": 3, "state": {"waiting": {"reason": "Crash\u{1b}[31mLoopBackOff"}}},
                        {"restartCount": 1, "state": {"running": {}}},
                    ],
                },
            }))
        };
        for label in [Some("66f"), None] {
            let Some(Thing::Pod { deployment, row, .. }) = pod(label, "ReplicaSet") else { panic!("no pod") };
            assert_eq!(deployment, "a-b");
            assert_eq!(row.restarts, 4);
            assert_eq!(row.waiting, ["CrashLoopBackOff", "Unschedulable"]);
        }
        assert!(pod(None, "Job").is_none());
    }

    #[test]
    fn an_impossible_name_cannot_pass_for_another() {
        assert_eq!(safe_name("web"), "web");
        assert_eq!(safe_name("web\u{1b}[31m"), "web\u{fffd}");
        let wide = safe_name(&"界".repeat(300));
        assert!(unicode_width::UnicodeWidthStr::width(wide.as_str()) <= NAME_MAX + 1);
    }
}
