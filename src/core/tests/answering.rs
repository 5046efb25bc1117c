//! Sense, show, ask: the four marks, and what each needs.

use crate::core::overlays::Overlay;
use crate::core::panes::checklist;
use crate::core::testing::{Kit, deployment};
use crate::domain::{Phase, Source, Update};
use crate::incident::Mark;

fn mark(kit: &Kit, item: &str) -> Mark {
    checklist::mark(&kit.model, item)
}

const SERVER: &str = "check-that-azure-lists-the-live-server";
const SCALE: &str = "scale-every-deployment-to-0";

#[test]
fn a_passing_probe_still_needs_a_key() {
    let mut kit = Kit::incident();
    assert_eq!(mark(&kit, SERVER), Mark::Open, "never ticked silently");
    kit.keys("enter");
    assert_eq!(mark(&kit, SERVER), Mark::Open, "shown first");
    kit.keys("enter");
    assert_eq!(mark(&kit, SERVER), Mark::Verified);
    let answers = &kit.model.session.as_ref().unwrap().state.answers;
    assert_eq!(answers[SERVER].sensed.as_ref().unwrap().value, "Ready");
}

#[test]
fn an_item_without_probe_can_only_be_said_done() {
    let mut kit = Kit::incident();
    kit.keys("down enter enter");
    assert_eq!(mark(&kit, "note-when-rows-went-wrong"), Mark::Open, "Enter verifies nothing here");
    kit.keys("s");
    assert_eq!(mark(&kit, "note-when-rows-went-wrong"), Mark::Said);
}

#[test]
fn a_failing_probe_can_only_be_overridden_with_a_reason() {
    let mut kit = Kit::incident();
    kit.keys("down down enter enter s");
    assert_eq!(mark(&kit, SCALE), Mark::Open);
    kit.keys("o enter");
    assert_eq!(mark(&kit, SCALE), Mark::Open, "no reason, no override");
    kit.text("service is behind a wall already").keys("enter");
    assert_eq!(mark(&kit, SCALE), Mark::Overridden);
    assert!(kit.model.overlays.is_empty());
    let answer = &kit.model.session.as_ref().unwrap().state.answers[SCALE];
    assert_eq!(answer.reason.as_deref(), Some("service is behind a wall already"));
    assert!(answer.sensed.as_ref().unwrap().value.starts_with("3 ready"));
}

#[test]
fn a_stale_value_proves_nothing() {
    let mut kit = Kit::incident();
    kit.standing(Source::Azure, Phase::Stale { why: "refused".into() });
    kit.keys("enter enter");
    assert_eq!(mark(&kit, SERVER), Mark::Open);
    kit.keys("s");
    assert_eq!(mark(&kit, SERVER), Mark::Said);
}

#[test]
fn a_value_that_is_overdue_proves_nothing_either() {
    let mut kit = Kit::incident();
    kit.later(300).keys("enter enter");
    assert_eq!(mark(&kit, SERVER), Mark::Open);
}

#[test]
fn answers_go_to_the_next_open_item() {
    let mut kit = Kit::incident();
    kit.keys("enter enter");
    assert_eq!(checklist::selected(&kit.model).unwrap().id, "note-when-rows-went-wrong");
}

#[test]
fn an_answered_item_is_opened_again_only_with_a_reason() {
    let mut kit = Kit::incident();
    kit.keys("enter enter up x").text("looked at the wrong group").keys("enter");
    assert_eq!(mark(&kit, SERVER), Mark::Open);
}

#[test]
fn a_contradicted_answer_is_flagged_and_never_unticked() {
    let mut kit = Kit::armed();
    kit.news(Update::Deployments { all: vec![deployment("rsm-production", 0, 0)] });
    kit.keys("down down enter enter");
    assert_eq!(mark(&kit, SCALE), Mark::Verified);
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production", 2, 2) });
    let item = kit.model.runbook().unwrap().item(SCALE).unwrap().clone();
    assert!(crate::core::session::contradiction(&kit.model, &item).unwrap().starts_with("2 ready"));
    assert_eq!(mark(&kit, SCALE), Mark::Verified);
}

