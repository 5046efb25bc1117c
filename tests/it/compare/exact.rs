//! One pair with every shape of table: each is exact, by whichever path.

use std::collections::BTreeMap;

use drtui::compare::{Counts, Mode, Options, Path, Verdict};

use super::pair::{Pair, Story};
use super::truth;
use super::wire::{self, Told};

pub fn story() -> Story<'static> {
    Story {
        setup: include_str!("story.sql"),
        before: include_str!("before.sql"),
        open: "INSERT INTO orders SELECT n, 3, 'open', 3, 'o', '2026-02-02', '2026-02-02' FROM generate_series(30001, 30005) n;
               UPDATE orders SET note = 'open' WHERE id IN (51, 52); DELETE FROM orders WHERE id = 53",
        after: include_str!("after.sql"),
        settings: "track_commit_timestamp = on",
    }
}

/// Tables that both sides have with the same columns, and how many of those are the key.
pub fn tables() -> Vec<(String, String, usize)> {
    let mut all: Vec<(String, String, usize)> = [
        ("orders", 1),
        ("events", 1),
        ("nopk_log", 0),
        ("docs", 1),
        ("wide", 1),
        ("composite_key", 3),
        ("rewritten", 1),
        ("rewritten_nokey", 0),
        ("retyped", 1),
        ("truncated", 1),
        ("empty_table", 1),
        ("tricky", 1),
        ("defaulted", 1),
        ("Odd \"Name", 1),
    ]
    .into_iter()
    .map(|(name, key)| (name.to_owned(), format!("SELECT * FROM \"{}\"", name.replace('"', "\"\"")), key))
    .collect();
    all.extend(
        (1..=12).map(|n| (format!("readings_{n}"), format!("SELECT at, sensor, value FROM readings_{n}"), 2)),
    );
    all.extend((1..=40).map(|n| (format!("small_{n:02}"), format!("SELECT * FROM small_{n:02}"), 1)));
    all
}

fn check(pair: &Pair, told: &Told, skip: &[&str]) {
    told.outcome.as_ref().unwrap();
    for (name, query, key) in tables().into_iter().filter(|(n, ..)| !skip.contains(&n.as_str())) {
        let expected = truth::compare(pair, &query, key);
        let table = told.table(&name);
        let found = Counts { touched_same: 0, ..table.counts };
        assert_eq!(found, expected, "{name} by {:?}: {table:#?}", table.path);
        assert_eq!(
            matches!(table.verdict, Verdict::Changed),
            expected.differing() > 0,
            "{name}: {:?}",
            table.verdict
        );
    }
}

fn by_path(told: &Told) -> BTreeMap<String, Path> {
    told.tables.iter().filter_map(|t| Some((t.table.name.clone(), t.path?))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_exact_by_both_paths() {
    let pair = Pair::make("exact", &story());
    let options = Options { rows: 2_000, ..Options::default() };
    let told = wire::directly(&pair, options.clone()).await;
    check(&pair, &told, &[]);
    let paths = by_path(&told);
    assert_eq!(paths["orders"], Path::Physical);
    assert_eq!(paths["nopk_log"], Path::Physical);
    assert_eq!(paths["rewritten"], Path::KeyXmin);
    assert_eq!(paths["rewritten_nokey"], Path::ContentCounts);
    assert_eq!(paths["retyped"], Path::Content);
    assert_eq!(told.table("dropped").verdict, Verdict::Gone);
    assert_eq!(told.table("dropped").counts.lost, 55);
    assert_eq!(told.table("created").verdict, Verdict::New);

    let logical = wire::directly(&pair, Options { mode: Mode::Logical, ..options }).await;
    check(&pair, &logical, &[]);
    assert!(by_path(&logical).values().all(|p| *p != Path::Physical && *p != Path::KeyXmin));
}
