//! `drtui incident`: list, show, verify and close incidents by their journals.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use color_eyre::eyre::{Result, WrapErr, eyre};
use serde_json::json;

use super::out;
use crate::config::paths;
use crate::domain::{clock, text::clean};
use crate::incident::list::{self, Summary};
use crate::incident::{Entry, Event, Journal, JournalError, Mark, State, store, words};

/// Open items that are named before an incident is closed.
const OPEN_SHOWN: usize = 10;
/// Longest answer that is read, in bytes.
const LINE_MAX: u64 = 4096;

#[derive(Debug, Args)]
pub struct IncidentArgs {
    /// Folder of the journals [default: drtui/incidents in the XDG state directory]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List incidents, newest first
    List {
        #[arg(long)]
        json: bool,
    },
    /// Show what an incident's journal says
    Show {
        /// Incident id, or a journal file
        incident: String,
        #[arg(long)]
        json: bool,
        /// Show what comes before the damage of a damaged journal
        #[arg(long)]
        readable_part: bool,
    },
    /// Check every line of a journal: exit 0 if it is as it was written, 1 if not
    Verify {
        /// Incident id, or a journal file
        incident: String,
        /// Hash from an earlier report: the journal must still hold that entry
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// Close an incident: shows what is left and asks for its name; refused while something is to be put back
    Close {
        /// Incident id
        incident: String,
        /// How it ended, in a sentence
        #[arg(long, default_value = "closed from the command line")]
        summary: String,
        /// Close without asking for its name, for scripts
        #[arg(long)]
        yes: bool,
        /// Close although something is not put back: why. Goes on record with your name
        #[arg(long = "override", value_name = "REASON")]
        reason: Option<String>,
    },
}

pub fn run(args: IncidentArgs) -> Result<ExitCode> {
    let dir = args.dir.unwrap_or_else(paths::incidents_dir);
    match args.command {
        Command::List { json } => show_list(&dir, json),
        Command::Show { incident, json, readable_part } => show(&dir, &incident, json, readable_part),
        Command::Verify { incident, head, json } => verify(&dir, &incident, head.as_deref(), json),
        Command::Close { incident, summary, yes, reason } => {
            close(&dir, &incident, &summary, yes, reason.as_deref())
        }
    }
}

fn show_list(dir: &Path, as_json: bool) -> Result<ExitCode> {
    let found = list::list(dir)?;
    if as_json {
        out::json(&found)?;
    } else if found.is_empty() {
        out::text(&format!("no incidents in {}", dir.display()))?;
    } else {
        out::text(&found.iter().map(list_line).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list_line(s: &Summary) -> String {
    let state = match (&s.damage, s.closed) {
        (Some(_), _) => "DAMAGED",
        (None, true) => "closed",
        (None, false) => "open",
    };
    let undo = if s.open_undo > 0 { format!(", {} to put back", s.open_undo) } else { String::new() };
    let drill = if s.exercise { "EXERCISE " } else { "" };
    let opened = s.opened_at.map(clock::both).unwrap_or_default();
    let mut line = format!("{:<8} {}  {drill}{opened}, {} entries{undo}\n", state, clean(&s.id), s.entries);
    if let Some(damage) = &s.damage {
        let _ = writeln!(line, "         {}", clean(damage));
    }
    line
}

/// The entries of a journal; of a damaged one only if asked for, with what is wrong.
///
/// # Errors
/// If the journal cannot be read, or is damaged and its readable part was not asked for.
pub(super) fn load(path: &Path, readable_part: bool) -> Result<(Vec<Entry>, Option<String>)> {
    match store::read(path) {
        Ok(entries) => Ok((entries, None)),
        Err(JournalError::Damaged { line, what, readable, .. }) if readable_part => {
            Ok((readable, Some(format!("line {line}: {what}"))))
        }
        Err(e) => Err(e.into()),
    }
}

fn show(dir: &Path, name: &str, as_json: bool, readable_part: bool) -> Result<ExitCode> {
    let path = list::locate(dir, name)?;
    let (entries, damage) = load(&path, readable_part)?;
    let state = State::fold(&entries);
    if as_json {
        out::json(&json!({ "path": path, "damage": damage, "entries": entries.len(), "state": state }))?;
    } else {
        out::text(&told(&path, &entries, &state, damage.as_deref()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(path: &Path, entries: &[Entry], state: &State, damage: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(damage) = damage {
        let _ = writeln!(text, "READABLE PART ONLY: {}", clean(damage));
    }
    if let Some(f) = &state.facts {
        let drill = if f.exercise { "EXERCISE " } else { "" };
        let _ = writeln!(text, "{drill}{}", clean(&f.incident));
        let _ =
            writeln!(text, "{} in {} {}", clean(&f.runbook.title), clean(&f.service), clean(&f.environment));
    }
    let _ = writeln!(text, "{}", path.display());
    let _ = match &state.closed {
        Some(c) => writeln!(text, "closed {} by {}", clock::both_s(c.at), clean(&c.who)),
        None => writeln!(text, "open"),
    };
    for record in state.open_undo() {
        let _ = writeln!(text, "to put back: {} {}", record.undo.id, clean(&words::captured(&record.undo)));
    }
    for action in state.actions.iter().filter(|a| a.is_uncertain()) {
        let _ = writeln!(
            text,
            "outcome unknown: {} {}",
            clean(&action.id),
            clean(&words::change(&action.action))
        );
    }
    text.push('\n');
    for entry in entries {
        let what = words::words(&entry.event);
        let _ = writeln!(
            text,
            "{:>4}  {}  {}  {what}",
            entry.seq,
            clock::both_s(entry.at),
            clean(entry.author())
        );
    }
    text
}

fn verify(dir: &Path, name: &str, head: Option<&str>, as_json: bool) -> Result<ExitCode> {
    let path = list::locate(dir, name)?;
    let (good, entries, head_hash, problem) = match store::verify(&path) {
        Ok(v) => {
            let problem =
                head.filter(|h| !v.entries.iter().any(|e| e.hash.eq_ignore_ascii_case(h))).map(|h| {
                    (
                        None,
                        format!("holds no entry with the hash {}: rolled back, or another journal", clean(h)),
                    )
                });
            (problem.is_none(), v.entries.len(), v.head_hash, problem)
        }
        Err(JournalError::Damaged { line, what, readable, .. }) => {
            let head = readable.last().map(|e| e.hash.clone()).unwrap_or_default();
            (false, readable.len(), head, Some((Some(line), what)))
        }
        Err(e) => return Err(e.into()),
    };
    let shown = path.display();
    if as_json {
        let (line, what) = problem.unzip();
        out::json(&json!({
            "path": path, "good": good, "readable_entries": entries, "head_hash": head_hash,
            "line": line.flatten(), "problem": what,
        }))?;
    } else {
        out::text(&match problem {
            None => format!("{shown}: good, {entries} entries, head {head_hash}"),
            Some((Some(line), what)) => {
                format!("{shown}:{line}: {what}\n{entries} entries before it are readable")
            }
            Some((None, what)) => format!("{shown}: {what}"),
        })?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn close(dir: &Path, name: &str, summary: &str, yes: bool, reason: Option<&str>) -> Result<ExitCode> {
    let path = list::locate(dir, name)?;
    let (mut journal, entries) = Journal::open(&path)?;
    let mut state = State::fold(&entries);
    if state.closed.is_some() {
        return Err(eyre!("{} is closed already", journal.id()));
    }
    let reason = reason.map(str::trim).filter(|r| !r.is_empty());
    if !state.can_close() && reason.is_none() {
        return Err(eyre!(
            "{}put these back in the cockpit, or close with --override REASON",
            left(journal.id(), &state)
        ));
    }
    if !yes && !agreed(journal.id(), &state)? {
        return Err(eyre!("that is not its name: {} stays open, nothing was written", journal.id()));
    }
    let who = store::who();
    let open: Vec<String> = state.open_undo().map(|l| l.undo.id.clone()).collect();
    for (undo, reason) in open.into_iter().zip(std::iter::repeat(reason.unwrap_or_default())) {
        let waived = Event::Waived { undo, reason: clean(reason) };
        state.apply(&journal.append(waived, chrono::Utc::now(), &who)?);
    }
    let closed = journal.append(Event::Closed { summary: clean(summary) }, chrono::Utc::now(), &who)?;
    state.apply(&closed);
    let waived = state.ledger.iter().filter(|l| l.ended.as_ref().is_some_and(|e| !e.put_back)).count();
    out::text(&format!("{} closed by {who}; {waived} waived", journal.id()))?;
    Ok(ExitCode::SUCCESS)
}

/// What an incident leaves behind, a line each: what is not put back, changes nobody knows the end of, items not done.
fn left(id: &str, state: &State) -> String {
    let mut text = format!("{id} leaves:\n");
    for l in state.open_undo() {
        let _ = writeln!(text, "  NOT PUT BACK {}: {}", l.undo.id, clean(&words::captured(&l.undo)));
    }
    for action in state.actions.iter().filter(|a| a.is_uncertain()) {
        let _ = writeln!(text, "  outcome unknown {}: {}", action.id, clean(&words::change(&action.action)));
    }
    let Some(plan) = &state.plan else {
        text.push_str("  how many items were never answered is not known: the record has no plan\n");
        return text;
    };
    let marked = |mark| plan.items.iter().filter(move |i| state.mark(&i.id) == mark);
    let count = |mark| marked(mark).count();
    let _ = writeln!(
        text,
        "  of {} items {} verified, {} only said done, {} overridden, {} open{}",
        plan.items.len(),
        count(Mark::Verified),
        count(Mark::Said),
        count(Mark::Overridden),
        count(Mark::Open),
        if count(Mark::Open) > 0 { ":" } else { "" }
    );
    for item in marked(Mark::Open).take(OPEN_SHOWN) {
        let _ = writeln!(text, "    [ ] {}", clean(&item.title));
    }
    if let more @ 1.. = count(Mark::Open).saturating_sub(OPEN_SHOWN) {
        let _ = writeln!(text, "    and {more} more");
    }
    text
}

/// Shows what is left and asks for the incident's name at the terminal.
///
/// # Errors
/// Nobody is there to be asked.
fn agreed(id: &str, state: &State) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(eyre!("{}nobody can be asked here: close with --yes", left(id, state)));
    }
    eprint!("{}Type its name to close it: ", left(id, state));
    let mut typed = String::new();
    io::stdin().lock().take(LINE_MAX).read_line(&mut typed).wrap_err("cannot read the answer")?;
    Ok(typed.trim() == id)
}
