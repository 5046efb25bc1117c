//! The sandbox's clock: GitHub, blob storage and Azure move together, and come back together.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{PRODUCTION, World};

const LIVE: &str = "s189p01-rsm-pd-pg";

fn parse(text: &Value) -> DateTime<Utc> {
    text.as_str().unwrap_or_else(|| panic!("no time: {text}")).parse().unwrap()
}

/// What each says the time is, or was when `run` was made.
async fn told(world: &World, run: u64) -> Vec<(&'static str, DateTime<Utc>)> {
    let date = |headers: &http::HeaderMap| {
        DateTime::parse_from_rfc2822(headers["date"].to_str().unwrap()).unwrap().to_utc()
    };
    let (github, shown) = (world.github(Method::GET, "").send().await.unwrap(), world.run(run).await);
    let reset: i64 = github.headers()["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    let jobs = world.get(&format!("actions/runs/{run}/jobs")).await;
    let log = world.log(run).await;
    let line = log.trim_start_matches('\u{feff}').split(' ').next().unwrap().to_owned();
    let token = world.storage_token("https://storage.azure.com/.default").await;
    let list = "database-backup?restype=container&comp=list&prefix=told";
    let blobs = world.blob(Method::GET, list, &token, None).await;
    let blob_date = date(blobs.headers());
    let xml = blobs.text().await.unwrap();
    let modified = xml.split("<Last-Modified>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let live = format!("{}?api-version=2025-08-01", world.server(LIVE));
    let (_, azure, server) = world.arm(Method::GET, &live, None).await;
    vec![
        ("GitHub's date", date(github.headers())),
        ("the limit's reset", DateTime::from_timestamp(reset, 0).unwrap() - TimeDelta::hours(1)),
        ("the run", parse(&shown["created_at"])),
        ("its job's step", parse(&jobs["jobs"][0]["steps"][0]["completed_at"])),
        ("its log", line.parse().unwrap()),
        ("the storage's date", blob_date),
        ("the backup", DateTime::parse_from_rfc2822(&modified).unwrap().to_utc()),
        ("Azure's date", date(&azure)),
        ("the server", parse(&server["systemData"]["createdAt"])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tell_the_sandboxs_time() {
    let world = World::start("clock");
    let inputs = json!({"environment": PRODUCTION, "backup-file": "told"});
    let run = world.dispatch("backup-db.yml", inputs).await;
    assert_eq!(world.until(run, "completed").await["conclusion"], "success");
    let near = |all: &[(&'static str, DateTime<Utc>)], now: DateTime<Utc>| {
        for (what, at) in all {
            assert!((*at - now).abs() < TimeDelta::minutes(10), "{what} says {at}, not about {now}");
        }
    };
    near(&told(&world, run).await, Utc::now());
    let (status, struck) = world.control("/disaster/clock-change-night", &json!({})).await;
    assert_eq!(status, 200, "{struck}");
    let clock = format!("{}/clock", world.word("/control/endpoint"));
    let asked = world.web.get(clock).bearer_auth(world.word("/control/token")).send().await.unwrap();
    let shown = asked.json::<Value>().await.unwrap();
    let now = parse(&shown["now"]);
    assert!((now - Utc::now()).abs() > TimeDelta::hours(12), "no change of clocks is that near: {now}");
    near(&told(&world, run).await, now);

    // A new run is found by the time that GitHub tells, and by no other.
    let since = |at: DateTime<Utc>| format!("created=%3E%3D{}", at.format("%Y-%m-%dT%H:%M:%SZ"));
    let found = async |at| {
        let runs = world.get(&format!("actions/workflows/backup-db.yml/runs?{}", since(at))).await;
        runs["total_count"].as_u64().unwrap()
    };
    assert!(found(now - TimeDelta::minutes(10)).await >= 1);
    assert_eq!(found(now + TimeDelta::minutes(10)).await, 0);
    // Backups are called after the sandbox's day.
    let run = world.dispatch("backup-db.yml", json!({"environment": PRODUCTION})).await;
    assert_eq!(world.until(run, "completed").await["conclusion"], "success");
    let name = format!("rsm_pd_adhoc_{}.sql.gz", now.format("%Y-%m-%d"));
    assert!(world.log(run).await.contains(&name), "not {name}");

    assert_eq!(world.control("/clock", &json!({"shift_s": 0})).await.0, 200);
    near(&told(&world, run).await, Utc::now());
}
