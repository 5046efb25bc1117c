//! The guard, arming, capture before change, undo, drift.

use crate::core::Effect;
use crate::core::overlays::Overlay;
use crate::core::panes::replicas;
use crate::core::testing::{Kit, deployment, key_of};
use crate::domain::{Update, Verdict};
use crate::incident::{Action, Outcome};

fn scaled(name: &str, wanted: i32, ready: i32) -> Update {
    Update::DeploymentChanged { deployment: deployment(name, wanted, ready) }
}

#[test]
fn read_only_offers_to_arm_and_changes_nothing() {
    let mut kit = Kit::incident();
    kit.keys("2 s");
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Palette(_))));
    assert!(kit.effects.is_empty());
    kit.keys("enter");
    assert!(kit.model.is_armed(), "Enter on what was offered arms");
}

#[test]
fn nothing_can_be_armed_or_scaled_without_an_incident() {
    let mut kit = Kit::live();
    kit.command("arm 15m").keys("2 s");
    assert!(!kit.model.is_armed() && kit.model.overlays.is_empty());
    assert!(kit.toast().contains("open an incident first"));
}

#[test]
fn production_asks_for_its_name_and_cancels_by_default() {
    let mut kit = Kit::armed();
    kit.keys("2 s");
    let Some(Overlay::Guard(guard)) = kit.model.overlays.last() else { panic!("no guard") };
    assert_eq!(
        guard.steps[0].command,
        "kubectl -n tra-production scale deployment rsm-production --replicas 0"
    );
    assert!(guard.steps[0].old.contains('2') && guard.steps[0].note.as_ref().unwrap().contains("autoscaler"));
    kit.keys("enter");
    assert!(kit.model.overlays.is_empty() && kit.effects.is_empty(), "Enter on nothing cancels");
    kit.keys("s").text("prod").keys("enter");
    assert!(kit.effects.is_empty(), "half a name does nothing");
    kit.text("uction").keys("enter");
    assert_eq!(kit.effects.len(), 1);
}

#[test]
fn capture_and_intent_are_on_disk_before_the_change() {
    let mut kit = Kit::armed();
    kit.keys("2 a s").text("production").keys("enter");
    let runs = kit.effects.iter().filter(|e| matches!(e, Effect::Run { .. })).count();
    assert_eq!(runs, 2);
    let journal = kit.journal();
    let tail: Vec<_> = journal.iter().rev().take(4).rev().collect();
    assert_eq!(tail, ["captured", "intended", "captured", "intended"]);
}

#[test]
fn no_journal_no_change() {
    let mut kit = Kit::armed();
    kit.journal_works = false;
    kit.keys("2 a s").text("production").keys("enter");
    assert!(kit.effects.is_empty(), "{:?}", kit.effects);
    assert!(kit.model.pending.is_empty());
    assert!(kit.toast().contains("NOT made: 2 changes."));
}

#[test]
fn what_was_captured_is_put_back_exactly_and_only_the_watch_closes_the_undo() {
    let mut kit = Kit::armed();
    kit.keys("2 a s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.news(scaled("rsm-production-worker", 0, 0));
    assert_eq!(replicas::was(&kit.model, &key_of("rsm-production")), Some(2));
    kit.keys("b").text("production").keys("enter");
    let actions = kit.finish();
    assert!(actions.contains(&Action::Scale { deployment: key_of("rsm-production"), from: 0, to: 2 }));
    assert!(actions.contains(&Action::Scale { deployment: key_of("rsm-production-worker"), from: 0, to: 1 }));
    let open = |kit: &Kit| kit.model.session.as_ref().unwrap().state.open_undo().count();
    assert_eq!(open(&kit), 2, "an accepted request is not a recovered service");
    kit.news(scaled("rsm-production", 2, 1));
    assert_eq!(open(&kit), 2);
    kit.news(scaled("rsm-production", 2, 2));
    kit.news(scaled("rsm-production-worker", 1, 1));
    assert_eq!(open(&kit), 0);
}

#[test]
fn a_second_scaling_does_not_capture_the_zero_it_made() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.command("scale 1").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 1, 1));
    let ledger = &kit.model.session.as_ref().unwrap().state.ledger;
    assert_eq!(ledger.len(), 1);
    assert_eq!(replicas::was(&kit.model, &key_of("rsm-production")), Some(2));
}

