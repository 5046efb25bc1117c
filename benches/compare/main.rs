//! `make bench-compare`: what comparing costs beside `count(*)` and beside other tools, on one large pair, in one run of
//! the release build. Each number stands against its promise; ends with 1 when one is missed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    missing_debug_implementations,
    dead_code
)]

mod others;
#[path = "../../tests/it/compare/pair.rs"]
mod pair;
mod story;
#[path = "../../tests/it/compare/wire.rs"]
mod wire;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use drtui::compare::ask::{self, physical};
use drtui::compare::{Mode, Options, TableName};
use pair::{Pair, Story};
use wire::{Proxy, Told};

/// A measured number and what was promised.
struct Line {
    what: String,
    is: f64,
    promise: f64,
    at_most: bool,
    unit: &'static str,
}

impl Line {
    fn kept(&self) -> bool {
        if self.at_most { self.is <= self.promise } else { self.is >= self.promise }
    }
}

struct Bench {
    pair: Pair,
    lines: Vec<Line>,
    /// Serial `count(*)` of orders on live.
    count: f64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // A child of ours, so that its memory is that of one comparison.
    if let [word, live, restored, table] = args.as_slice()
        && word == "child"
    {
        let told = runtime.block_on(wire::compare(
            live.parse().unwrap(),
            restored.parse().unwrap(),
            "reader",
            Options { tables: vec![table.clone()], ..Options::default() },
        ));
        println!("{:?} {}", told.tables[0].counts, peak_kb());
        return ExitCode::SUCCESS;
    }
    let rows = story::rows();
    let began = Instant::now();
    let (setup, before, after) = (story::setup(rows), story::before(rows), story::after(rows));
    let pair = Pair::make(
        "bench",
        &Story {
            setup: &setup,
            before: &before,
            open: story::OPEN,
            after: &after,
            settings: "shared_buffers = 512MB\n",
        },
    );
    println!("a pair of {rows} orders, made in {:.0} s", began.elapsed().as_secs_f64());
    let mut bench = Bench { pair, lines: Vec::new(), count: 0.0 };
    runtime.block_on(bench.all());
    println!();
    let mut kept = true;
    for line in &bench.lines {
        let sign = if line.at_most { "<=" } else { ">=" };
        kept &= line.kept();
        let word = if line.kept() { "kept" } else { "MISSED" };
        println!("{:<58} {:>9.2} {sign} {:>7.2} {:<5} {word}", line.what, line.is, line.promise, line.unit);
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

impl Bench {
    fn at_most(&mut self, what: &str, is: f64, promise: f64, unit: &'static str) {
        self.line(what, is, promise, true, unit);
    }

    fn at_least(&mut self, what: &str, is: f64, promise: f64, unit: &'static str) {
        self.line(what, is, promise, false, unit);
    }

    fn line(&mut self, what: &str, is: f64, promise: f64, at_most: bool, unit: &'static str) {
        println!("  {what}: {is:.2} {unit}");
        self.lines.push(Line { what: what.to_owned(), is, promise, at_most, unit });
    }

    async fn all(&mut self) {
        self.overview();
        let told = self.orders().await;
        self.logical().await;
        self.slow_way().await;
        self.memory();
        self.beside_pgbench();
        let seconds = median(vec![told]);
        others::run(self, seconds);
    }

    /// T1 beside `count(*)`, in the same session settings, interleaved.
    fn overview(&mut self) {
        let name = TableName { schema: "public".into(), name: "orders".into() };
        let table = ask::table(&name);
        let scan = physical::Scan { table: &table, filter: None };
        for side in [drtui::compare::Side::Live, drtui::compare::Side::Restored] {
            let server =
                if side == drtui::compare::Side::Live { &self.pair.live } else { &self.pair.restored };
            let settings = "SET max_parallel_workers_per_gather = 0; SET enable_indexonlyscan = off; SET jit = off;\n\\timing on\n";
            let fingerprint = physical::overview(&[(0, scan)], side == drtui::compare::Side::Restored);
            let script =
                format!("{settings}{}", format!("SELECT count(*) FROM orders;\n{fingerprint};\n").repeat(4));
            let times: Vec<f64> = server
                .sql("app", &script)
                .lines()
                .filter_map(|l| l.strip_prefix("Time: ")?.split(' ').next()?.parse().ok())
                .collect();
            // The first round warms up.
            let of = |n: usize| times.iter().skip(2 + n).step_by(2).copied().collect::<Vec<f64>>();
            let (count, first) = (median(of(0)), median(of(1)));
            if side == drtui::compare::Side::Live {
                self.count = count / 1_000.0;
                println!("  count(*) of orders: {:.3} s", self.count);
            }
            self.at_most(&format!("overview of orders on {side}, by count(*)"), first / count, 2.0, "x");
        }
    }

    async fn compare(&self, table: &str, mode: Mode) -> (Told, f64) {
        let options = Options { tables: vec![table.to_owned()], mode, ..Options::default() };
        let began = Instant::now();
        let told = wire::directly(&self.pair, options).await;
        (told, began.elapsed().as_secs_f64())
    }

    async fn orders(&mut self) -> f64 {
        let mut times = Vec::new();
        for _ in 0..3 {
            times.push(self.compare("orders", Mode::Auto).await.1);
        }
        let (told, _) = self.compare("orders", Mode::Auto).await;
        let summary = told.outcome.as_ref().unwrap();
        println!("  {:?} by {:?}", told.table("orders").counts, told.table("orders").path);
        let (live, restored) = (summary.received_live, summary.received_restored);
        let time = median(times);
        println!("  orders, physical: {time:.2} s");
        self.at_most("orders to the full row list, by count(*)", time / self.count, 4.0, "x");
        self.at_most("bytes from one side", live.max(restored) as f64 / 1e6, 4.0, "MB");
        let began = Instant::now();
        let all =
            wire::directly(&self.pair, Options { exclude: vec!["worst".into()], ..Options::default() }).await;
        println!(
            "  all tables but one: {:.2} s, {:?}",
            began.elapsed().as_secs_f64(),
            all.outcome.unwrap().tables
        );
        time
    }

    async fn logical(&mut self) {
        let (told, time) = self.compare("orders", Mode::Logical).await;
        println!(
            "  orders, logical: {time:.2} s, {:?}, {} bytes",
            told.table("orders").counts,
            told.table("orders").bytes
        );
        self.at_most("orders by content, by count(*)", time / self.count, 30.0, "x");
        let (told, time) = self.compare("nopk_log", Mode::Logical).await;
        println!("  nopk_log, logical: {time:.2} s, {:?}", told.table("nopk_log").counts);
    }

    /// Each side behind its own proxy of 10 Mbit/s and 40 ms there and back.
    async fn slow_way(&mut self) {
        let (delay, rate) = (Duration::from_millis(20), 10_000_000 / 8);
        let live = Proxy::before(self.pair.live.port, delay, rate, None).await;
        let restored = Proxy::before(self.pair.restored.port, delay, rate, None).await;
        let options = Options { tables: vec!["orders".to_owned()], ..Options::default() };
        let began = Instant::now();
        let told = wire::compare(live.port, restored.port, "reader", options).await;
        println!(
            "  {:?}; on the wire {} and {} bytes",
            told.table("orders").counts,
            live.received(),
            restored.received()
        );
        self.at_most("orders at 10 Mbit/s and 40 ms", began.elapsed().as_secs_f64(), 6.0, "s");
    }

    /// Every row of `worst` differs.
    fn memory(&mut self) {
        let ports = [self.pair.live.port, self.pair.restored.port].map(|p| p.to_string());
        for table in ["orders", "worst"] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["child", &ports[0], &ports[1], table])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            println!("  {table}: {text}");
            let kb: f64 = text.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(f64::MAX);
            self.at_most(&format!("client memory, {table}"), kb / 1024.0, 100.0, "MB");
        }
    }

