//! The terminal guard: takes the terminal, draws whole frames, and gives back exactly what it took, from [`Drop`], from
//! a panic, on suspension and on every signal the loop hears. Nothing else in drtui writes to the terminal.

pub(super) mod job;
mod sixteen;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;

use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::{queue, terminal};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use thiserror::Error;

use crate::domain::text;
use crate::view::theme::Depth;

/// Why the terminal cannot be used.
#[derive(Debug, Error)]
pub enum TerminalError {
    #[error(
        "the cockpit needs a terminal, and {what} is not one; for scripts there is `drtui status --json`"
    )]
    NotATerminal { what: &'static str },
    #[error("the terminal refuses: {0}; try another terminal, or `drtui status --json`")]
    Refused(#[source] io::Error),
    /// It was there and is not any more: end, there is nobody to talk to.
    #[error("the terminal is gone: {0}")]
    Gone(#[source] io::Error),
    #[error("cannot stop here: no shell waits to continue us")]
    NoShell,
}

/// What to switch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Report clicks and the wheel. Text selection by mouse needs it off (or Shift held).
    pub mouse: bool,
    /// Emit colour sequences at all; false for `Depth::None`.
    pub colour: bool,
    /// Of colours, only SGR 30–37 and 90–97 (and their backgrounds) are understood.
    pub sixteen: bool,
    /// Set the window title; false where a terminal would print it.
    pub title: bool,
}

impl Options {
    /// Everything on, but for what `TERM` is known not to understand.
    pub fn suited(env: &dyn Fn(&str) -> Option<String>, depth: Depth) -> Options {
        let term = env("TERM").unwrap_or_default();
        let (colour, sixteen) = (depth != Depth::None, depth == Depth::Ansi16);
        Options { mouse: true, colour, sixteen, title: !matches!(term.as_str(), "dumb" | "linux" | "") }
    }
}

const RAW: u8 = 1;
const SCREEN: u8 = 2;
const MOUSE: u8 = 4;
const TITLE: u8 = 8;
/// What this process has switched on, for whoever must undo it.
static ON: AtomicU8 = AtomicU8::new(0);
/// The thread whose panic ends the cockpit.
static DRAWS: Mutex<Option<ThreadId>> = Mutex::new(None);

const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// What a child that was killed may have left on: colours, application keys, every kind of mouse report, bracketed paste,
/// no line wrap, another character set.
const CALM: &str = "\x1b[0m\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?7h\x0f";

/// Alternate screen, bracketed paste, focus reports, hidden cursor, and what `on` says besides.
fn take(on: u8) -> String {
    let mut out = String::new();
    if on & TITLE != 0 {
        out.push_str("\x1b[22;2t");
    }
    out.push_str("\x1b[?1049h\x1b[?2004h\x1b[?1004h\x1b[?25l\x1b[2J");
    if on & MOUSE != 0 {
        out.push_str(MOUSE_ON);
    }
    out
}

/// The sequences that undo `on`, in the opposite order. A frame cut short is ended first.
fn give_back(on: u8) -> String {
    let mut out = String::new();
    if on & SCREEN == 0 {
        return out;
    }
    out.push_str("\x1b[?2026l");
    if on & MOUSE != 0 {
        out.push_str(MOUSE_OFF);
    }
    out.push_str("\x1b[?1004l\x1b[?2004l\x1b[0m\x1b[?1049l\x1b[?25h");
    if on & TITLE != 0 {
        out.push_str("\x1b[23;2t");
    }
    out
}

/// Gives the terminal back, whoever holds the guard. Does nothing when nothing is on; never fails.
pub fn leave_now() {
    let on = ON.swap(0, Ordering::SeqCst);
    // A terminal that is gone cannot be told anything: nothing to do about a failure here.
    let _ = write_out(give_back(on).as_bytes());
    if on & RAW != 0 {
        let _ = terminal::disable_raw_mode();
    }
}

/// Writes past the standard library's line buffer, so that a frame is one write.
fn write_out(bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    File::from(io::stdout().as_fd().try_clone_to_owned()?).write_all(bytes)
}

/// Makes panics safe for the screen: logged first; on the drawing thread the terminal is given back and then the hook
/// installed before (`color_eyre`) prints; on any other thread nothing is printed over a live screen.
/// Call once, after `color_eyre::install`.
pub fn install_panic_hook() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tracing::error!(panic = %info, "a thread panicked");
        let draws = *DRAWS.lock().unwrap_or_else(PoisonError::into_inner);
        if draws == Some(std::thread::current().id()) {
            leave_now();
        }
        if ON.load(Ordering::SeqCst) & SCREEN == 0 {
            print(info);
        }
    }));
}

