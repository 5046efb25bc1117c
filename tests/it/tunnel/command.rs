//! `drtui tunnel` in konduit.sh's place: its options, pipes and exit codes.

use std::io::Write;
use std::process::Stdio;

use drtui::sandbox::postgres::fleet::LIVE;
use drtui::sandbox::postgres::{DATABASE, seed};
use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::pty::harness::{Home, Spawn};

use super::ground::{APP, Ground, PATIENCE, PTR, left_behind, ran, until};

/// A folder as a drtui that was killed leaves it, with a password in it.
fn left_by_the_dead(dir: &std::path::Path) -> std::path::PathBuf {
    let left = dir.join("drtui-tunnel-999999999-0badcafe");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("passfile"), "h:1:*:u:secret").unwrap();
    left
}

#[test]
fn a_password_that_a_killed_drtui_left_goes_at_the_next_start_of_anything() {
    let (dir, home) = (Home::new(), Home::new());
    let left = left_by_the_dead(dir.path());
    let drtui = env!("CARGO_BIN_EXE_drtui");
    let mut tunnel = std::process::Command::new(drtui);
    tunnel.args(["tunnel", "-n", "ns", "app", "--", "mysql"]).env("XDG_RUNTIME_DIR", dir.path());
    assert_eq!(tunnel.output().unwrap().status.code(), Some(125), "no tunnel is opened");
    assert!(!left.exists(), "drtui tunnel");

    let left = left_by_the_dead(dir.path());
    let config = home.unreachable_config();
    let pty = Spawn::drtui(&home, &["--config", config.to_str().unwrap()])
        .env("XDG_RUNTIME_DIR", dir.path().to_str().unwrap())
        .start();
    pty.wait("the cockpit", PATIENCE, |s| s.screen().contents().contains("READ-ONLY").then_some(()));
    assert!(!left.exists(), "the cockpit");
}

#[test]
fn an_input_that_cannot_be_used_is_noticed_before_anything_is_opened() {
    let home = Home::new();
    let gzip = home.path().join("x.gz");
    let mut encoder = GzEncoder::new(std::fs::File::create(&gzip).unwrap(), Compression::fast());
    encoder.write_all(b"select 1;").unwrap();
    encoder.finish().unwrap();
    let absent = home.path().join("absent.sql");
    for (file, says) in [(gzip, "-c decompresses"), (absent, "cannot be read: No such file")] {
        let mut tunnel = std::process::Command::new(env!("CARGO_BIN_EXE_drtui"));
        tunnel.args(["tunnel", "-n", "ns", "-x", "-i", file.to_str().unwrap(), "app", "--", "psql"]);
        // Nothing is asked of any cluster: this one would refuse.
        tunnel.env("KUBECONFIG", home.path().join("none")).env("HOME", home.path());
        let ran = tunnel.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(125), "{said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_what_konduit_did() {
    let ground = Ground::start().await;
    ground.copy().await;
    options(&ground).await;
    dump_and_restore(&ground).await;
    binary_copy(&ground).await;
    files(&ground).await;
    pair(&ground).await;
    killed(&ground).await;
    assert_eq!(left_behind(ground.dir.path()), Vec::<String>::new(), "private files are left");
    ground.end().await;
}

async fn options(ground: &Ground) {
    let ran = ground.run(&["-x", "-s", PTR, APP, "--", "psql", "-Atc", "select 1"]).await;
    assert_eq!((ran.out.as_str(), ran.code), ("1\n", 0), "{ran:?}");
    assert!(ran.err.contains("PTR s189p01-rsm-pd-pg-ptr/rsm_production"), "{}", ran.err);
    until("the pod is deleted", async || ground.made().await.is_empty()).await;

    let ran = ground.run(&["-q", APP, "--", "psql", "-Atc", "show ssl; select inet_server_addr()"]).await;
    assert_eq!((ran.err.as_str(), ran.code), ("", 0), "{ran:?}");
    let ran = ground.run(&["-b", "postgres", APP, "--", "psql", "-Atc", "select current_database()"]).await;
    assert_eq!((ran.out.as_str(), ran.code), ("postgres\n", 0), "{ran:?}");
    let ran = ground.run(&[APP, "--", "psql", "-v", "ON_ERROR_STOP=1", "-c", "select nothing"]).await;
    assert_eq!(ran.code, 1, "psql's own code: {ran:?}");
    let ran = ground.run(&["-p", "OTHER_URL", APP, "--", "psql"]).await;
    assert!(ran.code == 125 && ran.err.contains("OTHER_URL") && ran.err.contains("web-secret"), "{ran:?}");

    // A URL of one's own; it is gone from the command line before anything is done.
    let mut command = ground.tunnel(&[APP, "--", "psql", "-Atc", "select 5"]);
    command.env("DRTUI_TUNNEL_URL", &ground.url);
    assert_eq!(ran_out(command).await, "5\n");
    assert_eq!(
        ran_out(ground.tunnel(&["-u", &ground.url, APP, "--", "psql", "-Atc", "select 6"])).await,
        "6\n"
    );

    // Key vault, by whatever `az` is.
    let bin = ground.dir.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = 'keyvault secret show --vault-name kv --name side-database-url --query value --output tsv \
         --only-show-errors' ] && echo '{}'\n",
        ground.url
    );
    let az = bin.join("az");
    std::fs::write(&az, script).unwrap();
    std::fs::set_permissions(&az, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = ground.tunnel(&["-k", "kv", "-d", "side", APP, "--", "psql", "-Atc", "select 7"]);
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    assert_eq!(ran_out(command).await, "7\n");
}

async fn ran_out(command: tokio::process::Command) -> String {
    let ran = ran(command).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.out
}

