//! Comparing: from the request to the evidence, and what a person finds on the way.

use crate::compare::model::Event;
use crate::core::comparison::Stage;
use crate::core::overlays::Overlay;
use crate::core::overlays::query::Reply;
use crate::core::panes::compare::{self, Level};
use crate::core::panes::compare_rows;
use crate::core::testing::compared::{self, done, kit};
use crate::core::testing::{Kit, deployment, server};
use crate::core::{Effect, Msg, PaneId, sense};
use crate::domain::{ServerClass, Update, Verdict};
use crate::incident::{Action, Event as Line, Mark, Outcome};

fn request(kit: &Kit) -> Option<(String, crate::domain::CompareRequest)> {
    kit.effects.iter().find_map(|e| match e {
        Effect::Run { id, action: Action::Compare { request } } => Some((id.clone(), (**request).clone())),
        _ => None,
    })
}

fn news(kit: &mut Kit, news: Vec<Event>) {
    kit.send(Msg::Compare { run: 1, news });
}

fn ends(kit: &mut Kit, outcome: Outcome) {
    let (id, request) = request(kit).unwrap();
    kit.send(Msg::Acted { id, action: Action::Compare { request: Box::new(request) }, outcome });
}

fn names(kit: &Kit) -> Vec<String> {
    let comparison = kit.model.compare.as_ref().unwrap();
    compare::tables(&kit.model).iter().map(|id| comparison.tables[id].head.table.name.clone()).collect()
}

#[test]
fn it_needs_an_incident_and_a_copy_that_is_ready() {
    let mut kit = Kit::live();
    kit.keys("6 c");
    assert!(kit.toast().contains("No PTR copy is listed"), "{}", kit.toast());
    let mut kit = compared::kit();
    kit.news(Update::Servers { all: vec![server("copy", ServerClass::Ptr, "Starting")] });
    kit.keys("6 c");
    assert!(kit.toast().contains("copy is Starting"), "{}", kit.toast());
    kit.news(Update::Servers {
        all: vec![server("a", ServerClass::Ptr, "Ready"), server("b", ServerClass::Ptr, "Ready")],
    });
    kit.keys("c");
    assert!(kit.toast().contains(":compare a or :compare b"), "{}", kit.toast());
    assert!(request(&kit).is_none());
    kit.command("compare b");
    assert_eq!(request(&kit).unwrap().1.restored, "b");
}

#[test]
fn it_is_on_record_before_it_begins_and_live_comes_first() {
    let mut kit = kit();
    kit.journal_waits = true;
    kit.keys("6 c");
    assert!(request(&kit).is_none() && kit.model.compare.is_none());
    kit.journal_says();
    let (_, request) = request(&kit).unwrap();
    assert_eq!(
        (request.live.as_str(), request.restored.as_str()),
        ("s189p01-rsm-pd-pg", "s189p01-rsm-pd-pg-ptr")
    );
    assert!(!request.own_pod && kit.model.compare.as_ref().unwrap().is_running());
    kit.keys("c");
    assert!(kit.toast().contains("A comparison is running"));
}

#[test]
fn with_the_service_stopped_it_takes_pods_of_its_own_and_the_guard() {
    let mut kit = kit();
    kit.news(Update::Deployments { all: vec![deployment("rsm-production", 0, 0)] });
    kit.keys("6 c esc");
    assert!(request(&kit).is_none() && kit.model.pending.is_empty(), "read-only");
    kit.command("arm 15m");
    kit.keys("6 c");
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Guard(_))));
    kit.text("production").keys("enter");
    assert!(request(&kit).unwrap().1.own_pod);
}

#[test]
fn what_lost_most_stands_on_top_while_verdicts_come_in() {
    let mut kit = kit();
    kit.keys("6 c");
    news(&mut kit, compared::beginning());
    assert_eq!(names(&kit)[0], "orders", "a glimpse counts");
    assert_eq!(names(&kit).last().unwrap(), "documents", "what is the same is last");
    kit.keys("G");
    let selected = kit.model.panes.compare.tables.selected;
    news(&mut kit, compared::end());
    assert_eq!(kit.model.panes.compare.tables.selected, selected, "the selection stays on its table");
    assert_eq!(
        names(&kit),
        ["orders", "audit_log", "events", "sessions", "settings", "customers", "documents"]
    );
    // Of another comparison: dropped.
    kit.send(Msg::Compare { run: 9, news: vec![Event::Listed { tables: vec![] }] });
    assert_eq!(names(&kit).len(), 7);
    kit.command("filter kind:lost");
    assert_eq!(names(&kit), ["orders", "audit_log"]);
}

