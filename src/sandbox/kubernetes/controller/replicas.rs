//! Replica sets of a deployment: which is the present one, how many pods each should have, what they report.

use serde_json::Value;

use super::super::json::{self, int, text};
use super::super::kinds::Resource;
use super::super::objects;
use super::super::status::{self, Tally};
use super::super::store::{Inner, key_of};
use super::tally;

pub fn revision(object: &Value) -> u64 {
    text(object, "/metadata/annotations/deployment.kubernetes.io~1revision").parse().unwrap_or_default()
}

/// The deployment's replica sets, oldest first.
pub fn owned_sets(inner: &Inner, deployment: &Value) -> Vec<Value> {
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
pub fn current_set(inner: &mut Inner, deployment: &mut Value) -> String {
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
pub fn roll(inner: &mut Inner, deployment: &Value, current: &str) {
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
pub fn forget_old_sets(inner: &mut Inner, deployment: &Value, current: &str) {
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
pub fn report(inner: &mut Inner, mut deployment: Value, current: &str) {
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
