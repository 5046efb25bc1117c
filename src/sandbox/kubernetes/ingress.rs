//! Where the cluster's ingresses lead: from a public host, by its rule and its service, to a ready pod. And what the
//! pipelines do to objects, who are users like any other.

use hyper::body::Bytes;
use serde_json::Value;

use super::json::{self, text};
use super::kinds::Resource;
use super::route::{Options, Route};
use super::store::Inner;
use super::write::Change;
use super::{Cluster, pod};

/// What an ingress does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    /// No ingress knows the host.
    Nowhere,
    /// Its service is missing or has no ready pod.
    Nobody,
    /// To a pod that runs this image.
    Pod { image: String },
}

impl Cluster {
    /// Where a request for `path` of `host` (without port) goes, by the ingresses of `namespace`.
    pub fn lead(&self, namespace: &str, host: &str, path: &str) -> Lead {
        self.store.read(|inner| {
            let Some(backend) = backend(inner, namespace, host, path) else { return Lead::Nowhere };
            pod_behind(inner, namespace, backend)
                .map_or(Lead::Nobody, |pod| Lead::Pod { image: text(pod, "/spec/containers/0/image").into() })
        })
    }

    /// An object as it is stored.
    pub fn object(&self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        self.store.read(|inner| inner.get(resource, namespace, name).map(|object| object.value.clone()))
    }

    /// Creates an object, or replaces its `spec`, as `kubectl apply` would; gives kubectl's word for it.
    ///
    /// # Errors
    /// What the API server would say against it.
    pub fn apply(&self, resource: Resource, namespace: &str, value: &Value) -> Result<&'static str, String> {
        let name = text(value, "/metadata/name");
        self.store.write(|inner| {
            let Some(before) = inner.get(resource, namespace, name).map(|object| object.value.clone()) else {
                return change(inner, "create", resource, namespace, name, value).map(|_| "created");
            };
            let mut wanted = before.clone();
            json::set(&mut wanted, &["spec"], value.get("spec").cloned().unwrap_or_default());
            let after = change(inner, "update", resource, namespace, name, &wanted)?;
            Ok(if after == before { "unchanged" } else { "configured" })
        })
    }

    /// Deletes an object with what it owns; false when there is none.
    pub fn remove(&self, resource: Resource, namespace: &str, name: &str) -> bool {
        self.store.write(|inner| change(inner, "delete", resource, namespace, name, &Value::Null)).is_ok()
    }
}

/// Makes a change with all the checks of the API server.
fn change(
    inner: &mut Inner,
    verb: &str,
    resource: Resource,
    namespace: &str,
    name: &str,
    body: &Value,
) -> Result<Value, String> {
    let route = Route {
        group: resource.group().into(),
        version: resource.version().into(),
        plural: resource.plural().into(),
        namespace: Some(namespace.into()),
        name: Some(name.into()),
        subresource: None,
    };
    let change = Change {
        resource,
        route: &route,
        options: &Options::default(),
        scale: false,
        content_type: "application/json".into(),
        body: if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) },
    };
    let done = change.apply(inner, verb);
    done.map(|(_, value)| value).map_err(|refusal| text(&refusal.status, "/message").to_owned())
}

/// The backend of the rule for `host` whose path takes `path` best. Where several ingresses know the host, the oldest is
/// the one that nginx listens to.
fn backend<'a>(inner: &'a Inner, namespace: &'a str, host: &str, path: &str) -> Option<&'a Value> {
    let mut ingresses: Vec<&Value> =
        inner.all(Resource::Ingress, Some(namespace)).map(|(_, object)| &object.value).collect();
    ingresses.sort_by_key(|ingress| text(ingress, "/metadata/creationTimestamp"));
    let rules = ingresses.into_iter().flat_map(|ingress| json::list(ingress, "/spec/rules"));
    let paths = rules
        .filter(|rule| text(rule, "/host").eq_ignore_ascii_case(host))
        .flat_map(|rule| json::list(rule, "/http/paths"))
        .filter(|known| takes(known, path));
    // The first of the longest: `max_by_key` would give the last.
    let best = paths.reduce(|best, next| if length(next) > length(best) { next } else { best })?;
    best.get("backend")
}

