//! Rebuilding a deleted server by a deployment, with and without what is left of the one before.

use reqwest::Method;
use serde_json::json;

use super::world::{PRODUCTION, World};

const LIVE: &str = "s189p01-rsm-pd-pg";

async fn deploy(world: &World) -> (String, String) {
    let run =
        world.dispatch("manual-deploy.yml", json!({"environment": PRODUCTION, "image_tag": "abc"})).await;
    world.approve(run, "approved").await;
    let done = world.until(run, "completed").await;
    (done["conclusion"].as_str().unwrap().to_owned(), world.log(run).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_makes_a_deleted_server_anew_and_stumbles_over_what_is_left_of_it() {
    let world = World::start("deploy");
    let backup =
        world.dispatch("backup-db.yml", json!({"environment": PRODUCTION, "backup-file": "kept"})).await;
    assert_eq!(world.until(backup, "completed").await["conclusion"], "success");
    let (status, struck) = world.control("/disaster/diagnostics-left-behind", &json!({})).await;
    assert_eq!(status, 200, "{struck}");
    let live = format!("{}?api-version=2025-08-01", world.server(LIVE));
    assert_eq!(world.arm(Method::GET, &live, None).await.0, 404);

    for said in ["Creation complete", "Refreshing state"] {
        let (conclusion, log) = deploy(&world).await;
        assert_eq!(conclusion, "failure", "{log}");
        assert!(log.contains(said) && log.contains("-diagnotics\" already exists"), "{log}");
    }
    assert_eq!(
        world.arm(Method::GET, &live, None).await.2["properties"]["state"],
        "Ready",
        "it was made all the same"
    );
    let settings = format!("{}/providers/Microsoft.Insights/diagnosticSettings", world.server(LIVE));
    let version = "api-version=2021-05-01-preview";
    let left = format!("{settings}/{LIVE}-diagnotics?{version}");
    assert_eq!(world.arm(Method::DELETE, &left, None).await.0, 200);
    let (conclusion, log) = deploy(&world).await;
    assert_eq!(conclusion, "success", "{log}");
    let (_, _, listed) = world.arm(Method::GET, &format!("{settings}?{version}"), None).await;
    assert_eq!(listed["value"].as_array().unwrap().len(), 1, "terraform has made its own");

    // The server is empty until the backup is loaded.
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    let empty: i64 = world.postgres().await.query_one(tables, &[]).await.unwrap().get(0);
    assert_eq!(empty, 0);
    assert_eq!(world.page(None).await.0, 500, "the front page counts rows of tables that are not there");
    let inputs =
        json!({"environment": PRODUCTION, "confirm-production": "true", "backup-file": "kept.sql.gz"});
    let restore = world.dispatch("postgres-restore.yml", inputs).await;
    world.approve(restore, "approved").await;
    assert_eq!(world.until(restore, "completed").await["conclusion"], "success");
    assert!(world.count("referrals").await >= 24_000);
    assert_eq!(world.page(None).await.0, 200);
}
