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
    let seconds = timed(&mut command).unwrap_or_else(|| {
        println!("  reladiff did not run (pip install reladiff[postgresql]; RELADIFF=path)");
        0.0
    });
    println!("  reladiff: {seconds:.1} s");
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
    command.args(["--checksum-function=fnv", &address(live), &address(restored)]);
    let seconds = timed(&mut command).unwrap_or_else(|| {
        println!("  pg_comparator did not run (apt-get install postgresql-comparator; PG_COMPARATOR=path)");
        0.0
    });
    println!("  pg_comparator: {seconds:.1} s");
    bench.at_least("pg_comparator takes longer on orders", seconds / physical, 8.0, "x");
}

fn timed(command: &mut Command) -> Option<f64> {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    // Both end with other codes than 0 when something differs.
    println!("  {:?}: {}", output.status.code(), text.lines().take(3).collect::<Vec<_>>().join(" / "));
    (began.elapsed().as_secs_f64() > 1.0).then(|| began.elapsed().as_secs_f64())
}
