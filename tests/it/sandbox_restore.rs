//! Restores are real: through Azure's own interface, to points in time around a known loss, checked row by row.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use drtui::sandbox::postgres::seed;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::installed::libfaketime;
use super::sandbox_world::{Ground, Sandbox, until};

const LIVE: &str = "s189p01-rsm-pd-pg";
const DEPLOYMENTS: [&str; 2] =
    ["refer-serious-misconduct-production", "refer-serious-misconduct-production-worker"];

/// The resource manager, asked as a client would.
struct Arm<'a> {
    sandbox: &'a Sandbox,
    web: reqwest::Client,
    token: String,
}

impl Arm<'_> {
    fn server(&self, name: &str) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}",
            self.sandbox.word("/azure/subscription"),
            self.sandbox.word("/azure/resource_group")
        )
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, http::HeaderMap, Value) {
        let url = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}{path}", self.sandbox.word("/azure/endpoint"))
        };
        let method = http::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.web.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.json().await.unwrap_or_default())
    }

    async fn put(&self, name: &str, mode: &str, time: &str) -> (u16, http::HeaderMap, Value) {
        let body = json!({"location": "uksouth", "properties": {
            "createMode": mode, "sourceServerResourceId": self.server(LIVE), "pointInTimeUTC": time,
        }});
        self.ask("PUT", &format!("{}?api-version=2025-08-01", self.server(name)), Some(body)).await
    }

    /// Follows an operation to its end.
    async fn follow(&self, (status, headers, body): (u16, http::HeaderMap, Value)) {
        assert_eq!(status, 202, "{body}");
        let poll = headers["azure-asyncoperation"].to_str().unwrap();
        assert!(poll.len() > 2_900, "a short signature: {}", poll.len());
        let (status, ..) = self.ask("GET", &poll[..poll.len() - 1], None).await;
        assert_eq!(status, 403, "an altered address is followed");
        let ended = async || {
            let (status, _, body) = self.ask("GET", poll, None).await;
            assert_eq!(status, 200, "{body}");
            assert!(body["status"] != "Failed", "{body}");
            body["status"] == "Succeeded"
        };
        until("the operation ends", ended).await;
    }

    /// Restores the live server as it was then; gives the new server's rows.
    async fn restored(&self, name: &str, time: DateTime<Utc>) -> Digest {
        let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
        self.follow(self.put(name, "PointInTimeRestore", &time).await).await;
        let client = self.open(name).await;
        let timeline: i32 =
            client.query_one("SELECT timeline_id FROM pg_control_checkpoint()", &[]).await.unwrap().get(0);
        assert_eq!(timeline, 2, "it was not recovered");
        digest(&client).await
    }

    /// Connects to a server where the sandbox says that it is.
    async fn open(&self, name: &str) -> Client {
        let there = control(self.sandbox, "GET", "/servers", None).await;
        let servers = there["servers"].as_array().unwrap();
        let server = servers.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("{there}"));
        self.sandbox.connect(server["url"].as_str().unwrap()).await
    }
}

