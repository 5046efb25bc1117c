//! Focus, filter, mouse, time, messages, the way back after an interruption.

use crossterm::event::{Event as Input, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::core::overlays::Overlay;
use crate::core::panes::checklist;
use crate::core::testing::{Kit, deployment};
use crate::core::{Effect, Msg, PaneId, panes};
use crate::domain::{Phase, Source, Update};

fn many(kit: &mut Kit, n: usize) {
    let all = (0..n).map(|i| deployment(&format!("rsm-production-{i:04}"), 1, 1)).collect();
    kit.news(Update::Deployments { all });
}

#[test]
fn number_keys_and_tab_move_the_focus() {
    let mut kit = Kit::live();
    for (keys, pane) in [
        ("3", PaneId::Postgres),
        ("tab", PaneId::Tunnels),
        ("tab", PaneId::Compare),
        ("tab", PaneId::Timeline),
        ("tab", PaneId::Checklist),
        ("6", PaneId::Compare),
        ("7", PaneId::Timeline),
        ("5", PaneId::Tunnels),
        ("4", PaneId::Tunnels),
        ("tab", PaneId::Compare),
        ("tab", PaneId::Timeline),
        ("tab", PaneId::Checklist),
    ] {
        kit.keys(keys);
        assert_eq!(kit.model.focus, pane);
    }
    kit.keys("backtab");
    assert_eq!(kit.model.focus, PaneId::Timeline);
}

#[test]
fn a_filter_narrows_as_it_is_typed_and_esc_clears_it() {
    let mut kit = Kit::live();
    kit.keys("2 /").text("worker");
    assert_eq!(panes::counts(&kit.model, PaneId::Replicas), (1, 2));
    kit.keys("enter esc");
    assert_eq!(panes::counts(&kit.model, PaneId::Replicas), (2, 2));
}

#[test]
fn the_selection_stays_on_its_row_while_rows_come_and_go() {
    let mut kit = Kit::live();
    many(&mut kit, 50);
    kit.keys("2 G");
    let selected = kit.model.panes.replicas.selected.clone().unwrap();
    kit.news(Update::DeploymentGone { key: deployment("rsm-production-0003", 1, 1).key });
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production-0003-b", 1, 1) });
    kit.keys("1 2");
    assert_eq!(kit.model.panes.replicas.selected, Some(selected));
}

#[test]
fn a_click_focuses_and_selects_and_the_wheel_scrolls() {
    let mut kit = Kit::live();
    many(&mut kit, 100);
    let rect = kit.model.layout().rect(PaneId::Replicas).unwrap();
    let at = |kind, row| Msg::Input {
        input: Input::Mouse(MouseEvent { kind, column: rect.x + 3, row, modifiers: KeyModifiers::NONE }),
    };
    // Border, table head, then the rows.
    kit.send(at(MouseEventKind::Down(MouseButton::Left), rect.y + 4));
    assert_eq!(kit.model.focus, PaneId::Replicas);
    assert_eq!(kit.model.panes.replicas.selected.as_ref().unwrap().name, "rsm-production-0002");
    kit.send(at(MouseEventKind::ScrollDown, rect.y + 4));
    assert_eq!(kit.model.panes.replicas.top, 3);
    kit.keys("m");
    assert_eq!(kit.effects, vec![Effect::Mouse(false)]);
}

#[test]
fn at_rest_only_the_clock_wakes_the_cockpit() {
    let mut kit = Kit::live();
    kit.later(7);
    kit.health(200);
    let wake = kit.model.next_wake() - kit.model.now;
    assert!(wake.num_seconds() >= 29, "{wake}");
    kit.standing(Source::Web, Phase::Stale { why: "refused".into() });
    assert!(
        (kit.model.next_wake() - kit.model.now).num_seconds() <= 1,
        "countdowns run while something is wrong"
    );
}

#[test]
fn errors_stay_until_dismissed_and_plain_messages_go() {
    let mut kit = Kit::live();
    kit.send(Msg::Info { what: "hello".into() });
    kit.later(7);
    assert_eq!(kit.toast(), "");
    kit.send(Msg::Trouble { what: "bad".into() });
    kit.later(600);
    assert_eq!(kit.toast(), "bad");
    kit.keys("esc");
    assert_eq!(kit.toast(), "");
    assert_eq!(kit.model.messages.len(), 2, "kept for :messages");
}

#[test]
fn coming_back_tells_what_was_missed() {
    let mut kit = Kit::incident();
    kit.keys("enter enter").later(10);
    kit.send(Msg::Input { input: Input::FocusLost });
    kit.later(240);
    kit.health(503);
    kit.later(5);
    kit.send(Msg::Input { input: Input::FocusGained });
    let mark = kit.model.away.bookmark.clone().unwrap();
    assert!(mark.last_done.unwrap().contains("Check that Azure lists"));
    assert_eq!(mark.current.as_deref(), Some("Note when rows went wrong"));
    assert!(mark.changed.iter().any(|c| c.contains("service is down")), "{:?}", mark.changed);
    kit.keys("esc");
    assert!(kit.model.away.bookmark.is_none());
}

#[test]
fn a_minute_without_a_key_is_an_interruption_too() {
    let mut kit = Kit::incident();
    let screen_line = |kit: &Kit| {
        let list = &kit.model.panes.checklist;
        let rows = checklist::rows(&kit.model);
        list.position(&rows).unwrap() - list.top + checklist::head(&kit.model).len()
    };
    for size in [(120, 40), (80, 24), (40, 12)] {
        kit.send(Msg::Input { input: Input::Resize(size.0, size.1) });
        kit.keys("v esc esc");
        let before = screen_line(&kit);
        kit.later(61).keys("v");
        assert!(kit.model.away.bookmark.is_some());
        assert_eq!(screen_line(&kit), before, "the row under the cursor does not move at {size:?}");
        kit.keys("esc");
    }
}

#[test]
fn updates_to_stakeholders_come_due() {
    let mut kit = Kit::incident();
    kit.later(20 * 60).keys("U");
    let due = kit.model.session.as_ref().unwrap().update_due().unwrap();
    assert_eq!((due - kit.model.now).num_minutes(), 30);
}

#[test]
fn an_update_that_was_not_sent_is_taken_back_and_stays_on_record() {
    let mut kit = Kit::incident();
    let due = |kit: &Kit| kit.model.session.as_ref().unwrap().update_due().unwrap();
    let first = due(&kit);
    kit.command("update-not-sent");
    assert!(kit.toast().contains("nothing to take back"), "{}", kit.toast());
    kit.later(600).keys("U");
    assert!(due(&kit) > first);
    kit.command("update-not-sent");
    assert_eq!(due(&kit), first);
    assert_eq!(kit.journal().iter().filter(|k| *k == "noted").count(), 2);
}

#[test]
fn a_filter_on_a_field_that_no_row_has_says_so() {
    let mut kit = Kit::live();
    kit.keys("2 /").text("statsu:ready").keys("enter");
    assert_eq!(kit.toast(), "No field is called `statsu` here; did you mean `status:`?");
    kit.keys("7 /").text("zebra:1").keys("enter");
    assert_eq!(kit.toast(), "No field is called `zebra` here; there is what, who.");
}

#[test]
fn typing_replaces_a_suggested_command() {
    let mut kit = Kit::incident();
    kit.keys("2 s").text("disarm");
    let Some(Overlay::Palette(palette)) = kit.model.overlays.last() else { panic!("no palette") };
    assert_eq!(palette.input.value(), "disarm");
    kit.keys("esc s backspace backspace").text("5m").keys("enter");
    assert_eq!(kit.model.armed_until, Some(kit.model.now + chrono::Duration::minutes(15)));
}

#[test]
fn copying_copies_the_command_of_the_row() {
    let mut kit = Kit::live();
    kit.keys("2 y");
    assert_eq!(
        kit.effects,
        vec![Effect::Copy("kubectl -n tra-production get deployment rsm-production".into())]
    );
}

#[test]
fn the_title_counts_what_is_stale() {
    let mut kit = Kit::live();
    assert_eq!(kit.model.title(), "drtui EXERCISE refer-serious-misconduct production");
    kit.standing(Source::Azure, Phase::AuthExpired { why: "expired".into(), fix: "az login".into() });
    assert!(kit.model.title().ends_with("· 1 stale"));
    assert!(kit.model.standing(Source::Azure).contains("az login"));
}

#[test]
fn what_only_looks_like_a_command_is_not_run() {
    for typed in ["stop", "save", "retsore", "undo", ""] {
        let mut kit = Kit::live();
        kit.command(typed);
        assert!(!kit.model.quit, "{typed}");
        assert!(kit.toast().contains("nothing was done"), "{typed}: {}", kit.toast());
        assert!(
            matches!(kit.model.overlays.last(), Some(Overlay::Palette(_))),
            "{typed} keeps the palette open"
        );
    }
    let mut kit = Kit::live();
    kit.command("qui");
    assert!(kit.model.quit, "the beginning of a name is enough");
}

#[test]
fn a_key_without_a_meaning_says_so_once() {
    let mut kit = Kit::live();
    kit.keys("Q Q Q");
    assert_eq!(kit.toast(), "Q means nothing here: ? shows the keys.");
    assert_eq!(kit.model.messages.len(), 1);
    kit.keys("space");
    assert!(kit.toast().starts_with("Space means nothing here"), "{}", kit.toast());
    kit.later(7);
    assert_eq!(kit.toast(), "");
}

#[test]
fn the_command_that_signs_in_is_told_whole_once() {
    let mut kit = Kit::live();
    let fix = format!("/opt/{}/kubelogin get-token", "deep/".repeat(20));
    let expired = Phase::AuthExpired { why: "401".into(), fix: fix.clone() };
    kit.standing(Source::Kubernetes, expired.clone());
    assert!(kit.toast().contains(&fix), "{}", kit.toast());
    kit.standing(Source::Kubernetes, expired);
    assert_eq!(kit.model.messages.len(), 1);
}
