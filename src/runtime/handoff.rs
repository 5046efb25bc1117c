//! A child program with the real terminal in its hands: in a process group of its own in the foreground, so that Ctrl-C
//! and Ctrl-Z are its own; taken back whole when it ends. Knows nothing of what the child is.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg};
use nix::sys::stat::{Mode, umask};
use nix::sys::termios::{InputFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, tcsetpgrp};
use tokio::sync::mpsc;

use super::terminal::job;

/// A child that is told to end gets this long before it is killed.
const LEAVING: Duration = Duration::from_millis(300);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(Signal),
    /// The kernel does not know it any more.
    Lost(Errno),
}

/// What became of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Ctrl-Z, or a stop from elsewhere.
    Stopped,
    Ended(Ended),
}

/// The running child. Dropped while it runs, it is told to hang up.
#[derive(Debug)]
pub struct Child {
    group: Pid,
    tty: File,
    /// The terminal's modes before the child changed them.
    modes: Termios,
    changes: mpsc::UnboundedReceiver<Change>,
    began: Instant,
    ended: Option<Ended>,
    /// Ours again: nothing left to take back.
    back: bool,
    _process: std::process::Child,
}

impl Child {
    /// Starts `command` on the standard input's terminal, which the cockpit must have given back. Files that the child
    /// makes are its owner's alone: a dump holds people's data.
    ///
    /// # Errors
    /// It cannot be started, or the terminal cannot be given to it.
    pub fn start(command: &mut Command) -> io::Result<Child> {
        let tty = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let modes = tcgetattr(&tty)?;
        let before = umask(Mode::S_IRWXG | Mode::S_IRWXO);
        let spawned = command.process_group(0).spawn();
        umask(before);
        let process = spawned?;
        let group = Pid::from_raw(i32::try_from(process.id()).map_err(io::Error::other)?);
        let (tell, changes) = mpsc::unbounded_channel();
        let child = Child {
            group,
            tty,
            modes,
            changes,
            began: Instant::now(),
            ended: None,
            back: false,
            _process: process,
        };
        // From here on a failure drops the child, which ends it.
        child.to_front()?;
        child.watch(tell)?;
        Ok(child)
    }

    /// The next change. Safe to drop and ask again.
    pub async fn next(&mut self) -> Change {
        match self.changes.recv().await {
            Some(Change::Ended(how)) => {
                self.ended = Some(how);
                Change::Ended(how)
            }
            Some(change) => change,
            // It has ended and was told so.
            None => std::future::pending().await,
        }
    }

    /// Since when the child has been running.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Stops the child as Ctrl-Z does; [`Change::Stopped`] follows.
    pub fn stop(&self) {
        let _ = killpg(self.group, Signal::SIGTSTP);
    }

    /// After [`Change::Stopped`]: stops the cockpit too, as one job, if a shell waits to continue both; else goes on at
    /// once, for nobody could continue it. True if both stop: call [`go_on`](Self::go_on) at `SIGCONT`.
    pub fn stop_too(&self) -> bool {
        if job::a_shell_waits() && killpg(getpgrp(), Signal::SIGSTOP).is_ok() {
            return true;
        }
        self.go_on();
        false
    }

    /// Gives the terminal to the child again and continues it.
    pub fn go_on(&self) {
        if let Err(error) = self.to_front() {
            tracing::warn!(%error, "the terminal could not be given to the child again");
        }
    }

    /// Takes the terminal back after the end: foreground, modes.
    pub fn take_back(&mut self) {
        if std::mem::replace(&mut self.back, true) {
            return;
        }
        let taken = foreground(&self.tty, getpgrp()).and_then(|()| {
            tcsetattr(&self.tty, SetArg::TCSADRAIN, &self.modes)?;
            Ok(())
        });
        if let Err(error) = taken {
            tracing::warn!(%error, "the terminal could not be taken back whole");
        }
    }

    fn to_front(&self) -> io::Result<()> {
        foreground(&self.tty, self.group)?;
        // It may have touched the terminal before it was its own, and have been stopped for that.
        match killpg(self.group, Signal::SIGCONT) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// A thread that waits for what becomes of the child: the only one that reaps it.
    fn watch(&self, tell: mpsc::UnboundedSender<Change>) -> io::Result<()> {
        let pid = self.group;
        std::thread::Builder::new().name("child".into()).spawn(move || {
            loop {
                let change = match waitpid(pid, Some(WaitPidFlag::WUNTRACED)) {
                    Ok(WaitStatus::Exited(_, code)) => Change::Ended(Ended::Code(code)),
                    Ok(WaitStatus::Signaled(_, signal, _)) => Change::Ended(Ended::Signal(signal)),
                    Ok(WaitStatus::Stopped(_, Signal::SIGTTIN | Signal::SIGTTOU)) => {
                        // It was faster than `to_front`: the terminal is its own by now.
                        let _ = killpg(pid, Signal::SIGCONT);
                        continue;
                    }
                    Ok(WaitStatus::Stopped(..)) => Change::Stopped,
                    Ok(_) | Err(Errno::EINTR) => continue,
                    Err(e) => Change::Ended(Ended::Lost(e)),
                };
                let over = matches!(change, Change::Ended(_));
                if over {
                    hang_up(pid);
                }
                if tell.send(change).is_err() || over {
                    return;
                }
            }
        })?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            hang_up(self.group);
        }
        self.take_back();
    }
}

/// Keeps Enter a line's end while nobody reads: what is typed ahead in raw mode would reach a plain shell as a carriage
/// return, which ends no line there. Returns the modes before, for [`typed`].
///
/// # Errors
/// The standard input is no terminal.
pub fn typed_ahead() -> io::Result<Termios> {
    let before = tcgetattr(io::stdin())?;
    let mut modes = before.clone();
    modes.input_flags.insert(InputFlags::ICRNL);
    tcsetattr(io::stdin(), SetArg::TCSANOW, &modes)?;
    Ok(before)
}

/// Puts the modes from before [`typed_ahead`] back: keys are read again and no child came.
pub fn typed(before: &Termios) {
    if let Err(error) = tcsetattr(io::stdin(), SetArg::TCSANOW, before) {
        tracing::warn!(%error, "the terminal's modes could not be put back");
    }
}

/// Ends what is left of a group: a pager whose psql was killed would go on to read what is typed. Returns when nothing
/// is left, at the latest after [`LEAVING`].
fn hang_up(group: Pid) {
    let deadline = Instant::now() + LEAVING;
    let _ = killpg(group, Signal::SIGHUP);
    while killpg(group, Signal::SIGCONT).is_ok() {
        if Instant::now() >= deadline {
            let _ = killpg(group, Signal::SIGKILL);
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes `group` the terminal's foreground. Asked for from the background this would stop us, unless the signal that
/// does it is blocked.
fn foreground(tty: &File, group: Pid) -> io::Result<()> {
    let mut asked = SigSet::empty();
    asked.add(Signal::SIGTTOU);
    let before = asked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let done = tcsetpgrp(tty, group);
    before.thread_set_mask()?;
    Ok(done?)
}
