//! Tunnels and what is handed the terminal: journalled always, armed where something may be written, and the words
//! LIVE and PTR wherever a person decides.

use crate::core::overlays::Overlay;
use crate::core::overlays::guard::Guard;
use crate::core::panes::tunnels::{self, Row};
use crate::core::testing::{Kit, deployment, orphan, server, tunnel};
use crate::core::{Effect, PaneId};
use crate::domain::{Backend, HandOff, ServerClass, Tool, TunnelId, TunnelRequest, TunnelState, Update};
use crate::incident::report::{Account, Make};
use crate::incident::{Action, Outcome};

const LIVE: &str = "s189p01-rsm-pd-pg";
const PTR: &str = "s189p01-rsm-pd-pg-ptr";

fn with_copy(mut kit: Kit) -> Kit {
    let all = vec![server(LIVE, ServerClass::Live, "Ready"), server(PTR, ServerClass::Ptr, "Ready")];
    kit.news(Update::Servers { all });
    kit
}

/// The requests for tunnels that the runtime was given.
fn requests(kit: &Kit) -> Vec<TunnelRequest> {
    let request = |e: &Effect| match e {
        Effect::Run { action: Action::OpenTunnel { request }, .. } => Some((**request).clone()),
        _ => None,
    };
    kit.effects.iter().filter_map(request).collect()
}

fn hand_offs(kit: &Kit) -> Vec<HandOff> {
    let hand_off = |e: &Effect| match e {
        Effect::Run { action: Action::HandOff { hand_off, .. }, .. } => Some((**hand_off).clone()),
        _ => None,
    };
    kit.effects.iter().filter_map(hand_off).collect()
}

fn guard(kit: &Kit) -> &Guard {
    match kit.model.overlays.last() {
        Some(Overlay::Guard(guard)) => guard,
        other => panic!("no guard: {other:?}, {}", kit.toast()),
    }
}

/// An incident with tunnel t1 open to the live server.
fn open_to_live(mut kit: Kit) -> Kit {
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Open));
    kit.keys("5");
    kit
}

#[test]
fn a_tunnel_through_the_apps_pod_needs_an_incident_and_no_arming() {
    let mut kit = with_copy(Kit::live());
    kit.keys("3 t enter");
    assert!(requests(&kit).is_empty() && kit.toast().contains("open an incident first"), "{}", kit.toast());
    let mut kit = with_copy(Kit::incident());
    kit.keys("3 j t enter");
    let asked = requests(&kit);
    assert_eq!(asked.len(), 1, "{}", kit.toast());
    assert_eq!(
        (asked[0].server.as_deref(), asked[0].which),
        (Some(PTR), ServerClass::Ptr),
        "the selected server"
    );
    assert_eq!((asked[0].own_pod, asked[0].app.name.as_str()), (false, "rsm-production"));
    assert_eq!(
        kit.journal().last().map(String::as_str),
        Some("intended"),
        "on record before it is asked for"
    );
    assert_eq!(kit.model.focus, PaneId::Tunnels);
}

#[test]
fn live_and_copy_are_opened_by_name_with_ids_of_their_own() {
    let mut kit = with_copy(Kit::incident());
    kit.command("tunnel live").command("tunnel ptr").command("tunnel nonsense");
    let asked = requests(&kit);
    let seen: Vec<_> = asked.iter().map(|r| (r.id.0, r.server.as_deref())).collect();
    assert_eq!(seen, [(1, Some(LIVE)), (2, Some(PTR))]);
    assert!(kit.toast().contains("No server here is called `nonsense`"));
}

#[test]
fn a_certificate_goes_unverified_only_armed_and_by_the_name_of_its_server() {
    let mut kit = with_copy(Kit::incident());
    kit.command("tunnel ptr unverified");
    assert!(requests(&kit).is_empty() && kit.toast().contains("Read-only"), "{}", kit.toast());
    let mut kit = with_copy(Kit::armed());
    kit.command("tunnel ptr unverified");
    assert!(
        guard(&kit).steps[0].command.contains(&format!("--tls-unverified {PTR}.postgres.database.azure.com"))
    );
    assert_eq!(guard(&kit).steps[0].capture, None, "no pod is made");
    kit.text("production").keys("enter");
    assert!(requests(&kit).is_empty(), "production is not the server's name");
    kit.keys("esc").command("tunnel ptr unverified").text(PTR).keys("enter");
    let asked = requests(&kit);
    assert!(asked[0].unverified && asked[0].server.as_deref() == Some(PTR));
}

