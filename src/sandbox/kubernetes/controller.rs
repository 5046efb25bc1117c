//! The controllers in one task: deployments, replica sets, pods and autoscalers. Driven by changes and by timers of
//! pods under way; with nothing under way it sleeps.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use serde_json::Value;
use tokio::time::Instant;

use super::super::serve::{Stop, stopped};
use super::Pace;
use super::json::{self, int, text};
use super::kinds::Resource;
use super::objects::{self, Stage};
use super::status::{self, Tally};
use super::store::{Inner, Key, Object, Store, UNMANAGED, key_of};

/// Kubernetes' grace for a pod told to stop.
pub const GRACE: Duration = Duration::from_secs(30);

/// What a timer does when it is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The pod of this uid leaves this stage.
    Pod { key: Key, uid: String, from: Stage },
    /// Look at the deployment again.
    Deployment(Key),
}

/// The controllers' own memory; everything else is in the store.
#[derive(Debug)]
pub struct Controller {
    store: Arc<Store>,
    pace: Pace,
    timers: BinaryHeap<Reverse<(Instant, Due)>>,
    /// Pods (by uid) that have a timer, and the stage it is for.
    driven: HashMap<String, Stage>,
    /// When a replica set (by uid) may stop its next pod.
    next_stop: HashMap<String, Instant>,
}

impl Controller {
    pub fn new(store: Arc<Store>, pace: Pace) -> Self {
        let (timers, driven, next_stop) = Default::default();
        Controller { store, pace, timers, driven, next_stop }
    }