fn length(path: &Value) -> usize {
    text(path, "/path").len()
}

fn takes(known: &Value, path: &str) -> bool {
    let wanted = text(known, "/path");
    if text(known, "/pathType") == "Exact" {
        return path == wanted;
    }
    let whole = wanted.trim_end_matches('/');
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A ready pod that the backend's service selects, if the service has the backend's port.
fn pod_behind<'a>(inner: &'a Inner, namespace: &'a str, backend: &Value) -> Option<&'a Value> {
    let service = &inner.get(Resource::Service, namespace, text(backend, "/service/name"))?.value;
    let port = backend.pointer("/service/port")?;
    let has_port = json::list(service, "/spec/ports").iter().any(|known| {
        let same =
            |field: &str, of: &str| port.get(field).is_some_and(|wanted| known.get(of) == Some(wanted));
        same("number", "port") || same("name", "name")
    });
    let wanted = service.pointer("/spec/selector").and_then(Value::as_object)?;
    if !has_port || wanted.is_empty() {
        return None;
    }
    let pods = inner.all(Resource::Pod, Some(namespace)).map(|(_, pod)| &pod.value);
    let mut fitting = pods.filter(|pod| {
        let labels = pod.pointer("/metadata/labels");
        wanted.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    });
    fitting.find(|pod| pod::stage(pod) == pod::Stage::Ready)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sandbox::kubernetes::{DeploymentSpec, HostSpec, objects};

    fn filled() -> Inner {
        let mut inner = Inner::default();
        for name in ["web", "page"] {
            let deployment = DeploymentSpec {
                namespace: "ns".into(),
                name: name.into(),
                replicas: 1,
                image: format!("image/{name}"),
                ..Default::default()
            };
            objects::settle(&mut inner, &deployment);
            let host = format!("{name}.example");
            objects::published(
                &mut inner,
                &HostSpec { namespace: "ns".into(), host, deployment: name.into() },
            );
        }
        inner
    }

    fn image(inner: &Inner, host: &str, path: &str) -> Option<String> {
        let pod = pod_behind(inner, "ns", backend(inner, "ns", host, path)?)?;
        Some(text(pod, "/spec/containers/0/image").to_owned())
    }

    #[test]
    fn a_host_leads_through_rule_and_service_to_a_ready_pod() {
        let mut inner = filled();
        assert_eq!(image(&inner, "WEB.example", "/any/where").as_deref(), Some("image/web"));
        assert_eq!(image(&inner, "other.example", "/"), None);
        let mut ingress = inner.get(Resource::Ingress, "ns", "web.example").unwrap().value.clone();
        let rule = ["spec", "rules"];
        let paths = json!([{"host": "web.example", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "page", "port": {"number": 80}}}},
            {"path": "/api", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
            {"path": "/one", "pathType": "Exact", "backend": {"service": {"name": "web", "port": {"number": 81}}}},
        ]}}]);
        json::set(&mut ingress, &rule, paths);
        inner.put(Resource::Ingress, ingress);
        assert_eq!(image(&inner, "web.example", "/").as_deref(), Some("image/page"));
        assert_eq!(image(&inner, "web.example", "/api/v1").as_deref(), Some("image/web"));
        assert_eq!(image(&inner, "web.example", "/apis").as_deref(), Some("image/page"), "not a path's part");
        assert_eq!(image(&inner, "web.example", "/one"), None, "the service has no such port");
    }

    #[test]
    fn of_two_ingresses_with_one_host_the_older_counts() {
        let mut inner = filled();
        let mut second = inner.get(Resource::Ingress, "ns", "page.example").unwrap().value.clone();
        json::set(&mut second, &["metadata", "name"], "another".into());
        json::set(&mut second, &["metadata", "creationTimestamp"], json::now().into());
        if let Some(host) = second.pointer_mut("/spec/rules/0/host") {
            *host = "web.example".into();
        }
        inner.put(Resource::Ingress, second);
        assert_eq!(image(&inner, "web.example", "/").as_deref(), Some("image/web"));
        inner.delete(Resource::Ingress, "ns", "web.example");
        assert_eq!(image(&inner, "web.example", "/").as_deref(), Some("image/page"));
    }
}
