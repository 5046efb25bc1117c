//! Comparing: from the request to the evidence, and what a person finds on the way.

use crate::compare::RowKind;
use crate::compare::Value;
use crate::compare::model::Cut;
use crate::compare::model::Event;
use crate::core::comparison::Stage;
use crate::core::more::{Fetched, More};
use crate::core::overlays::Overlay;
use crate::core::overlays::comparing::Form;
use crate::core::overlays::query::Reply;
use crate::core::panes::compare::{self, Level};
use crate::core::panes::compare_head::head;
use crate::core::panes::{compare_past, compare_rows};
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

fn form(kit: &Kit) -> &Form {
    match kit.model.overlays.last() {
        Some(Overlay::Comparing(form)) => form,
        other => panic!("no form: {other:?}"),
    }
}

fn problem(kit: &Kit) -> String {
    form(kit).problem.clone().unwrap_or_default()
}

/// What stands above the rows.
fn heads(kit: &Kit) -> String {
    let mut model = kit.model.clone();
    (model.size, model.focus, model.zoom) = ((200, 60), PaneId::Compare, true);
    format!("{:?}", head(&model))
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
    kit.keys("6 c enter");
    assert!(problem(&kit).contains("copy is Starting"), "{}", problem(&kit));
    kit.keys("esc");
    kit.news(Update::Servers {
        all: vec![server("a", ServerClass::Ptr, "Ready"), server("b", ServerClass::Ptr, "Ready")],
    });
    kit.command("compare c");
    assert!(kit.toast().contains("No copy here is called `c`"), "{}", kit.toast());
    kit.keys("c").keys("right").keys("right").keys("left").keys("right");
    assert_eq!(form(&kit).copy, "b", "the copies are chosen from");
    kit.keys("esc");
    assert!(request(&kit).is_none());
    kit.command("compare b");
    kit.keys("enter");
    assert_eq!(request(&kit).unwrap().1.restored, "b");
}

#[test]
fn it_is_on_record_before_it_begins_and_live_comes_first() {
    let mut kit = kit();
    kit.journal_waits = true;
    kit.keys("6 c enter");
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
    kit.keys("6 c enter esc esc");
    assert!(request(&kit).is_none() && kit.model.pending.is_empty(), "read-only");
    kit.command("arm 15m");
    kit.keys("6 c enter");
    assert!(matches!(kit.model.overlays.last(), Some(Overlay::Guard(_))));
    kit.text("production").keys("enter");
    assert!(request(&kit).unwrap().1.own_pod);
}

