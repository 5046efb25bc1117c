//! `drtui compare`: live against a restored copy. Results on standard output, progress on standard error, the finding in
//! the exit code.

mod progress;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use color_eyre::eyre::{Result, WrapErr, eyre};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::{Global, out};
use crate::compare::engine::{self, Job, Outcome};
use crate::compare::model::{Event, Mode, Options};
use crate::compare::report::{self, Report};
use crate::domain::text;
use crate::providers::postgres::{Connect, SslMode, Tls, Url};

/// News that may wait to be read.
const NEWS: usize = 64;
/// Rows of each kind and table that the text shows.
const SHOWN: usize = 10;

/// Compares a live database with a restored copy of it; changes nothing on either.
///
/// Exit code 0: the same; 1: something differs; 2: something could not be compared, or an error.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The live database: postgres://user@host:port/name. Passwords: in the URL, or better DRTUI_LIVE_PASSWORD
    #[arg(long, value_name = "URL")]
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
    /// Wait while live has more active sessions than this; 0 never waits
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub max_load: u32,
    /// Seconds of work on live after which the remaining tables are left out
    #[arg(long, value_name = "SECONDS")]
    pub budget: Option<u64>,
    /// Milliseconds that one statement may take on live where it can be divided
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub chunk: u64,
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
pub fn run(_global: &Global, args: CompareArgs) -> Result<ExitCode> {
    let live = url(&args.live, "DRTUI_LIVE_PASSWORD").wrap_err("--live")?;
    let restored = match args.restored.strip_prefix('@') {
        Some(server) => live.clone().on_server(server),
        None => url(&args.restored, "DRTUI_RESTORED_PASSWORD").wrap_err("--restored")?,
    };
    let report = Report {
        live_at: live.to_string(),
        restored_at: restored.to_string(),
        live: None,
        restored: None,
        mode: mode(args.mode),
        filter: args.filter.clone(),
        tables: Vec::new(),
        schema: Vec::new(),
        notes: Vec::new(),
        summary: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .wrap_err("cannot start the runtime that compares; try again, or check limits (ulimit -a)")?;
    let outcome = runtime.block_on(compare(live, restored, report, &args));
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

fn url(text: &str, password: &str) -> Result<Url> {
    let mut url = Url::parse(text)?;
    if let (None, Ok(secret)) = (&url.password, std::env::var(password)) {
        url.password = Some(secret.into());
    }
    Ok(url)
}

async fn tls(url: &Url, ca_file: Option<&Path>) -> Result<Tls> {
    // libpq's `disable` to `prefer` ask for no certificate: whoever wants that writes it.
    if let Some(SslMode::Disable | SslMode::Allow | SslMode::Prefer) = url.ssl {
        return Ok(Tls::unverified()?);
    }
    let named = url.root.as_deref().filter(|root| *root != "system").map(Path::new);
    Ok(Tls::load(ca_file.or(named)).await?)
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

async fn compare(
    live: Url,
    restored: Url,
    mut report: Report,
    args: &CompareArgs,
) -> Result<(Report, Outcome)> {
    let ca_file = args.ca_file.as_deref();
    let (live_tls, restored_tls) = (tls(&live, ca_file).await?, tls(&restored, ca_file).await?);
    let (live, restored) = (Connect::direct(live, live_tls), Connect::direct(restored, restored_tls));
    let options = options(args);
    let (events, mut news) = mpsc::channel(NEWS);
    let (stop, stopped) = watch::channel(false);
    let job = Job { live: Arc::new(live), restored: Arc::new(restored), options, events, stop: stopped };
    let running = tokio::spawn(engine::run(job));
    let interrupted = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Whoever listens cancels on the servers; if nobody does, we are at the end.
            let _ = stop.send(true);
        }
        std::future::pending::<()>().await;
    });
    let mut said = progress::Progress::new(args.quiet);
    while let Some(event) = news.recv().await {
        said.take(&event);
        take(&mut report, event, args.format == Format::Ndjson)?;
    }
    said.end();
    interrupted.abort();
    let outcome = running.await.wrap_err("the comparison broke off")?;
    Ok((report, outcome))
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
