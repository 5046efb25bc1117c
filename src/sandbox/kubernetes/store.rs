//! The cluster's memory: objects under one growing revision, and a bounded log of what changed, from which watches
//! replay and older states are told. Knows nothing of HTTP.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::json::{self, int, text};
use super::kinds::Resource;

/// Namespace ("" for cluster-scoped) and name.
pub type Key = (String, String);

/// Changes kept for watches; a watch from before them is told 410.
const LOG: usize = 4_096;
/// Estimated memory that the log may hold on to, in bytes.
const LOG_BYTES: usize = 24 << 20;
/// Kubernetes Events kept.
const EVENTS: usize = 1_000;
/// Marks objects that no controller may touch.
pub const UNMANAGED: &str = "/metadata/annotations/drtui.sandbox~1unmanaged";

/// An immutable version of an object, with its JSON text made at most once.
#[derive(Debug)]
pub struct Object {
    pub value: Value,
    text: OnceLock<Bytes>,
    weight: usize,
}

impl Object {
    fn new(value: Value) -> Arc<Self> {
        let weight = weight(&value);
        Arc::new(Object { value, text: OnceLock::new(), weight })
    }

    pub fn json(&self) -> &Bytes {
        self.text.get_or_init(|| Bytes::from(self.value.to_string()))
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// One entry of the log. Revisions in the log have no gaps.
#[derive(Debug, Clone)]
pub struct Entry {
    pub revision: u64,
    pub resource: Resource,
    pub change: Change,
    pub object: Arc<Object>,
    pub before: Option<Arc<Object>>,
}

type Objects = BTreeMap<Key, Arc<Object>>;

/// Something that a controller must look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    Deployment(Key),
    Job(Key),
    /// A pod that nobody owns.
    Pod(Key),
}

/// The state behind the lock.
#[derive(Debug, Default)]
pub struct Inner {
    revision: u64,
    objects: BTreeMap<Resource, Objects>,
    log: VecDeque<Entry>,
    log_bytes: usize,
    dirty: BTreeSet<Work>,
    events: VecDeque<Key>,
    /// Deployments whose pods crash, with the waiting reason.
    pub troubled: HashMap<Key, String>,
}

/// The store; share it in an `Arc`.
#[derive(Debug)]
pub struct Store {
    inner: Mutex<Inner>,
    revision: watch::Sender<u64>,
    /// Told when there is something for the controllers.
    pub work: Notify,
}

impl Default for Store {
    fn default() -> Self {
        Store { inner: Mutex::default(), revision: watch::Sender::new(0), work: Notify::new() }
    }
}

impl Store {
    pub fn read<R>(&self, look: impl FnOnce(&Inner) -> R) -> R {
        look(&self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state; watchers and controllers are told once, at the end.
    pub fn write<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.revision;
        let result = change(&mut inner);
        let (after, work) = (inner.revision, !inner.dirty.is_empty());
        drop(inner);
        if after != before {
            self.revision.send_replace(after);
        }
        if work {
            self.work.notify_one();
        }
        result
    }

    /// Follows the revision.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}

impl Inner {
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&resource)?.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Objects of one namespace (or of all), in key order.
    pub fn all<'a>(
        &'a self,
        resource: Resource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Object>)> {
        let from = (namespace.unwrap_or_default().to_owned(), String::new());
        let objects = self.objects.get(&resource).into_iter();
        objects
            .flat_map(move |objects| objects.range(from.clone()..))
            .take_while(move |(key, _)| namespace.is_none_or(|wanted| key.0 == wanted))
    }

    /// Objects of a namespace whose names begin with `prefix`.
    pub fn prefixed<'a>(
        &'a self,
        resource: Resource,
        namespace: &'a str,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let from = (namespace.to_owned(), prefix.to_owned());
        let objects = self.objects.get(&resource).into_iter();
        objects
            .flat_map(move |objects| objects.range(from.clone()..))
            .take_while(move |(key, _)| key.0 == namespace && key.1.starts_with(prefix))
            .map(|(_, object)| object)
    }

