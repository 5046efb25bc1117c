//! A sandbox that the tests of a file share, the cockpit on it, and what the screen says about its deployments.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vt100::Screen;

use crate::pty::harness::{Home, Pty, Spawn};

/// The machine may be busy with other tests.
pub const SOON: Duration = Duration::from_secs(45);
pub const WEB: &str = "refer-serious-misconduct-production";
pub const WORKER: &str = "refer-serious-misconduct-production-worker";
pub const NAMESPACE: &str = "tra-production";

/// A running sandbox. It ends when its input does, and that is at the latest when this process ends.
pub struct Ground {
    state_file: PathBuf,
    pub state: Value,
    _child: Child,
}

/// A sandbox for one test at a time.
pub struct Turn {
    ground: &'static Ground,
    _turn: MutexGuard<'static, ()>,
}

impl std::ops::Deref for Turn {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        self.ground
    }
}

/// The sandbox on which incidents happen, for this test alone, with every replica where it was.
pub fn alone() -> Turn {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let ground = GROUND.get_or_init(|| Ground::start("incident"));
    for name in [WEB, WORKER] {
        ground.scale(name, 2);
    }
    for provider in ["kubernetes", "azure", "service"] {
        ground.fault("none", provider);
    }
    Turn { ground, _turn: turn }
}

/// The sandbox on which providers fail: every test has providers of its own.
pub fn faulty() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| Ground::start("faults"))
}

impl Ground {
    fn start(name: &str) -> Ground {
        let state_file = std::env::temp_dir().join(format!("drtui-it-{}-{name}.json", std::process::id()));
        let mut command =
            drtui(&["sandbox", "--headless", "--stop-with-stdin", "--seed", "7", "--state-file"]);
        command.arg(&state_file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| {
            let ready = line.starts_with("ready: ");
            said.push(line);
            ready
        });
        assert!(ready, "the sandbox ended: {said:#?}");
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let state = serde_json::from_str(&std::fs::read_to_string(&state_file).unwrap()).unwrap();
        Ground { state_file, state, _child: child }
    }

    pub fn word(&self, pointer: &str) -> &str {
        self.state.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    /// The cockpit on this sandbox, 120x40, with `more` arguments.
    pub fn cockpit(&self, home: &Home, more: &[&str]) -> Spawn {
        let args = [&["--config", self.word("/config")], more].concat();
        Spawn::drtui(home, &args).size(120, 40)
    }

    /// Lets a provider fail until told otherwise (or for two minutes); `none` ends it.
    pub fn fault(&self, kind: &str, on: &str) {
        let mut command = drtui(&["sandbox", "fault", kind, "--on", on, "--for", "120s", "--state-file"]);
        let ended = command.arg(&self.state_file).output().unwrap();
        assert!(ended.status.success(), "{kind} on {on}: {ended:?}");
    }

    /// Somebody else scales a deployment.
    pub fn scale(&self, name: &str, replicas: u32) {
        let body = json!({"namespace": NAMESPACE, "name": name, "replicas": replicas});
        let url = format!("{}/replicas", self.word("/control/endpoint"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(async {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let client = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
            let asked = client.post(url).bearer_auth(self.word("/control/token")).json(&body);
            asked.send().await.unwrap().status()
        });
        assert!(status.is_success(), "{status}");
    }
}

impl Ground {
    /// All pods of the service's namespace as the cluster shows them, in JSON.
    pub fn pods(&self) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let file = kube::config::Kubeconfig::read_from(self.word("/kubeconfig")).unwrap();
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
            let client = kube::Client::try_from(config).unwrap();
            let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(client, NAMESPACE);
            let all = pods.list(&kube::api::ListParams::default()).await.unwrap();
            serde_json::to_string(&all.items).unwrap()
        })
    }
}

/// The program under test, without a terminal.
pub fn drtui(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drtui"));
    command.args(args).env_remove("RUST_BACKTRACE");
    command
}

/// Runs the program where the cockpit of `home` left its incidents; returns what it printed and its exit code.
pub fn run(home: &Home, args: &[&str]) -> (String, i32) {
    let Output { status, stdout, stderr } =
        drtui(args).env("XDG_STATE_HOME", home.path().join("state")).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (text, status.code().unwrap_or(-1))
}

/// Waits until `text` is on the screen.
#[track_caller]
pub fn shows(pty: &Pty, text: &str) {
    pty.wait(&format!("{text:?}"), SOON, |s| s.screen().contents().contains(text).then_some(()));
}

/// Waits until `text` is nowhere on the screen.
#[track_caller]
pub fn hides(pty: &Pty, text: &str) {
    pty.wait(&format!("{text:?} to go"), SOON, |s| (!s.screen().contents().contains(text)).then_some(()));
}

/// The text of the screen, row by row, without blanks at the ends.
pub fn rows(screen: &Screen) -> Vec<String> {
    let (rows, columns) = screen.size();
    let symbol = |row, column| match screen.cell(row, column) {
        Some(cell) if cell.is_wide_continuation() => String::new(),
        Some(cell) if cell.has_contents() => cell.contents().to_owned(),
        _ => " ".to_owned(),
    };
    let line = |row| (0..columns.get()).map(|column| symbol(row, column)).collect::<String>();
    (0..rows.get()).map(|row| line(row).trim_end().to_owned()).collect()
}

/// What the Replicas pane says about a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub want: String,
    pub ready: String,
    pub was: String,
    pub state: String,
}

impl Row {
    pub fn is(&self, want: &str, ready: &str, was: &str) -> bool {
        (self.want.as_str(), self.ready.as_str(), self.was.as_str()) == (want, ready, was)
    }
}

/// The row whose name ends like `name`, in the layout of 120 columns.
pub fn row(screen: &Screen, name: &str) -> Option<Row> {
    // A long name is cut in its middle: its end tells which it is.
    let ending = name.get(name.len().saturating_sub(12)..).unwrap_or(name);
    rows(screen).iter().find_map(|line| {
        let right: String = line.chars().skip(54).collect();
        let words: Vec<&str> = right.split([' ', '│', '┃', '▌']).filter(|word| !word.is_empty()).collect();
        let [shown, want, ready, was, state @ ..] = words.as_slice() else { return None };
        let number = |word: &&str| word.parse::<u32>().is_ok();
        (shown.ends_with(ending) && number(want) && number(ready)).then(|| Row {
            want: (*want).to_owned(),
            ready: (*ready).to_owned(),
            was: (*was).to_owned(),
            state: state.join(" "),
        })
    })
}

/// Waits until both deployments are as `until` wants; returns every state of `name` that was on the screen meanwhile.
#[track_caller]
pub fn watches(pty: &Pty, name: &str, what: &str, until: impl Fn(&Row) -> bool) -> Vec<Row> {
    let mut seen: Vec<Row> = Vec::new();
    pty.wait(what, SOON, |s| {
        let all = [row(s.screen(), WEB), row(s.screen(), WORKER)];
        if let Some(now) = row(s.screen(), name).filter(|now| seen.last() != Some(now)) {
            seen.push(now);
        }
        all.iter().all(|r| r.as_ref().is_some_and(&until)).then_some(())
    });
    seen
}

/// Presses `key` and waits until the screen shows it; returns how long that took.
#[track_caller]
pub fn timed(pty: &mut Pty, key: &str, shown: impl Fn(&Screen) -> bool) -> Duration {
    let begun = Instant::now();
    pty.send(key);
    pty.wait(&format!("the key {key:?}"), SOON, |s| shown(s.screen()).then(|| begun.elapsed()))
}
