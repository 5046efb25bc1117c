//! Errors as the API server gives them: a `Status` body with its code, reason and wording.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::kinds::Resource;

/// The reason of a refusal that goes out as bare text.
const PLAIN: &str = "PlainText";

/// A refused request.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: StatusCode,
    pub status: Value,
}

impl Refusal {
    fn new(code: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Refusal {
            code,
            status: json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": message, "reason": reason, "code": code.as_u16(),
            }),
        }
    }

    fn about(mut self, resource: Resource, name: &str) -> Self {
        let mut details = json!({"kind": resource.plural()});
        if !name.is_empty() {
            super::json::set(&mut details, &["name"], name.into());
        }
        if !resource.group().is_empty() {
            super::json::set(&mut details, &["group"], resource.group().into());
        }
        super::json::set(&mut self.status, &["details"], details);
        self
    }

    pub fn unauthorized() -> Self {
        Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    pub fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Refusal::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub fn not_found(resource: Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Refusal::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    pub fn already_exists(resource: Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Refusal::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    pub fn conflict(resource: Resource, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply your \
             changes to the latest version and try again",
            resource.qualified()
        );
        Refusal::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    /// `kind` as in `Deployment.apps`.
    pub fn invalid(kind: &str, name: &str, field: &str, detail: &str) -> Self {
        let message = format!("{kind} \"{name}\" is invalid: {field}: {detail}");
        let mut refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
        let causes = json!([{"reason": "FieldValueInvalid", "message": detail, "field": field}]);
        let details = json!({"name": name, "group": group, "kind": kind, "causes": causes});
        super::json::set(&mut refusal.status, &["details"], details);
        refusal
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub fn unsupported_patch() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// The version asked for is compacted away.
    pub fn expired(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::GONE, "Expired", message)
    }

    /// A version that does not exist yet.
    pub fn too_new(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut refusal = Refusal::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        super::json::set(
            &mut refusal.status,
            &["details"],
            json!({"causes": causes, "retryAfterSeconds": 1}),
        );
        refusal
    }

    /// `what` as in `deployments.apps "x"`; the rest is who may not do what where.
    pub fn forbidden(resource: Option<(Resource, &str)>, message: String) -> Self {
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message);
        match resource {
            Some((resource, name)) => refusal.about(resource, name),
            None => refusal,
        }
    }

    /// A kubelet's own words, which the API server passes on as they are.
    pub fn kubelet(message: &str) -> Self {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, message)
    }

    /// None of the stream protocols that a client offers is known.
    pub fn unnegotiable(offered: &[&str], known: &str) -> Self {
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports {offered:?}, server accepts [{known}]"
        );
        Refusal::new(StatusCode::FORBIDDEN, PLAIN, message)
    }

    /// The answer to a request.
    pub fn response(&self) -> Response<Body> {
        let plain = super::json::text(&self.status, "/reason") == PLAIN;
        let body = match plain {
            true => super::json::text(&self.status, "/message").to_owned(),
            false => self.status.to_string(),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.code;
        if plain {
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, text);
            return response;
        }
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wording_is_the_api_servers() {
        let refusal = Refusal::not_found(Resource::Deployment, "web");
        assert_eq!(refusal.status["message"], "deployments.apps \"web\" not found");
        assert_eq!(refusal.status["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
        let refusal = Refusal::invalid("Scale.autoscaling", "web", "spec.replicas", "Invalid value: -1: no");
        assert_eq!(refusal.status["details"]["kind"], "Scale");
        assert_eq!(refusal.code, 422);
    }
}
