//! The answers that faults give, in each provider's own error format.

use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::super::faults::{Kind, Provider};

/// Not JSON, not UTF-8, and with a terminal control sequence for whoever prints it.
const GARBAGE: &[u8] = b"<html>\x1b[2J\xff\xfe gateway says hello }{][ \x00\n";
/// Size of the huge answer's filler: 50 chunks of 1 MiB.
const HUGE_CHUNKS: usize = 50;
const CHUNK: &[u8] = &[b'x'; 1 << 20];

/// The answer of `provider` to `request` under `kind`, which lasts `left` more.
pub(super) fn response<B>(
    provider: Provider,
    kind: Kind,
    left: Duration,
    request: &Request<B>,
) -> Response<Body> {
    match kind {
        Kind::Garbage => ok(Body::from(GARBAGE)),
        Kind::Huge => ok(huge()),
        kind => {
            let (status, reason, message) = words(kind, request.method().as_str(), request.uri().path());
            let wait = left.as_secs_f64().ceil().clamp(1.0, 5.0) as u64;
            error(provider, status, reason, &message, wait)
        }
    }
}

/// What a running watch still says before the fault ends it; `None` ends it without a word.
pub(super) fn last_words(provider: Provider, kind: Kind) -> Option<Bytes> {
    match (provider, kind) {
        (Provider::Kubernetes, Kind::Gone) => {
            let (status, reason, message) = words(kind, "GET", "/");
            let event = json!({"type": "ERROR", "object": kubernetes(status, reason, &message, None)});
            Some(Bytes::from(format!("{event}\n")))
        }
        (_, Kind::Garbage) => Some(Bytes::from_static(GARBAGE)),
        _ => None,
    }
}

fn ok(body: Body) -> Response<Body> {
    with_type(StatusCode::OK, body)
}

fn with_type(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// 50 MB of well-formed JSON, made as it is sent.
fn huge() -> Body {
    let head = std::iter::once(Bytes::from_static(br#"{"padding":""#));
    let filler = std::iter::repeat_n(Bytes::from_static(CHUNK), HUGE_CHUNKS);
    let tail = std::iter::once(Bytes::from_static(br#""}"#));
    let parts = head.chain(filler).chain(tail).map(Ok::<_, std::convert::Infallible>);
    Body::from_stream(futures::stream::iter(parts))
}

/// Status, Kubernetes reason and message of a fault that answers.
fn words(kind: Kind, method: &str, path: &str) -> (StatusCode, &'static str, String) {
    match kind {
        Kind::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized".into()),
        Kind::Forbidden => (
            StatusCode::FORBIDDEN,
            "Forbidden",
            format!("forbidden: User \"responder\" cannot {} path \"{path}\"", method.to_lowercase()),
        ),
        Kind::Gone => (StatusCode::GONE, "Expired", "too old resource version: 1 (2)".into()),
        Kind::Throttled => (
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "too many requests, please try again later".into(),
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "Internal error occurred: etcdserver: request timed out".into(),
        ),
    }
}

fn error(
    provider: Provider,
    status: StatusCode,
    reason: &'static str,
    message: &str,
    wait: u64,
) -> Response<Body> {
    let throttled = status == StatusCode::TOO_MANY_REQUESTS;
    let body = match provider {
        Provider::Kubernetes => kubernetes(status, reason, message, throttled.then_some(wait)).to_string(),
        Provider::Azure => azure(status).to_string(),
        Provider::Service => json!({"error": message}).to_string(),
        Provider::Github => github(status).to_string(),
        Provider::Blobs => blobs(status),
    };
    let mut response = with_type(status, Body::from(body));
    if provider == Provider::Blobs {
        let (code, _) = blob_words(status);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/xml"));
        headers.insert("x-ms-error-code", header::HeaderValue::from_static(code));
    }
    let headers = response.headers_mut();
    if throttled {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from(wait));
    }
    if status == StatusCode::UNAUTHORIZED && provider == Provider::Azure {
        let how = "Bearer authorization_uri=\"https://login.microsoftonline.com/\", error=\"invalid_token\"";
        headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(how));
    }
    response
}

/// A `Status` body as the API server writes it.
fn kubernetes(status: StatusCode, reason: &str, message: &str, wait: Option<u64>) -> Value {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status.as_u16(),
    });
    if let (Some(wait), Some(object)) = (wait, body.as_object_mut()) {
        object.insert("details".into(), json!({"retryAfterSeconds": wait}));
    }
    body
}

/// The error envelope of Azure Resource Manager.
fn azure(status: StatusCode) -> Value {
    let (code, message) = match status {
        StatusCode::UNAUTHORIZED => (
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
        ),
        StatusCode::FORBIDDEN => (
            "AuthorizationFailed",
            "The client does not have authorization to perform action \
             'Microsoft.DBforPostgreSQL/flexibleServers/read' over scope, or the scope is invalid.",
        ),
        StatusCode::GONE => ("Gone", "The resource is no longer available."),
        StatusCode::TOO_MANY_REQUESTS => (
            "SubscriptionRequestsThrottled",
            "Number of requests exceeded the limit. Please try again later.",
        ),
        _ => ("InternalServerError", "The server encountered an internal error. Please retry the request."),
    };
    json!({"error": {"code": code, "message": message}})
}

/// GitHub's error body.
fn github(status: StatusCode) -> Value {
    let message = match status {
        StatusCode::UNAUTHORIZED => "Bad credentials",
        StatusCode::FORBIDDEN => "Resource not accessible by personal access token",
        StatusCode::GONE => "This endpoint has been removed",
        StatusCode::TOO_MANY_REQUESTS => {
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        }
        _ => "Server Error",
    };
    json!({
        "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.as_str(),
    })
}

/// The blob service's error code and message; 403 is what a missing data role gives.
fn blob_words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::UNAUTHORIZED => (
            "InvalidAuthenticationInfo",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        ),
        StatusCode::FORBIDDEN => (
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        ),
        StatusCode::GONE => ("ResourceNotFound", "The specified resource does not exist."),
        StatusCode::TOO_MANY_REQUESTS => ("TooManyRequests", "Too many requests. Please try again later."),
        _ => ("InternalError", "Server encountered an internal error. Please try again after some time."),
    }
}

fn blobs(status: StatusCode) -> String {
    let (code, message) = blob_words(status);
    format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_errs_in_its_own_words() {
        let request = Request::get("/apis/apps/v1/deployments").body(()).unwrap();
        let left = Duration::from_secs(2);
        let kube = response(Provider::Kubernetes, Kind::Throttled, left, &request);
        assert_eq!(kube.status(), 429);
        assert_eq!(kube.headers()[header::RETRY_AFTER], "2");
        assert_eq!(kubernetes(StatusCode::GONE, "Expired", "m", None)["code"], 410);
        assert_eq!(azure(StatusCode::FORBIDDEN)["error"]["code"], "AuthorizationFailed");
        let last = last_words(Provider::Kubernetes, Kind::Gone).unwrap();
        let event: Value = serde_json::from_slice(&last).unwrap();
        assert_eq!(event["object"]["reason"], "Expired");
        assert!(last_words(Provider::Azure, Kind::Gone).is_none());
    }
}
