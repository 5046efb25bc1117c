//! `make bench`: the numbers that the cockpit promises, measured on this machine in one run of the release build, each
//! against its budget. Ends with 1 when one is missed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    missing_debug_implementations
)]

mod draw;
#[path = "../../tests/it/pty/harness.rs"]
mod harness;
mod live;
mod numbers;
mod process;
mod start;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use numbers::Line;

/// A large world writes two million rows first.
const WORLD_PATIENCE: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // With names (`cargo bench --bench cockpit -- rest load`) only those parts run.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|a| a == part);
    let mut lines = Vec::new();
    if wanted("start") {
        lines.extend(start::first_frame());
    }
    if wanted("draw") {
        lines.push(draw::at_200_by_60());
    }
    if wanted("rest") {
        match world::World::start("small", WORLD_PATIENCE) {
            Ok(world) => lines.extend(live::at_rest(&world)),
            Err(why) => lines.push(Line::failed("at rest", "", &why)),
        }
    }
    if wanted("load") {
        match world::World::start("large", WORLD_PATIENCE) {
            Ok(world) => lines.extend(live::under_load(&world)),
            Err(why) => lines.push(Line::failed("under load", "", &why)),
        }
    }
    println!();
    if numbers::print(&lines) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
