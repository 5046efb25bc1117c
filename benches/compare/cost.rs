//! Our own cost: time beside `count(*)`, bytes, memory, and the way of 10 Mbit/s and 40 ms.

use std::process::Command;
use std::time::{Duration, Instant};

use drtui::compare::ask::{self, physical};
use drtui::compare::{Event, Mode, Options, Side, TableName};

use super::wire::{self, Proxy, Told};
use super::{Bench, median};

/// Each way, and bytes a second: 40 ms there and back, 10 Mbit/s.
const DELAY: Duration = Duration::from_millis(20);
const RATE: u64 = 10_000_000 / 8;
/// Rounds of what is timed.
const ROUNDS: usize = 5;

/// Resident memory of this process at its most.
pub fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn one(table: &str) -> Options {
    Options { tables: vec![table.to_owned()], ..Options::default() }
}

impl Bench {
    /// T1 beside `count(*)`, in the same session settings, interleaved.
    pub fn overview(&mut self) {
        let name = TableName { schema: "public".into(), name: "orders".into() };
        let table = ask::table(&name);
        let scan = physical::Scan { table: &table, filter: None };
        for side in Side::BOTH {
            let server = if side == Side::Live { &self.pair.live } else { &self.pair.restored };
            let settings = "SET max_parallel_workers_per_gather = 0; SET enable_indexonlyscan = off; SET jit = off;\n\\timing on\n";
            let fingerprint = physical::overview(&[(0, scan)], side == Side::Restored);
            let round = format!("SELECT count(*) FROM orders;\n{fingerprint};\n");
            let times: Vec<f64> = server
                .sql("app", &format!("{settings}{}", round.repeat(ROUNDS + 1)))
                .lines()
                .filter_map(|l| l.strip_prefix("Time: ")?.split(' ').next()?.parse().ok())
                .collect();
            // The first round warms up.
            let of = |n: usize| times.iter().skip(2 + n).step_by(2).copied().collect::<Vec<f64>>();
            let (count, first) = (median(of(0)), median(of(1)));
            println!("  count(*) of orders on {side}: {:.3} s", count / 1_000.0);
            if side == Side::Live {
                self.count = count / 1_000.0;
            }
            self.at_most(&format!("overview of orders on {side}, by count(*)"), first / count, 2.0, "x");
        }
    }

    async fn timed(&self, options: Options) -> (Told, f64) {
        let began = Instant::now();
        let told = wire::directly(&self.pair, options).await;
        (told, began.elapsed().as_secs_f64())
    }

    /// Orders to the full row list, each run between two of `count(*)`.
    pub async fn orders(&mut self) {
        let (mut times, mut ratios, mut last) = (Vec::new(), Vec::new(), None);
        for _ in 0..ROUNDS {
            let before = self.count_once();
            let (told, time) = self.timed(one("orders")).await;
            let count = f64::midpoint(before, self.count_once());
            println!("  {time:.2} s, count(*) {count:.2} s");
            times.push(time);
            ratios.push(time / count);
            self.count = count;
            last = Some(told);
        }
        let told = last.unwrap();
        println!("  {:?} by {:?}", told.table("orders").counts, told.table("orders").path);
        self.physical = median(times);
        self.differing = told.table("orders").counts.differing();
        self.at_most("orders to the full row list, by count(*)", median(ratios), 4.0, "x");
        let options = Options { mode: Mode::Logical, ..one("orders") };
        let (told, time) = self.timed(options).await;
        let table = told.table("orders");
        println!("  logical: {time:.2} s, {:?}, {} bytes", table.counts, table.bytes);
        self.logical = time;
    }

    fn count_once(&self) -> f64 {
        let script = "SET max_parallel_workers_per_gather = 0; SET enable_indexonlyscan = off; SET jit = off;\n\\timing on\nSELECT count(*) FROM orders;\n";
        let out = self.pair.live.sql("app", script);
        let time = out.lines().find_map(|l| l.strip_prefix("Time: ")?.split(' ').next()?.parse::<f64>().ok());
        time.unwrap() / 1_000.0
    }

    /// When 50 tables have their verdict, while the large ones are still at work.
    pub async fn first_verdicts(&mut self) {
        let all = Options { exclude: vec!["worst".into()], ..Options::default() };
        let near = wire::directly(&self.pair, all.clone()).await;
        self.at_most("50 tables have their verdict", fiftieth(&near), 1.0, "s");
        let (live, restored) = self.far().await;
        let far = wire::compare(live.port, restored.port, "reader", all).await;
        self.at_most("the same at 10 Mbit/s and 40 ms", fiftieth(&far), 1.0, "s");
        println!("  all tables: {:.2} s, far away {:.2} s", end(&near), end(&far));
    }

    /// Each side behind its own proxy.
    async fn far(&self) -> (Proxy, Proxy) {
        let live = Proxy::before(self.pair.live.port, DELAY, RATE, None).await;
        (live, Proxy::before(self.pair.restored.port, DELAY, RATE, None).await)
    }

    pub async fn slow_way(&mut self) {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..3 {
            let (live, restored) = self.far().await;
            let began = Instant::now();
            let told = wire::compare(live.port, restored.port, "reader", one("orders")).await;
            times.push(began.elapsed().as_secs_f64());
            bytes = live.received().max(restored.received());
            println!("  {:.2} s, {:?}", end(&told), told.table("orders").counts);
        }
        self.at_most("orders at 10 Mbit/s and 40 ms", median(times), 6.0, "s");
        self.at_most("bytes on the wire from one side", bytes as f64 / 1e6, 4.0, "MB");
    }

    /// Every row of `worst` differs.
    pub fn memory(&mut self) {
        let ports = [self.pair.live.port, self.pair.restored.port].map(|p| p.to_string());
        for table in ["orders", "worst"] {
            let child = std::env::current_exe().unwrap();
            let output = Command::new(child).args(["child", &ports[0], &ports[1], table]).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            println!("  {table}: {text}");
            let kb: f64 = text.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(f64::MAX);
            self.at_most(&format!("client memory, {table}"), kb / 1024.0, 100.0, "MB");
        }
    }
}

/// Seconds until 50 tables had their first verdict.
fn fiftieth(told: &Told) -> f64 {
    let mut seen = std::collections::BTreeSet::new();
    for (event, came) in told.events.iter().zip(&told.came) {
        match event {
            Event::Glimpse { id, .. } => seen.insert(*id),
            Event::Table { table } => seen.insert(table.id),
            _ => false,
        };
        if seen.len() == 50 {
            return came.as_secs_f64();
        }
    }
    f64::MAX
}

fn end(told: &Told) -> f64 {
    told.came.last().map_or(f64::MAX, Duration::as_secs_f64)
}
