//! Deleting: one object with what it owns, or all that a selector takes.

use http::StatusCode;
use serde_json::{Value, json};

use super::super::json::{self, text};
use super::super::kinds::Resource;
use super::super::refusal::Refusal;
use super::super::store::Inner;
use super::super::{controller, pod};
use super::{Answer, Change};

impl Change<'_> {
    /// Deletes everything that the selectors of the request take.
    pub(super) fn delete_all(&self, inner: &mut Inner) -> Answer {
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
    pub(super) fn delete(&self, inner: &mut Inner, name: &str) -> Answer {
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
            if pod::stage(&before) != pod::Stage::Ending {
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
