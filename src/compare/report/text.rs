//! The report for people who read a terminal or a mail.

use std::fmt::Write;

use super::super::model::{RowDiff, RowKind, TableResult, Value, Verdict};
use super::Report;
use crate::domain::text::{clean, fit};

/// What was found about a table, in a line without its name.
pub fn sentence(table: &TableResult) -> String {
    let counts = &table.counts;
    let about = if counts.exact { "" } else { "about " };
    match &table.verdict {
        Verdict::Same if counts.touched_same > 0 => {
            format!("same; {} rows were written again with the same content", counts.touched_same)
        }
        Verdict::Same => "same".to_owned(),
        Verdict::Changed => {
            let all = [(counts.lost, "lost"), (counts.changed, "changed"), (counts.new, "new")];
            let parts: Vec<String> =
                all.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
            format!("{about}{}", parts.join(", "))
        }
        Verdict::Gone => format!("gone: {} rows only in the copy", counts.lost),
        Verdict::New => format!("only on live: {} rows", counts.new),
        Verdict::SchemaDiffers => "rows the same, definition differs".to_owned(),
        Verdict::NotComparable { why } => format!("not comparable: {}", clean(why)),
    }
}

/// The report as text, with at most `rows` rows of each table.
pub fn text(report: &Report, rows: usize) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "LIVE      {}\nRESTORED  {}\n", clean(&report.live_at), clean(&report.restored_at));
    let mut tables: Vec<&TableResult> = report.tables.iter().collect();
    tables.sort_by_key(|t| (weight(t), t.table.clone()));
    let same = tables.iter().filter(|t| is_same(t)).count();
    for table in tables.into_iter().filter(|t| !is_same(t)) {
        one(&mut out, table, rows);
    }
    if same > 0 {
        let _ = writeln!(out, "{same} tables are the same");
    }
    for change in &report.schema {
        let word = if change.normal { "note" } else { "DEFINITION" };
        let _ = writeln!(out, "{word}: {} {}: {}", change.what, clean(&change.on), clean(&change.says));
    }
    for note in &report.notes {
        let _ = writeln!(out, "note: {}", clean(note));
    }
    if let Some(summary) = &report.summary {
        let _ = writeln!(out, "\n{}", clean(&summary.advice_why));
        if let (Some(at), Some(from)) = (summary.recovery_point, &summary.recovery_point_from) {
            let _ = writeln!(out, "newest in the copy: {} UTC, {}", at.format("%F %T"), clean(from));
        }
        let _ = writeln!(
            out,
            "{:.2} s, {} bytes from live, {} from the copy",
            summary.seconds, summary.received_live, summary.received_restored
        );
    }
    out
}

fn is_same(table: &TableResult) -> bool {
    table.verdict == Verdict::Same
}

/// Most lost first, then what could not be compared.
fn weight(table: &TableResult) -> (u8, std::cmp::Reverse<u64>) {
    let rank = match table.verdict {
        Verdict::Gone | Verdict::Changed => 0,
        Verdict::NotComparable { .. } => 1,
        Verdict::New => 2,
        Verdict::SchemaDiffers => 3,
        Verdict::Same => 4,
    };
    (rank, std::cmp::Reverse(table.counts.lost))
}

fn one(out: &mut String, table: &TableResult, rows: usize) {
    let count = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let _ = writeln!(
        out,
        "{}: {}\n    rows {} live, {} restored; {}",
        clean(&table.table.to_string()),
        sentence(table),
        count(table.rows_live),
        count(table.rows_restored),
        clean(&table.why_path)
    );
    for change in &table.schema {
        let _ = writeln!(out, "    {}: {}", change.what, clean(&change.says));
    }
    for note in &table.notes {
        let _ = writeln!(out, "    {}", clean(note));
    }
    for kind in [RowKind::Lost, RowKind::Changed, RowKind::New] {
        for row in table.rows.iter().filter(|r| r.kind == kind).take(rows) {
            let _ = writeln!(out, "    {:8} {}", kind.word(), row_line(table, row));
        }
    }
    out.push('\n');
}

fn row_line(table: &TableResult, row: &RowDiff) -> String {
    let key: Vec<String> =
        table.key.iter().zip(&row.key).map(|(name, v)| format!("{}={}", clean(name), short(v))).collect();
    let (Some(live), Some(restored)) = (&row.live, &row.restored) else {
        let any = row.live.as_ref().or(row.restored.as_ref());
        let values: Vec<String> = any.into_iter().flat_map(|v| v.values.iter().map(short)).collect();
        return fit(&format!("{} ({})", key.join(" "), values.join(", ")), 160);
    };
    let differing: Vec<String> = row
        .differing
        .iter()
        .filter_map(|i| {
            let i = usize::from(*i);
            let (l, r) = (live.values.get(i)?, restored.values.get(i)?);
            Some(format!("{}: live {} | restored {}", clean(table.columns.get(i)?), short(l), short(r)))
        })
        .collect();
    format!("{} {}", key.join(" "), differing.join("; "))
}

fn short(value: &Option<Value>) -> String {
    value.as_ref().map_or_else(|| "NULL".to_owned(), |v| fit(&clean(&v.text), 40))
}
