//! `drtui runbook`: list, show and check runbooks.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use color_eyre::eyre::{Result, WrapErr, eyre};
use serde_json::json;

use super::{Global, out};
use crate::config::{self, BUILT_IN, Config};
use crate::domain::text::clean;
use crate::runbook::{self, Item, Runbook};

#[derive(Debug, Args)]
pub struct RunbookArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the service's runbooks and the built-in ones
    List {
        #[arg(long)]
        json: bool,
    },
    /// Show a runbook as drtui reads it: sections, items, probes, commands
    Show {
        /// File, or id of a listed runbook
        runbook: String,
        #[arg(long)]
        json: bool,
    },
    /// Check runbooks: exit 1 if one cannot be read (with --strict: or if anything is found)
    Check {
        /// Files; without any, all listed runbooks
        files: Vec<PathBuf>,
        /// Findings fail too
        #[arg(long)]
        strict: bool,
        #[arg(long)]
        json: bool,
    },
}

pub fn run(global: &Global, args: RunbookArgs) -> Result<ExitCode> {
    match args.command {
        Command::List { json } => list(global, json),
        Command::Show { runbook, json } => show(global, &runbook, json),
        Command::Check { files, strict, json } => check(global, &files, strict, json),
    }
}

/// The service's runbooks and the built-in ones; the built-in ones alone when there is no configuration.
fn known(global: &Global) -> Result<Vec<(String, String)>> {
    match Config::find(global.config.as_deref()) {
        Ok(config) => Ok(config::runbooks(&config)),
        Err(config::ConfigError::Missing { .. }) => {
            Ok(BUILT_IN.iter().map(|(name, text)| (format!("built-in {name}"), (*text).to_owned())).collect())
        }
        Err(e) => Err(e.into()),
    }
}

fn read(path: &Path) -> Result<(String, String)> {
    let about = fs::metadata(path).wrap_err_with(|| format!("cannot read the runbook {}", path.display()))?;
    if about.len() > runbook::parse::MAX_BYTES as u64 {
        return Err(eyre!("{}: {} bytes are too many for a runbook", path.display(), about.len()));
    }
    let text =
        fs::read_to_string(path).wrap_err_with(|| format!("cannot read the runbook {}", path.display()))?;
    Ok((clean(&path.display().to_string()), text))
}

fn list(global: &Global, as_json: bool) -> Result<ExitCode> {
    let mut rows = Vec::new();
    let mut text = String::new();
    let mut all_right = true;
    for (file, body) in known(global)? {
        match runbook::parse(&file, &body) {
            Ok(r) => {
                let items = r.items().count();
                let plain = if r.plain { "manual" } else { "typed" };
                let _ = writeln!(
                    text,
                    "{:<28} v{:<3} {plain:<7} {items:>3} items  {}  ({file})",
                    r.id, r.version, r.title
                );
                rows.push(json!({
                    "id": r.id, "title": r.title, "version": r.version, "file": file, "items": items,
                    "plain": r.plain, "sha256": r.sha256, "condition": r.condition,
                }));
            }
            Err(e) => {
                all_right = false;
                let _ = writeln!(text, "{e}");
                rows.push(json!({ "file": file, "error": e.to_string() }));
            }
        }
    }
    if as_json {
        out::json(&rows)?
    } else {
        out::text(&text)?
    }
    Ok(if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(global: &Global, name: &str, as_json: bool) -> Result<ExitCode> {
    let found = find(global, name)?;
    if as_json {
        out::json(&found)?
    } else {
        out::text(&outline(&found))?
    }
    Ok(ExitCode::SUCCESS)
}

/// The runbook that `name` means: a file, or the id or file name of a listed one.
fn find(global: &Global, name: &str) -> Result<Runbook> {
    let path = Path::new(name);
    if path.is_file() {
        let (file, text) = read(path)?;
        return Ok(runbook::parse(&file, &text)?);
    }
    let known = known(global)?;
    for (file, text) in &known {
        let parsed = runbook::parse(file, text);
        if file == name || parsed.as_ref().is_ok_and(|r| r.id == name) {
            return Ok(parsed?);
        }
    }
    Err(eyre!("no file and no runbook is called `{}`; `drtui runbook list` shows what there is", clean(name)))
}

fn outline(r: &Runbook) -> String {
    let agreed = |m: Option<u32>| m.map_or_else(|| "not agreed".to_owned(), |m| format!("{m} m"));
    let version = if r.plain { "no version".to_owned() } else { format!("version {}", r.version) };
    let mut text = format!("{} ({}, {version})\n", r.title, r.id);
    if r.plain {
        text.push_str("Manual checklist: no dr block, nothing is sensed.\n");
    } else {
        let _ = writeln!(text, "Condition: {}\nGoal: {}", r.condition, r.goal);
        let _ = writeln!(text, "RTO {}, RPO {}", agreed(r.rto_minutes), agreed(r.rpo_minutes));
    }
    if !r.memory.is_empty() {
        let _ = writeln!(text, "By heart: {}", r.memory.join(" · "));
    }
    for section in &r.sections {
        let _ = writeln!(text, "\n## {}", section.title);
        for item in &section.items {
            item_lines(&mut text, item);
        }
    }
    text
}

fn item_lines(text: &mut String, item: &Item) {
    let indent = "  ".repeat(usize::from(item.depth));
    let role = item.role.map(|r| format!(" ({})", r.word())).unwrap_or_default();
    let estimate = item.estimate.map(|m| format!(" ~{m} m")).unwrap_or_default();
    let _ = writeln!(text, "{indent}[ ] {}{role}{estimate}", item.title);
    let mut detail = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{indent}      {name}: {value}");
        }
    };
    detail("sense", item.sense.as_ref().map(ToString::to_string));
    detail("verify", item.verify.as_ref().map(ToString::to_string));
    detail("capture", item.capture.as_ref().map(|s| format!("replicas({s})")));
    detail("do", item.action.as_ref().map(ToString::to_string));
    detail("undo", item.undo.clone());
    detail("record", item.record.as_ref().map(ToString::to_string));
    for command in &item.commands {
        detail("command", Some(command.clone()));
    }
    for link in &item.links {
        detail("link", Some(format!("{} <{}>", link.text, link.url)));
    }
}

fn check(global: &Global, files: &[PathBuf], strict: bool, as_json: bool) -> Result<ExitCode> {
    let today = chrono::Utc::now().with_timezone(&chrono_tz::Europe::London).date_naive();
    let sources = if files.is_empty() {
        known(global)?
    } else {
        files.iter().map(|f| read(f)).collect::<Result<Vec<_>>>()?
    };
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut failed = false;
    for (file, body) in sources {
        match runbook::check(&file, &body, today) {
            Ok((r, findings)) => {
                failed |= strict && !findings.is_empty();
                let _ = writeln!(
                    text,
                    "{file}: ok, {} sections, {} items, {} findings",
                    r.sections.len(),
                    r.items().count(),
                    findings.len()
                );
                for finding in &findings {
                    let _ = writeln!(text, "{file}:{finding}");
                }
                rows.push(json!({ "file": file, "id": r.id, "sha256": r.sha256, "findings": findings }));
            }
            Err(e) => {
                failed = true;
                let _ = writeln!(text, "{e}");
                rows.push(json!({ "file": file, "line": e.line, "error": e.problem.to_string() }));
            }
        }
    }
    if as_json {
        out::json(&rows)?
    } else {
        out::text(&text)?
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