#[test]
fn into_a_table_a_row_a_value_and_back() {
    let mut kit = done();
    let level = |kit: &Kit| kit.model.panes.compare.level;
    kit.keys("g enter");
    assert_eq!((level(&kit), compare_rows::rows(&kit.model).len(), kit.model.zoom), (Level::Rows, 8, true));
    kit.keys("] enter");
    assert_eq!(level(&kit), Level::Columns);
    assert_eq!(compare::row(&kit.model).unwrap().key[0].as_ref().unwrap().text, "5001");
    assert_eq!(kit.model.panes.compare.columns.selected, Some(2), "the first column that differs");
    kit.keys("enter");
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Versions(_))));
    kit.keys("esc backspace backspace");
    assert_eq!((level(&kit), kit.model.zoom), (Level::Tables, false));
    kit.keys("enter esc");
    assert_eq!(level(&kit), Level::Tables, "Esc goes back too");
    kit.keys("G enter");
    assert!(kit.toast().contains("No row of public.documents differs"), "{}", kit.toast());
}

#[test]
fn rows_are_found_by_kind_by_column_and_by_value() {
    let mut kit = done();
    kit.keys("g enter");
    let found = |kit: &mut Kit, text: &str| {
        kit.command(&format!("filter {text}"));
        let rows = compare_rows::rows(&kit.model);
        rows.into_iter().map(|r| r.key[0].clone().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found(&mut kit, "kind:lost"), ["4711", "4712", "4713"]);
    assert_eq!(found(&mut kit, "name:o\"hara"), ["4711"]);
    assert_eq!(found(&mut kit, "another"), ["5001"], "on either side");
    assert_eq!(found(&mut kit, "oha4711"), [""; 0], "alike is not enough");
}

#[test]
fn rows_are_marked_for_repair_and_stay_so() {
    let mut kit = done();
    kit.keys("g enter space space backspace");
    let marked = |kit: &Kit| kit.model.compare.as_ref().unwrap().marked.len();
    assert_eq!(marked(&kit), 2);
    let head = format!("{:?}", compare::head(&kit.model));
    assert!(head.contains("marked for repair: 2"), "{head}");
    kit.keys("enter g space");
    assert_eq!(marked(&kit), 1);
}

#[test]
fn rows_are_copied_without_being_repeated_in_a_message() {
    let mut kit = done();
    kit.keys("g enter J I C");
    let copied: Vec<&String> = kit
        .effects
        .iter()
        .filter_map(|e| if let Effect::CopySilently(text) = e { Some(text) } else { None })
        .collect();
    assert_eq!(copied.len(), 3, "{:?}", kit.toast());
    assert!(
        copied[0].starts_with('{') && copied[1].starts_with("INSERT INTO") && copied[2].starts_with("side,")
    );
}

#[test]
fn columns_scroll_no_further_than_they_go() {
    let mut kit = done();
    kit.keys("g enter right right right right right");
    assert_eq!(kit.model.panes.compare.left, 2);
    kit.keys("left h h h");
    assert_eq!(kit.model.panes.compare.left, 0);
}

#[test]
fn stopping_reaches_the_runtime_and_what_was_found_stays() {
    let mut kit = kit();
    kit.keys("6 c");
    news(&mut kit, compared::beginning());
    kit.keys("x");
    assert!(kit.effects.contains(&Effect::CancelCompare { run: 1 }));
    ends(&mut kit, Outcome::Failed { why: "cancelled".into() });
    assert!(matches!(kit.model.compare.as_ref().unwrap().stage, Stage::Ended { .. }));
    assert_eq!(names(&kit).len(), 7);
    let item = kit.model.runbook().unwrap().item("validate-data").unwrap().clone();
    let seen = sense::sense(&kit.model, &item).unwrap();
    assert_eq!(seen.verdict, Verdict::Unknown);
    assert!(seen.value.starts_with("NOT COMPLETE"), "{}", seen.value);
}

#[test]
fn the_item_is_verified_by_the_comparison_and_the_journal_holds_no_row() {
    let mut kit = kit();
    kit.model.panes.checklist.selected =
        Some(crate::core::panes::checklist::Row::Item("validate-data".into()));
    kit.keys("1 enter");
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Answer(_))));
    kit.keys("enter");
    assert!(kit.toast().contains("No complete comparison answers it"), "{}", kit.toast());
    kit.keys("c");
    assert_eq!((kit.model.focus, kit.model.overlays.len()), (PaneId::Compare, 0));
    news(&mut kit, compared::beginning());
    news(&mut kit, compared::end());
    ends(&mut kit, Outcome::Done { result: "compared".into() });
    kit.later(60);
    kit.keys("1 enter enter");
    let session = kit.model.session.as_ref().unwrap();
    assert_eq!(session.state.mark("validate-data"), Mark::Verified);
    let answer = session.state.answers.get("validate-data").unwrap();
    let saw = answer.sensed.as_ref().unwrap();
    assert_eq!(
        saw.value,
        "1410 rows lost, 3 changed, 2 new in 4 of 7 tables; 1 NOT compared; REPAIR SOME; the copy reaches \
         2026-11-20 09:40:58 UTC"
    );
    assert_eq!(saw.source, "comparison of LIVE s189p01-rsm-pd-pg with PTR s189p01-rsm-pd-pg-ptr");
    assert_eq!(saw.as_of.map(|at| kit.model.now - at), Some(chrono::Duration::seconds(60)));
    let again = kit.model.runbook().unwrap().item("compare-again").unwrap();
    assert_eq!(sense::sense(&kit.model, again).unwrap().verdict, Verdict::Unknown, "one table is not known");
    let record = serde_json::to_string(&session.entries).unwrap();
    for secret in ["4711", "Hara", "Edsger", "データ", "consecutive"] {
        assert!(!record.contains(secret), "{secret} is on record");
    }
    let finished = session.entries.iter().any(|e| {
        matches!(&e.event, Line::Finished { outcome: Outcome::Done { result }, .. } if result.starts_with("1410 rows lost"))
    });
    assert!(finished, "the outcome is on record");
}

