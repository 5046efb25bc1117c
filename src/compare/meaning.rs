//! What to conclude: patterns in the rows that differ, the recovery point as the data show it, and the advice.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::Column;
use super::model::{Advice, Counts, RowDiff, RowKind, Side, TableResult, Value, Verdict};
use crate::domain::text;

/// Below this many rows a pattern means nothing.
const FEW: usize = 3;

/// True for a timestamp column whose name says that it tells when a row was written.
pub fn tells_when(column: &Column) -> bool {
    const WORDS: [&str; 11] = [
        "creat", "insert", "updat", "modif", "chang", "logged", "occurred", "recorded", "received", "sent",
        "written",
    ];
    let name = column.name.to_lowercase();
    matches!(column.type_oid, 1_114 | 1_184) && WORDS.iter().any(|w| name.contains(w))
}

/// Patterns in the rows that were fetched, in words.
pub fn patterns(columns: &[String], rows: &[RowDiff], counts: &Counts) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(one_writer(rows));
    for kind in [RowKind::Lost, RowKind::Changed] {
        let of: Vec<&RowDiff> = rows.iter().filter(|r| r.kind == kind).collect();
        if of.len() < FEW {
            continue;
        }
        let total = if kind == RowKind::Lost { counts.lost } else { counts.changed };
        let which =
            if of.len() as u64 >= total { "all".to_owned() } else { format!("the first {}", of.len()) };
        said.extend(run_of_keys(kind, &of, &which));
        said.extend(common_values(columns, kind, &of, &which));
        if kind == RowKind::Changed {
            said.extend(changed_columns(columns, &of, &which));
        }
    }
    said
}

/// Rows of live that one transaction wrote.
fn one_writer(rows: &[RowDiff]) -> Vec<String> {
    let mut by: BTreeMap<(RowKind, u32), u64> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.kind == RowKind::Changed) {
        if let Some(live) = &row.live {
            *by.entry((row.kind, live.xmin)).or_default() += row.copies;
        }
    }
    let seen: u64 = by.values().sum();
    let big = by.into_iter().filter(|(_, n)| *n >= FEW as u64 && *n * 2 >= seen);
    big.map(|((_, xmin), n)| {
        format!("one transaction ({xmin}) changed {n} of the {seen} changed rows looked at")
    })
    .collect()
}

fn run_of_keys(kind: RowKind, rows: &[&RowDiff], which: &str) -> Option<String> {
    let keys: Option<BTreeSet<i64>> = rows
        .iter()
        .map(|r| match r.key.as_slice() {
            [Some(only)] => only.text.parse::<i64>().ok(),
            _ => None,
        })
        .collect();
    let keys = keys?;
    let (first, last) = (*keys.first()?, *keys.last()?);
    let span = last.checked_sub(first)?.checked_add(1)?;
    (u64::try_from(span).ok()? == keys.len() as u64)
        .then(|| format!("{which} {} rows have consecutive keys, {first} to {last}", kind.word()))
}

fn common_values(columns: &[String], kind: RowKind, rows: &[&RowDiff], which: &str) -> Option<String> {
    let side = |r: &RowDiff| r.restored.as_ref().map(|v| v.values.clone());
    let mut common = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        // Two long values may begin alike and differ in what was cut.
        let whole = |v: Value| (v.text, v.cut.map(|c| c.md5));
        let values: BTreeSet<Option<(String, Option<String>)>> =
            rows.iter().filter_map(|r| side(r)?.get(index).cloned()).map(|v| v.map(whole)).collect();
        if let ([Some((only, _))], true) =
            (values.into_iter().collect::<Vec<_>>().as_slice(), rows.len() >= 5)
        {
            common.push(format!("{column} = {}", crate::domain::text::fit(only, 40)));
        }
    }
    // Nearly every column the same says nothing about what they have in common.
    let telling = !common.is_empty() && common.len() <= 3;
    telling.then(|| format!("{which} {} rows have {}", kind.word(), common.join(", ")))
}

fn changed_columns(columns: &[String], rows: &[&RowDiff], which: &str) -> Option<String> {
    let sets: BTreeSet<&[u16]> = rows.iter().map(|r| r.differing.as_slice()).collect();
    let mut sets = sets.into_iter();
    let (Some(only), None) = (sets.next(), sets.next()) else { return None };
    let names: Vec<&str> =
        only.iter().filter_map(|i| columns.get(usize::from(*i))).map(String::as_str).collect();
    (!names.is_empty()).then(|| format!("{which} changed rows differ in {} only", names.join(", ")))
}

