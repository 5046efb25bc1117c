//! No way of opening a tunnel shows the password: in no command line while it runs, in no output, in no file but those
//! that only the user can read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use drtui::sandbox::postgres::fleet::LIVE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::timeout;

use super::ground::{APP, Ground, PATIENCE, first_line, left_behind, until};

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
    let admin = ground.servers.admin(LIVE).unwrap().connect("test").await.unwrap();
    let url = ground.url.clone();
    let bin = key_vault(&ground);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let ways: [(&str, Vec<&str>); 6] = [
        ("the app's pod", vec![]),
        ("a pod of its own", vec!["-x"]),
        ("port-forward", vec!["--port-forward"]),
        ("a URL on the command line", vec!["-u", &url]),
        ("a key vault", vec!["-k", "kv", "-d", "side"]),
        ("unverified", vec!["--tls-unverified", "s189p01-rsm-pd-pg.postgres.database.azure.com"]),
    ];
    for (n, (way, words)) in ways.iter().enumerate() {
        let sql = format!("select pg_sleep(60), {n} /* watched */");
        let mut command = ground.tunnel(&[words.as_slice(), &[APP, "--", "psql", "-c", &sql]].concat());
        let child = command.env("PATH", &path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let seen = format!("SELECT count(*) FROM pg_stat_activity WHERE query = '{sql}'");
        until(way, async || admin.query_one(&seen, &[]).await.unwrap().get::<_, i64>(0) == 1).await;
        assert_eq!(shown(&ground.password), Vec::<String>::new(), "{way}");
        private(&ground, way);
        kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
        let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains(&ground.password), "{way}: it is printed");
        assert_eq!(left_behind(ground.dir.path()), Vec::<String>::new(), "{way}");
    }
    konduit(&ground).await;
    assert!(!logs(&ground).contains(&ground.password), "it is logged");
    ground.end().await;
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

/// The files of the running tunnel are its user's alone.
fn private(ground: &Ground, way: &str) {
    use std::os::unix::fs::PermissionsExt;
    let folders = left_behind(ground.dir.path());
    assert_eq!(folders.len(), 1, "{way}");
    let folder = ground.dir.path().join(&folders[0]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700, "{way}");
    let modes: BTreeSet<u32> =
        std::fs::read_dir(&folder).unwrap().flatten().map(|e| mode(&e.path())).collect();
    assert_eq!(modes, BTreeSet::from([0o600]), "{way}");
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
