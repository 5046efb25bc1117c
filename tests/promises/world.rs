//! A headless sandbox in a folder of its own, its processes, ports and memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const WEB: &str = "refer-serious-misconduct-production";
const LIMIT: Duration = Duration::from_secs(60);

/// Where a sandbox makes its files.
pub struct Ground(PathBuf);

impl Ground {
    pub fn new(name: &str) -> Ground {
        let path = std::env::temp_dir().join(format!("drtui-promises-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        // PostgreSQL may run as another user.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Ground(path)
    }

    /// Starts one and waits until it is ready.
    pub fn start(&self, args: &[&str]) -> World {
        let begun = Instant::now();
        let file = self.0.join("state.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_drtui"));
        command
            .args(["sandbox", "--headless", "--stop-with-stdin"])
            .args(args)
            .arg("--state-file")
            .arg(&file);
        command.env("TMPDIR", &self.0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let ready = lines.by_ref().any(|line| {
            said.push(line);
            said.last().is_some_and(|line| line.starts_with("ready: "))
        });
        assert!(ready, "the sandbox ended: {said:#?}");
        let took = begun.elapsed();
        std::thread::spawn(move || lines.for_each(drop));
        let state: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = fs::read(state["ca_file"].as_str().unwrap()).unwrap();
        let web = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
            .no_proxy()
            .timeout(LIMIT)
            .build()
            .unwrap();
        World { child, folder: self.0.clone(), said, took, state, web }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running sandbox. Dropped, its input ends, and so does it.
pub struct World {
    child: Child,
    folder: PathBuf,
    pub said: Vec<String>,
    pub took: Duration,
    state: Value,
    web: reqwest::Client,
}

/// What is there of a sandbox that has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub processes: BTreeSet<i32>,
    pub ports: BTreeSet<u16>,
    pub folder: BTreeSet<String>,
}

/// What a sandbox was.
pub struct Remains {
    processes: BTreeSet<i32>,
    ports: BTreeSet<u16>,
    folder: PathBuf,
}

impl Remains {
    pub fn left(&self) -> Left {
        let alive = |pid: &&i32| nix::sys::signal::kill(nix::unistd::Pid::from_raw(**pid), None).is_ok();
        let open = |port: &&u16| TcpStream::connect(("127.0.0.1", **port)).is_ok();
        Left {
            processes: self.processes.iter().filter(alive).copied().collect(),
            ports: self.ports.iter().filter(open).copied().collect(),
            folder: entries(&self.folder),
        }
    }

    pub fn processes_alive(&self) -> usize {
        self.left().processes.len()
    }
}

fn entries(folder: &PathBuf) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A process and all below it.
fn tree(root: i32) -> BTreeSet<i32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        // `pid (name) state parent …`; it may be gone by now.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parents.insert(pid, parent.unwrap_or(0));
    }
    let mut found = BTreeSet::from([root]);
    loop {
        let more: Vec<i32> =
            parents.iter().filter(|(_, parent)| found.contains(parent)).map(|(pid, _)| *pid).collect();
        let before = found.len();
        found.extend(more);
        if found.len() == before {
            return found;
        }
    }
}

/// Resident memory of a process that it does not share as PostgreSQL's processes do, in kB.
fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default()
    };
    of("VmRSS:") - of("RssShmem:")
}

impl World {
    pub fn word(&self, pointer: &str) -> &str {
        self.state.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub fn memory_mb(&self) -> u64 {
        tree(self.pid()).into_iter().map(resident).sum::<u64>() / 1024
    }

    /// Every port that its state file and its kubeconfig tell of.
    pub fn ports(&self) -> BTreeSet<u16> {
        let told = self.state.to_string() + &fs::read_to_string(self.word("/kubeconfig")).unwrap();
        let ports = told.split("127.0.0.1:").skip(1).filter_map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        let ports: BTreeSet<u16> = ports.collect();
        assert!(ports.len() >= 8, "{ports:?}");
        ports
    }

    pub fn folder_now(&self) -> BTreeSet<String> {
        entries(&self.folder)
    }

    fn remains(&self) -> Remains {
        Remains { processes: tree(self.pid()), ports: self.ports(), folder: self.folder.clone() }
    }

    /// Asks it to stop, as a service manager would; how long it took, and what is there afterwards.
    pub fn stop(mut self) -> (Duration, Left) {
        let remains = self.remains();
        assert!(remains.processes.len() > 4, "{:?}", remains.processes);
        let begun = Instant::now();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), nix::sys::signal::Signal::SIGTERM)
            .unwrap();
        assert!(self.child.wait().unwrap().success());
        (begun.elapsed(), remains.left())
    }

    /// Kills it.
    pub fn kill(mut self) -> Remains {
        let mut remains = self.remains();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        remains.processes.remove(&self.pid());
        remains
    }

    pub async fn health(&self) -> u16 {
        let url = format!("{}/healthcheck/all", self.word("/service/url"));
        self.web.get(url).send().await.unwrap().status().as_u16()
    }

    pub async fn control(&self, path: &str, body: Value) {
        let request = self.web.post(format!("{}{path}", self.word("/control/endpoint")));
        let answer = request.bearer_auth(self.word("/control/token")).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    pub fn server(&self, name: &str) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}",
            self.word("/azure/subscription"),
            self.word("/azure/resource_group")
        )
    }

    /// Asks the resource manager about a server.
    pub async fn arm(&self, method: &str, server: &str, body: Option<Value>) -> (u16, Value) {
        let endpoint = self.word("/azure/endpoint");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.word("/azure/client_id")),
            ("client_secret", self.word("/azure/client_secret")),
            ("scope", "https://management.azure.com/.default"),
        ];
        let url = format!("{endpoint}/{}/oauth2/v2.0/token", self.word("/azure/tenant"));
        let token: Value = self.web.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        let url = format!("{endpoint}{}?api-version=2025-08-01", self.server(server));
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.web.request(method, url).bearer_auth(token["access_token"].as_str().unwrap());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The production namespace's deployments: wanted and ready replicas.
    pub async fn deployments(&self) -> Vec<(String, (i64, i64))> {
        let kubeconfig = fs::read_to_string(self.word("/kubeconfig")).unwrap();
        let of = |name: &str| {
            let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        let url = format!("{}/apis/apps/v1/namespaces/tra-production/deployments", of("server:"));
        let list: Value =
            self.web.get(url).bearer_auth(of("token:")).send().await.unwrap().json().await.unwrap();
        let count =
            |of: &Value, pointer: &str| of.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
        let all = list["items"].as_array().unwrap().iter();
        all.map(|d| {
            let counts = (count(d, "/spec/replicas"), count(d, "/status/readyReplicas"));
            (d["metadata"]["name"].as_str().unwrap().to_owned(), counts)
        })
        .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Asks until it is so.
pub async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let asking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while !so().await {
            pace.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, asking)
        .await
        .unwrap_or_else(|_| panic!("it does not come about that {what}"));
}
