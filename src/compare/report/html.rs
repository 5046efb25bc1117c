//! The report as one HTML page without scripts or outside files. Differences are marked by words as well as by colour.

use std::fmt::Write;

use super::super::model::{RowDiff, RowVersion, TableResult, Value, Verdict};
use super::{Report, text::sentence};
use crate::domain::text::clean;

const STYLE: &str = "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;max-width:110rem}table{border-collapse:collapse;margin:.5rem 0 1.5rem}\
th,td{border:1px solid #b1b4b6;padding:.25rem .5rem;text-align:left;vertical-align:top}th{background:#f3f2f1}\
.d{background:#fff7bf;font-weight:600}.n{color:#505a5f}.k{white-space:nowrap}";

/// The whole page.
pub fn html(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Live against restored copy</title><style>{STYLE}</style>\
         <h1>Live against restored copy</h1><p>Live: {}<br>Restored: {}</p>",
        safe(&report.live_at),
        safe(&report.restored_at)
    );
    if let Some(summary) = &report.summary {
        let _ = write!(out, "<p><strong>{}</strong></p>", safe(&summary.advice_why));
    }
    out.push_str("<table><tr><th>Table<th>Finding<th>Rows live<th>Rows restored<th>Compared by</tr>");
    let count = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    for table in &report.tables {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            safe(&table.table.to_string()),
            safe(&sentence(table)),
            count(table.rows_live),
            count(table.rows_restored),
            safe(&table.why_path)
        );
    }
    out.push_str("</table>");
    for table in report.tables.iter().filter(|t| t.verdict != Verdict::Same) {
        details(&mut out, table);
    }
    for change in &report.schema {
        let _ = write!(out, "<p>{} {}: {}</p>", safe(&change.what), safe(&change.on), safe(&change.says));
    }
    for note in &report.notes {
        let _ = write!(out, "<p class=\"n\">{}</p>", safe(note));
    }
    out.push_str("</html>\n");
    out
}

fn details(out: &mut String, table: &TableResult) {
    let _ = write!(out, "<h2>{}</h2><p>{}</p>", safe(&table.table.to_string()), safe(&sentence(table)));
    let said = table.schema.iter().map(|c| &c.says).chain(&table.notes);
    for line in said {
        let _ = write!(out, "<p>{}</p>", safe(line));
    }
    if table.rows.is_empty() {
        return;
    }
    out.push_str("<table><tr><th>Row<th>Side");
    for column in &table.columns {
        let _ = write!(out, "<th>{}", safe(column));
    }
    out.push_str("</tr>");
    for row in &table.rows {
        version(out, row, "live", row.live.as_ref());
        version(out, row, "restored", row.restored.as_ref());
    }
    out.push_str("</table>");
}

fn version(out: &mut String, row: &RowDiff, side: &str, version: Option<&RowVersion>) {
    let Some(version) = version else { return };
    let _ = write!(out, "<tr><td class=\"k\">{}<td>{side}", row.kind.word());
    for (index, value) in version.values.iter().enumerate() {
        let differs = row.differing.iter().any(|d| usize::from(*d) == index);
        let mark = if differs { (" class=\"d\"", "≠ ") } else { ("", "") };
        let _ = write!(out, "<td{}>{}{}", mark.0, mark.1, cell(value));
    }
    out.push_str("</tr>");
}

fn cell(value: &Option<Value>) -> String {
    match value {
        None => "<span class=\"n\">NULL</span>".to_owned(),
        Some(Value { text, cut: None }) => safe(text),
        Some(Value { text, cut: Some(cut) }) => {
            format!("{}… <span class=\"n\">({} bytes)</span>", safe(text), cut.bytes)
        }
    }
}

fn safe(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
