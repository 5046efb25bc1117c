//! Which request is which: every path without prefix and with `/api/v3`, a token, the limits.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::answer::{Reply, VERSION, finish, unchanged};
use super::limit::{HOURLY, Left};
use super::render::Links;
use super::{Hub, OWNER, REPOSITORY, actions, graphql, guard, logs, repo};
use crate::sandbox::address::{decode, encode, pairs};

/// Largest request body.
const MOST_BODY: usize = 1 << 20;
const VERSIONS: [&str; 2] = [VERSION, "2026-03-10"];

/// Answers any request.
pub async fn answer(State(hub): State<Arc<Hub>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let asked = parts.headers.get("x-github-api-version").and_then(|v| v.to_str().ok());
    let version = asked.unwrap_or(VERSION).to_owned();
    let raw: Vec<&str> = parts.uri.path().split('/').filter(|s| !s.is_empty()).collect();
    let decoded: Option<Vec<String>> = raw.iter().map(|s| decode(s)).collect();
    let decoded = decoded.unwrap_or_default();
    let path: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let query = Query::parse(parts.uri.query().unwrap_or_default());

    if let [logs::PREFIX, key] = path.as_slice() {
        let bearer = parts.headers.get("authorization").is_some_and(|v| v.as_bytes().starts_with(b"Bearer "));
        let reply = logs::fetch(&hub, key, bearer);
        return finish(&hub, reply, None, &version);
    }
    let bytes = to_bytes(body, MOST_BODY).await;
    let asked = Asked { method: &parts.method, path: &path, query: &query, headers: &parts.headers };
    let (reply, free) = match bytes {
        Err(_) => (Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large"), false),
        Ok(bytes) => respond(&hub, &asked, &bytes, &version),
    };
    let tag = if parts.method == Method::GET { unchanged(&reply, &parts.headers) } else { None };
    let same = tag.as_deref().is_some_and(|t| t.starts_with('='));
    // What has not changed costs nothing.
    if !free && !same {
        hub.limits.count();
    }
    finish(&hub, reply, tag, &version)
}

struct Asked<'a> {
    method: &'a Method,
    path: &'a [&'a str],
    query: &'a Query,
    headers: &'a HeaderMap,
}

/// The reply, and whether it is free of the limit.
fn respond(hub: &Arc<Hub>, asked: &Asked<'_>, bytes: &[u8], version: &str) -> (Reply, bool) {
    let (prefixed, path) = match asked.path {
        ["api", "v3", rest @ ..] => (true, rest),
        ["api", "graphql"] => (true, &["graphql"] as &[&str]),
        rest => (false, rest),
    };
    let api = if prefixed { format!("{}/api/v3", hub.endpoint) } else { hub.endpoint.clone() };
    let links = Links { origin: hub.endpoint.clone(), api, clock: hub.clock().clone() };
    if !VERSIONS.contains(&version) {
        return (Reply::error(StatusCode::BAD_REQUEST, "The specified API version is not supported."), true);
    }
    if let Err(refusal) = authorised(hub, asked.headers) {
        return (refusal, true);
    }
    let left = hub.left();
    if path == ["rate_limit"] {
        return (rate_limit(left), true);
    }
    let reads = matches!(*asked.method, Method::GET | Method::HEAD) || path == ["graphql"];
    if let Err(over) = hub.limits.check(!reads) {
        return (Reply::over(over, left), true);
    }
    let body = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(bytes) };
    let Ok(body) = body else {
        return (Reply::error(StatusCode::BAD_REQUEST, "Problems parsing JSON"), false);
    };
    (route(hub, &links, asked.method.as_str(), path, asked.query, &body), false)
}

/// `Authorization: token …` or `Bearer …`.
fn authorised(hub: &Hub, headers: &HeaderMap) -> Result<(), Reply> {
    let header = headers.get("authorization").and_then(|v| v.to_str().ok());
    let Some(header) = header else {
        return Err(Reply::error(StatusCode::UNAUTHORIZED, "Requires authentication"));
    };
    let token = match header.split_once(' ') {
        Some((scheme, token)) if ["token", "bearer"].contains(&scheme.to_ascii_lowercase().as_str()) => token,
        _ => "",
    };
    if token.trim() == hub.token.expose_secret() {
        return Ok(());
    }
    Err(Reply::error(StatusCode::UNAUTHORIZED, "Bad credentials"))
}