    /// Creates or replaces; an unchanged object keeps its version. Fills in uid, creation time, generation and version.
    pub fn put(&mut self, resource: Resource, value: Value) -> Arc<Object> {
        let (object, changed) = self.put_quietly(resource, value);
        if changed {
            self.mark(resource, &object.value);
        }
        object
    }

    /// As `put`, without waking a controller. Says whether something changed.
    pub fn put_quietly(&mut self, resource: Resource, mut value: Value) -> (Arc<Object>, bool) {
        let key = key_of(&value);
        let before = self.objects.get(&resource).and_then(|objects| objects.get(&key)).cloned();
        match &before {
            Some(before) => {
                let version = text(&before.value, "/metadata/resourceVersion").to_owned();
                json::set(&mut value, &["metadata", "resourceVersion"], version.into());
                settle_generation(resource, &before.value, &mut value);
                if value == before.value {
                    return (Arc::clone(before), false);
                }
            }
            None => fill_in(resource, &mut value),
        }
        self.revision += 1;
        json::set(&mut value, &["metadata", "resourceVersion"], self.revision.to_string().into());
        let object = Object::new(value);
        self.objects.entry(resource).or_default().insert(key.clone(), Arc::clone(&object));
        let change = if before.is_some() { Change::Modified } else { Change::Added };
        self.record(resource, change, &object, before);
        if resource == Resource::Event && change == Change::Added {
            self.events.push_back(key);
            while self.events.len() > EVENTS {
                if let Some((namespace, name)) = self.events.pop_front() {
                    self.delete(Resource::Event, &namespace, &name);
                }
            }
        }
        (object, true)
    }

    /// Removes an object; what is returned carries the version of its removal.
    pub fn delete(&mut self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let key = (namespace.to_owned(), name.to_owned());
        let before = self.objects.get_mut(&resource)?.remove(&key)?;
        self.revision += 1;
        let mut value = before.value.clone();
        json::set(&mut value, &["metadata", "resourceVersion"], self.revision.to_string().into());
        let object = Object::new(value);
        self.record(resource, Change::Deleted, &object, Some(before));
        self.mark(resource, &object.value);
        Some(object)
    }

    fn record(
        &mut self,
        resource: Resource,
        change: Change,
        object: &Arc<Object>,
        before: Option<Arc<Object>>,
    ) {
        let object = Arc::clone(object);
        self.log_bytes += object.weight;
        self.log.push_back(Entry { revision: self.revision, resource, change, object, before });
        while self.log.len() > LOG || self.log_bytes > LOG_BYTES {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes = self.log_bytes.saturating_sub(oldest.object.weight);
        }
    }

    /// Notes which deployment is touched by a change.
    fn mark(&mut self, resource: Resource, value: &Value) {
        if value.pointer(UNMANAGED).is_some() {
            return;
        }
        let namespace = text(value, "/metadata/namespace");
        let key = |name: &str| (namespace.to_owned(), name.to_owned());
        let work = match resource {
            Resource::Deployment => Work::Deployment(key(text(value, "/metadata/name"))),
            Resource::ReplicaSet => Work::Deployment(key(deployment_of(value))),
            Resource::Hpa => Work::Deployment(key(text(value, "/spec/scaleTargetRef/name"))),
            Resource::Job => Work::Job(key(text(value, "/metadata/name"))),
            Resource::Pod => match (deployment_of(value), job_of(value)) {
                ("", "") => Work::Pod(key(text(value, "/metadata/name"))),
                ("", job) => Work::Job(key(job)),
                (deployment, _) => Work::Deployment(key(deployment)),
            },
            _ => return,
        };
        match &work {
            Work::Deployment((_, name)) if name.is_empty() => {}
            _ => {
                self.dirty.insert(work);
            }
        }
    }

    /// Asks the controllers to look at a deployment.
    pub fn touch(&mut self, namespace: &str, name: &str) {
        self.dirty.insert(Work::Deployment((namespace.to_owned(), name.to_owned())));
    }

    /// Asks the controllers to look at what owns a pod, or at the pod itself.
    pub fn touch_pod(&mut self, pod: &Value) {
        self.mark(Resource::Pod, pod);
    }