#[test]
fn what_is_stopped_again_after_it_was_put_back_must_stay_stopped() {
    let mut kit = Kit::armed();
    kit.keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production", 0, 0) });
    kit.keys("1 home").news(Update::Deployments { all: vec![deployment("rsm-production", 0, 0)] });
    kit.keys("down down enter enter");
    assert_eq!(mark(&kit, SCALE), Mark::Verified);
    kit.later(2).keys("b").text("production").keys("enter");
    kit.finish();
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production", 2, 2) });
    let contradicted = |kit: &Kit| {
        let item = kit.model.runbook().unwrap().item(SCALE).unwrap().clone();
        crate::core::session::contradiction(&kit.model, &item).is_some()
    };
    assert!(!contradicted(&kit), "put back on purpose");
    kit.later(2).keys("2 s").text("production").keys("enter");
    kit.finish();
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production", 0, 0) });
    assert!(!contradicted(&kit), "stopped as it says");
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production", 3, 3) });
    assert!(contradicted(&kit), "somebody started it after it was stopped again");
}

#[test]
fn notes_hang_on_their_item() {
    let mut kit = Kit::incident();
    kit.keys("n").text("asked Bea").keys("enter");
    assert_eq!(kit.model.session.as_ref().unwrap().state.notes[0].item.as_deref(), Some(SERVER));
}

#[test]
fn without_an_incident_nothing_is_answered() {
    let mut kit = Kit::live();
    kit.keys("enter");
    assert!(kit.model.overlays.is_empty());
    assert!(kit.toast().contains("open an incident first"));
}

#[test]
fn the_opening_form_refuses_times_that_cannot_be() {
    let mut kit = Kit::live();
    kit.keys("i").text("later").keys("enter");
    let Some(Overlay::Opening(form)) = kit.model.overlays.last() else { panic!("form left") };
    assert!(form.problem.as_ref().unwrap().contains("later"));
    kit.keys("esc i").text("09:30").keys("tab").text("09:00").keys("enter");
    assert!(kit.model.session.is_none(), "noticed before it began");
}

#[test]
fn a_pasted_page_of_keys_does_nothing_to_the_panes() {
    let mut kit = Kit::armed();
    kit.send(crate::core::Msg::Input {
        input: crossterm::event::Event::Paste("2sy\u{1b}[31mproduction\n".into()),
    });
    assert!(kit.model.overlays.is_empty() && kit.effects.is_empty());
}

fn paste(kit: &mut Kit, text: &str) {
    kit.send(crate::core::Msg::Input { input: crossterm::event::Event::Paste(text.into()) });
}

#[test]
fn pasted_text_goes_in_whole_or_not_at_all() {
    let mut kit = Kit::incident();
    let typed = |kit: &Kit| match kit.model.overlays.last() {
        Some(Overlay::Prompt(prompt)) => prompt.input.value().to_owned(),
        other => panic!("no prompt: {other:?}"),
    };
    kit.keys("n");
    paste(&mut kit, &"ü".repeat(1_999));
    assert_eq!(typed(&kit), "ü".repeat(1_999));
    paste(&mut kit, "xy");
    assert_eq!(typed(&kit).chars().count(), 1_999, "nothing of what does not fit");
    assert!(kit.toast().contains("Too long: 2001 characters, 2000 fit"), "{}", kit.toast());
    kit.text("zz");
    assert_eq!(typed(&kit), format!("{}z", "ü".repeat(1_999)), "typed text has the same limit");
    kit.keys("esc down n");
    paste(&mut kit, &"a".repeat(90_000));
    assert_eq!(typed(&kit), "");
    assert!(kit.toast().contains("Too long: 90000 characters"), "{}", kit.toast());
}

