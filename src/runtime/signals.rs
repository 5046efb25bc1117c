//! Signals as a stream of words. Installing them takes the default action away: whoever installs must listen.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// What the world asks of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM` or `SIGQUIT`: end, cleanly.
    Terminate,
    /// `SIGINT` from outside (in raw mode Ctrl-C is a key).
    Interrupt,
    /// `SIGHUP`: the terminal is gone or going.
    HangUp,
    /// `SIGTSTP` from outside (in raw mode Ctrl-Z is a key): give the terminal back and stop.
    Suspend,
    /// `SIGCONT`: take the terminal again.
    Continue,
}

impl Signal {
    /// The exit code a shell expects of a process that ended on this signal; `None` for those that do not end it.
    pub fn exit_code(self) -> Option<u8> {
        match self {
            Signal::Terminate => Some(128 + 15),
            Signal::Interrupt => Some(128 + 2),
            Signal::HangUp => Some(128 + 1),
            Signal::Suspend | Signal::Continue => None,
        }
    }
}

/// The installed handlers.
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    suspend: tokio::signal::unix::Signal,
    proceed: tokio::signal::unix::Signal,
}

impl Signals {
    /// Installs the handlers. Needs a running tokio runtime.
    pub fn install() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            suspend: signal(SignalKind::from_raw(nix::libc::SIGTSTP))?,
            proceed: signal(SignalKind::from_raw(nix::libc::SIGCONT))?,
        })
    }

    /// The next signal. Safe to drop and ask again.
    pub async fn next(&mut self) -> Signal {
        tokio::select! { biased;
            _ = self.hang_up.recv() => Signal::HangUp,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.quit.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.suspend.recv() => Signal::Suspend,
            _ = self.proceed.recv() => Signal::Continue,
        }
    }
}