#[test]
fn the_apps_redis_is_opened_by_name_and_talks_to_redis_cli_only() {
    let mut kit = Kit::incident();
    kit.command("tunnel redis");
    let asked = requests(&kit);
    assert_eq!(
        (asked[0].backend, asked[0].server.as_deref(), asked[0].which),
        (Backend::Redis, None, ServerClass::Live)
    );
    let action = kit.finish().remove(0);
    assert!(action.command_line().ends_with("rsm-production -- redis-cli"));
    assert!(crate::incident::words::change(&action).contains("to the app's redis (LIVE)"));
    let mut shown = tunnel(1, ServerClass::Live, TunnelState::Open);
    shown.backend = Backend::Redis;
    kit.tunnel(shown);
    kit.keys("5 p");
    assert!(kit.toast().contains("Redis"), "{}", kit.toast());
    kit.command("tunnel redis");
    assert!(kit.toast().contains("goes there already"), "{}", kit.toast());
    kit.command("redis-cli PING");
    assert!(kit.toast().contains("Read-only"), "it can write: {}", kit.toast());
}

#[test]
fn a_pod_of_its_own_goes_through_the_guard_armed() {
    let mut kit = with_copy(Kit::incident());
    kit.keys("3 t tab space enter");
    assert!(requests(&kit).is_empty() && kit.toast().contains("Read-only"));
    let mut kit = with_copy(Kit::armed());
    kit.keys("3 t tab space enter");
    assert!(
        guard(&kit).steps[0].command.starts_with("drtui tunnel -n tra-production -x -s s189p01-rsm-pd-pg")
    );
    kit.keys("enter");
    assert!(requests(&kit).is_empty(), "Cancel is the default");
    kit.keys("3 t tab space enter").text("production").keys("enter");
    assert!(requests(&kit)[0].own_pod);
}

#[test]
fn a_pod_of_its_own_is_another_way_than_the_apps_pod_and_a_second_of_either_is_refused_with_the_key() {
    let mut kit = with_copy(Kit::armed());
    let through = |own_pod| {
        let mut shown = tunnel(1, ServerClass::Live, TunnelState::Open);
        shown.via.own_pod = own_pod;
        shown
    };
    kit.tunnel(through(false));
    kit.keys("3 g t enter");
    assert!(requests(&kit).is_empty(), "the app's pod serves already");
    let says = "Tunnel t1 goes there already: p opens psql in it; for another, x closes it.";
    assert_eq!(kit.toast(), says);
    // Before the app is stopped a way is wanted that outlives it.
    kit.keys("3 g t tab space enter").text("production").keys("enter");
    assert!(requests(&kit)[0].own_pod && requests(&kit)[0].id == TunnelId(2), "{}", kit.toast());
    kit.tunnel(through(true));
    let shown = kit.model.world.tunnels.get(&TunnelId(1)).unwrap();
    assert_eq!(tunnels::status(&kit.model, shown), "open (own pod)", "two rows to one server are told apart");
    kit.effects.clear();
    for keys in ["3 g t enter", "3 g t tab space enter"] {
        kit.keys(keys);
        assert!(requests(&kit).is_empty() && kit.model.overlays.is_empty(), "a pod of its own serves both");
        assert_eq!(kit.toast(), says);
    }
}

#[test]
fn what_failed_before_its_server_was_known_says_what_it_was_for_and_why() {
    let mut kit = Kit::incident();
    let why = "tra-production/rsm-production has no REDIS_URL";
    let mut shown = tunnel(1, ServerClass::Live, TunnelState::Failed { why: why.into(), fix: String::new() });
    (shown.backend, shown.server) = (Backend::Redis, String::new());
    assert_eq!(shown.target(), "redis of rsm-production");
    assert_eq!(tunnels::status(&kit.model, &shown), format!("FAILED: {why}"));
    kit.tunnel(shown);
    kit.keys("5 /").text("name:redis").keys("enter");
    assert_eq!(tunnels::rows(&kit.model), [Row::Tunnel(TunnelId(1))]);
}

#[test]
fn with_every_pod_stopped_the_form_takes_a_pod_of_its_own() {
    let mut kit = with_copy(Kit::armed());
    for name in ["rsm-production", "rsm-production-worker"] {
        kit.news(Update::DeploymentChanged { deployment: deployment(name, 0, 0) });
    }
    kit.keys("3 t");
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Tunnelling(it)) if it.own_pod));
    // The worker alone is a way, too.
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production-worker", 1, 1) });
    kit.keys("esc 3 t enter");
    let asked = requests(&kit);
    assert_eq!((asked[0].app.name.as_str(), asked[0].own_pod), ("rsm-production-worker", false));
}

