//! Other tools on the same pair, if they are installed: `reladiff` (PyPI) and `pg_comparator` (Debian). Their promise is
//! how much slower they are.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::Bench;

/// Runs what is there; one that is missing breaks its promise.
pub fn run(bench: &mut Bench) {
    let (physical, logical) = (bench.physical, bench.logical);
    let (live, restored) = (bench.pair.live.port, bench.pair.restored.port);
    let url = |port: u16| format!("postgresql://postgres@127.0.0.1:{port}/app");
    let reladiff = std::env::var("RELADIFF").unwrap_or_else(|_| "reladiff".into());
    let mut command = Command::new(&reladiff);
    command.args([&url(live), "orders", &url(restored), "orders", "-k", "id", "-c", "%", "--stats"]);
    // `12 rows exclusive to table A (not present in B)`, of B, and `3 rows updated`.
    let differences = |text: &str| {
        let number = |what: &str| {
            let line = text.lines().find(|l| l.contains(what))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Some(number("exclusive to table A")? + number("exclusive to table B")? + number("rows updated")?)
    };
    let seconds = timed("reladiff", &mut command, bench.differing, differences).unwrap_or_else(|why| {
        println!("  reladiff FAILED: {why} (pip install reladiff[postgresql]; RELADIFF=path)");
        0.0
    });
    bench.at_least("reladiff takes longer on orders", seconds / physical, 25.0, "x");
    bench.at_least("reladiff takes longer than the logical path", seconds / logical, 5.0, "x");
    // Its functions must be in both databases; whoever lacks them has not installed it.
    for server in [&bench.pair.live, &bench.pair.restored] {
        let wanted = "SELECT count(*) > 0 FROM pg_available_extensions WHERE name = 'pgcmp'";
        if server.ask("app", wanted) == "t" {
            server.sql("app", "CREATE EXTENSION IF NOT EXISTS pgcmp");
        }
    }
    let comparator = std::env::var("PG_COMPARATOR").unwrap_or_else(|_| "pg_comparator".into());
    let address = |port: u16| format!("pgsql://postgres@127.0.0.1:{port}/app/orders?id");
    let mut command = Command::new(&comparator);
    command.args(["--checksum-function=fnv", "--stats=txt", &address(live), &address(restored)]);
    // `diffs found: 12`.
    let differences = |text: &str| {
        let line = text.lines().find_map(|l| l.trim().strip_prefix("diffs found:"))?;
        line.trim().parse().ok()
    };
    let seconds = timed("pg_comparator", &mut command, bench.differing, differences).unwrap_or_else(|why| {
        println!("  pg_comparator FAILED: {why} (apt-get install postgresql-comparator; PG_COMPARATOR=path)");
        0.0
    });
    bench.at_least("pg_comparator takes longer on orders", seconds / physical, 8.0, "x");
}

/// How long it took, if it came to its end and found as many differences as there are.
fn timed(
    name: &str,
    command: &mut Command,
    truth: u64,
    differences: impl Fn(&str) -> Option<u64>,
) -> Result<f64, String> {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    let output = output.map_err(|e| e.to_string())?;
    let seconds = began.elapsed().as_secs_f64();
    let text = [output.stdout, output.stderr].map(|o| String::from_utf8_lossy(&o).into_owned()).concat();
    let found = differences(&text);
    println!("  {name}: {seconds:.1} s, {found:?} differences of {truth}, {}", output.status);
    if output.status.success() && found == Some(truth) {
        return Ok(seconds);
    }
    let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
    Err(format!("{}, {found:?} differences where there are {truth}: {last}", output.status))
}
