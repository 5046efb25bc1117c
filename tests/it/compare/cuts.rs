//! Cut, cancelled, changed meanwhile: the result is the same or there is none.

use std::time::Duration;

use drtui::compare::engine::CompareError;
use drtui::compare::{Counts, Event, Mode, Options, Path, TableResult, Verdict};
use tokio::sync::watch;

use super::pair::{Pair, Story};
use super::wire::{self, Proxy};

/// What a result says, without how long it took and how much came.
pub fn said(tables: &[TableResult]) -> Vec<String> {
    let mut all: Vec<String> = tables
        .iter()
        .map(|t| {
            format!("{} {:?} {:?} {:?} {:?} {:?}", t.table, t.verdict, t.counts, t.path, t.rows, t.schema)
        })
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_cuts_change_nothing() {
    let pair = Pair::make("cuts", &super::exact::story());
    // Tables that were rewritten take the logical paths here too.
    let options = Options::default();
    for live in [true, false] {
        let server = if live { pair.live.port } else { pair.restored.port };
        let ports = |proxy: &Proxy| {
            if live { (proxy.port, pair.restored.port) } else { (pair.live.port, proxy.port) }
        };
        let whole = Proxy::before(server, Duration::ZERO, 0, None).await;
        let (l, r) = ports(&whole);
        let calm = wire::compare(l, r, "reader", options.clone()).await;
        calm.outcome.as_ref().unwrap();
        let expected = said(&calm.tables);
        for n in 1..=10 {
            let after = whole.received() * n / 11;
            let proxy = Proxy::before(server, Duration::ZERO, 0, Some(after)).await;
            let (l, r) = ports(&proxy);
            let told = wire::compare(l, r, "reader", options.clone()).await;
            told.outcome.as_ref().unwrap();
            assert_eq!(proxy.cuts(), 1, "it was not cut after {after} bytes");
            assert_eq!(said(&told.tables), expected, "cut after {after} bytes, live: {live}");
        }
    }
}

/// One table that takes long to compare.
fn heavy() -> Story<'static> {
    Story {
        setup: "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; CREATE TABLE big (id int PRIMARY KEY, v text);
                INSERT INTO big SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 400000) n",
        after: "DELETE FROM big WHERE id % 1000 = 0",
        ..Story::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_nothing_runs_on_either_server() {
    let pair = Pair::make("cancel", &heavy());
    let (stop, stopped) = watch::channel(false);
    let options = Options { mode: Mode::Logical, ..Options::default() };
    let (live, restored) = (pair.live.port, pair.restored.port);
    let running = tokio::spawn(wire::compare_until(live, restored, "reader", options, stopped));
    let busy = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'drtui compare' AND state = 'active'";
    let at_work = [&pair.live, &pair.restored].map(|s| s.until("app", busy));
    assert_eq!(at_work.len(), 2);
    stop.send(true).unwrap();
    let told = running.await.unwrap();
    assert_eq!(told.outcome.unwrap_err(), CompareError::Cancelled);
    let cancelled = std::time::Instant::now();
    for server in [&pair.live, &pair.restored] {
        server.until("app", "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'drtui compare' AND state = 'active'");
    }
    assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?}", cancelled.elapsed());
}

/// Fingerprints that were kept over the cut would be of another moment than what is read after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_written_while_it_was_cut_is_read_anew() {
    let pair = Pair::make("written", &heavy());
    let (_stop, stopped) = watch::channel(false);
    // Live is still at its scan when the copy is done with its own.
    let scan = "current_query() LIKE '%width_' || 'bucket(%'";
    let filter = Some(format!("(SELECT pg_sleep(CASE WHEN {scan} THEN 5 ELSE 0 END))::text IS NOT NULL"));
    let options = Options { filter, ..Options::default() };
    let at = wire::begin(pair.live.port, pair.restored.port, "reader", options, stopped);
    pair.restored.until("app", "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'reader' AND state = 'idle in transaction' AND query LIKE '%tidsend(min(%'");
    pair.restored.sql("app", "DELETE FROM big WHERE id = 210005");
    pair.restored
        .sql("app", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'");
    let told = at.finish().await;
    let table = told.table("big");
    assert_eq!(table.counts, Counts { lost: 400, new: 1, ..Counts::NONE }, "{:?}", table.why_path);
    assert_eq!(table.path, Some(Path::Physical), "{}", table.why_path);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_to_list_is_estimated_and_said_so() {
    let pair = Pair::make(
        "many",
        &Story {
            after: "UPDATE big SET v = 'x' || v WHERE id % 2 = 0; DELETE FROM big WHERE id % 4 = 1",
            ..heavy()
        },
    );
    let told = wire::directly(&pair, Options { rows: 7, ..Options::default() }).await;
    let table = told.table("big");
    assert!(!table.counts.exact && table.notes.iter().any(|n| n.contains("sample")), "{table:?}");
    let about = |n: u64, truth: u64| n.abs_diff(truth) * 20 < truth;
    assert!(about(table.counts.changed, 200_000) && about(table.counts.lost, 100_000), "{:?}", table.counts);
    assert_eq!((table.rows_live, table.rows_restored), (Some(300_000), Some(400_000)));
    assert_eq!(table.rows.len(), 14);
}

/// Live changes all the time: rows go, come and change while it is compared. Whatever the moment, a table that always
/// differs is never called the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_server_under_change_is_never_called_the_same() {
    let pair = Pair::make(
        "moving",
        &Story {
            setup: "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
                    CREATE TABLE moving (id int PRIMARY KEY, v int); INSERT INTO moving SELECT n, 0 FROM generate_series(1, 2000) n",
            after: "UPDATE moving SET v = 1 WHERE id = 1",
            ..Story::default()
        },
    );
    // The difference wanders from row to row within each transaction: one row always differs.
    let script = "DO $$ BEGIN FOR i IN 1..100000 LOOP
        UPDATE moving SET v = CASE WHEN id = 1 + i % 2000 THEN 1 ELSE 0 END WHERE id IN (1 + (i - 1) % 2000, 1 + i % 2000);
        COMMIT; END LOOP; END $$";
    let writer = pair.live.start_script("app", script);
    for mode in [Mode::Auto, Mode::Logical].into_iter().cycle().take(10) {
        let told = wire::directly(&pair, Options { mode, ..Options::default() }).await;
        let table = told.table("moving");
        assert_eq!(table.verdict, Verdict::Changed, "{mode:?}");
        assert_eq!(
            Counts { touched_same: 0, ..table.counts },
            Counts { changed: 1, ..Counts::NONE },
            "{mode:?}"
        );
        let glimpses = told.events.iter().filter(|e| matches!(e, Event::Glimpse { differs: false, .. }));
        assert_eq!(glimpses.count(), 0);
    }
    writer.kill();
}
