//! `drtui runbook`.

use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::Result;

#[derive(Debug, Args)]
pub struct RunbookArgs {}

pub fn run(_args: RunbookArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