async fn control(sandbox: &Sandbox, method: &str, path: &str, body: Option<Value>) -> Value {
    let url = format!("{}{path}", sandbox.word("/control/endpoint"));
    let web = reqwest::Client::builder().no_proxy().build().unwrap();
    let method = http::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = web.request(method, url).bearer_auth(sandbox.word("/control/token"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap_or_default()
}

/// Rows and content of every table.
type Digest = BTreeMap<String, String>;

async fn digest(client: &Client) -> Digest {
    let (_, lines) = seed::digest(client).await.unwrap();
    lines.lines().map(|l| l.split_once(' ').unwrap()).map(|(t, d)| (t.to_owned(), d.to_owned())).collect()
}

async fn now(client: &Client) -> DateTime<Utc> {
    let row = client.query_one("SELECT clock_timestamp()", &[]).await.unwrap();
    row.get::<_, std::time::SystemTime>(0).into()
}

/// Nobody writes but the test.
async fn silence(sandbox: &Sandbox, client: &Client) {
    for name in DEPLOYMENTS {
        let none = json!({"namespace": "tra-production", "name": name, "replicas": 0});
        control(sandbox, "POST", "/replicas", Some(none)).await;
    }
    let quiet = async || {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'refer-serious%'
                     AND query NOT LIKE 'SELECT 1%'";
        client.query_one(query, &[]).await.unwrap().get::<_, i64>(0) == 0
    };
    until("the service is silent", quiet).await;
}

async fn the_window_is_kept(arm: &Arm<'_>, lost: DateTime<Utc>) {
    let name = "s189p01-rsm-pd-pg-wrong";
    // What a mistake between London and UTC makes of it: outside what this young server can restore, so refused.
    for hours in [-1, 1] {
        let time = (lost + TimeDelta::hours(hours)).to_rfc3339();
        let (status, _, body) = arm.put(name, "PointInTimeRestore", &time).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (400, &json!("InvalidParameterValue")),
            "{hours}: {body}"
        );
    }
    let (status, _, body) = arm.put(name, "PointInTimeRestore", "20/11/2026 13:00").await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!("InternalServerError")));
    let (status, _, body) = arm.put(LIVE, "PointInTimeRestore", &lost.to_rfc3339()).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("ServerNameAlreadyExists")));
}

/// The live server is deleted, and comes back under another name with all that it had.
async fn deleted_and_revived(arm: &Arm<'_>, last: &Digest) {
    let live = format!("{}?api-version=2025-08-01", arm.server(LIVE));
    let (status, _, body) = arm.ask("DELETE", &live, None).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("ScopeLocked")), "{body}");
    let locks = format!("{}/providers/Microsoft.Authorization/locks", arm.server(LIVE));
    let (_, _, listed) = arm.ask("GET", &format!("{locks}?api-version=2020-05-01"), None).await;
    let lock = listed["value"][0]["name"].as_str().unwrap();
    let (status, ..) = arm.ask("DELETE", &format!("{locks}/{lock}?api-version=2020-05-01"), None).await;
    assert_eq!(status, 200);
    arm.follow(arm.ask("DELETE", &live, None).await).await;
    assert_eq!(arm.ask("GET", &live, None).await.0, 404);
    assert_eq!(arm.ask("DELETE", &live, None).await.0, 204);

    let settings = format!(
        "{}/providers/Microsoft.Insights/diagnosticSettings?api-version=2021-05-01-preview",
        arm.server(LIVE)
    );
    let (_, _, left) = arm.ask("GET", &settings, None).await;
    assert_eq!(left["value"].as_array().unwrap().len(), 1, "the setting went with its server");

    let from = (Utc::now() - TimeDelta::hours(1)).format("%FT%TZ");
    let log = format!(
        "/subscriptions/{}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01\
         &$filter=eventTimestamp ge '{from}' and resourceProvider eq 'Microsoft.DBforPostgreSQL'",
        arm.sandbox.word("/azure/subscription")
    );
    let logged = async || {
        let (_, _, events) = arm.ask("GET", &log, None).await;
        let deletes = events["value"].as_array().unwrap().iter().filter(|e| {
            let delete = "Microsoft.DBforPostgreSQL/flexibleServers/delete";
            e["operationName"]["value"] == delete && e["resourceId"] == arm.server(LIVE)
        });
        deletes.count() == 3
    };
    until("the log tells of the deletion", logged).await;

    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    arm.follow(arm.put("s189p01-rsm-pd-pg-back", "ReviveDropped", &time).await).await;
    assert_eq!(digest(&arm.open("s189p01-rsm-pd-pg-back").await).await, *last, "not all came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_points_in_time_around_a_loss_and_a_revival() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ground = Ground::new("restore");
    let sandbox = ground.start_with(&["--fast", "--restore-lag", "100ms"]);
    let arm = Arm { web: sandbox.web(), token: sandbox.token().await, sandbox: &sandbox };
    let client = arm.open(LIVE).await;
    silence(&sandbox, &client).await;
    let earliest = async || {
        let (_, _, live) =
            arm.ask("GET", &format!("{}?api-version=2025-08-01", arm.server(LIVE)), None).await;
        live["properties"]["backup"]["earliestRestoreDate"].is_string()
    };
    until("the first backup is complete", earliest).await;

    let before = (now(&client).await, digest(&client).await);
    let insert = "INSERT INTO feature_flags (name, active, created_at, updated_at)
                  SELECT 'flag ' || n, true, now(), now() FROM generate_series(1, 7) n";
    assert_eq!(client.execute(insert, &[]).await.unwrap(), 7);
    let whole = digest(&client).await;
    let struck = ground.run(&["disaster", "rows-deleted", "--json"]);
    assert!(struck.status.success(), "{}", String::from_utf8_lossy(&struck.stderr));
    let struck: Value = serde_json::from_slice(&struck.stdout).unwrap();
    let lost: DateTime<Utc> = struck["at"].as_str().unwrap().parse().unwrap();
    let after = (now(&client).await, digest(&client).await);
    client.execute("DELETE FROM feature_flags WHERE name LIKE 'flag %'", &[]).await.unwrap();
    let last = digest(&client).await;
    assert!(before.1 != whole && whole != after.1 && after.1 != last, "the points cannot be told apart");
    // A restore is refused until its time is long enough ago.
    let off = lost + TimeDelta::seconds(1);
    until("the last point can be restored", async || Utc::now() > off + TimeDelta::milliseconds(200)).await;

    let (first, second, third, wrong) = tokio::join!(
        arm.restored("s189p01-rsm-pd-pg-ptr-1", before.0),
        arm.restored("s189p01-rsm-pd-pg-ptr-2", lost),
        arm.restored("s189p01-rsm-pd-pg-ptr-3", after.0),
        arm.restored("s189p01-rsm-pd-pg-ptr-4", off),
    );
    assert_eq!(first, before.1, "before the rows were written");
    assert_eq!(second, whole, "the last moment at which all was whole");
    assert_eq!(third, after.1, "after the loss");
    assert_ne!(wrong, whole, "a second off, and nobody would notice");
    assert_eq!(digest(&client).await, last, "a restore changed the live server");
    the_window_is_kept(&arm, lost).await;
    drop(client);
    deleted_and_revived(&arm, &last).await;
}

