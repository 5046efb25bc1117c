//! A sandbox without cockpit, in this process: until a signal, or the end of standard input if so asked.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use color_eyre::eyre::{Result, WrapErr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::parent::READY;
use crate::sandbox::world;
use crate::sandbox::{Options, Say};

/// Tells the C library's allocator how many pools of memory it may have.
const POOLS: &str = "MALLOC_ARENA_MAX";

/// Starts this program again, as the same process, with one pool of memory. With a pool for each thread, what one thread
/// freed is of no use to the others: two thousand deployments scaled a few times took 360 MB instead of 160.
fn with_one_pool() -> Result<()> {
    if !cfg!(target_env = "gnu") || std::env::var_os(POOLS).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe().wrap_err("cannot find this program")?;
    let mut again = Command::new(program);
    again.args(std::env::args_os().skip(1)).env(POOLS, "1");
    // Comes back only when it could not be done; then the sandbox is just larger.
    let error = again.exec();
    tracing::warn!(%error, "cannot start again with one pool of memory");
    Ok(())
}

/// Runs the sandbox to its end.
pub fn run(options: &Options, stop_with_stdin: bool) -> Result<ExitCode> {
    with_one_pool()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async {
        let (stopper, stop) = watch::channel(false);
        let stopper = Arc::new(stopper);
        stop_on_signals(&stopper)?;
        if stop_with_stdin {
            stop_at_end_of_input(Arc::clone(&stopper));
        }
        let begun = Instant::now();
        let say: Say =
            Arc::new(move |words| tell(&format!("{:5.1} s  {words}", begun.elapsed().as_secs_f64())));
        let ready = |_: &crate::sandbox::state::State| {
            tell(&format!("{:5.1} s  the sandbox is ready", begun.elapsed().as_secs_f64()));
            tell(&format!("{READY}{}", options.state_file.display()));
        };
        world::run(options, stop, &say, ready).await.wrap_err("the sandbox failed")
    });
    // Threads that wait for input must not hold the process back.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

/// A line for whoever reads; if nobody does any more, that is no reason to fail.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn stop_on_signals(stopper: &Arc<watch::Sender<bool>>) -> Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut signals = signal(kind).wrap_err("cannot listen for signals")?;
        let stopper = Arc::clone(stopper);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stopper.send_replace(true);
            }
        });
    }
    Ok(())
}

fn stop_at_end_of_input(stopper: Arc<watch::Sender<bool>>) {
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = [0; 256];
        while matches!(input.read(&mut buffer), Ok(read) if read > 0) {}
        stopper.send_replace(true);
    });
}