/// Collects a frame's bytes; only [`TerminalGuard`] sends them.
#[derive(Debug, Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for &Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Nothing leaves before the frame is whole.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Holds the terminal while the cockpit is on it.
#[derive(Debug)]
pub struct TerminalGuard {
    terminal: Terminal<CrosstermBackend<Page>>,
    page: Page,
    /// What a frame without changes looks like: it is not sent.
    nothing: Vec<u8>,
    options: Options,
    /// The next frame repaints every cell.
    repaint: bool,
    title: String,
    frames: u64,
}

impl TerminalGuard {
    /// Takes the terminal: raw mode, alternate screen, mouse, bracketed paste, focus reports, title. What was taken is
    /// given back when the guard drops. Call on the thread that draws.
    pub fn enter(options: Options) -> Result<TerminalGuard, TerminalError> {
        for (is_one, what) in
            [(io::stdin().is_terminal(), "its input"), (io::stdout().is_terminal(), "its output")]
        {
            if !is_one {
                return Err(TerminalError::NotATerminal { what });
            }
        }
        // drtui looks at NO_COLOR itself; crossterm's own reading of it leaves half sequences.
        crossterm::style::force_color_output(options.colour);
        let page = Page::default();
        let terminal = Terminal::new(CrosstermBackend::new(page.clone())).map_err(TerminalError::Refused)?;
        let nothing = empty_frame().map_err(TerminalError::Refused)?;
        let (title, frames) = (String::new(), 0);
        let mut guard = TerminalGuard { terminal, page, nothing, options, repaint: true, title, frames };
        *DRAWS.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current().id());
        guard.resume()?;
        Ok(guard)
    }

    /// Takes the terminal again after [`leave`](Self::leave), [`suspend`](Self::suspend) or a foreign stop and
    /// continue (`SIGCONT`). The next frame repaints everything.
    pub fn resume(&mut self) -> Result<(), TerminalError> {
        if self.is_held() {
            // Somebody else may have changed the modes meanwhile: from known to known.
            let _ = terminal::disable_raw_mode();
        }
        terminal::enable_raw_mode().map_err(TerminalError::Refused)?;
        let mut on = RAW | SCREEN;
        on |= if self.options.mouse { MOUSE } else { 0 };
        on |= if self.options.title { TITLE } else { 0 };
        let was_held = ON.swap(on, Ordering::SeqCst) & SCREEN != 0;
        // The title is pushed once for each time it will be popped.
        let sent = write_out(take(if was_held { on & !TITLE } else { on }).as_bytes());
        self.repaint = true;
        let title = std::mem::take(&mut self.title);
        sent.and_then(|()| self.write_title(title)).map_err(|e| {
            leave_now();
            TerminalError::Gone(e)
        })
    }

    /// Takes the terminal again after a child had it, whatever the child left switched on.
    pub fn resume_after_child(&mut self) -> Result<(), TerminalError> {
        write_out(CALM.as_bytes()).map_err(TerminalError::Gone)?;
        self.resume()
    }

    /// Takes the keys and not the screen: what a child wrote stays to be read until a key is pressed.
    pub fn keys_only(&mut self) -> Result<(), TerminalError> {
        ON.fetch_or(RAW, Ordering::SeqCst);
        terminal::enable_raw_mode().map_err(TerminalError::Refused)
    }

    /// Gives the terminal back, for a child or for good. [`resume`](Self::resume) takes it again.
    pub fn leave(&mut self) {
        self.page.take();
        leave_now();
    }

    /// True between taking and giving back.
    pub fn is_held(&self) -> bool {
        ON.load(Ordering::SeqCst) & SCREEN != 0
    }

    /// Gives the terminal back and stops this process and its group, as Ctrl-Z does for other programs. Call
    /// [`resume`](Self::resume) when `Signal::Continue` arrives, not before: the stop may take effect a moment later.
    /// Refused, with the terminal still held, where nobody could continue us (no job-control shell).
    pub fn suspend(&mut self) -> Result<(), TerminalError> {
        if !job::a_shell_waits() {
            return Err(TerminalError::NoShell);
        }
        self.leave();
        // SIGTSTP is caught (it brought us here); SIGSTOP does the same to the whole job and cannot be.
        kill(Pid::from_raw(0), Signal::SIGSTOP).map_err(|e| TerminalError::Refused(e.into()))
    }

    /// Draws one frame in a synchronised update and one write. Draws nothing while the terminal is not held.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> Result<(), TerminalError> {
        if !self.is_held() {
            return Ok(());
        }
        // Asked first because ratatui's way of asking starts a program when the terminal is gone.
        let size = terminal::window_size().map_err(TerminalError::Gone)?;
        if size.columns == 0 || size.rows == 0 {
            return Ok(());
        }
        let whole = Rect::new(0, 0, size.columns, size.rows);
        let repaint = std::mem::take(&mut self.repaint).then_some(whole);
        let drawn = compose(&self.page, &mut self.terminal, repaint, render);
        let bytes = self.page.take();
        drawn.map_err(TerminalError::Refused)?;
        if bytes == self.nothing {
            return Ok(());
        }
        let bytes = if self.options.sixteen { sixteen::translate(&bytes) } else { bytes };
        self.frames += 1;
        write_out(&bytes).map_err(TerminalError::Gone)
    }

    /// The next frame repaints every cell (Ctrl-L, or after something else wrote to the terminal).
    pub fn repaint(&mut self) {
        self.repaint = true;
    }

    /// How many frames were sent to the terminal.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Sets the window title, e.g. `drtui production · 2 stale`. Writes only when it changes.
    pub fn set_title(&mut self, title: &str) -> Result<(), TerminalError> {
        let title = text::fit(&text::clean(title), 120);
        if title == self.title || !self.is_held() {
            return Ok(());
        }
        self.write_title(title).map_err(TerminalError::Gone)
    }

    fn write_title(&mut self, title: String) -> io::Result<()> {
        if self.options.title && !title.is_empty() {
            write_out(format!("\x1b]2;{title}\x07").as_bytes())?;
        }
        self.title = title;
        Ok(())
    }

    /// Switches mouse reports on or off (off: the terminal's own selection works).
    pub fn set_mouse(&mut self, on: bool) -> Result<(), TerminalError> {
        self.options.mouse = on;
        if !self.is_held() {
            return Ok(());
        }
        if on {
            ON.fetch_or(MOUSE, Ordering::SeqCst);
        } else {
            ON.fetch_and(!MOUSE, Ordering::SeqCst);
        }
        write_out(if on { MOUSE_ON } else { MOUSE_OFF }.as_bytes()).map_err(TerminalError::Gone)
    }

    /// Sends a finished control sequence that draws nothing, e.g. of `clipboard::encode`.
    pub fn send(&mut self, sequence: &str) -> Result<(), TerminalError> {
        if !self.is_held() {
            return Ok(());
        }
        write_out(sequence.as_bytes()).map_err(TerminalError::Gone)
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        leave_now();
        *DRAWS.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What ratatui and crossterm emit for a frame without one changed cell and with the cursor hidden.
fn empty_frame() -> io::Result<Vec<u8>> {
    let page = Page::default();
    let one_cell = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, 1, 1)) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(page.clone()), one_cell)?;
    compose(&page, &mut terminal, None, |_| {})?;
    Ok(page.take())
}

