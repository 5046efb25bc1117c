//! What live's own work feels: pgbench as fast as it can, alone and while comparisons run, its rate and how much it finds
//! in the buffers.

use std::process::{Command, Stdio};

use super::pair::Server;
use super::{Bench, median, wire};
use drtui::compare::Options;
use drtui::compare::engine::CompareError;
use tokio::sync::watch;

/// Runs of each kind, alternating.
const ROUNDS: usize = 3;

/// Seconds of a run; fewer with a small pair, which is made to see whether it works.
fn seconds() -> u64 {
    if super::story::rows() < 1_000_000 { 6 } else { 15 }
}

/// Live commits to the disk, as a real server does. In life the copy stands on another machine, and so does drtui: with two
/// cores or more live and its clients get the first, the copy and drtui the second, and that is the promise. What it is
/// when all share all cores is told too; there the copy's processes give way to live's.
pub fn pgbench(bench: &mut Bench) {
    let (live, restored) = (&bench.pair.live, &bench.pair.restored);
    live.sql("app", "ALTER SYSTEM SET fsync = on");
    live.sql("app", "SELECT pg_reload_conf()");
    run(live, &["-i", "-s", "20", "-q"]);
    run(live, &["-c", "2", "-T", "5"]);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let apart = (cores >= 2).then(|| {
        println!("  live and pgbench on core 0; the copy and drtui on core 1:");
        keep_to("0", postmaster(live));
        keep_to("1", postmaster(restored));
        // Whatever we start inherits it.
        keep_to("1", std::process::id());
        let apart = both(live, restored.port, Some("0"));
        let all = format!("0-{}", cores - 1);
        for of in [postmaster(live), postmaster(restored), std::process::id()] {
            keep_to(&all, of);
        }
        apart
    });
    println!("  all on {cores} cores:");
    give_way(postmaster(restored));
    let together = both(live, restored.port, None);
    if apart.is_some() {
        println!("  for information, all on the same cores: {:.1} % of the rate", together.0);
    }
    let (rate, hits) = apart.unwrap_or(together);
    bench.at_least("pgbench's rate while comparing", rate, 90.0, "%");
    bench.at_least("pgbench's buffer hit ratio while comparing, of before", hits, 90.0, "%");
}

/// Per cent of the rate and of the hit ratio that are left while comparing.
fn both(live: &Server, copy: u16, core: Option<&str>) -> (f64, f64) {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let a = measured(live, core);
        let (compared, b) = while_comparing(live, copy, || measured(live, core));
        println!(
            "  alone {:.0} tps, {:.2} % hits; with {compared} comparisons done {:.0} tps, {:.2} % hits",
            a.0, a.1, b.0, b.1
        );
        alone.push(a);
        beside.push(b);
    }
    let rate = |all: &[(f64, f64)]| median(all.iter().map(|t| t.0).collect());
    let hits = |all: &[(f64, f64)]| median(all.iter().map(|t| t.1).collect());
    (rate(&beside) / rate(&alone) * 100.0, hits(&beside) / hits(&alone) * 100.0)
}

fn run(live: &Server, args: &[&str]) -> String {
    on(live, None, args)
}

/// pgbench, on one core if that is said.
fn on(live: &Server, core: Option<&str>, args: &[&str]) -> String {
    let (port, pgbench) = (live.port.to_string(), live.program("pgbench"));
    let at = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "app"];
    let output = match core {
        Some(core) => live.must("/usr/bin/taskset", &[&["-c", core, &pgbench], args, &at[..]].concat()),
        None => live.must("pgbench", &[args, &at[..]].concat()),
    };
    String::from_utf8(output.stdout).unwrap()
}

/// Transactions a second, and per cent of its tables' blocks that were found in the buffers.
fn measured(live: &Server, core: Option<&str>) -> (f64, f64) {
    let before = blocks(live);
    let text = on(live, core, &["-c", "2", "-j", "1", "-T", &seconds().to_string()]);
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

fn postmaster(server: &Server) -> u32 {
    let file = server.ask("app", "SELECT current_setting('data_directory') || '/postmaster.pid'");
    std::fs::read_to_string(file).unwrap().lines().next().unwrap().parse().unwrap()
}

/// Keeps a process with its threads and children to these cores; what they start inherits it.
fn keep_to(cores: &str, pid: u32) {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    for one in children.split_whitespace().chain([pid.to_string().as_str()]) {
        let status =
            Command::new("taskset").args(["-a", "-c", "-p", cores, one]).stdout(Stdio::null()).status();
        // A child may have ended meanwhile.
        assert!(one != pid.to_string() || status.unwrap().success(), "taskset failed");
    }
}

fn give_way(pid: u32) {
    let status = Command::new("renice").args(["-n", "19", "-p", &pid.to_string()]).status().unwrap();
    assert!(status.success(), "renice failed");
}