    /// pgbench on live, alone and while comparisons run.
    fn beside_pgbench(&mut self) {
        let port = self.pair.live.port.to_string();
        let at = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "app"];
        let pgbench = |args: &[&str]| self.pair.live.must("pgbench", &[args, &at[..]].concat());
        pgbench(&["-i", "-s", "20", "-q"]);
        let hits = "SELECT blks_hit || ' ' || blks_read FROM pg_stat_database WHERE datname = 'app'";
        let ratio = |before: &str, after: &str| {
            let read = |t: &str| -> Vec<f64> { t.split(' ').map(|n| n.parse().unwrap()).collect() };
            let (a, b) = (read(before), read(after));
            (b[0] - a[0]) / (b[0] - a[0] + b[1] - a[1])
        };
        let tps = || {
            let output = pgbench(&["-c", "2", "-j", "1", "-T", "15", "-N", "-R", "400"]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text.lines().find_map(|l| l.strip_prefix("tps = ")).unwrap_or("0").to_owned();
            line.split(' ').next().unwrap_or("0").parse::<f64>().unwrap_or(0.0)
        };
        tps();
        let before = self.pair.live.ask("app", hits);
        let alone = tps();
        println!(
            "  pgbench alone: {alone:.0} tps, {:.4} from buffers",
            ratio(&before, &self.pair.live.ask("app", hits))
        );
        let ports = (self.pair.live.port, self.pair.restored.port);
        let (done, stop) = std::sync::mpsc::channel::<()>();
        let beside = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut runs = 0;
            while stop.try_recv().is_err() {
                let options = Options { tables: vec!["orders".into()], ..Options::default() };
                runtime.block_on(wire::compare(ports.0, ports.1, "reader", options));
                runs += 1;
            }
            runs
        });
        let with = tps();
        let _ = done.send(());
        println!("  pgbench beside {} comparisons: {with:.0} tps", beside.join().unwrap());
        self.at_least("pgbench's rate while comparing", with / alone * 100.0, 90.0, "%");
    }
}
