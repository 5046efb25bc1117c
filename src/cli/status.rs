//! `drtui status`.

use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::Result;

use super::Global;

#[derive(Debug, Args)]
pub struct StatusArgs {}

pub fn run(_global: &Global, _args: StatusArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
