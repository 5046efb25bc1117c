//! After a crash: the journal is read again, and what was said done is sensed again.

use crate::core::panes::checklist;
use crate::core::testing::{Kit, deployment, server};
use crate::core::{Effect, Msg};
use crate::domain::{Phase, ServerClass, Source, Update};
use crate::incident::{Event, Outcome};

/// Scales to 0 and dies before the answer; returns a fresh cockpit that has resumed.
fn crashed() -> Kit {
    let mut kit = Kit::armed();
    kit.keys("1 enter enter 2 s").text("production").keys("enter");
    assert!(matches!(kit.effects.as_slice(), [Effect::Run { .. }]));
    let entries = kit.model.session.as_ref().unwrap().entries.clone();
    let mut again = Kit::new();
    for event in entries.iter().map(|e| e.event.clone()) {
        again.seal(event);
    }
    again.send(Msg::Opened { entries, resumed: true, notes: vec!["a torn line was taken away".into()] });
    again
}

fn world(kit: &mut Kit, wanted: i32) {
    for source in Source::ALL {
        kit.standing(source, Phase::Live);
    }
    kit.news(Update::Deployments { all: vec![deployment("rsm-production", wanted, wanted)] });
    kit.health(503);
}

#[test]
fn a_resumed_cockpit_is_read_only_and_says_so() {
    let kit = crashed();
    assert!(!kit.model.is_armed());
    assert_eq!(kit.journal().last().map(String::as_str), Some("resumed"));
    assert!(kit.toast().contains("Read-only"));
}

#[test]
fn a_change_without_an_outcome_is_settled_by_the_watch() {
    for (wanted, expected) in [(0, "done"), (2, "failed"), (4, "unknown")] {
        let mut kit = crashed();
        world(&mut kit, wanted);
        if expected == "failed" {
            let open = kit.model.session.as_ref().unwrap().state.open_actions().count();
            assert_eq!(open, 1, "a request under way may still land");
            kit.later(61);
            world(&mut kit, wanted);
        }
        let state = &kit.model.session.as_ref().unwrap().state;
        let word = match &state.actions[0].ended {
            Some((_, Outcome::Done { .. })) => "done",
            Some((_, Outcome::Failed { .. })) => "failed",
            Some((_, Outcome::Unknown { .. })) => "unknown",
            None => "open",
        };
        assert_eq!(word, expected, "wanted {wanted}");
    }
}

#[test]
fn the_undo_survives_and_puts_back_what_was_there_before_the_crash() {
    let mut kit = crashed();
    world(&mut kit, 0);
    kit.command("arm 5m").keys("b").text("production").keys("enter");
    let actions = kit.finish();
    assert_eq!(actions.len(), 1);
    assert!(format!("{actions:?}").contains("to: 2"));
}

#[test]
fn what_was_verified_is_sensed_again_once() {
    let mut kit = crashed();
    kit.news(Update::Servers { all: Vec::new() });
    world(&mut kit, 0);
    let told: Vec<_> = kit
        .model
        .session
        .as_ref()
        .unwrap()
        .entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::Observed { what, source } if source == "resume" => Some(what.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("LOOK AGAIN at Check that Azure lists the live server: now absent"), "{told:?}");
}

fn told(kit: &Kit) -> Option<String> {
    kit.model.session.as_ref().unwrap().entries.iter().rev().find_map(|e| match &e.event {
        Event::Observed { what, source } if source == "resume" => Some(what.clone()),
        _ => None,
    })
}

#[test]
fn a_person_who_comes_back_stands_where_they_left_off_and_is_told_no_more_than_is_known() {
    let mut kit = crashed();
    let current = checklist::current(&kit.model).unwrap().id.clone();
    assert_eq!(checklist::selected(&kit.model).unwrap().id, current);
    let head = |kit: &Kit| checklist::away(&kit.model, 6).join("\n");
    assert!(head(&kit).contains("What changed meanwhile is being sensed"), "{}", head(&kit));
    kit.later(30);
    kit.news(Update::Servers { all: vec![server("s189p01-rsm-pd-pg", ServerClass::Live, "Ready")] });
    world(&mut kit, 0);
    assert!(head(&kit).contains("Meanwhile: 1 answered item still holds"), "{}", head(&kit));
    assert!(head(&kit).contains("On record 10:00:00, back 10:00:00 GMT (0 s)"), "{}", head(&kit));
    kit.later(300).keys("j");
    assert!(head(&kit).contains("On record 10:00:00, back 10:05:30 GMT (5 m)"), "{}", head(&kit));
    assert!(head(&kit).contains("1 answered item still holds"), "nobody put it away: {}", head(&kit));
    kit.keys("esc").later(90).keys("j");
    assert!(head(&kit).contains("Away 10:05:30–10:07:00 GMT (1 m)"), "{}", head(&kit));
    assert_eq!(told(&kit).as_deref(), Some("sensed again: 1 answered item still holds"));
}