#[test]
fn the_form_refuses_ports_that_are_none_and_keeps_what_was_typed() {
    let mut kit = with_copy(Kit::incident());
    kit.keys("3 t tab tab").text("other_db").keys("tab").text("80").keys("enter");
    let Some(Overlay::Tunnelling(form)) = kit.model.overlays.last() else { panic!("the form is gone") };
    assert!(form.problem.as_ref().unwrap().contains("1024"));
    kit.keys("backspace backspace").text("15432").keys("enter");
    let asked = requests(&kit);
    assert_eq!((asked[0].database.as_deref(), asked[0].local_port), (Some("other_db"), Some(15_432)));
}

#[test]
fn psql_is_read_only_even_while_armed_and_writing_goes_through_the_guard() {
    for kit in [Kit::incident(), Kit::armed()] {
        let mut kit = open_to_live(kit);
        kit.keys("p");
        let given = hand_offs(&kit);
        assert!(given[0].read_only && given[0].statement_timeout_ms > 0 && given[0].tool == Tool::Psql);
    }
    let mut kit = open_to_live(Kit::incident());
    kit.keys("P");
    assert!(kit.toast().contains("Read-only"), "{}", kit.toast());
    let mut kit = open_to_live(Kit::armed());
    kit.keys("P");
    let shown = guard(&kit);
    assert!(shown.title.contains("LIVE") && shown.steps[0].new.contains("CAN WRITE to LIVE"));
    assert!(hand_offs(&kit).is_empty());
    kit.text("live").keys("enter");
    assert!(!hand_offs(&kit)[0].read_only);
}

#[test]
fn what_is_typed_before_a_session_that_can_write_tells_live_and_its_copy_apart() {
    for (which, name, others) in [
        (ServerClass::Live, "live", ["production", "ptr"]),
        (ServerClass::Ptr, "ptr", ["production", "live"]),
    ] {
        let mut kit = Kit::armed();
        kit.tunnel(tunnel(1, which, TunnelState::Open));
        for other in others {
            kit.keys("5 P").text(other).keys("enter");
            assert!(hand_offs(&kit).is_empty(), "{other} opens {name}");
            kit.keys("esc");
        }
        kit.keys("P").text(name).keys("enter");
        assert!(!hand_offs(&kit)[0].read_only);
    }
}

#[test]
fn a_guard_whose_tunnel_is_lost_meanwhile_hands_nothing_over() {
    let mut kit = open_to_live(Kit::armed());
    kit.keys("P");
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Closed { why: "its pod ended".into() }));
    kit.text("live").keys("enter");
    assert!(hand_offs(&kit).is_empty() && kit.toast().contains("Not done"), "{}", kit.toast());
}

#[test]
fn what_is_not_open_or_not_postgres_is_not_handed_the_terminal() {
    let mut kit = Kit::incident();
    kit.keys("5 p");
    assert!(kit.toast().contains("Select an open tunnel"));
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Opening { step: "reading the secret".into() }));
    kit.keys("p");
    assert!(kit.toast().contains("reading the secret"));
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Open));
    kit.command("redis-cli");
    assert!(kit.toast().contains("Postgres"), "{}", kit.toast());
    assert!(hand_offs(&kit).is_empty());
}

#[test]
fn keys_are_nobodys_from_the_request_to_the_end_of_the_child() {
    let mut kit = open_to_live(Kit::incident());
    kit.journal_waits = true;
    kit.keys("p");
    assert!(kit.model.hands_off() && hand_offs(&kit).is_empty(), "not before its intent is on disk");
    kit.journal_says();
    assert!(kit.model.hands_off());
    kit.finish();
    assert!(!kit.model.hands_off());
    let tail: Vec<_> = kit.journal().into_iter().rev().take(2).collect();
    assert_eq!(tail, ["finished", "intended"]);
}

#[test]
fn a_journal_that_hangs_gives_the_keys_back_and_starts_nothing_later() {
    let mut kit = open_to_live(Kit::incident());
    kit.journal_waits = true;
    kit.keys("p").later(4);
    assert!(!kit.model.hands_off() && kit.toast().contains("Not started"), "{}", kit.toast());
    kit.journal_says();
    assert!(hand_offs(&kit).is_empty());
    assert_eq!(kit.journal().last().map(String::as_str), Some("finished"), "its intent does not stay open");
}

