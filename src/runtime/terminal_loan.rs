//! The terminal on loan to a child program, as the loop sees it: no key is read from the moment it is asked for, sources
//! and tunnels go on, nothing is drawn, and the screen comes back whole.

use std::time::Duration;

use color_eyre::eyre::Result;
use crossterm::event::{KeyCode, KeyEvent};
use nix::sys::termios::Termios;

use super::handoff::{self, Change, Child, Ended};
use super::input::Input;
use super::{Cockpit, Msg};
use crate::core::model::Level;
use crate::domain::{HandOff, ServerClass, Tool, clock};
use crate::incident::{Action, Outcome};

/// Who has the terminal.
#[derive(Debug, Default)]
pub(super) struct Loan {
    /// Asked for, and on record: it starts when nobody reads keys any more.
    asked: Option<(String, Action)>,
    running: Option<Running>,
    /// Keys that were read before the reader could be stopped.
    lost: usize,
    /// The terminal's modes while keys were read, from when they are not until a program has them.
    modes: Option<Termios>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    id: String,
    action: Action,
    /// Set at the end; kept while a key is waited for.
    outcome: Option<Outcome>,
}

impl Loan {
    /// A program is to get the terminal.
    pub(super) fn ask(&mut self, id: String, action: Action) {
        self.asked = Some((id, action));
    }

    /// True while a program has it.
    pub(super) fn is_out(&self) -> bool {
        self.running.is_some()
    }

    /// True when the program has ended and what it wrote is being read.
    pub(super) fn is_read(&self) -> bool {
        self.running.as_ref().is_some_and(|r| r.outcome.is_some())
    }

    /// What becomes of the program; waits for ever while there is none. Safe to drop and ask again.
    pub(super) async fn next(&mut self) -> Change {
        match &mut self.running {
            Some(running) => running.child.next().await,
            None => std::future::pending().await,
        }
    }

    /// Somebody stops us: the program first, which then takes us along.
    pub(super) fn stop(&self) {
        if let Some(running) = &self.running {
            running.child.stop();
        }
    }

    /// We were continued: so is the program.
    pub(super) fn go_on(&self) {
        if let Some(running) = self.running.as_ref().filter(|r| r.outcome.is_none()) {
            running.child.go_on();
        }
    }
}

impl Cockpit {
    /// Follows what the model says of the terminal: lets go of the keys, starts the program, takes the keys again.
    pub(super) async fn lend_terminal(&mut self, input: &mut Input) -> Result<()> {
        if self.model.hands_off() && !self.loan.is_read() {
            if input.is_open() {
                self.loan.lost += input.close().await;
                self.loan.modes = handoff::typed_ahead().ok();
            }
        } else if !self.stopped && !input.is_open() {
            if let Some(before) = self.loan.modes.take() {
                handoff::typed(&before);
            }
            input.reopen()?;
        }
        if let Some((id, action)) = self.loan.asked.take() {
            self.start_child(id, action)?;
        }
        Ok(())
    }

    fn start_child(&mut self, id: String, action: Action) -> Result<()> {
        let Action::HandOff { hand_off, which, server, database } = &action else { return Ok(()) };
        let command = match &self.providers {
            Some(providers) => providers.child(hand_off),
            None => return Ok(()),
        };
        let place = format!("{server}/{database}");
        let started = command.map_err(|fault| fault.to_string()).and_then(|mut command| {
            self.loan.modes = None;
            self.guard.leave();
            println!("{}", banner(&self.model.target.environment, *which, &place, hand_off));
            let program = hand_off.tool.word();
            Child::start(&mut command)
                .map_err(|e| format!("{program} cannot be started: {e}. Is it installed?"))
        });
        match started {
            Ok(child) => self.loan.running = Some(Running { child, id, action, outcome: None }),
            Err(why) => {
                self.take_screen()?;
                self.step(Msg::Acted { id, action, outcome: Outcome::Failed { why } });
            }
        }
        Ok(())
    }

