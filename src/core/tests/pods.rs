//! A pod that a tunnel makes is a change like any other: captured before, in the undo ledger until a list shows that it
//! is gone, offered after a crash.

use crate::core::overlays::Overlay;
use crate::core::testing::{Kit, deployment, server, tunnel};
use crate::core::{Effect, Msg, tunnel as tunnels};
use crate::domain::{ServerClass, TunnelId, TunnelPod, TunnelState, Update};
use crate::incident::{Action, Outcome};

const PTR: &str = "s189p01-rsm-pd-pg-ptr";

/// Armed, with a pod asked for, made for tunnel t1 to the copy, and the tunnel open.
fn opened() -> Kit {
    let mut kit = Kit::armed();
    asked(&mut kit);
    kit.finish();
    kit.tunnel(tunnel(1, ServerClass::Ptr, TunnelState::Open));
    kit
}

fn asked(kit: &mut Kit) {
    kit.news(Update::Servers { all: vec![server(PTR, ServerClass::Ptr, "Ready")] });
    kit.keys("3 j t tab space enter").text("production").keys("enter");
}

/// What the cluster lists: pods of this incident for these tunnels, and one of somebody else's.
fn listed(kit: &mut Kit, of: &[u32]) {
    let pod = |n: u32, incident: Option<String>| TunnelPod {
        namespace: "tra-production".into(),
        pod: format!("drtui-tunnel-{n}"),
        incident,
        tunnel: Some(TunnelId(n)),
    };
    let ours = tunnels::incident(&kit.model);
    let mut all: Vec<TunnelPod> = of.iter().map(|n| pod(*n, ours.clone())).collect();
    all.push(pod(1, Some("another".into())));
    kit.news(Update::TunnelPods { all });
}

fn open_undo(kit: &Kit) -> usize {
    kit.model.session.as_ref().unwrap().state.open_undo().count()
}

#[test]
fn it_is_captured_before_it_is_made_and_leaves_the_ledger_when_the_list_shows_none() {
    let mut kit = opened();
    let journal = kit.journal();
    let captured = journal.iter().position(|k| k == "captured").unwrap();
    assert!(captured < journal.iter().rposition(|k| k == "intended").unwrap(), "{journal:?}");
    assert_eq!(open_undo(&kit), 1);
    kit.later(5);
    listed(&mut kit, &[]);
    assert_eq!(open_undo(&kit), 1, "the tunnel is open: a list without its pod is an old one");
    kit.tunnel(tunnel(1, ServerClass::Ptr, TunnelState::Closed { why: "closed".into() }));
    listed(&mut kit, &[1]);
    assert_eq!(open_undo(&kit), 1, "its pod still stands");
    listed(&mut kit, &[2]);
    assert_eq!(open_undo(&kit), 0);
    assert_eq!(kit.journal().last().map(String::as_str), Some("undone"));
}

#[test]
fn an_incident_does_not_close_over_it() {
    let mut kit = opened();
    kit.command("close");
    assert!(kit.model.session.as_ref().unwrap().state.closed.is_none());
    assert!(kit.toast().contains("put back"), "{}", kit.toast());
}

#[test]
fn a_list_from_before_it_was_made_proves_nothing() {
    let mut kit = Kit::armed();
    listed(&mut kit, &[]);
    asked(&mut kit);
    let Some(Effect::Run { id, action }) = kit.effects.pop() else { panic!("nothing runs: {}", kit.toast()) };
    kit.send(Msg::Acted { id, action, outcome: Outcome::Failed { why: "quota".into() } });
    assert_eq!(open_undo(&kit), 1);
    kit.later(1);
    listed(&mut kit, &[]);
    assert_eq!(open_undo(&kit), 0, "nothing was made");
}

#[test]
fn a_comparison_that_found_tunnels_open_leaves_nothing_on_the_ledger() {
    for outcome in [Outcome::Done { result: "compared".into() }, Outcome::Failed { why: "cut off".into() }] {
        let mut kit = Kit::armed();
        kit.news(Update::Servers { all: vec![server(PTR, ServerClass::Ptr, "Ready")] });
        for (id, class) in [(1, ServerClass::Live), (2, ServerClass::Ptr)] {
            kit.tunnel(tunnel(id, class, TunnelState::Open));
        }
        for name in ["rsm-production", "rsm-production-worker"] {
            kit.news(Update::DeploymentChanged { deployment: deployment(name, 0, 0) });
        }
        kit.keys("6 c enter").text("production").keys("enter");
        let Some(Effect::Run { id, action }) = kit.effects.pop() else {
            panic!("nothing runs: {}", kit.toast())
        };
        assert!(matches!(&action, Action::Compare { request } if request.own_pod));
        assert_eq!(open_undo(&kit), 1);
        kit.later(1);
        // It went through the tunnels that were open: none of its own has ended, or ever will.
        kit.send(Msg::Acted { id, action, outcome });
        assert_eq!(kit.effects, [Effect::LookForPods]);
        assert_eq!(open_undo(&kit), 1, "not by its outcome");
        listed(&mut kit, &[]);
        assert_eq!(open_undo(&kit), 0);
        assert_eq!(kit.journal().last().map(String::as_str), Some("undone"));
    }
}

#[test]
fn the_ledger_closes_its_tunnel() {
    let mut kit = opened();
    kit.effects.clear();
    kit.keys("L b");
    assert_eq!(kit.effects, [Effect::CloseTunnel(TunnelId(1))]);
}

#[test]
fn the_ledger_does_not_say_that_a_tunnel_is_closed_which_breaks_nothing_yet() {
    let mut kit = opened();
    let mut busy = tunnel(1, ServerClass::Ptr, TunnelState::Open);
    busy.traffic.open = 2;
    kit.tunnel(busy);
    kit.effects.clear();
    kit.keys("L b");
    assert!(kit.effects.is_empty() && kit.toast().contains("2 connections"), "{}", kit.toast());
    assert!(kit.model.messages.iter().all(|m| !m.text.contains("is closed")), "it is not");
    kit.keys("L b");
    assert_eq!(kit.effects, [Effect::CloseTunnel(TunnelId(1))]);
    assert!(kit.toast().contains("Tunnel t1 is closed"), "{}", kit.toast());
}

#[test]
fn after_a_crash_the_ledger_deletes_what_is_left_through_the_guard() {
    let entries = opened().model.session.unwrap().entries;
    let mut kit = Kit::live();
    kit.send(Msg::Opened { entries, resumed: true, notes: Vec::new() });
    kit.later(60);
    kit.keys("L b");
    assert_eq!(kit.effects, [Effect::LookForPods], "nothing is known of it: it is looked for");
    listed(&mut kit, &[1]);
    assert_eq!(open_undo(&kit), 1);
    kit.keys("L b");
    assert!(kit.toast().contains("Read-only"), "{}", kit.toast());
    kit.keys("esc esc").command("arm 15m").keys("L b");
    let Some(Overlay::Guard(guard)) = kit.model.overlays.last() else { panic!("no guard: {}", kit.toast()) };
    assert_eq!(guard.steps[0].command, "kubectl -n tra-production delete pod drtui-tunnel-1");
    assert_eq!(guard.steps[0].undoes.as_deref(), Some("u1"));
    kit.text("production").keys("enter");
    assert!(matches!(kit.finish().as_slice(), [Action::DeletePod { .. }]));
    assert_eq!(open_undo(&kit), 1, "not by its outcome");
    kit.later(1);
    listed(&mut kit, &[]);
    assert_eq!(open_undo(&kit), 0);
}
