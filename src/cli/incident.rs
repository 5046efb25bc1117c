//! `drtui incident`.

use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::Result;

#[derive(Debug, Args)]
pub struct IncidentArgs {}

pub fn run(_args: IncidentArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