#[test]
fn what_is_pasted_into_the_palette_is_not_recorded() {
    let mut kit = Kit::incident();
    kit.keys(":");
    let pasted = crate::core::Msg::Input {
        input: crossterm::event::Event::Paste("note the password is hunter2".into()),
    };
    let recorded = serde_json::to_string(&pasted.for_recording(&kit.model)).unwrap();
    assert!(!recorded.contains("hunter2") && recorded.contains("••••"), "{recorded}");
}

#[test]
fn said_done_may_carry_the_value_found() {
    let mut kit = Kit::incident();
    kit.keys("down enter S enter");
    assert_eq!(
        mark(&kit, "note-when-rows-went-wrong"),
        Mark::Open,
        "an empty value is none: s says it without"
    );
    kit.text("09:41, first bad row").keys("enter");
    assert_eq!(mark(&kit, "note-when-rows-went-wrong"), Mark::Said);
    assert!(kit.model.overlays.is_empty());
    let answers = &kit.model.session.as_ref().unwrap().state.answers;
    assert_eq!(answers["note-when-rows-went-wrong"].reason.as_deref(), Some("09:41, first bad row"));
}

#[test]
fn evidence_is_as_of_when_its_source_was_last_heard_and_never_as_of_now() {
    let mut kit = Kit::incident();
    let begun = kit.model.now;
    let as_of = |kit: &Kit| {
        let item = kit.model.runbook().unwrap().item(SCALE).unwrap();
        crate::core::sense::sense(&kit.model, item).unwrap().as_of
    };
    kit.later(40);
    assert_eq!(as_of(&kit), Some(begun), "an open watch says nothing by being open");
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production", 2, 1) });
    assert_eq!(as_of(&kit), Some(begun), "a pod's change does not vouch for the rest");
    kit.news(Update::Heard { source: Source::Kubernetes });
    assert_eq!(as_of(&kit), Some(kit.model.now));
}

#[test]
fn who_answers_asks_a_source_again_that_was_not_heard_for_a_while() {
    let mut kit = Kit::incident();
    kit.later(4).keys("enter esc");
    assert_eq!(kit.asked, [], "just heard");
    kit.later(10).keys("enter");
    assert_eq!(kit.asked, [Source::Azure]);
    let wake = kit.model.next_wake() - kit.model.now;
    assert!(wake <= chrono::Duration::seconds(1), "its age is shown to the second: {wake}");
}

#[test]
fn what_is_typed_and_not_sent_is_kept_for_the_next_time() {
    let mut kit = Kit::incident();
    let typed = |kit: &Kit| match kit.model.overlays.last() {
        Some(Overlay::Prompt(prompt)) => prompt.input.value().to_owned(),
        other => panic!("no prompt: {other:?}"),
    };
    kit.keys("n").text("half a thought").keys("esc");
    assert!(kit.toast().contains("is kept"), "{}", kit.toast());
    kit.keys("down n");
    assert_eq!(typed(&kit), "", "another item's note is another note");
    kit.keys("esc up n");
    assert_eq!(typed(&kit), "half a thought");
    kit.keys("enter n");
    assert_eq!(typed(&kit), "", "sent");
    kit.text("x").keys("esc n backspace esc n");
    assert_eq!(typed(&kit), "", "emptied by hand");
}

#[test]
fn an_item_that_asks_for_a_fact_is_not_said_done_without_it() {
    let mut kit = Kit::incident();
    let book = crate::core::testing::RUNBOOK.replace("### Note when rows", "### Record when rows");
    kit.model.runbooks = vec![crate::runbook::parse("loss-of-data.md", &book).unwrap()];
    kit.keys("down enter s enter");
    assert_eq!(mark(&kit, "record-when-rows-went-wrong"), Mark::Open, "an empty value is none");
    kit.text("09:41").keys("enter");
    let answers = &kit.model.session.as_ref().unwrap().state.answers;
    let answer = &answers["record-when-rows-went-wrong"];
    assert_eq!((answer.mark, answer.reason.as_deref()), (Mark::Said, Some("09:41")));
}

