//! Runs a program for its output: silent, without the terminal, cut off by time, killed with its children.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::words;

/// More output than this is not what we asked for.
const OUTPUT_MAX: u64 = 1 << 20;

/// Why a program gave no output.
#[derive(Debug)]
pub enum Failure {
    NotInstalled,
    /// In words: did not start, did not finish, failed with its last line of complaint.
    Failed(String),
}

/// Runs `command` and returns what it printed.
///
/// # Errors
/// Words begin with `name` and hold nothing of the standard output, which may be a secret.
pub async fn run(name: &str, command: &mut Command, patience: Duration) -> Result<Vec<u8>, Failure> {
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: it cannot read the terminal, and dies with its children.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Failure::NotInstalled),
        Err(e) => return Err(Failure::Failed(format!("{name} does not start: {}", words::cause(&e)))),
    };
    let mut group = Group(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async { tokio::join!(read(stdout), read(stderr), child.wait()) };
    let Ok((out, err, ended)) = timeout(patience, work).await else {
        return Err(Failure::Failed(format!("{name} did not finish within {} s", patience.as_secs())));
    };
    // Reaped: its number may already be another's.
    group.0 = None;
    match ended {
        Ok(ended) if ended.success() => Ok(out),
        Ok(ended) => Err(Failure::Failed(format!("{name} failed: {}", complaint(&err, ended)))),
        Err(error) => Err(Failure::Failed(format!("{name} was lost: {}", words::cause(&error)))),
    }
}

/// The last line of a program's standard error.
fn complaint(err: &[u8], ended: ExitStatus) -> String {
    let text = String::from_utf8_lossy(err);
    let last = text.lines().map(words::plain).rfind(|l| !l.is_empty());
    last.unwrap_or_else(|| ended.to_string())
}

/// Kills a process group when dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _ = from.take(OUTPUT_MAX).read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, patience: Duration) -> Result<Vec<u8>, Failure> {
        run("sh", Command::new("sh").args(["-c", script]), patience).await
    }

    #[tokio::test]
    async fn a_hanging_program_is_cut_off_with_its_children() {
        let file = std::env::temp_dir().join(format!("drtui-program-{}", std::process::id()));
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let failure = sh(&script, Duration::from_millis(500)).await.unwrap_err();
        assert!(matches!(failure, Failure::Failed(why) if why == "sh did not finish within 0 s"));
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        std::fs::remove_file(&file).unwrap();
        let gone =
            || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z "));
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while !gone() {
            assert!(std::time::Instant::now() < deadline, "its child lives on");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn its_last_complaint_is_told_clean() {
        let patience = Duration::from_secs(10);
        let script = "echo fine >&2; printf 'AADSTS700082: expired\\033[31m\\n' >&2; echo s3cret; exit 1";
        let failure = sh(script, patience).await.unwrap_err();
        assert!(matches!(failure, Failure::Failed(why) if why == "sh failed: AADSTS700082: expired"));
        let none = run("x", &mut Command::new("/nonexistent/x"), patience).await;
        assert!(matches!(none, Err(Failure::NotInstalled)));
    }
}