    /// The program stopped or ended, or what it wrote has been read.
    pub(super) fn on_child(&mut self, change: Change) -> Result<()> {
        self.tick();
        let Some(running) = &mut self.loan.running else { return Ok(()) };
        match change {
            Change::Stopped => {
                running.child.stop_too();
                return Ok(());
            }
            Change::Ended(how) => {
                let outcome = outcome(&running.action, how, running.child.age());
                // What a program wrote that does not talk with a person would be gone with the screen.
                let talks = matches!(&running.action, Action::HandOff { hand_off, .. }
                    if matches!(hand_off.tool, Tool::Psql | Tool::Shell | Tool::RedisCli));
                running.child.take_back();
                let text = words(&outcome).to_owned();
                running.outcome = Some(outcome);
                if talks && how == Ended::Code(0) {
                    return self.child_is_done();
                }
                if matches!(how, Ended::Signal(_)) {
                    // It had no time to leave its own screen.
                    print!("\x1b[?1049l\x1b[0m");
                }
                println!("\n-- {text}. Enter returns to the cockpit.");
                self.guard.keys_only()?;
            }
        }
        Ok(())
    }

    /// A key was pressed while what the program wrote is read. Only Enter returns: a Ctrl-C too many, or what was typed for
    /// the program, must not be taken for the cockpit's keys.
    pub(super) fn on_return(&mut self, event: &super::Key) -> Result<()> {
        // Typed before the keys were ours again, it is a line feed.
        let is_enter = |key: KeyEvent| matches!(key.code, KeyCode::Enter | KeyCode::Char('j'));
        let enter = event.as_key_press_event().is_some_and(is_enter);
        if enter { self.child_is_done() } else { Ok(()) }
    }

    fn child_is_done(&mut self) -> Result<()> {
        let Some(running) = self.loan.running.take() else { return Ok(()) };
        self.take_screen()?;
        let lost = Outcome::Unknown { why: "its end was not seen".into() };
        let outcome = running.outcome.unwrap_or(lost);
        self.step(Msg::Acted { id: running.id, action: running.action, outcome });
        let keys = std::mem::take(&mut self.loan.lost);
        if keys > 0 {
            let text = format!("{keys} keys were typed before the program had the terminal, and are lost.");
            self.model.tell(Level::Warning, text);
        }
        Ok(())
    }

    /// Takes the screen again, at the size that it has now.
    fn take_screen(&mut self) -> Result<()> {
        self.guard.resume_after_child()?;
        self.tick();
        if let Ok((columns, rows)) = crossterm::terminal::size() {
            self.step(Msg::Input { input: super::Key::Resize(columns, rows) });
        }
        Ok(())
    }
}

/// What stands above the program's first line: where one is, and how one comes back.
fn banner(environment: &str, which: ServerClass, place: &str, hand_off: &HandOff) -> String {
    let on = if which == ServerClass::Live { "\x1b[1;7m" } else { "\x1b[1m" };
    let how = if hand_off.read_only { "read-only" } else { "CAN WRITE" };
    let limit = match hand_off.statement_timeout_ms {
        0 => String::new(),
        ms => {
            let limit = clock::span(chrono::Duration::milliseconds(i64::from(ms)));
            format!(" · a statement ends after {limit}")
        }
    };
    let back = match hand_off.tool {
        Tool::Psql => "\\q returns to the cockpit",
        Tool::Shell | Tool::RedisCli => "exit returns to the cockpit",
        Tool::PgDump | Tool::PgRestore => "Ctrl-C stops it",
    };
    let (words, tool) = (which.place(environment), hand_off.tool.word());
    format!("{on} {words} \x1b[0m {place}\n {tool}, {how}{limit} · {back}")
}

fn outcome(action: &Action, how: Ended, age: Duration) -> Outcome {
    let Action::HandOff { hand_off, which, server, database } = action else {
        return Outcome::Unknown { why: "not a program".into() };
    };
    let seconds = age.as_secs_f64();
    let what = format!("{} on {} {server}/{database}", hand_off.tool.word(), which.word());
    match how {
        Ended::Code(0) => Outcome::Done { result: format!("{what} ended with code 0 after {seconds:.1} s") },
        Ended::Code(code) => {
            Outcome::Failed { why: format!("{what} ended with code {code} after {seconds:.1} s") }
        }
        Ended::Signal(signal) => {
            Outcome::Failed { why: format!("{what} was ended by {signal} after {seconds:.1} s") }
        }
        Ended::Lost(e) => Outcome::Unknown { why: format!("{what}: its end is not known: {e}") },
    }
}

fn words(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done { result } => result,
        Outcome::Failed { why } | Outcome::Unknown { why } => why,
    }
}
