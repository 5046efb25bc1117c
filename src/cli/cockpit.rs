//! `drtui` without a subcommand: the cockpit, live or from a recording.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::Utc;
use clap::{Args, ValueEnum};
use color_eyre::eyre::{Context, Result};

use super::Global;
use crate::config::{self, Config, paths};
use crate::core::model::Start;
use crate::incident::store;
use crate::providers::tunnel::clear_left_behind;
use crate::runbook;
use crate::runtime::{self, Setup, replay, terminal};
use crate::view::theme::{Depth, Theme};

/// Options of the cockpit itself.
#[derive(Debug, Clone, Args)]
pub struct CockpitArgs {
    #[command(flatten)]
    pub screen: ScreenArgs,
    /// Play a recording into the screen; nothing is asked of anybody
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    pub replay: Option<PathBuf>,
}

/// What every cockpit understands, the sandbox's too.
#[derive(Debug, Clone, Args)]
pub struct ScreenArgs {
    /// Theme: dark, light, high-contrast, colour-blind or mono
    #[arg(long, env = "DRTUI_THEME", value_name = "NAME")]
    pub theme: Option<String>,
    /// When to use colour; `auto` honours NO_COLOR and TERM
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    pub color: Colour,
    /// Record every message to a new file, without secrets
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

impl ScreenArgs {
    fn depth(&self) -> Depth {
        let env = |name: &str| std::env::var(name).ok();
        match self.color {
            Colour::Never => Depth::None,
            Colour::Auto => Depth::detect(&env),
            // Asked for in so many words: NO_COLOR does not count.
            Colour::Always => {
                Depth::detect(&|name| if name == "NO_COLOR" { None } else { env(name) }).max(Depth::Ansi16)
            }
        }
    }

    fn theme(&self) -> Result<String> {
        let env = |name: &str| std::env::var(name).ok();
        let name = self.theme.as_deref().unwrap_or_else(|| Theme::suited(&env));
        Ok(Theme::named(name)?.name().to_owned())
    }
}

/// Runs the cockpit, or plays a recording.
pub fn run(global: &Global, args: &CockpitArgs) -> Result<ExitCode> {
    if let Some(recording) = &args.replay {
        terminal::install_panic_hook();
        return runtime()?.block_on(replay::run(recording, args.screen.depth()));
    }
    open(global.config.as_deref(), global, &args.screen, false)
}

/// Opens the cockpit on a configuration (found in the usual places when `path` is `None`). `passing`: its world ends
/// with it.
pub fn open(path: Option<&Path>, global: &Global, args: &ScreenArgs, passing: bool) -> Result<ExitCode> {
    let config = Config::find(path)?;
    let env = global.env.as_deref();
    let target = config.target(env)?;
    let settings = config.settings(env)?;
    let (mut runbooks, mut troubles) = (Vec::new(), Vec::new());
    for (name, text) in config::runbooks(&config) {
        match runbook::parse(&name, &text) {
            Ok(book) => runbooks.push(book),
            Err(e) => troubles.push(format!("Runbook left out: {e}")),
        }
    }
    // The loss-of-data runbook opens first; a service's own version of it has the same id.
    runbooks.sort_by_key(|r| r.id != "loss-of-data");
    let start = Start {
        now: Utc::now(),
        size: crossterm::terminal::size().unwrap_or((80, 24)),
        target,
        who: store::who(),
        runbooks,
        theme: args.theme()?,
        themes: Theme::names().iter().map(|n| (*n).to_owned()).collect(),
        test_switches: std::env::var_os("DRTUI_TEST_PANIC").is_some(),
    };
    let incidents = paths::incidents_dir();
    paths::create_private(&incidents).wrap_err_with(|| format!("cannot make {}", incidents.display()))?;
    let _log = log()?;
    clear_left_behind();
    terminal::install_panic_hook();
    let setup = Setup {
        start,
        settings,
        incidents,
        record: args.record.clone(),
        depth: args.depth(),
        troubles,
        passing,
    };
    let runtime = runtime()?;
    let code = runtime.block_on(runtime::run(setup));
    // Tasks that hang in a plugin or a dead connection must not keep the terminal waiting.
    runtime.shutdown_background();
    code
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

/// Logs to a file a day in the state directory; never to the screen. `DRTUI_LOG` sets the level.
fn log() -> Result<tracing_appender::non_blocking::WorkerGuard> {
    let dir = paths::log_dir();
    paths::create_private(&dir).wrap_err_with(|| format!("cannot make {}", dir.display()))?;
    let (writer, guard) = tracing_appender::non_blocking(tracing_appender::rolling::daily(dir, "drtui.log"));
    let filter = tracing_subscriber::EnvFilter::try_from_env("DRTUI_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).try_init();
    Ok(guard)
}
