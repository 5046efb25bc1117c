//! A running server: started as our child on a loopback port, ready when it says so, stopped by signal.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::PostgresError;
use super::cluster::Cluster;
use super::fake_clock::FakeClock;

const PORT_TRIES: u32 = 5;
const CLASH_PAUSE: Duration = Duration::from_millis(100);
const START_LIMIT: Duration = Duration::from_secs(30);
const READY: &str = "database system is ready to accept connections";
const CLASH: &str = "Address already in use";

/// A server that accepts connections. Dropped, it is told to stop at once.
#[derive(Debug)]
pub struct Postmaster {
    /// Its port on 127.0.0.1.
    pub port: u16,
    pid: Pid,
    exited: watch::Receiver<bool>,
}

impl Postmaster {
    /// Starts `cluster` with `settings` (`name=value`) on top of its own, on `port`.
    ///
    /// # Errors
    /// It ends before it is ready, or is not ready in time; the error holds its last words.
    pub async fn start(cluster: &Cluster, port: u16, settings: &[&str]) -> Result<Postmaster, PostgresError> {
        Self::start_with(None, cluster, port, settings).await
    }

    /// The same under a clock that is behind.
    ///
    /// # Errors
    /// As [`Postmaster::start`].
    pub async fn start_under(
        clock: &FakeClock,
        cluster: &Cluster,
        port: u16,
        settings: &[&str],
    ) -> Result<Postmaster, PostgresError> {
        Self::start_with(Some(clock), cluster, port, settings).await
    }

    async fn start_with(
        clock: Option<&FakeClock>,
        cluster: &Cluster,
        port: u16,
        settings: &[&str],
    ) -> Result<Postmaster, PostgresError> {
        let mut why = String::new();
        for _ in 0..PORT_TRIES {
            match Self::start_on(clock, port, cluster, settings).await? {
                Ok(postmaster) => return Ok(postmaster),
                // Its predecessor on this port may still be on its way out.
                Err(words) if words.contains(CLASH) => {
                    why = words;
                    tokio::time::sleep(CLASH_PAUSE).await;
                }
                Err(words) => return Err(PostgresError::Start { why: words }),
            }
        }
        Err(PostgresError::Start { why })
    }

    async fn start_on(
        clock: Option<&FakeClock>,
        port: u16,
        cluster: &Cluster,
        settings: &[&str],
    ) -> Result<Result<Postmaster, String>, PostgresError> {
        let mut command = cluster.owner.command(&cluster.program);
        if let Some(clock) = clock {
            clock.over(&mut command);
        }
        command.arg("-D").arg(&cluster.data).arg("-p").arg(port.to_string());
        command.arg("-c").arg(format!("config_file={}", cluster.settings.display()));
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|e| PostgresError::Program { program: cluster.program.clone(), why: e.to_string() })?;
        let (pid, stderr) = match (child.id().and_then(|id| i32::try_from(id).ok()), child.stderr.take()) {
            (Some(id), Some(stderr)) => (Pid::from_raw(id), stderr),
            _ => return Ok(Err("it ended at once".into())),
        };
        let log = File::options()
            .create(true)
            .append(true)
            .open(&cluster.log)
            .await
            .map_err(|source| PostgresError::file("write", &cluster.log, source))?;
        let (ready_tx, ready) = oneshot::channel();
        tokio::spawn(follow(stderr, log, ready_tx));
        let postmaster = Postmaster { port, pid, exited: watch_exit(child) };
        Ok(match timeout(START_LIMIT, ready).await {
            Ok(Ok(Ok(()))) => Ok(postmaster),
            Ok(Ok(Err(words))) => Err(words),
            Ok(Err(_)) => Err("its messages ended".into()),
            Err(_) => Err(format!("not ready within {} s", START_LIMIT.as_secs())),
        })
    }

    /// Process id of the postmaster.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// False once the process has ended, for whatever reason.
    pub fn is_alive(&self) -> bool {
        !*self.exited.borrow()
    }

    /// Becomes true when the process ends.
    pub fn exited(&self) -> watch::Receiver<bool> {
        self.exited.clone()
    }

    /// Tells it to read its settings again.
    pub fn reload(&self) {
        if self.is_alive() {
            let _ = kill(self.pid, Signal::SIGHUP);
        }
    }

    /// Ends it without caring for its data, and waits until it has.
    pub async fn end_now(mut self) {
        for signal in [Signal::SIGQUIT, Signal::SIGKILL] {
            if self.is_alive() {
                let _ = kill(self.pid, signal);
                let _ = timeout(Duration::from_secs(2), self.exited.wait_for(|exited| *exited)).await;
            }
        }
    }

    /// Stops it: fast shutdown (running transactions are rolled back), then with more force.
    ///
    /// # Errors
    /// It does not end even when killed.
    pub async fn stop(mut self) -> Result<(), PostgresError> {
        for (signal, patience) in [(Signal::SIGINT, 15), (Signal::SIGQUIT, 5), (Signal::SIGKILL, 5)] {
            if !self.is_alive() {
                return Ok(());
            }
            // It may end on its own in between: an error here is then no error.
            let _ = kill(self.pid, signal);
            let ended = self.exited.wait_for(|exited| *exited);
            if timeout(Duration::from_secs(patience), ended).await.is_ok() {
                return Ok(());
            }
        }
        Err(PostgresError::Start { why: format!("process {} does not end, not even when killed", self.pid) })
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.is_alive() {
            let _ = kill(self.pid, Signal::SIGQUIT);
        }
    }
}

/// Owns the child until it has ended, so that its process id stays ours to signal.
fn watch_exit(mut child: Child) -> watch::Receiver<bool> {
    let (tx, rx) = watch::channel(false);
    tokio::spawn(async move {
        let _ = child.wait().await;
        let _ = tx.send(true);
    });
    rx
}

/// Copies the server's messages to the log; tells when it is ready, or its last words when it ends before.
async fn follow(stderr: ChildStderr, mut log: File, ready: oneshot::Sender<Result<(), String>>) {
    let mut ready = Some(ready);
    let mut last: Vec<String> = Vec::new();
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let _ = log.write_all(format!("{line}\n").as_bytes()).await;
        if line.contains(READY) {
            if let Some(ready) = ready.take() {
                let _ = ready.send(Ok(()));
            }
        } else if ready.is_some() && last.len() < 20 {
            last.push(line);
        }
    }
    let _ = log.flush().await;
    if let Some(ready) = ready.take() {
        let _ = ready.send(Err(last.join("; ")));
    }
}