#[test]
fn drift_is_told_once_and_is_not_confused_with_a_slow_watch() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    let drift = |kit: &Kit| {
        let map = kit.model.world.deployments.value.as_ref().unwrap();
        replicas::drift(&kit.model, &map[&key_of("rsm-production")])
    };
    assert_eq!(drift(&kit), None, "the watch has not shown the change yet");
    kit.news(scaled("rsm-production", 0, 2));
    assert_eq!(drift(&kit), None);
    kit.news(scaled("rsm-production", 3, 2));
    assert_eq!(drift(&kit), Some(0));
    kit.news(scaled("rsm-production", 3, 3));
    let told = kit.model.session.as_ref().unwrap().entries.iter();
    assert_eq!(told.filter(|e| format!("{:?}", e.event).contains("someone scaled it")).count(), 1);
}

#[test]
fn a_dialog_that_is_out_of_date_does_nothing() {
    let mut kit = Kit::armed();
    kit.keys("2 s");
    kit.news(scaled("rsm-production", 5, 2));
    kit.text("production").keys("enter");
    assert!(kit.effects.is_empty());
    assert!(kit.toast().contains("went from 2 to 5"), "{}", kit.toast());
}

#[test]
fn arming_ends_by_itself_even_under_an_open_dialog() {
    let mut kit = Kit::armed();
    kit.keys("2 s").later(16 * 60);
    assert!(!kit.model.is_armed());
    kit.text("production").keys("enter");
    assert!(kit.effects.is_empty());
    assert_eq!(kit.journal().iter().filter(|k| *k == "disarmed").count(), 1);
}

#[test]
fn arming_is_bounded() {
    let mut kit = Kit::incident();
    for bad in ["arm 0m", "arm 90m", "arm soon", "arm -5"] {
        kit.command(bad);
        assert!(!kit.model.is_armed(), "{bad}");
    }
}

#[test]
fn a_lost_answer_is_unknown_and_said_so() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    let Some(Effect::Run { id, action }) = kit.effects.pop() else { panic!("no change") };
    let outcome = Outcome::Unknown { why: "no answer within 10 s".into() };
    kit.send(crate::core::Msg::Acted { id, action, outcome });
    assert!(kit.toast().contains("UNKNOWN"));
    assert!(kit.model.session.as_ref().unwrap().state.actions[0].is_uncertain());
}

#[test]
fn an_incident_with_open_undo_does_not_close_but_a_waived_one_does() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.command("close");
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Ledger(_))));
    kit.keys("w").text("service is retired").keys("enter esc");
    kit.command("close").text("all done").keys("enter");
    assert!(kit.model.session.is_none());
}

#[test]
fn a_sandbox_disaster_needs_no_incident_but_a_yes() {
    let mut kit = Kit::live();
    kit.command("disaster rows-deleted");
    kit.keys("enter");
    assert!(kit.effects.is_empty(), "Cancel is the default");
    kit.command("disaster rows-deleted").keys("y");
    assert!(matches!(kit.effects.as_slice(), [Effect::Run { action: Action::SandboxDisaster { .. }, .. }]));
    kit.model.target.sandbox = None;
    kit.effects.clear();
    kit.command("disaster rows-deleted");
    assert!(kit.effects.is_empty() && kit.toast().contains("nothing was done"), "{}", kit.toast());
}

#[test]
fn news_between_an_outcome_and_its_journal_line_settle_nothing() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    let Some(Effect::Run { id, action }) = kit.effects.pop() else { panic!("no change") };
    let outcome = Outcome::Done { result: "ok".into() };
    // The outcome's line is not acknowledged yet when the watch speaks.
    let waiting = crate::core::update(&mut kit.model, crate::core::Msg::Acted { id, action, outcome });
    let at = kit.model.now;
    let told = crate::core::update(
        &mut kit.model,
        crate::core::Msg::News { update: scaled("rsm-production", 0, 0), at },
    );
    assert!(matches!(waiting.last(), Some(Effect::Journal(_))), "{waiting:?}");
    assert!(!format!("{told:?}").contains("Finished"), "{told:?}");
}

fn open_undo(kit: &Kit) -> usize {
    kit.model.session.as_ref().unwrap().state.open_undo().count()
}

fn fail(kit: &mut Kit) {
    for effect in std::mem::take(&mut kit.effects) {
        let Effect::Run { id, action } = effect else { continue };
        let outcome = Outcome::Failed { why: "cannot reach it: Connection refused".into() };
        kit.send(crate::core::Msg::Acted { id, action, outcome });
    }
}

