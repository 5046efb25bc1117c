//! The sandbox's GitHub and blob storage: workflows that really back up and restore, with the platform's flaws; approvals,
//! the freeze, conflicts, entity tags. The real program, asked over HTTPS.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
const REPO: &str = "repos/DFE-Digital/refer-serious-misconduct";
const PRODUCTION: &str = "production";

/// A fast sandbox in an own temporary folder. Dropped, its input ends, and so does it.
struct World {
    child: Child,
    folder: PathBuf,
    state: Value,
    web: reqwest::Client,
}

impl World {
    fn start(name: &str) -> World {
        let folder = std::env::temp_dir().join(format!("drtui-github-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // PostgreSQL may run as another user.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.join("state.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_drtui"));
        command.args(["sandbox", "--headless", "--fast", "--stop-with-stdin", "--seed", "7", "--state-file"]);
        command.arg(&file).env("TMPDIR", &folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("ready: ")), "the sandbox did not start");
        let state: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pem = fs::read(state["ca_file"].as_str().unwrap()).unwrap();
        let ca = reqwest::Certificate::from_pem(&pem).unwrap();
        let web = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        World { child, folder, state, web }
    }

    fn word(&self, pointer: &str) -> &str {
        self.state.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    fn github(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/{REPO}/{path}", self.word("/github/endpoint"));
        self.web.request(method, url).bearer_auth(self.word("/github/token"))
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.github(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Status and body.
    async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.github(method, path).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    /// Dispatches and gives the run's number.
    async fn dispatch(&self, file: &str, inputs: Value) -> u64 {
        let body = json!({"ref": "main", "inputs": inputs, "return_run_details": true});
        let path = format!("actions/workflows/{file}/dispatches");
        let (status, body) = self.send(Method::POST, &path, &body).await;
        assert_eq!(status, 200, "{body}");
        body["workflow_run_id"].as_u64().unwrap()
    }

    async fn run(&self, id: u64) -> Value {
        self.get(&format!("actions/runs/{id}")).await
    }

    async fn until(&self, id: u64, status: &str) -> Value {
        let asking = async {
            let mut pace = tokio::time::interval(Duration::from_millis(30));
            loop {
                pace.tick().await;
                let run = self.run(id).await;
                if run["status"] == status {
                    return run;
                }
                assert_ne!(run["status"], "completed", "the run ended before it was {status}: {run}");
            }
        };
        timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("run {id} is never {status}"))
    }

    async fn approve(&self, id: u64, state: &str) {
        self.until(id, "waiting").await;
        let pending = self.get(&format!("actions/runs/{id}/pending_deployments")).await;
        assert_eq!(pending[0]["current_user_can_approve"], true);
        let ids = [pending[0]["environment"]["id"].clone()];
        let body = json!({"environment_ids": ids, "state": state, "comment": "seen"});
        let (status, body) =
            self.send(Method::POST, &format!("actions/runs/{id}/pending_deployments"), &body).await;
        assert_eq!(status, 200, "{body}");
    }

    /// The log of a run's only job, through the address that works without a token.
    async fn log(&self, id: u64) -> String {
        let jobs = self.get(&format!("actions/runs/{id}/jobs")).await;
        let job = jobs["jobs"][0]["id"].as_u64().unwrap();
        let redirect = self.github(Method::GET, &format!("actions/jobs/{job}/logs")).send().await.unwrap();
        assert_eq!(redirect.status(), 302);
        let url = redirect.headers()["location"].to_str().unwrap();
        let refused = self.web.get(url).bearer_auth("x").send().await.unwrap();
        assert_eq!(refused.status(), 403, "a token beside the signature");
        self.web.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn storage_token(&self, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.word("/azure/client_id")),
            ("client_secret", self.word("/azure/client_secret")),
            ("scope", scope),
        ];
        let url =
            format!("{}/{}/oauth2/v2.0/token", self.word("/azure/endpoint"), self.word("/azure/tenant"));
        let answer: Value = self.web.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn blob(&self, method: Method, path: &str, token: &str, body: Option<Vec<u8>>) -> Response {
        let url = format!("{}/{path}", self.word("/blobs/endpoint"));
        let mut request =
            self.web.request(method, url).bearer_auth(token).header("x-ms-version", "2024-11-04");
        if let Some(body) = body {
            request = request.header("x-ms-blob-type", "BlockBlob").body(body);
        }
        request.send().await.unwrap()
    }

    async fn postgres(&self) -> tokio_postgres::Client {
        let url = self.word("/postgres/live_url").split_once('?').unwrap().0;
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

    async fn count(&self, table: &str) -> i64 {
        let question = format!("SELECT count(*) FROM {table}");
        self.postgres().await.query_one(&question, &[]).await.unwrap().get(0)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut child =
        Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_and_restores_move_real_rows_and_a_green_restore_may_have_failed() {
    let world = World::start("rows");
    let backup =
        world.dispatch("backup-db.yml", json!({"environment": PRODUCTION, "backup-file": "before"})).await;
    assert_eq!(world.until(backup, "completed").await["conclusion"], "success");
    let again =
        world.dispatch("backup-db.yml", json!({"environment": PRODUCTION, "backup-file": "before"})).await;
    assert_eq!(world.until(again, "completed").await["conclusion"], "failure", "the name is taken");
    assert!(world.log(again).await.contains("before.sql.gz already exists"));

    let whole = world.count("allegations").await;
    assert!(whole > 1_000);
    world.postgres().await.batch_execute("DELETE FROM allegations WHERE id % 2 = 0").await.unwrap();
    assert!(world.count("allegations").await < whole);

    let inputs = json!({"environment": PRODUCTION, "backup-file": "before.sql.gz"});
    let skipped = world.dispatch("postgres-restore.yml", inputs).await;
    let run = world.until(skipped, "completed").await;
    assert_eq!(run["conclusion"], "skipped", "production was not confirmed");
    assert!(world.count("allegations").await < whole);

    let confirmed =
        json!({"environment": PRODUCTION, "backup-file": "before.sql.gz", "confirm-production": "true"});
    let rejected = world.dispatch("postgres-restore.yml", confirmed.clone()).await;
    world.approve(rejected, "rejected").await;
    assert_eq!(world.until(rejected, "completed").await["conclusion"], "failure");
    let restore = world.dispatch(".github%2Fworkflows%2Fpostgres-restore.yml", confirmed).await;
    world.approve(restore, "approved").await;
    assert_eq!(world.until(restore, "completed").await["conclusion"], "success");
    // The service went on writing a few rows between the backup and the count; the job had taken half of all.
    let back = world.count("allegations").await;
    assert!(back.abs_diff(whole) < 100, "{back} of {whole}: {}", world.log(restore).await);

    let token = world.storage_token("https://storage.azure.com/.default").await;
    let bad = "CREATE TABLE good (id int);\nINSERT INTO good VALUES (1), (2);\nINSERT INTO nowhere VALUES (3);\n\
               INSERT INTO good SELECT id FROM missing;\nINSERT INTO good VALUES (4);\n";
    let put = world.blob(Method::PUT, "database-backup/bad.sql.gz", &token, Some(gzip(bad))).await;
    assert_eq!(put.status(), 201);
    let inputs =
        json!({"environment": PRODUCTION, "backup-file": "bad.sql.gz", "confirm-production": "true"});
    let green = world.dispatch("postgres-restore.yml", inputs).await;
    world.approve(green, "approved").await;
    assert_eq!(world.until(green, "completed").await["conclusion"], "success", "green although SQL failed");
    let log = world.log(green).await;
    assert!(log.contains("ERROR:  relation \"nowhere\" does not exist"), "{log}");
    assert_eq!(world.count("good").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn freeze_maintenance_dispatch_and_tags_behave_as_on_github() {
    let world = World::start("guards");
    refused_dispatches(&world).await;
    entity_tags_are_free(&world).await;
    maintenance_moves_the_ingress_and_a_deploy_moves_it_back(&world).await;
    runs_can_be_cancelled_and_run_again(&world).await;
}

async fn refused_dispatches(world: &World) {
    let dispatch = async |file: &str, body: Value| {
        let (status, body) =
            world.send(Method::POST, &format!("actions/workflows/{file}/dispatches"), &body).await;
        (status, body["message"].as_str().unwrap_or_default().to_owned())
    };
    let unexpected = dispatch("backup-db.yml", json!({"ref": "main", "inputs": {"a": "b"}})).await;
    assert_eq!(unexpected, (422, "Unexpected inputs provided: [\"a\"]".into()));
    let (status, words) = dispatch("backup-db.yml", json!({"ref": "gone"})).await;
    assert!(status == 422 && words.contains("No ref found"), "{words}");
    let (status, words) = dispatch("build-and-deploy.yml", json!({"ref": "main"})).await;
    assert!(status == 422 && words.contains("workflow_dispatch"), "{words}");
    assert_eq!(dispatch("nothing.yml", json!({"ref": "main"})).await.0, 404);
    let test = json!({"ref": "main", "inputs": {"environment": "test"}});
    assert_eq!(dispatch("backup-db.yml", test).await.0, 204, "no details unless asked");
    let url = format!("{}/{REPO}", world.word("/github/endpoint"));
    for (header, message) in [(None, "Requires authentication"), (Some("token wrong"), "Bad credentials")] {
        let mut request = world.web.get(&url);
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.json::<Value>().await.unwrap()["message"], message);
    }
}

async fn entity_tags_are_free(world: &World) {
    let path = "actions/workflows?per_page=2";
    let first = world.github(Method::GET, path).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert!(link.contains("page=2>; rel=\"next\"") && link.contains("rel=\"last\""), "{link}");
    let used = first.headers()["x-ratelimit-used"].clone();
    let second = world.github(Method::GET, path).header("if-none-match", tag).send().await.unwrap();
    assert_eq!((second.status().as_u16(), &second.headers()["x-ratelimit-used"]), (304, &used));
    assert!(second.bytes().await.unwrap().is_empty());
}

async fn maintenance_moves_the_ingress_and_a_deploy_moves_it_back(world: &World) {
    let service = world.word("/service/url").to_owned();
    let page = async |host: Option<&str>| {
        let mut request = world.web.get(&service);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let temporary = Some("refer-serious-misconduct-temp.teacherservices.cloud");
    assert_eq!((page(None).await.0, page(temporary).await.0), (200, 404));
    let inputs = json!({"environment": PRODUCTION, "mode": "enable"});
    let enable = world.dispatch("maintenance.yml", inputs).await;
    world.approve(enable, "approved").await;
    assert_eq!(world.until(enable, "completed").await["conclusion"], "success");
    let (status, text) = page(None).await;
    assert!(status == 503 && text.contains("the service is unavailable"), "{text}");
    assert!(page(temporary).await.1.contains("<table>"), "the temporary address reaches the service");

    // Frozen, nothing is merged; thawed, a merge deploys, and the deployment ends maintenance.
    let reviews = "branches/main/protection/required_pull_request_reviews";
    let before = world.get(reviews).await["required_approving_review_count"].clone();
    assert_eq!(before, 1);
    let freeze = json!({"required_approving_review_count": 6});
    assert_eq!(world.send(Method::PATCH, reviews, &freeze).await.0, 200);
    let (status, body) = world.send(Method::PUT, "pulls/2151/merge", &json!({})).await;
    assert!(status == 405 && body["message"].as_str().unwrap().contains("6 approving reviews"), "{body}");
    let seven = json!({"required_approving_review_count": 7});
    assert_eq!(world.send(Method::PATCH, reviews, &seven).await.0, 422);
    let thaw = json!({"required_approving_review_count": before});
    assert_eq!(world.send(Method::PATCH, reviews, &thaw).await.0, 200);
    assert_eq!(world.send(Method::PUT, "pulls/2151/merge", &json!({})).await.0, 200);
    let pushed = world.get("actions/runs?event=push").await;
    world.until(pushed["workflow_runs"][0]["id"].as_u64().unwrap(), "completed").await;
    assert_eq!(page(None).await.0, 200, "the deployment has ended maintenance");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_to_a_time_by_a_workflow_is_the_source_of_a_backup_that_restores_live() {
    let world = World::start("ptr");
    let whole = world.count("allegations").await;
    let restored = async {
        loop {
            // Too early it fails, as on Azure: the first base backup must be complete.
            let before = chrono::Utc::now() - chrono::TimeDelta::seconds(6);
            let time = before.format("%Y-%m-%dT%H:%M:%S").to_string();
            let inputs =
                json!({"environment": PRODUCTION, "confirm-production": "true", "restore-time": time});
            let run = world.dispatch("postgres-ptr.yml", inputs).await;
            world.approve(run, "approved").await;
            if world.until(run, "completed").await["conclusion"] == "success" {
                return;
            }
            assert!(world.log(run).await.contains("InvalidPointInTimeUTC"), "{}", world.log(run).await);
        }
    };
    timeout(LIMIT, restored).await.unwrap();
    world.postgres().await.batch_execute("DELETE FROM allegations").await.unwrap();

    let ptr = "s189p01-rsm-pd-pg-ptr";
    let inputs = json!({"environment": PRODUCTION, "backup-file": "ptr", "db-server": ptr});
    let backup = world.dispatch("backup-db.yml", inputs).await;
    assert_eq!(
        world.until(backup, "completed").await["conclusion"],
        "success",
        "{}",
        world.log(backup).await
    );
    let inputs =
        json!({"environment": PRODUCTION, "confirm-production": "true", "backup-file": "ptr.sql.gz"});
    let restore = world.dispatch("postgres-restore.yml", inputs).await;
    world.approve(restore, "approved").await;
    world.until(restore, "completed").await;
    assert!(
        world.count("allegations").await.abs_diff(whole) < 100,
        "the service writes a few rows meanwhile"
    );

    // Reviving a server that was never deleted: refused by the action; one that nobody knows: green all the same.
    for (server, conclusion) in [(ptr, "failure"), ("s189p01-rsm-pd-pg-gone", "success")] {
        let inputs = json!({
            "environment": PRODUCTION, "confirm-production": "true", "deleted-server": server,
            "restore-time": "2026-11-20T12:00:00",
        });
        let revive = world.dispatch("restore-deleted-postgres.yml", inputs).await;
        world.approve(revive, "approved").await;
        assert_eq!(world.until(revive, "completed").await["conclusion"], conclusion, "{server}");
        let said = if conclusion == "success" { "\"error\"" } else { "already exists" };
        assert!(world.log(revive).await.contains(said));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_listed_ranged_and_never_overwritten() {
    let world = World::start("blobs");
    let token = world.storage_token("https://storage.azure.com/.default").await;
    for name in ["a.sql.gz", "b.sql.gz", "old/c.sql.gz"] {
        let path = format!("database-backup/{name}");
        let put = world.blob(Method::PUT, &path, &token, Some(b"0123456789".to_vec())).await;
        assert_eq!(put.status(), 201);
    }
    let error = |answer: &Response| {
        let code = answer.headers().get("x-ms-error-code").map(|c| c.to_str().unwrap().to_owned());
        (answer.status().as_u16(), code.unwrap_or_default())
    };
    let overwrite = world.blob(Method::PUT, "database-backup/a.sql.gz", &token, Some(b"x".to_vec())).await;
    assert_eq!(error(&overwrite), (409, "BlobImmutableDueToPolicy".into()));
    let delete = world.blob(Method::DELETE, "database-backup/a.sql.gz", &token, None).await;
    assert_eq!(error(&delete), (409, "BlobImmutableDueToPolicy".into()));
    let none = world.blob(Method::GET, "database-backup/none", &token, None).await;
    assert_eq!(error(&none), (404, "BlobNotFound".into()));
    let nowhere = world.blob(Method::GET, "nowhere?restype=container&comp=list", &token, None).await;
    assert_eq!(error(&nowhere), (404, "ContainerNotFound".into()));

    let list = async |query: &str| {
        let path = format!("database-backup?restype=container&comp=list&{query}");
        world.blob(Method::GET, &path, &token, None).await.text().await.unwrap()
    };
    let first = list("prefix=&maxresults=1").await;
    assert!(first.contains("<Name>a.sql.gz</Name>") && !first.contains("b.sql.gz"), "{first}");
    let marker = first.split("<NextMarker>").nth(1).unwrap().split('<').next().unwrap();
    let second = list(&format!("maxresults=1&marker={marker}")).await;
    assert!(second.contains("<Name>b.sql.gz</Name>"), "{second}");
    let folders = list("delimiter=/").await;
    assert!(folders.contains("<BlobPrefix><Name>old/</Name></BlobPrefix>"), "{folders}");

    let url = format!("{}/database-backup/a.sql.gz", world.word("/blobs/endpoint"));
    let part = world.web.get(&url).bearer_auth(&token).header("x-ms-version", "2024-11-04");
    let part = part.header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (206, "234"));
    let old = world.web.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(error(&old), (403, "AuthenticationFailed".into()), "no version, no bearer tokens");
    let bare = world.web.get(&url).header("x-ms-version", "2024-11-04").send().await.unwrap();
    assert_eq!(error(&bare), (401, "NoAuthenticationInformation".into()));
    let wrong = world.storage_token("https://management.azure.com/.default").await;
    let wrong = world.blob(Method::GET, "database-backup/a.sql.gz", &wrong, None).await;
    assert_eq!(error(&wrong), (401, "InvalidAuthenticationInfo".into()));
    assert!(wrong.text().await.unwrap().contains("Audience validation failed"));
}
