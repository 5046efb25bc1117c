//! Maintenance mode is where the ingress leads, whoever led it there.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{PRODUCTION, World};

const WEB: &str = "refer-serious-misconduct-production";
const MAINTENANCE: &str = "refer-serious-misconduct-maintenance";
const INGRESS: &str = "networking.k8s.io/ingresses/refer-serious-misconduct-production.teacherservices.cloud";
const TEMPORARY: &str = "refer-serious-misconduct-temp.teacherservices.cloud";
const UNAVAILABLE: &str = "the service is unavailable";

async fn set(world: &World, mode: &str) {
    let run = world.dispatch("maintenance.yml", json!({"environment": PRODUCTION, "mode": mode})).await;
    world.approve(run, "approved").await;
    let done = world.until(run, "completed").await;
    assert_eq!(done["conclusion"], "success", "{}", world.log(run).await);
}

async fn backend(world: &World) -> Value {
    let (status, ingress) = world.kubernetes(INGRESS, None).await;
    assert_eq!(status, 200, "{ingress}");
    ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"].clone()
}

/// Somebody leads the ingress elsewhere with kubectl.
async fn lead(world: &World, service: &str) {
    let path = json!({"path": "/", "pathType": "ImplementationSpecific",
                      "backend": {"service": {"name": service, "port": {"number": 80}}}});
    let rules = json!([{"host": format!("{WEB}.teacherservices.cloud"), "http": {"paths": [path]}}]);
    let (status, said) = world.kubernetes(INGRESS, Some(json!({"spec": {"rules": rules}}))).await;
    assert_eq!(status, 200, "{said}");
}

async fn uptime(world: &World) -> Value {
    let url = world.word("/dependencies/statuscake");
    let tests: Value = world.web.get(url).send().await.unwrap().json().await.unwrap();
    tests["data"][0]["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_door_follows_the_ingress_whoever_moves_it() {
    let world = World::start("maintenance");
    assert_eq!((world.page(None).await.0, world.page(Some(TEMPORARY)).await.0), (200, 404));
    assert_eq!((backend(&world).await, uptime(&world).await), (json!(WEB), json!("up")));
    set(&world, "enable").await;
    assert_eq!(backend(&world).await, MAINTENANCE);
    let (status, text) = world.page(None).await;
    assert!(status == 503 && text.contains(UNAVAILABLE), "{text}");
    assert_eq!(uptime(&world).await, "down");
    assert!(
        world.page(Some(TEMPORARY)).await.1.contains("<table>"),
        "the temporary address reaches the service"
    );
    let host = "refer-serious-misconduct.education.gov.uk";
    assert!(world.page(Some(host)).await.1.contains(UNAVAILABLE), "what users type");

    lead(&world, WEB).await;
    assert!(world.page(None).await.1.contains("<table>"), "a person led it back");
    lead(&world, "nobody").await;
    let (status, text) = world.page(None).await;
    assert!(status == 503 && text.contains("nginx") && !text.contains(UNAVAILABLE), "{text}");
    lead(&world, MAINTENANCE).await;
    assert!(world.page(None).await.1.contains(UNAVAILABLE), "and to the page again");

    // A deployment knows one place only; the rest of maintenance mode stays until it is disabled.
    assert_eq!(world.send(Method::PUT, "pulls/2151/merge", &json!({})).await.0, 200);
    let pushed = world.get("actions/runs?event=push").await;
    world.until(pushed["workflow_runs"][0]["id"].as_u64().unwrap(), "completed").await;
    assert_eq!(
        (backend(&world).await, world.page(None).await.0),
        (json!(WEB), 200),
        "the deployment led it back"
    );
    assert_eq!(world.page(Some(TEMPORARY)).await.0, 200);
    let page = format!("apps/deployments/{MAINTENANCE}");
    assert_eq!(world.kubernetes(&page, None).await.1["status"]["readyReplicas"], 2);
    set(&world, "disable").await;
    assert_eq!((world.page(None).await.0, world.page(Some(TEMPORARY)).await.0), (200, 404));
    for gone in
        [page, format!("core/services/{MAINTENANCE}"), format!("networking.k8s.io/ingresses/{TEMPORARY}")]
    {
        assert_eq!(world.kubernetes(&gone, None).await.0, 404, "{gone}");
    }
}
