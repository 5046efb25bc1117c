use proptest::prelude::*;

use super::super::event::Event;
use super::super::sample;
use super::*;

#[test]
fn the_report_tells_the_sample_truly() {
    let text = markdown(&sample::entries(), &Make::default());
    for said in [
        "# EXERCISE: Incident report: Loss of data",
        "2026-07-03 10:00:00 BST (09:00 UTC)",
        "1 verified, 1 said done, 1 overridden, 1 open (4 planned)",
        "2 done, 0 failed, 2 with unknown outcome",
        "1 put back, 0 waived, 1 still open",
        "told \\*everyone\\* \\| by phone",
        "rows &lt;b&gt;went&lt;/b&gt; wrong",
        "**still open**, due at `restart-applications`",
        "`kubectl -n tra-production scale deployment rsm-production --replicas 0`",
        "autoscaler rsm-production-hpa 2 to 8",
        "not closed",
        "none is agreed",
    ] {
        assert!(text.contains(said), "missing: {said}\n{text}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn nobody_is_named_for_what_the_cockpit_sensed() {
    let mut events = sample::events();
    events.push((12, Event::Observed { what: "service is down".into(), source: "service".into() }));
    events.push((13, Event::Undone { undo: "u2".into(), how: "1 wanted and 1 ready".into() }));
    let json = json(&sample::chain(events), &Make::default());
    let timeline = json["timeline"].as_array().unwrap();
    let who = |kind: &str| {
        timeline.iter().rev().find(|l| l["what"].as_str().unwrap().contains(kind)).unwrap()["who"].clone()
    };
    assert_eq!(who("service is down"), "drtui (sensed)");
    assert_eq!(who("u2 put back"), "drtui (sensed)");
    assert_eq!(who("note:"), "ann@bastion", "what a person wrote is theirs");
    assert_eq!(json["undo"][1]["ended_by"], "drtui (sensed)");
}

#[test]
fn the_json_is_the_same_account() {
    let json = json(&sample::entries(), &Make { now: Some(sample::at(40)), damage: None });
    assert_eq!(json["scorecard"]["undo_open"], 1);
    assert_eq!(json["clocks"][0]["elapsed_s"], 3600);
    assert_eq!(json["steps"].as_array().unwrap().len(), 4);
    assert_eq!(json["changes"][2]["outcome"], "unknown");
    assert_eq!(json["integrity"]["head_hash"], sample::entries().last().unwrap().hash.as_str());
}

#[test]
fn a_closed_incident_is_measured_against_its_objective() {
    let mut events = sample::events();
    if let Event::Planned { rto_minutes, .. } = &mut events[1].1 {
        *rto_minutes = Some(60);
    }
    events.push((30, Event::Closed { summary: "recovered".into() }));
    let met =
        Account::of(&sample::chain(events.clone()), &Make { now: Some(sample::at(9_999)), damage: None });
    assert_eq!((met.rto_met, met.clocks[0].elapsed_s), (Some(true), Some(50 * 60)));
    events.last_mut().unwrap().0 = 41;
    assert_eq!(Account::of(&sample::chain(events), &Make::default()).rto_met, Some(false));
}

#[test]
fn a_readable_part_says_so() {
    let entries = sample::entries();
    let make = Make { now: None, damage: Some("line 5: was changed".into()) };
    let text = markdown(&entries[..4], &make);
    assert!(text.contains("READABLE PART ONLY") && text.contains("line 5: was changed"));
}

#[test]
fn how_far_the_copy_reaches_is_known_from_a_comparison_on_record() {
    let mut events = sample::events();
    let without = markdown(&sample::chain(events.clone()), &Make::default());
    assert!(without.contains("- the recovery point that was reached"), "{without}");
    let request = serde_json::from_value(serde_json::json!({
        "live": "pg", "restored": "pg-ptr", "run": 1,
        "app": {"namespace": "n", "name": "a"}, "own_pod": false, "live_tunnel": 1, "restored_tunnel": 2,
        "incident": null, "options": {},
    }));
    let action = Action::Compare { request: Box::new(request.unwrap()) };
    events.push((
        12,
        Event::Intended { id: "a9".into(), action, command: "drtui compare".into(), undoes: None },
    ));
    let result = "3 rows lost; REPAIR SOME; the copy reaches 2026-07-03 08:59:58 UTC; tables: a".to_owned();
    events.push((13, Event::Finished { id: "a9".into(), outcome: Outcome::Done { result } }));
    let text = markdown(&sample::chain(events), &Make::default());
    assert!(text.contains("the restored copy reaches 2026-07-03 08:59:58 UTC at least."), "{text}");
    assert!(!text.contains("- the recovery point that was reached"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_text_stays_on_its_row(text in "(?s).{0,60}") {
        let events = vec![
            (0, sample::opened()),
            (1, Event::Noted { text: text.clone(), item: Some(text.clone()) }),
            (2, sample::answered(&text, &text, Mark::Overridden, Some(&text), Some(&text))),
            (3, Event::Closed { summary: text }),
        ];
        let made = markdown(&sample::chain(events), &Make::default());
        let rows = made.lines().filter(|l| l.starts_with("| 3 |") || l.starts_with("| 4 |")).count();
        prop_assert_eq!(rows, 2);
        for line in made.lines().filter(|l| l.starts_with("| `[!]` |")) {
            let cells = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
            prop_assert_eq!(cells, 8, "{}", line);
        }
        prop_assert!(!made.contains("<script"));
    }
}
