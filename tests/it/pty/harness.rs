//! The real program in a pseudo-terminal, and what a person would see: a screen that is waited for, never slept for.
//! Used by the PTY tests, the benchmarks and the picture in the README.
#![allow(dead_code, missing_debug_implementations)]

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{InputFlags, LocalFlags};
use nix::unistd::Pid;
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::{MouseProtocolMode, Screen};

/// How long a wait may take before the test fails, unless it says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// Most output that is kept for byte checks.
const RAW_MAX: usize = 32 << 20;

/// A directory for one test, removed with it.
pub struct Home(PathBuf);

impl Home {
    pub fn new() -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("drtui-pty-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Home(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only its owner may read below the directory and returns its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path
    }

    /// A configuration whose every endpoint refuses the connection at once.
    pub fn unreachable_config(&self) -> PathBuf {
        self.file("secret", "not-a-secret");
        self.file(
            "runbooks/small.md",
            "# Small runbook\n\n## First steps\n\n- [ ] Declare the incident\n- [ ] Tell the support lead\n",
        );
        self.file(
            "kubeconfig",
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n\
             users: [{name: u, user: {token: t}}]\n\
             contexts: [{name: c, context: {cluster: c, user: u}}]\n",
        );
        self.file(
            "drtui.toml",
            r#"
service = "refer-serious-misconduct"
runbooks = "runbooks"
[environments.production]
production = true
namespace = "tra-production"
app = "refer-serious-misconduct-production"
health_url = "http://127.0.0.1:1/healthcheck"
[environments.production.cluster]
name = "s189p01-tsc-production-aks"
kubeconfig = "kubeconfig"
[environments.production.azure]
subscription = "00000000-0000-0000-0000-000000000000"
resource_group = "s189p01-rsm-pd-rg"
server = "s189p01-rsm-pd-pg"
tenant = "t"
client_id = "c"
client_secret_file = "secret"
endpoint = "https://127.0.0.1:1"
authority = "https://127.0.0.1:1"
"#,
        )
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What to start, and on what terminal.
#[derive(Clone)]
pub struct Spawn {
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    home: PathBuf,
    size: (u16, u16),
}

impl Spawn {
    /// The program under test with `args`, its home in `home`, on an 80x24 terminal with 256 colours.
    pub fn drtui(home: &Home, args: &[&str]) -> Spawn {
        Spawn::program(Path::new(env!("CARGO_BIN_EXE_drtui")), home, args)
    }

    pub fn program(program: &Path, home: &Home, args: &[&str]) -> Spawn {
        Spawn {
            program: program.to_owned(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            env: Vec::new(),
            home: home.path().to_owned(),
            size: (80, 24),
        }
    }

    /// Columns and rows.
    pub fn size(mut self, columns: u16, rows: u16) -> Spawn {
        self.size = (columns, rows);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Spawn {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn start(self) -> Pty {
        let size = pty_size(self.size.0, self.size.1);
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(&self.program);
        command.args(&self.args);
        command.env_clear();
        command.cwd(&self.home);
        for (name, value) in [
            ("PATH", std::env::var("PATH").unwrap_or_default().as_str()),
            ("HOME", &self.home.to_string_lossy()),
            ("XDG_STATE_HOME", &self.home.join("state").to_string_lossy()),
            ("XDG_CONFIG_HOME", &self.home.join("config").to_string_lossy()),
            ("XDG_CACHE_HOME", &self.home.join("cache").to_string_lossy()),
            ("TERM", "xterm-256color"),
            ("LANG", "C.UTF-8"),
            ("USER", "responder"),
        ] {
            command.env(name, value);
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        let shared = Arc::new(Shared::new(self.size.0, self.size.1));
        let reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let started = Instant::now();
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let pid = Pid::from_raw(i32::try_from(child.process_id().unwrap()).unwrap());
        let seen = Arc::clone(&shared);
        std::thread::spawn(move || read_all(reader, &seen));
        let seen = Arc::clone(&shared);
        std::thread::spawn(move || {
            let status = child.wait().unwrap();
            let exit = Exit { code: status.exit_code(), signal: status.signal().map(str::to_owned) };
            seen.lock().exit = Some(exit);
            seen.news.notify_all();
        });
        Pty { pid, started, master: Some(pair.master), writer: Some(writer), shared }
    }
}

fn pty_size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    pub code: u32,
    /// The signal's name, if one ended it.
    pub signal: Option<String>,
}

/// Terminal modes that the vt100 crate does not keep.
#[derive(Default)]
pub struct Modes {
    pub focus_reports: bool,
    /// Inside a synchronised update: what is on the screen is half a frame.
    pub in_update: bool,
    pub title: String,
    /// Titles pushed and not popped.
    pub title_depth: i32,
    /// What OSC 52 put on the clipboard, base64.
    pub clipboard: Vec<u8>,
}

impl vt100::Callbacks for Modes {
    fn set_window_title(&mut self, _: &mut Screen, title: &[u8]) {
        self.title = String::from_utf8_lossy(title).into_owned();
    }

    fn copy_to_clipboard(&mut self, _: &mut Screen, _: &[u8], data: &[u8]) {
        self.clipboard = data.to_owned();
    }

    fn unhandled_csi(&mut self, _: &mut Screen, i1: Option<u8>, _: Option<u8>, params: &[&[u16]], c: char) {
        let on = c == 'h';
        match (i1, params.first().copied(), c) {
            (Some(b'?'), Some([1004]), 'h' | 'l') => self.focus_reports = on,
            (Some(b'?'), Some([2026]), 'h' | 'l') => self.in_update = on,
            (None, Some([22]), 't') => self.title_depth += 1,
            (None, Some([23]), 't') => self.title_depth -= 1,
            _ => {}
        }
    }
}

/// What has come out of the terminal so far.
pub struct Seen {
    pub parser: vt100::Parser<Modes>,
    /// Every byte, up to a bound.
    pub raw: Vec<u8>,
    pub bytes: usize,
    /// When the last byte arrived.
    pub last: Instant,
    pub eof: bool,
    reading: bool,
    pub exit: Option<Exit>,
}

impl Seen {
    pub fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    pub fn modes(&self) -> &Modes {
        self.parser.callbacks()
    }
}

struct Shared {
    seen: Mutex<Seen>,
    news: Condvar,
    closing: AtomicBool,
}

impl Shared {
    fn new(columns: u16, rows: u16) -> Shared {
        let parser =
            vt100::Parser::new_with_callbacks(at_least_one(rows), at_least_one(columns), 0, Modes::default());
        let seen = Seen {
            parser,
            raw: Vec::new(),
            bytes: 0,
            last: Instant::now(),
            eof: false,
            reading: true,
            exit: None,
        };
        Shared { seen: Mutex::new(seen), news: Condvar::new(), closing: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn at_least_one(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN)
}

fn read_all(mut reader: Box<dyn Read + Send>, shared: &Shared) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = reader.read(&mut buffer).unwrap_or(0);
        let mut seen = shared.lock();
        let bytes = buffer.get(..n).unwrap_or_default();
        seen.parser.process(bytes);
        seen.bytes += n;
        seen.last = Instant::now();
        if seen.raw.len() + n <= RAW_MAX {
            seen.raw.extend_from_slice(bytes);
        }
        seen.eof = n == 0;
        seen.reading = n > 0 && !shared.closing.load(Ordering::SeqCst);
        let done = !seen.reading;
        drop(seen);
        if done {
            drop(reader);
            shared.news.notify_all();
            return;
        }
        shared.news.notify_all();
    }
}

/// A running program and the terminal it runs on.
pub struct Pty {
    pub pid: Pid,
    pub started: Instant,
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    shared: Arc<Shared>,
}

impl Pty {
    /// Types `keys`, byte for byte (`\r` is Enter, `\x1b` Esc, `\t` Tab).
    pub fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Pastes `text` as a terminal does in bracketed-paste mode.
    pub fn paste(&mut self, text: &str) {
        self.send(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// Presses and releases the left mouse button at a column and row counted from 0.
    pub fn click(&mut self, column: u16, row: u16) {
        let (x, y) = (column + 1, row + 1);
        self.send(&format!("\x1b[<0;{x};{y}M\x1b[<0;{x};{y}m"));
    }

    /// Waits until `seen` satisfies `until`, looking at whole frames only. Fails with the screen after `patience`.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, patience: Duration, until: impl FnMut(&Seen) -> Option<T>) -> T {
        self.try_wait(patience, until).unwrap_or_else(|| {
            let exit = self.shared.lock().exit.clone();
            panic!("waited {patience:?} in vain for {what}; exit: {exit:?}; the screen:\n{}", self.text())
        })
    }

    /// As [`wait`](Self::wait), `None` in vain.
    pub fn try_wait<T>(&self, patience: Duration, mut until: impl FnMut(&Seen) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut seen = self.shared.lock();
        loop {
            let whole = !seen.modes().in_update || !seen.reading;
            if let Some(found) = whole.then(|| until(&seen)).flatten() {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            seen = self.shared.news.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `text` is somewhere on the screen.
    #[track_caller]
    pub fn wait_text(&self, text: &str) {
        self.wait(&format!("{text:?}"), PATIENCE, |s| s.screen().contents().contains(text).then_some(()));
    }

    /// Waits until `text` is nowhere on the screen.
    #[track_caller]
    pub fn wait_gone(&self, text: &str) {
        self.wait(&format!("{text:?} to go"), PATIENCE, |s| {
            (!s.screen().contents().contains(text)).then_some(())
        });
    }

    /// Waits for the end of the program and of its output.
    #[track_caller]
    pub fn wait_exit(&self) -> Exit {
        self.wait("the end", PATIENCE, |s| s.exit.clone().filter(|_| s.eof))
    }

    /// Waits for the end of the program, whatever became of its output.
    #[track_caller]
    pub fn wait_end(&self) -> Exit {
        self.wait("the end", PATIENCE, |s| s.exit.clone())
    }

    /// Looks at what has come out so far.
    pub fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&self.shared.lock())
    }

    /// The screen as text.
    pub fn text(&self) -> String {
        self.look(|s| s.screen().contents())
    }

    /// The column and row, counted from 0, at which `text` begins on the screen.
    pub fn find(&self, text: &str) -> Option<(u16, u16)> {
        self.look(|s| find(s.screen(), text))
    }

    /// The style of the cell at a column and row counted from 0.
    pub fn style(&self, column: u16, row: u16) -> CellStyle {
        self.look(|s| {
            let cell = s.screen().cell(row, column).unwrap();
            CellStyle {
                fg: cell.fgcolor(),
                bg: cell.bgcolor(),
                bold: cell.bold(),
                inverse: cell.inverse(),
                underline: cell.underline(),
            }
        })
    }

    /// Changes the size of the terminal, as a window manager would.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.shared.lock().parser.set_size(at_least_one(rows), at_least_one(columns));
        self.master.as_ref().unwrap().resize(pty_size(columns, rows)).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap();
    }

    /// Ends the program without asking.
    pub fn kill9(&self) {
        if self.shared.lock().exit.is_none() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }

    /// Takes the terminal away, as a dropped SSH connection does. The reader lets go of it at the next output, which
    /// a change of size brings about.
    pub fn vanish(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.resize(81, 23);
        self.wait("a last frame", PATIENCE, |s| (!s.reading).then_some(()));
        self.writer = None;
        self.master = None;
    }

    /// True while the terminal is in raw mode.
    pub fn is_raw(&self) -> bool {
        let termios = self.master.as_ref().unwrap().get_termios().unwrap();
        let local = LocalFlags::from_bits_truncate(termios.local_flags.bits());
        let input = InputFlags::from_bits_truncate(termios.input_flags.bits());
        !local.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
            && !input.contains(InputFlags::ICRNL)
    }

    /// What the program has left switched on; empty after a clean end.
    pub fn left_on(&self) -> Vec<&'static str> {
        let raw = self.is_raw();
        self.look(|s| {
            let (screen, modes) = (s.screen(), s.modes());
            [
                ("raw mode", raw),
                ("alternate screen", screen.alternate_screen()),
                ("mouse", screen.mouse_protocol_mode() != MouseProtocolMode::None),
                ("bracketed paste", screen.bracketed_paste()),
                ("focus reports", modes.focus_reports),
                ("hidden cursor", screen.hide_cursor()),
                ("synchronised update", modes.in_update),
                ("pushed title", modes.title_depth != 0),
            ]
            .into_iter()
            .filter_map(|(what, on)| on.then_some(what))
            .collect()
        })
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// What one cell looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellStyle {
    pub fg: vt100::Color,
    pub bg: vt100::Color,
    pub bold: bool,
    pub inverse: bool,
    pub underline: bool,
}

/// The column and row, counted from 0, at which `text` begins on `screen`.
pub fn find(screen: &Screen, text: &str) -> Option<(u16, u16)> {
    let (rows, columns) = screen.size();
    (0..rows.get()).find_map(|row| {
        let mut line = String::new();
        let starts: Vec<_> = (0..columns.get())
            .map(|column| {
                let start = line.len();
                line.push_str(
                    screen
                        .cell(row, column)
                        .map(vt100::Cell::contents)
                        .filter(|c| !c.is_empty())
                        .unwrap_or(" "),
                );
                start
            })
            .collect();
        let at = line.find(text)?;
        starts.iter().position(|start| *start == at).map(|column| (u16::try_from(column).unwrap_or(0), row))
    })
}