    /// Runs until `stop`.
    pub async fn run(mut self, mut stop: Stop) {
        let store = Arc::clone(&self.store);
        loop {
            while self.step(Instant::now()) {
                // A thousand deployments at once must not keep the API server from answering.
                tokio::task::yield_now().await;
            }
            let next = self.next_due();
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = store.work.notified() => {}
                () = until(next) => {}
            }
        }
    }

    /// Does the first thing due at `now` and what follows from it; true if there was anything. One thing at a time, so
    /// that pods that change together are still seen one after the other.
    pub fn step(&mut self, now: Instant) -> bool {
        let store = Arc::clone(&self.store);
        store.write(|inner| {
            let mut keys = inner.take_dirty();
            if keys.is_empty() && self.next_due().is_some_and(|at| at <= now) {
                match self.timers.pop() {
                    Some(Reverse((_, Due::Pod { key, uid, from }))) => {
                        self.advance(inner, &key, &uid, from);
                        keys = inner.take_dirty();
                    }
                    Some(Reverse((_, Due::Deployment(key)))) => {
                        keys.insert(key);
                    }
                    None => {}
                }
            }
            let any = !keys.is_empty();
            for key in keys {
                self.reconcile(inner, &key, now);
            }
            any || self.next_due().is_some_and(|at| at <= now)
        })
    }

    /// When the next timer is due; `None` at rest.
    pub fn next_due(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    fn at(&mut self, at: Instant, due: Due) {
        self.timers.push(Reverse((at, due)));
    }

    /// Moves a pod on to its next stage.
    fn advance(&mut self, inner: &mut Inner, key: &Key, uid: &str, from: Stage) {
        self.driven.remove(uid);
        let Some(object) = inner.get(Resource::Pod, &key.0, &key.1).cloned() else { return };
        if text(&object.value, "/metadata/uid") != uid || objects::stage(&object.value) != from {
            // Not the stage the timer was for: the reconcile that follows sets the right one.
            inner.touch(&key.0, super::store::deployment_of(&object.value));
            return;
        }
        let mut pod = object.value.clone();
        let at = json::now();
        let node = |inner: &mut Inner, pod: &Value, reason: &str, message: &str| {
            objects::record_event(inner, pod, "kubelet", reason, message);
        };
        match from {
            Stage::Unscheduled => objects::move_pod(&mut pod, Stage::Creating, "", &at),
            Stage::Creating => {
                let container = text(&pod, "/spec/containers/0/name").to_owned();
                objects::move_pod(&mut pod, Stage::Starting, "", &at);
                node(inner, &pod, "Started", &format!("Started container {container}"));
            }
            Stage::Starting => {
                let owner = (key.0.clone(), super::store::deployment_of(&pod).to_owned());
                match inner.troubled.get(&owner).cloned() {
                    Some(reason) => {
                        objects::move_pod(&mut pod, Stage::Crashing, &reason, &at);
                        node(inner, &pod, "BackOff", "Back-off restarting failed container");
                    }
                    None => objects::move_pod(&mut pod, Stage::Ready, "", &at),
                }
            }
            Stage::Ending => {
                inner.delete(Resource::Pod, &key.0, &key.1);
                return;
            }
            Stage::Ready | Stage::Crashing => return,
        }
        inner.put(Resource::Pod, pod);
    }

    /// Gives every pod under way a timer for its present stage; `place` spreads pods that start together.
    fn drive(&mut self, pod: &Value, place: u32, now: Instant) {
        let stage = objects::stage(pod);
        let uid = text(pod, "/metadata/uid");
        if self.driven.get(uid) == Some(&stage) {
            return;
        }
        let Pace { schedule, create, ready, terminate, stagger } = self.pace;
        let wait = match stage {
            Stage::Unscheduled => between(schedule) + stagger * place,
            Stage::Creating => between(create),
            Stage::Starting => between(ready),
            Stage::Ending => between(terminate),
            Stage::Ready | Stage::Crashing => {
                self.driven.remove(uid);
                return;
            }
        };
        self.driven.insert(uid.to_owned(), stage);
        self.at(now + wait, Due::Pod { key: key_of(pod), uid: uid.to_owned(), from: stage });
    }

    /// Brings one deployment a step nearer to what it should be.
    fn reconcile(&mut self, inner: &mut Inner, key: &Key, now: Instant) {
        let deployment = inner.get(Resource::Deployment, &key.0, &key.1).cloned();
        let uid = deployment.as_ref().map(|d| text(&d.value, "/metadata/uid").to_owned()).unwrap_or_default();
        self.collect_garbage(inner, key, &uid);
        let Some(deployment) = deployment else {
            self.drive_all(inner, key, now);
            return;
        };
        if deployment.value.pointer(UNMANAGED).is_some() {
            return;
        }
        let mut deployment = deployment.value.clone();
        self.autoscale(inner, &mut deployment);
        let current = current_set(inner, &mut deployment);
        roll(inner, &deployment, &current);
        for set in owned_sets(inner, &deployment) {
            self.keep_count(inner, &set, now);
        }
        self.drive_all(inner, key, now);
        forget_old_sets(inner, &deployment, &current);
        report(inner, deployment, &current);
    }

    /// Removes replica sets of no or another deployment, and stops pods of no replica set.
    fn collect_garbage(&mut self, inner: &mut Inner, key: &Key, uid: &str) {
        let prefix = format!("{}-", key.1);
        let lost: Vec<String> = inner
            .prefixed(Resource::ReplicaSet, &key.0, &prefix)
            .map(|set| &set.value)
            .filter(|set| text(set, "/metadata/ownerReferences/0/name") == key.1)
            .filter(|set| text(set, "/metadata/ownerReferences/0/uid") != uid)
            .map(|set| text(set, "/metadata/name").to_owned())
            .collect();
        for name in lost {
            if let Some(set) = inner.delete(Resource::ReplicaSet, &key.0, &name) {
                self.next_stop.remove(text(&set.value, "/metadata/uid"));
            }
        }
        let orphans: Vec<Arc<Object>> = pods_of(inner, key)
            .filter(|pod| {
                let owner = text(&pod.value, "/metadata/ownerReferences/0/name");
                let set = inner.get(Resource::ReplicaSet, &key.0, owner);
                let owner = text(&pod.value, "/metadata/ownerReferences/0/uid");
                set.is_none_or(|set| text(&set.value, "/metadata/uid") != owner)
            })
            .filter(|pod| objects::stage(&pod.value) != Stage::Ending)
            .cloned()
            .collect();
        for pod in orphans {
            end(inner, &pod.value);
        }
    }

    fn drive_all(&mut self, inner: &Inner, key: &Key, now: Instant) {
        let mut place = 0;
        for pod in pods_of(inner, key) {
            if objects::stage(&pod.value) == Stage::Unscheduled {
                self.drive(&pod.value, place, now);
                place += 1;
            } else {
                self.drive(&pod.value, 0, now);
            }
        }
    }

    /// Applies the deployment's autoscaler, if any: bounds hold unless it is paused at 0 replicas.
    fn autoscale(&mut self, inner: &mut Inner, deployment: &mut Value) {
        let (namespace, name) = key_of(deployment);
        let scaler = inner
            .all(Resource::Hpa, Some(&namespace))
            .map(|(_, scaler)| scaler)
            .find(|scaler| text(&scaler.value, "/spec/scaleTargetRef/name") == name)
            .cloned();
        let Some(scaler) = scaler else { return };
        let wanted = int(deployment, "/spec/replicas");
        let min = scaler.value.pointer("/spec/minReplicas").and_then(Value::as_i64).unwrap_or(1);
        let bounded = wanted.min(int(&scaler.value, "/spec/maxReplicas")).max(min);
        if wanted != 0 && bounded != wanted {
            json::set(deployment, &["spec", "replicas"], bounded.into());
            *deployment = inner.put(Resource::Deployment, deployment.clone()).value.clone();
            let message = format!("New size: {bounded}; reason: Current number of replicas out of bounds");
            let by = "horizontal-pod-autoscaler";
            objects::record_event(inner, &scaler.value, by, "SuccessfulRescale", &message);
        }
        let mut changed = scaler.value.clone();
        let target = if wanted == 0 { 0 } else { bounded };
        status::of_autoscaler(&mut changed, int(deployment, "/status/replicas"), target, &json::now());
        inner.put(Resource::Hpa, changed);
    }

    /// Starts the pods a replica set lacks; stops those it has too many, one at a time.
    fn keep_count(&mut self, inner: &mut Inner, set: &Value, now: Instant) {
        let wanted = usize::try_from(int(set, "/spec/replicas")).unwrap_or_default();
        let mut active: Vec<Arc<Object>> = active_pods(inner, set);
        for _ in active.len()..wanted {
            let pod = inner.put(Resource::Pod, objects::pod(set));
            let message = format!("Created pod: {}", text(&pod.value, "/metadata/name"));
            objects::record_event(inner, set, "replicaset-controller", "SuccessfulCreate", &message);
        }
        let uid = text(set, "/metadata/uid").to_owned();
        if active.len() <= wanted {
            self.next_stop.retain(|known, free_at| *known != uid || *free_at > now);
            return;
        }
        let free_at = self.next_stop.get(&uid).copied().unwrap_or(now);
        let key = (text(set, "/metadata/namespace").to_owned(), super::store::deployment_of(set).to_owned());
        if free_at > now {
            self.at(free_at, Due::Deployment(key));
            return;
        }
        // Not ready ones first, then the newest.
        active.sort_by_key(|pod| {
            let ready = objects::stage(&pod.value) == Stage::Ready;
            (ready, Reverse(text(&pod.value, "/metadata/creationTimestamp").to_owned()))
        });
        if let Some(pod) = active.first() {
            let message = format!("Deleted pod: {}", text(&pod.value, "/metadata/name"));
            objects::record_event(inner, set, "replicaset-controller", "SuccessfulDelete", &message);
            end(inner, &pod.value);
        }
        self.next_stop.insert(uid, now + self.pace.stagger);
        if active.len() > wanted + 1 {
            self.at(now + self.pace.stagger, Due::Deployment(key));
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn between((from, to): (Duration, Duration)) -> Duration {
    if from >= to { from } else { rand::rng().random_range(from..to) }
}

/// Tells a pod to stop.
pub fn end(inner: &mut Inner, pod: &Value) {
    let mut ending = pod.clone();
    objects::end_pod(&mut ending, GRACE);
    let container = text(pod, "/spec/containers/0/name");
    objects::record_event(inner, pod, "kubelet", "Killing", &format!("Stopping container {container}"));
    inner.put(Resource::Pod, ending);
}

fn pods_of<'a>(inner: &'a Inner, key: &'a Key) -> impl Iterator<Item = &'a Arc<Object>> {
    inner
        .prefixed(Resource::Pod, &key.0, &key.1)
        .filter(|pod| super::store::deployment_of(&pod.value) == key.1)
}

fn active_pods(inner: &Inner, set: &Value) -> Vec<Arc<Object>> {
    let uid = text(set, "/metadata/uid");
    inner
        .prefixed(Resource::Pod, text(set, "/metadata/namespace"), text(set, "/metadata/name"))
        .filter(|pod| text(&pod.value, "/metadata/ownerReferences/0/uid") == uid)
        .filter(|pod| objects::stage(&pod.value) != Stage::Ending)
        .cloned()
        .collect()
}

fn tally(inner: &Inner, set: &Value) -> Tally {
    let pods = active_pods(inner, set);
    let ready = pods.iter().filter(|pod| objects::stage(&pod.value) == Stage::Ready).count();
    Tally { active: pods.len(), ready }
}

fn revision(object: &Value) -> u64 {
    text(object, "/metadata/annotations/deployment.kubernetes.io~1revision").parse().unwrap_or_default()
}

/// The deployment's replica sets, oldest first.
fn owned_sets(inner: &Inner, deployment: &Value) -> Vec<Value> {
    let (namespace, name) = key_of(deployment);
    let uid = text(deployment, "/metadata/uid");
    let prefix = format!("{name}-");
    let mut sets: Vec<Value> = inner
        .prefixed(Resource::ReplicaSet, &namespace, &prefix)
        .filter(|set| text(&set.value, "/metadata/ownerReferences/0/uid") == uid)
        .map(|set| set.value.clone())
        .collect();
    sets.sort_by_key(revision);
    sets
}

/// Name of the replica set for the deployment's template, made if there is none and brought forward if it is an old one.
fn current_set(inner: &mut Inner, deployment: &mut Value) -> String {
    let sets = owned_sets(inner, deployment);
    let newest = sets.last().map(revision).unwrap_or_default();
    let found = sets.into_iter().find(|set| objects::same_template(deployment, set));
    let number = match &found {
        Some(set) if revision(set) == newest => newest,
        _ => newest + 1,
    };
    let path = ["metadata", "annotations", "deployment.kubernetes.io/revision"];
    let mut set = found.unwrap_or_else(|| objects::replica_set(deployment, number));
    json::set(&mut set, &path, number.to_string().into());
    json::set(deployment, &path, number.to_string().into());
    text(&inner.put(Resource::ReplicaSet, set).value, "/metadata/name").to_owned()
}

/// Sets how many pods each replica set should have, within the room the strategy leaves.
fn roll(inner: &mut Inner, deployment: &Value, current: &str) {
    let wanted = usize::try_from(int(deployment, "/spec/replicas")).unwrap_or_default();
    let sets = owned_sets(inner, deployment);
    let size = |set: &Value| usize::try_from(int(set, "/spec/replicas")).unwrap_or_default();
    let (new, old): (Vec<Value>, Vec<Value>) =
        sets.into_iter().partition(|set| text(set, "/metadata/name") == current);
    let Some(new) = new.into_iter().next() else { return };
    let old_total: usize = old.iter().map(size).sum();
    let mut now_new = size(&new);
    let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
    let (surge, unavailable) = status::room(deployment);
    if now_new > wanted || old_total == 0 {
        let waits = recreate && old.iter().any(|set| tally(inner, set).active > 0);
        now_new = if waits { now_new } else { wanted };
    } else if !recreate {
        let room = (wanted + surge).saturating_sub(now_new + old_total);
        now_new = wanted.min(now_new + room);
    }
    let available = tally(inner, &new).ready;
    resize(inner, deployment, new, now_new);
    let least = if recreate { 0 } else { wanted.saturating_sub(unavailable) };
    let not_ready = if recreate { 0 } else { now_new.saturating_sub(available) };
    let mut spare = (now_new + old_total).saturating_sub(least + not_ready);
    for set in old {
        let size = size(&set);
        let less = spare.min(size);
        spare -= less;
        resize(inner, deployment, set, size - less);
    }
}

fn resize(inner: &mut Inner, deployment: &Value, mut set: Value, to: usize) {
    let from = usize::try_from(int(&set, "/spec/replicas")).unwrap_or_default();
    if from == to {
        return;
    }
    json::set(&mut set, &["spec", "replicas"], to.into());
    let direction = if to > from { "up" } else { "down" };
    let name = text(&set, "/metadata/name");
    let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
    objects::record_event(inner, deployment, "deployment-controller", "ScalingReplicaSet", &message);
    inner.put(Resource::ReplicaSet, set);
}

/// Removes the oldest replica sets without pods, beyond the deployment's `revisionHistoryLimit`.
fn forget_old_sets(inner: &mut Inner, deployment: &Value, current: &str) {
    let limit = deployment.pointer("/spec/revisionHistoryLimit").and_then(Value::as_u64).unwrap_or(10);
    let mut empty: Vec<Value> = owned_sets(inner, deployment);
    empty.retain(|set| {
        text(set, "/metadata/name") != current
            && int(set, "/spec/replicas") == 0
            && int(set, "/status/replicas") == 0
    });
    let spare = empty.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    for set in empty.into_iter().take(spare) {
        let (namespace, name) = key_of(&set);
        inner.delete(Resource::ReplicaSet, &namespace, &name);
    }
}

/// Writes the statuses of the deployment and its replica sets.
fn report(inner: &mut Inner, mut deployment: Value, current: &str) {
    let mut all = Tally::default();
    let mut updated = 0;
    for mut set in owned_sets(inner, &deployment) {
        let tally = tally(inner, &set);
        all = all + tally;
        if text(&set, "/metadata/name") == current {
            updated = tally.active;
        }
        let generation = int(&set, "/metadata/generation");
        status::of_replica_set(&mut set, tally, generation);
        inner.put(Resource::ReplicaSet, set);
    }
    let generation = int(&deployment, "/metadata/generation");
    status::of_deployment(&mut deployment, all, updated, generation, &json::now());
    inner.put(Resource::Deployment, deployment);
}

#[cfg(test)]
mod tests;
