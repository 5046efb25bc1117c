//! The real kubectl against the simulated cluster. Debian's will do; when there is none, it is unpacked beside the build's
//! products, for which nobody need be root.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use drtui::sandbox::certs::Authority;
use drtui::sandbox::faults::Faults;
use drtui::sandbox::kubernetes::{Cluster, ClusterSpec, DeploymentSpec, Pace};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

const NS: &str = "tra-production";
const PATIENCE: Duration = Duration::from_secs(60);

/// Unpacks kubectl if there is none; one test of this process at a time does it.
fn kubectl() -> PathBuf {
    static FOUND: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    FOUND.get_or_init(|| find().unwrap_or_else(unpacked)).clone()
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file())
}

/// Debian's kubectl under the build's products.
fn unpacked() -> PathBuf {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let kept = base.join("kubernetes-client");
    let program = kept.join("usr/bin/kubectl");
    if program.is_file() {
        return program;
    }
    println!("kubectl is missing: unpacking Debian's kubernetes-client into {}", kept.display());
    let making = base.join(format!("kubernetes-client-{}", std::process::id()));
    let lists = making.join("lists");
    fs::create_dir_all(lists.join("partial")).unwrap();
    let download = ["download", "-qq", "kubernetes-client"];
    if !ran(&making, "apt-get", &download) {
        // The machine's own lists of packages are missing or old, and only root may renew those.
        let own =
            [format!("Dir::State::Lists={}", lists.display()), format!("Dir::Cache={}", making.display())];
        let own = ["-o", &own[0], "-o", &own[1]];
        let renewed = ran(&making, "apt-get", &[&own[..], &["update", "-qq"]].concat());
        assert!(
            renewed && ran(&making, "apt-get", &[&own[..], &download].concat()),
            "this test needs kubectl, which is not on the PATH and cannot be had from Debian's packages: install it \
             (Debian: apt-get install kubernetes-client) and run again"
        );
    }
    let mut files = fs::read_dir(&making).unwrap().map(|entry| entry.unwrap().path());
    let package =
        files.find(|file| file.extension().is_some_and(|e| e == "deb")).expect("apt-get left no package");
    assert!(
        ran(&making, "dpkg-deb", &["-x", package.to_str().unwrap(), "."]),
        "{package:?} cannot be unpacked"
    );
    fs::remove_file(package).unwrap();
    // Another test program may have been faster: its one is as good.
    if fs::rename(&making, &kept).is_err() {
        let _ = fs::remove_dir_all(&making);
    }
    assert!(program.is_file(), "Debian's kubernetes-client holds no {}", program.display());
    program
}