#[test]
fn how_it_ended_is_told_and_on_record() {
    let mut kit = open_to_live(Kit::incident());
    kit.keys("p");
    let Some(Effect::Run { id, action }) = kit.effects.pop() else { panic!("nothing runs") };
    let why = "psql on LIVE s189p01-rsm-pd-pg/rsm_production ended with code 2 after 0.1 s".to_owned();
    kit.send(crate::core::Msg::Acted { id, action, outcome: Outcome::Failed { why } });
    assert!(kit.toast().contains("code 2") && !kit.toast().contains("NOT done"), "{}", kit.toast());
    assert_eq!(kit.journal().last().map(String::as_str), Some("finished"));
}

#[test]
fn a_dump_asks_for_its_arguments_and_takes_no_password() {
    let mut kit = open_to_live(Kit::incident());
    kit.keys("d enter");
    let given = hand_offs(&kit);
    assert_eq!(
        (given[0].tool, given[0].statement_timeout_ms),
        (Tool::PgDump, 0),
        "a dump takes as long as it takes"
    );
    assert!(given[0].args.iter().any(|a| a.contains("s189p01-rsm-pd-pg-rsm_production-20261120T1000")));
    kit.finish();
    kit.command("pg_dump -d postgres://u:hunter2@host/db");
    assert!(kit.toast().contains("password does not belong"), "{}", kit.toast());
    kit.command("psql -c 'select 1'");
    assert_eq!(hand_offs(&kit).last().unwrap().args, ["-c", "select 1"]);
    kit.finish();
    kit.command("psql -c 'select");
    assert!(kit.toast().contains("quote"));
}

#[test]
fn a_tunnel_with_connections_is_closed_only_when_asked_twice() {
    let mut kit = Kit::incident();
    let mut busy = tunnel(1, ServerClass::Live, TunnelState::Open);
    busy.traffic.open = 2;
    kit.tunnel(busy);
    kit.keys("5 x");
    assert!(kit.effects.is_empty() && kit.toast().contains("2 connections"));
    kit.later(7).keys("x");
    assert!(kit.effects.is_empty(), "the second x came too late");
    kit.keys("x");
    assert_eq!(kit.effects, [Effect::CloseTunnel(TunnelId(1))]);
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Closed { why: "closed by hand".into() }));
    assert!(kit.journal().last().is_some_and(|k| k == "observed"), "the end is on record");
    kit.keys("x");
    assert!(tunnels::rows(&kit.model).is_empty(), "an ended one leaves the list");
}

#[test]
fn what_is_lost_and_found_is_on_record_and_a_lost_one_is_opened_anew_on_its_port() {
    let mut kit = open_to_live(Kit::incident());
    let before = kit.journal().into_iter().filter(|k| k == "observed").count();
    let lost = TunnelState::Reconnecting { why: "pod is gone".into(), next_try: None };
    let mut shown = tunnel(1, ServerClass::Live, lost);
    shown.local_port = Some(50_001);
    kit.tunnel(shown);
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Open));
    let observed = kit.journal().into_iter().filter(|k| k == "observed").count();
    assert_eq!(observed - before, 2);
    kit.keys("c");
    assert_eq!(kit.effects, [Effect::ReconnectTunnel(TunnelId(1))]);
    let mut ended =
        tunnel(1, ServerClass::Live, TunnelState::Failed { why: "no".into(), fix: "look".into() });
    ended.local_port = Some(50_001);
    kit.tunnel(ended);
    kit.keys("c");
    let asked = requests(&kit);
    assert_eq!((asked[0].id, asked[0].local_port), (TunnelId(2), Some(50_001)));
}

#[test]
fn pods_left_behind_are_shown_and_deleted_through_the_guard_only() {
    let mut kit = Kit::incident();
    kit.news(Update::Orphans { all: vec![orphan("drtui-tunnel-8kq2p")] });
    kit.keys("5 X");
    assert!(kit.effects.is_empty() && kit.toast().contains("Read-only"));
    let mut kit = Kit::armed();
    kit.news(Update::Orphans { all: vec![orphan("drtui-tunnel-8kq2p")] });
    kit.keys("5 X");
    assert_eq!(guard(&kit).steps[0].command, "kubectl -n tra-production delete pod drtui-tunnel-8kq2p");
    assert!(guard(&kit).steps[0].note.as_ref().unwrap().contains("bob@laptop"));
    kit.text("production").keys("enter");
    assert!(matches!(&kit.effects[0], Effect::Run { action: Action::DeletePod { .. }, .. }));
}

#[test]
fn the_line_to_copy_connects_by_the_real_name_and_has_no_password() {
    let mut kit = open_to_live(Kit::incident());
    kit.keys("y");
    let Some(Effect::Copy(line)) = kit.effects.last() else { panic!("nothing is copied") };
    assert_eq!(
        line,
        "psql 'host=s189p01-rsm-pd-pg.postgres.database.azure.com hostaddr=127.0.0.1 port=50001 \
         dbname=rsm_production user=uabc sslmode=verify-full'"
    );
}