    /// What to look at, which is then forgotten.
    pub fn take_dirty(&mut self) -> BTreeSet<Work> {
        std::mem::take(&mut self.dirty)
    }

    /// The oldest revision from which a watch can still start.
    pub fn oldest(&self) -> u64 {
        self.log.front().map_or(self.revision, |first| first.revision - 1)
    }

    /// Forgets the log: every watch from before now is told 410.
    pub fn compact(&mut self) {
        self.log.clear();
        self.log_bytes = 0;
    }

    /// What changed after `revision`; `None` when that is compacted away.
    pub fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Entry>> {
        let oldest = self.oldest();
        let skip = revision.checked_sub(oldest)?;
        Some(self.log.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)))
    }

    /// The objects as they were at `revision`; `None` when that is compacted away.
    pub fn at(&self, resource: Resource, namespace: Option<&str>, revision: u64) -> Option<Objects> {
        let mut then: Objects =
            self.all(resource, namespace).map(|(key, object)| (key.clone(), Arc::clone(object))).collect();
        let after: Vec<&Entry> = self.since(revision)?.collect();
        for entry in after.into_iter().rev().filter(|entry| entry.resource == resource) {
            let key = key_of(&entry.object.value);
            if namespace.is_some_and(|wanted| key.0 != wanted) {
                continue;
            }
            match &entry.before {
                Some(before) => then.insert(key, Arc::clone(before)),
                None => then.remove(&key),
            };
        }
        Some(then)
    }
}

pub fn key_of(value: &Value) -> Key {
    (text(value, "/metadata/namespace").to_owned(), text(value, "/metadata/name").to_owned())
}

/// The deployment a replica set or a pod belongs to by its name and hash; "" if none.
pub fn deployment_of<'a>(value: &'a Value) -> &'a str {
    let hash = text(value, "/metadata/labels/pod-template-hash");
    let owner = text(value, "/metadata/ownerReferences/0/name");
    let without_hash = |name: &'a str| name.strip_suffix(hash).and_then(|name| name.strip_suffix('-'));
    match text(value, "/metadata/ownerReferences/0/kind") {
        "Deployment" => owner,
        "ReplicaSet" => without_hash(owner).unwrap_or_default(),
        // An orphan still has the name of what it belonged to.
        "" if text(value, "/kind") == "ReplicaSet" => {
            without_hash(text(value, "/metadata/name")).unwrap_or_default()
        }
        _ => "",
    }
}

/// The job that owns a pod; "" if none.
pub fn job_of(value: &Value) -> &str {
    match text(value, "/metadata/ownerReferences/0/kind") {
        "Job" => text(value, "/metadata/ownerReferences/0/name"),
        _ => "",
    }
}

/// About how much memory a value takes, in bytes; its text comes on top of that once it is made.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) => 32 + 2 * text.len(),
        Value::Array(items) => 64 + items.iter().map(weight).sum::<usize>(),
        // A map's nodes have room for eleven members each.
        Value::Object(map) => {
            let nodes = 1 + map.len() / 8;
            nodes * 640 + map.iter().map(|(key, value)| 2 * key.len() + weight(value)).sum::<usize>()
        }
    }
}

fn settle_generation(resource: Resource, before: &Value, value: &mut Value) {
    if !resource.has_generation() {
        return;
    }
    let step = i64::from(before.get("spec") != value.get("spec"));
    let generation = int(before, "/metadata/generation") + step;
    json::set(value, &["metadata", "generation"], generation.into());
}

fn fill_in(resource: Resource, value: &mut Value) {
    if value.pointer("/metadata/uid").is_none() {
        json::set(value, &["metadata", "uid"], uid().into());
    }
    if value.pointer("/metadata/creationTimestamp").and_then(Value::as_str).is_none() {
        json::set(value, &["metadata", "creationTimestamp"], json::now().into());
    }
    if resource.has_generation() {
        json::set(value, &["metadata", "generation"], 1.into());
    }
}

/// A random UUID (version 4).
pub fn uid() -> String {
    let bits: u128 = rand::random();
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests;
