//! A cluster whose pods reach real servers by their names, and the command that is run on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use drtui::sandbox::certs::Authority;
use drtui::sandbox::faults::Faults;
use drtui::sandbox::kubernetes::{Cluster, ClusterSpec, DeploymentSpec, Names, Pace, SecretSpec};
use drtui::sandbox::postgres::fleet::{LIVE, Rules, Servers};
use drtui::sandbox::postgres::seed::Recipe;
use drtui::sandbox::postgres::{Credentials, DATABASE, HOST};
use drtui::sandbox::rundir::{CLUSTERS, RunDir};
use drtui::sandbox::{Say, Scale};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use secrecy::ExposeSecret;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::pty::harness::Home;

pub const NS: &str = "tra-test";
pub const APP: &str = "web";
pub const PTR: &str = "s189p01-rsm-pd-pg-ptr";
/// A deployment of this name has a secret that is not there.
pub const SECRETLESS: &str = "secretless";
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Ends, with all it holds, when [`Ground::end`] is called.
pub struct Ground {
    _cluster: Cluster,
    pub servers: Servers,
    pub names: Names,
    pub faults: Faults,
    pub client: Client,
    pub kubeconfig: PathBuf,
    pub ca: PathBuf,
    pub dir: RunDir,
    pub authority: Arc<Authority>,
    pub url: String,
    pub password: String,
    _stop: watch::Sender<bool>,
}

/// A deployment with a secret that holds these variables, or with none.
fn app(name: &str, variables: &[(&str, &str)]) -> (DeploymentSpec, Option<SecretSpec>) {
    let secret = format!("{name}-secret");
    let deployment = DeploymentSpec {
        namespace: NS.into(),
        name: name.into(),
        replicas: if name == APP { 2 } else { 1 },
        image: "ghcr.io/dfe-digital/rsm:1".into(),
        hpa: None,
        secrets: if variables.is_empty() { Vec::new() } else { vec![secret.clone()] },
    };
    let data: BTreeMap<String, String> = variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let secret = (!variables.is_empty() && name != SECRETLESS).then(|| SecretSpec {
        namespace: NS.into(),
        name: secret,
        data,
    });
    (deployment, secret)
}

impl Ground {
    pub async fn start() -> Ground {
        Ground::of(|_| Vec::new(), true).await
    }

