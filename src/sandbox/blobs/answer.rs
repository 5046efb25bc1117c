//! Answers in blob storage's own form: XML errors with `x-ms-error-code`, and the headers that every answer carries.

use axum::body::Body;
use chrono::{DateTime, Utc};
use http::header::{CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::sandbox::azure::guid;
use crate::sandbox::clock::rfc_1123;

/// A refusal with its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: &'static str,
    /// `AuthenticationErrorDetail` and the like: element and text.
    pub detail: Vec<(&'static str, String)>,
    /// Value of `WWW-Authenticate`.
    pub challenge: Option<String>,
}

impl Refused {
    pub fn new(status: StatusCode, code: &'static str, message: &'static str) -> Refused {
        Refused { status, code, message, detail: Vec::new(), challenge: None }
    }

    pub fn with(mut self, element: &'static str, text: impl Into<String>) -> Refused {
        self.detail.push((element, text.into()));
        self
    }

    pub fn no_container() -> Refused {
        Refused::new(StatusCode::NOT_FOUND, "ContainerNotFound", "The specified container does not exist.")
    }

    pub fn no_blob() -> Refused {
        Refused::new(StatusCode::NOT_FOUND, "BlobNotFound", "The specified blob does not exist.")
    }

    pub fn exists() -> Refused {
        Refused::new(StatusCode::CONFLICT, "BlobAlreadyExists", "The specified blob already exists.")
    }

    pub fn immutable() -> Refused {
        let message = "This operation is not permitted as the blob is immutable due to a policy.";
        Refused::new(StatusCode::CONFLICT, "BlobImmutableDueToPolicy", message)
    }

    pub fn condition() -> Refused {
        let message = "The condition specified using HTTP conditional header(s) is not met.";
        Refused::new(StatusCode::PRECONDITION_FAILED, "ConditionNotMet", message)
    }

    pub fn parameter(name: &str, value: &str) -> Refused {
        let message = "Value for one of the query parameters specified in the request URI is invalid.";
        Refused::new(StatusCode::BAD_REQUEST, "InvalidQueryParameterValue", message)
            .with("QueryParameterName", name)
            .with("QueryParameterValue", value)
    }

    pub fn header(name: &str, value: &str) -> Refused {
        let message = "The value for one of the HTTP headers is not in the correct format.";
        Refused::new(StatusCode::BAD_REQUEST, "InvalidHeaderValue", message)
            .with("HeaderName", name)
            .with("HeaderValue", value)
    }

    pub fn missing_header(name: &str) -> Refused {
        let message = "An HTTP header that's mandatory for this request is not specified.";
        Refused::new(StatusCode::BAD_REQUEST, "MissingRequiredHeader", message).with("HeaderName", name)
    }

    pub fn too_large(most: u64) -> Refused {
        let message = "The request body is too large and exceeds the maximum permissible limit.";
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge", message)
            .with("MaxLimit", most.to_string())
    }

    /// The files of the run's folder fail us.
    pub fn internal(error: &std::io::Error) -> Refused {
        tracing::warn!(%error, "the sandbox's blob storage cannot work on its files");
        let message = "Server encountered an internal error. Please try again after some time.";
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    fn response(&self, request_id: &str, now: DateTime<Utc>, head: bool) -> Response<Body> {
        let message = format!(
            "{}\nRequestId:{request_id}\nTime:{}0Z",
            self.message,
            now.format("%Y-%m-%dT%H:%M:%S%.6f")
        );
        let detail: String = self.detail.iter().map(|(e, t)| format!("<{e}>{}</{e}>", escape(t))).collect();
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message>{detail}</Error>",
            self.code,
            escape(&message)
        );
        let mut response = Response::new(if head { Body::empty() } else { Body::from(body) });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert("x-ms-error-code", HeaderValue::from_static(self.code));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        if let Some(challenge) = self.challenge.as_deref().and_then(|c| HeaderValue::from_str(c).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A response of `status` with `headers`.
pub fn plain(status: StatusCode, headers: &[(&'static str, String)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

pub fn xml(body: String) -> Response<Body> {
    plain(StatusCode::OK, &[("content-type", "application/xml".into())], Body::from(body))
}

/// Adds what every answer carries at `now`; `asked` are the request's headers.
pub fn finish(
    answer: Result<Response<Body>, Refused>,
    asked: &HeaderMap,
    now: DateTime<Utc>,
    head: bool,
) -> Response<Body> {
    let request_id = guid();
    let mut response = answer.unwrap_or_else(|refused| refused.response(&request_id, now, head));
    let headers = response.headers_mut();
    headers.insert("server", HeaderValue::from_static("Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0"));
    if let Ok(date) = HeaderValue::from_str(&rfc_1123(now)) {
        headers.insert("date", date);
    }
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert("x-ms-request-id", id);
    }
    for echoed in ["x-ms-version", "x-ms-client-request-id"] {
        if let Some(value) = asked.get(echoed).filter(|v| v.len() <= 1_024) {
            headers.insert(HeaderName::from_static(echoed), value.clone());
        }
    }
    response
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
