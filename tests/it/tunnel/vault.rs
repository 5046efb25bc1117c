//! The URL from a key vault, by Azure's own API as whoever the configuration signs in as: no `az` is needed.

use std::process::Output;

use crate::incident::ground::{Ground, alone, drtui};

fn tunnel(ground: &Ground, name: &str) -> (String, String, i32) {
    let config = ground.word("/config");
    let vault = ["tunnel", "-k", "s189p01-rsm-pd-app-kv", "-d", name];
    let words = [&["--config", config], &vault[..], &["--", "psql", "-Atc", "select 1"]].concat();
    let Output { stdout, stderr, status } = drtui(&words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&stdout), text(&stderr), status.code().unwrap_or(-1))
}

#[test]
fn a_key_vault_is_asked_itself() {
    let ground = alone();
    let password = ground.word("/postgres/live_url").split(['@', ':']).nth(2).unwrap().to_owned();
    let (out, err, code) = tunnel(&ground, "s189p01-rsm-pd-pg");
    assert_eq!((out.as_str(), code), ("1\n", 0), "{err}");
    assert!(err.contains("LIVE s189p01-rsm-pd-pg/rsm_production"), "{err}");
    // A copy that nobody has started: named, and not called live.
    let (_, err, code) = tunnel(&ground, "snapshot");
    assert!(code == 125 && err.contains("s189p01-rsm-pd-pg-snapshot"), "{err}");
    assert!(!err.contains(&password), "{err}");
    let (_, err, code) = tunnel(&ground, "nothing");
    let says = "secret nothing-database-url of key vault s189p01-rsm-pd-app-kv: SecretNotFound";
    assert!(code == 125 && err.contains(says), "{err}");
}
