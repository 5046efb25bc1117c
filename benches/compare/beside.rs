//! What live's own work feels: pgbench as fast as it can, alone and while comparisons run, its rate and how much it finds
//! in the buffers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::pair::Server;
use super::{Bench, wire};
use drtui::compare::Options;

/// Runs of each kind, alternating, where the promise is.
const ROUNDS: usize = 3;
/// Seconds of pgbench alone before each comparison, and the least that is compared beside it.
const SECONDS: usize = 20;
/// Seconds until pgbench is at its rate.
const WARM: usize = 5;

/// Live commits to the disk, as a real server does. In life the copy stands on another machine, and so does drtui: with two
/// cores or more live and its clients get the first, the copy and drtui the second, and that is the promise. What it is
/// when all share all cores is told too; there the copy's processes give way to live's.
pub fn pgbench(bench: &mut Bench) {
    let (live, restored) = (&bench.pair.live, &bench.pair.restored);
    live.sql("app", "ALTER SYSTEM SET fsync = on");
    live.sql("app", "SELECT pg_reload_conf()");
    let port = live.port.to_string();
    live.must("pgbench", &["-i", "-s", "20", "-q", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "app"]);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let apart = (cores >= 2).then(|| {
        println!("  live and pgbench on core 0; the copy and drtui on core 1:");
        keep_to("0", postmaster(live));
        keep_to("1", postmaster(restored));
        // Whatever we start inherits it.
        keep_to("1", std::process::id());
        let apart = both(live, restored.port, Some("0"), ROUNDS);
        let all = format!("0-{}", cores - 1);
        for of in [postmaster(live), postmaster(restored), std::process::id()] {
            keep_to(&all, of);
        }
        apart
    });
    println!("  all on {cores} cores:");
    give_way(postmaster(restored));
    let rounds = if apart.is_some() { 1 } else { ROUNDS };
    let together = both(live, restored.port, None, rounds);
    if apart.is_some() {
        println!("  for information, all on the same cores: {:.1} % of the rate", together.0);
    }
    let (rate, hits) = apart.unwrap_or(together);
    bench.at_least("pgbench's rate while comparing", rate, 90.0, "%");
    bench.at_least("pgbench's buffer hit ratio while comparing, of before", hits, 90.0, "%");
}

/// Per cent of the rate and of the hit ratio that are left while comparing, from a comparison's begin to its end.
fn both(live: &Server, copy: u16, core: Option<&str>, rounds: usize) -> (f64, f64) {
    let work = Pgbench::start(live, core);
    work.seconds(|n| n >= WARM);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let a = work.measured(live, |n| n >= SECONDS);
        let began = Instant::now();
        let comparing = compare(live.port, copy);
        let b = work.measured(live, |_| comparing.is_finished());
        let (took, times) = (began.elapsed(), comparing.join().unwrap());
        println!(
            "  alone {:.0} tps, {:.2} % hits; beside {times} comparisons of {:.0} s {:.0} tps (worst second {:.0}), {:.2} % hits",
            a.rate,
            a.hits,
            took.as_secs_f64() / f64::from(times),
            b.rate,
            b.worst,
            b.hits
        );
        alone.push(a);
        beside.push(b);
    }
    let of = |all: &[Measured], what: fn(&Measured) -> f64| all.iter().map(what).sum::<f64>();
    let left = |what| of(&beside, what) / of(&alone, what) * 100.0;
    (left(|m| m.rate), left(|m| m.hits))
}

/// pgbench at work, as fast as it can.
struct Pgbench {
    child: Child,
    /// Transactions of each second.
    rates: Receiver<f64>,
}

struct Measured {
    /// Transactions a second.
    rate: f64,
    worst: f64,
    /// Per cent of its tables' blocks that were found in the buffers.
    hits: f64,
}

impl Pgbench {
    fn start(live: &Server, core: Option<&str>) -> Pgbench {
        let mut command = Command::new("taskset");
        command.args([
            "-c",
            core.unwrap_or("0-1023"),
            &live.program("pgbench"),
            "-P",
            "1",
            "-T",
            "36000",
            "-c",
            "2",
        ]);
        command.args(["-h", "127.0.0.1", "-p", &live.port.to_string(), "-U", "postgres", "app"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (told, rates) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let rate = line.strip_prefix("progress: ").and_then(|l| l.split(' ').nth(2)?.parse().ok());
                if rate.is_some_and(|rate| told.send(rate).is_err()) {
                    return;
                }
            }
        });
        Pgbench { child, rates }
    }

    /// The rates of the seconds to come, until `done` says so of their number.
    fn seconds(&self, done: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut all = Vec::new();
        while all.is_empty() || !done(all.len()) {
            all.push(self.rates.recv().unwrap());
        }
        all
    }

    fn measured(&self, live: &Server, done: impl Fn(usize) -> bool) -> Measured {
        let before = blocks(live);
        let all = self.seconds(done);
        let after = blocks(live);
        let (hit, read) = (after.0 - before.0, after.1 - before.1);
        Measured {
            rate: all.iter().sum::<f64>() / all.len() as f64,
            worst: all.iter().copied().fold(f64::MAX, f64::min),
            hits: hit / (hit + read) * 100.0,
        }
    }
}

impl Drop for Pgbench {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Blocks of pgbench's tables and indexes that were found, and that were read, until a second ago.
fn blocks(live: &Server) -> (f64, f64) {
    let sums = "SELECT sum(heap_blks_hit + coalesce(idx_blks_hit, 0)) || ' ' || sum(heap_blks_read + coalesce(idx_blks_read, 0))
        FROM pg_statio_user_tables WHERE relname LIKE 'pgbench%'";
    let text = live.ask("app", sums);
    let (hit, read) = text.split_once(' ').unwrap();
    (hit.parse().unwrap(), read.parse().unwrap())
}

/// Compares orders from begin to end, again if that was quick; how often.
fn compare(live: u16, copy: u16) -> JoinHandle<u32> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (began, mut done) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(SECONDS as u64) {
            let options = Options { tables: vec!["orders".into()], ..Options::default() };
            runtime.block_on(wire::compare(live, copy, "reader", options)).outcome.unwrap();
            done += 1;
        }
        done
    })
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