/// What to do, and why.
pub fn advise(tables: &[TableResult]) -> (Advice, String) {
    let count = |verdict: &str| tables.iter().filter(|t| t.verdict.word() == verdict).count();
    let sum = |of: fn(&Counts) -> u64| tables.iter().map(|t| of(&t.counts)).sum::<u64>();
    let (lost, new, changed) = (sum(|c| c.lost), sum(|c| c.new), sum(|c| c.changed));
    let (gone, fresh, unknown) = (count("gone"), count("new"), count("not_comparable"));
    // Numbers from a sample prove that there is some, and never that there is none.
    let guessed = tables.iter().filter(|t| t.verdict.word() == "changed" && !t.counts.exact).count();
    let parts = [
        (lost > 0).then(|| format!("{} lost", text::counted(lost, "row"))),
        (changed > 0).then(|| format!("{changed} changed")),
        (new > 0).then(|| format!("{new} new")),
        (gone > 0).then(|| format!("{} gone", text::counted(gone as u64, "table"))),
        (fresh > 0).then(|| format!("{} new", text::counted(fresh as u64, "table"))),
    ];
    let rows = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let others = format!("{} could not be compared", text::counted(unknown as u64, "table"));
    if unknown > 0 && lost + new + changed == 0 && gone + fresh == 0 {
        return (Advice::LookCloser, format!("{others}; the others are the same"));
    }
    if lost + new + changed == 0 && gone + fresh == 0 {
        return (Advice::NothingToDo, "no row differs".to_owned());
    }
    if lost + changed == 0 && gone == 0 {
        if unknown > 0 {
            let why =
                format!("{rows}: where it was compared, the copy has nothing that live lacks, but {others}");
            return (Advice::LookCloser, why);
        }
        if guessed > 0 {
            return (Advice::LookCloser, estimated(&rows, guessed));
        }
        let why = format!(
            "{rows}: the copy has nothing that live lacks; if data are missing, it is from after the loss: choose an earlier time"
        );
        return (Advice::ChooseAnotherTime, why);
    }
    if unknown > 0 && new == 0 && fresh == 0 && changed == 0 {
        let why =
            format!("{rows}: where it was compared, live has nothing that the copy lacks, but {others}");
        return (Advice::LookCloser, why);
    }
    if new == 0 && fresh == 0 && changed == 0 {
        if guessed > 0 {
            return (Advice::LookCloser, estimated(&rows, guessed));
        }
        return (Advice::RestoreAll, format!("{rows}: live has nothing that the copy lacks"));
    }
    let cost = if new + fresh as u64 > 0 { "lose what is new" } else { "undo what was changed" };
    let but =
        if unknown > 0 { format!("; but {others}: what they need is not known") } else { String::new() };
    let why = format!("{rows}: restoring everything would {cost}: repair from the copy{but}");
    (Advice::RepairSome, why)
}

fn estimated(rows: &str, tables: usize) -> String {
    let tables = text::counted(tables, "table");
    format!(
        "about {rows}: the numbers of {tables} are estimates, which do not prove that there is nothing else"
    )
}

/// Totals over all tables.
pub fn totals(tables: &[TableResult]) -> Counts {
    tables.iter().fold(Counts::NONE, |a, t| Counts {
        lost: a.lost + t.counts.lost,
        new: a.new + t.counts.new,
        changed: a.changed + t.counts.changed,
        touched_same: a.touched_same + t.counts.touched_same,
        exact: a.exact && (t.counts.exact || matches!(t.verdict, Verdict::NotComparable { .. })),
    })
}

