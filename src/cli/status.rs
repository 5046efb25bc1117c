//! `drtui status`: what the panes know, once, for scripts. Starts the providers, waits until each has answered or failed,
//! prints, and says by its exit code whether all is well.

mod known;
mod open;
mod print;

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use color_eyre::eyre::{Result, WrapErr};
use tokio::sync::Notify;

use super::Global;
use crate::config::{Config, ConfigError, paths};
use crate::core::world::World;
use crate::domain::Target;
use crate::domain::feed::Sink;
use crate::providers::{self, Settings};

/// How long open files and half-made clients may take to end.
const END: Duration = Duration::from_millis(200);

/// Exit code 0: every source answers and the service is up; 1: not so; 2: the configuration cannot be used.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Seconds to wait for sources that have neither answered nor failed
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub wait: u64,
}

/// Prints the status once.
///
/// # Errors
/// Only when the machine gives us no runtime: everything else is part of the status.
pub fn run(global: &Global, args: StatusArgs) -> Result<ExitCode> {
    let (target, settings) = match resolve(global) {
        Ok(resolved) => resolved,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return Ok(ExitCode::from(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .wrap_err("cannot start the runtime that asks the sources; try again, or check limits (ulimit -a)")?;
    let known = runtime.block_on(ask(&settings, &target, Duration::from_secs(args.wait)));
    runtime.shutdown_timeout(END);
    let now = chrono::Utc::now();
    let open = open::incidents(&paths::incidents_dir(), &target).unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "open incidents are not shown: {error}");
        Vec::new()
    });
    let text = if args.json {
        let mut text = serde_json::to_string_pretty(&print::json(&target, &known, &open, now))?;
        text.push('\n');
        text
    } else {
        print::text(&target, &known, &open, now)
    };
    // Whoever closed the pipe has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if known::all_well(&known, &target) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn resolve(global: &Global) -> Result<(Target, Settings), ConfigError> {
    let config = Config::find(global.config.as_deref())?;
    let env = global.env.as_deref();
    Ok((config.target(env)?, config.settings(env)?))
}

async fn ask(settings: &Settings, target: &Target, patience: Duration) -> World {
    let world = Arc::new(Mutex::new(World::default()));
    let news = Arc::new(Notify::new());
    let (ear, bell) = (Arc::clone(&world), Arc::clone(&news));
    let sink: Sink = Arc::new(move |update, at| {
        ear.lock().unwrap_or_else(PoisonError::into_inner).apply(update, at);
        bell.notify_one();
    });
    let read = || world.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let running = providers::start(settings, target, sink);
    let settled = async {
        while !known::settled(&read(), target) {
            news.notified().await;
        }
    };
    let _ = tokio::time::timeout(patience, settled).await;
    drop(running);
    read()
}
