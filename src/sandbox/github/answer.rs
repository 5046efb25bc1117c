//! Answers in GitHub's own form: JSON, its errors, entity tags, rate limits, pages with links.

use axum::body::Body;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Hub;
use super::limit::{HOURLY, Left, Over};
use super::route::Query;

/// The API version that is spoken when none is asked for.
pub const VERSION: &str = "2022-11-28";
/// Items on a page at most, and when nothing is said.
const MOST_PER_PAGE: usize = 100;
const PER_PAGE: usize = 30;

#[derive(Debug)]
pub enum Payload {
    Empty,
    Json(Value),
    Bytes(&'static str, Vec<u8>),
}

/// An answer; common headers are added by [`finish`].
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub payload: Payload,
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub fn ok(body: Value) -> Reply {
        Reply { status: StatusCode::OK, payload: Payload::Json(body), headers: Vec::new() }
    }

    pub fn json(status: StatusCode, body: Value) -> Reply {
        Reply { status, ..Reply::ok(body) }
    }

    pub fn empty() -> Reply {
        Reply { status: StatusCode::NO_CONTENT, payload: Payload::Empty, headers: Vec::new() }
    }

    pub fn bytes(kind: &'static str, bytes: Vec<u8>) -> Reply {
        Reply { status: StatusCode::OK, payload: Payload::Bytes(kind, bytes), headers: Vec::new() }
    }

    pub fn error(status: StatusCode, message: &str) -> Reply {
        let url = "https://docs.github.com/rest";
        Reply::json(status, json!({"message": message, "documentation_url": url, "status": status.as_str()}))
    }

    pub fn not_found() -> Reply {
        Reply::error(StatusCode::NOT_FOUND, "Not Found")
    }

    pub fn unprocessable(message: &str) -> Reply {
        Reply::error(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub fn over(limit: Over, left: Left) -> Reply {
        match limit {
            Over::Primary => Reply::error(
                StatusCode::FORBIDDEN,
                "API rate limit exceeded for user ID 583231. If you reach out to GitHub Support for help, please \
                 include the request ID and timestamp.",
            )
            .header("x-ratelimit-reset", left.reset.to_string()),
            Over::Secondary(wait) => Reply::error(
                StatusCode::FORBIDDEN,
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            )
            .header("retry-after", wait.to_string()),
        }
    }

    pub fn header(mut self, name: &'static str, value: String) -> Reply {
        self.headers.push((name, value));
        self
    }

    pub fn with_status(mut self, status: StatusCode) -> Reply {
        self.status = status;
        self
    }
}

/// One page of `items`, under `key` with the total (or bare when there is no key), with the links to the others.
pub fn page(items: Vec<Value>, key: Option<&str>, url: &str, query: &Query) -> Reply {
    let number = |name: &str| query.get(name).and_then(|v| v.parse::<usize>().ok());
    let size = number("per_page").unwrap_or(PER_PAGE).clamp(1, MOST_PER_PAGE);
    let page = number("page").unwrap_or(1).max(1);
    let total = items.len();
    let last = total.div_ceil(size).max(1);
    let shown: Vec<Value> = items.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
    let others = query.others(&["page", "per_page"]);
    let link = |to: usize, rel: &str| format!("<{url}?{others}per_page={size}&page={to}>; rel=\"{rel}\"");
    let mut links = Vec::new();
    if page > 1 {
        links.push(link((page - 1).min(last), "prev"));
    }
    if page < last {
        links.extend([link(page + 1, "next"), link(last, "last")]);
    }
    if page > 1 {
        links.push(link(1, "first"));
    }
    let reply = Reply::ok(match key {
        Some(key) => json!({"total_count": total, key: shown}),
        None => shown.into(),
    });
    if links.is_empty() { reply } else { reply.header("link", links.join(", ")) }
}

/// Whether the reply is what the client already has.
pub fn unchanged(reply: &Reply, asked: &HeaderMap) -> Option<String> {
    let Payload::Json(body) = &reply.payload else { return None };
    let digest: String = Sha256::digest(body.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("W/\"{digest}\"");
    let given = asked.get("if-none-match").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let same = reply.status == StatusCode::OK && given.split(',').any(|g| bare(g) == bare(&tag));
    Some(if same { format!("={tag}") } else { tag })
}

/// Adds what every answer carries.
pub fn finish(hub: &Hub, reply: Reply, tag: Option<String>, version: &str) -> Response<Body> {
    let left = hub.left();
    let (kind, body) = match reply.payload {
        Payload::Empty => (None, Body::empty()),
        Payload::Json(body) => (Some("application/json; charset=utf-8"), Body::from(body.to_string())),
        Payload::Bytes(kind, bytes) => (Some(kind), Body::from(bytes)),
    };
    let same = tag.as_deref().is_some_and(|t| t.starts_with('='));
    let mut response = Response::new(if same { Body::empty() } else { body });
    *response.status_mut() = if same { StatusCode::NOT_MODIFIED } else { reply.status };
    let common = [
        ("server", "github.com".to_owned()),
        ("date", hub.clock().header()),
        ("x-ratelimit-limit", HOURLY.to_string()),
        ("x-ratelimit-remaining", left.remaining().to_string()),
        ("x-ratelimit-used", left.used.to_string()),
        ("x-ratelimit-reset", left.reset.to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
        ("x-github-request-id", crate::sandbox::postgres::plain(20).to_uppercase()),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
        ("x-github-api-version-selected", version.to_owned()),
        ("x-oauth-scopes", "repo, workflow".to_owned()),
        ("x-accepted-oauth-scopes", "repo".to_owned()),
        ("cache-control", "private, max-age=60, s-maxage=60".to_owned()),
        ("content-type", kind.unwrap_or_default().to_owned()),
        ("etag", tag.as_deref().map(|t| t.trim_start_matches('=')).unwrap_or_default().to_owned()),
    ];
    for (name, value) in common.into_iter().chain(reply.headers) {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
