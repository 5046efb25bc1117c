//! The ground truth: both sides' rows whole, by COPY in the order of their keys, merged line by line. Any size of table.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Instant;

use drtui::compare::{Counts, Mode, Options, RowKind, TableResult};

use super::pair::Server;
use super::{Bench, story, wire};

/// Rows of each kind that a comparison lists here: all.
const ALL: usize = 10_000;

/// What really differs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Truth {
    lost: u64,
    new: u64,
    changed: u64,
    /// (kind, key) of each; empty for tables without a key.
    keys: BTreeSet<(RowKind, String)>,
}

/// Every table, physical and logical, against its whole contents.
pub async fn check(bench: &mut Bench) {
    let mut found = Vec::new();
    for mode in [Mode::Auto, Mode::Logical] {
        let began = Instant::now();
        let options = Options { rows: ALL, mode, exclude: vec!["worst".into()], ..Options::default() };
        let told = wire::directly(&bench.pair, options).await;
        let summary = told.outcome.as_ref().unwrap();
        println!("  every table, {mode:?}: {:.2} s, {:?}", began.elapsed().as_secs_f64(), summary.tables);
        found.push((mode, told));
    }
    let began = Instant::now();
    let (mut wrong, mut rows) = (0, 0);
    for (name, order, key) in story::checked() {
        let truth = merge(&bench.pair.live, &bench.pair.restored, &name, order, key);
        rows += truth.lost + truth.new + truth.changed;
        for (mode, told) in &found {
            let said = of(told.table(&name));
            if said != truth {
                wrong += 1;
                println!("  WRONG: {name} by {mode:?}: {:?}", told.table(&name).counts);
                println!("  it is {} lost, {} new, {} changed", truth.lost, truth.new, truth.changed);
            }
        }
    }
    println!(
        "  every row of {} tables read whole: {:.0} s",
        story::checked().len(),
        began.elapsed().as_secs_f64()
    );
    bench.at_least("differing rows that a full COPY merge finds", rows as f64, 1.0, "rows");
    bench.at_most("tables that differ from it, by either path", f64::from(wrong), 0.0, "");
}

fn of(table: &TableResult) -> Truth {
    let Counts { lost, new, changed, exact, .. } = table.counts;
    assert!(exact, "{}: {:?}", table.table, table.counts);
    let text =
        |value: &Option<drtui::compare::Value>| value.as_ref().map_or("", |v| v.text.as_str()).to_owned();
    let keyed = table.rows.iter().filter(|r| r.kind != RowKind::TouchedSame && !r.key.is_empty());
    let keys = keyed.map(|r| (r.kind, r.key.iter().map(text).collect::<Vec<_>>().join(" "))).collect();
    Truth { lost, new, changed, keys }
}

/// Rows of one side, in order.
struct Rows {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// Sorting key, shown key, the whole row; without a key the row is all of them.
    line: String,
}

impl Rows {
    fn of(server: &Server, table: &str, order: &str, key: &str) -> Rows {
        let query = if order.is_empty() {
            format!("SELECT t::text || E'\\x01\\x01' AS line FROM {table} t ORDER BY line COLLATE \"C\"")
        } else {
            // By the primary key's index: the text sorts the same way.
            let by = if table.starts_with("readings") { "at, sensor" } else { "id" };
            format!("SELECT {order} || E'\\x01' || {key} || E'\\x01' || t::text FROM {table} t ORDER BY {by}")
        };
        let mut psql = server.psql_with("app", &format!("COPY ({query}) TO STDOUT"));
        psql.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = psql.spawn().unwrap();
        let lines = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
        Rows { child, lines, line: String::new() }
    }

    /// False at the end.
    fn next(&mut self) -> bool {
        self.line.clear();
        self.lines.read_line(&mut self.line).unwrap() > 0
    }

    fn sorting(&self) -> &str {
        self.line.split('\u{1}').next().unwrap()
    }

    fn key(&self) -> String {
        self.line.split('\u{1}').nth(1).unwrap().to_owned()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        assert!(self.child.wait().unwrap().success(), "COPY failed");
    }
}

fn merge(live: &Server, restored: &Server, table: &str, order: &str, key: &str) -> Truth {
    let mut truth = Truth::default();
    let (mut l, mut r) = (Rows::of(live, table, order, key), Rows::of(restored, table, order, key));
    let (mut more_l, mut more_r) = (l.next(), r.next());
    while more_l || more_r {
        let which = match (more_l, more_r) {
            (true, true) => l.sorting().cmp(r.sorting()),
            (true, false) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let kind = match which {
            Ordering::Less => Some((RowKind::New, l.key())),
            Ordering::Greater => Some((RowKind::Lost, r.key())),
            Ordering::Equal => (l.line != r.line).then(|| (RowKind::Changed, l.key())),
        };
        match &kind {
            Some((RowKind::New, _)) => truth.new += 1,
            Some((RowKind::Lost, _)) => truth.lost += 1,
            Some(_) => truth.changed += 1,
            None => {}
        }
        truth.keys.extend(kind.filter(|_| !order.is_empty()));
        if which != Ordering::Greater {
            more_l = l.next();
        }
        if which != Ordering::Less {
            more_r = r.next();
        }
    }
    truth
}
