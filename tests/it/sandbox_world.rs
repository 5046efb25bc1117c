//! The sandbox as a whole: the real program, headless, asked by real clients; and that it leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::await_condition;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::time::timeout;

const SERVER: &str = "providers/Microsoft.DBforPostgreSQL/flexibleServers";
const WEB: &str = "refer-serious-misconduct-production";
const LIMIT: Duration = Duration::from_secs(20);

/// An own temporary folder for everything that a sandbox makes, so that what is left can be seen.
pub(crate) struct Ground(PathBuf);

impl Ground {
    pub(crate) fn new(name: &str) -> Ground {
        let path = std::env::temp_dir().join(format!("drtui-test-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        // PostgreSQL may run as another user.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Ground(path)
    }

    fn state_file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    fn drtui(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drtui"));
        command.arg("sandbox").args(args).arg("--state-file").arg(self.state_file()).env("TMPDIR", &self.0);
        command.env_remove("RUST_BACKTRACE");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.drtui(args).output().unwrap()
    }

    fn start(&self) -> Sandbox {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, more: &[&str]) -> Sandbox {
        let begun = Instant::now();
        let mut command = self.drtui(&[&["--headless", "--stop-with-stdin", "--seed", "7"], more].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| {
            let ready = line.starts_with("ready: ");
            said.push(line);
            ready
        });
        assert!(ready, "the sandbox ended: {said:#?}");
        let took = begun.elapsed();
        println!("ready after {:.1} s", took.as_secs_f64());
        let text = fs::read_to_string(self.state_file()).unwrap();
        Sandbox { child, said, took, state: serde_json::from_str(&text).unwrap() }
    }

    fn entries(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().flatten();
        names.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running sandbox. Dropped, its input ends, and so does it.
pub(crate) struct Sandbox {
    child: Child,
    pub(crate) said: Vec<String>,
    took: Duration,
    pub(crate) state: Value,
}

impl Sandbox {
    pub(crate) fn word(&self, pointer: &str) -> &str {
        self.state.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    fn postmaster(&self) -> i32 {
        let file = Path::new(self.word("/run_dir")).join("pg/live/postmaster.pid");
        fs::read_to_string(file).unwrap().lines().next().unwrap().parse().unwrap()
    }

    pub(crate) fn web(&self) -> reqwest::Client {
        let ca = reqwest::Certificate::from_pem(&fs::read(self.word("/ca_file")).unwrap()).unwrap();
        reqwest::Client::builder().tls_certs_only([ca]).no_proxy().timeout(LIMIT).build().unwrap()
    }

    async fn postgres(&self) -> tokio_postgres::Client {
        self.connect(self.word("/postgres/live_url")).await
    }

    pub(crate) async fn connect(&self, url: &str) -> tokio_postgres::Client {
        let (url, parameters) = url.split_once('?').unwrap();
        assert!(parameters.contains("sslmode=verify-full"), "{parameters}");
        let mut config: tokio_postgres::Config = url.parse().unwrap();
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.word("/ca_file")).unwrap()).unwrap();
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let (client, connection) =
            config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn deployments(&self) -> Api<Deployment> {
        let kubeconfig = Kubeconfig::read_from(self.word("/kubeconfig")).unwrap();
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Api::namespaced(kube::Client::try_from(config).unwrap(), "tra-production")
    }

    /// Asks the resource manager with a token of its own.
    async fn azure(&self, path: &str) -> (u16, Value) {
        let token = self.token().await;
        let url = format!(
            "{}/subscriptions/{}{path}",
            self.word("/azure/endpoint"),
            self.word("/azure/subscription")
        );
        let answer = self.web().get(url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn token(&self) -> String {
        let (web, endpoint) = (self.web(), self.word("/azure/endpoint"));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.word("/azure/client_id")),
            ("client_secret", self.word("/azure/client_secret")),
            ("scope", "https://management.azure.com/.default"),
        ];
        let url = format!("{endpoint}/{}/oauth2/v2.0/token", self.word("/azure/tenant"));
        let token: Value = web.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        token["access_token"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned()
    }

    /// The newest minute of a metric, as `aggregation`.
    async fn metric(&self, name: &str, aggregation: &str) -> Option<f64> {
        let (from, to) = (Utc::now() - TimeDelta::minutes(2), Utc::now() + TimeDelta::seconds(1));
        let span = format!("{}/{}", from.format("%FT%TZ"), to.format("%FT%TZ"));
        let group = self.word("/azure/resource_group");
        let path = format!(
            "/resourceGroups/{group}/{SERVER}/s189p01-rsm-pd-pg/providers/Microsoft.Insights/metrics\
             ?api-version=2024-02-01&metricnames={name}&timespan={span}&interval=PT1M&aggregation=Maximum,Minimum"
        );
        let (status, body) = self.azure(&path).await;
        assert_eq!(status, 200, "{body}");
        let data = body["value"][0]["timeseries"][0]["data"].as_array().unwrap();
        data.last().unwrap().get(aggregation).and_then(Value::as_f64)
    }

    async fn health(&self) -> (u16, String) {
        let answer =
            self.web().get(format!("{}/health/all", self.word("/service/url"))).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

fn alive(pid: i32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
}

fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

async fn the_state_file_is_whole_and_private(ground: &Ground, sandbox: &Sandbox) {
    let mode = fs::metadata(ground.state_file()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let state = &sandbox.state;
    assert_eq!(state["pid"], json!(sandbox.child.id()));
    for part in ["github", "blobs"] {
        assert!(sandbox.word(&format!("/{part}/endpoint")).starts_with("https://127.0.0.1:"), "{state}");
    }
    for file in ["/ca_file", "/kubeconfig", "/config"] {
        let mode = fs::metadata(sandbox.word(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let config = fs::read_to_string(sandbox.word("/config")).unwrap();
    assert!(!config.contains(sandbox.word("/azure/client_secret")), "a secret in the configuration");
    let config: toml::Table = config.parse().unwrap();
    assert_eq!(config["environments"]["production"]["exercise"], toml::Value::from(true));
    let second = ground.run(&["--headless"]);
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && words.contains("already running"), "{words}");
}

async fn the_database_holds_the_service(sandbox: &Sandbox) {
    let client = sandbox.postgres().await;
    let row = client
        .query_one("SELECT count(*), current_user::text, current_setting('wal_level') FROM referrals", &[]);
    let row = row.await.unwrap();
    // The service goes on making referrals.
    assert!(row.get::<_, i64>(0) >= 24_000 && row.get::<_, &str>(2) == "replica");
    assert!(row.get::<_, &str>(1).starts_with('u') && row.get::<_, &str>(1).len() == 16);
    let durable = client
        .query_one("SELECT current_setting('full_page_writes'), current_setting('synchronous_commit')", &[]);
    let durable = durable.await.unwrap();
    assert_eq!(
        (durable.get::<_, &str>(0), durable.get::<_, &str>(1)),
        ("on", "on"),
        "the settings for loading stayed"
    );
}

async fn azure_tells_what_runs(sandbox: &Sandbox) {
    let (status, list) =
        sandbox.azure(&format!("/RESOURCEGROUPS/s189p01-rsm-pd-rg/{SERVER}?api-version=2025-08-01")).await;
    assert_eq!(status, 200, "{list}");
    let servers: Vec<_> = list["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["name"].as_str(), s["properties"]["state"].as_str()))
        .collect();
    assert_eq!(
        servers,
        [(Some("s189p01-rsm-pd-pg"), Some("Ready")), (Some("s189p01-rsm-pd-pg-snapshot"), Some("Stopped"))]
    );
    let real: String =
        sandbox.postgres().await.query_one("SHOW server_version_num", &[]).await.unwrap().get(0);
    let said = &list["value"][0]["properties"];
    let said = format!("{}{:0>4}", said["version"].as_str().unwrap(), said["minorVersion"].as_str().unwrap());
    assert_eq!(said, real);
    let nothing = format!("/resourceGroups/s189p01-rsm-pd-rg/{SERVER}/nothing?api-version=2025-08-01");
    let (status, body) = sandbox.azure(&nothing).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("ResourceNotFound")));
    let (status, body) = sandbox.azure(&format!("/{SERVER}")).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("MissingApiVersionParameter")));
    let bare = format!("{}/subscriptions?api-version=2022-12-01", sandbox.word("/azure/endpoint"));
    let bare = sandbox.web().get(bare).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert!(bare.headers()["www-authenticate"].to_str().unwrap().contains(sandbox.word("/azure/tenant")));
    assert_eq!(sandbox.metric("is_db_alive", "minimum").await, Some(1.0));
    assert!(sandbox.metric("storage_used", "maximum").await.unwrap() > 1e7);
}

async fn connections_follow_clients(sandbox: &Sandbox) {
    let mut clients = Vec::new();
    for _ in 0..25 {
        clients.push(sandbox.postgres().await);
    }
    let counted = async || sandbox.metric("active_connections", "maximum").await.is_some_and(|n| n >= 25.0);
    until("the metric counts 25 connections", counted).await;
}

/// Asks until it is so.
pub(crate) async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let asking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while !so().await {
            pace.tick().await;
        }
    };
    timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("it does not come about that {what}"));
}

/// Connections that the replicas of the web deployment hold.
async fn pooled(client: &tokio_postgres::Client) -> i64 {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    client.query_one(query, &[&WEB]).await.unwrap().get(0)
}

async fn the_service_lives_by_its_replicas(sandbox: &Sandbox) {
    let (status, body) = sandbox.health().await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["database"]["success"], json!(true));
    let page = sandbox.web().get(sandbox.word("/service/url")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<th>referrals</th><td>24"), "{page}");
    let (api, client) = (sandbox.deployments().await, sandbox.postgres().await);
    for (replicas, expected) in [(0, 503), (2, 200)] {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        api.patch_scale(WEB, &PatchParams::default(), &patch).await.unwrap();
        let settled = await_condition(api.clone(), WEB, move |d: Option<&Deployment>| {
            let status = d.and_then(|d| d.status.as_ref());
            status.is_some_and(|s| s.ready_replicas.unwrap_or_default() == replicas)
        });
        timeout(LIMIT, settled).await.expect("the replicas do not settle").unwrap();
        let (status, body) = sandbox.health().await;
        assert_eq!(status, expected, "with {replicas} replicas: {body}");
        assert!(expected == 200 || body.contains("nginx"), "{body}");
        // Three for each replica; the health page has one of its own.
        let follow = async || (pooled(&client).await - i64::from(replicas) * 3).abs() <= 1;
        until("the service's connections follow its replicas", follow).await;
    }
}

/// As users would: referrals are made and moved on, on connections that last.
async fn live_moves_on(sandbox: &Sandbox) {
    let client = sandbox.postgres().await;
    let moved = async || {
        let query = "SELECT count(*) FILTER (WHERE id > 24000),
                       count(*) FILTER (WHERE updated_at > now() - interval '5 minutes' AND updated_at > created_at)
                     FROM referrals";
        let row = client.query_one(query, &[]).await.unwrap();
        row.get::<_, i64>(0) > 0 && row.get::<_, i64>(1) > 0
    };
    until("referrals are made and moved on", moved).await;
    // Longer than the longest pause between two pieces of work: each has worked, and holds.
    let lasting = async || {
        let query = "SELECT count(*) FROM pg_stat_activity
                     WHERE application_name = $1 AND backend_start < now() - interval '6 seconds'";
        client.query_one(query, &[&WEB]).await.unwrap().get::<_, i64>(0) >= 6
    };
    until("the service's connections last", lasting).await;
}

async fn a_disaster_strikes(ground: &Ground, sandbox: &Sandbox) {
    let before = Utc::now();
    let output = ground.run(&["disaster", "rows-deleted", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let struck: Value = serde_json::from_slice(&output.stdout).unwrap();
    let at: chrono::DateTime<Utc> = struck["at"].as_str().unwrap().parse().unwrap();
    assert!(before <= at && at <= Utc::now(), "{at}");
    let damage = struck["what"].as_array().unwrap();
    let of = |table: &str, key: &str| -> i64 {
        damage.iter().filter(|d| d["table"] == table).filter_map(|d| d[key].as_i64()).sum()
    };
    assert_eq!((of("referrals", "deleted"), of("referrals", "changed")), (1_000, 500));
    assert!(of("allegations", "deleted") > 1_000 && of("uploads", "deleted") > 1_000);
    let client = sandbox.postgres().await;
    let row = client
        .query_one("SELECT count(*) FILTER (WHERE id <= 24000), count(*) FILTER (WHERE last_name = '') FROM referrals", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (23_000, 500));
    let unknown = ground.run(&["disaster", "meteorite"]);
    let words = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success() && words.contains("rows-deleted"), "{words}");
}

async fn faults_come_and_go(ground: &Ground, sandbox: &Sandbox) {
    let url = format!("{}/subscriptions?api-version=2022-12-01", sandbox.word("/azure/endpoint"));
    let status = async || sandbox.web().get(&url).send().await.unwrap().status().as_u16();
    assert!(ground.run(&["fault", "429", "--on", "azure", "--for", "5m"]).status.success());
    assert_eq!(status().await, 429);
    assert!(ground.run(&["fault", "none", "--on", "azure"]).status.success());
    assert_eq!(status().await, 401);
    let control = format!("{}/faults", sandbox.word("/control/endpoint"));
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap().get(control).send().await.unwrap();
    assert_eq!(stranger.status(), 401, "the remote control obeys strangers");
}

/// The other disasters do what they say; the one that deletes the server comes last of all.
async fn more_disasters_strike(ground: &Ground, sandbox: &Sandbox) {
    let strike = |name: &str| {
        let output = ground.run(&["disaster", name]);
        let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), words)
    };
    let client = sandbox.postgres().await;
    let (struck, words) = strike("rows-corrupted");
    assert!(struck && words.contains("of 2000 rows of referrals overwritten"), "{words}");
    assert!(strike("table-dropped").0 && strike("bad-migration").0);
    let row = client
        .query_one(
            "SELECT to_regclass('case_notes') IS NULL, (SELECT count(*) FROM information_schema.columns
             WHERE table_name = 'allegations' AND column_name = 'happened_on')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, bool>(0), row.get::<_, i64>(1)), (true, 0));
    let (struck, words) = strike("ptr-name-taken");
    assert!(struck, "{words}");
    let server =
        |name: &str| format!("/resourceGroups/s189p01-rsm-pd-rg/{SERVER}/{name}?api-version=2025-08-01");
    assert_eq!(sandbox.azure(&server("s189p01-rsm-pd-pg-ptr")).await.0, 200);
    let (struck, words) = strike("clock-change-night");
    assert!(struck && words.contains("00:50:00 UTC"), "{words}");
    let (_, shown) = sandbox.azure(&server("s189p01-rsm-pd-pg")).await;
    let created: chrono::DateTime<Utc> = shown["systemData"]["createdAt"].as_str().unwrap().parse().unwrap();
    assert!((Utc::now() - created).abs() > TimeDelta::hours(1), "Azure's time did not move: {created}");
    let clock = format!("{}/clock", sandbox.word("/control/endpoint"));
    let web = reqwest::Client::builder().no_proxy().build().unwrap();
    let back = web.post(clock).bearer_auth(sandbox.word("/control/token")).json(&json!({"shift_s": 0}));
    assert_eq!(back.send().await.unwrap().status(), 200);
    let (struck, words) = strike("azure-throttled");
    assert!(
        struck && sandbox.web().get(sandbox.word("/azure/endpoint")).send().await.unwrap().status() == 429,
        "{words}"
    );
    assert!(ground.run(&["fault", "none", "--on", "azure"]).status.success());
}

/// Somebody else changes the cluster, through the remote control.
async fn others_meddle(sandbox: &Sandbox) {
    let endpoint = sandbox.word("/control/endpoint");
    let web = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, body: Value| {
        let request = web.post(format!("{endpoint}{path}")).bearer_auth(sandbox.word("/control/token"));
        request.json(&body).send().await.unwrap().status().as_u16()
    };
    let worker = "refer-serious-misconduct-production-worker";
    let scaled = json!({"namespace": "tra-production", "name": worker, "replicas": 1});
    assert_eq!(post("/replicas", scaled).await, 204);
    let got = sandbox.deployments().await.get(worker).await.unwrap();
    assert_eq!(got.spec.unwrap().replicas, Some(1));
    let nobody = json!({"namespace": "tra-production", "name": "nobody", "replicas": 1});
    assert_eq!(post("/replicas", nobody).await, 404);
    assert_eq!(post("/churn", json!({"per_second": 50})).await, 204);
    assert_eq!(post("/churn", json!({"per_second": 0})).await, 204);
    assert_eq!(post("/compact", json!({})).await, 204);
}

async fn a_dead_server_is_not_called_alive(sandbox: &Sandbox) {
    signal(sandbox.postmaster(), nix::sys::signal::Signal::SIGQUIT);
    until("the health page fails", async || sandbox.health().await.0 == 500).await;
    let dead = async || sandbox.metric("is_db_alive", "minimum").await == Some(0.0);
    until("the metric says that the database is dead", dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_on_loopback_from_start_to_sigterm() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ground = Ground::new("world");
    let mut sandbox = ground.start();
    assert!(sandbox.took < Duration::from_secs(30), "{:?}", sandbox.took);
    the_state_file_is_whole_and_private(&ground, &sandbox).await;
    the_database_holds_the_service(&sandbox).await;
    azure_tells_what_runs(&sandbox).await;
    connections_follow_clients(&sandbox).await;
    the_service_lives_by_its_replicas(&sandbox).await;
    live_moves_on(&sandbox).await;
    a_disaster_strikes(&ground, &sandbox).await;
    faults_come_and_go(&ground, &sandbox).await;
    others_meddle(&sandbox).await;
    more_disasters_strike(&ground, &sandbox).await;
    a_dead_server_is_not_called_alive(&sandbox).await;

    signal(i32::try_from(sandbox.child.id()).unwrap(), nix::sys::signal::Signal::SIGTERM);
    assert!(sandbox.child.wait().unwrap().success());
    assert_eq!(ground.entries(), Vec::<String>::new(), "left behind");
}

#[test]
fn a_killed_sandbox_is_cleared_away_by_the_next() {
    let ground = Ground::new("killed");
    let mut first = ground.start();
    let (postmaster, run_dir) = (first.postmaster(), first.word("/run_dir").to_owned());
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(alive(postmaster) && Path::new(&run_dir).exists() && ground.state_file().exists());
    let orphaned = ground.run(&["disaster", "rows-deleted"]);
    assert!(String::from_utf8_lossy(&orphaned.stderr).contains("not running any more"));

    let mut second = ground.start();
    assert!(!alive(postmaster) && !Path::new(&run_dir).exists());
    let said = second.said.iter().find(|line| line.contains("killed sandbox")).expect("it does not say so");
    assert!(said.contains(&run_dir) && said.contains(&postmaster.to_string()), "{said}");
    let postmaster = second.postmaster();
    drop(second.child.stdin.take());
    assert!(second.child.wait().unwrap().success());
    assert!(!alive(postmaster));
    assert_eq!(ground.entries(), Vec::<String>::new(), "left behind");
}

#[test]
fn a_sandbox_that_is_stopped_while_it_starts_leaves_nothing() {
    let ground = Ground::new("aborted");
    let mut command = ground.drtui(&["--headless", "--stop-with-stdin"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains("filling the database")));
    signal(i32::try_from(child.id()).unwrap(), nix::sys::signal::Signal::SIGINT);
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{ended}");
    assert_eq!(ground.entries(), Vec::<String>::new(), "left behind");
    let mut rest = String::new();
    lines.map_while(Result::ok).for_each(|line| rest.push_str(&line));
    assert!(!rest.contains("ready"), "{rest}");
}
