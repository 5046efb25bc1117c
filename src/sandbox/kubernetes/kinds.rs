//! The resources the simulated API server knows, and the discovery documents that say so.

use serde_json::{Value, json};

/// A stored resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    Namespace,
    Secret,
    ConfigMap,
    Service,
    ServiceAccount,
    Pod,
    Event,
    Deployment,
    ReplicaSet,
    Job,
    Ingress,
    Hpa,
}

use Resource::{
    ConfigMap, Deployment, Event, Hpa, Ingress, Job, Namespace, Pod, ReplicaSet, Secret, Service,
    ServiceAccount,
};

const READ: &[&str] = &["get", "list", "watch"];
const EDIT: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const KILL: &[&str] = &["delete", "deletecollection", "get", "list", "watch"];

impl Resource {
    pub const ALL: [Resource; 12] = [
        Namespace,
        Secret,
        ConfigMap,
        Service,
        ServiceAccount,
        Pod,
        Event,
        Deployment,
        ReplicaSet,
        Job,
        Ingress,
        Hpa,
    ];

    /// "" is the core group.
    pub fn group(self) -> &'static str {
        match self {
            Namespace | Secret | ConfigMap | Service | ServiceAccount | Pod | Event => "",
            Deployment | ReplicaSet => "apps",
            Job => "batch",
            Ingress => "networking.k8s.io",
            Hpa => "autoscaling",
        }
    }

    /// The version it is stored in; autoscalers are served in `v1` as well.
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
            ConfigMap => "ConfigMap",
            Service => "Service",
            ServiceAccount => "ServiceAccount",
            Pod => "Pod",
            Event => "Event",
            Deployment => "Deployment",
            ReplicaSet => "ReplicaSet",
            Job => "Job",
            Ingress => "Ingress",
            Hpa => "HorizontalPodAutoscaler",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Namespace => "namespaces",
            Secret => "secrets",
            ConfigMap => "configmaps",
            Service => "services",
            ServiceAccount => "serviceaccounts",
            Pod => "pods",
            Event => "events",
            Deployment => "deployments",
            ReplicaSet => "replicasets",
            Job => "jobs",
            Ingress => "ingresses",
            Hpa => "horizontalpodautoscalers",
        }
    }

    fn short(self) -> &'static [&'static str] {
        match self {
            Namespace => &["ns"],
            Secret | Job => &[],
            ConfigMap => &["cm"],
            Service => &["svc"],
            ServiceAccount => &["sa"],
            Pod => &["po"],
            Event => &["ev"],
            Deployment => &["deploy"],
            ReplicaSet => &["rs"],
            Ingress => &["ing"],
            Hpa => &["hpa"],
        }
    }

    /// Parts of a resource that are requests of their own: name, kind and verbs.
    pub fn subresources(self) -> &'static [(&'static str, &'static str, &'static [&'static str])] {
        match self {
            Pod => &[
                ("attach", "PodAttachOptions", &["create", "get"]),
                ("exec", "PodExecOptions", &["create", "get"]),
                ("log", "Pod", &["get"]),
                ("portforward", "PodPortForwardOptions", &["create", "get"]),
                ("status", "Pod", &["get"]),
            ],
            Deployment => {
                &[("scale", "Scale", &["get", "patch", "update"]), ("status", "Deployment", &["get"])]
            }
            _ => &[],
        }
    }

    pub fn namespaced(self) -> bool {
        self != Namespace
    }

    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Namespace | Event => READ,
            ReplicaSet => KILL,
            Secret | ConfigMap | Service | ServiceAccount | Pod | Deployment | Job | Ingress | Hpa => EDIT,
        }
    }

    /// True if a change of its `spec` is a new generation.
    pub fn has_generation(self) -> bool {
        matches!(self, Deployment | ReplicaSet | Job | Ingress)
    }

    /// Field selectors it understands, besides `metadata.name` and `metadata.namespace`.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Pod => &["spec.nodeName", "status.phase", "spec.restartPolicy", "status.podIP"],
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
            Job => &["status.successful"],
            _ => &[],
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
        Resource::ALL.into_iter().find(|r| r.group() == group && r.plural() == plural && r.served(version))
    }

    pub fn served(self, version: &str) -> bool {
        version == self.version() || (self == Hpa && version == "v1")
    }
}

/// Group and version of what is served outside the core group.
const GROUPS: &[(&str, &[&str])] = &[
    ("apps", &["v1"]),
    ("autoscaling", &["v2", "v1"]),
    ("batch", &["v1"]),
    ("networking.k8s.io", &["v1"]),
    ("authorization.k8s.io", &["v1"]),
    ("authentication.k8s.io", &["v1"]),
];

/// Every group and version that is served, the core group's first.
pub fn group_versions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let others =
        GROUPS.iter().flat_map(|(group, versions)| versions.iter().map(|version| (*group, *version)));
    std::iter::once(("", "v1")).chain(others)
}

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
                GROUPS.iter().map(|(group, versions)| api_group(group, versions)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", group] => {
            let (group, versions) = GROUPS.iter().find(|(known, _)| known == group)?;
            let mut document = api_group(group, versions);
            super::json::set(&mut document, &["kind"], "APIGroup".into());
            super::json::set(&mut document, &["apiVersion"], "v1".into());
            Some(document)
        }
        ["apis", group, version] => {
            group_versions().skip(1).find(|known| *known == (*group, *version))?;
            Some(resources(group, version))
        }
        _ => None,
    }
}

fn api_group(group: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

fn resources(group: &str, version: &str) -> Value {
    let mut found = Vec::new();
    for resource in Resource::ALL.into_iter().filter(|r| r.group() == group && r.served(version)) {
        let singular = resource.kind().to_lowercase();
        let mut entry = json!({
            "name": resource.plural(), "singularName": singular, "namespaced": resource.namespaced(),
            "kind": resource.kind(), "verbs": resource.verbs(),
        });
        if !resource.short().is_empty() {
            super::json::set(&mut entry, &["shortNames"], json!(resource.short()));
        }
        if matches!(resource, Pod | Service | Deployment | ReplicaSet | Job | Hpa) {
            super::json::set(&mut entry, &["categories"], json!(["all"]));
        }
        found.push(entry);
        for (name, kind, verbs) in resource.subresources() {
            let mut entry = json!({
                "name": format!("{}/{name}", resource.plural()), "singularName": "", "namespaced": true,
                "kind": kind, "verbs": verbs,
            });
            if *kind == "Scale" {
                super::json::set(&mut entry, &["group"], "autoscaling".into());
                super::json::set(&mut entry, &["version"], "v1".into());
            }
            found.push(entry);
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
