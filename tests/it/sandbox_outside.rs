//! What stands around the service: dependencies that can be taken down, webhooks that keep what they got; and Azure's
//! memory of what was: the activity log page by page, a deleted server that is kept for five days.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::sandbox_github::world::World;
use super::sandbox_world::until;

const LIVE: &str = "s189p01-rsm-pd-pg";

async fn asked(world: &World, path: &str) -> Value {
    let url = format!("{}{path}", world.word("/control/endpoint"));
    let answer = world.web.get(url).bearer_auth(world.word("/control/token")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// Status and what a dependency says of itself.
async fn page(world: &World, name: &str) -> (u16, Value) {
    let answer = world.web.get(world.word(&format!("/dependencies/{name}"))).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

async fn dependencies_go_down_and_come_back(world: &World) {
    let all = asked(world, "/dependencies").await;
    let names: Vec<&str> = all.as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["github", "dfe-sign-in", "govuk-notify", "trs-api", "statuscake"]);
    for name in names {
        for up in [true, false, true] {
            let wanted = json!({"name": name, "up": up});
            assert_eq!(world.control("/dependency", &wanted).await.0, 204);
            let (status, said) = page(world, name).await;
            // A status page answers while what it tells of is down.
            let tells = said["status"]["indicator"].as_str();
            let expected = match name {
                "github" | "govuk-notify" => (200, Some(if up { "none" } else { "major" })),
                _ => (if up { 200 } else { 503 }, None),
            };
            assert_eq!((status, tells), expected, "{name}: {said}");
        }
    }
    let (_, openid) = page(world, "dfe-sign-in").await;
    assert!(openid["authorization_endpoint"].as_str().unwrap().starts_with("https://127.0.0.1:"), "{openid}");
    let (_, uptime) = page(world, "statuscake").await;
    assert_eq!((&uptime["data"][0]["status"], &uptime["metadata"]["total_count"]), (&json!("up"), &json!(1)));
    assert_eq!(world.control("/dependency", &json!({"name": "fax", "up": false})).await.0, 404);
}

async fn webhooks_keep_what_they_got(world: &World) {
    let send = async |url: &str, body: &Value| {
        let answer = world.web.post(url).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (teams, slack) = (world.word("/webhooks/teams").to_owned(), world.word("/webhooks/slack").to_owned());
    let card = json!({"type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "Update 3"}]}}]});
    assert_eq!(send(&teams, &card).await, (202, String::new()));
    assert_eq!(send(&teams, &json!({"text": "as connectors took it"})).await.0, 400);
    let mut large = card.clone();
    large["attachments"][0]["content"]["body"][0]["text"] = "x".repeat(29 << 10).into();
    assert_eq!(send(&teams, &large).await.0, 400);
    assert_eq!(send(&slack, &json!({"text": "Update 4"})).await, (200, "ok".into()));
    assert_eq!(send(&slack, &json!({"words": "none"})).await, (400, "invalid_payload".into()));
    let (forged, _) = teams.rsplit_once('/').unwrap();
    assert_eq!(send(&format!("{forged}/guessed"), &card).await.0, 401);
    let kept = asked(world, "/webhooks").await;
    assert_eq!(kept.as_array().unwrap().len(), 2, "{kept}");
    assert_eq!((&kept[0]["webhook"], &kept[0]["message"]), (&json!("teams"), &card));
    assert_eq!((&kept[1]["webhook"], &kept[1]["message"]["text"]), (&json!("slack"), &json!("Update 4")));
}

/// More events than a page holds, each once, newest first, over all pages.
async fn the_activity_log_has_pages(world: &World) {
    let live = format!("{}?api-version=2025-08-01", world.server(LIVE));
    for n in 0..9 {
        let (status, _, said) =
            world.arm(Method::PATCH, &live, Some(json!({"tags": {"n": n.to_string()}}))).await;
        assert_eq!(status, 202, "{said}");
        let ready = async || world.arm(Method::GET, &live, None).await.2["properties"]["state"] == "Ready";
        until("the server is updated", ready).await;
    }
    let from = (Utc::now() - TimeDelta::hours(1)).format("%FT%TZ");
    let first = format!(
        "/subscriptions/{}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01\
         &$filter=eventTimestamp ge '{from}' and resourceProvider eq 'Microsoft.DBforPostgreSQL'",
        world.word("/azure/subscription")
    );
    let pages = async || {
        let (mut pages, mut next) = (Vec::new(), Some(first.clone()));
        while let Some(url) = next {
            let (status, _, page) = world.arm(Method::GET, &url, None).await;
            assert_eq!(status, 200, "{page}");
            next = page["nextLink"].as_str().map(str::to_owned);
            pages.push(page["value"].as_array().unwrap().clone());
        }
        pages
    };
    // The log comes after what happened.
    until("the log has more than a page", async || pages().await.concat().len() >= 27).await;
    let pages = pages().await;
    assert!(pages.len() >= 2 && pages[0].len() == 20, "{:?}", pages.iter().map(Vec::len).collect::<Vec<_>>());
    let all = pages.concat();
    let ids: BTreeSet<&str> = all.iter().map(|event| event["eventDataId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), all.len(), "an event twice");
    assert!(all.is_sorted_by(|a, b| a["eventTimestamp"].as_str() >= b["eventTimestamp"].as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_webhooks_and_the_log() {
    let world = World::start("outside");
    dependencies_go_down_and_come_back(&world).await;
    webhooks_keep_what_they_got(&world).await;
    the_activity_log_has_pages(&world).await;
}

/// A realistic server takes a minute to go; whoever asked may have left by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_disaster_goes_on_when_its_client_gives_up() {
    // Not in the shortest time: the client has to leave in the middle.
    let world = World::start_slow("gives-up");
    let path = format!(
        "{}/providers/Microsoft.Insights/diagnosticSettings?api-version=2021-05-01-preview",
        world.server(LIVE)
    );
    let left = async || world.arm(Method::GET, &path, None).await.2["value"].as_array().map(Vec::len);
    assert!(left().await.is_some_and(|n| n > 0), "there is something to be left behind");
    let request = world
        .web
        .post(format!("{}/disaster/server-deleted", world.word("/control/endpoint")))
        .bearer_auth(world.word("/control/token"));
    let asking = tokio::spawn(request.send());
    let state = async || {
        let servers = asked(&world, "/servers").await;
        let all = servers["servers"].as_array().unwrap().clone();
        all.iter().find(|s| s["name"] == LIVE).map(|s| s["state"].as_str().unwrap().to_owned())
    };
    until("the server goes", async || state().await.is_some_and(|s| s == "Dropping")).await;
    assert!(!asking.is_finished(), "the client is still there");
    asking.abort();
    until("the server is gone", async || state().await.is_none()).await;
    until("the rest of the disaster has happened", async || left().await == Some(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_server_is_kept_for_five_sandbox_days() {
    let world = World::start_with("days", &["--sandbox-day", "1s"]);
    let (status, struck) = world.control("/disaster/server-deleted", &json!({})).await;
    assert_eq!(status, 200, "{struck}");
    let dropped = async || asked(&world, "/servers").await["dropped"].as_array().unwrap().len();
    assert_eq!(dropped().await, 1, "it is kept at first");
    until("the five days are over", async || dropped().await == 0).await;
    let body = json!({"location": "uksouth", "properties": {
        "createMode": "ReviveDropped", "sourceServerResourceId": world.server(LIVE),
        "pointInTimeUTC": Utc::now().to_rfc3339(),
    }});
    let path = format!("{}?api-version=2025-08-01", world.server("s189p01-rsm-pd-pg-back"));
    let (status, _, said) = world.arm(Method::PUT, &path, Some(body)).await;
    assert_eq!((status, &said["error"]["code"]), (404, &json!("ResourceNotFound")), "{said}");
    // The name is free again for a deployment.
    let run = json!({"environment": "production", "image_tag": "abc"});
    assert_eq!(world.control("/github", &json!({"production_approval": false})).await.0, 204);
    let run = world.dispatch("manual-deploy.yml", run).await;
    assert_eq!(world.until(run, "completed").await["conclusion"], "success", "{}", world.log(run).await);
}
