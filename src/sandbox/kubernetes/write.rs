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
            Resource::Pod => objects::begin_pod(value),
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
                    let field = "spec.template.spec.containers";
                    return Err(Refusal::invalid(&kind, name, field, "Required value"));
                }
                if value.pointer("/spec/template/spec/activeDeadlineSeconds").is_some() {
                    let field = "spec.template.spec.activeDeadlineSeconds";
                    let detail = "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported";
                    return Err(Refusal::invalid(&kind, name, field, detail));
                }
            }
            Resource::Pod if json::list(value, "/spec/containers").is_empty() => {
                return Err(Refusal::invalid(&kind, name, "spec.containers", "Required value"));
            }
            Resource::Job => {
                if json::list(value, "/spec/template/spec/containers").is_empty() {
                    let field = "spec.template.spec.containers";
                    return Err(Refusal::invalid(&kind, name, field, "Required value"));
                }
                let policy = text(value, "/spec/template/spec/restartPolicy");
                if !matches!(policy, "Never" | "OnFailure") {
                    let detail =
                        format!("Unsupported value: {policy:?}: supported values: \"OnFailure\", \"Never\"");
                    let field = "spec.template.spec.restartPolicy";
                    return Err(Refusal::invalid(&kind, name, field, &detail));
                }
            }
            Resource::Service if json::list(value, "/spec/ports").is_empty() => {
                return Err(Refusal::invalid(&kind, name, "spec.ports", "Required value"));
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

    /// Deletes everything that the selectors of the request take.
    fn delete_all(&self, inner: &mut Inner) -> Answer {
        let selector = self.options.selector(self.resource)?;
        let namespace = self.route.namespace.as_deref();
        let found: Vec<Value> = inner
            .all(self.resource, namespace)
            .map(|(_, object)| object.value.clone())
            .filter(|value| selector.takes(value))
            .collect();
        for value in &found {
            self.delete(inner, text(value, "/metadata/name"))?;
        }
        let kind = format!("{}List", self.resource.kind());
        let version = inner.revision().to_string();
        let list = json!({
            "kind": kind, "apiVersion": self.resource.api_version(),
            "metadata": {"resourceVersion": version}, "items": found,
        });
        Ok((StatusCode::OK, list))
    }

    /// Deletes one object. What it owns follows, or stays as an orphan, as the propagation policy says.
    fn delete(&self, inner: &mut Inner, name: &str) -> Answer {
        let namespace = self.route.namespace();
        let before = inner
            .get(self.resource, namespace, name)
            .map(|object| object.value.clone())
            .ok_or_else(|| Refusal::not_found(self.resource, name))?;
        let body = if self.body.is_empty() { Value::Null } else { self.sent()? };
        for field in ["resourceVersion", "uid"] {
            let asked = text(&body, &format!("/preconditions/{field}"));
            if !asked.is_empty() && asked != text(&before, &format!("/metadata/{field}")) {
                return Err(Refusal::conflict(self.resource, name));
            }
        }
        let said = |field: &str| match text(&body, &format!("/{field}")) {
            "" => self.options.get(field).to_owned(),
            text => text.to_owned(),
        };
        let policy = said("propagationPolicy");
        if !matches!(policy.as_str(), "" | "Orphan" | "Background" | "Foreground") {
            let detail = format!(
                "Unsupported value: {policy:?}: supported values: \"Background\", \"Foreground\", \"Orphan\", \"nil\""
            );
            return Err(Refusal::invalid("DeleteOptions.meta.k8s.io", "", "propagationPolicy", &detail));
        }
        let dry = self.dry() || json::list(&body, "/dryRun").iter().any(|run| run.as_str() == Some("All"));
        if dry {
            return Ok((StatusCode::OK, before));
        }
        let now = body.get("gracePeriodSeconds").and_then(Value::as_u64) == Some(0)
            || self.options.get("gracePeriodSeconds") == "0";
        if self.resource == Resource::Pod && !now {
            if objects::stage(&before) != objects::Stage::Ending {
                controller::end(inner, &before);
            }
            let ending = inner.get(self.resource, namespace, name).map(|pod| pod.value.clone());
            return Ok((StatusCode::OK, ending.unwrap_or(before)));
        }
        let orphans = policy == "Orphan" || body.get("orphanDependents") == Some(&Value::Bool(true));
        if orphans {
            release(inner, namespace, text(&before, "/metadata/uid"));
        } else if policy == "Foreground" && self.resource == Resource::Deployment {
            let mut ending = before.clone();
            json::set(&mut ending, &["metadata", "deletionTimestamp"], json::now().into());
            json::set(&mut ending, &["metadata", "deletionGracePeriodSeconds"], 0.into());
            json::set(&mut ending, &["metadata", "finalizers"], json!(["foregroundDeletion"]));
            return Ok((StatusCode::OK, inner.put(self.resource, ending).value.clone()));
        }
        let gone = inner.delete(self.resource, namespace, name);
        if matches!(self.resource, Resource::Pod | Resource::Service | Resource::ServiceAccount) {
            return Ok((StatusCode::OK, gone.map_or(before, |gone| gone.value.clone())));
        }
        let details = json!({
            "name": name, "group": self.resource.group(), "kind": self.resource.plural(),
            "uid": text(&before, "/metadata/uid"),
        });
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
        });
        Ok((StatusCode::OK, status))
    }
}

/// Makes everything in a namespace that the object of this uid owns nobody's.
fn release(inner: &mut Inner, namespace: &str, uid: &str) {
    for resource in [Resource::ReplicaSet, Resource::Pod] {
        let owned: Vec<Value> = inner
            .all(resource, Some(namespace))
            .map(|(_, object)| &object.value)
            .filter(|value| text(value, "/metadata/ownerReferences/0/uid") == uid)
            .cloned()
            .collect();
        for mut value in owned {
            json::remove(&mut value, &["metadata", "ownerReferences"]);
            inner.put(resource, value);
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