/// The side that a row's shown key comes from.
pub fn side_of(row: &RowDiff) -> Side {
    if row.live.is_some() { Side::Live } else { Side::Restored }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::{Cut, RowVersion, TableName};

    fn version(values: &[&str], xmin: u32) -> Option<RowVersion> {
        let value = |t: &&str| Some(Value { text: (*t).to_owned(), cut: None });
        Some(RowVersion { values: values.iter().map(value).collect(), ctid: "(0,1)".into(), xmin })
    }

    fn row(kind: RowKind, id: u32, state: &str) -> RowDiff {
        let id = id.to_string();
        RowDiff {
            kind,
            key: vec![Some(Value { text: id.clone(), cut: None })],
            live: (kind != RowKind::Lost).then(|| version(&[&id, "x"], 900)).flatten(),
            restored: version(&[&id, state], 700),
            differing: if kind == RowKind::Changed { vec![1] } else { vec![] },
            copies: 1,
        }
    }

    #[test]
    fn values_that_only_begin_alike_have_nothing_in_common() {
        let columns = ["id".to_owned(), "state".to_owned()];
        let mut rows: Vec<RowDiff> = (10..16).map(|n| row(RowKind::Lost, n * n, "open")).collect();
        let counts = Counts { lost: 6, ..Counts::NONE };
        assert_eq!(patterns(&columns, &rows, &counts), ["all lost rows have state = open"]);
        for (n, row) in rows.iter_mut().enumerate() {
            let value = row.restored.as_mut().and_then(|v| v.values.get_mut(1)?.as_mut()).unwrap();
            value.cut = Some(Cut { bytes: 9_000, md5: n.to_string() });
        }
        assert_eq!(patterns(&columns, &rows, &counts), [""; 0]);
    }

    #[test]
    fn what_was_not_compared_is_never_concluded_about() {
        let table = |verdict: Verdict, lost: u64| TableResult {
            id: 1,
            table: TableName { schema: "public".into(), name: "t".into() },
            restored_as: None,
            partition_of: None,
            verdict,
            path: None,
            why_path: String::new(),
            gates: vec![],
            rows_live: None,
            rows_restored: None,
            counts: Counts { lost, ..Counts::NONE },
            columns: vec![],
            key: vec![],
            rows: vec![],
            schema: vec![],
            notes: vec![],
            times: vec![],
            bytes: 0,
            seconds: 0.0,
        };
        let not = || table(Verdict::NotComparable { why: "no grant".into() }, 0);
        let (advice, why) = advise(&[table(Verdict::Changed, 1), table(Verdict::Same, 0)]);
        assert_eq!(
            (advice, why.as_str()),
            (Advice::RestoreAll, "1 row lost: live has nothing that the copy lacks")
        );
        let (advice, why) = advise(&[table(Verdict::Changed, 2), not()]);
        assert!(advice == Advice::LookCloser && why.ends_with("but 1 table could not be compared"), "{why}");
        let new = || TableResult { counts: Counts { new: 3, ..Counts::NONE }, ..table(Verdict::Changed, 0) };
        assert_eq!(advise(&[new(), table(Verdict::Same, 0)]).0, Advice::ChooseAnotherTime);
        // What is missing on live may be in what was not compared: nobody is sent to an earlier time for it.
        let (advice, why) = advise(&[new(), not()]);
        assert!(advice == Advice::LookCloser && why.ends_with("but 1 table could not be compared"), "{why}");
        let (advice, why) = advise(&[table(Verdict::Changed, 2), new(), not(), not()]);
        assert!(advice == Advice::RepairSome && why.contains("but 2 tables could not be compared"), "{why}");
        // Of a sample: that it saw none does not prove that there is none.
        let guess = |counts| TableResult { counts, ..table(Verdict::Changed, 0) };
        for counts in [Counts { lost: 9, ..Counts::NONE }, Counts { new: 9, ..Counts::NONE }] {
            let (advice, why) = advise(&[guess(Counts { exact: false, ..counts }), table(Verdict::Same, 0)]);
            assert!(advice == Advice::LookCloser && why.contains("1 table are estimates"), "{why}");
        }
        let (advice, why) = advise(&[table(Verdict::Gone, 0), table(Verdict::Same, 0)]);
        assert_eq!(
            (advice, why.as_str()),
            (Advice::RestoreAll, "1 table gone: live has nothing that the copy lacks")
        );
    }

    #[test]
    fn patterns_are_seen_and_named() {
        let columns = ["id".to_owned(), "state".to_owned()];
        let lost: Vec<RowDiff> = (10..16).map(|n| row(RowKind::Lost, n, "open")).collect();
        let changed = (20..23).map(|n| row(RowKind::Changed, n * 7, "open"));
        let rows: Vec<RowDiff> = lost.into_iter().chain(changed).collect();
        let counts = Counts { lost: 6, changed: 9, ..Counts::NONE };
        let said = patterns(&columns, &rows, &counts);
        assert_eq!(
            said,
            [
                "one transaction (900) changed 3 of the 3 changed rows looked at",
                "all lost rows have consecutive keys, 10 to 15",
                "all lost rows have state = open",
                "the first 3 changed rows differ in state only",
            ]
        );
    }
}
