//! The resources the simulated API server knows, and the discovery documents that say so.

use serde_json::{Value, json};

/// A stored resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    Namespace,
    Secret,
    Pod,
    Event,
    Deployment,
    ReplicaSet,
    Hpa,
}

use Resource::{Deployment, Event, Hpa, Namespace, Pod, ReplicaSet, Secret};

const READ: &[&str] = &["get", "list", "watch"];
const EDIT: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const KILL: &[&str] = &["delete", "get", "list", "watch"];

impl Resource {
    pub const ALL: [Resource; 7] = [Namespace, Secret, Pod, Event, Deployment, ReplicaSet, Hpa];

    /// "" is the core group.
    pub fn group(self) -> &'static str {
        match self {
            Namespace | Secret | Pod | Event => "",
            Deployment | ReplicaSet => "apps",
            Hpa => "autoscaling",
        }
    }

    pub fn version(self) -> &'static str {
        if self == Hpa { "v2" } else { "v1" }
    }

    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Namespace => "Namespace",
            Secret => "Secret",
            Pod => "Pod",
            Event => "Event",
            Deployment => "Deployment",
            ReplicaSet => "ReplicaSet",
            Hpa => "HorizontalPodAutoscaler",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Namespace => "namespaces",
            Secret => "secrets",
            Pod => "pods",
            Event => "events",
            Deployment => "deployments",
            ReplicaSet => "replicasets",
            Hpa => "horizontalpodautoscalers",
        }
    }

    fn short(self) -> &'static [&'static str] {
        match self {
            Namespace => &["ns"],
            Secret => &[],
            Pod => &["po"],
            Event => &["ev"],
            Deployment => &["deploy"],
            ReplicaSet => &["rs"],
            Hpa => &["hpa"],
        }
    }

    pub fn namespaced(self) -> bool {
        self != Namespace
    }

    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Namespace | Event => READ,
            Pod | ReplicaSet => KILL,
            Secret | Deployment | Hpa => EDIT,
        }
    }

    /// True if a change of its `spec` is a new generation.
    pub fn has_generation(self) -> bool {
        matches!(self, Deployment | ReplicaSet)
    }

    /// Field selectors it understands, besides `metadata.name` and `metadata.namespace`.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Pod => &["spec.nodeName", "status.phase", "spec.restartPolicy"],
            Event => &[
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "reason",
                "type",
            ],
            Secret => &["type"],
            Namespace => &["status.phase"],
            Deployment | ReplicaSet | Hpa => &[],
        }
    }

    /// `deployments.apps`, `pods`: how messages call it.
    pub fn qualified(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    pub fn find(group: &str, version: &str, plural: &str) -> Option<Resource> {
        Resource::ALL
            .into_iter()
            .find(|r| r.group() == group && r.version() == version && r.plural() == plural)
    }
}

/// Group and version of what is served outside the core group.
const GROUPS: &[(&str, &str)] =
    &[("apps", "v1"), ("autoscaling", "v2"), ("authorization.k8s.io", "v1"), ("authentication.k8s.io", "v1")];

/// The discovery document at `path`, if it is one.
pub fn discovery(path: &[&str], address: &str) -> Option<Value> {
    match path {
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        })),
        ["api", "v1"] => Some(resources("", "v1")),
        ["apis"] => {
            let groups: Vec<Value> =
                GROUPS.iter().map(|(group, version)| api_group(group, version)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", group] => {
            let (group, version) = GROUPS.iter().find(|(known, _)| known == group)?;
            let mut document = api_group(group, version);
            super::json::set(&mut document, &["kind"], "APIGroup".into());
            super::json::set(&mut document, &["apiVersion"], "v1".into());
            Some(document)
        }
        ["apis", group, version] => {
            GROUPS.iter().find(|known| **known == (*group, *version))?;
            Some(resources(group, version))
        }
        _ => None,
    }
}

fn api_group(group: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

fn resources(group: &str, version: &str) -> Value {
    let mut found = Vec::new();
    for resource in Resource::ALL.into_iter().filter(|r| r.group() == group && r.version() == version) {
        let singular = resource.kind().to_lowercase();
        let mut entry = json!({
            "name": resource.plural(), "singularName": singular, "namespaced": resource.namespaced(),
            "kind": resource.kind(), "verbs": resource.verbs(),
        });
        if !resource.short().is_empty() {
            super::json::set(&mut entry, &["shortNames"], json!(resource.short()));
        }
        if matches!(resource, Pod | Deployment | ReplicaSet | Hpa) {
            super::json::set(&mut entry, &["categories"], json!(["all"]));
        }
        found.push(entry);
        if resource == Deployment {
            found.push(json!({
                "name": "deployments/scale", "singularName": "", "namespaced": true, "group": "autoscaling",
                "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"],
            }));
            found.push(json!({
                "name": "deployments/status", "singularName": "", "namespaced": true, "kind": "Deployment",
                "verbs": ["get"],
            }));
        }
    }
    for (name, kind) in reviews(group) {
        found.push(json!({
            "name": name, "singularName": "", "namespaced": false, "kind": kind, "verbs": ["create"],
        }));
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found,
    })
}

fn reviews(group: &str) -> &'static [(&'static str, &'static str)] {
    match group {
        "authorization.k8s.io" => &[
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
        ],
        "authentication.k8s.io" => &[("selfsubjectreviews", "SelfSubjectReview")],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_lists_what_is_served() {
        let apps = discovery(&["apis", "apps", "v1"], "").unwrap();
        let names: Vec<&str> =
            apps["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["deployments", "deployments/scale", "deployments/status", "replicasets"]);
        assert!(discovery(&["apis", "apps", "v1beta1"], "").is_none());
        assert_eq!(discovery(&["apis"], "").unwrap()["groups"].as_array().unwrap().len(), GROUPS.len());
        assert_eq!(Resource::find("apps", "v1", "deployments"), Some(Deployment));
        assert_eq!(Resource::find("apps", "v1", "pods"), None);
    }
}
