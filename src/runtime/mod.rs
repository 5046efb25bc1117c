//! DOES: the loop, effects, input, terminal, signals, recorder, clipboard. Decides nothing: `core::update` does.

pub mod clipboard;
pub mod comparing;
pub mod effects;
mod fetching;
pub mod handoff;
pub mod input;
pub mod journal;
pub mod mailbox;
pub mod recorder;
pub mod replay;
pub mod signals;
pub mod terminal;
mod terminal_loan;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use color_eyre::eyre::Result;
use crossterm::event::Event as Key;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::core::model::{Model, Start};
use crate::core::{Effect, Msg, update};
use crate::domain::text;
use crate::incident::Action;
use crate::providers::{self, Providers, Settings};
use crate::view;
use crate::view::theme::{Depth, Theme};
use clipboard::Through;
use comparing::Comparing;
use input::Input;
use journal::Writer;
use mailbox::Mailbox;
use recorder::Recorder;
use signals::{Signal, Signals};
use terminal::{Options, TerminalGuard};
use terminal_loan::Loan;

/// Data is drawn at most this often; keys are drawn at once.
const FRAME: Duration = Duration::from_millis(33);

/// Tunnels are given this long to close when the cockpit ends.
const CLOSING: Duration = Duration::from_secs(5);

/// What the cockpit runs with.
#[derive(Debug)]
pub struct Setup {
    pub start: Start,
    pub settings: Settings,
    pub incidents: PathBuf,
    pub record: Option<PathBuf>,
    pub depth: Depth,
    /// The world that the cockpit is on ends with it: no incident in it can be resumed.
    pub passing: bool,
    /// Said once at the start, e.g. runbooks that could not be read.
    pub troubles: Vec<String>,
}

/// Runs the cockpit until it is left.
///
/// # Errors
/// When there is no terminal, or a file it was told to write cannot be made.
pub async fn run(setup: Setup) -> Result<ExitCode> {
    let env = |name: &str| std::env::var(name).ok();
    let recorder = setup.record.as_ref().map(|path| Recorder::create(path, &setup.start)).transpose()?;
    // Listening comes before taking: a signal in between would end the process with the terminal still taken.
    let signals = Signals::install()?;
    let guard = TerminalGuard::enter(Options::suited(&env, setup.depth))?;
    // Before the first frame, so that no change of size is missed after it.
    let input = Input::open()?;
    let (answers, inbox) = mpsc::channel(256);
    let mut cockpit = Cockpit {
        model: Model::new(setup.start),
        theme: Theme::named("dark")?,
        depth: setup.depth,
        guard,
        recorder,
        through: Through::detect(&env),
        answers,
        writer: None,
        providers: None,
        stopped: false,
        loan: Loan::default(),
        comparing: Comparing::default(),
        passing: setup.passing,
    };
    // The first frame waits for nothing.
    for what in setup.troubles {
        cockpit.step(Msg::Trouble { what });
    }
    cockpit.draw()?;
    let mailbox = Mailbox::default();
    let target = cockpit.model.target.clone();
    cockpit.writer =
        Some(Writer::start(setup.incidents, &target, cockpit.model.who.clone(), cockpit.answers.clone())?);
    cockpit.providers = Some(Arc::new(providers::start(&setup.settings, &target, mailbox.sink())));
    let ended = cockpit.turn(signals, input, mailbox, inbox).await;
    cockpit.end().await;
    ended
}

/// Everything the loop holds.
struct Cockpit {
    model: Model,
    theme: Theme,
    depth: Depth,
    guard: TerminalGuard,
    recorder: Option<Recorder>,
    through: Through,
    answers: mpsc::Sender<Msg>,
    writer: Option<Writer>,
    providers: Option<Arc<Providers>>,
    /// Between Ctrl-Z and `fg`.
    stopped: bool,
    /// The program that has the terminal, if one has.
    loan: Loan,
    comparing: Comparing,
    passing: bool,
}

