//! A small incident for tests.

use super::event::{Action, Entry, Event, Mark, Outcome, PlannedItem, RunbookRef, Undo, UndoKind};
use super::hash::{self, ZERO};
use crate::domain::{DeploymentKey, Hpa, Sensed, Utc, Verdict};

pub fn at(minute: i64) -> Utc {
    "2026-07-03T09:00:00Z".parse::<Utc>().unwrap() + chrono::Duration::minutes(minute)
}

pub fn opened() -> Event {
    Event::Opened {
        incident: "2026-07-03-0900-rsm-production-loss-of-data".into(),
        runbook: RunbookRef {
            id: "loss-of-data".into(),
            title: "Loss of data".into(),
            version: 3,
            sha256: "ab".repeat(32),
        },
        service: "refer-serious-misconduct".into(),
        environment: "production".into(),
        production: true,
        exercise: true,
        disrupted_at: Some(at(-20)),
        detected_at: Some(at(-5)),
        place: None,
    }
}

pub fn deployment(name: &str) -> DeploymentKey {
    DeploymentKey { namespace: "tra-production".into(), name: name.into() }
}

pub fn captured(id: &str, name: &str, replicas: i32) -> Event {
    Event::Captured {
        undo: Undo {
            id: id.into(),
            kind: UndoKind::Replicas {
                deployment: deployment(name),
                replicas,
                hpa: (replicas > 2).then(|| Hpa { name: format!("{name}-hpa"), min: 2, max: 8 }),
            },
            due: Some("restart-applications".into()),
        },
    }
}

pub fn scale(id: &str, name: &str, from: i32, to: i32, undoes: Option<&str>) -> Event {
    let action = Action::Scale { deployment: deployment(name), from, to };
    Event::Intended { id: id.into(), command: action.command_line(), action, undoes: undoes.map(Into::into) }
}

pub fn answered(item: &str, title: &str, mark: Mark, value: Option<&str>, reason: Option<&str>) -> Event {
    Event::Answered {
        item: item.into(),
        title: title.into(),
        mark,
        sensed: value.map(|v| Sensed {
            value: v.into(),
            source: "kubernetes watch".into(),
            as_of: Some(at(3)),
            verdict: Verdict::Pass,
        }),
        reason: reason.map(Into::into),
    }
}

fn planned() -> Event {
    let item = |id: &str, title: &str, estimate| PlannedItem {
        id: id.into(),
        title: title.into(),
        section: "Stop the service".into(),
        role: Some("tech".into()),
        estimate,
    };
    Event::Planned {
        goal: "Put the lost rows back".into(),
        condition: "server is listed; rows are missing".into(),
        rto_minutes: None,
        rpo_minutes: Some(5),
        items: vec![
            item("scale-every-deployment-to-0", "Scale every deployment to 0", Some(2)),
            item("open-the-thread", "Open the thread", None),
            item("freeze-main", "Freeze main", None),
            item("restart-applications", "Restart applications", None),
        ],
    }
}

/// An incident that went most ways an incident can go.
pub fn events() -> Vec<(i64, Event)> {
    let done = |id: &str| Event::Finished {
        id: id.into(),
        outcome: Outcome::Done { result: "replicas set".into() },
    };
    vec![
        (0, opened()),
        (0, planned()),
        (1, Event::Armed { until: at(16) }),
        (2, captured("u1", "rsm-production", 3)),
        (2, captured("u2", "rsm-production-worker", 1)),
        (2, scale("a1", "rsm-production", 3, 0, None)),
        (2, done("a1")),
        (2, scale("a2", "rsm-production-worker", 1, 0, None)),
        (
            3,
            Event::Finished { id: "a2".into(), outcome: Outcome::Unknown { why: "connection reset".into() } },
        ),
        (
            4,
            answered(
                "scale-every-deployment-to-0",
                "Scale every deployment to 0",
                Mark::Verified,
                Some("0 of 0 ready"),
                None,
            ),
        ),
        (5, answered("open-the-thread", "Open the thread", Mark::Said, None, None)),
        (
            6,
            answered(
                "freeze-main",
                "Freeze main",
                Mark::Overridden,
                None,
                Some("GitHub is down; told *everyone* | by phone"),
            ),
        ),
        (7, Event::Noted { text: "rows <b>went</b> wrong at 10:40 BST".into(), item: None }),
        (8, scale("a3", "rsm-production", 0, 3, Some("u1"))),
        (9, Event::Resumed { notes: vec!["rsm-production: 0 of 0 ready".into()] }),
        (10, scale("a4", "rsm-production", 0, 3, Some("u1"))),
        (10, done("a4")),
        (11, Event::Undone { undo: "u1".into(), how: "3 of 3 ready".into() }),
    ]
}

/// `events` sealed into a chain.
pub fn entries() -> Vec<Entry> {
    chain(events())
}

pub fn chain(events: Vec<(i64, Event)>) -> Vec<Entry> {
    let mut prev = ZERO.to_owned();
    let mut made = Vec::new();
    for (seq, (minute, event)) in (1..).zip(events) {
        let (entry, _) = hash::seal(seq, &prev, event, at(minute), "ann@bastion").unwrap();
        prev.clone_from(&entry.hash);
        made.push(entry);
    }
    made
}

/// The journal file of `entries`.
pub fn lines() -> Vec<u8> {
    entries()
        .into_iter()
        .flat_map(|e| hash::seal(e.seq, &e.prev, e.event, e.at, &e.who).unwrap().1.into_bytes())
        .collect()
}