/// A whole dump through the tunnel, restored elsewhere by nobody's help, has the same rows in every table.
async fn dump_and_restore(ground: &Ground) {
    let file = ground.dir.path().join("whole.dump");
    let mut command = ground.tunnel(&[APP, "--", "pg_dump", "-Fc", "--compress=1", "--no-owner"]);
    command.stdout(std::fs::File::create(&file).unwrap());
    let status = timeout(PATIENCE, command.status()).await.expect("in time").unwrap();
    assert!(status.success(), "{status}");
    let admin = ground.servers.admin(LIVE).unwrap();
    let client = admin.connect("test").await.unwrap();
    let owner = ground.servers.credentials().user.clone();
    client.batch_execute(&format!("CREATE DATABASE elsewhere OWNER {owner}")).await.unwrap();
    // Back through a tunnel too: pg_restore with its own arguments.
    let ran = ground
        .run(&["-b", "elsewhere", APP, "--", "pg_restore", "--no-owner", "--no-acl", file.to_str().unwrap()])
        .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let digest = async |database: &str| {
        let client = admin.in_database(database).connect("test").await.unwrap();
        seed::digest(&client).await.unwrap()
    };
    let (was, now) = (digest(DATABASE).await, digest("elsewhere").await);
    assert!(was.0 > 290_000 && was == now, "{} rows became {}", was.0, now.0);
}

async fn binary_copy(ground: &Ground) {
    let file = ground.dir.path().join("copy.bin");
    let out = format!("\\copy referrals to '{}' (format binary)", file.display());
    let back = format!("\\copy back from '{}' (format binary)", file.display());
    let compare =
        "select count(*) from (select referrals::text from referrals except select back::text from back) x";
    let words = [
        APP,
        "--",
        "psql",
        "-qAtX",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        "create temp table back (like referrals)",
        "-c",
        &out,
        "-c",
        &back,
        "-c",
        compare,
        "-c",
        "select count(*) > 1000 from back",
    ];
    let ran = ground.run(&words).await;
    assert_eq!((ran.out.as_str(), ran.code), ("0\nt\n", 0), "{ran:?}");
}

async fn files(ground: &Ground) {
    let sql = "create table from_file (n integer);\n\\copy from_file from stdin\n1\n2\n\\.\n\
               select nothing;\ncreate table after_the_error (n integer);\n";
    let plain = ground.dir.path().join("in.sql");
    std::fs::write(&plain, sql).unwrap();
    let packed = ground.dir.path().join("in.sql.gz");
    let mut gz = GzEncoder::new(std::fs::File::create(&packed).unwrap(), Compression::fast());
    gz.write_all(sql.as_bytes()).unwrap();
    gz.finish().unwrap();
    // An error ends it, which konduit.sh never noticed.
    let ran = ground.run(&["-i", packed.to_str().unwrap(), "-c", APP, "--", "psql", "-q"]).await;
    assert!(ran.code == 3 && ran.err.contains("nothing"), "{ran:?}");
    let count = [
        "-q",
        APP,
        "--",
        "psql",
        "-Atc",
        "select count(*), to_regclass('after_the_error') is null from from_file",
    ];
    assert_eq!(ground.run(&count).await.out, "2|t\n");
    // Unless told otherwise; and a file that is not gzip is said to be none.
    let ran =
        ground.run(&["-i", plain.to_str().unwrap(), APP, "--", "psql", "-q", "-v", "ON_ERROR_STOP=0"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = ground.run(&["-i", plain.to_str().unwrap(), "-c", APP, "--", "psql", "-q"]).await;
    assert!(ran.code == 125 && ran.err.contains("in.sql"), "{ran:?}");
    // Pipes: input that is no file, output that nobody reads to its end.
    let mut child = ground.tunnel(&["-q", APP, "--", "psql", "-At"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"select 'piped';\n").await.unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("in time").unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "piped\n");
}

async fn pair(ground: &Ground) {
    let client = ground.servers.admin(PTR).unwrap().in_database(DATABASE).connect("test").await.unwrap();
    client.batch_execute("CREATE TABLE only_in_the_copy ()").await.unwrap();
    let ask = "select to_regclass('only_in_the_copy') is not null";
    let ran = ground.run(&["--pair", "-s", PTR, APP, "--", "psql", "-Atc", ask]).await;
    assert_eq!((ran.out.as_str(), ran.code), ("f\nt\n", 0), "{ran:?}");
    let (live, ptr) = (ran.err.find("-- LIVE").unwrap(), ran.err.find("-- PTR").unwrap());
    assert!(live < ptr, "{}", ran.err);
}

/// SIGKILL leaves a pod with a deadline; the next start says so, and deletes it when asked.
async fn killed(ground: &Ground) {
    let (child, _port) = ground.listen(&["-x", APP]).await;
    let id = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    kill(id, Signal::SIGKILL).unwrap();
    let mut child = child;
    child.wait().await.unwrap();
    let made = ground.made().await;
    assert_eq!(made.len(), 1, "{made:?}");
    let pod = ground.pods().get(&made[0]).await.unwrap();
    assert_eq!(pod.spec.unwrap().active_deadline_seconds, Some(28_800 + 300));
    let ran = ground.run(&["-x", APP, "--", "psql", "-Atc", "select 8"]).await;
    assert!(ran.code == 0 && ran.err.contains(&made[0]) && ran.err.contains("--orphans"), "{ran:?}");
    let mut command = ground.tunnel(&["--orphans"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"y\n").await.unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("in time").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains(&format!("deleted tra-test/{}", made[0])), "{said}");
    until("the orphan is deleted", async || ground.made().await.is_empty()).await;
    // SIGTERM clears away at once.
    let (mut child, _port) = ground.listen(&["-x", APP]).await;
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert!(ground.made().await.is_empty());
}
