use proptest::prelude::*;

use super::super::model::{Do, Expect, Probe, Scope, Value};
use super::*;

const TYPED: &str = r#"---
runbook: loss-of-data
version: 3
condition: "server is listed; rows are missing"
goal: Put the lost rows back.
rto: 4h          # agreed with the owner
rpo: not-agreed
memory: STOP WRITES
memory: FREEZE MAIN
last_reviewed_on: 2026-08-01
review_in: 6 months
---
# Loss of data

Intro.

## Stop writes

Why we stop.

### Scale every deployment to 0

Users must not write. See [the platform](https://example.org/a).

```dr
role: tech
estimate: 2m
memory: yes
sense: replicas.ready(app)
verify: == 0
capture: replicas(app)
do: scale(app, 0)
undo: restart-applications
```

```sh
$ kubectl -n ns get deployments
```

#### Tell the team

By `gh issue create` or by voice.

## Come back

### Restart applications

```dr
sense: replicas.ready(app)
verify: == captured
do: restore(app)
```
"#;

fn line_of(error: &RunbookError) -> (usize, String) {
    (error.line, error.to_string())
}

#[test]
fn a_typed_runbook_reads_as_it_is_written() {
    let runbook = parse("loss-of-data.md", TYPED).unwrap();
    assert_eq!((runbook.id.as_str(), runbook.version, runbook.plain), ("loss-of-data", 3, false));
    assert_eq!((runbook.rto_minutes, runbook.rpo_minutes), (Some(240), None));
    assert_eq!(runbook.memory, ["STOP WRITES", "FREEZE MAIN"]);
    assert_eq!(runbook.review_by.map(|d| d.to_string()).as_deref(), Some("2027-02-01"));
    assert_eq!(
        runbook.sections.iter().map(|s| s.title.as_str()).collect::<Vec<_>>(),
        ["Stop writes", "Come back"]
    );
    assert_eq!(runbook.sections[0].notes, ["Why we stop."]);
    let item = runbook.item("scale-every-deployment-to-0").unwrap();
    assert_eq!(item.role, Some(Role::Tech));
    assert_eq!((item.estimate, item.memory, item.depth), (Some(2), true, 0));
    assert_eq!(item.sense, Some(Probe::ReplicasReady { scope: Scope::App }));
    assert_eq!(item.verify.as_ref().map(ToString::to_string).as_deref(), Some("== 0"));
    assert_eq!(item.capture, Some(Scope::App));
    assert_eq!(item.action, Some(Do::Scale { scope: Scope::App, to: 0 }));
    assert_eq!(item.undo.as_deref(), Some("restart-applications"));
    assert_eq!(item.commands, ["kubectl -n ns get deployments"]);
    assert_eq!(item.links[0].url, "https://example.org/a");
    assert_eq!(item.notes, ["Users must not write. See the platform."]);
    let sub = runbook.item("tell-the-team").unwrap();
    assert_eq!((sub.depth, sub.commands.as_slice()), (1, &["gh issue create".to_owned()][..]));
    let back = runbook.item("restart-applications").unwrap();
    assert!(matches!(&back.verify, Some(Expect { value: Value::Captured, .. })));
    assert_eq!(back.action, Some(Do::Restore { scope: Scope::App }));
}

#[test]
fn the_hash_is_the_files_own() {
    // printf '# T\n' | sha256sum
    let runbook = parse("t.md", "# T\n").unwrap();
    assert_eq!(runbook.sha256, "63f9dda6643341501cef7b9d2a8a2bcefda8ec16d62d0ef2ce63dc2b9a69424f");
}

#[test]
fn errors_name_file_line_and_the_nearest_right_thing() {
    for (from, to, line, says) in [
        (
            "sense: replicas.ready(app)\nverify: == 0",
            "sens: replicas.ready(app)",
            29,
            "unknown key `sens`; did you mean `sense`?",
        ),
        (
            "sense: replicas.ready(app)\nverify: == 0",
            "sense: replica.redy(app)",
            29,
            "did you mean `replicas.ready`?",
        ),
        ("sense: replicas.ready(app)\nverify: == 0", "sense: server.state(liv)", 29, "did you mean `live`?"),
        ("sense: replicas.ready(app)\nverify: == 0", "verify: == 0", 29, "`verify` without `sense`"),
        ("verify: == 0", "verify: = 0", 30, "write `== 0`"),
        ("verify: == 0", "verify: == Ready", 30, "gives a number"),
        ("role: tech", "role: teck", 26, "did you mean `tech`?"),
        ("estimate: 2m", "estimate: 2 minutes", 27, "write `2m` or `1h`"),
        (
            "undo: restart-applications",
            "undo: restart-application",
            33,
            "did you mean `restart-applications`?",
        ),
        ("do: scale(app, 0)", "do: scale(app, -1)", 32, "0 to 1000"),
        ("do: scale(app, 0)", "do: delete(app)", 32, "unknown change `delete`"),
        ("role: tech", "role tech", 26, "expected `key: value`"),
        ("estimate: 2m", "role: tech", 27, "`role` stands here twice"),
        ("version: 3", "versoin: 3", 3, "did you mean `version`?"),
        ("version: 3\n", "", 1, "no `version`"),
        ("rto: 4h", "rto: four hours", 6, "`4h`, `90m` or `not-agreed`"),
        ("#### Tell the team", "### Scale every deployment to 0", 40, "on line 21"),
        ("### Restart applications", "Restart applications", 48, "not under an item"),
        ("# Loss of data", "## Loss of data", 1, "no `#` title"),
        ("## Come back", "##### Deep\n## Come back", 44, "deeper than"),
    ] {
        assert!(TYPED.contains(from), "{from}");
        let error = parse("loss-of-data.md", &TYPED.replacen(from, to, 1)).unwrap_err();
        let (at, text) = line_of(&error);
        assert!(text.starts_with("loss-of-data.md:") && text.contains(says), "{to}: {text}");
        assert_eq!(at, line, "{to}: {text}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let big = format!("# T\n{}", "x".repeat(MAX_BYTES));
    assert!(matches!(parse("t.md", &big).unwrap_err().problem, Problem::TooLarge { .. }));
    let many = format!("# T\n## S\n{}", "### a\n".repeat(300));
    assert!(parse("t.md", &many).unwrap_err().to_string().contains("at most 250"));
    let memory = TYPED.replace("memory: FREEZE MAIN", "memory: a\nmemory: b\nmemory: c");
    assert!(parse("t.md", &memory).unwrap_err().to_string().contains("4 memory items"));
}

/// Shape: `#`, `##` scenarios, `###` steps with prose and bullets, a section of bullets at the end.
const HEADINGS: &str = "# Recovery\n\nWords.\n\n## Scenario 1: [the server](https://example.org/s)\n\nThe aims are:\n\n- one\n- two\n\n### Tell people\nFollow the [playbook](https://example.org/p#x).\n\n### Tell people\nRun the *restore workflow*.\n\n1. first\n1. second\n\n## Afterwards\n- Hold a review\n- Raise cards\n";

#[test]
fn headings_become_a_manual_checklist() {
    let runbook = parse("x.md", HEADINGS).unwrap();
    assert!(runbook.plain);
    assert_eq!((runbook.id.as_str(), runbook.title.as_str()), ("recovery", "Recovery"));
    let first = &runbook.sections[0];
    assert_eq!(first.title, "Scenario 1: the server");
    assert_eq!(first.notes, ["The aims are:", "• one", "• two"]);
    let seen: Vec<(&str, u8)> = first.items.iter().map(|i| (i.id.as_str(), i.depth)).collect();
    assert_eq!(seen, [("tell-people", 0), ("tell-people-2", 0), ("first", 1), ("second", 1)]);
    assert_eq!(first.items[0].links[0].url, "https://example.org/p#x");
    let last: Vec<&str> = runbook.sections[1].items.iter().map(|i| i.title.as_str()).collect();
    assert_eq!(last, ["Hold a review", "Raise cards"]);
}

/// Shape: numbered lists under `##`, lists in lists, commands in backticks, lettered lines, a table, no front matter.
const LISTS: &str = "# Recovery\n\n## Is it corrupted?\n\n*Steps 1 & 2 can run together*\n\n1. Scale down\n    1. `kubectl -n ns get deployments`\n    2. `kubectl -n ns scale deployment web --replicas 0`\n        1. deeper\n2. [Take a backup](https://example.org/b)\n    a. *By hand* it only backs up\n    b. Name it\n\n## Addresses\n\n| Service | URL |\n| --- | --- |\n| Find | [find](https://example.org/f) |\n";

#[test]
fn numbered_lists_become_items_and_sub_items() {
    let runbook = parse("x.md", LISTS).unwrap();
    let first = &runbook.sections[0];
    let seen: Vec<(&str, u8)> = first.items.iter().map(|i| (i.title.as_str(), i.depth)).collect();
    assert_eq!(
        seen,
        [
            ("Scale down", 0),
            ("kubectl -n ns get deployments", 1),
            ("kubectl -n ns scale deployment web --replicas 0", 1),
            ("Take a backup", 0),
        ]
    );
    assert_eq!(first.notes, ["Steps 1 & 2 can run together"]);
    assert_eq!(first.items[2].commands, ["kubectl -n ns scale deployment web --replicas 0"]);
    assert_eq!(first.items[2].notes, ["    1. deeper"]);
    assert_eq!(first.items[3].notes, ["a. By hand it only backs up", "b. Name it"]);
    assert_eq!(runbook.sections[1].items[0].links[0].url, "https://example.org/f");
}

/// Shape: a web page copied as text: lone lines for headings, `•` for bullets, spaced numbers.
const PAGE: &str = "Skip to main content\n\nSome service - Recovery\n\nThe systems may fail.\n\nScenario 1: Loss of server\n\nIn this scenario it is gone.\n\n  1. Start the process\n  2. Freeze\n\nFreeze pipeline\n\nAlert developers.\n\n  • In settings, require 6 approvers\n\nStop the service (if it runs)\n\ne.g. [update names]\n\n  • kubectl -n ns get deployments\n  • kubectl -n ns scale deployment web --replicas 0\n\nRun: bin/konduit.sh -x -n <namespace> -s <server> <app> -- psql\n\nScenario 2: Loss of data\n\nThings that could go wrong\n\nIt goes down\n\nSymptoms\n\n  • down\n\nAnother goes down\n\nSymptoms\n\n  • gone\n";

#[test]
fn a_copied_page_gets_headings_from_its_lone_lines() {
    let runbook = parse("page.txt", PAGE).unwrap();
    assert_eq!(runbook.title, "Some service - Recovery");
    let sections: Vec<&str> = runbook.sections.iter().map(|s| s.title.as_str()).collect();
    assert_eq!(
        sections,
        [
            "Scenario 1: Loss of server",
            "Scenario 2: Loss of data",
            "Things that could go wrong",
            "It goes down",
            "Another goes down"
        ]
    );
    let items: Vec<&str> = runbook.sections[0].items.iter().map(|i| i.title.as_str()).collect();
    assert_eq!(items, ["Freeze pipeline", "Stop the service (if it runs)"]);
    assert_eq!(
        runbook.sections[0].items[1].commands,
        [
            "kubectl -n ns get deployments",
            "kubectl -n ns scale deployment web --replicas 0",
            "bin/konduit.sh -x -n <namespace> -s <server> <app> -- psql",
        ]
    );
    assert_eq!(runbook.sections[3].items[0].title, "Symptoms");
    assert_eq!(runbook.sections[4].items[0].id, "symptoms-2");
}

#[test]
fn front_matter_of_another_tool_gives_the_title_and_nothing_else() {
    let text = "---\ntitle: How we tested\ntags:\n  - recovery\n---\n\nIntro.\n\n## Why\n\nBecause.\n\n### Deeper\n\nMore.\n\n## How\n\n- so\n";
    let runbook = parse("x.md", text).unwrap();
    assert_eq!(runbook.title, "How we tested");
    let items: Vec<(&str, &str)> = runbook
        .sections
        .iter()
        .flat_map(|s| s.items.iter().map(|i| (s.title.as_str(), i.title.as_str())))
        .collect();
    assert_eq!(items, [("Why", "Deeper"), ("How", "so")]);
}

#[test]
fn control_sequences_do_not_reach_the_screen() {
    let runbook =
        parse("x.md", "# A\u{1b}[31mB\n## S\u{202e}\n### I\u{7}\nnote \u{1b}]0;x\u{7}end\n").unwrap();
    let all = format!("{runbook:?}");
    assert!(!all.contains("\\u{1b}") && !all.contains("\\u{7}") && !all.contains("202e"), "{all}");
}

#[test]
fn the_shipped_runbook_holds_its_own_rules() {
    let text = include_str!("../../config/runbooks/loss-of-data.md");
    let today = chrono::NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
    let (runbook, found) = super::super::check("loss-of-data.md", text, today).unwrap();
    // Nobody at a service has reviewed it yet, and it does not claim so.
    let found: Vec<String> = found.into_iter().map(|f| f.what).collect();
    assert!(found.len() == 1 && found[0].contains("last_reviewed_on"), "{found:?}");
    assert_eq!(runbook.memory, ["STOP WRITES", "FREEZE MAIN", "SAY SO IN TEAMS"]);
    assert_eq!(runbook.items().filter(|i| i.memory).count(), 3);
    let stop = runbook.items().find(|i| i.action == Some(Do::Scale { scope: Scope::App, to: 0 })).unwrap();
    let back = runbook.item(stop.undo.as_deref().unwrap()).unwrap();
    assert_eq!(back.action, Some(Do::Restore { scope: Scope::App }));
    assert_eq!(back.verify.as_ref().map(ToString::to_string).as_deref(), Some("== captured"));
    assert_eq!(runbook.items().filter(|i| i.estimate.is_some()).count(), 0, "nobody has measured any step");
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("---".to_owned()),
        Just("```dr".to_owned()),
        Just("```".to_owned()),
        Just(String::new()),
        "#{1,7} [a-c]{0,3}",
        "(runbook|version|rto|goal|review_in|last_reviewed_on|memory): [0-9a-z-]{0,5}",
        "(role|estimate|sense|verify|capture|do|undo): ?[a-z.=]{0,8}\\(?[a-z, 0-9]{0,4}\\)?",
        " {0,6}([0-9]{1,3}\\.|[-•*]) [a-c ]{0,4}",
        "[A-C][a-z ]{0,20}",
        "\\| a \\| b \\|",
        ".{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in "(?s).{0,300}") {
        let _ = parse("x.md", &text);
    }

    #[test]
    fn any_lines_are_survived_and_ids_are_unique(lines in prop::collection::vec(line(), 0..60)) {
        match parse("x.md", &lines.join("\n")) {
            Ok(runbook) => {
                let mut ids: Vec<&str> = runbook.items().map(|i| i.id.as_str()).collect();
                let count = ids.len();
                ids.sort_unstable();
                ids.dedup();
                prop_assert_eq!(ids.len(), count);
                prop_assert!(runbook.items().all(|i| i.depth < 2 && !i.title.is_empty()));
                let targets = runbook.items().filter_map(|i| i.undo.as_deref()).all(|t| runbook.item(t).is_some());
                prop_assert!(targets);
            }
            Err(error) => prop_assert!(error.line >= 1 && error.line <= lines.len() + 1, "{}", error),
        }
    }

    #[test]
    fn a_damaged_runbook_is_survived(at in any::<prop::sample::Index>(), with in any::<char>()) {
        let mut chars: Vec<char> = TYPED.chars().collect();
        let at = at.index(chars.len());
        chars[at] = with;
        let _ = parse("x.md", &chars.into_iter().collect::<String>());
    }
}
