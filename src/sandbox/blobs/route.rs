//! Which request is which: `/{account}`, `/{account}/{container}` and `/{account}/{container}/{blob}`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Method, Request, Response, StatusCode};

use super::answer::{Refused, finish, plain};
use super::{ACCOUNT, Desk, auth, list, read, write};
use crate::sandbox::address::{decode, pairs};

/// Answers any request.
pub async fn answer(State(desk): State<Arc<Desk>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let answer = match auth::check(&desk, &parts.headers) {
        Err(refused) => Err(refused),
        Ok(()) => managed(&desk, &parts.method, parts.uri.path(), &query, &parts.headers, body).await,
    };
    finish(answer, &parts.headers, desk.clock.now(), head)
}

/// A query string.
#[derive(Debug, Default)]
pub struct Query(HashMap<String, String>);

impl Query {
    fn parse(text: &str) -> Query {
        Query(pairs(text).into_iter().collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

async fn managed(
    desk: &Desk,
    method: &Method,
    path: &str,
    query: &Query,
    asked: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, Refused> {
    let path = decode(path.trim_start_matches('/')).ok_or_else(bad_uri)?;
    let (account, rest) = path.split_once('/').unwrap_or((&path, ""));
    if account != ACCOUNT {
        let message = "The specified account does not exist.";
        return Err(Refused::new(StatusCode::NOT_FOUND, "ResourceNotFound", message));
    }
    match rest.split_once('/').unwrap_or((rest, "")) {
        ("", _) => in_account(desk, method, query),
        (container, "") => in_container(desk, method, container, query),
        (_, name) if name.len() > 1_024 => Err(bad_uri()),
        (container, name) => in_blob(desk, method, (container, name), query, asked, body).await,
    }
}

fn bad_uri() -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "InvalidUri", "The requested URI does not represent any resource.")
}

fn wrong_verb() -> Refused {
    let message = "The resource doesn't support specified Http Verb.";
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", message)
}

fn in_account(desk: &Desk, method: &Method, query: &Query) -> Result<Response<Body>, Refused> {
    match query.get("comp") {
        Some("list") if method == Method::GET => Ok(list::containers(desk)),
        Some(other) => Err(Refused::parameter("comp", other)),
        None => Err(wrong_verb()),
    }
}

fn in_container(
    desk: &Desk,
    method: &Method,
    container: &str,
    query: &Query,
) -> Result<Response<Body>, Refused> {
    if query.get("restype") != Some("container") {
        return Err(bad_uri());
    }
    match (method.as_str(), query.get("comp")) {
        ("GET", Some("list")) => list::blobs(desk, container, query),
        (_, Some(other)) => Err(Refused::parameter("comp", other)),
        ("GET" | "HEAD", None) => {
            let all = desk.store.containers();
            let found = all.iter().find(|(name, _)| name == container);
            let (_, immutable) = found.ok_or_else(Refused::no_container)?;
            let headers = [
                ("etag", "\"0x8DE000000000001\"".to_owned()),
                ("last-modified", desk.clock.header()),
                ("x-ms-lease-status", "unlocked".to_owned()),
                ("x-ms-lease-state", "available".to_owned()),
                ("x-ms-has-immutability-policy", immutable.to_string()),
                ("x-ms-has-legal-hold", "false".to_owned()),
            ];
            Ok(plain(StatusCode::OK, &headers, Body::empty()))
        }
        ("PUT", None) => {
            let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if !(3..=63).contains(&container.len()) || !container.chars().all(fine) {
                let message = "The specifed resource name contains invalid characters.";
                return Err(Refused::new(StatusCode::BAD_REQUEST, "InvalidResourceName", message));
            }
            desk.store.make_container(container)?;
            let headers =
                [("etag", "\"0x8DE000000000001\"".to_owned()), ("last-modified", desk.clock.header())];
            Ok(plain(StatusCode::CREATED, &headers, Body::empty()))
        }
        _ => Err(wrong_verb()),
    }
}

async fn in_blob(
    desk: &Desk,
    method: &Method,
    at: (&str, &str),
    query: &Query,
    asked: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, Refused> {
    match (method.as_str(), query.get("comp")) {
        ("GET" | "HEAD", None) => {
            let blob = desk.store.get(at.0, at.1)?;
            read::get(&blob, asked, method == Method::HEAD).await.map(|mut response| {
                for (key, value) in &blob.properties.metadata {
                    let name = http::HeaderName::from_bytes(format!("x-ms-meta-{key}").as_bytes());
                    if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_str(value)) {
                        response.headers_mut().insert(name, value);
                    }
                }
                response
            })
        }
        ("PUT", None) => write::put(desk, at, asked, body).await,
        ("PUT", Some("block")) => {
            let id = query.get("blockid").unwrap_or_default();
            write::put_block(desk, at, id, asked, body).await
        }
        ("PUT", Some("blocklist")) => write::put_block_list(desk, at, asked, body).await,
        ("DELETE", None) => {
            desk.store.delete(at.0, at.1)?;
            let headers = [("x-ms-delete-type-permanent", "false".to_owned())];
            Ok(plain(StatusCode::ACCEPTED, &headers, Body::empty()))
        }
        (_, Some(other)) => Err(Refused::parameter("comp", other)),
        _ => Err(wrong_verb()),
    }
}
