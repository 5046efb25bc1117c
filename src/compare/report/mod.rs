//! A comparison written down: JSON for scripts (`docs/compare.schema.json`), text and HTML for people. Values go out as
//! the database has them in JSON; in text and HTML they are cleaned of control characters.

mod html;
mod text;

use serde_json::{Map, Value as Json, json};

use super::model::{
    Mode, RowDiff, RowVersion, SchemaChange, ServerFacts, Summary, TableResult, Value, Verdict,
};

pub use html::html;
pub use text::{sentence, text};

/// Everything that a finished comparison knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Where live is, without a password.
    pub live_at: String,
    pub restored_at: String,
    pub live: Option<ServerFacts>,
    pub restored: Option<ServerFacts>,
    pub mode: Mode,
    pub filter: Option<String>,
    pub tables: Vec<TableResult>,
    pub schema: Vec<SchemaChange>,
    pub notes: Vec<String>,
    pub summary: Option<Summary>,
}

/// The whole report as JSON.
pub fn document(report: &Report) -> Json {
    let mut tables: Vec<&TableResult> = report.tables.iter().collect();
    tables.sort_by_key(|t| (&t.table, t.id));
    json!({
        "format": "drtui compare 1",
        "live": {"at": report.live_at, "server": report.live},
        "restored": {"at": report.restored_at, "server": report.restored},
        "mode": report.mode,
        "where": report.filter,
        "tables": tables.into_iter().map(table).collect::<Vec<_>>(),
        "schema": report.schema,
        "notes": report.notes,
        "summary": report.summary,
    })
}

/// One table as JSON.
pub fn table(table: &TableResult) -> Json {
    let mut out = json!({
        "table": table.table.to_string(),
        "restored_as": table.restored_as.as_ref().map(ToString::to_string),
        "partition_of": table.partition_of.as_ref().map(ToString::to_string),
        "verdict": table.verdict.word(),
        "path": table.path.map(|p| p.word()),
        "why_path": table.why_path,
        "gates": table.gates,
        "rows_live": table.rows_live,
        "rows_restored": table.rows_restored,
        "lost": table.counts.lost,
        "new": table.counts.new,
        "changed": table.counts.changed,
        "touched_same": table.counts.touched_same,
        "exact": table.counts.exact,
        "key": table.key,
        "rows": table.rows.iter().map(|r| row(table, r)).collect::<Vec<_>>(),
        "schema": table.schema,
        "notes": table.notes,
        "times": table.times,
        "bytes": table.bytes,
        "seconds": (table.seconds * 1e6).round() / 1e6,
    });
    if let (Verdict::NotComparable { why }, Some(out)) = (&table.verdict, out.as_object_mut()) {
        out.insert("why".to_owned(), json!(why));
    }
    out
}

fn row(table: &TableResult, row: &RowDiff) -> Json {
    let key: Map<String, Json> = table.key.iter().cloned().zip(row.key.iter().map(value)).collect();
    let version = |version: &Option<RowVersion>| {
        version.as_ref().map(|v| {
            let values: Map<String, Json> =
                table.columns.iter().cloned().zip(v.values.iter().map(value)).collect();
            Json::Object(values)
        })
    };
    let differing: Vec<&String> =
        row.differing.iter().filter_map(|i| table.columns.get(usize::from(*i))).collect();
    json!({
        "kind": row.kind,
        "key": key,
        "differing": differing,
        "live": version(&row.live),
        "restored": version(&row.restored),
        "copies": row.copies,
    })
}

