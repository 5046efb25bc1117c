//! Tunnels on a terminal beside the hand-off: a pod of its own in the undo ledger, what is refused, and `drtui tunnel`
//! at a prompt.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::handoff::{is_back, journal, leave, live_prompt, on_record, psql_asks, tunnel_is_open};
use super::harness::{Home, Pty, Spawn};
use crate::incident::ground::{Ground, SOON, alone, hides, shows};
use crate::incident::{arm, open, settled};

/// Asks for a tunnel to live through a pod of its own, armed; `yes` is what the guard wants typed.
pub fn ask_for_a_pod(pty: &mut Pty, yes: &str) {
    pty.send("5t");
    shows(pty, "a pod of the app");
    pty.send("\t ");
    shows(pty, "a pod made for it");
    pty.send("\r");
    shows(pty, "through a new pod");
    pty.send(yes);
}

/// The kinds of undos, and the ids of those that are over, as the journal has them.
fn undos(events: &[Value]) -> (Vec<String>, Vec<String>) {
    let of = |kind: &'static str| events.iter().filter(move |e| e["kind"] == kind);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let opened = of("captured").map(|e| word(&e["undo"]["undo"])).collect();
    (opened, of("undone").map(|e| word(&e["undo"])).collect())
}

#[test]
fn a_pod_of_its_own_is_owed_until_the_cluster_shows_that_it_is_gone_also_after_a_crash() {
    let ground = alone();
    let home = Home::new();
    let mut pty = ground.cockpit(&home, &[]).start();
    settled(&pty);
    open(&mut pty);
    arm(&mut pty);
    ask_for_a_pod(&mut pty, "production\r");
    tunnel_is_open(&pty, "t1");
    pty.send("L");
    shows(&pty, "u1   OPEN");
    shows(&pty, "had no pod for tunnel t1");
    // Closed from the ledger, seen to be gone.
    pty.send("b");
    on_record(&home, "the pod is gone", |events| (undos(events).1 == ["u1"]).then_some(()));
    pty.send("L");
    shows(&pty, "Undo ledger");
    shows(&pty, "u1   put back");
    pty.send("\x1b");
    hides(&pty, "Undo ledger");

    // A crash leaves the next one to its deadline, and to whoever comes back.
    ask_for_a_pod(&mut pty, "production\r");
    tunnel_is_open(&pty, "t2");
    pty.kill9();
    pty.wait_end();
    assert_eq!(undos(&journal(&home)).0, ["tunnel_pods", "tunnel_pods"]);
    let mut pty = ground.cockpit(&home, &[]).start();
    shows(&pty, "Resumed incident");
    pty.send("5");
    shows(&pty, "POD LEFT");
    arm(&mut pty);
    // While nothing is known of its pod the first `b` only looks for it.
    let guard = |s: &super::harness::Seen| {
        s.screen().contents().contains("Delete what a tunnel left behind").then_some(())
    };
    let asked = (0..10).any(|_| {
        pty.send("Ljb");
        pty.try_wait(std::time::Duration::from_secs(3), guard).is_some()
    });
    assert!(asked, "{}", pty.text());
    shows(&pty, "delete pod drtui-tunnel-");
    pty.send("production\r");
    on_record(&home, "it is put back", |events| (undos(events).1 == ["u1", "u2"]).then_some(()));
    hides(&pty, "POD LEFT");
    leave(&mut pty);
}

/// The sandbox's configuration for somebody else.
fn config_of(ground: &Ground, home: &Home, who: &str) -> String {
    let kubeconfig = ground.word("/kubeconfig");
    let text = std::fs::read_to_string(ground.word("/config")).unwrap();
    assert!(text.contains(kubeconfig), "{text}");
    let file = home.file(&format!("{who}.toml"), &text.replace(kubeconfig, &format!("{kubeconfig}-{who}")));
    file.display().to_string()
}

