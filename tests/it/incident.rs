//! One incident on the sandbox, as a person takes it: from the first key to the report, through crashes.

mod faults;
pub mod ground;

use std::path::PathBuf;

use ground::{Ground, NAMESPACE, WEB, WORKER, alone, hides, row, run, shows, watches};
use serde_json::{Value, json};

use crate::pty::harness::{Home, Pty};

/// Waits until everything that is looked at has answered and nothing moves.
pub fn settled(pty: &Pty) {
    for source in ["● kubernetes live", "● azure every", "● metrics every", "● service UP (200)"] {
        shows(pty, source);
    }
    watches(pty, WEB, "2 of 2 ready", |r| r.want == "2" && r.ready == "2" && r.state == "ready");
}

pub fn open(pty: &mut Pty) {
    pty.send("i");
    shows(pty, "EXERCISE: the record says that this is a drill.");
    pty.send("\r");
    shows(pty, "declared");
}

pub fn arm(pty: &mut Pty) {
    pty.send(":arm 15m\r");
    shows(pty, "ARMED 15 m");
}

/// Marks everything in Replicas and asks for 0.
fn ask_to_stop(pty: &mut Pty) {
    pty.send("2a");
    pty.wait("both marked", ground::SOON, |s| {
        (s.screen().contents().matches('▌').count() == 2).then_some(())
    });
    pty.send("s");
    shows(pty, "Scale 2 deployments to 0");
}

fn incident(home: &Home) -> String {
    let (text, code) = run(home, &["incident", "list", "--json"]);
    assert_eq!(code, 0, "{text}");
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "{text}");
    list[0]["id"].as_str().unwrap().to_owned()
}

fn journal(home: &Home, id: &str) -> PathBuf {
    home.path().join(format!("state/drtui/incidents/{id}.jsonl"))
}

#[test]
fn from_the_first_key_to_the_report() {
    let ground = alone();
    let home = Home::new();
    let mut pty = ground.cockpit(&home, &[]).start();
    settled(&pty);
    open(&mut pty);
    arm(&mut pty);
    stop_everything(&mut pty);
    the_status_says(&ground, 0, 1);
    answer_four_items(&mut pty);
    pty.kill9();
    assert_eq!(pty.wait_end().signal.as_deref(), Some("Killed"));

    let mut pty = ground.cockpit(&home, &[]).start();
    it_resumes_read_only(&mut pty);
    put_everything_back(&mut pty);
    pty.send("q");
    assert_eq!(pty.wait_exit().code, 0);
    assert_eq!(pty.left_on(), Vec::<&str>::new());

    the_status_says(&ground, 2, 0);
    let id = incident(&home);
    the_report_is_true(&home, &id);
    one_changed_byte_is_found(&ground, &home, &id);
}

fn stop_everything(pty: &mut Pty) {
    ask_to_stop(pty);
    let dialog = pty.text();
    for words in [
        "EXERCISE · PRODUCTION of refer-serious-misconduct · cluster sandbox-",
        "target  tra-production/refer-serious-misconduct-production ",
        "target  tra-production/refer-serious-misconduct-production-worker ",
        "now     2 replicas, 2 ready ",
        "then    0 replicas ",
        "kubectl -n tra-production scale deployment refer-serious-misconduct-production --replicas",
        "kubectl -n tra-production scale deployment refer-serious-misconduct-production-worker",
        "captured before the change; b puts it back exactly",
        "Type production and Enter to go on. Enter on nothing, or Esc: cancel.",
    ] {
        assert!(dialog.contains(words), "{words:?} is not in\n{dialog}");
    }
    pty.send("prod\r");
    shows(pty, "That is not `production`.");
    assert!(pty.look(|s| row(s.screen(), WEB).unwrap().is("2", "2", "-")), "a wrong name changes nothing");
    pty.send("uction\r");
    let seen = watches(pty, WEB, "0 by watch", |r| r.is("0", "0", "2") && r.state == "stopped");
    assert!(seen.iter().any(|r| r.want == "0" && r.state.starts_with("stopping")), "the way down: {seen:?}");
    shows(pty, "2 UNDO OPEN");
}

fn answer_four_items(pty: &mut Pty) {
    pty.send("1");
    pty.send("\r");
    shows(pty, "The sensed value is what it must be: Enter accepts it as verified.");
    pty.send("\r");
    shows(pty, "[x] Check that Azure lists");
    pty.send("\r");
    shows(pty, "sensed   nothing: only a person can tell");
    pty.send("s");
    shows(pty, "[~] Said done ═");
    pty.send("allegations\r");
    shows(pty, "[~] Name the tables");
    pty.send("\ro");
    shows(pty, "Override `Record the last time");
    pty.send("the job log says 13:41\r");
    shows(pty, "[!] Record the last time");
    pty.send("\rn");
    shows(pty, "Note on this item");
    pty.send("first bad row in the audit table\r");
    hides(pty, "Note on this item");
    pty.send("s");
    shows(pty, "[~] Said done ═");
    pty.send("about 25:77 BST-ish\r");
    shows(pty, "not a time");
    let wrong = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    pty.send(&format!("\x15{}\r", wrong.format("%Y-%m-%dT%H:%M:%SZ")));
    shows(pty, "[~] Record the time the first");
    shows(pty, "> [ ] Choose full restore");
}

