//! The cockpit on a sandbox: the world runs in a child process, which ends when we do, however we end.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::thread::JoinHandle;

use chrono::TimeDelta;
use color_eyre::eyre::{Result, WrapErr, bail, eyre};

use super::Global;
use crate::cli::cockpit::{self, ScreenArgs};
use crate::sandbox::Options;
use crate::sandbox::history::History;
use crate::sandbox::state::State;

/// What the child says before the state file's path once all is ready.
pub const READY: &str = "ready: ";
/// Last words of the child that are kept for its obituary.
const LAST_WORDS: usize = 40;

/// Starts the sandbox, opens the cockpit on it, and stops the sandbox again.
pub fn run(global: &Global, screen: &ScreenArgs, options: &Options) -> Result<ExitCode> {
    let mut child = spawn(options)?;
    let last_words = child.stderr.take().map(listen);
    if let Err(error) = follow_until_ready(&mut child) {
        drop(child.stdin.take());
        let _ = child.wait();
        let words = last_words.and_then(|thread| thread.join().ok()).unwrap_or_default();
        return Err(if words.is_empty() { error } else { eyre!("{words}") });
    }
    let state = State::of_running(&options.state_file)?;
    let left = cockpit::open(Some(&state.config), global, screen, true);
    println!("Stopping the sandbox.");
    // The child stops when its input ends.
    drop(child.stdin.take());
    let ended = child.wait().wrap_err("cannot wait for the sandbox's end")?;
    if !ended.success() {
        let words = last_words.and_then(|thread| thread.join().ok()).unwrap_or_default();
        eprintln!("The sandbox did not end well ({ended}). {words}");
    }
    left
}

fn history(history: &History) -> Vec<String> {
    let ms = |time: TimeDelta| format!("{}ms", time.num_milliseconds());
    let mut words = vec!["--history".into(), ms(history.length)];
    if let Some((disaster, ago)) = history.struck {
        words.extend(["--disaster".into(), disaster.name().into(), "--disaster-ago".into(), ms(ago)]);
    }
    words
}

fn spawn(options: &Options) -> Result<Child> {
    let program = std::env::current_exe().wrap_err("cannot find this program to start the sandbox with")?;
    Command::new(&program)
        .args(["sandbox", "--headless", "--stop-with-stdin", "--scale", options.recipe.scale.name()])
        .args(["--seed", &options.recipe.seed.to_string(), "--as-of", &options.recipe.as_of.to_string()])
        .args(options.fast.then_some("--fast"))
        .args(options.realistic.then_some("--realistic"))
        .args(["--restore-lag", &format!("{}ms", options.restore_lag.as_millis())])
        .args(["--sandbox-day", &format!("{}ms", options.day.as_millis())])
        .args(options.disaster.iter().flat_map(|disaster| ["--disaster", disaster.name()]))
        .args(options.history.iter().flat_map(history))
        .arg("--state-file")
        .arg(&options.state_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal is for us; the child follows through its input.
        .process_group(0)
        .spawn()
        .wrap_err_with(|| format!("cannot start the sandbox ({})", program.display()))
}

/// Shows the child's progress until it is ready, then goes on reading so that it never blocks.
fn follow_until_ready(child: &mut Child) -> Result<()> {
    let Some(out) = child.stdout.take() else { bail!("the sandbox has no output to follow") };
    let mut lines = BufReader::new(out).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.strip_prefix(READY).map(Path::new).is_some() {
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
            return Ok(());
        }
        println!("{line}");
    }
    bail!("the sandbox ended before it was ready")
}

/// Keeps the child's last error lines.
fn listen(stderr: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut last = VecDeque::new();
        for line in BufReader::new(stderr.take(1 << 20)).lines().map_while(Result::ok) {
            if last.len() == LAST_WORDS {
                last.pop_front();
            }
            last.push_back(line);
        }
        Vec::from(last).join("\n").trim().to_owned()
    })
}
