//! What live's own work feels: pgbench as fast as it can, alone and while comparisons run, its rate and how much it finds
//! in the buffers.

use std::process::Command;

use super::pair::Server;
use super::{Bench, median, wire};
use drtui::compare::Options;
use drtui::compare::engine::CompareError;
use tokio::sync::watch;

/// Seconds of a run, and runs of each kind, alternating.
const SECONDS: &str = "15";
const ROUNDS: usize = 3;

/// Live commits to the disk, as a real server does. The copy stands on another machine in life: here its processes give
/// way to live's.
pub fn pgbench(bench: &mut Bench) {
    let (live, restored) = (&bench.pair.live, &bench.pair.restored);
    live.sql("app", "ALTER SYSTEM SET fsync = on");
    live.sql("app", "SELECT pg_reload_conf()");
    give_way(restored);
    run(live, &["-i", "-s", "20", "-q"]);
    run(live, &["-c", "2", "-T", "5"]);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(measured(live));
        let (compared, with) = while_comparing(live, restored.port, || measured(live));
        beside.push(with);
        let (a, b) = (alone[alone.len() - 1], with);
        println!(
            "  alone {:.0} tps, {:.2} % hits; with {compared} comparisons done {:.0} tps, {:.2} % hits",
            a.0, a.1, b.0, b.1
        );
    }
    let of =
        |all: &[(f64, f64)], n: usize| median(all.iter().map(|t| if n == 0 { t.0 } else { t.1 }).collect());
    let rate = of(&beside, 0) / of(&alone, 0) * 100.0;
    let hits = of(&beside, 1) / of(&alone, 1) * 100.0;
    bench.at_least("pgbench's rate while comparing", rate, 90.0, "%");
    bench.at_least("pgbench's buffer hit ratio while comparing, of before", hits, 90.0, "%");
}

fn run(live: &Server, args: &[&str]) -> String {
    let port = live.port.to_string();
    let at = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "app"];
    String::from_utf8(live.must("pgbench", &[args, &at[..]].concat()).stdout).unwrap()
}

/// Transactions a second, and per cent of its tables' blocks that were found in the buffers.
fn measured(live: &Server) -> (f64, f64) {
    let before = blocks(live);
    let text = run(live, &["-c", "2", "-j", "1", "-T", SECONDS]);
    let after = blocks(live);
    let tps = text.lines().find_map(|l| l.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let (hit, read) = (after.0 - before.0, after.1 - before.1);
    (tps.unwrap(), hit / (hit + read) * 100.0)
}

/// Blocks of pgbench's tables and indexes that were found, and that were read.
fn blocks(live: &Server) -> (f64, f64) {
    // What pgbench's sessions did is counted when they end.
    live.until("app", "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'");
    let sums = "SELECT sum(heap_blks_hit + coalesce(idx_blks_hit, 0)) || ' ' || sum(heap_blks_read + coalesce(idx_blks_read, 0))
        FROM pg_statio_user_tables WHERE relname LIKE 'pgbench%'";
    let text = live.ask("app", sums);
    let (hit, read) = text.split_once(' ').unwrap();
    (hit.parse().unwrap(), read.parse().unwrap())
}

/// Compares orders again and again once pgbench is at work; how often it came to the end. The last one is cancelled.
fn while_comparing<T>(live: &Server, copy: u16, work: impl FnOnce() -> T) -> (u32, T) {
    let (stop, stopped) = watch::channel(false);
    let (ports, live) = ((live.port, copy), live.clone());
    let beside = std::thread::spawn(move || {
        live.until("app", "SELECT count(*) > 1 FROM pg_stat_activity WHERE application_name = 'pgbench'");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut done = 0;
        loop {
            let options = Options { tables: vec!["orders".into()], ..Options::default() };
            let run = wire::compare_until(ports.0, ports.1, "reader", options, stopped.clone());
            match runtime.block_on(run).outcome {
                Ok(_) => done += 1,
                Err(CompareError::Cancelled) => return done,
                Err(e) => panic!("{e}"),
            }
        }
    });
    let result = work();
    stop.send(true).unwrap();
    (beside.join().unwrap(), result)
}

fn give_way(server: &Server) {
    let file = server.ask("app", "SELECT current_setting('data_directory') || '/postmaster.pid'");
    let pid = std::fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned();
    let status = Command::new("renice").args(["-n", "19", "-p", &pid]).status().unwrap();
    assert!(status.success(), "renice failed");
}
