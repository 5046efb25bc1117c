//! From exec to the first whole frame, beyond what starting any program costs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::harness::{Home, PATIENCE, Spawn};
use crate::numbers::{Line, Samples};

const RUNS: usize = 30;
const NAME: &str = "first frame after exec, median, beyond an empty program";
const BUDGET_MS: f64 = 30.0;

/// Starts the cockpit and an empty program in turn, each on a terminal of 120x40.
pub fn first_frame() -> Vec<Line> {
    let home = Home::new();
    let config = home.unreachable_config();
    let config = config.to_string_lossy().into_owned();
    let empty = match empty_program(&home) {
        Ok(path) => path,
        Err(why) => return vec![Line::failed(NAME, "≤ 30 ms", &why)],
    };
    let (mut full, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..RUNS {
        bare.push(to_the_end(Spawn::program(&empty, &home, &[]).size(120, 40)));
        match to_first_frame(Spawn::drtui(&home, &["--config", &config]).size(120, 40)) {
            Ok(took) => full.push(took),
            Err(screen) => return vec![Line::failed(NAME, "≤ 30 ms", &screen)],
        }
    }
    let beyond = full.quantile(0.5) - bare.quantile(0.5);
    vec![
        Line::at_most(NAME, beyond, BUDGET_MS, "ms"),
        Line::shown("  the cockpit itself, median", full.quantile(0.5), "ms"),
        Line::shown("  an empty program, median", bare.quantile(0.5), "ms"),
    ]
}

fn to_first_frame(spawn: Spawn) -> Result<Duration, String> {
    let mut pty = spawn.start();
    let first = pty.try_wait(PATIENCE, |s| {
        let drawn =
            s.screen().alternate_screen() && s.screen().contents().contains("refer-serious-misconduct");
        drawn.then_some(s.last)
    });
    let Some(first) = first else { return Err(format!("no frame came: {}", pty.text())) };
    let took = first.duration_since(pty.started);
    pty.send("q");
    pty.wait_exit();
    Ok(took)
}

fn to_the_end(spawn: Spawn) -> Duration {
    let pty = spawn.start();
    let end = pty.wait("the end of the empty program", PATIENCE, |s| s.eof.then_some(s.last));
    end.duration_since(pty.started)
}

/// Builds `fn main() {}` with optimisation.
fn empty_program(home: &Home) -> Result<PathBuf, String> {
    let source = home.file("empty.rs", "fn main() {}\n");
    let program = home.path().join("empty");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let built =
        Command::new(rustc).args(["-O", "--edition", "2024", "-o"]).arg(&program).arg(&source).status();
    match built {
        Ok(status) if status.success() => Ok(program),
        other => Err(format!("the empty program to compare with was not built: {other:?}")),
    }
}
