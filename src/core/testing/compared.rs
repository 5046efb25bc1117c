//! A comparison for tests: rows of every kind and values of every sort.

use super::{Kit, RUNBOOK, at, server};
use crate::compare::model::{
    Advice, ColumnTimes, Counts, Cut, Event, Gate, GateName, Path, Progress, RowDiff, RowVersion,
    SchemaChange, ServerFacts, Summary, TableHead,
};
use crate::compare::{RowKind, TableName, TableResult, Value, Verdict};
use crate::core::{Effect, Msg};
use crate::domain::{CompareRequest, ServerClass, TunnelId, Update};
use crate::incident::{Action, Outcome};
use crate::runbook;

pub fn request() -> CompareRequest {
    CompareRequest {
        run: 1,
        live: "s189p01-rsm-pd-pg".into(),
        restored: "s189p01-rsm-pd-pg-ptr".into(),
        app: super::key_of("rsm-production"),
        own_pod: false,
        live_tunnel: TunnelId(1),
        restored_tunnel: TunnelId(2),
        incident: None,
        options: Default::default(),
    }
}

pub fn value(text: &str) -> Option<Value> {
    Some(Value { text: text.into(), cut: None })
}

fn version(values: &[Option<&str>], ctid: &str) -> RowVersion {
    let values = values.iter().map(|v| v.and_then(value)).collect();
    RowVersion { values, ctid: ctid.into(), xmin: 900 }
}

pub fn row(kind: RowKind, live: &[Option<&str>], restored: &[Option<&str>]) -> RowDiff {
    let side = |values: &[Option<&str>]| (!values.is_empty()).then(|| version(values, "(0,1)"));
    let differing = live.iter().zip(restored).enumerate().filter(|(_, (a, b))| a != b);
    let key = live.first().or(restored.first()).copied().flatten();
    RowDiff {
        kind,
        key: vec![key.and_then(value)],
        differing: differing.map(|(n, _)| n as u16).collect(),
        live: side(live),
        restored: side(restored),
        copies: 1,
    }
}

/// A lost row with quotes, an empty text and NULL.
pub fn odd() -> RowDiff {
    row(RowKind::Lost, &[], &[Some("4711"), Some("O\"Hara, Ada"), Some(""), None])
}

pub fn table(id: u32, name: &str, rows: &[RowDiff]) -> TableResult {
    let of = |kind| rows.iter().filter(|r| r.kind == kind).count() as u64;
    let counts = Counts {
        lost: of(RowKind::Lost),
        new: of(RowKind::New),
        changed: of(RowKind::Changed),
        touched_same: of(RowKind::TouchedSame),
        exact: true,
    };
    TableResult {
        id,
        table: TableName { schema: "public".into(), name: name.into() },
        restored_as: None,
        partition_of: None,
        verdict: if rows.is_empty() { Verdict::Same } else { Verdict::Changed },
        path: Some(Path::Physical),
        why_path: "the same files, and every gate holds".into(),
        gates: vec![Gate { gate: GateName::Filenode, passed: true, saw: "16402 on both".into() }],
        rows_live: Some(8_003 - counts.lost),
        rows_restored: Some(8_003),
        counts,
        columns: ["id", "name", "note", "state"].map(String::from).to_vec(),
        key: vec!["id".into()],
        rows: rows.to_vec(),
        schema: vec![],
        notes: vec![],
        times: vec![],
        bytes: 26_400,
        seconds: 0.3,
    }
}

