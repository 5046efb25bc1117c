//! Parses the command line and hands over.

use std::process::ExitCode;

use clap::Parser;
use color_eyre::eyre::Result;

fn main() -> Result<ExitCode> {
    color_eyre::install()?;
    // Two TLS users (kube, reqwest) share one process-wide crypto provider: the first call decides.
    let _ = rustls::crypto::ring::default_provider().install_default();
    drtui::cli::run(drtui::cli::Cli::parse())
}