#[test]
fn a_source_that_fails_is_not_taken_for_one_that_agrees() {
    let mut kit = crashed();
    // Metrics are never asked for while Azure does not answer; nobody waits for them.
    kit.standing(Source::Azure, Phase::Stale { why: "cannot reach it".into() });
    kit.standing(Source::Kubernetes, Phase::Live);
    assert_eq!(told(&kit), None, "the list is still to come");
    kit.news(Update::Deployments { all: vec![deployment("rsm-production", 0, 0)] });
    kit.health(503);
    let told = told(&kit).unwrap();
    assert_eq!(told, "sensed again: 0 answered items still hold, 1 answered item cannot be sensed now");
}

#[test]
fn nothing_is_said_to_be_gone_before_anything_is_known() {
    let mut kit = crashed();
    kit.command("arm 5m").keys("b");
    assert!(kit.toast().contains("No deployment is known yet (kubernetes: waiting"), "{}", kit.toast());
    assert!(kit.model.overlays.is_empty());
}

#[test]
fn an_incident_that_another_cockpit_holds_is_said_for_good_and_i_looks_again() {
    let mut kit = Kit::held();
    kit.keys("esc").later(3_600);
    let head = format!("{:?}", checklist::head(&kit.model));
    for words in ["is held by", "bea@bastion pid 4711 since", "read-only here", "i then takes it over"] {
        assert!(head.contains(words), "{words} after an hour: {head}");
    }
    assert!(!head.contains("No incident is open"), "{head}");
    assert!(kit.model.title().contains("HELD ELSEWHERE"));
    kit.keys("i");
    assert_eq!(kit.effects, [Effect::LookAgain]);
    assert!(kit.model.overlays.is_empty(), "never a second incident beside it");
    kit.keys("i");
    assert_eq!(kit.effects.len(), 1, "one look at a time");
    kit.send(Msg::Looked { held: None });
    kit.keys("i");
    assert!(!kit.model.overlays.is_empty(), "it is over: a new one may begin");
}

fn observed(kit: &Kit, by: &str) -> Vec<String> {
    let entries = &kit.model.session.as_ref().unwrap().entries;
    let of = |e: &crate::incident::Entry| match &e.event {
        Event::Observed { what, source } if source == by => Some(what.clone()),
        _ => None,
    };
    entries.iter().filter_map(of).collect()
}

#[test]
fn an_outage_of_a_source_is_on_record_with_its_start_and_its_end_once() {
    let mut kit = Kit::live();
    kit.standing(Source::Azure, Phase::Stale { why: "refused".into() });
    kit.health(503);
    kit.keys("i enter");
    let said = observed(&kit, "sources");
    assert!(
        said[0].contains("azure does not answer") && said[0].contains("service is down (503)"),
        "{said:?}"
    );
    kit.later(190).standing(Source::Azure, Phase::Polling { every_s: 30 });
    kit.standing(Source::Web, Phase::Stale { why: "refused".into() });
    kit.standing(Source::Web, Phase::Stale { why: "no answer".into() });
    assert_eq!(observed(&kit, "azure"), ["azure answers again after 3 m"]);
    let fix = "kubelogin get-token --client-secret hunter2".to_owned();
    kit.standing(Source::Kubernetes, Phase::AuthExpired { why: "401".into(), fix });
    assert_eq!(observed(&kit, "kubernetes"), ["kubernetes does not answer: sign in again: 401"]);
    assert_eq!(
        observed(&kit, "service"),
        ["service does not answer: refused"],
        "one outage, whatever its reasons"
    );
}

#[test]
fn a_source_that_goes_up_and_down_does_not_fill_the_record() {
    let mut kit = Kit::incident();
    for _ in 0..50 {
        kit.later(1).standing(Source::Kubernetes, Phase::Stale { why: "reset".into() });
        kit.standing(Source::Kubernetes, Phase::Live);
    }
    let said = observed(&kit, "kubernetes");
    assert_eq!(said.len(), 10, "{said:?}");
    assert!(said[9].starts_with("kubernetes answers again") && said[9].contains("no more of it"), "{said:?}");
    kit.later(601).standing(Source::Kubernetes, Phase::Stale { why: "reset".into() });
    assert_eq!(observed(&kit, "kubernetes").len(), 11, "a while later");
}

#[test]
fn who_takes_over_late_has_what_was_said_done_sensed_at_once() {
    let dead = crashed();
    let entries = dead.model.session.as_ref().unwrap().entries.clone();
    let mut kit = Kit::held();
    for event in entries.iter().map(|e| e.event.clone()) {
        kit.seal(event);
    }
    kit.keys("i");
    kit.send(Msg::Opened { entries, resumed: true, notes: Vec::new() });
    kit.send(Msg::Looked { held: None });
    assert_eq!(
        told(&kit).as_deref(),
        Some("sensed again: 1 answered item still holds"),
        "no news is waited for"
    );
    assert!(kit.model.held.is_none());
}

#[test]
fn in_a_cockpit_that_does_not_hold_the_incident_it_is_said_where_it_is_open() {
    for keys in ["enter", "n", "U", "2 s", "5 t enter"] {
        let mut kit = Kit::held();
        kit.keys("1 down").keys(keys);
        let said = kit.toast();
        assert!(said.contains("is open elsewhere: held by bea@bastion pid 4711 since"), "{keys}: {said}");
        assert!(!said.contains("open an incident first"), "{keys}: {said}");
    }
}
