//! `drtui report`.

use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::Result;

#[derive(Debug, Args)]
pub struct ReportArgs {}

pub fn run(_args: ReportArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
