//! `make bench-compare`: what comparing costs beside `count(*)` and beside other tools, on one large pair, in one run of
//! the release build, and that it is exact. Each number stands against its promise; ends with 1 when one is missed.
//!
//! Without arguments the pair is made, measured and removed. `pair` makes it and keeps it until the end of standard
//! input; `on LIVE RESTORED [PART…]` measures one that runs at these ports, all of it or some parts.
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

mod beside;
mod cost;
mod others;
#[path = "../../tests/it/compare/pair.rs"]
mod pair;
mod story;
mod truth;
#[path = "../../tests/it/compare/wire.rs"]
mod wire;

use std::process::ExitCode;
use std::time::Instant;

use drtui::compare::Options;
use pair::{Pair, Story};

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

/// The pair, and what was measured on it.
struct Bench {
    pair: Pair,
    lines: Vec<Line>,
    /// Seconds of a serial `count(*)` of orders on live.
    count: f64,
    /// Seconds to the full row list of orders, physical and logical.
    physical: f64,
    logical: f64,
    /// Rows of orders that differ, as found then; `truth` proves it.
    differing: u64,
}

/// What can be measured, in order.
const PARTS: [&str; 7] = ["overview", "orders", "first", "slow", "memory", "truth", "others"];
const LAST: &str = "pgbench";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let port = |text: &str| -> u16 { text.parse().unwrap() };
    let (pair, parts) = match words.as_slice() {
        // A child of ours, so that its memory is that of one comparison.
        ["child", live, restored, table] => {
            let options = Options { tables: vec![(*table).to_owned()], ..Options::default() };
            let told = runtime.block_on(wire::compare(port(live), port(restored), "reader", options));
            println!("{:?} {}", told.tables[0].counts, cost::peak_kb());
            return ExitCode::SUCCESS;
        }
        ["on", live, restored, parts @ ..] => (Pair::at(port(live), port(restored)), parts),
        ["pair"] => {
            let pair = make();
            println!("on {} {}", pair.live.port, pair.restored.port);
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
            return ExitCode::SUCCESS;
        }
        _ => (make(), [].as_slice()),
    };
    let mut bench = Bench { pair, lines: Vec::new(), count: 0.0, physical: 0.0, logical: 0.0, differing: 0 };
    let all: Vec<&str> = PARTS.into_iter().chain([LAST]).collect();
    runtime.block_on(bench.measure(if parts.is_empty() { &all } else { parts }));
    bench.verdict()
}

fn make() -> Pair {
    let (rows, began) = (story::rows(), Instant::now());
    let (setup, before, after) = (story::setup(rows), story::before(rows), story::after(rows));
    let story = Story {
        setup: &setup,
        before: &before,
        open: story::OPEN,
        after: &after,
        settings: "shared_buffers = 512MB\n",
    };
    let pair = Pair::make("bench", &story);
    println!("a pair of {rows} orders, made in {:.0} s", began.elapsed().as_secs_f64());
    pair
}

impl Bench {
    async fn measure(&mut self, parts: &[&str]) {
        for part in parts {
            println!("{part}:");
            match *part {
                "overview" => self.overview(),
                "orders" => self.orders().await,
                "first" => self.first_verdicts().await,
                "slow" => self.slow_way().await,
                "memory" => self.memory(),
                "truth" => truth::check(self).await,
                "others" => others::run(self),
                "pgbench" => beside::pgbench(self),
                other => panic!("{other}: none of {PARTS:?}, {LAST}"),
            }
        }
    }

    fn verdict(&self) -> ExitCode {
        println!();
        for line in &self.lines {
            let sign = if line.at_most { "<=" } else { ">=" };
            let word = if line.kept() { "kept" } else { "MISSED" };
            println!(
                "{:<58} {:>9.2} {sign} {:>7.2} {:<5} {word}",
                line.what, line.is, line.promise, line.unit
            );
        }
        if self.lines.iter().all(Line::kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

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
}

/// The one in the middle.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