/// True if the program could be run in `folder` and ended well.
fn ran(folder: &std::path::Path, program: &str, arguments: &[&str]) -> bool {
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

struct World {
    cluster: Cluster,
    folder: PathBuf,
    _stop: watch::Sender<bool>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn world(test: &str, pace: Pace) -> World {
    let (stop, stopped) = watch::channel(false);
    let deployment = |name: &str, replicas| DeploymentSpec {
        namespace: NS.into(),
        name: name.into(),
        replicas,
        image: "ghcr.io/dfe-digital/rsm:1".into(),
        ..DeploymentSpec::default()
    };
    let web = DeploymentSpec { hpa: Some((1, 4)), ..deployment("rsm-production", 2) };
    let spec = ClusterSpec {
        namespaces: vec!["other".into()],
        deployments: vec![web, deployment("rsm-production-worker", 1)],
        pace,
        responder_writes: vec![NS.into()],
        ..ClusterSpec::default()
    };
    let authority = Authority::new().unwrap();
    let cluster = Cluster::start(spec, &authority, Faults::default(), stopped).await.unwrap();
    let folder = std::env::temp_dir().join(format!("drtui-kubectl-{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    for (name, text) in [("responder", cluster.kubeconfig()), ("viewer", cluster.viewer_kubeconfig())] {
        let mut file = fs::OpenOptions::new();
        let file = file.write(true).create(true).truncate(true).mode(0o600).open(folder.join(name)).unwrap();
        std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
    }
    World { cluster, folder, _stop: stop }
}

impl World {
    fn command(&self, user: &str, line: &str) -> Command {
        let mut command = Command::new(kubectl());
        command
            .arg("--kubeconfig")
            .arg(self.folder.join(user))
            .args(line.split_whitespace())
            .env("HOME", &self.folder)
            .env("KUBECACHEDIR", self.folder.join("cache"))
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, user: &str, line: &str) -> Output {
        timeout(PATIENCE, self.command(user, line).output())
            .await
            .unwrap_or_else(|_| panic!("kubectl {line} does not end"))
            .unwrap()
    }

    /// Runs it as the responder, expects success, and gives what it printed.
    async fn ok(&self, line: &str) -> String {
        let output = self.run("responder", line).await;
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "kubectl {line}: {out}{err}");
        out
    }

    /// Runs a watching command and gives its lines.
    fn watch(&self, line: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut child = self.command("responder", line).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The words of a line that begins with `name`.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|row| row.contains(&name)).unwrap_or_else(|| panic!("no {name} in:\n{table}"))
}

#[tokio::test]
async fn get_shows_the_columns_people_know() {
    let world = world("get", Pace::fast()).await;
    let table = world.ok("get deployments -A").await;
    assert_eq!(row(&table, "rsm-production")[..3], [NS, "rsm-production", "2/2"], "{table}");
    let table = world.ok(&format!("get pods -n {NS} -o wide")).await;
    assert_eq!(table.matches(" Running ").count(), 3, "{table}");
    let table = world.ok(&format!("get hpa,rs,events,secrets -n {NS}")).await;
    assert!(table.contains("Deployment/rsm-production"), "{table}");
    let names = world.ok(&format!("get deploy -n {NS} -l app=rsm-production-worker -o name")).await;
    assert_eq!(names.trim(), "deployment.apps/rsm-production-worker");
    let path =
        format!("get deploy rsm-production -n {NS} -o jsonpath={{.spec.template.spec.containers[0].image}}");
    assert_eq!(world.ok(&path).await, "ghcr.io/dfe-digital/rsm:1");
    let missing = world.run("responder", &format!("get deployment nobody -n {NS}")).await;
    assert!(text(&missing.stderr).contains("(NotFound): deployments.apps \"nobody\" not found"));
}

#[tokio::test]
async fn a_watch_sees_a_scale_arrive() {
    let world = world("watch", Pace::fast()).await;
    let (mut child, mut lines) = world.watch(&format!("get pods -n {NS} -w"));
    let mut next = async || timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("it ended");
    for _ in 0..4 {
        // The header and three pods: the watch is on.
        next().await;
    }
    let said = world.ok(&format!("scale deployment/rsm-production -n {NS} --replicas=0")).await;
    assert!(said.contains("scaled"), "{said}");
    while !next().await.contains("Terminating") {}
    world.ok(&format!("scale deployment/rsm-production -n {NS} --replicas=2 --current-replicas=0")).await;
    for wanted in ["Pending", "ContainerCreating", "Running"] {
        while !next().await.contains(wanted) {}
    }
    child.kill().await.unwrap();
    let refused = world.run("responder", &format!("scale deploy/rsm-production -n {NS} --replicas=-1")).await;
    assert!(!refused.status.success());
}

#[tokio::test]
async fn a_rollout_is_followed_to_its_end() {
    let world = world("rollout", Pace::fast()).await;
    let status = format!("rollout status deployment/rsm-production -n {NS} --timeout=50s");
    assert!(world.ok(&status).await.contains("successfully rolled out"));
    world.ok(&format!("rollout restart deployment/rsm-production -n {NS}")).await;
    assert!(world.ok(&status).await.contains("successfully rolled out"));
    let table = world.ok(&format!("get rs -n {NS} -l app=rsm-production")).await;
    assert_eq!(table.lines().count(), 3, "the old and the new replica set: {table}");
    world.ok(&format!("scale deployment/rsm-production -n {NS} --replicas=0")).await;
    assert!(world.ok(&status).await.contains("successfully rolled out"));
    world.ok(&format!("scale deployment/rsm-production -n {NS} --replicas=3")).await;
    assert!(world.ok(&status).await.contains("successfully rolled out"));
    assert_eq!(world.cluster.ready_replicas(NS, "rsm-production"), 3);
    let described = world.ok(&format!("describe deployment rsm-production -n {NS}")).await;
    assert!(described.contains("3 desired | 3 updated | 3 total | 3 available"), "{described}");
}

#[tokio::test]
async fn can_i_tells_the_truth() {
    let world = world("can-i", Pace::fast()).await;
    for (user, line, answer) in [
        ("responder", format!("auth can-i patch deployments/scale -n {NS}"), "yes"),
        ("responder", format!("auth can-i patch deployments --subresource=scale -n {NS}"), "yes"),
        ("responder", "auth can-i patch deployments -n other".to_owned(), "no"),
        ("viewer", format!("auth can-i list pods -n {NS}"), "yes"),
        ("viewer", format!("auth can-i patch deployments --subresource=scale -n {NS}"), "no"),
        ("viewer", format!("auth can-i get secrets -n {NS}"), "no"),
    ] {
        let output = world.run(user, &line).await;
        let said = text(&output.stdout);
        assert_eq!(said.split_whitespace().next(), Some(answer), "{line}: {said}{}", text(&output.stderr));
        assert_eq!(output.status.success(), answer == "yes", "{line}");
    }
    let listed = world.ok(&format!("auth can-i --list -n {NS}")).await;
    assert!(listed.contains("selfsubjectaccessreviews"), "{listed}");
    let line = format!("scale deployment/rsm-production -n {NS} --replicas=0");
    let refused = world.run("viewer", &line).await;
    assert!(text(&refused.stderr).contains("cannot patch resource \"deployments/scale\""));
    assert_eq!(world.cluster.ready_replicas(NS, "rsm-production"), 2, "nothing moved");
}
