//! Every fault of every provider under the eyes of a person: the rows stay, the header says how old they are, why, and
//! when the next try comes, keys answer meanwhile, and it recovers by itself.

use std::time::Duration;

use vt100::Screen;

use super::ground::{self, Ground, SOON, WEB, WORKER, row, rows, timed};
use super::settled;
use crate::pty::harness::{CellStyle, Home, Pty, find};

/// Key presses for each fault, and how fast half of them have to be on the screen.
const PRESSES: usize = 20;
const PROMPT: Duration = Duration::from_millis(16);
/// A busy machine may spoil a round.
const ROUNDS: usize = 3;

/// The header's line about the sources.
fn header(screen: &Screen) -> String {
    rows(screen).swap_remove(2)
}

/// True if the header says that a source is in trouble and how old its data are, and somebody (where the header has no
/// room for more than the kind of trouble, the source's pane) when it is asked again, and `why`.
fn tells(screen: &Screen, source: &str, why: &str) -> bool {
    let line = header(screen);
    let short = match source {
        "kubernetes" => "k8s",
        "azure" => "az",
        other => other,
    };
    let names = [format!("! {source} "), format!("! {short} "), format!("!{short} ")];
    let about = names.iter().find_map(|name| line.split_once(name).map(|(_, about)| about));
    about.is_some_and(|about| about.contains(" old"))
        && rows(screen).iter().any(|row| row.contains(" old, retry in ") && row.contains(&format!(": {why}")))
}

/// Both deployments with the counts that they had before.
fn rows_stay(screen: &Screen) {
    for name in [WEB, WORKER] {
        let row = row(screen, name);
        assert!(
            row.as_ref().is_some_and(|r| r.is("2", "2", "-")),
            "{name}: {row:?} in\n{}",
            rows(screen).join("\n")
        );
    }
    assert!(find(screen, "LIVE      s189p01-rsm-pd-pg ").is_some(), "{}", rows(screen).join("\n"));
}

/// Waits for `until`; on every screen until then the rows are there.
#[track_caller]
fn while_rows_stay(pty: &Pty, what: &str, until: impl Fn(&Screen) -> bool) {
    pty.wait(what, SOON, |s| {
        rows_stay(s.screen());
        until(s.screen()).then_some(())
    });
}

/// Moves the focus to and fro and measures from the key to the border that shows it.
fn keys_answer(pty: &mut Pty, meanwhile: &str) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let mut took: Vec<Duration> = (0..PRESSES)
            .map(|n| {
                let (key, corner) =
                    if n % 2 == 0 { ("2", "┏ 2 Replicas") } else { ("1", "┏ 1 Checklist") };
                timed(pty, key, |screen| find(screen, corner).is_some())
            })
            .collect();
        took.sort();
        let (p50, p99) = (took[PRESSES / 2], took[PRESSES - 1]);
        println!("{meanwhile}: key to screen p50 {p50:.1?}, p99 {p99:.1?} of {PRESSES}");
        best = best.min(p50);
        if best < PROMPT {
            return;
        }
    }
    panic!("{meanwhile}: half of the keys took longer than {best:?}");
}

/// One fault from its beginning to the recovery. `ask` is typed to make a polled source notice it now.
fn lives_through(ground: &Ground, pty: &mut Pty, on: &str, kind: &str, source: &str, why: &str, ask: &str) {
    ground.fault(kind, on);
    pty.send(ask);
    while_rows_stay(pty, &format!("{kind} on {on}: {why}"), |s| tells(s, source, why));
    println!("{}", pty.look(|s| header(s.screen())));
    keys_answer(pty, &format!("{kind} on {on}"));
    while_rows_stay(pty, "the same still", |s| tells(s, source, ""));
    ground.fault("none", on);
    let well = format!("● {source} ");
    while_rows_stay(pty, &format!("{source} after {kind}"), |s| header(s).contains(&well));
}

#[test]
fn kubernetes_fails_in_every_way_and_the_rows_stay() {
    let ground = ground::faulty();
    let home = Home::new();
    let mut pty = ground.cockpit(&home, &[]).start();
    settled(&pty);
    for (kind, why) in [
        ("refused", "cannot reach it"),
        ("reset", "cannot reach it"),
        ("401", "sign in"),
        ("403", "not allowed"),
        ("410", "server error 410"),
        ("429", "throttled, asked to wait"),
        ("500", "server error 500"),
        ("garbage", "answer not understood"),
        ("huge", "answer not understood"),
        ("stall", "no answer within"),
    ] {
        lives_through(ground, &mut pty, "kubernetes", kind, "kubernetes", why, "");
    }
    hostile_names_are_only_names(ground, &mut pty);
    pty.send("q");
    assert_eq!(pty.wait_exit().code, 0);
}

fn hostile_names_are_only_names(ground: &Ground, pty: &mut Pty) {
    let begun = pty.look(|s| s.raw.len());
    let plain = style_at(pty, "-production-worker");
    ground.fault("hostile-names", "kubernetes");
    while_rows_stay(pty, "the hostile deployments", |s| {
        find(s, "CrashLoopBack").is_some() && find(s, "evil").is_some()
    });
    keys_answer(pty, "hostile-names on kubernetes");
    while_rows_stay(pty, "their names", |s| find(s, "-red").is_some() && find(s, "-title").is_some());
    for name in ["-red", "-title", "evil"] {
        assert_eq!(style_at(pty, name), plain, "{name} has a style of its own");
    }
    pty.look(|s| {
        assert!(s.modes().title.starts_with("drtui EXERCISE refer-serious"), "{}", s.modes().title);
        assert!(s.modes().clipboard.is_empty() && s.screen().hide_cursor());
        let raw = &s.raw[begun..];
        for evil in
            ["\x1b[31mred", "\x1b[2J", "owned", "b3duZWQ=", "\x1b[5m", "\u{202e}", "\x1b[5A", "\u{9b}"]
        {
            assert!(!raw.windows(evil.len()).any(|w| w == evil.as_bytes()), "{evil:?} came through");
        }
    });
    ground.fault("none", "kubernetes");
    while_rows_stay(pty, "only the good ones", |s| find(s, "CrashLoopBack").is_none());
}

/// The style of the first letters of a deployment's row that shows `text`.
fn style_at(pty: &Pty, text: &str) -> CellStyle {
    let (column, row) = pty.find(text).unwrap_or_else(|| panic!("{text:?} is not in\n{}", pty.text()));
    pty.style(column, row)
}

#[test]
fn azure_and_the_service_fail_and_the_rows_stay() {
    let ground = ground::faulty();
    let home = Home::new();
    let mut pty = ground.cockpit(&home, &[]).start();
    settled(&pty);
    for (kind, why) in [
        ("refused", "cannot reach it"),
        ("401", "sign in"),
        ("403", "not allowed"),
        ("429", "throttled, asked to wait"),
        ("garbage", "answer not understood"),
        ("huge", "answer not understood"),
        ("stall", "no answer within"),
    ] {
        lives_through(ground, &mut pty, "azure", kind, "azure", why, "r");
    }
    for (kind, why) in [("reset", "cannot reach it"), ("stall", "no answer within")] {
        lives_through(ground, &mut pty, "service", kind, "service", why, "r");
    }
    pty.send("q");
    assert_eq!(pty.wait_exit().code, 0);
}