#[test]
fn both_are_asked_one_question_and_only_the_last_answer_shows() {
    let mut kit = done();
    kit.keys("s").text("select 1").keys("enter");
    let asked = kit.effects.iter().find_map(|e| match e {
        Effect::AskBoth { id, sql, .. } => Some((*id, sql.clone())),
        _ => None,
    });
    assert_eq!(asked, Some((1, "select 1".into())));
    let reply = |text: &str| Reply::Rows {
        columns: vec!["n".into()],
        rows: vec![vec![Some(text.into())]],
        more: false,
        took_ms: 3,
    };
    kit.send(Msg::Queried { id: 9, live: reply("old"), restored: reply("old") });
    let shown = |kit: &Kit| match kit.model.overlays.last() {
        Some(Overlay::Query(q)) => q.answers.clone(),
        _ => None,
    };
    assert_eq!(shown(&kit), None);
    kit.send(Msg::Queried { id: 1, live: reply("1"), restored: Reply::Failed { why: "no".into() } });
    assert_eq!(shown(&kit), Some((reply("1"), Reply::Failed { why: "no".into() })));
    kit.keys("esc s");
    let Some(Overlay::Query(again)) = kit.model.overlays.last() else { panic!("no box") };
    assert_eq!(again.input.value(), "select 1");
}

#[test]
fn a_recording_holds_nobodys_data() {
    let mut kit = done();
    let msg = Msg::Compare { run: 1, news: compared::end() };
    let text = serde_json::to_string(&msg.for_recording(&kit.model)).unwrap();
    for secret in ["4711", "Hara", "Edsger", "データ", "consecutive"] {
        assert!(!text.contains(secret), "{secret} is recorded");
    }
    let Msg::Compare { news, .. } = msg.for_recording(&kit.model) else { panic!("another message") };
    kit.send(Msg::Compare { run: 1, news });
    kit.keys("g enter");
    assert_eq!(compare_rows::rows(&kit.model).len(), 8, "a replay has as many rows");
    kit.keys("s");
    let typed = Msg::Input { input: crossterm::event::Event::Key(crate::core::testing::key("a")) };
    assert!(!serde_json::to_string(&typed.for_recording(&kit.model)).unwrap().contains("\"a\""));
}
