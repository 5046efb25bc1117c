//! Records every message to a file and reads such a file again. Line 1 is how the cockpit started, each further line is
//! one message. What looks like a secret is blotted out before it is written.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use color_eyre::eyre::{Context, Result, eyre};

use crate::core::Msg;
use crate::core::model::Start;
use crate::domain::text;

/// Longest line that is read back.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// A recording being written, mode 0600.
#[derive(Debug)]
pub struct Recorder {
    file: io::BufWriter<File>,
}

impl Recorder {
    pub fn create(path: &Path, start: &Start) -> Result<Recorder> {
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).wrap_err_with(|| {
                format!(
                    "the recording {} cannot be made: choose a file that is not there yet",
                    path.display()
                )
            })?;
        let mut recorder = Recorder { file: io::BufWriter::new(file) };
        recorder.line(&serde_json::to_string(start)?)?;
        Ok(recorder)
    }

    pub fn write(&mut self, msg: &Msg) -> Result<()> {
        self.line(&serde_json::to_string(msg)?)
    }

    /// Hands what is written to the operating system: a crash afterwards loses nothing.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.file.flush()?)
    }

    fn line(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text::redact(text).as_bytes())?;
        Ok(self.file.write_all(b"\n")?)
    }
}

/// A recording, read back.
#[derive(Debug)]
pub struct Recording {
    pub start: Start,
    pub messages: Vec<Msg>,
}

/// Reads a recording. A torn last line (the recorder was killed) is left out.
pub fn read(path: &Path) -> Result<Recording> {
    let file =
        File::open(path).wrap_err_with(|| format!("the recording {} cannot be read", path.display()))?;
    let mut lines = BufReader::new(file).lines();
    let first = lines.next().ok_or_else(|| eyre!("{} is empty", path.display()))??;
    let start = serde_json::from_str(&first)
        .wrap_err_with(|| format!("{}:1 is not the start of a recording", path.display()))?;
    let mut messages = Vec::new();
    let mut torn = None;
    for (n, line) in lines.enumerate() {
        let line = line?;
        if let Some(why) = torn.take() {
            return Err(why);
        }
        if line.len() > MAX_LINE {
            return Err(eyre!("{}:{} is too long", path.display(), n + 2));
        }
        match serde_json::from_str(&line) {
            Ok(msg) => messages.push(msg),
            Err(e) => torn = Some(eyre!("{}:{} is not a message: {e}", path.display(), n + 2)),
        }
    }
    Ok(Recording { start, messages })
}
