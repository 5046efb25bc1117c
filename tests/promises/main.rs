//! The sandbox's promises in numbers. A program of its own, which cargo runs when nothing else runs, with one test at a
//! time: what it measures is the sandbox and not its neighbours.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};
use world::{Ground, Left, World, until};

const READY: Duration = Duration::from_secs(8);
const RESTORED: Duration = Duration::from_secs(5);
const STOPPED: Duration = Duration::from_secs(3);
/// Of all its processes, without the memory that PostgreSQL's share.
const MEMORY_MB: u64 = 400;

async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Stops it and holds it to its promise.
fn stop(world: World) {
    let (took, left) = world.stop();
    println!("stopped after {:.2} s", took.as_secs_f64());
    assert!(took <= STOPPED, "it took {took:?} to stop");
    assert_eq!(left, Left::default(), "left behind");
}

async fn restore_in_time(world: &World) {
    let earliest = async || {
        let (_, live) = world.arm("GET", "s189p01-rsm-pd-pg", None).await;
        live["properties"]["backup"]["earliestRestoreDate"].as_str().map(str::to_owned)
    };
    // Not before that is long enough ago to be restored.
    let restorable = async || {
        let from = earliest().await.and_then(|text| text.parse::<DateTime<Utc>>().ok());
        from.is_some_and(|from| Utc::now() > from + TimeDelta::milliseconds(200))
    };
    until("the first backup can be restored", restorable).await;
    let body = json!({"location": "uksouth", "properties": {
        "createMode": "PointInTimeRestore", "sourceServerResourceId": world.server("s189p01-rsm-pd-pg"),
        "pointInTimeUTC": earliest().await,
    }});
    let begun = Instant::now();
    let (status, said) = world.arm("PUT", "s189p01-rsm-pd-pg-ptr", Some(body)).await;
    assert_eq!(status, 202, "{said}");
    let ready = async || {
        let (_, server) = world.arm("GET", "s189p01-rsm-pd-pg-ptr", None).await;
        server["properties"]["state"] == "Ready"
    };
    until("the restored server is ready", ready).await;
    let took = begun.elapsed();
    println!("restored after {:.2} s", took.as_secs_f64());
    assert!(took <= RESTORED, "it took {took:?} to restore");
}

fn fits(world: &World, when: &str) {
    let megabytes = world.memory_mb();
    println!("{megabytes} MB {when}");
    assert!(megabytes <= MEMORY_MB, "{megabytes} MB {when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_small_worlds_side_by_side_keep_their_promises_and_leave_nothing() {
    let _alone = alone().await;
    let (first, second) = (Ground::new("first"), Ground::new("second"));
    let one = first.start(&["--fast", "--restore-lag", "100ms"]);
    println!("ready after {:.2} s", one.took.as_secs_f64());
    assert!(one.took <= READY, "it took {:?} until it was ready", one.took);
    fits(&one, "when ready");
    restore_in_time(&one).await;
    fits(&one, "with a restored server");

    let two = second.start(&["--fast"]);
    assert!(two.took <= READY, "it took {:?} until the second was ready", two.took);
    assert!(one.ports().is_disjoint(&two.ports()), "{:?} and {:?}", one.ports(), two.ports());
    assert_eq!((one.health().await, two.health().await), (200, 200));
    // What is done to one is nothing to the other.
    let none = json!({"namespace": "tra-production", "name": world::WEB, "replicas": 0});
    one.control("/replicas", none).await;
    until("the first world's service is gone", async || one.health().await == 503).await;
    assert_eq!(two.health().await, 200);
    assert_eq!(two.arm("GET", "s189p01-rsm-pd-pg-ptr", None).await.0, 404, "the other's server");
    stop(one);
    assert_eq!(two.health().await, 200, "the second world went with the first");
    stop(two);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_world_fits_after_scaling_two_thousand_deployments_and_a_killed_one_is_cleared_away() {
    let _alone = alone().await;
    let ground = Ground::new("large");
    let large = ground.start(&["--fast", "--scale", "large"]);
    println!("large: ready after {:.2} s", large.took.as_secs_f64());
    fits(&large, "at scale large");
    let names = large.deployments().await;
    assert!(names.len() >= 2_000, "{}", names.len());
    for replicas in [0, 1, 0, 1] {
        for (name, _) in &names {
            let wanted = json!({"namespace": "tra-production", "name": name, "replicas": replicas});
            large.control("/replicas", wanted).await;
        }
        // An autoscaler may ask for more than one.
        let settled = async || {
            let all = large.deployments().await;
            all.iter().all(|(_, (wanted, ready))| wanted == ready && (replicas > 0) == (*ready > 0))
        };
        until("all deployments are settled", settled).await;
        fits(&large, &format!("after scaling {} deployments to {replicas}", names.len()));
    }

    let killed = large.kill();
    assert!(killed.processes_alive() > 1, "its PostgreSQL went with it: there is nothing to clear");
    let next = ground.start(&["--fast"]);
    assert!(next.said.iter().any(|line| line.contains("killed sandbox")), "{:?}", next.said);
    assert_eq!(killed.left(), Left { folder: next.folder_now(), ..Left::default() }, "of the killed one");
    stop(next);
}
