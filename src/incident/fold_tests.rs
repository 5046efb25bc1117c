use proptest::prelude::*;

use super::super::sample;
use super::*;

#[test]
fn the_sample_folds_to_what_happened() {
    let state = State::fold(&sample::entries());
    assert_eq!(state.mark("scale-every-deployment-to-0"), Mark::Verified);
    assert_eq!(state.mark("open-the-thread"), Mark::Said);
    assert_eq!(state.mark("freeze-main"), Mark::Overridden);
    assert_eq!(state.mark("restart-applications"), Mark::Open);
    assert_eq!(state.last_answered.as_deref(), Some("freeze-main"));
    assert_eq!(state.open_undo().map(|l| l.undo.id.as_str()).collect::<Vec<_>>(), ["u2"]);
    assert_eq!(state.open_actions().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["a3"]);
    let uncertain: Vec<_> =
        state.actions.iter().filter(|a| a.is_uncertain()).map(|a| a.id.as_str()).collect();
    assert_eq!(uncertain, ["a2", "a3"]);
    assert!(!state.can_close());
    assert_eq!(state.armed_until, None, "a resumed cockpit is read-only");
    assert_eq!((state.next_undo_id().as_str(), state.next_action_id().as_str()), ("u3", "a5"));
    assert_eq!(state.captured_replicas(&sample::deployment("rsm-production-worker")), Some(("u2", 1)));
    assert_eq!(state.captured_replicas(&sample::deployment("rsm-production")), None);
    assert!(state.oddities.is_empty(), "{:?}", state.oddities);
}

#[test]
fn a_reopened_item_is_open_with_its_reason() {
    let mut events = sample::events();
    events.push((
        12,
        Event::Reopened {
            item: "open-the-thread".into(),
            title: "Open the thread".into(),
            why: "gone".into(),
        },
    ));
    let state = State::fold(&sample::chain(events));
    assert_eq!(state.mark("open-the-thread"), Mark::Open);
    assert_eq!(state.answers["open-the-thread"].reason.as_deref(), Some("gone"));
}

#[test]
fn a_waived_undo_lets_the_incident_close_and_stays_on_record() {
    let mut events = sample::events();
    events.push((12, Event::Waived { undo: "u2".into(), reason: "worker retired".into() }));
    let state = State::fold(&sample::chain(events));
    assert!(state.can_close());
    let end = state.ledger[1].ended.clone().unwrap();
    assert!(!end.put_back && end.words == "worker retired" && end.who == "ann@bastion");
}

#[test]
fn the_older_capture_wins_when_a_zero_was_captured_after_it() {
    let events = vec![
        (0, sample::opened()),
        (1, sample::captured("u1", "web", 2)),
        (2, sample::captured("u2", "web", 0)),
    ];
    let state = State::fold(&sample::chain(events));
    assert_eq!(state.captured_replicas(&sample::deployment("web")), Some(("u1", 2)));
}

#[test]
fn armed_means_before_its_end_and_not_after_closing() {
    let mut state =
        State::fold(&sample::chain(vec![(0, sample::opened()), (1, Event::Armed { until: sample::at(16) })]));
    assert!(state.is_armed(sample::at(15)) && !state.is_armed(sample::at(16)));
    state.closed = Some(Closing { summary: String::new(), who: String::new(), at: sample::at(2) });
    assert!(!state.is_armed(sample::at(3)));
}

fn id(letter: char) -> impl Strategy<Value = String> {
    prop_oneof![
        (0u8..4).prop_map(move |n| format!("{letter}{n}")),
        ".{0,6}",
        Just(format!("{letter}{}", u64::MAX))
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let mark = prop_oneof![Just(Mark::Open), Just(Mark::Verified), Just(Mark::Said), Just(Mark::Overridden)];
    prop_oneof![
        Just(sample::opened()),
        ".{0,8}".prop_map(|text| Event::Noted { text, item: None }),
        (0i64..60).prop_map(|m| Event::Armed { until: sample::at(m) }),
        Just(Event::Disarmed { why: String::new() }),
        Just(Event::Resumed { notes: vec![] }),
        ("[a-c]", mark).prop_map(|(item, mark)| sample::answered(&item, &item, mark, None, None)),
        "[a-c]".prop_map(|i| Event::Reopened { item: i.clone(), title: i, why: String::new() }),
        (id('u'), any::<i32>()).prop_map(|(i, n)| sample::captured(&i, "web", n)),
        (id('a'), any::<i32>()).prop_map(|(i, n)| sample::scale(&i, "web", n, 0, None)),
        id('a').prop_map(|id| Event::Finished { id, outcome: Outcome::Unknown { why: String::new() } }),
        id('a').prop_map(|id| Event::Finished { id, outcome: Outcome::Done { result: String::new() } }),
        id('u').prop_map(|undo| Event::Undone { undo, how: String::new() }),
        id('u').prop_map(|undo| Event::Waived { undo, reason: String::new() }),
        Just(Event::Closed { summary: String::new() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_entries_in_any_order_fold(events in prop::collection::vec(any_event(), 0..40)) {
        let entries = sample::chain(events.into_iter().map(|e| (0, e)).collect());
        let whole = State::fold(&entries);
        // Folding in two parts gives the same as folding at once: nothing hides between entries.
        let (head, tail) = entries.split_at(entries.len() / 2);
        let mut parts = State::fold(head);
        tail.iter().for_each(|e| parts.apply(e));
        prop_assert_eq!(&whole, &parts);
        let last = format!("a{}", u64::MAX);
        let fresh = !whole.actions.iter().any(|a| a.id == whole.next_action_id() && a.id != last);
        prop_assert!(fresh);
        let captured = whole.ledger.len();
        prop_assert_eq!(captured, whole.open_undo().count() + whole.ledger.iter().filter(|l| l.ended.is_some()).count());
        prop_assert_eq!(whole.can_close(), whole.open_undo().count() == 0);
    }
}
