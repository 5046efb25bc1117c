//! Keys, mouse, paste and resizes from the terminal, from a reader that can be let go of before a child gets the
//! terminal: a live reader steals a key from it.
//!
//! crossterm's reader does not notice a terminal that hangs up: it spins on it, without end and without a word. So it
//! runs on a thread of its own, where it cannot take the loop with it, and another thread watches for the hang-up.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use crossterm::event::{Event, EventStream};
use futures::{FutureExt, StreamExt};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::{mpsc, oneshot, watch};

/// Events that wait for the loop before the reader waits for it; the terminal's own buffer comes after.
const WAITING_MAX: usize = 1024;

/// The terminal's input.
#[derive(Debug)]
pub struct Input {
    reader: Option<Reader>,
    hang_up: watch::Receiver<bool>,
}

impl Input {
    /// Starts to read.
    ///
    /// # Errors
    /// A thread or a copy of the standard input cannot be made.
    pub fn open() -> io::Result<Input> {
        Ok(Input { reader: Some(Reader::start()?), hang_up: watch_for_hang_up()? })
    }

    /// Stops reading: what is typed from here on belongs to somebody else. Returns how many keys had been read too far:
    /// they are nobody's, and must not come up as keys of the cockpit later.
    pub async fn close(&mut self) -> usize {
        match self.reader.take() {
            Some(reader) => reader.stop().await,
            None => 0,
        }
    }

    /// True while keys are read.
    pub fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Reads again after [`close`](Self::close).
    ///
    /// # Errors
    /// A thread cannot be made.
    pub fn reopen(&mut self) -> io::Result<()> {
        if self.reader.is_none() {
            self.reader = Some(Reader::start()?);
        }
        Ok(())
    }

    /// The next event; `None` when the terminal is gone (end then). Waits for ever while closed. Safe to drop and ask
    /// again.
    pub async fn next(&mut self) -> Option<Event> {
        let hang_up = self.hang_up.wait_for(|gone| *gone);
        let Some(reader) = &mut self.reader else {
            let _ = hang_up.await;
            return None;
        };
        tokio::select! { biased;
            _ = hang_up => None,
            event = reader.events.recv() => event,
        }
    }
}

/// A thread that reads the terminal until it is dropped.
#[derive(Debug)]
struct Reader {
    events: mpsc::Receiver<Event>,
    stop: oneshot::Sender<()>,
    /// How many keys were read and not told.
    stopped: oneshot::Receiver<usize>,
}

impl Reader {
    fn start() -> io::Result<Reader> {
        let (tell, events) = mpsc::channel(WAITING_MAX);
        let (stop, mut stopping) = oneshot::channel();
        let (has_stopped, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        // Made here, so that no change of size after this call is missed.
        let mut stream = EventStream::new();
        std::thread::Builder::new().name("input".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    let event = tokio::select! { biased;
                        _ = &mut stopping => break,
                        event = stream.next() => event,
                    };
                    let Some(Ok(event)) = event else { break };
                    if tell.send(event).await.is_err() {
                        break;
                    }
                }
            });
            let left = drained(&mut stream);
            drop(stream);
            let _ = has_stopped.send(left);
        })?;
        Ok(Reader { events, stop, stopped })
    }

    async fn stop(mut self) -> usize {
        let _ = self.stop.send(());
        self.events.close();
        let left = self.stopped.await.unwrap_or(0);
        let mut keys = 0;
        while let Ok(event) = self.events.try_recv() {
            keys += usize::from(event.is_key_press());
        }
        keys + left
    }
}

/// Takes out what crossterm has read from the terminal and not told yet, and counts the keys in it: without this they
/// would be told to the next reader. Through the stream itself, for a poll beside it would take the wake-up that its own
/// thread ends on, and that thread would go on to read a child's keys. Bounded: somebody may lean on a key.
fn drained(stream: &mut EventStream) -> usize {
    let mut keys = 0;
    for _ in 0..WAITING_MAX {
        let Some(Some(Ok(event))) = stream.next().now_or_never() else { break };
        keys += usize::from(event.is_key_press());
    }
    keys
}

/// Tells once when the terminal has hung up: a thread that sleeps in `poll` for nothing but that, and ends with the
/// process.
fn watch_for_hang_up() -> io::Result<watch::Receiver<bool>> {
    let tty = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (tell, news) = watch::channel(false);
    std::thread::Builder::new().name("tty-hang-up".into()).spawn(move || {
        // No event is asked for: keys do not wake this thread; errors and hang-ups are reported unasked.
        let mut fds = [PollFd::new(tty.as_fd(), PollFlags::empty())];
        while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
        tell.send_replace(true);
    })?;
    Ok(news)
}
