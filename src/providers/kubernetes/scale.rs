//! Sets the replicas of a deployment, only from what the caller saw, and never blindly twice.

use std::time::Duration;

use kube::api::PostParams;
use kube::core::Request;
use serde_json::Value;

use super::super::words;
use super::connect::Link;
use super::http::{self, About, Failure};
use crate::domain::{DeploymentKey, Fault};
use crate::providers::{ScaleError, Scaled};

/// For each request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Status updates of the deployment make the write conflict without anybody having scaled it.
const READS: usize = 5;

/// Sets `spec.replicas` to `to` if it is `from`.
///
/// # Errors
/// [`ScaleError::maybe_applied`] tells whether the change may have happened all the same.
pub async fn scale(link: &Link, key: &DeploymentKey, from: i32, to: i32) -> Result<Scaled, ScaleError> {
    if ![&key.namespace, &key.name].into_iter().all(|n| is_name(n)) {
        let why = format!("{key} is not a name that Kubernetes allows: it is not scaled");
        return Err(not_applied(Fault::Setup { why }));
    }
    let session = link.session().await.map_err(not_applied)?;
    let what = format!("scale {key}");
    let about = About { what: &what, fix: &session.fix };
    let refused = |failure: &Failure| {
        if matches!(failure.fault, Fault::AuthExpired { .. }) {
            link.refused(&session);
        }
    };
    let path = Request::new(format!("/apis/apps/v1/namespaces/{}/deployments", key.namespace));
    for _ in 0..READS {
        let read = path.get_subresource("scale", &key.name);
        let read = path_checked(key, read)?;
        let mut scale: Value =
            http::json(&session.client, read, PATIENCE, &about).await.map_err(|failure| {
                refused(&failure);
                not_applied(failure.fault)
            })?;
        let wants = wanted(&scale).map_err(not_applied)?;
        if wants != from {
            let what = format!("{} now wants {wants}, not {from}: someone scaled it meanwhile", key.name);
            return Err(not_applied(Fault::Conflict { what }));
        }
        set(&mut scale, to);
        let write = path.replace_subresource(
            "scale",
            &key.name,
            &PostParams::default(),
            scale.to_string().into_bytes(),
        );
        let write = path_checked(key, write)?;
        match http::json::<Value>(&session.client, write, PATIENCE, &about).await {
            Ok(answer) => return confirmed(&answer, key, from, to),
            // The version read is not the current one any more: look again before anything else.
            Err(failure) if failure.status == Some(409) => {}
            Err(failure) => {
                refused(&failure);
                return Err(ScaleError { maybe_applied: maybe(&failure), fault: failure.fault });
            }
        }
    }
    let what = format!("{} changes faster than it can be scaled; try again", key.name);
    Err(not_applied(Fault::Conflict { what }))
}

/// Names go into the request's path.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !name.is_empty() && name.len() <= 253 && name.chars().all(plain) && !name.starts_with('.')
}

/// A refusal changed nothing. A lost answer, a server error and an answer that cannot be read prove nothing.
fn maybe(failure: &Failure) -> bool {
    match failure.status {
        None => failure.sent,
        Some(status) => !(300..500).contains(&status),
    }
}

fn not_applied(fault: Fault) -> ScaleError {
    ScaleError { fault, maybe_applied: false }
}

fn path_checked(
    key: &DeploymentKey,
    built: Result<::http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<::http::Request<Vec<u8>>, ScaleError> {
    built.map_err(|e| {
        let why = format!("cannot scale {key}: {}", words::plain(&e.to_string()));
        not_applied(Fault::Setup { why })
    })
}

/// `spec.replicas` of a Scale; zero is left out on the wire.
fn wanted(scale: &Value) -> Result<i32, Fault> {
    if scale.get("kind").and_then(Value::as_str) != Some("Scale") {
        return Err(Fault::Garbled { why: "the answer is not a Scale".to_owned() });
    }
    let replicas = scale.get("spec").and_then(|s| s.get("replicas"));
    Ok(replicas.and_then(Value::as_i64).and_then(|r| i32::try_from(r).ok()).unwrap_or(0))
}

fn set(scale: &mut Value, to: i32) {
    if let Some(object) = scale.as_object_mut() {
        object.insert("spec".to_owned(), serde_json::json!({"replicas": to}));
    }
}

fn confirmed(answer: &Value, key: &DeploymentKey, from: i32, to: i32) -> Result<Scaled, ScaleError> {
    match wanted(answer) {
        Ok(now) if now == to => Ok(Scaled { from, to }),
        Ok(now) => {
            let what = format!("{} wants {now} after it was set to {to}", key.name);
            Err(ScaleError { fault: Fault::Conflict { what }, maybe_applied: true })
        }
        Err(fault) => Err(ScaleError { fault, maybe_applied: true }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        serde_json::from_str(include_str!("../../../tests/fixtures/wire/scale_get.json")).unwrap()
    }

    #[test]
    fn a_scale_is_read_and_written_with_its_version() {
        let mut scale = sample();
        assert_eq!(wanted(&scale), Ok(2));
        set(&mut scale, 0);
        assert_eq!(scale["metadata"]["resourceVersion"], "100");
        assert_eq!(wanted(&scale), Ok(0));
        scale["spec"] = serde_json::json!({});
        assert_eq!(wanted(&scale), Ok(0), "zero is left out on the wire");
        assert!(wanted(&serde_json::json!({"kind": "Status"})).is_err());
    }

    #[test]
    fn only_a_refusal_proves_that_nothing_happened() {
        let failure = |status, sent| Failure { fault: Fault::TimedOut { after_s: 10 }, status, sent };
        assert!(maybe(&failure(None, true)), "lost answer");
        assert!(!maybe(&failure(None, false)), "never sent");
        assert!(maybe(&failure(Some(500), true)) && maybe(&failure(Some(200), true)));
        assert!(!maybe(&failure(Some(403), true)) && !maybe(&failure(Some(429), true)));
    }
}