/// Puts one frame, in a synchronised update, on the page; with an area to repaint, every cell of it.
fn compose(
    mut page: &Page,
    terminal: &mut Terminal<CrosstermBackend<Page>>,
    repaint: Option<Rect>,
    render: impl FnOnce(&mut Frame<'_>),
) -> io::Result<()> {
    queue!(page, BeginSynchronizedUpdate)?;
    if let Some(area) = repaint {
        // Not Terminal::clear: that asks the terminal where its cursor is, and waits for the answer.
        terminal.resize(area)?;
    }
    terminal.draw(render)?;
    queue!(page, EndSynchronizedUpdate)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `?1049h` for every private mode in `text`.
    fn modes(text: &str, end: char) -> Vec<&str> {
        let found = text.split("\x1b[?").skip(1);
        let mut modes: Vec<_> = found
            .filter_map(|s| s.split_once(end).map(|(n, _)| n))
            .filter(|n| n.parse::<u16>().is_ok())
            .collect();
        modes.sort_unstable();
        modes
    }

    #[test]
    fn everything_taken_is_given_back() {
        for on in [RAW | SCREEN, RAW | SCREEN | MOUSE, RAW | SCREEN | MOUSE | TITLE] {
            let (take, give_back) = (take(on), give_back(on));
            let (taken, given) = (modes(&take, 'h'), modes(&give_back, 'l'));
            let still: Vec<_> = taken.iter().filter(|m| !given.contains(m)).collect();
            assert!(still.is_empty(), "left on: {still:?}");
            assert!(give_back.contains("\x1b[?25h"), "the cursor stays hidden");
            assert_eq!(take.contains("\x1b[22;2t"), give_back.contains("\x1b[23;2t"));
        }
        assert_eq!(give_back(0), "", "nothing taken, nothing said");
    }

    #[test]
    fn a_frame_without_changes_is_recognised() {
        let page = Page::default();
        let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, 9, 2)) };
        let mut terminal = Terminal::with_options(CrosstermBackend::new(page.clone()), options).unwrap();
        for (word, same) in [("one", false), ("one", true), ("two", false)] {
            compose(&page, &mut terminal, None, |f| f.render_widget(word, f.area())).unwrap();
            let bytes = page.take();
            assert!(bytes.starts_with(b"\x1b[?2026h") && bytes.ends_with(b"\x1b[?2026l"));
            assert_eq!(bytes == empty_frame().unwrap(), same, "{word}: {}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn terminals_that_would_print_the_title_get_none() {
        let options = |term: &'static str| {
            Options::suited(&move |n| (n == "TERM").then(|| term.to_owned()), Depth::TrueColor)
        };
        assert!(options("xterm-256color").title);
        assert!(!options("dumb").title && !options("linux").title);
    }
}
