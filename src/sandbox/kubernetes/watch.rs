//! Watches: what changed after a version, as JSON lines, for as long as the client listens. Bookmarks keep the client's
//! version fresh; a version that is compacted away ends the watch with an ERROR event of code 410.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Response, StatusCode};
use hyper::body::Bytes;
use rand::Rng;
use serde_json::Value;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::super::serve::{Stop, stopped};
use super::api::{Api, reply};
use super::kinds::Resource;
use super::refusal::Refusal;
use super::route::{Options, Route};
use super::selector::Selector;
use super::store::{Change, Entry, Object, Store};
use super::table::Format;

const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// The last bookmark comes this long before the watch's own end.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

struct Watch {
    store: Arc<Store>,
    resource: Resource,
    namespace: Option<String>,
    selector: Selector,
    format: Format,
    /// Told up to this revision.
    told: u64,
    /// Text to send before anything else.
    first: Option<Bytes>,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    changed: Receiver<u64>,
    stop: Stop,
    over: bool,
}

/// Begins a watch.
pub fn start(
    api: &Api,
    resource: Resource,
    route: &Route,
    options: &Options,
    format: Format,
) -> Result<Response<Body>, Refusal> {
    if options.is("sendInitialEvents") {
        let detail = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return Err(Refusal::invalid("ListOptions.meta.k8s.io", "", "sendInitialEvents", detail));
    }
    let mut selector = options.selector(resource)?;
    if let Some(name) = &route.name {
        selector = selector.named(name);
    }
    let seconds = options.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
    let lasts =
        Duration::from_secs(seconds.unwrap_or_else(|| rand::rng().random_range(1_800..3_600)).min(86_400));
    let now = Instant::now();
    let mut watch = Watch {
        store: Arc::clone(&api.store),
        resource,
        namespace: route.namespace.clone(),
        selector,
        format,
        told: 0,
        first: None,
        bookmarks: options.is("allowWatchBookmarks"),
        next_bookmark: (now + BOOKMARK_EVERY).min(now + lasts.saturating_sub(BOOKMARK_BEFORE_END)),
        end: now + lasts,
        changed: api.store.subscribe(),
        stop: api.stop.clone(),
        over: false,
    };
    watch.begin(options.number("resourceVersion")?.unwrap_or_default());
    let lines = futures::stream::unfold(watch, |mut watch| async move {
        let text = watch.next().await?;
        Some((Ok::<_, Infallible>(text), watch))
    });
    Ok(reply(StatusCode::OK, Body::from_stream(lines)))
}

impl Watch {
    /// Sets where the watch starts: at `version`, or with the present state when it is 0.
    fn begin(&mut self, version: u64) {
        let store = Arc::clone(&self.store);
        store.read(|inner| {
            let current = inner.revision();
            if version > current {
                self.fail(&Refusal::too_new(version, current));
                return;
            }
            self.told = version;
            if version == 0 {
                self.told = current;
                let mut text = Vec::new();
                for (_, object) in inner.all(self.resource, self.namespace.as_deref()) {
                    if self.selector.takes(&object.value) {
                        self.format.event(&mut text, "ADDED", object);
                    }
                }
                self.first = (!text.is_empty()).then(|| Bytes::from(text));
            }
        });
    }

    fn fail(&mut self, refusal: &Refusal) {
        self.first = Some(error(refusal));
        self.over = true;
    }

    /// The next lines to send; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(first) = self.first.take() {
                return Some(first);
            }
            if self.over {
                return None;
            }
            self.changed.mark_unchanged();
            if let Some(text) = self.news() {
                return Some(text);
            }
            if self.over {
                continue;
            }
            let bookmark_at = self.bookmarks.then_some(self.next_bookmark);
            tokio::select! {
                changed = self.changed.changed() => self.over = changed.is_err(),
                () = stopped(&mut self.stop) => return None,
                () = tokio::time::sleep_until(self.end) => return None,
                () = sleep_until(bookmark_at) => {
                    let now = Instant::now();
                    let last = self.end.checked_sub(BOOKMARK_BEFORE_END).filter(|last| *last > now);
                    // After the last one the watch ends first.
                    self.next_bookmark = last.map_or(self.end + BOOKMARK_EVERY, |l| l.min(now + BOOKMARK_EVERY));
                    return Some(self.format.bookmark(self.resource, self.told));
                }
            }
        }
    }

    /// Events after what was told, if any.
    fn news(&mut self) -> Option<Bytes> {
        let store = Arc::clone(&self.store);
        let mut text = Vec::new();
        store.read(|inner| {
            let Some(entries) = inner.since(self.told) else {
                let message = format!("too old resource version: {} ({})", self.told, inner.oldest());
                self.fail(&Refusal::expired(message));
                return;
            };
            for entry in entries {
                if let Some((kind, object)) = self.seen(entry) {
                    self.format.event(&mut text, kind, object);
                }
            }
            self.told = inner.revision();
        });
        (!text.is_empty()).then(|| Bytes::from(text))
    }

    /// How an entry looks through the selector: an object that leaves the selection is deleted, one that enters is added.
    fn seen<'a>(&self, entry: &'a Entry) -> Option<(&'static str, &'a Object)> {
        if entry.resource != self.resource {
            return None;
        }
        let object = &entry.object.value;
        if self.namespace.as_deref().is_some_and(|ns| super::json::text(object, "/metadata/namespace") != ns)
        {
            return None;
        }
        let takes = |value: &Value| self.selector.takes(value);
        let before = entry.before.as_ref().is_some_and(|before| takes(&before.value));
        let after = entry.change != Change::Deleted && takes(object);
        let kind = match (before, after) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        Some((kind, &entry.object))
    }
}

fn error(refusal: &Refusal) -> Bytes {
    Bytes::from(format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", refusal.status))
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
