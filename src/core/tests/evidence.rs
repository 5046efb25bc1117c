//! Which comparison is the evidence when there are several: the last of everything that went to its end.

use crate::core::comparison::Stage;
use crate::core::overlays::Overlay;
use crate::core::panes::{compare, compare_head};
use crate::core::testing::Kit;
use crate::core::testing::compared::{self, done};
use crate::core::{Effect, Msg, PaneId, sense};
use crate::domain::{Sensed, Verdict};
use crate::incident::{Action, Outcome};

fn evidence(kit: &Kit) -> Sensed {
    let item = kit.model.runbook().unwrap().item("validate-data").unwrap();
    sense::sense(&kit.model, item).unwrap()
}

/// Begins another comparison of everything; the name of its request.
fn again(kit: &mut Kit) -> (String, Action) {
    kit.effects.clear();
    kit.keys("c enter");
    let asked = kit.effects.iter().find_map(|e| match e {
        Effect::Run { id, action } => Some((id.clone(), action.clone())),
        _ => None,
    });
    let (id, action) = asked.unwrap_or_else(|| panic!("nothing runs: {}", kit.toast()));
    let Action::Compare { request } = &action else { panic!("{action:?}") };
    kit.send(Msg::Compare { run: request.run, news: compared::beginning() });
    (id, action)
}

fn heads(kit: &Kit) -> String {
    let mut model = kit.model.clone();
    (model.size, model.focus, model.zoom) = ((200, 60), PaneId::Compare, true);
    format!("{:?}", compare_head::head(&model))
}

#[test]
fn a_later_one_that_is_stopped_takes_no_evidence_away() {
    let mut kit = done();
    kit.keys("6 g enter space backspace");
    let marked = kit.model.compare.as_ref().unwrap().marked.clone();
    assert_eq!(marked.len(), 1);
    let first = evidence(&kit);
    assert_eq!(first.verdict, Verdict::Pass);
    kit.later(60);
    let (id, action) = again(&mut kit);
    let seen = evidence(&kit);
    assert_eq!((seen.verdict, seen.as_of), (Verdict::Pass, first.as_of), "of its own age");
    assert_eq!(seen.value, format!("{}; a later one is running", first.value));
    kit.keys("x");
    kit.send(Msg::Acted { id, action, outcome: Outcome::Failed { why: "cancelled".into() } });
    assert_eq!(evidence(&kit).value, format!("{}; a later one was NOT finished", first.value));
    assert!(matches!(kit.model.compare.as_ref().unwrap().stage, Stage::Ended { .. }));
    let summary = compare::summary(&kit.model);
    assert!(summary.starts_with("!stopped: ? lost"), "what nobody looked at is no zero: {summary}");
    for words in
        ["NOT FINISHED: cancelled", "stays the evidence: at least 1410 rows lost", "Backspace shows it"]
    {
        assert!(heads(&kit).contains(words), "{}", heads(&kit));
    }
    kit.keys("backspace");
    assert!(matches!(kit.model.compare.as_ref().unwrap().stage, Stage::Done { .. }));
    assert_eq!(kit.model.compare.as_ref().unwrap().marked, marked, "with its marks");
    assert_eq!(evidence(&kit), first);
    assert!(!heads(&kit).contains("stays the evidence"));
}

#[test]
fn a_later_one_of_everything_takes_its_place_and_one_of_a_part_does_not() {
    let mut kit = done();
    let first = evidence(&kit);
    kit.keys("6");
    kit.effects.clear();
    kit.keys("c tab");
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Comparing(_))));
    kit.text("orders").keys("enter");
    let Some(Effect::Run { id, action }) = kit.effects.pop() else { panic!("{}", kit.toast()) };
    let Action::Compare { request } = &action else { panic!("{action:?}") };
    let run = request.run;
    kit.send(Msg::Compare { run, news: compared::beginning() });
    kit.send(Msg::Compare { run, news: compared::end() });
    kit.send(Msg::Acted { id, action, outcome: Outcome::Done { result: "compared".into() } });
    assert_eq!(evidence(&kit).value, format!("{}; a later one was of a part only", first.value));
    assert!(heads(&kit).contains("the checklist wants the whole"), "{}", heads(&kit));
    kit.later(60);
    let (id, action) = again(&mut kit);
    let Action::Compare { request } = &action else { panic!("{action:?}") };
    kit.send(Msg::Compare { run: request.run, news: compared::end() });
    kit.send(Msg::Acted { id, action, outcome: Outcome::Done { result: "compared".into() } });
    let seen = evidence(&kit);
    assert_eq!(seen.value, first.value);
    assert!(seen.as_of > first.as_of);
    assert_eq!(kit.model.earlier, None);
}

#[test]
fn another_incident_knows_nothing_of_what_was_compared_before() {
    let mut kit = done();
    assert_eq!(evidence(&kit).verdict, Verdict::Pass);
    let entries = kit.model.session.as_ref().unwrap().entries.clone();
    kit.send(Msg::Opened { entries, resumed: false, notes: Vec::new() });
    assert_eq!((evidence(&kit).verdict, kit.model.compare.is_none()), (Verdict::Unknown, true));
}

#[test]
fn of_another_copy_it_is_no_evidence() {
    let mut kit = done();
    let (_, action) = again(&mut kit);
    assert!(kit.model.earlier.is_some());
    let Action::Compare { request } = action else { panic!() };
    let elsewhere = crate::domain::CompareRequest { restored: "another-ptr".into(), run: 9, ..*request };
    crate::core::comparing::begin::began(&mut kit.model, &elsewhere);
    assert_eq!(kit.model.earlier, None);
}
