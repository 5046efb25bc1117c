//! Answers in Azure's own form: JSON, the error envelope, the headers that every answer carries.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use rand::Rng;
use serde_json::{Value, json};

use super::Arm;

/// A status and a JSON body; the common headers are added by [`finish`].
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// Null: no body at all.
    pub body: Value,
    /// Value of `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// Headers of this answer alone.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub fn ok(body: Value) -> Answer {
        Answer { body, ..Answer::empty(StatusCode::OK) }
    }

    /// No body.
    pub fn empty(status: StatusCode) -> Answer {
        Answer { status, body: Value::Null, challenge: None, headers: Vec::new() }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &'static str, value: String) -> Answer {
        self.headers.push((name, value));
        self
    }

    /// The error envelope of Azure Resource Manager.
    pub fn error(status: StatusCode, code: &str, message: &str) -> Answer {
        Answer { status, ..Answer::ok(json!({"error": {"code": code, "message": message}})) }
    }

    /// 401 with the challenge that tells a client where to sign in.
    pub(super) fn unauthorized(arm: &Arm, code: &str, message: &str) -> Answer {
        let challenge = format!(
            "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\", error_description=\"{message}\"",
            arm.endpoint, arm.principal.tenant
        );
        Answer { challenge: Some(challenge), ..Answer::error(StatusCode::UNAUTHORIZED, code, message) }
    }
}

/// Adds what every answer of the resource manager to `method` carries.
pub fn finish(arm: &Arm, method: &Method, answer: Answer) -> Response<Body> {
    let has_body = !answer.body.is_null();
    let body = if has_body { Body::from(answer.body.to_string()) } else { Body::empty() };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let request = guid();
    let at = arm.clock.now().format("%Y%m%dT%H%M%SZ");
    let mut headers = vec![
        ("date", arm.clock.header()),
        (CACHE_CONTROL.as_str(), "no-cache".to_owned()),
        ("pragma", "no-cache".to_owned()),
        ("expires", "-1".to_owned()),
        ("x-cache", "CONFIG_NOCACHE".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("x-ms-request-id", request.clone()),
        ("x-ms-correlation-request-id", request.clone()),
        ("x-ms-routing-request-id", format!("UKSOUTH:{at}:{request}")),
        ("strict-transport-security", "max-age=31536000; includeSubDomains".to_owned()),
        (WWW_AUTHENTICATE.as_str(), answer.challenge.unwrap_or_default()),
    ];
    if has_body {
        headers.push((CONTENT_TYPE.as_str(), "application/json; charset=utf-8".to_owned()));
    }
    headers.extend(remaining(arm, method));
    headers.extend(answer.headers);
    for (name, value) in headers {
        let name = http::HeaderName::from_static(name);
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What is left of the subscription's limits. Nothing is refused for them: throttling is a fault to inject.
fn remaining(arm: &Arm, method: &Method) -> [(&'static str, String); 2] {
    match *method {
        Method::GET | Method::HEAD => {
            let left = arm.reads.fetch_sub(1, Ordering::Relaxed).max(1_000);
            [
                ("x-ms-ratelimit-remaining-subscription-reads", left.to_string()),
                ("x-ms-ratelimit-remaining-subscription-global-reads", (left + 4_500).to_string()),
            ]
        }
        Method::DELETE => [
            ("x-ms-ratelimit-remaining-subscription-deletes", "799".to_owned()),
            ("x-ms-ratelimit-remaining-subscription-global-deletes", "11999".to_owned()),
        ],
        _ => [
            ("x-ms-ratelimit-remaining-subscription-writes", "799".to_owned()),
            ("x-ms-ratelimit-remaining-subscription-global-writes", "11999".to_owned()),
        ],
    }
}

/// A random identifier in Azure's usual form.
pub fn guid() -> String {
    let bytes: u128 = rand::rng().random();
    let hex = format!("{bytes:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_guid_has_the_usual_shape() {
        let guid = super::guid();
        let lengths: Vec<usize> = guid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{guid}");
        assert_ne!(guid, super::guid());
    }
}
