//! A fast sandbox and the requests of its tests.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::time::timeout;

pub const LIMIT: Duration = Duration::from_secs(60);
pub const REPO: &str = "repos/DFE-Digital/refer-serious-misconduct";
pub const PRODUCTION: &str = "production";

/// A fast sandbox in an own temporary folder. Dropped, its input ends, and so does it.
pub struct World {
    child: Child,
    folder: PathBuf,
    pub state: Value,
    pub web: reqwest::Client,
}

impl World {
    pub fn start(name: &str) -> World {
        World::start_with(name, &[])
    }

    pub fn start_with(name: &str, more: &[&str]) -> World {
        World::launch(name, &[&["--fast"], more].concat())
    }

    /// With as much time for each change as people see it take.
    pub fn start_slow(name: &str) -> World {
        World::launch(name, &[])
    }

    fn launch(name: &str, more: &[&str]) -> World {
        let folder = std::env::temp_dir().join(format!("drtui-github-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // PostgreSQL may run as another user.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.join("state.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_drtui"));
        command.args(["sandbox", "--headless", "--stop-with-stdin", "--seed", "7", "--state-file"]);
        command.arg(&file).args(more).env("TMPDIR", &folder).stdin(Stdio::piped()).stdout(Stdio::piped());
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

    pub fn word(&self, pointer: &str) -> &str {
        self.state.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    pub fn github(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/{REPO}/{path}", self.word("/github/endpoint"));
        self.web.request(method, url).bearer_auth(self.word("/github/token"))
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.github(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Status and body.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.github(method, path).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    /// Dispatches and gives the run's number.
    pub async fn dispatch(&self, file: &str, inputs: Value) -> u64 {
        let body = json!({"ref": "main", "inputs": inputs, "return_run_details": true});
        let path = format!("actions/workflows/{file}/dispatches");
        let (status, body) = self.send(Method::POST, &path, &body).await;
        assert_eq!(status, 200, "{body}");
        body["workflow_run_id"].as_u64().unwrap()
    }

    pub async fn run(&self, id: u64) -> Value {
        self.get(&format!("actions/runs/{id}")).await
    }

    pub async fn until(&self, id: u64, status: &str) -> Value {
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

    pub async fn approve(&self, id: u64, state: &str) {
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
    pub async fn log(&self, id: u64) -> String {
        let jobs = self.get(&format!("actions/runs/{id}/jobs")).await;
        let job = jobs["jobs"][0]["id"].as_u64().unwrap();
        let redirect = self.github(Method::GET, &format!("actions/jobs/{job}/logs")).send().await.unwrap();
        assert_eq!(redirect.status(), 302);
        let url = redirect.headers()["location"].to_str().unwrap();
        let refused = self.web.get(url).bearer_auth("x").send().await.unwrap();
        assert_eq!(refused.status(), 403, "a token beside the signature");
        self.web.get(url).send().await.unwrap().text().await.unwrap()
    }

    pub async fn storage_token(&self, scope: &str) -> String {
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

    pub async fn blob(&self, method: Method, path: &str, token: &str, body: Option<Vec<u8>>) -> Response {
        let url = format!("{}/{path}", self.word("/blobs/endpoint"));
        let mut request =
            self.web.request(method, url).bearer_auth(token).header("x-ms-version", "2024-11-04");
        if let Some(body) = body {
            request = request.header("x-ms-blob-type", "BlockBlob").body(body);
        }
        request.send().await.unwrap()
    }

    /// Asks the sandbox's own control; status and body.
    pub async fn control(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.web.post(format!("{}{path}", self.word("/control/endpoint")));
        let answer = request.bearer_auth(self.word("/control/token")).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    /// Asks the Kubernetes API in the service's namespace, with a merge patch if there is a body; status and body.
    pub async fn kubernetes(&self, path: &str, patch: Option<Value>) -> (u16, Value) {
        let kubeconfig = fs::read_to_string(self.word("/kubeconfig")).unwrap();
        let of = |name: &str| {
            kubeconfig.lines().find_map(|l| l.trim().strip_prefix(name)).unwrap().trim().to_owned()
        };
        let (group, rest) = path.split_once('/').unwrap();
        let group = match group {
            "core" => "api/v1".to_owned(),
            group => format!("apis/{group}/v1"),
        };
        let url = format!("{}/{group}/namespaces/tra-production/{rest}", of("server:"));
        let request = match patch {
            None => self.web.get(url),
            Some(patch) => {
                let kind = "application/merge-patch+json";
                self.web.patch(url).header("content-type", kind).body(patch.to_string())
            }
        };
        let answer = request.bearer_auth(of("token:")).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The path of a server in the resource manager.
    pub fn server(&self, name: &str) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}",
            self.word("/azure/subscription"),
            self.word("/azure/resource_group")
        )
    }

    /// Asks the resource manager; an address as it gives them, or a path with its query. Status, headers and body.
    pub async fn arm(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, http::HeaderMap, Value) {
        let token = self.storage_token("https://management.azure.com/.default").await;
        let whole = path.starts_with("https://");
        let url = if whole { path.to_owned() } else { format!("{}{path}", self.word("/azure/endpoint")) };
        let mut request = self.web.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.json().await.unwrap_or_default())
    }

    /// A page of the service: status and text.
    pub async fn page(&self, host: Option<&str>) -> (u16, String) {
        let mut request = self.web.get(self.word("/service/url"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub async fn postgres(&self) -> tokio_postgres::Client {
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

    pub async fn count(&self, table: &str) -> i64 {
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
