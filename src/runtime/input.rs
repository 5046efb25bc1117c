//! Keys, mouse, paste and resizes from the terminal, from a reader that can be let go of before a child gets the
//! terminal: a live reader steals a key from it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use crossterm::event::{Event, EventStream};
use futures::StreamExt;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::tcgetattr;
use tokio::sync::watch;

/// The terminal's input.
#[derive(Debug)]
pub struct Input {
    stream: Option<EventStream>,
    hang_up: HangUp,
}

impl Input {
    /// Starts to read.
    pub fn open() -> io::Result<Input> {
        Ok(Input { stream: Some(EventStream::new()), hang_up: HangUp::watch()? })
    }

    /// Stops reading: what is typed from here on belongs to somebody else.
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Reads again after [`close`](Self::close).
    pub fn reopen(&mut self) {
        self.stream.get_or_insert_with(EventStream::new);
    }

    /// The next event; `None` when the terminal is gone (end then). Waits for ever while closed. Safe to drop and ask
    /// again.
    pub async fn next(&mut self) -> Option<Event> {
        // crossterm's reader does not notice a terminal that hangs up: it spins on it, without end and without a word.
        // So the terminal is asked before the reader is, and watched while the reader waits.
        if self.hang_up.has_happened() {
            return None;
        }
        let Some(stream) = &mut self.stream else {
            self.hang_up.wait().await;
            return None;
        };
        tokio::select! { biased;
            () = self.hang_up.wait() => None,
            event = stream.next() => event.and_then(Result::ok),
        }
    }
}

/// Notices that the terminal has hung up: a thread that sleeps in `poll` for nothing but that. It ends with the process.
#[derive(Debug)]
struct HangUp {
    tty: Arc<File>,
    news: watch::Receiver<bool>,
}

impl HangUp {
    fn watch() -> io::Result<HangUp> {
        let tty = Arc::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
        let (tell, news) = watch::channel(false);
        let watched = Arc::clone(&tty);
        std::thread::Builder::new().name("tty-hang-up".into()).spawn(move || {
            // No event is asked for: keys do not wake this thread; errors and hang-ups are reported unasked.
            let mut fds = [PollFd::new(watched.as_fd(), PollFlags::empty())];
            while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
            tell.send_replace(true);
        })?;
        Ok(HangUp { tty, news })
    }

    fn has_happened(&self) -> bool {
        *self.news.borrow() || tcgetattr(&*self.tty).is_err()
    }

    async fn wait(&mut self) {
        // An error means that the thread has ended, which it does after a hang-up only.
        let _ = self.news.wait_for(|gone| *gone).await;
    }
}
