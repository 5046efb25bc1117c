//! The harness itself, on small shell programs: it would be no use if it could not fail.

use std::path::Path;
use std::time::Duration;

use super::harness::{Home, Spawn};

fn sh(home: &Home, script: &str) -> Spawn {
    Spawn::program(Path::new("/bin/sh"), home, &["-c", script])
}

#[test]
fn it_sees_what_was_left_on() {
    let home = Home::new();
    let modes = "stty raw -echo; printf '\\033[22;2t\\033[?1049h\\033[?1000h\\033[?2004h\\033[?1004h\\033[?25l\\033[?2026h'";
    let pty = sh(&home, modes).start();
    assert_eq!(pty.wait_exit().code, 0);
    let left = pty.left_on();
    assert_eq!(left.len(), 8, "{left:?}");
}

#[test]
fn a_tidy_program_leaves_nothing_and_tells_how_it_ended() {
    let home = Home::new();
    let pty = sh(&home, "printf '\\033[?1049hhello\\033[?1049l'; exit 3").start();
    assert_eq!(pty.wait_exit().code, 3);
    assert_eq!(pty.left_on(), Vec::<&str>::new());
}

#[test]
fn it_looks_at_whole_frames_only() {
    let home = Home::new();
    let pty = sh(&home, "printf '\\033[?2026hhalf'; read x; printf ' whole\\033[?2026l'; read x").start();
    let mut pty = pty;
    assert!(
        pty.try_wait(Duration::from_millis(200), |s| s.screen().contents().contains("half").then_some(()))
            .is_none()
    );
    pty.send("\n");
    pty.wait_text("whole");
    assert!(pty.find("whole").is_some());
}

#[test]
fn keys_sizes_and_signals_arrive() {
    let home = Home::new();
    let script = "trap 'echo got-term; exit 7' TERM; stty size; read line; echo \"line=$line\"; stty size; echo ready; \
                  while :; do read x; done";
    let mut pty = sh(&home, script).size(91, 17).start();
    pty.wait_text("17 91");
    pty.resize(60, 20);
    pty.send("abc\n");
    pty.wait_text("line=abc");
    pty.wait_text("20 60");
    pty.wait_text("ready");
    pty.signal(nix::sys::signal::Signal::SIGTERM);
    pty.wait_text("got-term");
    assert_eq!(pty.wait_exit().code, 7);
}