#[test]
fn what_lost_most_stands_on_top_while_verdicts_come_in() {
    let mut kit = kit();
    kit.keys("6 c enter");
    news(&mut kit, compared::beginning());
    assert_eq!(names(&kit)[0], "orders", "a glimpse counts");
    assert_eq!(names(&kit).last().unwrap(), "documents", "what is the same is last");
    crate::core::update::settle(&mut kit.model);
    // Whoever has not moved sees the worst that is known, not the first that was listed.
    news(&mut kit, vec![Event::Glimpse { id: 5, differs: true, rows_live: 1, rows_restored: 90_003 }]);
    crate::core::update::settle(&mut kit.model);
    assert_eq!(compare::table(&kit.model).unwrap().head.table.name, names(&kit)[0]);
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
    let head = heads(&kit);
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
    kit.keys("6 c enter");
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
    kit.keys("c enter");
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
        "at least 1410 rows lost, at least 3 changed, at least 2 new in 4 of 7 tables; 1 NOT compared; REPAIR SOME; the copy reaches \
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
        matches!(&e.event, Line::Finished { outcome: Outcome::Done { result }, .. } if result.starts_with("at least 1410 rows lost"))
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
        cut: false,
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

#[test]
fn what_is_compared_and_how_is_chosen_and_stands_on_record() {
    let mut kit = kit();
    kit.keys("6 c tab").text("users, orders*").keys("tab").text("audit").keys("tab").text("id > 7");
    kit.keys("tab right right tab").text("5").keys("tab").text("20000").keys("enter");
    assert!(problem(&kit).contains("say 1 to 10000"), "{}", problem(&kit));
    kit.keys("backspace enter");
    let (_, request) = request(&kit).unwrap();
    // printf 'id > 7' | sha256sum
    let part = "only users, orders*; without audit; rows that meet a condition (SHA-256 3472e4d39896…)";
    assert_eq!(request.options.part().unwrap(), part);
    assert_eq!(request.options.filter.as_ref().and_then(|c| c.sql()), Some("id > 7"));
    let action = Action::Compare { request: Box::new(request.clone()) };
    let begun = Msg::Acted { id: "a".into(), action, outcome: Outcome::Done { result: String::new() } };
    for what in
        [serde_json::to_string(&begun.for_recording(&kit.model)).unwrap(), format!("{:?}", kit.model.session)]
    {
        assert!(!what.contains("id > 7") && what.contains("users"), "{what}");
    }
    let action = Action::Compare { request: Box::new(request) };
    assert_eq!(
        action.command_line(),
        "drtui compare --live \"$LIVE_URL\" --restored @s189p01-rsm-pd-pg-ptr --table users --table 'orders*' \
         --exclude audit --mode logical --max-load 5 --rows 2000 --where \"$CONDITION\""
    );
    news(&mut kit, compared::beginning());
    news(&mut kit, compared::end());
    ends(&mut kit, Outcome::Done { result: "compared".into() });
    assert!(heads(&kit).contains("PART ONLY"), "{}", heads(&kit));
    let item = |id: &str| kit.model.runbook().unwrap().item(id).unwrap().clone();
    let seen = sense::sense(&kit.model, &item("validate-data")).unwrap();
    // What is lost in a part is lost; that nothing differs, a part does not prove.
    assert!(seen.verdict == Verdict::Pass && seen.value.contains(part), "{seen:?}");
    assert_eq!(sense::sense(&kit.model, &item("compare-again")).unwrap().verdict, Verdict::Unknown);
    kit.keys("c");
    assert_eq!(
        form(&kit).options().unwrap(),
        crate::domain::CompareOptions::default(),
        "no part by accident"
    );
}

#[test]
fn a_condition_is_one_expression_and_is_not_recorded_as_it_is_typed() {
    let mut kit = kit();
    kit.keys("6 c tab tab tab").text("true; drop table users").keys("enter");
    assert!(problem(&kit).contains("no semicolon") && request(&kit).is_none(), "{}", problem(&kit));
    let typed = Msg::Input { input: crossterm::event::Event::Key(crate::core::testing::key("a")) };
    assert!(!serde_json::to_string(&typed.for_recording(&kit.model)).unwrap().contains("\"a\""));
}

fn fetched(kit: &Kit) -> Option<(u64, More)> {
    kit.effects.iter().rev().find_map(|e| match e {
        Effect::Fetch { id, more, .. } => Some((*id, more.clone())),
        _ => None,
    })
}

#[test]
fn more_rows_are_fetched_by_comparing_the_table_again() {
    let mut kit = done();
    kit.keys("g enter");
    assert!(heads(&kit).contains("998 lost (the first 3 here)") && heads(&kit).contains("f fetches more"));
    kit.keys("f");
    let (id, more) = fetched(&kit).unwrap();
    assert!(matches!(&more, More::Rows { table, rows: 1_000 } if table.name == "orders"), "{more:?}");
    let progress = crate::compare::Progress { done: 1, total: 4, ..Default::default() };
    kit.send(Msg::Fetched { id, news: Fetched::Progress { progress } });
    assert!(heads(&kit).contains("again for 1000 rows of each kind, 25 % · x stops it"), "{}", heads(&kit));
    kit.keys("f");
    assert!(kit.toast().contains("x stops it"), "one at a time");
    kit.send(Msg::Fetched { id: 99, news: Fetched::Ended { why: None } });
    kit.keys("x");
    assert!(kit.effects.contains(&Effect::CancelFetch { id }) && heads(&kit).contains("stopping"));
    kit.send(Msg::Fetched { id, news: Fetched::Ended { why: Some("cancelled".into()) } });
    assert!(heads(&kit).contains("Not fetched: cancelled"), "{}", heads(&kit));
    kit.keys("f");
    let (id, _) = fetched(&kit).unwrap();
    // In the other comparison the table has another number; rows are lost meanwhile.
    let mut result = compared::orders();
    (result.id, result.counts.lost) = (0, 999);
    result.rows.insert(0, compared::row(RowKind::Lost, &[], &[Some("4000"), None, None, None]));
    kit.send(Msg::Fetched { id, news: Fetched::Rows { result: Box::new(result) } });
    kit.send(Msg::Fetched { id, news: Fetched::Ended { why: None } });
    assert_eq!(compare_rows::rows(&kit.model).len(), 9);
    assert!(heads(&kit).contains("999 lost, 3 changed, 1 new; at first 998 lost"), "{}", heads(&kit));
    kit.keys("f");
    assert!(matches!(fetched(&kit).unwrap().1, More::Rows { rows: 10_000, .. }), "ten times as many");
    assert_eq!(names(&kit)[0], "orders");
}

#[test]
fn nothing_is_fetched_of_a_comparison_that_another_is_about_to_replace() {
    let mut kit = done();
    kit.effects.clear();
    kit.journal_waits = true;
    kit.keys("c enter g enter f");
    assert!(request(&kit).is_none(), "its intent is not on disk yet");
    assert_eq!(fetched(&kit), None);
    assert!(kit.toast().contains("about to begin"), "{}", kit.toast());
    kit.journal_says();
    assert!(request(&kit).is_some());
}

#[test]
fn a_cut_value_is_fetched_whole_or_said_why_not() {
    let mut kit = done();
    kit.keys("g enter ] enter enter f");
    let (id, more) = fetched(&kit).unwrap();
    let More::Values(wanted) = more else { panic!("{more:?}") };
    assert_eq!(wanted.len(), 1, "live's is here");
    assert_eq!((wanted[0].column.as_str(), wanted[0].ctid.as_str(), wanted[0].xmin), ("note", "(0,1)", 900));
    let remarks =
        |kit: &Kit| format!("{:?}", crate::core::overlays::versions::shown(&kit.model, 2).unwrap().remarks);
    assert!(remarks(&kit).contains("Fetching the whole · x stops it"), "{}", remarks(&kit));
    let value =
        |value| Msg::Fetched { id, news: Fetched::Value { side: crate::compare::Side::Restored, value } };
    kit.send(value(None));
    kit.send(Msg::Fetched { id, news: Fetched::Ended { why: None } });
    assert!(
        remarks(&kit).contains("NOT fetched: PTR: this version of the row is not there"),
        "{}",
        remarks(&kit)
    );
    kit.keys("f");
    let (id, _) = fetched(&kit).unwrap();
    let whole = Value { text: "whole".repeat(9), cut: None };
    let news = Fetched::Value { side: crate::compare::Side::Restored, value: Some(Some(whole)) };
    let told = Msg::Fetched { id, news };
    assert!(!serde_json::to_string(&told.for_recording(&kit.model)).unwrap().contains("whole"));
    kit.send(told);
    kit.send(Msg::Fetched { id, news: Fetched::Ended { why: None } });
    assert_eq!(remarks(&kit), "[]");
    kit.keys("f");
    assert!(kit.toast().contains("all here"), "{}", kit.toast());
    kit.keys("esc backspace C");
    assert!(matches!(kit.effects.last(), Some(Effect::CopySilently(text)) if text.contains("wholewhole")));
}

#[test]
fn a_value_that_is_still_cut_says_so() {
    let mut kit = done();
    kit.keys("g enter ] enter f");
    let (id, _) = fetched(&kit).unwrap();
    let cut = Some(Cut { bytes: 1_200_000, md5: "x".into() });
    let value = Some(Some(Value { text: "a".repeat(1_000_000), cut }));
    kit.send(Msg::Fetched { id, news: Fetched::Value { side: crate::compare::Side::Restored, value } });
    kit.keys("enter");
    let shown = crate::core::overlays::versions::shown(&kit.model, 2).unwrap();
    assert!(
        format!("{:?}", shown.remarks).contains("only the first 1.0 MB of 1.2 MB are here"),
        "{:?}",
        shown.remarks
    );
}

#[test]
fn after_a_restart_the_record_is_shown_with_its_age_and_never_as_current() {
    let before = done();
    let entries = before.model.session.as_ref().unwrap().entries.clone();
    let mut kit = Kit::new();
    kit.send(Msg::Opened { entries, resumed: true, notes: vec![] });
    kit.later(7_300);
    let said = format!("{:?}", compare_past::lines(&kit.model));
    for words in [
        "NOT CURRENT: on record 2 h",
        "LIVE s189p01-rsm-pd-pg with PTR s189p01-rsm-pd-pg-ptr",
        "1410 rows lost",
        "public.orders DIFFERS 998 lost 3 changed 1 new",
        "public.audit_log GONE on live 412 lost",
        "public.sessions NOT COMPARABLE",
        "2 the same",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(kit.model.compare.is_none());
    kit.model.runbooks = before.model.runbooks.clone();
    let item = kit.model.runbook().unwrap().item("validate-data").unwrap().clone();
    let seen = sense::sense(&kit.model, &item).unwrap();
    assert_eq!((seen.verdict, seen.as_of), (Verdict::Unknown, None));
    assert!(seen.value.contains("not compared since"), "{}", seen.value);
}

#[test]
fn a_comparison_without_an_end_on_record_is_said_to_have_none() {
    let before = compared::begun();
    let entries = before.model.session.as_ref().unwrap().entries.clone();
    let mut kit = Kit::new();
    kit.send(Msg::Opened { entries, resumed: true, notes: vec![] });
    let said = format!("{:?}", compare_past::lines(&kit.model));
    assert!(said.contains("NOT FINISHED: the record has its beginning and no end"), "{said}");
}

#[test]
fn what_is_not_one_select_is_not_sent() {
    let mut kit = done();
    kit.keys("s").text("delete from users").keys("enter");
    assert!(!kit.effects.iter().any(|e| matches!(e, Effect::AskBoth { .. })));
    let Some(Overlay::Query(query)) = kit.model.overlays.last() else { panic!("no box") };
    assert!(query.problem.as_ref().unwrap().contains("begins with DELETE"), "{:?}", query.problem);
    kit.keys("backspace");
    let Some(Overlay::Query(query)) = kit.model.overlays.last() else { panic!("no box") };
    assert_eq!(query.problem, None);
}

#[test]
fn it_is_said_whether_it_is_finished_and_whether_that_is_all() {
    let mut kit = compared::begun();
    assert!(heads(&kit).contains("COMPARING, 42 %: 1 of 7 tables"), "{}", heads(&kit));
    kit.keys("x");
    assert!(heads(&kit).contains("STOPPING"));
    ends(&mut kit, Outcome::Failed { why: "cancelled".into() });
    assert!(heads(&kit).contains("NOT FINISHED: cancelled · 1 of 7 tables compared"), "{}", heads(&kit));
    assert!(heads(&kit).contains("Next: c compares again"), "{}", heads(&kit));
    let mut kit = done();
    assert!(!heads(&kit).contains("begun again"));
    let note = "the connection to the live database was cut while it was asked for rows: gone; trying again";
    news(&mut kit, vec![Event::Note { text: note.into() }]);
    assert!(
        heads(&kit).contains("cut or refused 1 time: the table at hand was begun again"),
        "{}",
        heads(&kit)
    );
    for words in ["FINISHED", "6 of 7 tables compared", "REPAIR SOME", "1 table NOT compared", "Next: Enter"]
    {
        assert!(heads(&kit).contains(words), "{words}: {}", heads(&kit));
    }
}
