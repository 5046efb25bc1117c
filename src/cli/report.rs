//! `drtui report`: an incident's report from its journal alone.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use color_eyre::eyre::{Result, WrapErr};

use super::{incident, out};
use crate::config::paths;
use crate::incident::list;
use crate::incident::report::{self, Make};

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Incident id, or a journal file
    incident: String,
    #[arg(long, value_enum, default_value = "md")]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Report what comes before the damage of a damaged journal, stamped so
    #[arg(long)]
    readable_part: bool,
    /// Folder of the journals [default: drtui/incidents in the XDG state directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Md,
    Json,
}

pub fn run(args: ReportArgs) -> Result<ExitCode> {
    let dir = args.dir.unwrap_or_else(paths::incidents_dir);
    let path = list::locate(&dir, &args.incident)?;
    let (entries, damage) = incident::load(&path, args.readable_part)?;
    let make = Make { now: Some(chrono::Utc::now()), damage };
    let text = match args.format {
        Format::Md => report::markdown(&entries, &make),
        Format::Json => {
            serde_json::to_string_pretty(&report::json(&entries, &make))
                .wrap_err("cannot write the report as JSON")?
                + "\n"
        }
    };
    match args.output {
        Some(file) => {
            fs::write(&file, text)
                .wrap_err_with(|| format!("cannot write the report to {}", file.display()))?;
        }
        None => out::text(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}
