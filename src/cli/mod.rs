//! The command line: one file a subcommand. Parses, hands over, prints, picks the exit code.

pub mod cockpit;
pub mod compare;
pub mod incident;
mod out;
pub mod report;
pub mod runbook;
pub mod sandbox;
pub mod status;
pub mod tunnel;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use color_eyre::eyre::Result;

/// Incident cockpit: runbook, live state, guarded and journalled actions in one terminal.
#[derive(Debug, Parser)]
#[command(name = "drtui", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub cockpit: cockpit::CockpitArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every subcommand understands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file [default: drtui.toml in this directory, then the user's configuration directory]
    #[arg(long, global = true, env = "DRTUI_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Environment of the service, as named in the configuration
    #[arg(long, short = 'e', global = true, env = "DRTUI_ENV", value_name = "NAME")]
    pub env: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a small world on loopback (real PostgreSQL, simulated Azure and Kubernetes) and open the cockpit on it
    Sandbox(sandbox::SandboxArgs),
    /// List, show and verify incident journals
    Incident(incident::IncidentArgs),
    /// Write an incident's report from its journal alone
    Report(report::ReportArgs),
    /// List, show and check runbooks
    Runbook(runbook::RunbookArgs),
    /// Compare a live database with a restored copy; read-only on both
    Compare(compare::CompareArgs),
    /// What the panes know, once, for scripts
    Status(status::StatusArgs),
    /// Run psql, `pg_dump`, `pg_restore` or redis-cli through a tunnel, or keep a local port open (konduit.sh's options)
    Tunnel(tunnel::TunnelArgs),
}

/// Runs the subcommand to its end. Errors say what failed, on what, and what to do next.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Some(Command::Sandbox(args)) => sandbox::run(&cli.global, args),
        Some(Command::Incident(args)) => incident::run(args),
        Some(Command::Report(args)) => report::run(args),
        Some(Command::Runbook(args)) => runbook::run(&cli.global, args),
        Some(Command::Compare(args)) => compare::run(&cli.global, args),
        Some(Command::Status(args)) => status::run(&cli.global, args),
        Some(Command::Tunnel(args)) => tunnel::run(&cli.global, args),
        None => cockpit::run(&cli.global, &cli.cockpit),
    }
}
