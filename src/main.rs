//! Parses the command line and hands over; says in one line what went wrong.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Two TLS users (kube, reqwest) share one process-wide crypto provider: the first call decides.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Err(e) = color_eyre::install() {
        eprintln!("drtui: panics will be reported plainly: {e}");
    }
    drtui::cli::run(drtui::cli::Cli::parse()).unwrap_or_else(|e| {
        eprintln!("drtui: {}", drtui::domain::text::redact(&format!("{e:#}")));
        ExitCode::from(2)
    })
}
