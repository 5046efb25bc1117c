//! Whatever happens to the cockpit, the terminal comes back or the program ends. Its sources are unreachable all along.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::harness::{Exit, Home, PATIENCE, Pty, Seen, Spawn, find};

/// Something that every layout shows.
const UP: &str = "refer";
/// Everything that the cockpit switches on.
const ALL_ON: [&str; 7] = [
    "raw mode",
    "alternate screen",
    "mouse",
    "bracketed paste",
    "focus reports",
    "hidden cursor",
    "pushed title",
];
const NOTHING: [&str; 0] = [];

fn cockpit(home: &Home) -> Spawn {
    let config = home.unreachable_config();
    Spawn::drtui(home, &["--config", &config.to_string_lossy()])
}

fn up(spawn: Spawn) -> Pty {
    let pty = spawn.start();
    pty.wait_text(UP);
    pty
}

fn quit(pty: &mut Pty) {
    pty.send("q");
    assert_eq!(pty.wait_exit(), Exit { code: 0, signal: None }, "{}", pty.text());
    assert_eq!(pty.left_on(), NOTHING);
}

#[test]
fn it_starts_at_once_and_quits_without_a_trace() {
    let home = Home::new();
    let mut pty = up(cockpit(&home));
    assert_eq!(pty.left_on(), ALL_ON);
    pty.wait("the title", PATIENCE, |s| s.modes().title.starts_with("drtui").then_some(()));
    quit(&mut pty);
}

#[test]
fn signals_end_it_and_give_the_terminal_back() {
    let home = Home::new();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let pty = up(cockpit(&home));
        pty.signal(signal);
        assert_eq!(pty.wait_exit(), Exit { code, signal: None }, "{signal}");
        assert_eq!(pty.left_on(), NOTHING, "{signal}");
    }
}

#[test]
fn a_panic_gives_the_terminal_back_and_tells() {
    let home = Home::new();
    let mut pty = up(cockpit(&home).env("DRTUI_TEST_PANIC", "1"));
    pty.send(":panic\r");
    let exit = pty.wait_exit();
    assert!(exit.code != 0 && exit.signal.is_none(), "{exit:?}");
    assert_eq!(pty.left_on(), NOTHING);
    let text = pty.text();
    assert!(text.contains("panic"), "the message is not on the restored screen:\n{text}");
}

#[test]
fn it_survives_every_size() {
    let home = Home::new();
    let mut pty = up(cockpit(&home));
    for n in 0..60_u16 {
        let (columns, rows) = match n % 6 {
            0 => (1, 1),
            1 => (300, 100),
            2 => (40, 12),
            3 => (1, 50),
            4 => (200, 1),
            _ => (39 + n, 11 + n),
        };
        pty.resize(columns, rows);
    }
    pty.resize(1, 1);
    pty.wait("the card, cut to one cell", PATIENCE, |s| (s.screen().contents().trim() == "d").then_some(()));
    pty.resize(30, 10);
    pty.wait_text("30x10");
    pty.resize(120, 40);
    pty.wait_text(UP);
    quit(&mut pty);
}

/// The first child of `parent`.
fn child_of(parent: Pid) -> Option<Pid> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    list.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
}

fn command_line(home: &Home) -> String {
    format!("{} --config {}", env!("CARGO_BIN_EXE_drtui"), home.unreachable_config().display())
}

/// Waits until the shell reads again. What is typed earlier may meet the terminal between two modes.
fn prompt(pty: &Pty) {
    pty.wait("the prompt", PATIENCE, |s| {
        let screen = s.screen();
        (!screen.alternate_screen() && screen.contents().trim_end().ends_with("prompt>")).then_some(())
    });
}

#[test]
fn it_stops_and_continues_like_any_job() {
    let home = Home::new();
    let bash = Spawn::program(Path::new("/bin/bash"), &home, &["--norc", "--noprofile", "--noediting", "-i"]);
    let mut pty = bash.env("PS1", "prompt> ").size(100, 30).start();
    prompt(&pty);
    pty.send(&format!("{}\r", command_line(&home)));
    pty.wait_text(UP);
    let drtui = child_of(pty.pid).unwrap();
    let by_key = |pty: &mut Pty| pty.send("\x1a");
    let by_signal = |_: &mut Pty| kill(drtui, Signal::SIGTSTP).unwrap();
    let stops: [&dyn Fn(&mut Pty); 2] = [&by_key, &by_signal];
    for stop in stops {
        assert_eq!(pty.left_on(), ALL_ON);
        stop(&mut pty);
        prompt(&pty);
        assert!(pty.text().contains("Stopped"), "{}", pty.text());
        pty.send("stty size\r");
        pty.wait_text("30 100");
        prompt(&pty);
        assert_eq!(pty.left_on(), NOTHING);
        pty.send("clear; fg\r");
        pty.wait("the cockpit", PATIENCE, |s| {
            (s.screen().alternate_screen() && s.screen().contents().contains(UP)).then_some(())
        });
    }
    pty.send("q");
    prompt(&pty);
    pty.send("echo code=$?\r");
    pty.wait_text("code=0");
}

