//! The hostile-names fault: while it lasts, the cluster holds deployments and pods whose names and reasons carry control
//! sequences or 300 wide characters. No real API server would take such names; a screen must survive them all the same.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::faults::{FaultWatch, Kind};
use super::super::serve::{Stop, stopped};
use super::json;
use super::kinds::Resource;
use super::objects;
use super::pod::{self, Stage};
use super::store::{Inner, Key, Store, key_of};
use super::{DeploymentSpec, status};

/// Namespaces that get hostile objects.
const MOST: usize = 20;

/// What stands behind the name of a good deployment.
fn endings() -> [String; 4] {
    [
        "\u{1b}[2J\u{1b}[31mred".to_owned(),
        "\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{7}title".to_owned(),
        "\u{9b}5A\r\n\u{8}\u{202e}evil".to_owned(),
        "\u{6f22}".repeat(300),
    ]
}

const REASON: &str = "\u{1b}[5mCrash\u{1b}]0;owned\u{7}Loop\u{1b}[1;1HBackOff";

/// Follows the fault until `stop`: puts the hostile objects next to `good` ones when it begins, removes them when it ends.
pub async fn run(store: Arc<Store>, good: Vec<DeploymentSpec>, mut fault: FaultWatch, mut stop: Stop) {
    let mut placed: Vec<(Resource, Key)> = Vec::new();
    loop {
        let hostile = fault.now() == Some(Kind::HostileNames);
        if hostile && placed.is_empty() {
            placed = store.write(|inner| place(inner, &good));
        } else if !hostile && !placed.is_empty() {
            store.write(|inner| {
                for (resource, (namespace, name)) in placed.drain(..) {
                    inner.delete(resource, &namespace, &name);
                }
            });
        }
        tokio::select! {
            _ = fault.changed() => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// The first deployment listed of each namespace.
pub fn firsts(deployments: &[DeploymentSpec]) -> Vec<DeploymentSpec> {
    let mut firsts: Vec<DeploymentSpec> = Vec::new();
    for spec in deployments {
        if firsts.len() < MOST && firsts.iter().all(|first| first.namespace != spec.namespace) {
            firsts.push(spec.clone());
        }
    }
    firsts
}

fn place(inner: &mut Inner, good: &[DeploymentSpec]) -> Vec<(Resource, Key)> {
    let mut placed = Vec::new();
    for spec in good {
        for ending in endings() {
            let name = format!("{}-{ending}", spec.name);
            let spec = DeploymentSpec { name, replicas: 1, hpa: None, ..spec.clone() };
            for (resource, value) in objects_of(&spec) {
                placed.push((resource, key_of(&value)));
                inner.put(resource, value);
            }
        }
    }
    placed
}

fn objects_of(spec: &DeploymentSpec) -> Vec<(Resource, Value)> {
    let mut deployment = objects::deployment(spec);
    let mut set = objects::replica_set(&deployment, 1);
    let mut pod = pod::new(&set);
    pod::step(&mut pod, Stage::Crashing, REASON, &super::json::now());
    let one = status::Tally { active: 1, ready: 0 };
    status::of_deployment(&mut deployment, one, 1, 1, &super::json::now());
    status::of_replica_set(&mut set, one, 1);
    let all = [(Resource::Deployment, deployment), (Resource::ReplicaSet, set), (Resource::Pod, pod)];
    all.into_iter()
        .map(|(resource, mut value)| {
            let mark = json!({"drtui.sandbox/unmanaged": "true"});
            json::set(&mut value, &["metadata", "annotations"], mark);
            (resource, value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_objects_are_left_alone_and_hostile() {
        let spec = DeploymentSpec { namespace: "ns".into(), name: "web".into(), ..Default::default() };
        let store = Store::default();
        let placed = store.write(|inner| place(inner, &[spec]));
        assert_eq!(placed.len(), 12);
        assert!(store.write(Inner::take_dirty).is_empty(), "no controller is woken");
        assert!(placed.iter().any(|(_, key)| key.1.contains('\u{1b}')));
        assert!(placed.iter().any(|(_, key)| key.1.chars().filter(|c| *c == '\u{6f22}').count() == 300));
    }
}