#[test]
fn news_while_the_outcome_is_on_its_way_to_disk_change_nothing_on_record() {
    let mut kit = Kit::armed();
    kit.keys("2 a s").text("production").keys("enter");
    kit.journal_waits = true;
    kit.finish();
    // The watch is ahead for one deployment and behind for the other.
    kit.news(scaled("rsm-production", 0, 2));
    kit.news(scaled("rsm-production-worker", 1, 1));
    kit.journal_says();
    let state = &kit.model.session.as_ref().unwrap().state;
    assert_eq!(state.oddities, Vec::<String>::new());
    assert!(state.actions.iter().all(|a| matches!(a.ended, Some((_, Outcome::Done { .. })))));
    assert_eq!(kit.journal().iter().filter(|k| *k == "finished").count(), 2);
    assert!(kit.model.pending.is_empty());
    // The same on the way back: the count that we set before is not somebody's drift.
    kit.news(scaled("rsm-production", 0, 0));
    kit.news(scaled("rsm-production-worker", 0, 0));
    kit.keys("b").text("production").keys("enter");
    kit.journal_waits = true;
    kit.finish();
    kit.news(scaled("rsm-production", 2, 0));
    kit.journal_says();
    assert!(!kit.model.messages.iter().any(|m| m.text.contains("DRIFT")), "{:?}", kit.model.messages);
}

#[test]
fn an_outcome_that_cannot_be_written_is_waited_for_no_longer() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.journal_works = false;
    kit.finish();
    assert!(kit.model.pending.is_empty() && kit.toast().contains("disk full"), "{}", kit.toast());
}

#[test]
fn a_change_that_failed_leaves_nothing_to_put_back() {
    let mut kit = Kit::armed();
    kit.keys("2 a s").text("production").keys("enter");
    assert_eq!(open_undo(&kit), 2);
    fail(&mut kit);
    assert_eq!(open_undo(&kit), 0);
    let ended = kit.model.session.as_ref().unwrap().state.ledger[0].ended.clone().unwrap();
    assert!(ended.put_back && ended.words.contains("the change was not made, 2 wanted"), "{}", ended.words);
}

#[test]
fn a_change_that_failed_out_of_sight_stays_on_the_ledger_until_the_watch_is_back() {
    use crate::domain::{Phase, Source};
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.standing(Source::Kubernetes, Phase::Stale { why: "cannot reach it".into() });
    fail(&mut kit);
    assert_eq!(open_undo(&kit), 1);
    kit.standing(Source::Kubernetes, Phase::Live);
    assert_eq!(open_undo(&kit), 0);
}

#[test]
fn what_somebody_else_put_back_leaves_the_ledger_when_asked_for() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.news(scaled("rsm-production", 2, 1));
    kit.keys("b");
    assert_eq!(open_undo(&kit), 1, "not ready yet");
    kit.news(scaled("rsm-production", 2, 2));
    assert_eq!(open_undo(&kit), 1, "nothing is taken off silently");
    kit.keys("b");
    assert_eq!(open_undo(&kit), 0);
    assert!(kit.model.overlays.is_empty() && kit.effects.is_empty(), "nothing is changed for it");
    assert!(kit.toast().contains("off the ledger"), "{}", kit.toast());
}

/// Web scaled to 0 and put back, the watch not there yet: u1 is still open.
fn restoring() -> Kit {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.keys("b").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 2, 1));
    assert_eq!(kit.model.session.as_ref().unwrap().state.open_undo().count(), 1);
    kit
}

#[test]
fn an_undo_that_ends_under_an_open_dialog_is_captured_anew() {
    let mut kit = restoring();
    kit.keys("s");
    kit.news(scaled("rsm-production", 2, 2));
    assert_eq!(kit.model.session.as_ref().unwrap().state.open_undo().count(), 0);
    kit.text("production").keys("enter");
    assert!(matches!(kit.effects.last(), Some(Effect::Run { .. })), "{:?}", kit.effects);
    assert_eq!(
        replicas::was(&kit.model, &key_of("rsm-production")),
        Some(2),
        "nothing to put back is on record"
    );
}