#[test]
fn verified_said_and_overridden_are_counted_apart() {
    let mut kit = Kit::incident();
    assert_eq!(checklist::summary(&kit.model), "0/6");
    kit.keys("enter enter enter s enter o").text("walled off").keys("enter");
    assert_eq!(checklist::summary(&kit.model), "x1 ~1 !1 /6");
}

#[test]
fn an_item_that_records_a_time_or_a_choice_takes_nothing_else() {
    let mut kit = Kit::incident();
    let book = crate::core::testing::RUNBOOK
        .replace(
            "### Note when rows went wrong\n",
            "### Record when rows went wrong\n```dr\nrecord: time\n```\n",
        )
        .replace("### Freeze main\n", "### Choose full or partial\n```dr\nrecord: full | partial\n```\n");
    kit.model.runbooks = vec![crate::runbook::parse("loss-of-data.md", &book).unwrap()];
    let reason = |kit: &Kit, item: &str| {
        kit.model.session.as_ref().unwrap().state.answers.get(item).and_then(|a| a.reason.clone())
    };
    const TIME: &str = "record-when-rows-went-wrong";
    kit.keys("down enter s").text("about 25:77 BST-ish").keys("enter");
    assert!(kit.toast().contains("not a time") && kit.toast().contains("13:41Z (UTC)"), "{}", kit.toast());
    assert_eq!(mark(&kit, TIME), Mark::Open);
    kit.keys("ctrl-u").text("09:41").keys("enter");
    assert_eq!(reason(&kit, TIME).as_deref(), Some("2026-11-20 09:41:00 GMT = 2026-11-20T09:41:00Z"));
    const CHOICE: &str = "choose-full-or-partial";
    kit.keys("1 G up up enter s").text("both").keys("enter");
    assert!(kit.toast().contains("`both` is none of full, partial"), "{}", kit.toast());
    assert_eq!(mark(&kit, CHOICE), Mark::Open);
    kit.keys("ctrl-u").text("part").keys("enter");
    assert_eq!(reason(&kit, CHOICE).as_deref(), Some("partial"));
}

#[test]
fn a_copy_that_was_never_there_is_not_verified_as_deleted() {
    use crate::core::sense::sense;
    use crate::core::testing::server;
    use crate::domain::{ServerClass, Verdict};
    let mut kit = Kit::incident();
    let book = crate::core::testing::RUNBOOK.replace(
        "### Check that nothing is left to undo\n",
        "### Delete the copy server\n```dr\nsense: server.count(ptr)\nverify: == 0\n```\n### Check that nothing is left to undo\n",
    );
    kit.model.runbooks = vec![crate::runbook::parse("loss-of-data.md", &book).unwrap()];
    let seen = |kit: &Kit| {
        let item = kit.model.runbook().unwrap().item("delete-the-copy-server").unwrap();
        sense(&kit.model, item).unwrap()
    };
    assert_eq!(seen(&kit).verdict, Verdict::Unknown);
    assert!(seen(&kit).value.contains("no copy was seen in this incident"), "{}", seen(&kit).value);
    let live = server("s189p01-rsm-pd-pg", ServerClass::Live, "Ready");
    let copy = server("s189p01-rsm-pd-pg-ptr", ServerClass::Ptr, "Ready");
    kit.later(20).news(Update::Servers { all: vec![live.clone(), copy] });
    assert_eq!(seen(&kit).verdict, Verdict::Fail, "it stands");
    kit.later(20).news(Update::Servers { all: vec![live] });
    assert_eq!((seen(&kit).verdict, seen(&kit).value.as_str()), (Verdict::Pass, "0 listed"));
}
