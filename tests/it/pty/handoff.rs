//! The terminal handed to the real psql through a tunnel of the sandbox, and taken back: no key lost, Ctrl-C and Ctrl-Z
//! the child's own, the same screen afterwards, sources alive meanwhile, no password anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::{CellStyle, Home, Pty, Spawn};
use crate::incident::ground::{Ground, SOON, WORKER, alone, rows, shows};
use crate::incident::{arm, open, settled};

/// The cockpit on the sandbox with an incident and tunnel t1 to the live server, the tunnels in focus.
fn tunnelled(ground: &Ground, home: &Home, more: &[&str]) -> Pty {
    let mut pty = ground.cockpit(home, more).env("SHELL", "/bin/sh").start();
    settled(&pty);
    open(&mut pty);
    pty.send(":tunnel live\r");
    is_open(&pty);
    pty
}

/// Waits until tunnel t1 is open.
fn is_open(pty: &Pty) {
    tunnel_is_open(pty, "t1");
}

/// Waits until a tunnel to live is open.
pub fn tunnel_is_open(pty: &Pty, id: &str) {
    pty.wait(&format!("{id} to be open"), SOON, |s| {
        let open = |line: &String| line.contains(&format!("{id}  LIVE")) && line.contains(" open ");
        rows(s.screen()).iter().any(open).then_some(())
    });
}

/// Waits until the cockpit has left the screen to somebody else.
fn is_away(pty: &Pty) {
    pty.wait("the cockpit to leave the screen", SOON, |s| (!s.screen().alternate_screen()).then_some(()));
}

/// Waits until the cockpit is on the screen, with its tunnels.
pub(super) fn is_back(pty: &Pty) {
    pty.wait("the cockpit", SOON, |s| {
        (s.screen().alternate_screen() && s.screen().contents().contains("5 Tunnels")).then_some(())
    });
}

/// Waits until psql asks for the next line.
pub(super) fn psql_asks(pty: &Pty) {
    pty.wait("psql's prompt", SOON, |s| {
        let screen = s.screen();
        let (row, _) = screen.cursor_position();
        let line = rows(screen).get(usize::from(row)).cloned().unwrap_or_default();
        (!screen.alternate_screen() && line.starts_with(" LIVE production ") && line.ends_with("=>"))
            .then_some(())
    });
}

/// The events of the incident's journal, as they are on disk.
pub(super) fn journal(home: &Home) -> Vec<Value> {
    let folder = home.path().join("state/drtui/incidents");
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let file = files.into_iter().find(|p| p.extension().is_some_and(|e| e == "jsonl")).unwrap();
    let text = fs::read_to_string(file).unwrap();
    // The last line may be half there.
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|e| e["event"].clone())
        .collect()
}