/// A value as text; a long one says what was cut off.
fn value(value: &Option<Value>) -> Json {
    match value {
        None => Json::Null,
        Some(Value { text, cut: None }) => json!(text),
        Some(Value { text, cut: Some(cut) }) => json!({"begins": text, "bytes": cut.bytes, "md5": cut.md5}),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::compare::catalogue::tests::catalogue;
    use crate::compare::model::{Advice, Counts, Cut, Path, RowKind, TableName};

    fn version(values: &[Option<&str>]) -> Option<RowVersion> {
        let value = |t: &Option<&str>| t.map(|t| Value { text: t.to_owned(), cut: None });
        Some(RowVersion { values: values.iter().map(value).collect(), ctid: "(0,1)".into(), xmin: 700 })
    }

    fn blank(id: u32, name: &str, verdict: Verdict) -> TableResult {
        TableResult {
            id,
            table: TableName { schema: "public".into(), name: name.into() },
            restored_as: None,
            partition_of: None,
            verdict,
            path: Some(Path::Physical),
            why_path: "same files: every gate holds".into(),
            gates: vec![],
            rows_live: Some(9),
            rows_restored: Some(10),
            counts: Counts::NONE,
            columns: vec!["id".into(), "na<me".into()],
            key: vec!["id".into()],
            rows: vec![],
            schema: vec![],
            notes: vec![],
            times: vec![],
            bytes: 1_234,
            seconds: 0.25,
        }
    }

    /// Two tables, one of which lost a row and has a changed one.
    pub fn sample() -> Report {
        let mut orders = blank(0, "orders", Verdict::Changed);
        orders.counts = Counts { lost: 1, changed: 1, ..Counts::NONE };
        let id = |n: &str| vec![Some(Value { text: n.into(), cut: None })];
        let lost = version(&[Some("7"), Some("<b>\u{1b}[31m")]);
        orders.rows = vec![
            RowDiff {
                kind: RowKind::Lost,
                key: id("7"),
                live: None,
                restored: lost,
                differing: vec![],
                copies: 1,
            },
            RowDiff {
                kind: RowKind::Changed,
                key: id("8"),
                live: version(&[Some("8"), None]),
                restored: version(&[Some("8"), Some("old")]),
                differing: vec![1],
                copies: 1,
            },
        ];
        let held = blank(1, "held", Verdict::NotComparable { why: "process 5 holds it".into() });
        let tables = [("changed".to_owned(), 1), ("not_comparable".to_owned(), 1)].into();
        let summary = Summary {
            tables,
            counts: orders.counts,
            schema_changes: 0,
            advice: Advice::RepairSome,
            advice_why: "because".into(),
            recovery_point: None,
            recovery_point_from: None,
            received_live: 600,
            received_restored: 634,
            seconds: 1.5,
        };
        Report {
            live_at: "postgres://u@live/app".into(),
            restored_at: "postgres://u@ptr/app".into(),
            live: Some(catalogue(vec![]).facts()),
            restored: Some(catalogue(vec![]).facts()),
            mode: Mode::Auto,
            filter: None,
            tables: vec![orders, held],
            schema: vec![],
            notes: vec![],
            summary: Some(summary),
        }
    }

    #[test]
    fn the_json_has_what_scripts_were_promised() {
        let json = document(&sample());
        let tables = json["tables"].as_array().unwrap();
        assert_eq!(
            (tables[0]["table"].as_str(), tables[0]["why"].as_str()),
            (Some("public.held"), Some("process 5 holds it"))
        );
        let orders = &tables[1];
        for name in [
            "table",
            "path",
            "gates",
            "rows_live",
            "rows_restored",
            "lost",
            "new",
            "changed",
            "touched_same",
            "rows",
            "bytes",
            "seconds",
        ] {
            assert!(!orders[name].is_null(), "{name}");
        }
        assert_eq!(orders["rows"][0]["key"], json!({"id": "7"}));
        assert_eq!(orders["rows"][1]["differing"], json!(["na<me"]));
        assert_eq!(orders["rows"][1]["live"]["na<me"], Json::Null);
        assert_eq!(json["summary"]["advice"], "repair_some");
    }

    #[test]
    fn a_cut_value_says_so() {
        let cut = Some(Cut { bytes: 9_000, md5: "d4".into() });
        let json = value(&Some(Value { text: "abc".into(), cut }));
        assert_eq!(json, json!({"begins": "abc", "bytes": 9_000, "md5": "d4"}));
    }

    #[test]
    fn people_read_no_control_characters_and_no_markup() {
        let report = sample();
        let text = text(&report, 3);
        assert!(
            text.contains("public.orders") && text.contains("lost") && !text.contains('\u{1b}'),
            "{text}"
        );
        let html = html(&report);
        assert!(html.contains("&lt;b&gt;") && !html.contains("<b>") && !html.contains('\u{1b}'), "{html}");
        assert!(html.contains("na&lt;me"));
    }
}
