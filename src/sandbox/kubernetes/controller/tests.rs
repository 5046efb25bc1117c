//! The controllers on a clock of their own: every step is due at once.

use super::replicas::revision;
use super::*;
use crate::sandbox::kubernetes::DeploymentSpec;

const NS: &str = "ns";

fn world(replicas: u32, hpa: Option<(u32, u32)>) -> (Arc<Store>, Controller) {
    let store = Arc::new(Store::default());
    let spec = |name: &str| DeploymentSpec {
        namespace: NS.into(),
        name: name.into(),
        replicas,
        image: "app:1".into(),
        hpa,
        secrets: Vec::new(),
    };
    store.write(|inner| {
        objects::settle(inner, &spec("web"));
        // A name that begins like the other's must not be taken for it.
        objects::settle(inner, &spec("web-worker"));
    });
    let controller = Controller::new(Arc::clone(&store), Pace::believable());
    (store, controller)
}

fn deployment(store: &Store, name: &str) -> Value {
    store.read(|inner| inner.get(Resource::Deployment, NS, name).unwrap().value.clone())
}

fn ready(store: &Store, name: &str) -> i64 {
    int(&deployment(store, name), "/status/readyReplicas")
}

fn change(store: &Store, edit: impl FnOnce(&mut Value)) {
    store.write(|inner| {
        let mut value = inner.get(Resource::Deployment, NS, "web").unwrap().value.clone();
        edit(&mut value);
        inner.put(Resource::Deployment, value);
    });
}

/// Lets every timer come due, one after the other; the ready counts seen on the way.
fn run(store: &Store, controller: &mut Controller) -> Vec<i64> {
    let mut now = Instant::now();
    let mut seen = vec![ready(store, "web")];
    for _ in 0..10_000 {
        while controller.step(now) {}
        if seen.last() != Some(&ready(store, "web")) {
            seen.push(ready(store, "web"));
        }
        match controller.next_due() {
            Some(due) => now = due.max(now),
            None => return seen,
        }
    }
    panic!("the controllers never come to rest");
}

#[test]
fn what_starts_settled_stays_untouched() {
    let (store, mut controller) = world(2, Some((1, 4)));
    let before = store.read(Inner::revision);
    store.write(|inner| inner.touch(NS, "web"));
    assert_eq!(run(&store, &mut controller), [2]);
    assert_eq!(store.read(Inner::revision), before, "nothing to write");
}

#[test]
fn a_scale_shows_its_way_down_and_up() {
    let (store, mut controller) = world(3, None);
    change(&store, |d| json::set(d, &["spec", "replicas"], 0.into()));
    assert_eq!(run(&store, &mut controller), [3, 2, 1, 0]);
    assert_eq!(store.read(|inner| inner.all(Resource::Pod, Some(NS)).count()), 3, "the worker's stay");
    change(&store, |d| json::set(d, &["spec", "replicas"], 3.into()));
    assert_eq!(run(&store, &mut controller), [0, 1, 2, 3]);
    let web = deployment(&store, "web");
    assert_eq!(int(&web, "/status/observedGeneration"), 3);
    assert_eq!(int(&web, "/metadata/generation"), 3);
    assert_eq!(text(&web, "/status/conditions/1/reason"), "NewReplicaSetAvailable");
    assert_eq!(ready(&store, "web-worker"), 3);
}

#[test]
fn a_new_template_rolls_out_without_loss() {
    let (store, mut controller) = world(4, None);
    change(&store, |d| json::set(d, &["spec", "template", "metadata", "annotations", "x"], "y".into()));
    let seen = run(&store, &mut controller);
    assert!(seen.iter().all(|n| *n >= 3), "at most a quarter may be missing: {seen:?}");
    let web = deployment(&store, "web");
    assert_eq!(int(&web, "/status/updatedReplicas"), 4);
    assert_eq!(int(&web, "/status/replicas"), 4);
    let sizes = store.read(|inner| -> Vec<i64> {
        owned_sets(inner, &web).iter().map(|set| int(set, "/spec/replicas")).collect()
    });
    assert_eq!(sizes, [0, 4]);
    // Back to the old template: the old replica set is used again, under a new revision.
    change(&store, |d| {
        json::remove(d, &["spec", "template", "metadata", "annotations"]);
    });
    run(&store, &mut controller);
    assert_eq!(revision(&deployment(&store, "web")), 3);
    assert_eq!(store.read(|inner| owned_sets(inner, &web).len()), 2);
}

