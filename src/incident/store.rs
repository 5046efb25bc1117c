//! Journals on disk: one JSON line an entry, appended, synced before it is acknowledged, locked by one writer.
//! The only part of `incident` that touches the world.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::event::{Entry, Event};
use super::hash::{self, ZERO};
use super::id;
use super::scan::{self, End, Scan};
use crate::domain::{Utc, text};

/// Longest line, newline included.
pub const MAX_LINE: usize = 256 * 1024;
/// Largest journal that is written or read.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;
/// An incident that was opened twice in a minute gets `-2`, `-3`, … up to this.
const MAX_SUFFIX: u32 = 99;

/// An open journal with the right to append.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    id: String,
    /// Length of the acknowledged part: what the file must be before the next append.
    len: u64,
    seq: u64,
    head: String,
    mended: Option<String>,
    /// An append failed and could not be taken back: take it back before anything else.
    dirty: bool,
}

impl Journal {
    /// Opens a new incident: makes `dir` (0700) if need be and the journal file (0600) in it. `opened` must be
    /// [`Event::Opened`]; an empty `incident` in it is filled in, a taken one gets a suffix. The entry that comes back
    /// holds the final id.
    ///
    /// # Errors
    /// [`JournalError`]; no file is left behind.
    pub fn create(dir: &Path, opened: Event, at: Utc, who: &str) -> Result<(Journal, Entry), JournalError> {
        let base = id::of(&opened, at)?;
        make_dir(dir)?;
        let (file, path, id) = claim(dir, &base)?;
        lock(&file, &path, Vec::new)?;
        note_holder(&path, who);
        let mut journal = Journal {
            file,
            path,
            id: id.clone(),
            len: 0,
            seq: 0,
            head: ZERO.to_owned(),
            mended: None,
            dirty: false,
        };
        let made = journal.append(with_id(opened, id), at, who).and_then(|entry| {
            sync_dir(dir)?;
            Ok(entry)
        });
        match made {
            Ok(entry) => Ok((journal, entry)),
            Err(e) => {
                let _ = fs::remove_file(&journal.path);
                Err(e)
            }
        }
    }

    /// Opens an existing journal for appending, after checking every line. What a crash left half-written and
    /// unacknowledged at the end is taken away, and [`Journal::mended`] says so.
    ///
    /// # Errors
    /// [`JournalError::Held`] (with the entries, for reading) if another process writes it, [`JournalError::Damaged`]
    /// (with the readable part) if a line is not what was written, or [`JournalError::Io`].
    pub fn open(path: &Path) -> Result<(Journal, Vec<Entry>), JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(|e| JournalError::io("open the journal", path, e))?;
        lock(&file, path, || read(path).unwrap_or_default())?;
        note_holder(path, &who());
        let scan = scan::scan(&slurp(&mut file, path)?);
        let mended = mend(&mut file, path, &scan)?;
        let entries = whole(path, scan)?;
        let len = file.metadata().map_err(|e| JournalError::io("measure", path, e))?.len();
        let (seq, head) =
            entries.last().map_or_else(|| (0, ZERO.to_owned()), |last| (last.seq, last.hash.clone()));
        let journal = Journal {
            file,
            path: path.to_owned(),
            id: id::of_path(path),
            len,
            seq,
            head,
            mended,
            dirty: false,
        };
        Ok((journal, entries))
    }

    /// Appends one entry. When this returns `Ok` the entry is on disk.
    ///
    /// # Errors
    /// [`JournalError`]; the journal is as it was before, and a later append may succeed (disk full, for one).
    pub fn append(&mut self, event: Event, at: Utc, who: &str) -> Result<Entry, JournalError> {
        if self.dirty {
            self.take_back()?;
        }
        self.still_ours()?;
        let seq = self.seq + 1;
        let (entry, line) = hash::seal(seq, &self.head, event, at, who)?;
        if line.len() > MAX_LINE {
            return Err(JournalError::TooLong { bytes: line.len(), max: MAX_LINE });
        }
        let len = self.len + line.len() as u64;
        if len > MAX_FILE {
            return Err(JournalError::Full { path: self.path.clone(), max: MAX_FILE });
        }
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(e) = written {
            self.dirty = true;
            // The error that matters is the first; if taking back fails too, the next append tries again.
            let _ = self.take_back();
            return Err(JournalError::io("write to", &self.path, e));
        }
        self.len = len;
        self.seq = seq;
        self.head.clone_from(&entry.hash);
        Ok(entry)
    }

    /// The incident's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hash of the last entry.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// What was mended when the journal was opened, in words for the timeline.
    pub fn mended(&self) -> Option<&str> {
        self.mended.as_deref()
    }

    fn take_back(&mut self) -> Result<(), JournalError> {
        self.file
            .set_len(self.len)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| JournalError::io("take back a half-written entry from", &self.path, e))?;
        self.dirty = false;
        Ok(())
    }

    /// The file at our path is the one we hold, and as long as we left it.
    fn still_ours(&self) -> Result<(), JournalError> {
        let changed = |what: &str| JournalError::Changed { path: self.path.clone(), what: what.to_owned() };
        let held = self.file.metadata().map_err(|e| JournalError::io("measure", &self.path, e))?;
        let named = match fs::metadata(&self.path) {
            Ok(named) => named,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(changed("the journal was moved or removed while it was open"));
            }
            Err(e) => return Err(JournalError::io("look at", &self.path, e)),
        };
        if (held.dev(), held.ino()) != (named.dev(), named.ino()) {
            return Err(changed("the journal was replaced by another file while it was open"));
        }
        match held.len().cmp(&self.len) {
            std::cmp::Ordering::Less => Err(changed("the journal is shorter than what was written to it")),
            std::cmp::Ordering::Greater => Err(changed("something else wrote to the journal")),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = fs::remove_file(holder_file(&self.path));
    }
}

