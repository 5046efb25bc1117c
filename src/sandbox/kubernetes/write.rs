//! Changes asked for through the API: create, update, patch, delete and scale, with the API server's checks.

use http::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::api::{has_namespace, parse};
use super::controller;
use super::json::{self, int, text};
use super::kinds::Resource;
use super::objects;
use super::patch::{self, Style};
use super::refusal::Refusal;
use super::route::{Options, Route};
use super::store::{Inner, Object};

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
            ("delete", false) => self.delete(inner),
            ("update" | "patch", scale) => {
                let before = self.current(inner)?;
                let shown = if scale { scale_of(&before) } else { before.clone() };
                let after = self.wanted(verb, &shown)?;
                self.check_preconditions(&before, &after)?;
                self.check_identity(&before, &after)?;
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
        if verb == "update" {
            return parse(&self.body);
        }
        let style = Style::of(&self.content_type).ok_or_else(Refusal::unsupported_patch)?;
        let mut after = before.clone();
        patch::apply(style, &mut after, &parse(&self.body)?)?;
        Ok(after)
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
        if self.dry() { value } else { inner.put(self.resource, value).value.clone() }
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
        let mut value = parse(&self.body)?;
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
        Ok((StatusCode::CREATED, self.store(inner, value)))
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
                (&["spec", "template", "spec", "restartPolicy"], json!("Always")),
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

    fn validate(&self, value: &Value) -> Result<(), Refusal> {
        let (kind, name) = (self.kind(), text(value, "/metadata/name"));
        match self.resource {
            Resource::Deployment => {
                let replicas = value.pointer("/spec/replicas").cloned().unwrap_or_default();
                check_replicas(&kind, name, &replicas)?;
                let labels = value.pointer("/spec/template/metadata/labels");
                let wanted = value.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
                let fits = wanted.is_some_and(|wanted| {
                    !wanted.is_empty() && wanted.iter().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v))
                });
                if !fits {
                    let detail = "Invalid value: `selector` does not match template `labels`";
                    return Err(Refusal::invalid(&kind, name, "spec.template.metadata.labels", detail));
                }
                if json::list(value, "/spec/template/spec/containers").is_empty() {
                    return Err(Refusal::invalid(
                        &kind,
                        name,
                        "spec.template.spec.containers",
                        "Required value",
                    ));
                }
            }
            Resource::Hpa => {
                let (min, max) = (int(value, "/spec/minReplicas"), int(value, "/spec/maxReplicas"));
                if min < 1 {
                    let detail = format!("Invalid value: {min}: must be greater than or equal to 1");
                    return Err(Refusal::invalid(&kind, name, "spec.minReplicas", &detail));
                }
                if max < min {
                    let detail =
                        format!("Invalid value: {max}: must be greater than or equal to `minReplicas`");
                    return Err(Refusal::invalid(&kind, name, "spec.maxReplicas", &detail));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Deletes. What a deployment or replica set owns follows, whatever propagation is asked for.
    fn delete(&self, inner: &mut Inner) -> Answer {
        let before = self.current(inner)?;
        let body = if self.body.is_empty() { Value::Null } else { parse(&self.body)? };
        for field in ["resourceVersion", "uid"] {
            let asked = text(&body, &format!("/preconditions/{field}"));
            if !asked.is_empty() && asked != text(&before, &format!("/metadata/{field}")) {
                return Err(Refusal::conflict(self.resource, self.route.name()));
            }
        }
        if self.dry() {
            return Ok((StatusCode::OK, before));
        }
        let now = body.get("gracePeriodSeconds").and_then(Value::as_u64) == Some(0)
            || self.options.get("gracePeriodSeconds") == "0";
        if self.resource == Resource::Pod && !now {
            if objects::stage(&before) != objects::Stage::Ending {
                controller::end(inner, &before);
            }
            return Ok((StatusCode::OK, self.current(inner)?));
        }
        inner.delete(self.resource, self.route.namespace(), self.route.name());
        let details = json!({
            "name": self.route.name(), "group": self.resource.group(), "kind": self.resource.plural(),
            "uid": text(&before, "/metadata/uid"),
        });
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
        });
        Ok((StatusCode::OK, status))
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

fn check_replicas(kind: &str, name: &str, replicas: &Value) -> Result<(), Refusal> {
    let Some(number) = replicas.as_i64().filter(|n| i32::try_from(*n).is_ok()) else {
        let message = format!("json: cannot unmarshal {replicas} into field spec.replicas of type int32");
        return Err(Refusal::bad_request(message));
    };
    if number < 0 {
        let detail = format!("Invalid value: {number}: must be greater than or equal to 0");
        return Err(Refusal::invalid(kind, name, "spec.replicas", &detail));
    }
    Ok(())
}

fn check_name(kind: &str, name: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fine = name.len() <= 253
        && name.starts_with(plain)
        && name.ends_with(plain)
        && name.chars().all(|c| plain(c) || c == '-' || c == '.');
    if fine {
        return Ok(());
    }
    let detail = if name.is_empty() {
        "Required value: name or generateName is required".to_owned()
    } else {
        format!(
            "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
             characters, '-' or '.', and must start and end with an alphanumeric character"
        )
    };
    Err(Refusal::invalid(kind, name, "metadata.name", &detail))
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
