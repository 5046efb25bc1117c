//! The ground truth: every row of both sides by an ordered COPY, merged by key. What the comparison says must be this.

use std::collections::BTreeMap;

use drtui::compare::Counts;

use super::pair::Pair;

/// Rows by key; without a key, how often each is there.
fn rows(text: &str, key: usize) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.splitn(key + 1, '\t').collect();
        let (name, row) = if key == 0 { (line.to_owned(), line) } else { (fields[..key].join("\t"), line) };
        all.entry(name).or_default().push(row.to_owned());
    }
    all
}

/// Compares `query` of both sides. Its first `key` columns are the key. Nothing is said of rows written again.
pub fn compare(pair: &Pair, query: &str, key: usize) -> Counts {
    let copy = |query: &str| format!("COPY ({query}) TO STDOUT");
    let live = rows(&pair.live.sql("app", &copy(query)), key);
    let restored = rows(&pair.restored.sql("app", &copy(query)), key);
    counts(&live, &restored, key)
}

fn counts(
    live: &BTreeMap<String, Vec<String>>,
    restored: &BTreeMap<String, Vec<String>>,
    key: usize,
) -> Counts {
    let mut counts = Counts::NONE;
    let names: std::collections::BTreeSet<&String> = live.keys().chain(restored.keys()).collect();
    for name in names {
        let (l, r) = (live.get(name).map_or(0, Vec::len), restored.get(name).map_or(0, Vec::len));
        counts.lost += r.saturating_sub(l) as u64;
        counts.new += l.saturating_sub(r) as u64;
        counts.changed += u64::from(key > 0 && l == 1 && r == 1 && live[name] != restored[name]);
    }
    counts
}