fn it_resumes_read_only(pty: &mut Pty) {
    shows(pty, "Resumed incident");
    shows(pty, "READ-ONLY");
    shows(pty, "sensed again: 1 answered item still holds");
    for words in
        ["Last done: [~] Record the time", "Now: Choose full restore", "2 UNDO OPEN", "[!] Record the last"]
    {
        shows(pty, words);
    }
    watches(pty, WEB, "what was captured", |r| r.is("0", "0", "2"));
    pty.send("b");
    shows(pty, "Read-only. Enter arms for 15 minutes");
    pty.send("\x1b");
    hides(pty, "Commands");
    assert!(pty.text().contains("READ-ONLY"));
}

fn put_everything_back(pty: &mut Pty) {
    arm(pty);
    pty.send("b");
    shows(pty, "Put back captured replicas");
    for words in ["now     0 replicas, 0 ready ", "then    2 replicas ", "puts back u1", "puts back u2"] {
        shows(pty, words);
    }
    pty.send("production\r");
    let seen = watches(pty, WORKER, "2 by watch", |r| r.is("2", "2", "-") && r.state == "ready");
    assert!(seen.iter().any(|r| r.is("2", "0", "2")), "the way up: {seen:?}");
    hides(pty, "UNDO OPEN");
    pty.send("L");
    shows(pty, "Undo ledger");
    let ledger = pty.text();
    assert_eq!(
        (ledger.matches("put back ").count() >= 2, ledger.contains("OPEN")),
        (true, false),
        "{ledger}"
    );
    pty.send("\x1b");
    hides(pty, "Undo ledger");
}

fn the_status_says(ground: &Ground, replicas: i64, code: i32) {
    let output = ground::drtui(&["status", "--json", "--config", ground.word("/config")]).output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{status:#}");
    assert_eq!((&status["exercise"], &status["well"]), (&json!(true), &json!(code == 0)));
    let all = status["deployments"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    for (name, d) in [WEB, WORKER].iter().zip(all) {
        assert_eq!(d["key"], json!({"namespace": NAMESPACE, "name": name}));
        assert_eq!((d["wanted"].as_i64(), d["ready"].as_i64()), (Some(replicas), Some(replicas)));
    }
    let live = &status["servers"][0];
    assert_eq!(
        (&live["name"], &live["state"], &live["class"]),
        (&json!("s189p01-rsm-pd-pg"), &json!("Ready"), &json!("live"))
    );
    let up = if code == 0 { json!(200) } else { json!(503) };
    assert_eq!(status["health"]["status"], up);
    assert_eq!(status["sources"]["kubernetes"]["phase"], "live");
}

fn the_report_is_true(home: &Home, id: &str) {
    let (text, code) = run(home, &["report", id, "--format", "json"]);
    assert_eq!(code, 0, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&report["exercise"], &report["resumed"], &report["oddities"]),
        (&json!(true), &json!(1), &json!([]))
    );
    let score = &report["scorecard"];
    let counts = [
        "verified",
        "said",
        "overridden",
        "changes_done",
        "changes_failed",
        "changes_unknown",
        "undo_put_back",
        "undo_open",
    ];
    assert_eq!(counts.map(|c| score[c].as_i64().unwrap()), [1, 2, 1, 4, 0, 0, 2, 0]);
    let step =
        |mark: &str| report["steps"].as_array().unwrap().iter().find(|s| s["mark"] == mark).unwrap().clone();
    let verified = step("verified");
    assert_eq!(
        (&verified["sensed"]["value"], &verified["sensed"]["source"]),
        (&json!("Ready"), &json!("azure"))
    );
    assert_eq!(step("overridden")["reason"], "the job log says 13:41");
    assert!(step("overridden")["who"].as_str().unwrap().contains('@'));
    assert_eq!(report["notes"][0]["text"], "first bad row in the audit table");
    assert_eq!(report["notes"][0]["item"], "record-the-time-the-first-row-went-wrong-in-london-and-in-utc");
    let changes: Vec<_> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            (
                c["target"].as_str().unwrap(),
                c["old"].as_str().unwrap(),
                c["new"].as_str().unwrap(),
                c["outcome"].as_str().unwrap(),
                c["undoes"].as_str(),
            )
        })
        .collect();
    let [web, worker] = [WEB, WORKER].map(|name| format!("{NAMESPACE}/{name}"));
    assert_eq!(
        changes,
        [
            (web.as_str(), "2 replicas", "0 replicas", "done", None),
            (worker.as_str(), "2 replicas", "0 replicas", "done", None),
            (web.as_str(), "0 replicas", "2 replicas", "done", Some("u1")),
            (worker.as_str(), "0 replicas", "2 replicas", "done", Some("u2")),
        ]
    );
    for undo in report["undo"].as_array().unwrap() {
        assert_eq!(undo["state"], "put back");
        assert!(undo["words"].as_str().unwrap().ends_with("2 wanted and 2 ready, as captured"), "{undo}");
    }
    the_markdown_is_true(home, id);
}