impl Cockpit {
    async fn turn(
        &mut self,
        mut signals: Signals,
        mut input: Input,
        mailbox: Mailbox,
        mut inbox: mpsc::Receiver<Msg>,
    ) -> Result<ExitCode> {
        let mut drawn = Instant::now();
        let mut taken = drawn;
        let mut dirty = true;
        let mut waiting = false;
        loop {
            let mut urgent = false;
            let wake = self.wake(dirty, drawn);
            tokio::select! { biased;
                signal = signals.next() => {
                    if let Some(code) = self.on_signal(signal, &mut input)? {
                        return Ok(code);
                    }
                    urgent = true;
                }
                event = input.next() => match event {
                    Some(event) if self.loan.is_read() => self.on_return(&event)?,
                    Some(event) => {
                        self.on_input(event);
                        urgent = true;
                    }
                    // The terminal is gone: nobody to talk to.
                    None => return Ok(ExitCode::from(129)),
                },
                change = self.loan.next() => {
                    self.on_child(change)?;
                    urgent = true;
                }
                Some(msg) = inbox.recv() => {
                    self.take_answers(msg, &mut inbox);
                    urgent = true;
                }
                // News are taken once a frame; meanwhile they replace each other in the mailbox.
                () = mailbox.ready(), if !waiting => {
                    waiting = true;
                    continue;
                }
                () = tokio::time::sleep_until(taken + FRAME), if waiting => {
                    waiting = false;
                    self.take_news(&mailbox);
                    taken = Instant::now();
                }
                () = tokio::time::sleep_until(wake) => self.tick(),
            }
            dirty = true;
            self.lend_terminal(&mut input).await?;
            self.flush_recording();
            if self.model.quit {
                self.goodbye();
                return Ok(ExitCode::SUCCESS);
            }
            if urgent || drawn.elapsed() >= FRAME {
                self.draw()?;
                drawn = Instant::now();
                dirty = false;
            }
        }
    }

    fn take_answers(&mut self, first: Msg, inbox: &mut mpsc::Receiver<Msg>) {
        self.tick();
        self.step(first);
        while let Ok(msg) = inbox.try_recv() {
            self.step(msg);
        }
    }

    fn take_news(&mut self, mailbox: &Mailbox) {
        self.tick();
        for (update, at) in mailbox.take() {
            self.step(Msg::News { update, at });
        }
    }

    /// When the loop has to wake up by itself.
    fn wake(&self, dirty: bool, drawn: Instant) -> Instant {
        if dirty {
            return drawn + FRAME;
        }
        let wait = (self.model.next_wake() - Utc::now()).to_std().unwrap_or_default();
        Instant::now() + wait.max(Duration::from_millis(1))
    }

    fn tick(&mut self) {
        self.step(Msg::Tick { now: Utc::now() });
    }

    fn on_input(&mut self, event: Key) {
        self.tick();
        self.step(Msg::Input { input: event });
    }

    /// Ends what must not outlive the cockpit: the program that has the terminal, and the tunnels with their pods. The
    /// terminal is given back first; nobody waits longer than [`CLOSING`].
    async fn end(&mut self) {
        self.loan = Loan::default();
        self.guard.leave();
        let Some(providers) = self.providers.take() else { return };
        let alive = || self.model.world.tunnels.values().filter(|t| t.state.is_alive());
        if alive().count() > 0 {
            say_after(&format!("Closing {}…", text::counted(alive().count(), "tunnel")));
        }
        // Also without one that is alive: the pod of one that was closed or given up may not be deleted yet.
        if tokio::time::timeout(CLOSING, providers.close_tunnels()).await.is_err() {
            let pods = alive().filter(|t| t.via.own_pod).count();
            tracing::warn!(pods, "the tunnels did not close in time");
            if pods > 0 {
                let pods = text::counted(pods, "pod");
                say_after(&format!(
                    "{pods} may be left, which will end alone; the next start offers to delete what is."
                ));
            }
        }
    }

    /// Gives the terminal back and says on it what stays open.
    fn goodbye(&mut self) {
        self.guard.leave();
        if let Some(facts) = self.model.session.as_ref().and_then(|s| s.state.facts.as_ref()) {
            let open = self.model.session.as_ref().map_or(0, |s| s.state.open_undo().count());
            let id = &facts.incident;
            let open = crate::domain::text::counted(open, "change");
            say_after(&if self.passing {
                format!(
                    "Incident {id} ends with its sandbox, {open} not put back. `drtui report {id}` tells it."
                )
            } else {
                format!("Incident {id} stays open, {open} not put back. drtui resumes it here.")
            });
        }
    }

    fn flush_recording(&mut self) {
        if let Some(Err(e)) = self.recorder.as_mut().map(Recorder::flush) {
            self.recording_stopped(&e);
        }
    }

    /// A full disk ends the recording and never the cockpit.
    fn recording_stopped(&mut self, why: &color_eyre::Report) {
        self.recorder = None;
        self.model.tell(crate::core::model::Level::Error, format!("The recording stopped: {why}"));
    }

