//! What belongs to a deployment: replica sets that nobody owns are taken, what has lost its owner goes.

use std::sync::Arc;

use serde_json::Value;

use super::super::json::{self, text};
use super::super::kinds::Resource;
use super::super::objects;
use super::super::pod::{self, Stage};
use super::super::store::{Inner, Key, Object, key_of};
use super::{Controller, end, owned_sets, pods_of};

impl Controller {
    /// Removes replica sets of no or another deployment, and stops pods of no replica set.
    pub fn collect_garbage(&mut self, inner: &mut Inner, key: &Key, uid: &str) {
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
                if owner.is_empty() {
                    return false;
                }
                let set = inner.get(Resource::ReplicaSet, &key.0, owner);
                let owner = text(&pod.value, "/metadata/ownerReferences/0/uid");
                set.is_none_or(|set| text(&set.value, "/metadata/uid") != owner)
            })
            .filter(|pod| pod::stage(&pod.value) != Stage::Ending)
            .cloned()
            .collect();
        for pod in orphans {
            end(inner, &pod.value);
        }
    }
}

/// Takes replica sets that nobody owns and that the deployment's selector takes, as after a deletion that orphaned them.
pub fn adopt(inner: &mut Inner, deployment: &Value) {
    let (namespace, name) = key_of(deployment);
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let fits = |set: &Value| {
        labels.into_iter().flatten().all(|(key, value)| {
            set.pointer("/metadata/labels").and_then(|labels| labels.get(key)) == Some(value)
        })
    };
    let prefix = format!("{name}-");
    let found: Vec<Value> = inner
        .prefixed(Resource::ReplicaSet, &namespace, &prefix)
        .map(|set| &set.value)
        .filter(|set| json::list(set, "/metadata/ownerReferences").is_empty() && fits(set))
        .cloned()
        .collect();
    for mut set in found {
        json::set(&mut set, &["metadata", "ownerReferences"], vec![objects::owner(deployment)].into());
        inner.put(Resource::ReplicaSet, set);
    }
}

/// A deployment deleted in the foreground goes when all it owns has gone.
pub fn dissolve(inner: &mut Inner, key: &Key, deployment: &Value) {
    let sets = owned_sets(inner, deployment);
    let pods: Vec<Arc<Object>> = pods_of(inner, key).cloned().collect();
    for pod in pods.iter().filter(|pod| pod::stage(&pod.value) != Stage::Ending) {
        end(inner, &pod.value);
    }
    if !pods.is_empty() {
        return;
    }
    for set in sets {
        inner.delete(Resource::ReplicaSet, &key.0, text(&set, "/metadata/name"));
    }
    inner.delete(Resource::Deployment, &key.0, &key.1);
}
