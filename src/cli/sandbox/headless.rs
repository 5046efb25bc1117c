//! A sandbox without cockpit, in this process: until a signal, or the end of standard input if so asked.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use color_eyre::eyre::{Result, WrapErr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::parent::READY;
use crate::sandbox::world;
use crate::sandbox::{Options, Say};

/// Runs the sandbox to its end.
pub fn run(options: &Options, stop_with_stdin: bool) -> Result<ExitCode> {
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
