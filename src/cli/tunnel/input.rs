//! A file as the program's input: streamed, unpacked on the way, with a bar that says how far it is.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use tokio::sync::oneshot;

/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 128 << 10;
const REDRAW: Duration = Duration::from_millis(200);

/// psql's arguments for a file: an error ends it, unless the caller says otherwise.
pub fn arguments(own: &[String], from_file: bool) -> Vec<String> {
    let mut all = Vec::new();
    if from_file && !own.iter().any(|arg| arg.contains("ON_ERROR_STOP")) {
        all.extend(["-v".to_owned(), "ON_ERROR_STOP=1".to_owned()]);
    }
    all.extend(own.iter().cloned());
    all
}

/// Looks at the file before anything is opened for it.
///
/// # Errors
/// It cannot be read, or is gzip and is not to be decompressed: what to do, in words.
pub fn usable(file: &Path, gzip: bool) -> Result<(), String> {
    let name = file.display();
    let bad = |e: io::Error| format!("the input {name} cannot be read: {e}");
    // What is read from a pipe here is gone for psql.
    if !std::fs::metadata(file).map_err(bad)?.is_file() {
        return Ok(());
    }
    let mut start = Vec::new();
    File::open(file).map_err(bad)?.take(2).read_to_end(&mut start).map_err(bad)?;
    if start == GZIP && !gzip {
        return Err(format!("the input {name} is gzip: -c decompresses it on the way"));
    }
    Ok(())
}

/// A file that could not be read to its end. The pipe stays open as long as this lives: a program that sees its input end
/// runs what it has of the last statement, `DELETE FROM t` of `DELETE FROM t WHERE …`.
#[derive(Debug)]
pub struct Broken {
    pub error: io::Error,
    _pipe: Option<File>,
}

/// How it went, when it is over.
pub type Fed = oneshot::Receiver<Result<(), Broken>>;

/// Streams `file` to `to`, which is closed at its end. A program that reads no more is no error: its exit code tells.
pub fn feed(file: PathBuf, gzip: bool, to: io::Result<File>, bar: bool) -> Fed {
    let (done, fed) = oneshot::channel();
    // A thread of its own: nothing waits for one that reads from a pipe to which nobody writes.
    std::thread::spawn(move || {
        let result = match to {
            Ok(mut to) => pump(&file, gzip, &mut to, bar).map_err(|error| Broken { error, _pipe: Some(to) }),
            Err(error) => Err(Broken { error, _pipe: None }),
        };
        // Whoever has gone asks no more.
        let _ = done.send(result);
    });
    fed
}

fn pump(file: &Path, gzip: bool, to: &mut File, bar: bool) -> io::Result<()> {
    let source = File::open(file)?;
    let size = source.metadata()?.len();
    let done = Arc::new(AtomicU64::new(0));
    let counted = Counted { file: source, done: Arc::clone(&done) };
    let mut from: Box<dyn Read> = match gzip {
        true => Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, counted))),
        false => Box::new(counted),
    };
    let mut progress = Progress { size, began: Instant::now(), drawn: Instant::now(), on: bar };
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        match to.write_all(part) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => break,
            other => other?,
        }
        progress.draw(done.load(Ordering::Relaxed), false);
    }
    progress.draw(done.load(Ordering::Relaxed), true);
    Ok(())
}

struct Counted {
    file: File,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.done.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

struct Progress {
    size: u64,
    began: Instant,
    drawn: Instant,
    on: bool,
}

impl Progress {
    fn draw(&mut self, done: u64, last: bool) {
        if !self.on || (!last && self.drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Instant::now();
        let mut err = io::stderr().lock();
        // Nobody may be there to see it.
        let _ = write!(
            err,
            "\r\x1b[K{}{}",
            line(done, self.size, self.began.elapsed()),
            if last { "\n" } else { "" }
        );
        let _ = err.flush();
    }
}

/// `[##########··········]  50 %  12.3 of 24.6 MB, 3.1 MB/s, 4 s left`.
fn line(done: u64, size: u64, took: Duration) -> String {
    const WIDTH: u64 = 20;
    let part = |of: u64| (done * of).checked_div(size).unwrap_or(of).min(of);
    let full = usize::try_from(part(WIDTH)).unwrap_or(0);
    let bar: String = "#".repeat(full) + &"·".repeat(20 - full.min(20));
    let mb = |bytes: f64| bytes / 1e6;
    let (done_f, size_f) = (done as f64, size as f64);
    let rate = done_f / took.as_secs_f64().max(0.001);
    let left = if rate > 0.0 { (size_f - done_f).max(0.0) / rate } else { 0.0 };
    format!(
        "[{bar}] {:3} %  {:.1} of {:.1} MB, {:.1} MB/s, {left:.0} s left",
        part(100),
        mb(done_f),
        mb(size_f),
        mb(rate)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_end_a_file_unless_told_otherwise() {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(arguments(&own(&["-q"]), true), ["-v", "ON_ERROR_STOP=1", "-q"]);
        assert_eq!(arguments(&own(&["-v", "ON_ERROR_STOP=0"]), true), ["-v", "ON_ERROR_STOP=0"]);
        assert_eq!(arguments(&own(&["-c", "x"]), false), ["-c", "x"]);
    }

    #[tokio::test]
    async fn a_file_that_breaks_off_never_looks_like_one_that_ends() {
        use std::os::fd::OwnedFd;
        let file = std::env::temp_dir().join(format!("drtui-cut-{}.gz", std::process::id()));
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        gz.write_all(b"DELETE FROM t WHERE id = 7;\n").unwrap();
        let whole = gz.finish().unwrap();
        std::fs::write(&file, &whole[..whole.len() - 20]).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let fed = feed(file.clone(), true, Ok(File::from(OwnedFd::from(writer))), false).await.unwrap();
        let broken = fed.unwrap_err();
        assert_eq!(broken.error.kind(), io::ErrorKind::UnexpectedEof, "{}", broken.error);
        // The reader has not seen an end: it would wait for more.
        let seen = std::thread::spawn(move || {
            let mut all = String::new();
            reader.read_to_string(&mut all).map(|_| all)
        });
        assert!(!seen.is_finished());
        drop(broken);
        seen.join().unwrap().unwrap();
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn the_bar_tells_how_far_and_how_long() {
        let half = line(12_300_000, 24_600_000, Duration::from_secs(4));
        assert_eq!(half, "[##########··········]  50 %  12.3 of 24.6 MB, 3.1 MB/s, 4 s left");
        assert!(line(0, 0, Duration::ZERO).contains("100 %"));
    }
}