/// Reads a journal without the right to write it. A half-written last line is left out: its writer may be at work.
///
/// # Errors
/// [`JournalError::Damaged`] with the readable part, or [`JournalError::Io`].
pub fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
    let mut file = File::open(path).map_err(|e| JournalError::io("open the journal", path, e))?;
    whole(path, scan::scan(&slurp(&mut file, path)?))
}

/// A journal that passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    pub entries: Vec<Entry>,
    /// Hash of the last entry: compare it with the one in a report made earlier.
    pub head_hash: String,
}

/// Checks every line. Stricter than [`read`]: anything after the last whole entry is damage too.
///
/// # Errors
/// [`JournalError::Damaged`] names the first bad line.
pub fn verify(path: &Path) -> Result<Verified, JournalError> {
    let mut file = File::open(path).map_err(|e| JournalError::io("open the journal", path, e))?;
    let scan = scan::scan(&slurp(&mut file, path)?);
    let damaged = |line: usize, what: String, readable: Vec<Entry>| JournalError::Damaged {
        path: path.to_owned(),
        line,
        what,
        readable,
    };
    match scan.end {
        End::Whole => {
            let head_hash = scan.entries.last().map(|e| e.hash.clone()).unwrap_or_default();
            Ok(Verified { entries: scan.entries, head_hash })
        }
        End::NoNewline => {
            Err(damaged(scan.entries.len(), "the last line has lost its newline".to_owned(), scan.entries))
        }
        End::Torn { line, bytes } => Err(damaged(
            line,
            format!(
                "half a line ({bytes} bytes): a write cut off by a crash and never acknowledged, or a cut file; opening the incident takes it away"
            ),
            scan.entries,
        )),
        End::Damaged { line, what } => Err(damaged(line, what, scan.entries)),
    }
}

/// Who is at the keyboard: `user@host`, as far as the system tells.
pub fn who() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::current())
        .ok()
        .flatten()
        .map(|u| u.name)
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or_else(|| "unknown".to_owned());
    let host = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|p| fs::read_to_string(p).ok())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "unknown".to_owned());
    format!("{}@{}", text::clean(user.trim()), text::clean(host.trim()))
}

fn whole(path: &Path, scan: Scan) -> Result<Vec<Entry>, JournalError> {
    match scan.end {
        End::Damaged { line, what } => {
            Err(JournalError::Damaged { path: path.to_owned(), line, what, readable: scan.entries })
        }
        End::Torn { .. } if scan.entries.is_empty() => Err(JournalError::Damaged {
            path: path.to_owned(),
            line: 1,
            what: "half a line and nothing else: the incident was never opened".to_owned(),
            readable: Vec::new(),
        }),
        _ => Ok(scan.entries),
    }
}

/// Takes away or completes what a crash left at the end. Touches nothing when a line is damaged.
fn mend(file: &mut File, path: &Path, scan: &Scan) -> Result<Option<String>, JournalError> {
    let io = |e| JournalError::io("mend the end of", path, e);
    match &scan.end {
        End::NoNewline => {
            file.write_all(b"\n").and_then(|()| file.sync_data()).map_err(io)?;
            Ok(Some("the last entry had lost its newline; it was put back".to_owned()))
        }
        End::Torn { bytes, .. } if !scan.entries.is_empty() => {
            file.set_len(scan.good_len as u64).and_then(|()| file.sync_data()).map_err(io)?;
            Ok(Some(format!("{bytes} bytes of an entry that was never acknowledged were taken away")))
        }
        _ => Ok(None),
    }
}

fn slurp(file: &mut File, path: &Path) -> Result<Vec<u8>, JournalError> {
    let io = |e| JournalError::io("read", path, e);
    let about = file.metadata().map_err(io)?;
    if !about.is_file() {
        return Err(io(io::Error::other("not a regular file")));
    }
    if about.len() > MAX_FILE {
        return Err(JournalError::Full { path: path.to_owned(), max: MAX_FILE });
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn make_dir(dir: &Path) -> Result<(), JournalError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| JournalError::io("make the folder", dir, e))
}

fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| JournalError::io("sync the folder", dir, e))
}

/// Makes the first file that nobody has: `base`, `base-2`, …
fn claim(dir: &Path, base: &str) -> Result<(File, PathBuf, String), JournalError> {
    for n in 1..=MAX_SUFFIX {
        let id = if n == 1 { base.to_owned() } else { format!("{base}-{n}") };
        let path = id::path(dir, &id);
        match OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, path, id)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(JournalError::io("make the journal", &path, e)),
        }
    }
    let taken = io::Error::other("every name up to -99 is taken");
    Err(JournalError::io("make the journal", &id::path(dir, base), taken))
}

fn lock(file: &File, path: &Path, entries: impl FnOnce() -> Vec<Entry>) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(holder_file(path)).ok().map(|t| text::clean(t.trim()));
            Err(JournalError::Held { path: path.to_owned(), holder, entries: entries() })
        }
        Err(TryLockError::Error(e)) => Err(JournalError::io("lock", path, e)),
    }
}

/// Says beside the journal who holds it. The lock itself is on the journal; this is only for people.
fn note_holder(path: &Path, who: &str) {
    let _ = fs::write(holder_file(path), format!("{who} pid {}\n", std::process::id()));
}

fn holder_file(path: &Path) -> PathBuf {
    path.with_extension("holder")
}

fn with_id(mut opened: Event, id: String) -> Event {
    if let Event::Opened { incident, .. } = &mut opened {
        *incident = id;
    }
    opened
}
