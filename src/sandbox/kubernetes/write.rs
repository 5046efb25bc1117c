//! Changes asked for through the API: create, update, patch, delete and scale, with the API server's checks.

mod check;
mod delete;

use http::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

use self::check::{check_name, check_replicas};
use super::api::{has_namespace, parse};
use super::json::{self, int, text};
use super::kinds::Resource;
use super::objects;
use super::patch::{self, Style};
use super::pod;
use super::refusal::Refusal;
use super::route::{Options, Route};
use super::store::{Inner, Object};
use super::{legacy, protobuf, strict};

/// A change asked for.
#[derive(Debug)]
pub struct Change<'a> {
    pub resource: Resource,
    pub route: &'a Route,
    pub options: &'a Options,
    /// It is about the `scale` subresource.
    pub scale: bool,
    pub content_type: String,
    pub body: Bytes,
}

type Answer = Result<(StatusCode, Value), Refusal>;

impl Change<'_> {
    /// Makes the change; the answer's status and body.
    pub fn apply(&self, inner: &mut Inner, verb: &str) -> Answer {
        match (verb, self.scale) {
            ("create", false) => self.create(inner),
            ("delete", false) => self.delete(inner, self.route.name()),
            ("deletecollection", false) => self.delete_all(inner),
            ("update" | "patch", scale) => {
                let before = self.current(inner)?;
                let shown = if scale { scale_of(&before) } else { before.clone() };
                let after = self.wanted(verb, &shown)?;
                self.check_preconditions(&before, &after)?;
                self.check_identity(&before, &after)?;
                strict::check(self.resource, self.options, &after)?;
                if scale { self.rescale(inner, before, &after) } else { self.replace(inner, before, after) }
            }
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    fn current(&self, inner: &Inner) -> Result<Value, Refusal> {
        let name = self.route.name();
        let found = inner.get(self.resource, self.route.namespace(), name);
        found.map(|object| object.value.clone()).ok_or_else(|| Refusal::not_found(self.resource, name))
    }

    /// The object as the client wants it.
    fn wanted(&self, verb: &str, before: &Value) -> Result<Value, Refusal> {
        let before = self.shown(before.clone());
        let after = if verb == "update" {
            self.sent()?
        } else {
            let style = Style::of(&self.content_type).ok_or_else(Refusal::unsupported_patch)?;
            let mut after = before;
            patch::apply(style, &mut after, &parse(&self.body)?)?;
            after
        };
        Ok(self.stored(after))
    }

    /// True for an autoscaler in its older version.
    fn legacy(&self) -> bool {
        self.resource == Resource::Hpa && self.route.version == "v1" && !self.scale
    }

    fn shown(&self, value: Value) -> Value {
        if self.legacy() { legacy::shown(&value) } else { value }
    }

    fn stored(&self, value: Value) -> Value {
        if self.legacy() { legacy::stored(value) } else { value }
    }

    /// The body as a value.
    fn sent(&self) -> Result<Value, Refusal> {
        match self.body.strip_prefix(protobuf::MAGIC) {
            Some(_) => protobuf::object(&self.body)
                .ok_or_else(|| Refusal::bad_request("the protobuf body could not be decoded")),
            None => parse(&self.body),
        }
    }

    /// A version or uid in what is sent must be the present one; none at all means "whatever it is now".
    fn check_preconditions(&self, before: &Value, after: &Value) -> Result<(), Refusal> {
        let same = |field: &str| {
            let sent = text(after, field);
            sent.is_empty() || sent == text(before, field)
        };
        if same("/metadata/resourceVersion") && same("/metadata/uid") {
            Ok(())
        } else {
            Err(Refusal::conflict(self.resource, self.route.name()))
        }
    }

    fn check_identity(&self, before: &Value, after: &Value) -> Result<(), Refusal> {
        for (field, what) in [("/metadata/name", "name"), ("/metadata/namespace", "namespace")] {
            let sent = text(after, field);
            if sent != text(before, field) && !(what == "namespace" && sent.is_empty()) {
                let message = format!(
                    "the {what} of the object ({sent}) does not match the {what} on the URL ({})",
                    text(before, field)
                );
                return Err(Refusal::bad_request(message));
            }
        }
        Ok(())
    }

    fn dry(&self) -> bool {
        self.options.get("dryRun") == "All"
    }

    /// Stores `value`, or only says what storing would give.
    fn store(&self, inner: &mut Inner, value: Value) -> Value {
        let stored = if self.dry() { value } else { inner.put(self.resource, value).value.clone() };
        self.shown(stored)
    }

    fn rescale(&self, inner: &mut Inner, mut deployment: Value, scale: &Value) -> Answer {
        let wanted = scale.pointer("/spec/replicas").cloned().unwrap_or_else(|| 0.into());
        check_replicas("Scale.autoscaling", self.route.name(), &wanted)?;
        json::set(&mut deployment, &["spec", "replicas"], wanted);
        let stored = self.store(inner, deployment);
        Ok((StatusCode::OK, scale_of(&stored)))
    }

    fn replace(&self, inner: &mut Inner, before: Value, mut after: Value) -> Answer {
        for kept in ["uid", "creationTimestamp", "generation", "namespace", "deletionTimestamp"] {
            match before.pointer(&format!("/metadata/{kept}")) {
                Some(value) => json::set(&mut after, &["metadata", kept], value.clone()),
                None => {
                    json::remove(&mut after, &["metadata", kept]);
                }
            }
        }
        self.complete(&mut after);
        // Status is written by controllers only.
        match before.get("status") {
            Some(status) => json::set(&mut after, &["status"], status.clone()),
            None => {
                json::remove(&mut after, &["status"]);
            }
        }
        self.validate(&after)?;
        if self.resource == Resource::Deployment
            && before.pointer("/spec/selector") != after.pointer("/spec/selector")
        {
            let detail = "Invalid value: field is immutable";
            return Err(Refusal::invalid("Deployment.apps", self.route.name(), "spec.selector", detail));
        }
        Ok((StatusCode::OK, self.store(inner, after)))
    }

    fn create(&self, inner: &mut Inner) -> Answer {
        let mut value = self.stored(self.sent()?);
        let namespace = self.route.namespace();
        if namespace.is_empty() {
            return Err(Refusal::method_not_allowed());
        }
        if !has_namespace(inner, namespace) {
            return Err(Refusal::not_found(Resource::Namespace, namespace));
        }
        let said = text(&value, "/metadata/namespace");
        if !said.is_empty() && said != namespace {
            let message = format!(
                "the namespace of the provided object does not match the namespace sent on the request \
                 ({said} and {namespace})"
            );
            return Err(Refusal::bad_request(message));
        }
        let prefix = text(&value, "/metadata/generateName").to_owned();
        if text(&value, "/metadata/name").is_empty() && !prefix.is_empty() {
            let name = format!("{prefix}{}", objects::random_name(5));
            json::set(&mut value, &["metadata", "name"], name.into());
        }
        strict::check(self.resource, self.options, &value)?;
        let name = text(&value, "/metadata/name").to_owned();
        check_name(&self.kind(), &name)?;
        if inner.get(self.resource, namespace, &name).is_some() {
            return Err(Refusal::already_exists(self.resource, &name));
        }
        json::set(&mut value, &["metadata", "namespace"], namespace.into());
        for server_side in ["uid", "resourceVersion", "creationTimestamp"] {
            json::remove(&mut value, &["metadata", server_side]);
        }
        json::remove(&mut value, &["status"]);
        self.complete(&mut value);
        self.validate(&value)?;
        self.begin(&mut value);
        Ok((StatusCode::CREATED, self.store(inner, value)))
    }

    /// Fills in what a new object gets once.
    fn begin(&self, value: &mut Value) {
        match self.resource {
            Resource::Pod => pod::begin(value),
            Resource::Service => {
                objects::complete_service(value);
                json::set(value, &["status"], json!({"loadBalancer": {}}));
            }
            Resource::Ingress => json::set(value, &["status"], json!({"loadBalancer": {}})),
            Resource::Job => {
                let uid = super::store::uid();
                let name = text(value, "/metadata/name").to_owned();
                json::set(value, &["metadata", "uid"], uid.as_str().into());
                let selector = json!({"batch.kubernetes.io/controller-uid": uid});
                json::set(value, &["spec", "selector", "matchLabels"], selector);
                for (label, text) in [("controller-uid", &uid), ("job-name", &name)] {
                    let path = ["spec", "template", "metadata", "labels"];
                    for label in [label.to_owned(), format!("batch.kubernetes.io/{label}")] {
                        json::set(value, &[&path[..], &[&label]].concat(), text.as_str().into());
                    }
                }
            }
            _ => {}
        }
    }

    /// Fills in kind and defaults; a secret's `stringData` becomes `data`.
    fn complete(&self, value: &mut Value) {
        json::set(value, &["kind"], self.resource.kind().into());
        json::set(value, &["apiVersion"], self.resource.api_version().into());
        let defaults: &[(&[&str], Value)] = match self.resource {
            Resource::Deployment => &[
                (&["spec", "replicas"], json!(1)),
                (
                    &["spec", "strategy"],
                    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}),
                ),
                (&["spec", "revisionHistoryLimit"], json!(10)),
                (&["spec", "progressDeadlineSeconds"], json!(600)),
                (&["spec", "template", "spec", "restartPolicy"], json!("Always")),
                (&["spec", "template", "spec", "terminationGracePeriodSeconds"], json!(30)),
            ],
            Resource::Job => &[
                (&["spec", "completions"], json!(1)),
                (&["spec", "parallelism"], json!(1)),
                (&["spec", "backoffLimit"], json!(6)),
            ],
            Resource::Hpa => &[(&["spec", "minReplicas"], json!(1))],
            Resource::Secret => &[(&["type"], json!("Opaque"))],
            _ => &[],
        };
        for (path, default) in defaults {
            let present = value.pointer(&format!("/{}", path.join("/")));
            if present.is_none_or(|present| present.is_null() || *present == json!({})) {
                json::set(value, path, default.clone());
            }
        }
        if let Some(Value::Object(plain)) = json::remove(value, &["stringData"]) {
            use base64::Engine;
            for (key, text) in plain {
                let text = text.as_str().unwrap_or_default();
                let encoded = base64::engine::general_purpose::STANDARD.encode(text);
                json::set(value, &["data", &key], encoded.into());
            }
        }
    }

    fn kind(&self) -> String {
        match self.resource.group() {
            "" => self.resource.kind().to_owned(),
            group => format!("{}.{group}", self.resource.kind()),
        }
    }
}

/// The `scale` subresource of a deployment.
pub fn scale_of(deployment: &Value) -> Value {
    let member = |name: &str| deployment.pointer(&format!("/metadata/{name}")).cloned().unwrap_or_default();
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": member("name"), "namespace": member("namespace"), "uid": member("uid"),
            "resourceVersion": member("resourceVersion"), "creationTimestamp": member("creationTimestamp"),
        },
        "spec": {"replicas": int(deployment, "/spec/replicas")},
        "status": {"replicas": int(deployment, "/status/replicas"), "selector": selector.join(",")},
    })
}

/// Sets `spec.replicas` of a deployment; false if there is no such deployment.
pub fn set_replicas(inner: &mut Inner, namespace: &str, name: &str, replicas: u32) -> bool {
    let Some(object): Option<&std::sync::Arc<Object>> = inner.get(Resource::Deployment, namespace, name)
    else {
        return false;
    };
    let mut value = object.value.clone();
    json::set(&mut value, &["spec", "replicas"], replicas.into());
    inner.put(Resource::Deployment, value);
    true
}
