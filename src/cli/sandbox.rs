//! `drtui sandbox`.

use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::Result;

use super::Global;

#[derive(Debug, Args)]
pub struct SandboxArgs {}

pub fn run(_global: &Global, _args: SandboxArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
