//! No way of opening a tunnel shows the password: in no command line while it runs, in no output, in no file but those
//! that only the user can read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use drtui::sandbox::postgres::fleet::LIVE;
use kube::api::ListParams;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::timeout;

use super::ground::{APP, Ground, PATIENCE, PTR, first_line, left_behind, until};

/// Command lines of all processes that hold `secret`.
fn shown(secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(secret) {
            found.push(line);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_shows_the_password() {
    let ground = Ground::start().await;
    ground.copy().await;
    let admin = ground.servers.admin(LIVE).unwrap().connect("test").await.unwrap();
    let url = ground.url.clone();
    let bin = key_vault(&ground);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let ways: [(&str, Vec<&str>); 8] = [
        ("the app's pod", vec![]),
        ("asked of the app's pod", vec![]),
        ("a pod of its own", vec!["-x"]),
        ("port-forward", vec!["--port-forward"]),
        ("a URL on the command line", vec!["-u", &url]),
        ("a key vault", vec!["-k", "kv", "-d", "side"]),
        ("unverified", vec!["--tls-unverified", "s189p01-rsm-pd-pg.postgres.database.azure.com"]),
        ("a pair", vec!["--pair", "-s", PTR]),
    ];
    for (n, (way, words)) in ways.iter().enumerate() {
        let sql = format!("select pg_sleep(60), {n} /* watched */");
        let mut command = ground.tunnel(&[words.as_slice(), &[APP, "--", "psql", "-c", &sql]].concat());
        command.env("PATH", &path).env("DRTUI_LOG", "debug");
        if *way == "asked of the app's pod" {
            // Whoever may not read the secret may run `printenv` there, as konduit.sh does.
            command.env("KUBECONFIG", ground.dir.path().join("kubeconfig-no-secrets"));
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        runs(&admin, way, &sql).await;
        assert_eq!(shown(&ground.password), Vec::<String>::new(), "{way}");
        private(&ground, way, if *way == "a pair" { 2 } else { 1 });
        let made = ["a pod of its own", "port-forward"].contains(way);
        specs(&ground, way, usize::from(made)).await;
        kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
        let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains(&ground.password), "{way}: it is printed");
        assert_eq!(left_behind(ground.dir.path()), Vec::<String>::new(), "{way}");
    }
    listening(&ground, &admin).await;
    konduit(&ground).await;
    assert!(!logs(&ground).contains(&ground.password), "it is logged");
    ground.end().await;
}

/// Waits until the server runs this statement.
async fn runs(admin: &tokio_postgres::Client, way: &str, sql: &str) {
    let seen = format!("SELECT count(*) FROM pg_stat_activity WHERE query = '{sql}'");
    until(way, async || admin.query_one(&seen, &[]).await.unwrap().get::<_, i64>(0) == 1).await;
}

/// The pods that were made, as everybody sees them who may see pods.
async fn specs(ground: &Ground, way: &str, made: usize) {
    assert_eq!(ground.made().await.len(), made, "{way}");
    let all = ground.pods().list(&ListParams::default()).await.unwrap().items;
    assert!(all.len() > made, "{way}: the app's own are not listed");
    assert!(
        !serde_json::to_string(&all).unwrap().contains(&ground.password),
        "{way}: it is in a pod's specification"
    );
}

/// A port kept open, with the line that it says for another terminal.
async fn listening(ground: &Ground, admin: &tokio_postgres::Client) {
    let mut command = ground.tunnel(&["--listen", "0", APP]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let line = first_line(&mut child).await;
    let connect = line.trim().splitn(3, ' ').nth(2).unwrap();
    let sql = "select pg_sleep(60) /* listened */";
    let mut client = Command::new("/bin/sh");
    client.arg("-c").arg(format!("{connect} -c '{sql}'")).kill_on_drop(true);
    let client = client.spawn().unwrap();
    runs(admin, "--listen", sql).await;
    assert!(!line.contains(&ground.password), "{line}");
    assert_eq!(shown(&ground.password), Vec::<String>::new(), "--listen");
    private(ground, "--listen", 1);
    drop(client);
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains(&ground.password), "--listen: it is printed");
    assert_eq!(left_behind(ground.dir.path()), Vec::<String>::new(), "--listen");
}

/// An `az` that knows the secret; where it is.
fn key_vault(ground: &Ground) -> PathBuf {
    let bin = ground.dir.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    program(&bin.join("az"), &format!("#!/bin/sh\necho '{}'\n", ground.url));
    bin
}

fn program(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
}

/// What konduit.sh itself does is its own; what it is started with holds no password, wherever drtui got one from.
async fn konduit(ground: &Ground) {
    let bin = ground.dir.path().join("konduit");
    std::fs::create_dir_all(&bin).unwrap();
    program(&bin.join("konduit.sh"), "#!/bin/sh\necho started\nexec sleep 60\n");
    let mut command = ground.tunnel(&["--konduit", "-x", APP, "--", "psql"]);
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(first_line(&mut child).await, "started\n");
    assert_eq!(shown(&ground.password), Vec::<String>::new(), "konduit.sh");
    child.kill().await.unwrap();
}

/// The files of the running tunnels are their user's alone.
fn private(ground: &Ground, way: &str, tunnels: usize) {
    use std::os::unix::fs::PermissionsExt;
    let folders = left_behind(ground.dir.path());
    assert_eq!(folders.len(), tunnels, "{way}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in folders {
        let folder = ground.dir.path().join(folder);
        assert_eq!(mode(&folder), 0o700, "{way}");
        let modes: BTreeSet<u32> =
            std::fs::read_dir(&folder).unwrap().flatten().map(|e| mode(&e.path())).collect();
        assert_eq!(modes, BTreeSet::from([0o600]), "{way}");
    }
}

/// All that drtui wrote below its state directory.
fn logs(ground: &Ground) -> String {
    let mut text = String::new();
    let mut folders = vec![ground.dir.path().join("drtui")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                text.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
    }
    text
}
