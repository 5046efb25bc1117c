//! What the API server refuses to store.

use serde_json::Value;

use super::super::json::{self, int, text};
use super::super::kinds::Resource;
use super::super::refusal::Refusal;
use super::Change;

impl Change<'_> {
    pub(super) fn validate(&self, value: &Value) -> Result<(), Refusal> {
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
}

pub(super) fn check_replicas(kind: &str, name: &str, replicas: &Value) -> Result<(), Refusal> {
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

pub(super) fn check_name(kind: &str, name: &str) -> Result<(), Refusal> {
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