/// Lost, changed, new and touched rows, with values that must not be taken for each other.
pub fn orders() -> TableResult {
    let long = |end: &str| format!("{}{end}", "the same beginning ".repeat(12));
    let (live, restored) = (long("and this end"), long("and another end"));
    let wide = "データ".repeat(100);
    let rows = [
        odd(),
        row(RowKind::Lost, &[], &[Some("4712"), Some("Grace"), Some("NULL"), Some("open")]),
        row(RowKind::Lost, &[], &[Some("4713"), Some("\u{1b}[31mred\u{1b}[0m\u{7}"), None, Some("open")]),
        row(
            RowKind::Changed,
            &[Some("5001"), Some("Edsger"), Some(&live), Some("closed")],
            &[Some("5001"), Some("Edsger"), Some(&restored), Some("closed")],
        ),
        row(
            RowKind::Changed,
            &[Some("5002"), None, Some(""), Some("closed")],
            &[Some("5002"), Some("NULL"), None, Some("open")],
        ),
        row(
            RowKind::Changed,
            &[Some("5003"), Some(&wide), Some("{\"a\": 1, \"b\": [1, 2]}"), Some("x")],
            &[Some("5003"), Some("データ"), Some("{\"a\": 1.0, \"b\": [1, 2]}"), Some("x")],
        ),
        row(RowKind::New, &[Some("9001"), Some("Barbara"), None, Some("open")], &[]),
        row(
            RowKind::TouchedSame,
            &[Some("6001"), Some("Alan"), None, None],
            &[Some("6001"), Some("Alan"), None, None],
        ),
    ];
    let mut result = table(1, "orders", &rows);
    result.counts.lost = 998;
    if let Some(v) = result.rows[3].restored.as_mut().and_then(|v| v.values[2].as_mut()) {
        v.cut = Some(Cut { bytes: 1_200_000, md5: "d41d8cd98f00b204e9800998ecf8427e".into() });
    }
    result.notes = vec![
        "the first 3 lost rows have consecutive keys, 4711 to 4713".into(),
        "one transaction (900) changed 3 of the 3 changed rows looked at".into(),
    ];
    result.times = vec![ColumnTimes {
        column: "updated_at".into(),
        newest_live: Some(at("2026-11-20T09:58:11Z")),
        newest_restored: Some(at("2026-11-20T09:40:58Z")),
        newest_lost: Some(at("2026-11-20T09:39:02Z")),
    }];
    result
}

pub fn facts(timeline: u32) -> ServerFacts {
    ServerFacts {
        version: "15.4".into(),
        version_num: 150_004,
        system_identifier: "7".into(),
        database: "rsm".into(),
        database_oid: 5,
        user: "u".into(),
        timeline,
        in_recovery: false,
        next_xid: 1_125,
        now: None,
        started: None,
        replayed_to: None,
        counting_since: None,
        block_size: 8_192,
        shared_buffers: 512 << 20,
        commit_timestamps: false,
        prepared_transactions: 0,
    }
}

const NAMES: [&str; 7] = ["documents", "orders", "events", "audit_log", "customers", "settings", "sessions"];

fn results() -> Vec<TableResult> {
    let mut gone = table(3, "audit_log", &[]);
    (gone.verdict, gone.rows_live, gone.counts.lost) = (Verdict::Gone, None, 412);
    (gone.path, gone.why_path) = (Some(Path::OneSide), "only in the restored copy".into());
    let mut content = table(2, "events", &[row(RowKind::New, &[Some("a1"), None, None, None], &[])]);
    (content.path, content.why_path) =
        (Some(Path::Content), "rewritten on live: contents are compared by key".into());
    content.gates = vec![Gate {
        gate: GateName::Filenode,
        passed: false,
        saw: "16402 on live, 16388 in the copy".into(),
    }];
    let mut schema = table(5, "settings", &[]);
    schema.verdict = Verdict::SchemaDiffers;
    schema.schema = vec![SchemaChange {
        what: "column".into(),
        on: "public.settings".into(),
        says: "phone: text on live, varchar(20) in the copy".into(),
        normal: false,
    }];
    let mut refused = table(6, "sessions", &[]);
    refused.verdict = Verdict::NotComparable { why: "no permission to read it on live (42501)".into() };
    (refused.path, refused.rows_live, refused.rows_restored) = (None, None, None);
    vec![table(0, "documents", &[]), orders(), content, gone, table(4, "customers", &[]), schema, refused]
}