fn the_markdown_is_true(home: &Home, id: &str) {
    let (text, code) = run(home, &["report", id, "--format", "md"]);
    assert_eq!(code, 0, "{text}");
    for words in [
        "# EXERCISE: Incident report: Loss of data",
        "| Closed | **not closed** |",
        "| Cockpit stopped and resumed | 1 |",
        "- Items: 1 verified, 2 said done, 1 overridden, ",
        "- Changes: 4 done, 0 failed, 0 with unknown outcome",
        "- Undo: 2 put back, 0 waived, 0 still open",
        "| `[x]` | Check that Azure lists the live server as Ready |",
        "| `[!]` | Record the last time the data was right, in London and in UTC |",
        "Record the last time the data was right, in London and in UTC: the job log says 13:41 (",
        "| 2 replicas → 0 replicas | `kubectl -n tra-production scale deployment refer-serious-misconduct-production --replicas 0` | done",
        "cockpit resumed the incident, read-only",
        "**EXERCISE EXERCISE EXERCISE**",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
}

fn one_changed_byte_is_found(ground: &Ground, home: &Home, id: &str) {
    let (text, code) = run(home, &["incident", "verify", id]);
    assert!(code == 0 && text.contains(": good, "), "{code} {text}");
    let good = std::fs::read(journal(home, id)).unwrap();
    let lines = good.split_inclusive(|b| *b == b'\n').map(<[u8]>::len);
    let spoiled = home.path().join("spoiled");
    std::fs::create_dir_all(&spoiled).unwrap();
    let mut start = 0;
    for (n, length) in lines.enumerate() {
        // Another place in every line.
        let mut bad = good.clone();
        bad[start + (n * 37 + 11) % (length - 1)] ^= 1;
        start += length;
        std::fs::write(spoiled.join(format!("{id}.jsonl")), bad).unwrap();
        let (text, code) = run(home, &["incident", "verify", id, "--dir", &spoiled.to_string_lossy()]);
        assert!(code == 1 && text.contains(&format!(".jsonl:{}: ", n + 1)), "line {}: {code} {text}", n + 1);
    }
    // The cockpit does not go on from it, and says what can be read.
    std::fs::copy(spoiled.join(format!("{id}.jsonl")), journal(home, id)).unwrap();
    let mut pty = ground.cockpit(home, &[]).start();
    shows(&pty, "INCIDENT not readable: line ");
    shows(&pty, "Move the journal");
    shows(&pty, "read-only here");
    pty.send("q");
    pty.wait_exit();
}

#[test]
fn a_crash_in_the_middle_of_a_change_is_settled_by_the_watch() {
    let ground = alone();
    let home = Home::new();
    let mut pty = ground.cockpit(&home, &[]).start();
    settled(&pty);
    open(&mut pty);
    arm(&mut pty);
    ask_to_stop(&mut pty);
    ground.fault("stall", "kubernetes");
    pty.send("production\r");
    // On the screen is on disk, and the answer cannot come.
    shows(&pty, "[a2]");
    pty.kill9();
    pty.wait_end();
    ground.fault("none", "kubernetes");
    // As if one of the two requests had been carried out.
    ground.scale(WEB, 0);

    let mut pty = ground.cockpit(&home, &[]).start();
    shows(&pty, "+ a1 done: sensed after resume: web wants 0");
    shows(&pty, "2 UNDO OPEN");
    arm(&mut pty);
    pty.send("b");
    shows(&pty, "puts back u1");
    assert!(!pty.text().contains("puts back u2"), "what is as captured is not changed:\n{}", pty.text());
    pty.send("production\r");
    watches(&pty, WEB, "2 by watch", |r| r.is("2", "2", "-"));
    hides(&pty, "UNDO OPEN");
    pty.send("q");
    pty.wait_exit();

    let id = incident(&home);
    let (text, _) = run(&home, &["report", &id, "--format", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let change = |n: usize| (report["changes"][n]["outcome"].clone(), report["changes"][n]["detail"].clone());
    assert_eq!(change(0), (json!("done"), json!(format!("sensed after resume: {WEB} wants 0"))));
    // It could still be carried out for a while: nobody says that it was not.
    assert_eq!(change(1).0, "unknown", "{}", report["changes"][1]);
    assert_eq!(change(2).0, "done");
    let undo = |n: usize| report["undo"][n]["words"].as_str().unwrap().to_owned();
    assert!(undo(0).ends_with("2 wanted and 2 ready, as captured"), "{}", undo(0));
    assert!(undo(1).ends_with("as captured, found so when asked to put it back"), "{}", undo(1));
    assert!(report["timeline"].to_string().contains("2 changes without an outcome on record"), "{text}");
    let (text, code) = run(&home, &["incident", "verify", &id]);
    assert_eq!(code, 0, "{text}");
}
