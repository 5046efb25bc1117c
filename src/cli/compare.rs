//! `drtui compare`: live against a restored copy. Results on standard output, progress on standard error, the finding in
//! the exit code.

mod progress;
mod way;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use color_eyre::eyre::{Result, WrapErr, eyre};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use self::way::Ways;
use super::tunnel::Signals;
use super::{Global, out};
use crate::compare::engine::{self, Job, Outcome};
use crate::compare::model::{Event, Mode, Options};
use crate::compare::report::{self, Report};
use crate::domain::text;

/// News that may wait to be read.
const NEWS: usize = 64;
/// Rows of each kind and table that the text shows.
const SHOWN: usize = 10;

/// Compares a live database with a restored copy of it; changes nothing on either.
///
/// Exit code 0: the same; 1: something differs; 2: something could not be compared, or an error.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The live database: postgres://user@host:port/name, its password better in `DRTUI_LIVE_PASSWORD`; or @ENV, the
    /// environment of the configuration whose database it is, through a tunnel
    #[arg(long, value_name = "URL|@ENV")]
    pub live: String,
    /// The restored copy: a URL, or @SERVER for live's database and user on another server
    #[arg(long, value_name = "URL|@SERVER")]
    pub restored: String,
    /// Tables to compare: name or schema.name, * and ? allowed; may be repeated [default: all]
    #[arg(long, value_name = "PATTERN")]
    pub table: Vec<String>,
    /// Tables to leave out; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// SQL condition: compare only rows for which it holds
    #[arg(long = "where", value_name = "CONDITION")]
    pub filter: Option<String>,
    /// Which path may be taken
    #[arg(long, value_enum, default_value_t = ModeArg::Auto)]
    pub mode: ModeArg,
    /// Rows to list of each kind and table
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub rows: usize,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// End with 1 when something differs, even if something else could not be compared
    #[arg(long)]
    pub fail_on_difference: bool,
    /// Wait while live has more sessions at work than this, ours apart; 0 never waits [default: twice those of the
    /// beginning, at least 8 more]
    #[arg(long, value_name = "N")]
    pub max_load: Option<u32>,
    /// Seconds of work on live after which the remaining tables are left out
    #[arg(long, value_name = "SECONDS")]
    pub budget: Option<u64>,
    /// Milliseconds that one statement may take on live where it can be divided
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub chunk: u64,
    /// With @ENV: through pods made for this, deleted at the end; the only way while the service is stopped
    #[arg(short = 'x', long)]
    pub separate_pod: bool,
    /// Certificate authorities to trust, in PEM, beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Say nothing on standard error but errors
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ModeArg {
    /// Physical where every gate holds, else by content
    Auto,
    /// Physical or not at all
    Physical,
    /// By content only
    Logical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// One JSON object a line, as tables are finished
    Ndjson,
    Html,
}

/// Compares and prints.
///
/// # Errors
/// When the addresses cannot be used, or the comparison cannot begin or go on.
pub fn run(global: &Global, args: CompareArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .wrap_err("cannot start the runtime that compares; try again, or check limits (ulimit -a)")?;
    let outcome = runtime.block_on(compare(global, &args));
    runtime.shutdown_timeout(Duration::from_millis(500));
    let (report, outcome) = outcome?;
    outcome.map_err(|e| eyre!("{e}"))?;
    match args.format {
        Format::Json => out::json(&report::document(&report))?,
        Format::Text => out::text(&report::text(&report, SHOWN.min(args.rows)))?,
        Format::Html => out::text(&report::html(&report))?,
        Format::Ndjson => {}
    }
    Ok(code(&report, args.fail_on_difference))
}

fn mode(mode: ModeArg) -> Mode {
    match mode {
        ModeArg::Auto => Mode::Auto,
        ModeArg::Physical => Mode::Physical,
        ModeArg::Logical => Mode::Logical,
    }
}

fn options(args: &CompareArgs) -> Options {
    Options {
        mode: mode(args.mode),
        tables: args.table.clone(),
        exclude: args.exclude.clone(),
        filter: args.filter.clone(),
        rows: args.rows,
        chunk: Duration::from_millis(args.chunk),
        max_load: args.max_load,
        budget: args.budget.map(Duration::from_secs),
        ..Options::default()
    }
}

/// 2 if something is unknown, as `diff` has it; differences come first if that was asked for.
fn code(report: &Report, differences_first: bool) -> ExitCode {
    let Some(summary) = &report.summary else { return ExitCode::from(2) };
    match (summary.differs(), summary.incomplete()) {
        (true, true) if differences_first => ExitCode::from(1),
        (_, true) => ExitCode::from(2),
        (true, false) => ExitCode::from(1),
        (false, false) => ExitCode::SUCCESS,
    }
}

async fn compare(global: &Global, args: &CompareArgs) -> Result<(Report, Outcome)> {
    let (stop, stopped) = watch::channel(false);
    // From here on whatever ends us ends in order: what was opened is closed.
    let mut signals = Signals::new()?;
    let interrupted = tokio::spawn(async move {
        signals.ended().await;
        // Whoever listens cancels on the servers; if nobody does, we are at the end.
        let _ = stop.send(true);
        std::future::pending::<()>().await;
    });
    let ways = Ways::open(global, args, stopped.clone()).await?;
    if let Some(condition) = &args.filter
        && let Err(why) = ways.check(condition, stopped.clone()).await
    {
        ways.close().await;
        interrupted.abort();
        return Err(eyre!("--where: {why}"));
    }
    let mut report = Report {
        live_at: ways.live.at.clone(),
        restored_at: ways.restored.at.clone(),
        live: None,
        restored: None,
        mode: mode(args.mode),
        filter: args.filter.clone(),
        tables: Vec::new(),
        schema: Vec::new(),
        notes: Vec::new(),
        summary: None,
    };
    let (live, restored) = (Arc::new(ways.live.connect.clone()), Arc::new(ways.restored.connect.clone()));
    let (events, mut news) = mpsc::channel(NEWS);
    let running =
        tokio::spawn(engine::run(Job { live, restored, options: options(args), events, stop: stopped }));
    let mut said = progress::Progress::new(args.quiet);
    let mut printed = Ok(());
    while let Some(event) = news.recv().await {
        said.take(&event);
        printed = take(&mut report, event, args.format == Format::Ndjson);
        if printed.is_err() {
            // Nobody reads any more: the comparison ends when it notices.
            break;
        }
    }
    drop(news);
    said.end();
    let outcome = running.await.wrap_err("the comparison broke off");
    ways.close().await;
    interrupted.abort();
    printed?;
    Ok((report, outcome?))
}

fn take(report: &mut Report, event: Event, print: bool) -> Result<()> {
    let line = match &event {
        Event::Table { table } => Some(report::table(table)),
        Event::Schema { changes } => Some(json!({"schema": changes})),
        Event::Done { summary } => Some(json!({"summary": summary})),
        _ => None,
    };
    if let (true, Some(line)) = (print, line) {
        out::text(&line.to_string())?;
    }
    match event {
        Event::Opened { live, restored } => (report.live, report.restored) = (Some(*live), Some(*restored)),
        // Lines that were printed need not be kept.
        Event::Table { .. } if print => {}
        Event::Table { table } => report.tables.push(*table),
        Event::Schema { changes } => report.schema = changes,
        Event::Note { text } => report.notes.push(text),
        Event::Done { summary } => report.summary = Some(*summary),
        Event::Listed { .. } | Event::Glimpse { .. } | Event::Progress { .. } => {}
    }
    Ok(())
}

/// Writes a line to standard error; whoever closed it has heard enough.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text::clean(line));
}
