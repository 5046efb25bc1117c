//! The URL from a key vault, by Azure's own API as whoever the configuration signs in as: no `az` is needed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::ground::left_behind;
use crate::incident::ground::{Ground, alone, drtui};
use crate::pty::handoff::{holders, told_on_a_command_line};
use crate::pty::harness::Home;

fn words<'a>(ground: &'a Ground, name: &'a str, program: &[&'a str]) -> Vec<&'a str> {
    let vault = ["tunnel", "-k", "s189p01-rsm-pd-app-kv", "-d", name, "--"];
    [&["--config", ground.word("/config")], &vault[..], program].concat()
}

fn password(ground: &Ground) -> String {
    ground.word("/postgres/live_url").split(['@', ':']).nth(2).unwrap().to_owned()
}

fn tunnel(ground: &Ground, name: &str) -> (String, String, i32) {
    let words = words(ground, name, &["psql", "-Atc", "select 1"]);
    let Output { stdout, stderr, status } = drtui(&words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&stdout), text(&stderr), status.code().unwrap_or(-1))
}

#[test]
fn a_key_vault_is_asked_itself() {
    let ground = alone();
    let password = password(&ground);
    let (out, err, code) = tunnel(&ground, "s189p01-rsm-pd-pg");
    assert_eq!((out.as_str(), code), ("1\n", 0), "{err}");
    assert!(err.contains("LIVE s189p01-rsm-pd-pg/rsm_production"), "{err}");
    // A copy that nobody has started: named, and not called live.
    let (_, err, code) = tunnel(&ground, "snapshot");
    assert!(code == 125 && err.contains("s189p01-rsm-pd-pg-snapshot"), "{err}");
    assert!(!err.contains(&password) && !err.contains("LIVE"), "{err}");
    let (_, err, code) = tunnel(&ground, "nothing");
    let says = "secret nothing-database-url of key vault s189p01-rsm-pd-app-kv: SecretNotFound";
    assert!(code == 125 && err.contains(says) && !err.contains("LIVE"), "{err}");
}

#[test]
fn a_password_from_a_vault_is_seen_nowhere() {
    let ground = alone();
    let (home, password) = (Home::new(), password(&ground));
    let words =
        words(&ground, "s189p01-rsm-pd-pg", &["psql", "-c", "\\! echo begun", "-c", "select pg_sleep(60)"]);
    let mut child = drtui(&words)
        .env("XDG_STATE_HOME", home.path().join("state"))
        .env("XDG_RUNTIME_DIR", home.path())
        .env("DRTUI_LOG", "debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    assert_eq!(told_on_a_command_line(&password), Vec::<String>::new());
    assert_eq!(left_behind(home.path()).len(), 1, "psql has no private files");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let Output { stderr, .. } = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&stderr).contains(&password));
    assert_eq!(left_behind(home.path()), Vec::<String>::new());
    let mut found = Vec::new();
    holders(home.path(), &password, &mut found);
    assert_eq!(found, Vec::<PathBuf>::new());
}
