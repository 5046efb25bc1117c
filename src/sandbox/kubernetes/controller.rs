//! The controllers in one task: deployments, replica sets, pods and autoscalers. Driven by changes and by timers of
//! pods under way; with nothing under way it sleeps.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use serde_json::Value;
use tokio::time::Instant;

use super::super::serve::{Stop, stopped};
use super::Pace;
use super::json::{self, int, text};
use super::kinds::Resource;
use super::objects;
use super::pod::{self, Stage};
use super::status::{self, Tally};
use super::store::{Inner, Key, Object, Store, UNMANAGED, Work, key_of};

mod jobs;
mod ownership;
pub mod pods;
mod replicas;

use ownership::{adopt, dissolve};
use replicas::{current_set, forget_old_sets, owned_sets, report, roll};

/// Kubernetes' grace for a pod told to stop.
pub const GRACE: Duration = Duration::from_secs(30);

/// What a timer does when it is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The pod of this uid leaves this stage.
    Pod { key: Key, uid: String, from: Stage },
    /// The pod of this uid may not run longer.
    Deadline { key: Key, uid: String },
    /// Look at it again.
    Look(Work),
}

/// The controllers' own memory; everything else is in the store.
#[derive(Debug)]
pub struct Controller {
    store: Arc<Store>,
    pace: Pace,
    timers: BinaryHeap<Reverse<(Instant, Due)>>,
    /// Pods (by uid) that have a timer, and the stage it is for.
    driven: HashMap<String, Stage>,
    /// Pods (by uid) that have a deadline's timer.
    limited: HashSet<String>,
    /// When a replica set (by uid) may stop its next pod.
    next_stop: HashMap<String, Instant>,
}