/// The beginning of a comparison: what is known before any table is finished.
pub fn beginning() -> Vec<Event> {
    let head = |(n, name): (usize, &&str)| TableHead {
        id: n as u32,
        table: TableName { schema: "public".into(), name: (**name).into() },
        partition_of: None,
        bytes: 1 << 20,
        rows: 8_000,
    };
    let tables = NAMES.iter().enumerate().map(head).collect();
    let progress = Progress {
        tables_done: 1,
        tables: 7,
        done: 3 << 20,
        total: 7 << 20,
        received_live: 12_400,
        received_restored: 13_100,
        elapsed: 0.7,
        left: Some(0.9),
        now: "public.orders".into(),
        settled: 0,
    };
    vec![
        Event::Opened { live: Box::new(facts(1)), restored: Box::new(facts(2)) },
        Event::Listed { tables },
        Event::Table { table: Box::new(table(0, "documents", &[])) },
        Event::Glimpse { id: 1, differs: true, rows_live: 7_005, rows_restored: 8_003 },
        Event::Note { text: "paused 0.4 s: live has 6 active sessions".into() },
        Event::Progress { progress },
    ]
}

/// The rest of it.
pub fn end() -> Vec<Event> {
    let results = results();
    let mut events: Vec<Event> =
        results.iter().map(|r| Event::Table { table: Box::new(r.clone()) }).collect();
    let mut tables = std::collections::BTreeMap::new();
    results.iter().for_each(|r| *tables.entry(r.verdict.word().to_owned()).or_insert(0) += 1);
    let counts = Counts { lost: 1_410, new: 2, changed: 3, touched_same: 1, exact: true };
    events.push(Event::Done {
        summary: Box::new(Summary {
            tables,
            counts,
            schema_changes: 1,
            advice: Advice::RepairSome,
            advice_why: "1410 rows lost, 3 changed, 2 new; 1 table gone: repair from the copy".into(),
            recovery_point: Some(at("2026-11-20T09:40:58Z")),
            recovery_point_from: Some("newest value of public.orders.updated_at".into()),
            received_live: 2_640_000,
            received_restored: 2_840_000,
            seconds: 1.46,
        }),
    });
    events
}

const VALIDATE: &str = "
## Compare
### Validate data
```dr
sense: compare.recoverable()
verify: >= 1
```
### Compare again
```dr
sense: compare.differing()
verify: == 0
```
";

/// An incident with a copy beside live and a runbook that asks for a comparison.
pub fn kit() -> Kit {
    let mut kit = Kit::live();
    kit.model.runbooks = vec![runbook::parse("loss-of-data.md", &format!("{RUNBOOK}{VALIDATE}")).unwrap()];
    kit.news(Update::Servers {
        all: vec![
            server("s189p01-rsm-pd-pg", ServerClass::Live, "Ready"),
            server("s189p01-rsm-pd-pg-ptr", ServerClass::Ptr, "Ready"),
        ],
    });
    kit.keys("i enter");
    kit
}

/// News of the comparison with this number.
pub fn news(kit: &mut Kit, run: u32, end: bool) {
    let news = if end { self::end() } else { beginning() };
    kit.send(Msg::Compare { run, news });
}

/// One under way.
pub fn begun() -> Kit {
    let mut kit = kit();
    kit.keys("6 c enter");
    kit.send(Msg::Compare { run: 1, news: beginning() });
    kit.later(1);
    kit
}

/// One that went to its end.
pub fn done() -> Kit {
    let mut kit = begun();
    kit.send(Msg::Compare { run: 1, news: end() });
    let asked = kit.effects.iter().find_map(|e| match e {
        Effect::Run { id, action } if matches!(action, Action::Compare { .. }) => {
            Some((id.clone(), action.clone()))
        }
        _ => None,
    });
    let (id, action) = asked.unwrap();
    kit.later(1);
    kit.send(Msg::Acted { id, action, outcome: Outcome::Done { result: "compared".into() } });
    kit.keys("esc");
    kit
}