#[test]
fn it_does_not_stop_where_nobody_could_continue_it() {
    let home = Home::new();
    let mut pty = up(cockpit(&home).size(120, 40));
    pty.send("\x1a");
    pty.wait_text("cannot stop here");
    quit(&mut pty);
}

/// CPU time of `pid` in clock ticks; `None` once it has ended.
fn cpu_ticks(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    (*fields.first()? != "Z").then_some(())?;
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[test]
fn it_ends_when_the_terminal_vanishes() {
    let home = Home::new();
    let mut pty = up(cockpit(&home));
    pty.vanish();
    pty.wait_end();
}

#[test]
fn it_ends_when_the_terminal_vanishes_and_nobody_tells_it() {
    let home = Home::new();
    // The kernel tells only the leader of the session, which here does not pass it on.
    let script = format!("trap '' HUP; {}; exit 5", command_line(&home));
    let mut pty = up(Spawn::program(Path::new("/bin/sh"), &home, &["-c", &script]));
    let drtui = child_of(pty.pid).unwrap();
    pty.vanish();
    assert_eq!(pty.wait_end().code, 5);
    assert_eq!(cpu_ticks(drtui), None, "it still runs");
}

/// Every parameter of every SGR sequence in `bytes` that sets a colour.
fn colours(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let sequences = text.split("\x1b[").skip(1).filter_map(|s| {
        let end = s.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
        s[end..].starts_with('m').then(|| s[..end].to_owned())
    });
    sequences
        .filter(|s| {
            let first = s.split([';', ':']).next().and_then(|n| n.parse::<u16>().ok());
            matches!(first, Some(30..=49 | 58 | 59 | 90..=107))
        })
        .collect()
}

#[test]
fn no_color_and_dumb_terminals_get_no_colour_and_still_tell() {
    let home = Home::new();
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut pty = up(cockpit(&home).env("COLORTERM", "truecolor").env(name, value).size(120, 40));
        pty.wait("the production band", PATIENCE, |s| {
            let screen = s.screen();
            (0..120).any(|c| screen.cell(0, c).is_some_and(|c| c.inverse() && c.bold())).then_some(())
        });
        pty.send("2?");
        pty.wait_text("search:");
        pty.send("\x1b");
        pty.wait_gone("search:");
        quit(&mut pty);
        assert_eq!(pty.look(|s| colours(&s.raw)), Vec::<String>::new(), "{name}={value}");
    }
}

#[test]
fn colours_follow_what_the_terminal_can() {
    let home = Home::new();
    for (term, colorterm, kind) in [("xterm-256color", "truecolor", "48;2;"), ("xterm-256color", "", "48;5;")]
    {
        let mut pty = up(cockpit(&home).env("TERM", term).env("COLORTERM", colorterm).size(120, 40));
        let kind = kind.to_owned();
        pty.wait("a background", PATIENCE, |s| {
            colours(&s.raw).iter().any(|c| c.contains(&kind)).then_some(())
        });
        quit(&mut pty);
    }
}

#[test]
fn a_paste_is_text_and_never_keys() {
    let home = Home::new();
    let mut pty = up(cockpit(&home).size(120, 40));
    pty.paste("q:quit\rq");
    pty.send("?");
    pty.wait_text("search:");
    pty.send("\x1b");
    pty.wait_gone("search:");
    pty.send("/");
    pty.paste("qui\rq");
    pty.wait("the pasted text in the filter", PATIENCE, |s| {
        s.screen().contents().contains("qui").then_some(())
    });
    assert!(pty.look(|s| s.exit.is_none()), "it took the paste for keys");
    pty.send("\x1b\x1b");
    quit(&mut pty);
}

/// True if the pane called `title` has the heavy border of the focus.
fn has_focus(screen: &vt100::Screen, title: &str) -> bool {
    find(screen, title)
        .and_then(|(column, row)| screen.cell(row, column.checked_sub(2)?))
        .is_some_and(|c| c.contents() == "┏")
}

#[test]
fn a_click_focuses_and_the_mouse_can_be_let_go() {
    let home = Home::new();
    let mut pty = up(cockpit(&home).size(120, 40));
    pty.wait("the checklist in focus", PATIENCE, |s| has_focus(s.screen(), "1 Checklist").then_some(()));
    let (column, row) = pty.find("7 Timeline").unwrap();
    pty.click(column + 3, row + 2);
    pty.wait("the timeline in focus", PATIENCE, |s| has_focus(s.screen(), "7 Timeline").then_some(()));
    pty.send("m");
    let no_mouse = |s: &Seen| s.screen().mouse_protocol_mode() == vt100::MouseProtocolMode::None;
    pty.wait("the mouse to be let go", PATIENCE, |s| no_mouse(s).then_some(()));
    pty.send("m");
    pty.wait("the mouse to be taken again", PATIENCE, |s| (!no_mouse(s)).then_some(()));
    quit(&mut pty);
}

#[test]
fn a_copy_reaches_the_clipboard_of_the_terminal() {
    let home = Home::new();
    let mut pty = up(cockpit(&home).size(120, 40));
    pty.send("1y");
    pty.wait("a copy", PATIENCE, |s| (!s.modes().clipboard.is_empty()).then_some(()));
    pty.wait_text("Sent to the terminal's clipboard");
    quit(&mut pty);
}
