//! Strict field validation: fields that a kind does not have are refused when the client asks for it, as kubectl does.

use k8s_openapi::api::{apps, autoscaling, batch, core, networking};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kinds::Resource;
use super::refusal::Refusal;
use super::route::Options;

/// Refuses a body with unknown fields when the request asks for strict validation.
pub fn check(resource: Resource, options: &Options, value: &Value) -> Result<(), Refusal> {
    if options.get("fieldValidation") != "Strict" {
        return Ok(());
    }
    let known = match resource {
        Resource::Secret => known::<core::v1::Secret>(value),
        Resource::ConfigMap => known::<core::v1::ConfigMap>(value),
        Resource::Service => known::<core::v1::Service>(value),
        Resource::Pod => known::<core::v1::Pod>(value),
        Resource::Deployment => known::<apps::v1::Deployment>(value),
        Resource::Job => known::<batch::v1::Job>(value),
        Resource::Ingress => known::<networking::v1::Ingress>(value),
        Resource::Hpa => known::<autoscaling::v2::HorizontalPodAutoscaler>(value),
        _ => None,
    };
    // What cannot be read as its kind at all is left to the other checks.
    let Some(known) = known else { return Ok(()) };
    let mut unknown = Vec::new();
    compare(value, &known, String::new(), &mut unknown);
    if unknown.is_empty() {
        return Ok(());
    }
    let fields: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    let (kind, version) = (resource.kind(), resource.version());
    let message = format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {}",
        fields.join(", ")
    );
    Err(Refusal::bad_request(message))
}

/// What is left of `value` when it is read as a `T`.
fn known<T: DeserializeOwned + Serialize>(value: &Value) -> Option<Value> {
    let object: T = serde_json::from_value(value.clone()).ok()?;
    serde_json::to_value(object).ok()
}

/// Collects paths that are in `sent` and not in `known`; empty things say nothing and may be left out.
fn compare(sent: &Value, known: &Value, path: String, unknown: &mut Vec<String>) {
    match (sent, known) {
        (Value::Object(sent), Value::Object(known)) => {
            for (name, value) in sent {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match known.get(name) {
                    Some(known) => compare(value, known, path, unknown),
                    None if value.is_null() => {}
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(known)) => {
            for (at, (sent, known)) in sent.iter().zip(known).enumerate() {
                compare(sent, known, format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_are_named_and_only_on_demand() {
        let pod =
            |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec});
        let strict = Options::parse(&"/x?fieldValidation=Strict".parse().unwrap()).unwrap();
        let good = pod(json!({"containers": [{"name": "a", "image": "i", "command": ["x"]}]}));
        assert!(check(Resource::Pod, &strict, &good).is_ok());
        let bad = pod(json!({"containers": [{"name": "a", "imag": "i"}]}));
        let refusal = check(Resource::Pod, &strict, &bad).unwrap_err();
        assert!(
            refusal.status["message"]
                .as_str()
                .unwrap()
                .ends_with("unknown field \"spec.containers[0].imag\"")
        );
        assert!(check(Resource::Pod, &Options::default(), &bad).is_ok());
    }
}