/// What a loss of 1,000 referrals, and 500 blanked ones, leaves of the seed's 24,000; and what the service made since,
/// by id and time.
#[derive(Debug, PartialEq)]
struct Referrals {
    seeded: i64,
    blank: i64,
    made: Vec<(i64, DateTime<Utc>)>,
}

async fn referrals(client: &Client) -> Referrals {
    let counts = "SELECT count(*), count(*) FILTER (WHERE last_name = '') FROM referrals WHERE id <= 24000";
    let counts = client.query_one(counts, &[]).await.unwrap();
    let made = "SELECT id, created_at FROM referrals WHERE id > 24000 ORDER BY id";
    let made = client.query(made, &[]).await.unwrap();
    let made = made.iter().map(|row| (row.get(0), row.get::<_, std::time::SystemTime>(1).into())).collect();
    Referrals { seeded: counts.get(0), blank: counts.get(1), made }
}

/// The data was whole until 90 minutes ago, and the service went on. Who takes London's summer time for UTC is an hour
/// late, who changes it to UTC twice is an hour early; nobody refuses them, and they get other rows.
#[tokio::test(flavor = "multi_thread")]
async fn an_hour_off_is_accepted_and_brings_the_wrong_rows() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    libfaketime();
    let ground = Ground::new("hour");
    let past = ["--history", "3h", "--disaster", "rows-deleted", "--disaster-ago", "90m"];
    let sandbox = ground.start_with(&[&["--fast", "--restore-lag", "100ms"], &past[..]].concat());
    let said = sandbox.said.iter().find_map(|line| line.split_once("data was whole until "));
    let lost = said.and_then(|(_, at)| at.get(..23)).unwrap_or_else(|| panic!("{:?}", sandbox.said));
    let lost = chrono::NaiveDateTime::parse_from_str(lost, "%Y-%m-%d %H:%M:%S%.3f").unwrap().and_utc();
    let ago = Utc::now() - lost;
    assert!(TimeDelta::minutes(90) <= ago && ago < TimeDelta::minutes(92), "{ago}");

    let arm = Arm { web: sandbox.web(), token: sandbox.token().await, sandbox: &sandbox };
    let (_, _, live) = arm.ask("GET", &format!("{}?api-version=2025-08-01", arm.server(LIVE)), None).await;
    let earliest = live["properties"]["backup"]["earliestRestoreDate"].as_str().unwrap();
    let window = Utc::now() - earliest.parse::<DateTime<Utc>>().unwrap();
    assert!(TimeDelta::minutes(179) < window && window < TimeDelta::minutes(182), "{window}");

    let hour = TimeDelta::hours(1);
    tokio::join!(
        arm.restored("s189p01-rsm-pd-pg-ptr-1", lost),
        arm.restored("s189p01-rsm-pd-pg-ptr-2", lost - hour),
        arm.restored("s189p01-rsm-pd-pg-ptr-3", lost + hour),
    );
    let there = async |name: &str| referrals(&arm.open(name).await).await;
    let now = there(LIVE).await;
    assert_eq!((now.seeded, now.blank), (23_000, 500), "the live server as the loss left it");
    let until = |time| now.made.iter().copied().filter(|(_, made)| *made <= time).collect::<Vec<_>>();
    let right = there("s189p01-rsm-pd-pg-ptr-1").await;
    assert_eq!(right, Referrals { seeded: 24_000, blank: 0, made: until(lost) }, "the right time");
    let early = there("s189p01-rsm-pd-pg-ptr-2").await;
    assert_eq!(early, Referrals { seeded: 24_000, blank: 0, made: until(lost - hour) }, "an hour early");
    let late = there("s189p01-rsm-pd-pg-ptr-3").await;
    assert_eq!(late, Referrals { seeded: 23_000, blank: 500, made: until(lost + hour) }, "an hour late");
    // One a minute; what falls on the very minute is on either side.
    assert!((88..=91).contains(&right.made.len()), "{}", right.made.len());
    for (more, less, what) in [(&right, &early, "an hour early loses"), (&late, &right, "an hour late has")] {
        let hours = more.made.len() - less.made.len();
        assert!((59..=61).contains(&hours), "what {what}: {hours}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_makes_the_copy_that_the_recovery_workflow_makes() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ground = Ground::new("restore-command");
    let sandbox = ground.start_with(&["--fast", "--restore-lag", "100ms"]);
    let arm = Arm { web: sandbox.web(), token: sandbox.token().await, sandbox: &sandbox };
    let told = async |name: &str| {
        let (_, _, server) =
            arm.ask("GET", &format!("{}?api-version=2025-08-01", arm.server(name)), None).await;
        server["properties"].clone()
    };
    let backed_up = async || told(LIVE).await["backup"]["earliestRestoreDate"].is_string();
    until("the first backup is complete", backed_up).await;
    let at = now(&arm.open(LIVE).await).await;
    let time = at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string();
    let reachable = async || Utc::now() > at + TimeDelta::milliseconds(300);
    until("that time can be restored", reachable).await;
    let early = ground.run(&["restore", "2020-01-01 00:00:00 UTC"]);
    assert!(!early.status.success());
    assert!(String::from_utf8_lossy(&early.stderr).contains("Azure refused (400)"), "{early:?}");
    let ran = ground.run(&["restore", &time]);
    assert!(ran.status.success(), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stdout).ends_with("s189p01-rsm-pd-pg-ptr is Ready.\n"), "{ran:?}");
    assert_eq!(told("s189p01-rsm-pd-pg-ptr").await["state"], "Ready");
}

#[test]
fn a_history_that_cannot_be_is_refused() {
    let ground = Ground::new("no-history");
    let refused = |more: &[&str], why: &str| {
        let output = ground.run(&[&["--headless"], more].concat());
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && words.contains(why), "{more:?}: {words}");
    };
    refused(&["--history", "30s"], "from 1m to 24h");
    refused(&["--disaster", "rows-deleted", "--disaster-ago", "5m"], "--history");
    let struck = |name, ago| ["--history", "1h", "--disaster", name, "--disaster-ago", ago];
    refused(&struck("rows-deleted", "1h"), "within --history");
    refused(&struck("github-down", "5m"), "github-down is none");
}