#[test]
fn a_late_ready_does_not_end_an_undo_that_a_new_change_needs() {
    let mut kit = restoring();
    kit.keys("s").text("production").keys("enter");
    kit.news(scaled("rsm-production", 2, 2));
    assert_eq!(
        replicas::was(&kit.model, &key_of("rsm-production")),
        Some(2),
        "while the change is on its way"
    );
    kit.finish();
    kit.news(scaled("rsm-production", 2, 2));
    assert_eq!(replicas::was(&kit.model, &key_of("rsm-production")), Some(2), "after it");
}

#[test]
fn what_an_autoscaler_makes_of_it_is_no_drift_and_ends_the_undo() {
    let mut kit = restoring();
    kit.news(scaled("rsm-production", 3, 3));
    let map = kit.model.world.deployments.value.clone().unwrap();
    assert_eq!(replicas::drift(&kit.model, &map[&key_of("rsm-production")]), None);
    assert_eq!(kit.model.session.as_ref().unwrap().state.open_undo().count(), 0);
}

#[test]
fn a_count_from_before_our_own_change_arrived_is_not_what_was_put_back() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    // A colleague makes it 3, which an autoscaler might have made of the 2 that were captured.
    kit.news(scaled("rsm-production", 3, 3));
    kit.keys("b").text("production").keys("enter");
    let done = kit.finish();
    assert!(format!("{done:?}").contains("from: 3, to: 2"), "{done:?}");
    assert_eq!(open_undo(&kit), 1, "3 is the colleague's: the watch has not shown ours yet");
    kit.news(scaled("rsm-production", 2, 2));
    assert_eq!(open_undo(&kit), 0);
    let how = |kit: &Kit| kit.model.session.as_ref().unwrap().state.ledger[0].ended.clone().unwrap().words;
    assert_eq!(how(&kit), "rsm-production: 2 wanted and 2 ready, as captured");
    let mut kit = restoring();
    kit.news(scaled("rsm-production", 3, 3));
    assert_eq!(
        how(&kit),
        "rsm-production: set to 2 as captured; its autoscaler rsm-production (2–6) has made it 3 since, 3 ready"
    );
}

#[test]
fn drift_that_comes_back_is_told_again() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    for wanted in [0, 5, 0, 5] {
        kit.news(scaled("rsm-production", wanted, wanted));
    }
    let told = kit.journal().len();
    let entries = &kit.model.session.as_ref().unwrap().entries;
    assert_eq!(
        entries.iter().filter(|e| format!("{:?}", e.event).contains("someone scaled it")).count(),
        2,
        "{told}"
    );
}

#[test]
fn keys_in_a_terminal_too_small_to_show_them_do_nothing() {
    let mut kit = Kit::armed();
    kit.keys("2 s");
    kit.send(crate::core::Msg::Input { input: crossterm::event::Event::Resize(38, 10) });
    kit.text("production").keys("enter");
    assert!(kit.effects.is_empty());
    kit.send(crate::core::Msg::Input { input: crossterm::event::Event::Resize(80, 24) });
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Guard(_))), "the dialog is still there");
}

#[test]
fn a_flapping_deployment_does_not_fill_the_journal() {
    let mut kit = Kit::incident();
    for _ in 0..200 {
        kit.news(scaled("rsm-production", 2, 1));
        kit.news(scaled("rsm-production", 2, 2));
        kit.news(scaled("somebody-elses", 2, 1));
        kit.news(scaled("somebody-elses", 2, 2));
    }
    assert!(kit.journal().len() < 20, "{}", kit.journal().len());
}

#[test]
fn a_waived_undo_can_be_opened_again() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.keys("L x");
    assert!(kit.toast().contains("Only what was waived"), "{}", kit.toast());
    kit.keys("w").text("stays down").keys("enter");
    assert_eq!(open_undo(&kit), 0);
    kit.keys("x").text("it does not").keys("enter");
    assert_eq!(open_undo(&kit), 1);
    assert!(kit.model.session.as_ref().unwrap().state.oddities.is_empty());
    kit.keys("esc b").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 2, 2));
    assert_eq!(open_undo(&kit), 0, "put back like any other");
}

/// Both scaled to 0, then the worker deleted by somebody and web back at 2: the worker's undo is still open.
fn worker_gone() -> Kit {
    let mut kit = Kit::armed();
    kit.keys("2 a s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.news(scaled("rsm-production-worker", 0, 0));
    kit.news(Update::DeploymentGone { key: key_of("rsm-production-worker") });
    kit.keys("b").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 2, 2));
    assert_eq!(open_undo(&kit), 1);
    kit
}