    /// With more deployments beside `web`: name and variables, from the URL of the live database. Without `postgres`
    /// nothing answers at the far end but what the test lets answer.
    pub async fn of(
        more: impl FnOnce(&str) -> Vec<(&'static str, Vec<(&'static str, String)>)>,
        postgres: bool,
    ) -> Ground {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let say: Say = Arc::new(|line| println!("{line}"));
        let dir = RunDir::create(&say).unwrap();
        let authority = Arc::new(Authority::new().unwrap());
        let ca = dir.write("ca.pem", authority.ca_pem()).unwrap();
        let credentials = Credentials::random();
        let folder = dir.path().join(CLUSTERS);
        let servers =
            Servers::new(&folder, Arc::clone(&authority), credentials.clone(), Rules::default()).unwrap();
        if postgres {
            let as_of = chrono::NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
            servers.start_live(&Recipe { seed: 1, scale: Scale::Small, as_of }, &say).await.unwrap();
        }
        let password = credentials.password.expose_secret().to_owned();
        let url =
            format!("postgres://{}:{password}@{HOST}:5432/{DATABASE}?sslmode=require", credentials.user);
        let names = Names::default();
        let fleet = servers.clone();
        names.ask(5432, move |host| fleet.resolve(host));
        let mut apps =
            vec![app(APP, &[("DATABASE_URL", &url), ("REDIS_URL", "redis://:s3cret@far.example:6379/0")])];
        for (name, variables) in more(&url) {
            let variables: Vec<(&str, &str)> = variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
            apps.push(app(name, &variables));
        }
        let (deployments, secrets): (Vec<_>, Vec<_>) = apps.into_iter().unzip();
        let spec = ClusterSpec {
            deployments,
            secrets: secrets.into_iter().flatten().collect(),
            names: names.clone(),
            pace: Pace::fast(),
            ..ClusterSpec::default()
        };
        let (stop, stopped) = watch::channel(false);
        let faults = Faults::default();
        let cluster = Cluster::start(spec, &authority, faults.clone(), stopped).await.unwrap();
        let kubeconfig = dir.write("kubeconfig", &cluster.kubeconfig()).unwrap();
        dir.write("kubeconfig-viewer", &cluster.viewer_kubeconfig()).unwrap();
        dir.write("kubeconfig-no-exec", &cluster.no_exec_kubeconfig()).unwrap();
        dir.write("kubeconfig-no-streams", &cluster.no_streams_kubeconfig()).unwrap();
        dir.write("kubeconfig-no-secrets", &cluster.no_secrets_kubeconfig()).unwrap();
        let config = Kubeconfig::from_yaml(&cluster.kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        Ground {
            _cluster: cluster,
            servers,
            names,
            faults,
            client,
            kubeconfig,
            ca,
            dir,
            authority,
            url,
            password,
            _stop: stop,
        }
    }

    /// A copy of the live server under another name.
    pub async fn copy(&self) {
        assert!(self.servers.restorable(LIVE, PATIENCE).await, "no base backup");
        let operation = self.servers.copy_now(LIVE, PTR).unwrap();
        self.servers.wait(&operation).await.unwrap();
    }

    /// A configuration of the cockpit on this cluster; nothing else answers. Where it is.
    pub fn config(&self, home: &Home, server: &str) -> String {
        home.unreachable_config();
        let config = format!(
            "service = \"refer-serious-misconduct\"\n[environments.test]\nproduction = false\nexercise = true\nnamespace = \"{NS}\"\napp = \"{APP}\"\n\
             [environments.test.cluster]\nname = \"c\"\nkubeconfig = {:?}\n\
             [environments.test.azure]\nsubscription = \"s\"\nresource_group = \"g\"\nserver = \"{server}\"\ntenant = \"t\"\n\
             client_id = \"c\"\nclient_secret_file = \"secret\"\nendpoint = \"https://127.0.0.1:1\"\nauthority = \"https://127.0.0.1:1\"\n",
            self.kubeconfig.display()
        );
        home.file("ground.toml", &config).display().to_string()
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NS)
    }

    /// Names of the pods that were made for tunnels.
    pub async fn made(&self) -> Vec<String> {
        let labels = ListParams::default().labels("app.kubernetes.io/name=drtui-tunnel");
        let pods = self.pods().list(&labels).await.unwrap().items;
        pods.into_iter()
            .filter(|p| p.metadata.deletion_timestamp.is_none())
            .filter_map(|p| p.metadata.name)
            .collect()
    }

    /// `drtui tunnel -n NS --ca-file … <words>`.
    pub fn tunnel(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drtui"));
        command.args(["tunnel", "-n", NS, "--ca-file"]).arg(&self.ca).args(words);
        command.env("KUBECONFIG", &self.kubeconfig).env("XDG_RUNTIME_DIR", self.dir.path());
        command.env("XDG_CONFIG_HOME", self.dir.path()).env("XDG_STATE_HOME", self.dir.path());
        command.env_remove("DRTUI_CONFIG").env("HOME", self.dir.path()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub async fn run(&self, words: &[&str]) -> Ran {
        ran(self.tunnel(words)).await
    }

    /// Keeps a tunnel open; gives its local port once it listens.
    pub async fn listen(&self, words: &[&str]) -> (Child, u16) {
        let all = [&["--listen", "0"], words].concat();
        let mut child = self.tunnel(&all).stdout(Stdio::piped()).spawn().unwrap();
        let line = first_line(&mut child).await;
        (child, port_of(&line))
    }

    pub async fn end(self) {
        self.servers.end().await;
    }
}

/// The local port in a line of `--listen`.
pub fn port_of(line: &str) -> u16 {
    let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    port.unwrap_or_else(|| panic!("no port: {line}"))
}

pub async fn first_line(child: &mut Child) -> String {
    use tokio::io::AsyncBufReadExt;
    let mut out = tokio::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("a line in time").unwrap();
    line
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub out: String,
    pub err: String,
    pub code: i32,
}

pub async fn ran(mut command: Command) -> Ran {
    let Output { stdout, stderr, status } =
        tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { out: text(stdout), err: text(stderr), code: status.code().unwrap_or(-1) }
}

/// Waits until `holds`.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(std::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is left of private files below `dir`.
pub fn left_behind(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("drtui-tunnel-")).collect()
}
