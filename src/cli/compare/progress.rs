//! Progress on standard error: one line that changes on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::say;
use crate::compare::model::{self, Event, Verdict};
use crate::compare::report::sentence;
use crate::domain::text;

/// How often a file or pipe gets a line.
const EVERY: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::from_millis(100);

pub struct Progress {
    quiet: bool,
    terminal: bool,
    last: Instant,
    shown: bool,
}

impl Progress {
    pub fn new(quiet: bool) -> Progress {
        Progress { quiet, terminal: std::io::stderr().is_terminal(), last: Instant::now(), shown: false }
    }

    /// Tells what is worth telling.
    pub fn take(&mut self, event: &Event) {
        if self.quiet {
            return;
        }
        match event {
            Event::Listed { tables } => {
                let bytes = tables.iter().map(|t| t.bytes).sum();
                self.line(&format!("{} tables, {}", tables.len(), size(bytes)));
            }
            Event::Note { text } => self.line(text),
            Event::Table { table } if !matches!(table.verdict, Verdict::Same) => {
                self.line(&format!("{}: {}", table.table, sentence(table)));
            }
            Event::Progress { progress } => self.progress(progress),
            _ => {}
        }
    }

    fn line(&mut self, line: &str) {
        self.end();
        say(line);
    }

    fn progress(&mut self, progress: &model::Progress) {
        let every = if self.terminal { AT_ONCE } else { EVERY };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        let left = progress.left.map_or_else(String::new, |s| format!(", about {s:.0} s left"));
        let line = format!(
            "{:3} % of {}, {} of {} tables, {} received{left}  {}",
            progress.percent(),
            size(progress.total),
            progress.tables_done,
            progress.tables,
            size(progress.received_live + progress.received_restored),
            text::fit(&text::clean(&progress.now), 30)
        );
        if self.terminal {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[K{line}").and_then(|()| err.flush());
            self.shown = true;
        } else {
            say(&line);
        }
    }

    /// Leaves the changing line.
    pub fn end(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
            self.shown = false;
        }
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64 / 1_000.0;
    let mut unit = 0;
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS.get(unit).unwrap_or(&"B"))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(
            (size(0).as_str(), size(2_640_000).as_str(), size(4_700_000_000).as_str()),
            ("0.0 kB", "2.6 MB", "4.7 GB")
        );
    }
}
