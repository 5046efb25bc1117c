//! Runs: cancelled, run again, found without details, replaced while they wait.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{PRODUCTION, World};

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_cancelled_repeated_found_and_replaced() {
    let world = World::start("runs");
    runs_can_be_cancelled_and_run_again(&world).await;
    a_newer_run_takes_the_place_of_the_one_that_waits(&world).await;
    an_older_server_tells_no_number(&world).await;
}

async fn runs_can_be_cancelled_and_run_again(world: &World) {
    let inputs = json!({"environment": PRODUCTION, "mode": "disable"});
    let run = world.dispatch("maintenance.yml", inputs).await;
    world.until(run, "waiting").await;
    let cancel = format!("actions/runs/{run}/cancel");
    assert_eq!(world.send(Method::POST, &cancel, &json!({})).await.0, 202);
    assert_eq!(world.until(run, "completed").await["conclusion"], "cancelled");
    assert_eq!(world.send(Method::POST, &cancel, &json!({})).await.0, 409);
    assert_eq!(world.send(Method::POST, &format!("actions/runs/{run}/rerun"), &json!({})).await.0, 201);
    world.approve(run, "approved").await;
    let done = world.until(run, "completed").await;
    assert_eq!((&done["run_attempt"], &done["conclusion"]), (&json!(2), &json!("success")));
    let since = done["created_at"].as_str().unwrap();
    let found = world.get(&format!("actions/workflows/maintenance.yml/runs?created=%3E%3D{since}")).await;
    assert_eq!(found["workflow_runs"][0]["id"], run);
}

async fn a_newer_run_takes_the_place_of_the_one_that_waits(world: &World) {
    let dispatch = async || {
        world.dispatch("maintenance.yml", json!({"environment": PRODUCTION, "mode": "disable"})).await
    };
    let first = dispatch().await;
    world.until(first, "waiting").await;
    let second = dispatch().await;
    world.until(second, "pending").await;
    let third = dispatch().await;
    assert_eq!(world.until(second, "completed").await["conclusion"], "cancelled", "the third took its place");
    world.until(third, "pending").await;
    world.approve(first, "approved").await;
    assert_eq!(world.until(first, "completed").await["conclusion"], "success");
    world.approve(third, "approved").await;
    assert_eq!(world.until(third, "completed").await["conclusion"], "success");
}

async fn an_older_server_tells_no_number(world: &World) {
    let settings = json!({"run_details": false, "production_approval": false});
    assert_eq!(world.control("/github", &settings).await.0, 204);
    let before = world.github(Method::GET, "").send().await.unwrap();
    let date = chrono::DateTime::parse_from_rfc2822(before.headers()["date"].to_str().unwrap()).unwrap();
    let inputs = json!({"environment": PRODUCTION, "mode": "disable"});
    let body = json!({"ref": "main", "inputs": inputs, "return_run_details": true});
    let (status, body) =
        world.send(Method::POST, "actions/workflows/maintenance.yml/dispatches", &body).await;
    assert_eq!((status, body), (204, Value::Null));
    // As a client has to find it then: by workflow, event, person and time.
    let since = date.to_utc().format("%Y-%m-%dT%H:%M:%SZ");
    let query = format!("event=workflow_dispatch&branch=main&actor=responder&created=%3E%3D{since}");
    let found = world.get(&format!("actions/workflows/maintenance.yml/runs?{query}")).await;
    let newest = found["workflow_runs"][0]["id"].as_u64().unwrap();
    // Nobody has to approve it any more.
    assert_eq!(world.until(newest, "completed").await["conclusion"], "success");
}