#[test]
fn rows_keep_live_first_ended_ones_last_and_the_strip_says_what_is_open() {
    let mut kit = Kit::incident();
    assert_eq!(tunnels::summary(&kit.model), "no tunnel");
    kit.tunnel(tunnel(1, ServerClass::Ptr, TunnelState::Open));
    kit.tunnel(tunnel(2, ServerClass::Ptr, TunnelState::Closed { why: "x".into() }));
    kit.tunnel(tunnel(3, ServerClass::Live, TunnelState::Open));
    kit.news(Update::Orphans { all: vec![orphan("p")] });
    let ids: Vec<_> = tunnels::rows(&kit.model);
    let row = |n| Row::Tunnel(TunnelId(n));
    assert_eq!(ids, [row(3), row(1), row(2), Row::Orphan("tra-production".into(), "p".into())]);
    assert_eq!(tunnels::summary(&kit.model), "LIVE PTR !1 pod left");
    kit.keys("5 /").text("class:live").keys("enter");
    assert_eq!(tunnels::rows(&kit.model), [row(3)]);
}

#[test]
fn looks_into_a_database_are_no_changes_in_the_report() {
    let mut kit = with_copy(Kit::armed());
    kit.command("tunnel live");
    kit.finish();
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Open));
    kit.keys("5 p");
    kit.finish();
    kit.keys("P").text("live").keys("enter");
    kit.finish();
    let entries = kit.model.session.as_ref().unwrap().entries.clone();
    let report = Account::of(&entries, &Make::default());
    assert_eq!(report.scorecard.changes_done, 1, "the session that could write");
}

#[test]
fn a_crash_in_the_middle_leaves_no_open_ends() {
    let mut kit = open_to_live(Kit::incident());
    kit.keys("p");
    let entries = kit.model.session.as_ref().unwrap().entries.clone();
    let mut next = Kit::live();
    // The journal goes on where the crash left it.
    next.send(crate::core::Msg::Opened { entries, resumed: true, notes: Vec::new() });
    next.news(Update::DeploymentChanged { deployment: deployment("rsm-production", 2, 2) });
    let session = next.model.session.as_ref().unwrap();
    assert_eq!(session.state.open_actions().count(), 0);
}

#[test]
fn the_form_is_there_again_after_arming() {
    let mut kit = with_copy(Kit::incident());
    kit.keys("t right tab space tab").text("postgres").keys("enter");
    assert!(kit.toast().contains("Read-only"), "{}", kit.toast());
    kit.keys("enter");
    assert!(kit.model.is_armed());
    let Some(Overlay::Tunnelling(form)) = kit.model.overlays.last() else { panic!("the form is gone") };
    assert_eq!((form.server.as_str(), form.own_pod, form.database.value()), (PTR, true, "postgres"));
    kit.keys("enter").text("production").keys("enter");
    assert_eq!(requests(&kit)[0].database.as_deref(), Some("postgres"));
    assert!(kit.model.overlays.is_empty());
}

#[test]
fn what_is_read_through_pods_of_its_own_is_counted_apart_from_changes() {
    let mut kit = with_copy(Kit::armed());
    kit.keys("t tab space enter").text("production").keys("enter");
    kit.finish();
    let entries = kit.model.session.as_ref().unwrap().entries.clone();
    let report = Account::of(&entries, &Make::default());
    assert_eq!((report.scorecard.changes_done, report.scorecard.reads_done), (0, 1));
    let text = crate::incident::report::markdown(&entries, &Make::default());
    assert!(text.contains("- Changes: 0 done") && text.contains("change no data: 1 done"), "{text}");
}

#[test]
fn letters_on_the_forms_server_jump_to_what_begins_so() {
    let mut kit = with_copy(Kit::incident());
    let form = |kit: &Kit| match kit.model.overlays.last() {
        Some(Overlay::Tunnelling(form)) => (form.server.clone(), form.problem.clone()),
        other => panic!("no form: {other:?}"),
    };
    kit.keys("t").text("ptr");
    assert_eq!(form(&kit), (PTR.to_owned(), None));
    kit.keys("right left").text("live");
    assert_eq!(form(&kit), (LIVE.to_owned(), None));
    kit.text("x");
    assert!(form(&kit).1.unwrap().contains("begins with `livex`"));
    kit.text("ptr");
    assert_eq!(form(&kit), (PTR.to_owned(), None), "begun anew");
    kit.keys("tab").text("w");
    assert!(form(&kit).1.unwrap().contains("chooses the way"));
}
