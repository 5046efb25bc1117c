//! No way of opening a tunnel shows the password: in no command line while it runs, in no output, in no file but those
//! that only the user can read.

use std::collections::BTreeSet;
use std::process::Stdio;

use drtui::sandbox::postgres::fleet::LIVE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::timeout;

use super::ground::{APP, Ground, PATIENCE, left_behind, until};

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
    let ways: [(&str, Vec<&str>); 5] = [
        ("the app's pod", vec![]),
        ("a pod of its own", vec!["-x"]),
        ("port-forward", vec!["--port-forward"]),
        ("a URL on the command line", vec!["-u", &url]),
        ("unverified", vec!["--tls-unverified", "s189p01-rsm-pd-pg.postgres.database.azure.com"]),
    ];
    for (n, (way, words)) in ways.iter().enumerate() {
        let sql = format!("select pg_sleep(60), {n} /* watched */");
        let mut command = ground.tunnel(&[words.as_slice(), &[APP, "--", "psql", "-c", &sql]].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
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
    assert!(!logs(&ground).contains(&ground.password), "it is logged");
    ground.end().await;
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