impl Controller {
    pub fn new(store: Arc<Store>, pace: Pace) -> Self {
        let (timers, driven, limited, next_stop) = Default::default();
        Controller { store, pace, timers, driven, limited, next_stop }
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
            let mut work = inner.take_dirty();
            if work.is_empty() && self.next_due().is_some_and(|at| at <= now) {
                match self.timers.pop() {
                    Some(Reverse((_, Due::Pod { key, uid, from }))) => {
                        self.advance(inner, &key, &uid, from);
                        work = inner.take_dirty();
                    }
                    Some(Reverse((_, Due::Deadline { key, uid }))) => {
                        self.limited.remove(&uid);
                        pods::exceed(inner, &key, &uid);
                        work = inner.take_dirty();
                    }
                    Some(Reverse((_, Due::Look(look)))) => {
                        if let Work::Job(key) = &look {
                            self.limited.remove(&jobs::timer_of(key));
                        }
                        work.insert(look);
                    }
                    None => {}
                }
            }
            let any = !work.is_empty();
            for work in work {
                match work {
                    Work::Deployment(key) => self.reconcile(inner, &key, now),
                    Work::Job(key) => self.reconcile_job(inner, &key, now),
                    Work::Pod(key) => {
                        if let Some(pod) = inner.get(Resource::Pod, &key.0, &key.1) {
                            self.drive(&Arc::clone(pod).value, 0, now);
                        }
                    }
                }
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
        if text(&object.value, "/metadata/uid") != uid || pod::stage(&object.value) != from {
            // Not the stage the timer was for: the look that follows sets the right one.
            inner.touch_pod(&object.value);
            return;
        }
        let mut pod = object.value.clone();
        let at = json::now();
        let node = |inner: &mut Inner, pod: &Value, reason: &str, message: &str| {
            objects::record_event(inner, pod, "kubelet", reason, message);
        };
        match from {
            Stage::Unscheduled => pod::step(&mut pod, Stage::Creating, "", &at),
            Stage::Creating => {
                let container = text(&pod, "/spec/containers/0/name").to_owned();
                pod::step(&mut pod, Stage::Starting, "", &at);
                node(inner, &pod, "Started", &format!("Started container {container}"));
            }
            Stage::Starting => {
                let owner = (key.0.clone(), super::store::deployment_of(&pod).to_owned());
                match inner.troubled.get(&owner).cloned() {
                    Some(reason) => {
                        pod::step(&mut pod, Stage::Crashing, &reason, &at);
                        node(inner, &pod, "BackOff", "Back-off restarting failed container");
                    }
                    None => pod::step(&mut pod, Stage::Ready, "", &at),
                }
            }
            Stage::Ending => {
                inner.delete(Resource::Pod, &key.0, &key.1);
                return;
            }
            Stage::Crashing => pod::step(&mut pod, Stage::Starting, "", &at),
            Stage::Ready | Stage::Done => return,
        }
        inner.put(Resource::Pod, pod);
    }

    /// Gives every pod under way a timer for its present stage; `place` spreads pods that start together.
    fn drive(&mut self, pod: &Value, place: u32, now: Instant) {
        let stage = pod::stage(pod);
        let uid = text(pod, "/metadata/uid");
        self.limit(pod, stage, now);
        if self.driven.get(uid) == Some(&stage) {
            return;
        }
        let Pace { schedule, create, ready, terminate, stagger, back_off } = self.pace;
        let restarts = int(pod, "/status/containerStatuses/0/restartCount").clamp(1, 6);
        let wait = match stage {
            Stage::Unscheduled => between(schedule) + stagger * place,
            Stage::Creating => between(create),
            Stage::Starting => between(ready),
            Stage::Ending => between(terminate),
            // Its main process has ended; a pod in trouble crashes until the trouble ends.
            Stage::Crashing if pod.pointer(pod::LAST_END).is_some() => {
                back_off * 2_u32.saturating_pow(u32::try_from(restarts - 1).unwrap_or_default())
            }
            Stage::Ready | Stage::Crashing | Stage::Done => {
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
        if deployment.value.pointer("/metadata/deletionTimestamp").is_some() {
            dissolve(inner, key, &deployment.value);
            self.drive_all(inner, key, now);
            return;
        }
        let mut deployment = deployment.value.clone();
        adopt(inner, &deployment);
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

    /// Sets the timer of a pod with `activeDeadlineSeconds`.
    fn limit(&mut self, pod: &Value, stage: Stage, now: Instant) {
        let uid = text(pod, "/metadata/uid");
        let seconds = pod.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_u64);
        let running = matches!(stage, Stage::Creating | Stage::Starting | Stage::Ready | Stage::Crashing);
        if let Some(seconds) = seconds.filter(|_| running)
            && self.limited.insert(uid.to_owned())
        {
            let due = Due::Deadline { key: key_of(pod), uid: uid.to_owned() };
            self.at(now + Duration::from_secs(seconds), due);
        }
    }

    fn drive_all(&mut self, inner: &Inner, key: &Key, now: Instant) {
        let mut place = 0;
        for pod in pods_of(inner, key) {
            if pod::stage(&pod.value) == Stage::Unscheduled {
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
            let pod = inner.put(Resource::Pod, pod::new(set));
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
            self.at(free_at, Due::Look(Work::Deployment(key)));
            return;
        }
        // Not ready ones first, then the newest.
        active.sort_by_key(|pod| {
            let ready = pod::stage(&pod.value) == Stage::Ready;
            (ready, Reverse(text(&pod.value, "/metadata/creationTimestamp").to_owned()))
        });
        if let Some(pod) = active.first() {
            let message = format!("Deleted pod: {}", text(&pod.value, "/metadata/name"));
            objects::record_event(inner, set, "replicaset-controller", "SuccessfulDelete", &message);
            end(inner, &pod.value);
        }
        self.next_stop.insert(uid, now + self.pace.stagger);
        if active.len() > wanted + 1 {
            self.at(now + self.pace.stagger, Due::Look(Work::Deployment(key)));
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
    pod::end(&mut ending, GRACE);
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
        .filter(|pod| !matches!(pod::stage(&pod.value), Stage::Ending | Stage::Done))
        .cloned()
        .collect()
}

fn tally(inner: &Inner, set: &Value) -> Tally {
    let pods = active_pods(inner, set);
    let ready = pods.iter().filter(|pod| pod::stage(&pod.value) == Stage::Ready).count();
    Tally { active: pods.len(), ready }
}

#[cfg(test)]
mod tests;