/// Waits until the journal on disk satisfies `until`.
#[track_caller]
pub(super) fn on_record<T>(home: &Home, what: &str, until: impl Fn(&[Value]) -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        let events = journal(home);
        if let Some(found) = until(&events) {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain for {what}: {events:#?}");
        // A file has no way to tell that it has grown.
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn leave(pty: &mut Pty) {
    pty.send("q");
    assert_eq!(pty.wait_exit().code, 0);
    assert_eq!(pty.left_on(), Vec::<&str>::new());
}

pub(super) fn live_prompt(pty: &Pty) -> CellStyle {
    let (column, row) = pty.find(" LIVE production  rsm_production").unwrap();
    pty.style(column + 2, row)
}

#[test]
fn psql_gets_every_key_and_ctrl_c_and_the_screen_comes_back_in_its_new_size() {
    let ground = alone();
    let home = Home::new();
    let mut pty = tunnelled(&ground, &home, &[]);
    let before = pty.left_on();
    pty.send("p");
    is_away(&pty);
    // Typed before psql asks: not one key may be lost.
    pty.send("select 'type' || '-' || 'ahead' as word;\r");
    shows(&pty, "type-ahead");
    psql_asks(&pty);
    let text = pty.text();
    assert!(text.contains(" LIVE production  s189p01-rsm-pd-pg/rsm_production"), "{text}");
    let style = live_prompt(&pty);
    assert!(style.bold && style.bg != vt100::Color::Default, "{style:?}");

    pty.send("show default_transaction_read_only; show statement_timeout;\r");
    shows(&pty, " 5min");
    pty.send("create table t (i int);\r");
    shows(&pty, "cannot execute CREATE TABLE in a read-only transaction");
    psql_asks(&pty);
    pty.send("\\echo beg''un \\\\ select pg_sleep(60);\r");
    shows(&pty, "begun");
    // The query may not be on its way yet; then psql only drops the line.
    let cancelled = |s: &super::harness::Seen| {
        s.screen().contents().contains("canceling statement due to user request").then_some(())
    };
    let ended = (0..20).any(|_| {
        pty.send("\x03");
        pty.try_wait(Duration::from_secs(2), cancelled).is_some()
    });
    assert!(ended, "Ctrl-C did not cancel the query:\n{}", pty.text());
    psql_asks(&pty);
    assert!(pty.look(|s| s.exit.is_none()), "Ctrl-C ended the cockpit");

    pty.resize(100, 30);
    pty.send("\\q\r");
    is_back(&pty);
    shows(&pty, "Done: psql on LIVE s189p01-rsm-pd-pg/rsm_production ended with code 0 after");
    pty.wait("a frame of the new size", SOON, |s| {
        let lines = rows(s.screen());
        let whole = lines.get(3).is_some_and(|l| l.chars().count() == 100 && l.ends_with('┓'));
        (whole && lines.get(28).is_some_and(|l| l.contains("5 Tunnels"))).then_some(())
    });
    assert_eq!(pty.left_on(), before);
    is_open(&pty);
    let ends = on_record(&home, "the end of psql", |events| {
        events.iter().rev().find(|e| e["kind"] == "finished").map(|e| e["outcome"]["result"].clone())
    });
    assert!(ends.as_str().unwrap().contains("code 0 after"), "{ends}");
    leave(&mut pty);
}

#[test]
fn sources_and_journal_go_on_while_psql_has_the_terminal_and_nothing_is_drawn() {
    let ground = alone();
    let home = Home::new();
    let mut pty = tunnelled(&ground, &home, &[]);
    pty.send("p");
    psql_asks(&pty);
    let drawn = pty.look(|s| s.bytes);
    ground.scale(WORKER, 3);
    on_record(&home, "the worker's news", |events| {
        let told =
            |e: &&Value| e["kind"] == "observed" && e["what"].as_str().is_some_and(|w| w.contains("worker"));
        events.iter().find(told).map(|_| ())
    });
    assert_eq!(pty.look(|s| s.bytes), drawn, "something was drawn over psql:\n{}", pty.text());
    pty.send("\\q\r");
    is_back(&pty);
    shows(&pty, "3 of 3 ready");
    leave(&mut pty);
}

#[test]
fn ctrl_z_stops_both_and_fg_brings_psql_back() {
    let ground = alone();
    let home = Home::new();
    let bash = Spawn::program(Path::new("/bin/bash"), &home, &["--norc", "--noprofile", "--noediting", "-i"]);
    let mut pty = bash.env("PS1", "prompt> ").size(120, 40).start();
    let prompt = |pty: &Pty| {
        pty.wait("the shell", SOON, |s| {
            let screen = s.screen();
            (!screen.alternate_screen() && screen.contents().trim_end().ends_with("prompt>")).then_some(())
        });
    };
    prompt(&pty);
    pty.send(&format!("{} --config {}\r", env!("CARGO_BIN_EXE_drtui"), ground.word("/config")));
    settled(&pty);
    open(&mut pty);
    pty.send(":tunnel live\r");
    is_open(&pty);
    pty.send("p");
    psql_asks(&pty);
    pty.send("\x1a");
    prompt(&pty);
    assert!(pty.text().contains("Stopped"), "{}", pty.text());
    pty.send("stty size\r");
    shows(&pty, "40 120");
    prompt(&pty);
    pty.send("fg\r");
    pty.send("select 'still' || '-here';\r");
    shows(&pty, "still-here");
    pty.send("\\q\r");
    is_back(&pty);
    pty.send("q");
    prompt(&pty);
}

#[test]
fn ctrl_z_where_no_shell_waits_stops_nothing() {
    let ground = alone();
    let home = Home::new();
    let mut pty = tunnelled(&ground, &home, &[]);
    pty.send("p");
    psql_asks(&pty);
    pty.send("\x1a");
    pty.send("select 'still' || '-here';\r");
    shows(&pty, "still-here");
    pty.send("\\q\r");
    is_back(&pty);
    leave(&mut pty);
}

#[test]
fn a_dump_is_its_owners_alone_and_what_it_said_is_read_before_the_screen_comes_back() {
    let ground = alone();
    let home = Home::new();
    let mut pty = tunnelled(&ground, &home, &[]);
    pty.send("d");
    shows(&pty, "Arguments of pg_dump");
    // What was proposed, without the rows of the big tables.
    pty.send(" --schema-only\r");
    shows(&pty, "ended with code 0");
    assert!(!pty.look(|s| s.screen().alternate_screen()));
    pty.send("\r");
    is_back(&pty);
    let dump = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().path());
    let dump: Vec<PathBuf> = dump.filter(|p| p.extension().is_some_and(|e| e == "dump")).collect();
    assert_eq!(dump.len(), 1, "{dump:?}");
    assert!(fs::read(&dump[0]).unwrap().starts_with(b"PGDMP"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&dump[0]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    leave(&mut pty);
}

#[test]
fn a_session_that_can_write_needs_arming_and_the_word_live_and_says_so_at_its_prompt() {
    let ground = alone();
    let home = Home::new();
    let mut pty = tunnelled(&ground, &home, &[]);
    arm(&mut pty);
    pty.send("P");
    shows(&pty, "psql CAN WRITE to LIVE");
    pty.send("live\r");
    is_away(&pty);
    shows(&pty, " LIVE production WRITE  rsm_production=>");
    pty.send("show default_transaction_read_only;\r");
    shows(&pty, " off");
    pty.send("\\q\r");
    is_back(&pty);
    leave(&mut pty);
}

#[test]
fn a_signal_meanwhile_ends_both_and_leaves_the_terminal_as_it_was() {
    let ground = alone();
    let home = Home::new();
    let mut pty = tunnelled(&ground, &home, &[]);
    pty.send("p");
    psql_asks(&pty);
    pty.send("select 'asleep', pg_sleep(60);\r");
    pty.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(pty.wait_exit().code, 143);
    assert_eq!(pty.left_on(), Vec::<&str>::new());
}

/// Every file below `folder` that holds `secret`.
pub fn holders(folder: &Path, secret: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            holders(&path, secret, found);
        } else if fs::read(&path).is_ok_and(|b| String::from_utf8_lossy(&b).contains(secret)) {
            found.push(path);
        }
    }
}

/// Command lines of all processes that hold `secret`.
pub fn told_on_a_command_line(secret: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|p| fs::read(p.path().join("cmdline")).ok());
    lines.map(|l| String::from_utf8_lossy(&l).into_owned()).filter(|l| l.contains(secret)).collect()
}

/// To whoever answers, armed, instead of the tunnel that is open.
fn unverified(pty: &mut Pty, password: &str) {
    pty.send("5g");
    tunnel_is_open(pty, "t1");
    pty.send("x");
    pty.wait("t1 to end", SOON, |s| {
        let open = |line: &String| line.contains("t1  LIVE") && line.contains(" open ");
        (!rows(s.screen()).iter().any(open)).then_some(())
    });
    pty.send(":tunnel live unverified\r");
    shows(pty, "without verifying who answers");
    pty.send("s189p01-rsm-pd-pg\r");
    tunnel_is_open(pty, "t3");
    pty.send("p");
    psql_asks(pty);
    assert_eq!(told_on_a_command_line(password), Vec::<String>::new(), "unverified");
    pty.send("\\q\r");
    is_back(pty);
}

#[test]
fn no_password_is_on_a_command_line_in_the_journal_the_log_a_recording_or_a_crash_report() {
    let ground = alone();
    let home = Home::new();
    let record = home.path().join("record.jsonl");
    let url = ground.word("/postgres/live_url").to_owned();
    let password =
        url.split("://").nth(1).and_then(|r| r.split('@').next()?.split(':').nth(1)).unwrap().to_owned();
    assert!(password.len() > 10, "{url}");
    let mut pty = ground
        .cockpit(&home, &["--record", &record.to_string_lossy()])
        .env("DRTUI_LOG", "debug")
        .env("DRTUI_TEST_PANIC", "1")
        .env("SHELL", "/bin/sh")
        .start();
    settled(&pty);
    open(&mut pty);
    pty.send(":tunnel live\r");
    is_open(&pty);
    for key in ["p", "s"] {
        pty.send(key);
        is_away(&pty);
        let (ask, answer) =
            if key == "p" { ("\\echo in''side\r", "inside") } else { ("echo al''so\r", "also") };
        pty.send(ask);
        shows(&pty, answer);
        assert_eq!(told_on_a_command_line(&password), Vec::<String>::new(), "{key}");
        pty.send(if key == "p" { "\\q\r" } else { "exit\r" });
        is_back(&pty);
    }
    // A password that a person types is refused, and not kept.
    pty.send(&format!(":psql -d postgres://u:{password}@h/db\r"));
    shows(&pty, "A password does not belong on a command line");
    // A pod of its own, as the app's pod.
    arm(&mut pty);
    pty.send("t");
    shows(&pty, "through");
    pty.send("\t \tpostgres\r");
    shows(&pty, "through a new pod");
    pty.send("production\r");
    tunnel_is_open(&pty, "t2");
    assert_eq!(told_on_a_command_line(&password), Vec::<String>::new(), "a pod of its own");
    let pods = ground.pods();
    assert!(pods.contains("\"drtui-tunnel-") && !pods.contains(&password), "{pods}");
    pty.send("x");
    on_record(&home, "its pod is gone", |events| events.iter().find(|e| e["kind"] == "undone").map(|_| ()));
    unverified(&mut pty, &password);
    pty.send(":panic\r");
    assert!(pty.wait_exit().code != 0);
    let mut found = Vec::new();
    holders(home.path(), &password, &mut found);
    assert_eq!(found, Vec::<PathBuf>::new());
    let said = pty.text();
    assert!(said.contains("panic") && !said.contains(&password), "{said}");
    assert!(fs::metadata(&record).unwrap().len() > 1_000 && journal(&home).len() > 5);
}