fn rate_limit(left: Left) -> Reply {
    let core =
        json!({"limit": HOURLY, "used": left.used, "remaining": left.remaining(), "reset": left.reset});
    let none = json!({"limit": HOURLY, "used": 0, "remaining": HOURLY, "reset": left.reset});
    Reply::ok(json!({"resources": {"core": core, "graphql": none, "search": none}, "rate": core}))
}

fn route(hub: &Arc<Hub>, links: &Links, method: &str, path: &[&str], query: &Query, body: &Value) -> Reply {
    match (method, path) {
        ("GET", []) => Reply::ok(json!({"current_user_url": format!("{}/user", links.api)})),
        ("GET", ["meta"]) => Reply::ok(json!({"verifiable_password_authentication": false})),
        ("GET", ["user"]) => repo::me(links),
        ("GET", ["users", login]) if repo::is_me(login) => repo::me(links),
        ("POST", ["graphql"]) => graphql::answer(hub, links, body),
        (_, ["repos", owner, name, rest @ ..])
            if owner.eq_ignore_ascii_case(OWNER) && name.eq_ignore_ascii_case(REPOSITORY) =>
        {
            in_repository(hub, links, method, rest, query, body)
        }
        _ => Reply::not_found(),
    }
}

fn in_repository(
    hub: &Arc<Hub>,
    links: &Links,
    method: &str,
    path: &[&str],
    query: &Query,
    body: &Value,
) -> Reply {
    match (method, path) {
        ("GET", []) => repo::facts(links),
        ("GET", ["contents", rest @ ..]) => repo::contents(links, &rest.join("/"), query),
        ("GET", ["branches"]) => repo::branches(hub, links, None, query),
        ("GET", ["branches", name]) => repo::branches(hub, links, Some(name), query),
        (_, ["branches", name, "protection", rest @ ..]) => {
            guard::protection(hub, links, method, name, rest, body)
        }
        ("GET", ["rules", "branches", name]) => guard::rules(hub, links, name, query),
        (_, ["rulesets", rest @ ..]) => guard::rulesets(hub, links, method, rest, query, body),
        ("GET", ["environments"]) => repo::environments(hub, links, None, query),
        ("GET", ["environments", name]) => repo::environments(hub, links, Some(name), query),
        ("GET", ["deployments", rest @ ..]) => repo::deployments(hub, links, rest, query),
        (_, ["pulls", rest @ ..]) => repo::pulls(hub, links, method, rest, query),
        (_, ["issues", number, "comments"]) => repo::comments(hub, links, method, number, query, body),
        ("GET", ["check-runs", _, "annotations"]) => Reply::ok(json!([])),
        (_, ["actions", "workflows", rest @ ..]) => actions::workflows(hub, links, method, rest, query, body),
        (_, ["actions", "runs", rest @ ..]) => actions::runs(hub, links, method, rest, query, body),
        ("GET", ["actions", "jobs", id, rest @ ..]) => actions::job(hub, links, id, rest),
        _ => Reply::not_found(),
    }
}

/// A query string, in order.
#[derive(Debug, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub fn parse(text: &str) -> Query {
        Query { pairs: pairs(text) }
    }

    /// The last non-empty value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// All others than `names`, encoded, each with `&` at its end.
    pub fn others(&self, names: &[&str]) -> String {
        let kept = self.pairs.iter().filter(|(key, _)| !names.contains(&key.as_str()));
        kept.map(|(key, value)| format!("{}={}&", encode(key), encode(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflows_path_is_one_segment() {
        assert_eq!(decode(".github%2Fworkflows%2Fbackup-db.yml").unwrap(), ".github/workflows/backup-db.yml");
        assert_eq!(decode("%G0"), None);
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let query = Query::parse("created=%3E%3D2026-11-20&page=2&event=");
        assert_eq!(query.get("event"), None);
        assert_eq!(query.others(&["page"]), "created=%3E%3D2026-11-20&event=&");
    }
}
