//! For any sequence of messages: no panic, selections valid, read-only changes nothing, journal before acting.

use std::cell::Cell;

use crossterm::event::{Event as Input, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::core::testing::{Kit, compared, deployment, key, orphan, server, tunnel};
use crate::core::{Effect, Msg, PaneId, panes};
use crate::domain::{Phase, ServerClass, Source, TunnelId, TunnelPod, TunnelState, Update};
use crate::incident::{Action, Outcome};

const KEYS: &[&str] = &[
    "enter",
    "esc",
    "space",
    "tab",
    "backtab",
    "up",
    "down",
    "left",
    "right",
    "home",
    "end",
    "pageup",
    "pagedown",
    "backspace",
    "ctrl-d",
    "ctrl-u",
    "ctrl-l",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "a",
    "b",
    "c",
    "d",
    "g",
    "i",
    "j",
    "k",
    "m",
    "n",
    "o",
    "p",
    "q",
    "r",
    "s",
    "t",
    "v",
    "w",
    "x",
    "y",
    "z",
    "G",
    "L",
    "M",
    "P",
    "R",
    "T",
    "U",
    "X",
    "C",
    "I",
    "J",
    "h",
    "l",
    "]",
    "[",
    ":",
    "/",
    "?",
    "0",
    "é",
];

/// One thing that happens, small enough to shrink well.
#[derive(Debug, Clone)]
enum Step {
    Key(usize),
    Text(String),
    Command(&'static str),
    /// What people really do, in one go.
    Keys(&'static str),
    Resize(u16, u16),
    Click(u16, u16, bool),
    Scaled(u8, i32, i32),
    List(u8),
    Phase(usize, u8),
    Servers(u8),
    Tunnel(u32, u8),
    Orphans(u8),
    /// News of a comparison: its number, how far.
    Compared(u32, bool),
    Health(u16),
    Later(i64),
    Finish(u8),
    JournalWorks(bool),
    Paste(String),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..KEYS.len()).prop_map(Step::Key),
        3 => prop::sample::select(vec!["s", "y", "b", "2", "a"]).prop_map(|k| Step::Key(KEYS.iter().position(|n| *n == k).unwrap_or(0))),
        1 => "[a-z 0-9:!/]{0,12}".prop_map(Step::Text),
        2 => prop::sample::select(vec!["arm 15m", "scale 3", "disarm", "close", "production", "disaster rows-deleted", "theme mono", "compare", "compare pg-0", "filter kind:lost"]).prop_map(Step::Command),
        3 => prop::sample::select(vec!["esc esc 2 s y", "esc esc 2 a s y", "esc esc b y", "esc esc 2 s", "esc y", "esc esc t right tab space enter y", "esc esc 5 P y", "esc esc 5 p", "esc esc 5 X y", "esc esc L b y", "esc esc L j b y", "esc esc 6 c", "esc esc 6 c y", "esc esc 6 g enter ] enter enter esc", "esc esc 6 s"]).prop_map(Step::Keys),
        2 => Just(Step::Command("arm 15m")),
        1 => (0u16..300, 0u16..100).prop_map(|(w, h)| Step::Resize(w, h)),
        1 => (0u16..200, 0u16..60, any::<bool>()).prop_map(|(x, y, w)| Step::Click(x, y, w)),
        3 => (0u8..6, 0i32..5, 0i32..5).prop_map(|(n, w, r)| Step::Scaled(n, w, r)),
        1 => (0u8..40).prop_map(Step::List),
        1 => (0usize..4, 0u8..5).prop_map(|(s, p)| Step::Phase(s, p)),
        1 => (0u8..4).prop_map(Step::Servers),
        2 => (1u32..5, 0u8..5).prop_map(|(n, s)| Step::Tunnel(n, s)),
        1 => (0u8..3).prop_map(Step::Orphans),
        2 => (1u32..3, any::<bool>()).prop_map(|(n, end)| Step::Compared(n, end)),
        1 => prop::sample::select(vec![200u16, 503]).prop_map(Step::Health),
        1 => (0i64..1000).prop_map(Step::Later),
        2 => (0u8..3).prop_map(Step::Finish),
        1 => any::<bool>().prop_map(Step::JournalWorks),
        1 => "\\PC{0,20}".prop_map(Step::Paste),
    ]
}

fn name(n: u8) -> String {
    if n == 0 { "rsm-production".into() } else { format!("rsm-production-{n}") }
}

fn take(kit: &mut Kit, step: Step) {
    match step {
        Step::Key(n) => kit.send(Msg::Input { input: Input::Key(key(KEYS[n])) }),
        Step::Text(text) => {
            kit.text(&text);
        }
        Step::Command(text) => {
            kit.command(text);
        }
        Step::Keys(names) => {
            kit.keys(names);
        }
        Step::Resize(w, h) => kit.send(Msg::Input { input: Input::Resize(w, h) }),
        Step::Click(column, row, wheel) => {
            let kind =
                if wheel { MouseEventKind::ScrollDown } else { MouseEventKind::Down(MouseButton::Left) };
            let mouse = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
            kit.send(Msg::Input { input: Input::Mouse(mouse) });
        }
        Step::Scaled(n, w, r) => {
            kit.news(Update::DeploymentChanged { deployment: deployment(&name(n), w, r) })
        }
        Step::List(n) => {
            kit.news(Update::Deployments { all: (0..n).map(|i| deployment(&name(i), 1, 1)).collect() })
        }
        Step::Phase(s, p) => {
            let phase = match p {
                0 => Phase::Live,
                1 => Phase::Polling { every_s: 10 },
                2 => Phase::Stale { why: "refused".into() },
                3 => Phase::AuthExpired { why: "expired".into(), fix: "az login".into() },
                _ => Phase::Denied { what: "list deployments".into() },
            };
            kit.standing(Source::ALL[s], phase);
        }
        Step::Servers(n) => {
            let all = (0..n).map(|i| server(&format!("pg-{i}"), ServerClass::Ptr, "Ready")).collect();
            kit.news(Update::Servers { all });
        }
        Step::Tunnel(n, s) => {
            let state = match s {
                0 => TunnelState::Opening { step: "waiting for the pod".into() },
                1 | 2 => TunnelState::Open,
                3 => TunnelState::Reconnecting { why: "gone".into(), next_try: None },
                _ => TunnelState::Failed { why: "no".into(), fix: "look".into() },
            };
            kit.tunnel(tunnel(n, ServerClass::Ptr, state));
        }
        Step::Orphans(n) => pods(kit, n),
        Step::Compared(run, end) => compared::news(kit, run, end),
        Step::Health(status) => kit.health(status),
        Step::Later(s) => {
            kit.later(s);
        }
        Step::Finish(how) => finish(kit, how),
        Step::JournalWorks(works) => kit.journal_works = works,
        Step::Paste(text) => kit.send(Msg::Input { input: Input::Paste(text) }),
    }
}

/// Pods left behind, and pods that stand for tunnels of this incident.
fn pods(kit: &mut Kit, n: u8) {
    kit.news(Update::Orphans { all: (0..n).map(|i| orphan(&format!("drtui-tunnel-{i}"))).collect() });
    let incident = crate::core::tunnel::incident(&kit.model);
    let pod = |i: u8| TunnelPod {
        namespace: "tra-production".into(),
        pod: format!("drtui-tunnel-{i}"),
        incident: incident.clone(),
        tunnel: Some(TunnelId(u32::from(i) + 1)),
    };
    kit.news(Update::TunnelPods { all: (0..n).map(pod).collect() });
}

fn finish(kit: &mut Kit, how: u8) {
    for effect in std::mem::take(&mut kit.effects) {
        if let Effect::Run { id, action } = effect {
            let outcome = match how {
                0 => Outcome::Done { result: "ok".into() },
                1 => Outcome::Failed { why: "no".into() },
                _ => Outcome::Unknown { why: "lost".into() },
            };
            kit.send(Msg::Acted { id, action, outcome });
        }
    }
}

fn selections_are_valid(kit: &mut Kit) {
    crate::core::update::settle(&mut kit.model);
    let rows = panes::replicas::rows(&kit.model);
    let list = &kit.model.panes.replicas;
    assert_eq!(list.selected.is_some(), !rows.is_empty());
    assert!(list.position(&rows).is_some() || rows.is_empty());
    for pane in PaneId::ALL {
        let (shown, all) = panes::counts(&kit.model, pane);
        assert!(shown <= all.max(shown));
    }
}

/// What a change needs when it is asked for.
fn proper(kit: &Kit, armed: bool, id: &str, action: &Action) {
    assert!(armed || !action.is_change(), "{id} runs although nobody armed");
    let state = &kit.model.session.as_ref().expect("no incident is open").state;
    assert!(state.actions.iter().any(|a| a.id == *id), "{id} runs without an intent on record");
    if let Action::Scale { deployment, .. } = action {
        assert!(state.captured_replicas(deployment).is_some(), "{id} runs with nothing captured");
    }
}

/// Takes the steps; returns how many changes were asked for.
fn all_proper(kit: &mut Kit, steps: Vec<Step>) -> usize {
    let mut runs = 0;
    for step in steps {
        let armed = kit.model.is_armed();
        let before = kit.effects.len();
        let finishing = matches!(step, Step::Finish(_));
        take(kit, step);
        for effect in kit.effects.iter().skip(if finishing { 0 } else { before }) {
            if let Effect::Run { id, action } = effect {
                proper(kit, armed, id, action);
                runs += 1;
            }
        }
    }
    runs
}

#[test]
fn every_change_is_armed_intended_and_captured_first() {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let runs = Cell::new(0);
    let steps = prop::collection::vec(step(), 0..200);
    let outcome = runner.run(&steps, |steps| {
        let mut kit = Kit::armed();
        kit.model.target.sandbox = None;
        // Outside production a key accepts: the steps get through the guard by themselves.
        kit.model.target.production = false;
        runs.set(runs.get() + all_proper(&mut kit, steps));
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(runs.get() > 100, "only {} changes were asked for: the property was hardly tried", runs.get());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_selections_stay_valid(steps in prop::collection::vec(step(), 0..200)) {
        let mut kit = Kit::incident();
        for step in steps {
            take(&mut kit, step);
        }
        selections_are_valid(&mut kit);
    }

    #[test]
    fn read_only_yields_no_mutating_effect(steps in prop::collection::vec(step(), 0..150)) {
        let mut kit = Kit::incident();
        kit.model.target.sandbox = None;
        kit.model.target.production = false;
        for step in steps {
            // Neither typed out nor offered: the arming itself is taken back at once.
            take(&mut kit, step);
            kit.model.armed_until = None;
            prop_assert!(!kit.effects.iter().any(Effect::is_mutating), "{:?}", kit.effects);
        }
    }
}