/// The built-in runbook's item that puts replicas back.
fn put_back_item(kit: &Kit) -> crate::runbook::Item {
    let restores = |i: &&crate::runbook::Item| matches!(i.action, Some(crate::runbook::Do::Restore { .. }));
    kit.model.runbook().unwrap().items().find(restores).unwrap().clone()
}

#[test]
fn what_was_captured_of_a_deployment_that_is_gone_is_still_owed() {
    let mut kit = worker_gone();
    let item = put_back_item(&kit);
    let seen = crate::core::sense::sense(&kit.model, &item).unwrap();
    assert_eq!(seen.verdict, Verdict::Fail, "{seen:?}");
    assert!(seen.value.contains("worker is gone"), "{}", seen.value);
    assert_eq!(crate::core::sense::expectation(&kit.model, &item).unwrap(), "3 (as captured)");
    kit.news(scaled("rsm-production-worker", 1, 1));
    assert_eq!(crate::core::sense::sense(&kit.model, &item).unwrap().verdict, Verdict::Pass);
}

#[test]
fn an_undo_of_a_deployment_that_is_gone_is_not_passed_over_in_silence() {
    let mut kit = worker_gone();
    let item = put_back_item(&kit);
    crate::core::act::item(&mut kit.model, &item);
    assert!(kit.toast().contains("rsm-production-worker is not there: cannot put"), "{}", kit.toast());
    assert!(!kit.model.messages.iter().any(|m| m.text.contains("Nothing to put back")));
    assert!(kit.model.overlays.is_empty() && open_undo(&kit) == 1);
}

#[test]
fn a_mark_that_a_filter_hides_is_still_what_is_put_back_and_scaled() {
    let mut kit = Kit::armed();
    kit.keys("2 a s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.news(scaled("rsm-production-worker", 0, 0));
    kit.model.panes.replicas.marked.insert(key_of("rsm-production"));
    kit.command("filter name:worker");
    assert_eq!(replicas::rows(&kit.model), [key_of("rsm-production-worker")]);
    for command in ["restore", "scale 1"] {
        kit.command(command);
        let Some(Overlay::Guard(guard)) = kit.model.overlays.last() else { panic!("no guard: {command}") };
        let targets: Vec<_> = guard.steps.iter().map(|s| s.target.clone()).collect();
        assert_eq!(targets, [key_of("rsm-production").to_string()], "{command}");
        kit.keys("esc");
    }
}

#[test]
fn an_item_whose_change_was_put_back_says_so_and_when() {
    const ITEM: &str = "scale-every-deployment-to-0";
    let mut kit = Kit::armed();
    let told = |kit: &Kit| {
        let item = kit.model.runbook().unwrap().item(ITEM).unwrap();
        crate::core::session::put_back(&kit.model, item)
    };
    kit.keys("2 a s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.news(scaled("rsm-production-worker", 0, 0));
    kit.keys("1 g down down enter enter");
    assert_eq!(crate::core::panes::checklist::mark(&kit.model, ITEM), crate::incident::Mark::Verified);
    kit.later(60).keys("2 a b").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 2, 2));
    assert_eq!(told(&kit), None, "one of two");
    kit.later(60).news(scaled("rsm-production-worker", 1, 1));
    assert_eq!(told(&kit), Some(kit.model.now));
    kit.later(60).keys("2 s").text("production").keys("enter");
    assert_eq!(told(&kit), None, "changed again");
}

#[test]
fn the_service_is_asked_at_once_after_a_change_of_ones_own_and_when_its_pods_have_followed() {
    use crate::domain::Source;
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    assert_eq!(kit.asked, []);
    kit.finish();
    assert_eq!(kit.asked, [Source::Web], "accepted");
    kit.news(scaled("rsm-production", 0, 2));
    assert_eq!(kit.asked.len(), 1, "its pods still answer");
    kit.news(scaled("rsm-production", 0, 0));
    assert_eq!(kit.asked, [Source::Web, Source::Web], "stopped");
}

