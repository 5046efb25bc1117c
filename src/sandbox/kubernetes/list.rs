//! Lists: a consistent state, narrowed, in pages.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::api::reply;
use super::json::{int, text};
use super::kinds::Resource;
use super::refusal::Refusal;
use super::route::{Options, Route};
use super::selector::Selector;
use super::store::{Inner, Key, Object, Store};
use super::table::Format;

/// One object.
pub fn one(store: &Store, resource: Resource, route: &Route) -> Result<Arc<Object>, Refusal> {
    let name = route.name();
    let found = store.read(|inner| inner.get(resource, route.namespace(), name).cloned());
    found.ok_or_else(|| Refusal::not_found(resource, name))
}

/// A page of a list, at one revision.
#[derive(Debug)]
pub struct Page {
    pub revision: u64,
    pub items: Vec<Arc<Object>>,
    /// Where the next page goes on, and how many objects are still to come.
    pub more: Option<(String, usize)>,
}

/// Answers a list request.
pub fn answer(
    store: &Store,
    resource: Resource,
    route: &Route,
    options: &Options,
    format: &Format,
) -> Result<Response<Body>, Refusal> {
    let selector = options.selector(resource)?;
    let page = store.read(|inner| page(inner, resource, route.namespace.as_deref(), options, &selector))?;
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some((token, left)) = &page.more {
        metadata = json!({"resourceVersion": page.revision.to_string(), "continue": token});
        if selector.is_empty() {
            super::json::set(&mut metadata, &["remainingItemCount"], (*left).into());
        }
    }
    Ok(reply(StatusCode::OK, format.list(resource, &metadata, &page.items)))
}

fn page(
    inner: &Inner,
    resource: Resource,
    namespace: Option<&str>,
    options: &Options,
    selector: &Selector,
) -> Result<Page, Refusal> {
    let current = inner.revision();
    let limit = options.number("limit")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let (revision, after) = match options.get("continue") {
        "" => (wanted(inner, options)?, None),
        token => {
            let (revision, key) = resume(token)?;
            (Some(revision), Some(key))
        }
    };
    let items: Vec<(Key, Arc<Object>)> = match revision {
        Some(revision) if revision != current => {
            let then =
                inner.at(resource, namespace, revision).ok_or_else(|| gone(inner, options, revision))?;
            then.into_iter().collect()
        }
        _ => inner.all(resource, namespace).map(|(k, o)| (k.clone(), Arc::clone(o))).collect(),
    };
    let revision = revision.unwrap_or(current);
    let mut fit = items.into_iter().filter(|(key, object)| {
        after.as_ref().is_none_or(|after| key > after) && selector.takes(&object.value)
    });
    let page: Vec<(Key, Arc<Object>)> = fit.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
    let left = fit.count();
    let more = page.last().filter(|_| left > 0).map(|(key, _)| (token(revision, key), left));
    Ok(Page { revision, items: page.into_iter().map(|(_, object)| object).collect(), more })
}

/// The exact revision a list must be of; `None` for the newest.
fn wanted(inner: &Inner, options: &Options) -> Result<Option<u64>, Refusal> {
    let Some(asked) = options.number("resourceVersion")?.filter(|asked| *asked > 0) else { return Ok(None) };
    let current = inner.revision();
    if asked > current {
        return Err(Refusal::too_new(asked, current));
    }
    match options.get("resourceVersionMatch") {
        "Exact" => Ok(Some(asked)),
        "" | "NotOlderThan" => Ok(None),
        other => Err(Refusal::bad_request(format!("resourceVersionMatch: Unsupported value: \"{other}\""))),
    }
}

fn gone(inner: &Inner, options: &Options, revision: u64) -> Refusal {
    if options.get("continue").is_empty() {
        Refusal::expired(format!("too old resource version: {revision} ({})", inner.revision()))
    } else {
        Refusal::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter.",
        )
    }
}

fn token(revision: u64, key: &Key) -> String {
    URL_SAFE_NO_PAD.encode(json!({"v": 1, "rv": revision, "namespace": key.0, "name": key.1}).to_string())
}

fn resume(token: &str) -> Result<(u64, Key), Refusal> {
    let bad = || Refusal::bad_request("continue key is not valid: it is not one this server has given");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let revision = u64::try_from(int(&value, "/rv")).map_err(|_| bad())?;
    if int(&value, "/v") != 1 {
        return Err(bad());
    }
    Ok((revision, (text(&value, "/namespace").to_owned(), text(&value, "/name").to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(query: &str) -> Options {
        Options::parse(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    fn store() -> Store {
        let store = Store::default();
        store.write(|inner| {
            for name in ["a", "b", "c", "d", "e"] {
                put(inner, name);
            }
        });
        store
    }

    fn put(inner: &mut Inner, name: &str) {
        inner.put(Resource::Secret, json!({"metadata": {"namespace": "ns", "name": name}}));
    }

    fn names(page: &Page) -> Vec<&str> {
        page.items.iter().map(|item| text(&item.value, "/metadata/name")).collect()
    }

    fn ask(store: &Store, query: &str) -> Result<Page, Refusal> {
        store.read(|inner| page(inner, Resource::Secret, None, &options(query), &Selector::default()))
    }

    #[test]
    fn pages_are_of_one_moment() {
        let store = store();
        let first = ask(&store, "limit=2").unwrap();
        assert_eq!(names(&first), ["a", "b"]);
        let (token, left) = first.more.clone().unwrap();
        assert_eq!(left, 3);
        store.write(|inner| {
            inner.delete(Resource::Secret, "ns", "d");
            put(inner, "bb");
        });
        let second = ask(&store, &format!("limit=2&continue={token}")).unwrap();
        assert_eq!(names(&second), ["c", "d"]);
        assert_eq!(second.revision, first.revision);
        let (token, _) = second.more.unwrap();
        let third = ask(&store, &format!("limit=2&continue={token}")).unwrap();
        assert_eq!(names(&third), ["e"]);
        assert!(third.more.is_none());
        store.write(Inner::compact);
        assert_eq!(ask(&store, &format!("continue={token}")).unwrap_err().code, 410);
        assert_eq!(ask(&store, "continue=rubbish").unwrap_err().code, 400);
    }

    #[test]
    fn versions_asked_for() {
        let store = store();
        assert_eq!(ask(&store, "resourceVersion=0").unwrap().items.len(), 5);
        assert_eq!(ask(&store, "resourceVersion=2").unwrap().revision, 5, "not older than");
        let exact = ask(&store, "resourceVersion=2&resourceVersionMatch=Exact").unwrap();
        assert_eq!((names(&exact), exact.revision), (vec!["a", "b"], 2));
        assert_eq!(ask(&store, "resourceVersion=9").unwrap_err().status["reason"], "Timeout");
        assert_eq!(ask(&store, "resourceVersion=x").unwrap_err().code, 400);
        store.write(Inner::compact);
        assert_eq!(ask(&store, "resourceVersion=2&resourceVersionMatch=Exact").unwrap_err().code, 410);
    }
}