#[test]
fn recreate_stops_all_before_it_starts_any() {
    let (store, mut controller) = world(2, None);
    change(&store, |d| {
        json::set(d, &["spec", "strategy"], serde_json::json!({"type": "Recreate"}));
        json::set(d, &["spec", "template", "metadata", "annotations", "x"], "y".into());
    });
    assert_eq!(run(&store, &mut controller), [2, 1, 0, 1, 2]);
}

#[test]
fn a_deleted_pod_is_replaced_and_a_deleted_deployment_takes_all_along() {
    let (store, mut controller) = world(2, None);
    let pod = store.read(|inner| inner.all(Resource::Pod, Some(NS)).next().unwrap().1.value.clone());
    store.write(|inner| end(inner, &pod));
    assert_eq!(run(&store, &mut controller), [2, 1, 2]);
    store.write(|inner| inner.delete(Resource::Deployment, NS, "web"));
    let mut now = Instant::now();
    loop {
        while controller.step(now) {}
        match controller.next_due() {
            Some(due) => now = due,
            None => break,
        }
    }
    store.read(|inner| {
        assert_eq!(inner.all(Resource::Pod, Some(NS)).count(), 2);
        assert_eq!(inner.all(Resource::ReplicaSet, Some(NS)).count(), 1);
    });
}

#[test]
fn an_autoscaler_holds_its_bounds_and_pauses_at_zero() {
    let (store, mut controller) = world(2, Some((2, 4)));
    for (asked, got) in [(1, 2), (9, 4), (0, 0)] {
        change(&store, |d| json::set(d, &["spec", "replicas"], asked.into()));
        run(&store, &mut controller);
        assert_eq!(int(&deployment(&store, "web"), "/spec/replicas"), got, "asked for {asked}");
    }
    let scaler = store.read(|inner| inner.get(Resource::Hpa, NS, "web").unwrap().value.clone());
    assert_eq!(int(&scaler, "/status/currentReplicas"), 0);
    assert_eq!(text(&scaler, "/status/conditions/1/reason"), "ScalingDisabled");
}

#[test]
fn trouble_crashes_pods_that_start() {
    let (store, mut controller) = world(1, None);
    store.write(|inner| {
        inner.troubled.insert((NS.into(), "web".into()), "CrashLoopBackOff".into());
        let pod = pods_of(inner, &(NS.into(), "web".into())).next().unwrap().value.clone();
        end(inner, &pod);
    });
    assert_eq!(run(&store, &mut controller), [1, 0]);
    let waiting = store.read(|inner| {
        let key = (NS.to_owned(), "web".to_owned());
        let pod = pods_of(inner, &key).next().unwrap();
        text(&pod.value, "/status/containerStatuses/0/state/waiting/reason").to_owned()
    });
    assert_eq!(waiting, "CrashLoopBackOff");
}

#[test]
fn old_replica_sets_are_forgotten_beyond_the_limit() {
    let (store, mut controller) = world(1, None);
    change(&store, |d| json::set(d, &["spec", "revisionHistoryLimit"], 2.into()));
    for n in 0..5 {
        let path = ["spec", "template", "metadata", "annotations", "n"];
        change(&store, |d| json::set(d, &path, n.to_string().into()));
        run(&store, &mut controller);
    }
    let web = deployment(&store, "web");
    assert_eq!(store.read(|inner| owned_sets(inner, &web).len()), 3, "two old ones and the present one");
    assert_eq!(revision(&web), 6);
}