#[test]
fn without_the_right_to_exec_the_cockpit_says_so_and_goes_by_port_forward() {
    let ground = alone();
    let home = Home::new();
    let config = config_of(&ground, &home, "no-exec");
    let mut pty = Spawn::drtui(&home, &["--config", &config]).size(120, 40).start();
    settled(&pty);
    open(&mut pty);
    pty.send(":tunnel live\r");
    shows(&pty, "(-x, or `through` in the form)");
    // Until its tunnel is known to have failed, another to the same place is refused.
    shows(&pty, "FAILED: not allowed");
    arm(&mut pty);
    ask_for_a_pod(&mut pty, "production\r");
    tunnel_is_open(&pty, "t2");
    pty.send("z");
    shows(&pty, "create pods/exec is not allowed: it goes by port-forward to a pod of its own");
    shows(&pty, "made for it, by port-forward");
    pty.send("p");
    psql_asks(&pty);
    pty.send("\\q\r");
    is_back(&pty);
    pty.send("x");
    on_record(&home, "its pod is gone", |events| undos(events).1.pop());
    leave(&mut pty);
}

#[test]
fn without_any_right_into_a_pod_both_are_named_and_nothing_is_owed() {
    let ground = alone();
    let home = Home::new();
    let config = config_of(&ground, &home, "no-streams");
    let mut pty = Spawn::drtui(&home, &["--config", &config]).size(120, 40).start();
    settled(&pty);
    open(&mut pty);
    arm(&mut pty);
    ask_for_a_pod(&mut pty, "production\r");
    shows(&pty, "neither create pods/exec nor");
    on_record(&home, "nothing was made", |events| (undos(events).1 == ["u1"]).then_some(()));
    leave(&mut pty);
}

#[test]
fn drtui_tunnel_at_a_prompt_says_live_production_and_is_read_only() {
    let ground = alone();
    let home = Home::new();
    let words = ["--config", ground.word("/config"), "tunnel", "--", "psql"];
    let mut pty = Spawn::drtui(&home, &words).start();
    psql_asks(&pty);
    let style = live_prompt(&pty);
    assert!(style.bold && style.bg != vt100::Color::Default, "{style:?}");
    pty.send("create table t (i int);\r");
    shows(&pty, "cannot execute CREATE TABLE in a read-only transaction");
    pty.send("\\echo beg''un \\\\ select pg_sleep(60);\r");
    shows(&pty, "begun");
    let cancelled = |s: &super::harness::Seen| {
        s.screen().contents().contains("canceling statement due to user request").then_some(())
    };
    // The query may not be on its way yet; then psql only drops the line.
    let ended = (0..20).any(|_| {
        pty.send("\x03");
        pty.try_wait(std::time::Duration::from_secs(2), cancelled).is_some()
    });
    assert!(ended && pty.look(|s| s.exit.is_none()), "{}", pty.text());
    psql_asks(&pty);
    pty.send("\\q\r");
    assert_eq!(pty.wait_exit().code, 0);
}

#[test]
fn a_file_on_a_terminal_shows_how_far_it_is() {
    let ground = alone();
    let home = Home::new();
    let mut sql = String::from("create temp table t (n text);\n\\copy t from stdin\n");
    for n in 0..200_000 {
        sql.push_str(&format!("{:032x}\n", n * 7_919));
    }
    sql.push_str("\\.\nselect count(*) || ' rows' from t;\n");
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(sql.as_bytes()).unwrap();
    let file = home.path().join("in.sql.gz");
    std::fs::write(&file, gz.finish().unwrap()).unwrap();
    let file = file.display().to_string();
    let words = ["--config", ground.word("/config"), "tunnel", "-i", &file, "-c", "--", "psql", "-qAt"];
    let pty = Spawn::drtui(&home, &words).start();
    pty.wait("the bar", SOON, |s| {
        let text = s.screen().contents();
        (text.contains("[####################] 100 %") && text.contains(" MB/s, 0 s left")).then_some(())
    });
    shows(&pty, "200000 rows");
    assert_eq!(pty.wait_exit().code, 0);
}