    /// Gives one message to the model and carries out what it asks for.
    fn step(&mut self, msg: Msg) {
        if let Some(Err(e)) = self.recorder.as_mut().map(|r| r.write(&msg.for_recording(&self.model))) {
            self.recording_stopped(&e);
        }
        for effect in update(&mut self.model, msg) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let now = self.model.now;
        match effect {
            Effect::OpenIncident(event) => self.write(|writer| writer.open(event, now)),
            Effect::LookAgain => self.write(Writer::look),
            Effect::Journal(events) => self.write(|writer| writer.append(events, now)),
            Effect::Run { id, action } if matches!(action, Action::HandOff { .. }) => {
                self.loan.ask(id, action)
            }
            Effect::Run { id, action: Action::Compare { request } } => {
                if let Some(providers) = &self.providers {
                    let (providers, answers) = (Arc::clone(providers), self.answers.clone());
                    self.comparing.start(providers, id, *request, answers);
                }
            }
            Effect::Run { id, action } => {
                if let Some(providers) = &self.providers {
                    effects::run(Arc::clone(providers), id, action, self.answers.clone());
                }
            }
            Effect::RetryNow(source) => {
                if let Some(providers) = &self.providers {
                    providers.retry_now(source);
                }
            }
            Effect::CloseTunnel(id) => {
                if let Some(providers) = &self.providers {
                    providers.close_tunnel(id);
                }
            }
            Effect::LookForPods => {
                if let Some(providers) = &self.providers {
                    providers.look_for_pods();
                }
            }
            Effect::ReconnectTunnel(id) => {
                if let Some(providers) = &self.providers {
                    providers.reconnect_tunnel(id);
                }
            }
            Effect::CancelCompare { run } => self.comparing.cancel(run),
            Effect::Fetch { id, request, more } => {
                self.comparing.fetch(id, *request, more, self.answers.clone());
            }
            Effect::CancelFetch { id } => self.comparing.cancel_fetch(id),
            Effect::AskBoth { id, sql, .. } => self.comparing.ask(id, sql, self.answers.clone()),
            Effect::Copy(text) => self.copy(&text, true),
            Effect::CopySilently(text) => self.copy(&text, false),
            Effect::Mouse(on) => self.or_say(|guard| guard.set_mouse(on)),
            Effect::Suspend => self.suspend(),
            Effect::Redraw => self.guard.repaint(),
            Effect::Panic => test_panic(),
        }
    }

    /// A replay writes nothing.
    fn write(&self, what: impl FnOnce(&Writer)) {
        if let Some(writer) = &self.writer {
            what(writer);
        }
    }

    /// `said`: the message may repeat the text.
    fn copy(&mut self, text: &str, said: bool) {
        let copy = clipboard::encode(text, self.through);
        if let Err(e) = self.guard.send(&copy.sequence) {
            self.step(Msg::Trouble { what: format!("Not copied: {e}") });
        } else if copy.cut {
            self.step(Msg::Trouble {
                what: format!("Copied only the first {} characters: no terminal takes more.", copy.chars),
            });
        } else if !said {
            let what = format!("Sent to the terminal's clipboard: {} characters", text.chars().count());
            self.step(Msg::Info { what });
        } else {
            self.step(Msg::Copied { text: text.to_owned() });
        }
    }

    fn suspend(&mut self) {
        match self.guard.suspend() {
            Ok(()) => self.stopped = true,
            Err(e) => self.step(Msg::Trouble { what: e.to_string() }),
        }
    }

    fn or_say(&mut self, what: impl FnOnce(&mut TerminalGuard) -> Result<(), terminal::TerminalError>) {
        if let Err(e) = what(&mut self.guard) {
            tracing::warn!(error = %e, "the terminal refused");
        }
    }

    fn on_signal(&mut self, signal: Signal, input: &mut Input) -> Result<Option<ExitCode>> {
        match signal {
            // The child's business: it is stopped, and then we are.
            Signal::Suspend if self.loan.is_out() => self.loan.stop(),
            Signal::Continue if self.loan.is_out() => self.loan.go_on(),
            Signal::Suspend => self.suspend(),
            Signal::Continue => {
                self.stopped = false;
                self.guard.resume()?;
                input.reopen()?;
                self.tick();
            }
            Signal::Terminate | Signal::Interrupt | Signal::HangUp => {
                return Ok(Some(ExitCode::from(signal.exit_code().unwrap_or(1))));
            }
        }
        Ok(None)
    }

    fn draw(&mut self) -> Result<()> {
        if self.stopped {
            return Ok(());
        }
        crate::core::update::settle(&mut self.model);
        if self.theme.name() != self.model.theme || self.theme.depth() != self.depth {
            self.theme = Theme::named(&self.model.theme)?.with_depth(self.depth);
        }
        let Cockpit { model, theme, guard, .. } = self;
        guard.draw(|frame| view::draw(model, theme, frame))?;
        guard.set_title(&model.title())?;
        Ok(())
    }
}

/// Says a line where the cockpit was. The terminal may be gone by now.
fn say_after(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// What `:panic` under the test switch does.
#[allow(clippy::panic)] // Its whole purpose: proves that the terminal survives a panic.
fn test_panic() {
    panic!("asked to panic by the test switch");
}