#[test]
fn the_guard_says_that_the_data_are_not_restored_before_a_service_runs_on_them_again() {
    let mut kit = Kit::armed();
    let warning = |kit: &Kit| match kit.model.overlays.last() {
        Some(Overlay::Guard(guard)) => guard.warning.clone(),
        other => panic!("no guard: {other:?}"),
    };
    kit.keys("2 s");
    assert_eq!(warning(&kit), None, "stopping is harmless");
    kit.text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    for keys in [":", "b"] {
        if keys == ":" {
            kit.command("scale 2")
        } else {
            kit.keys("b")
        };
        let said = warning(&kit).unwrap();
        assert!(said.contains("DATA NOT RESTORED") && said.contains("4 of 4 items"), "{said}");
        kit.keys("esc");
    }
    kit.keys("1 g enter enter enter s enter o").text("walled off").keys("enter enter s");
    kit.keys("2 b");
    assert_eq!(warning(&kit), None, "everything before it is answered");
}

#[test]
fn the_header_counts_what_is_contradicted_and_what_has_drifted() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.news(scaled("rsm-production-worker", 0, 0));
    kit.keys("1 g down down enter enter");
    let counts =
        |kit: &Kit| (crate::core::session::to_look_at_again(&kit.model), replicas::drifted(&kit.model));
    assert_eq!(counts(&kit), (0, 0));
    kit.news(scaled("rsm-production", 3, 3));
    assert_eq!(counts(&kit), (1, 1));
}

#[test]
fn an_older_error_about_the_same_does_not_come_back_after_a_success() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    fail(&mut kit);
    assert!(kit.toast().starts_with("NOT done: kubectl"), "{}", kit.toast());
    kit.command("scale 1").text("production").keys("enter");
    assert_eq!(kit.model.errors_waiting(), 0, "it is tried again");
    kit.finish();
    kit.later(60);
    assert_eq!(kit.toast(), "", "{:?}", kit.model.messages);
    // Of something else it stays until somebody has seen it.
    kit.keys("j s").text("production").keys("enter");
    fail(&mut kit);
    kit.keys("k").command("scale 0").text("production").keys("enter");
    kit.finish();
    assert_eq!(kit.model.errors_waiting(), 1);
}

#[test]
fn asking_every_source_again_says_so() {
    let mut kit = Kit::live();
    kit.keys("r");
    assert_eq!(kit.toast(), "Asking every source again…");
    assert_eq!(kit.asked.len(), crate::domain::Source::ALL.len());
}

/// The small runbook, with an item that looks at what the scaling did.
fn with_a_look(mut kit: Kit) -> Kit {
    let book = crate::core::testing::RUNBOOK.replace(
        "### Freeze main\n",
        "### Check that the service no longer answers\n```dr\nsense: service.health()\nverify: == down\n```\n",
    );
    kit.model.runbooks = vec![crate::runbook::parse("loss-of-data.md", &book).unwrap()];
    kit
}

#[test]
fn an_item_that_only_looked_at_a_change_says_when_that_was_put_back() {
    const LOOK: &str = "check-that-the-service-no-longer-answers";
    let mut kit = with_a_look(Kit::armed());
    kit.keys("2 a s").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 0, 0));
    kit.news(scaled("rsm-production-worker", 0, 0));
    kit.health(503);
    kit.keys("1 g down down enter enter enter enter");
    assert_eq!(crate::core::panes::checklist::mark(&kit.model, LOOK), crate::incident::Mark::Verified);
    let told = |kit: &Kit| {
        let item = kit.model.runbook().unwrap().item(LOOK).unwrap();
        let session = &crate::core::session::put_back(&kit.model, item);
        (*session, crate::core::session::contradiction(&kit.model, item))
    };
    assert_eq!(told(&kit), (None, None), "as it was answered");
    kit.later(60).keys("2 b").text("production").keys("enter");
    kit.finish();
    kit.news(scaled("rsm-production", 2, 2));
    kit.news(scaled("rsm-production-worker", 1, 1));
    let back = kit.model.now;
    kit.health(200);
    assert_eq!(told(&kit), (Some(back), None), "up again on purpose");
    // After a resume every answered item is in one of the counts.
    let entries = kit.model.session.as_ref().unwrap().entries.clone();
    let mut again = with_a_look(Kit::live());
    again.send(crate::core::Msg::Opened { entries, resumed: true, notes: Vec::new() });
    let said = format!("{:?}", again.model.session.as_ref().unwrap().entries);
    assert!(said.contains("0 answered items still hold, 2 answered items put back on purpose"), "{said}");
}
