//! The program in the terminal: started, fed, outlived. Signals that a person or the system sends reach it, and the
//! tunnel is cleared away afterwards whatever happened.

use std::io;
use std::io::IsTerminal;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use color_eyre::eyre::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::input::{Broken, Fed};
use super::options::{Plan, Program};
use super::{NO_TUNNEL, TIME_UP, input, say};
use crate::domain::{Tool, TunnelState};
use crate::providers::tunnel::Open;
use crate::providers::tunnel::client::Run;

/// A statement typed at a read-only prompt ends after five minutes: nobody forgets a lock on live.
const STATEMENT_MS: u32 = 300_000;
/// A program that was told to end gets this long.
const LEAVING: Duration = Duration::from_secs(5);

/// A file that is being read gets this long to say how it went, when nobody reads it any more.
const LAST_WORD: Duration = Duration::from_millis(200);

/// The signals that end us.
#[derive(Debug)]
pub struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hang_up: Stream,
}

impl Signals {
    /// Listens from now on: none of them ends the process by itself any more.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hang_up.recv() => Signal::SIGHUP,
        }
    }

    /// Waits for one; the exit code that tells of it.
    pub async fn ended(&mut self) -> u8 {
        128 + u8::try_from(self.next().await as i32).unwrap_or(0)
    }
}

/// Runs the program to its end; its exit code.
pub async fn run(plan: &Plan, program: &Program, open: &Open, signals: &mut Signals, quiet: bool) -> u8 {
    let typed_at = io::stdin().is_terminal() && plan.input.is_none();
    let told = program.args.iter().any(|arg| is_batch(arg));
    let interactive = program.tool == Tool::Psql && typed_at && !told;
    let args = input::arguments(&program.args, plan.input.is_some());
    let guarded = interactive && !plan.write;
    let command = open.client().command(&Run {
        tool: program.tool,
        args: &args,
        read_only: guarded,
        statement_timeout_ms: if guarded { STATEMENT_MS } else { 0 },
        interactive,
        colour: std::env::var_os("NO_COLOR").is_none(),
    });
    let mut command = match command {
        Ok(command) => Command::from(command),
        Err(fault) => {
            say(false, &format!("drtui: {fault}"));
            return NO_TUNNEL;
        }
    };
    command.env_remove(super::URL_VARIABLE);
    if plan.input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = match command.kill_on_drop(true).spawn() {
        Ok(child) => child,
        Err(error) => return no_program(program.tool, &error),
    };
    let mut feeding = plan.input.as_deref().zip(child.stdin.take()).map(|(file, to)| {
        let to = to.into_owned_fd().map(std::fs::File::from);
        let bar = !quiet && io::stderr().is_terminal();
        input::feed(file.to_owned(), plan.compressed, to, bar)
    });
    let ended = tokio::select! {
        code = wait(&mut child, open, plan.limit, signals) => Ok(code),
        broken = broken(&mut feeding) => Err(broken),
    };
    let (code, fed) = match ended {
        Ok(code) => (code, last_word(feeding).await),
        Err(broken) => {
            // Before its input ends: else it would run the half of a statement.
            let _ = child.kill().await;
            (NO_TUNNEL, Err(broken))
        }
    };
    if let Some(error) = open.take_failure().filter(|_| code != 0) {
        say(false, &format!("drtui: {error}"));
    }
    let Err(broken) = fed else { return code };
    tell_broken(plan, program.tool, &broken);
    if code == 0 { NO_TUNNEL } else { code }
}

fn tell_broken(plan: &Plan, tool: Tool, broken: &Broken) {
    let (file, tool) = (plan.input.as_deref().unwrap_or(Path::new("")).display(), tool.word());
    let words = format!(
        "drtui: {file} could not be read to its end: {}. {tool} was ended there: what it had done until then stays, \
         unless it was one transaction (-1)",
        broken.error
    );
    say(false, &words);
}

/// Comes back when the input broke off, and never if it did not.
async fn broken(feeding: &mut Option<Fed>) -> Broken {
    if let Some(fed) = feeding {
        let fed = fed.await;
        *feeding = None;
        if let Ok(Err(broken)) = fed {
            return broken;
        }
    }
    std::future::pending().await
}

/// What is known of the input when the program has ended: it may still wait for somebody who writes to a pipe.
async fn last_word(feeding: Option<Fed>) -> Result<(), Broken> {
    let Some(fed) = feeding else { return Ok(()) };
    match timeout(LAST_WORD, fed).await {
        Ok(Ok(fed)) => fed,
        _ => Ok(()),
    }
}

/// True for an option that tells psql what to run: `-c`, `--file=…`, also in a cluster like `-Atc`.
fn is_batch(arg: &str) -> bool {
    if let Some(long) = arg.strip_prefix("--") {
        return ["command", "file", "list"].iter().any(|word| long.starts_with(word));
    }
    // What follows one that takes a value is that value.
    let options = arg.strip_prefix('-').unwrap_or_default().chars();
    options.take_while(|c| !"dFhLoPpRTUv".contains(*c)).any(|c| "cfl".contains(c))
}

fn no_program(tool: Tool, error: &io::Error) -> u8 {
    let name = tool.word();
    if error.kind() == io::ErrorKind::NotFound {
        let package = if tool == Tool::RedisCli { "redis-tools" } else { "postgresql-client" };
        say(false, &format!("drtui: {name} is not installed: apt-get install {package}, or brew install it"));
        return 127;
    }
    say(false, &format!("drtui: {name} cannot be started: {error}"));
    126
}

async fn wait(child: &mut Child, open: &Open, limit: Duration, signals: &mut Signals) -> u8 {
    let mut news = open.watch();
    let mut up = std::pin::pin!(sleep(limit));
    loop {
        tokio::select! {
            ended = child.wait() => return ended.map_or(NO_TUNNEL, code),
            // Ctrl-C reaches the program by the terminal itself: to psql it means "cancel the query".
            signal = signals.next() => match signal {
                Signal::SIGINT if io::stdin().is_terminal() => {}
                other => tell(child, other),
            },
            () = &mut up => {
                say(false, &format!("drtui: time is up after {} s (-t)", limit.as_secs()));
                return end(child).await;
            }
            closed = news.wait_for(|now| !now.state.is_alive()) => {
                if let Ok(now) = closed
                    && let TunnelState::Closed { why } | TunnelState::Failed { why, .. } = &now.state
                {
                    say(false, &format!("drtui: the tunnel is closed: {why}"));
                }
                return end(child).await;
            }
        }
    }
}

async fn end(child: &mut Child) -> u8 {
    tell(child, Signal::SIGTERM);
    if timeout(LEAVING, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    TIME_UP
}

fn tell(child: &Child, signal: Signal) {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended just now.
        let _ = kill(Pid::from_raw(id), signal);
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(1)
}

/// Becomes konduit.sh, with the options that it knows.
///
/// # Errors
/// Never; that it cannot be started is said.
pub fn konduit(program: &Path, plan: &Plan) -> Result<ExitCode> {
    let args = &plan.args;
    if args.url.is_some() {
        say(
            false,
            "drtui: konduit.sh takes a URL on its command line only, where every user of this machine reads the \
             password: go without --konduit, or run konduit.sh yourself",
        );
        return Ok(ExitCode::from(NO_TUNNEL));
    }
    let mut words: Vec<String> = Vec::new();
    for (flag, value) in [
        ("-n", args.namespace.clone()),
        ("-s", args.server.clone()),
        ("-b", args.database.clone()),
        ("-p", args.postgres_var.clone()),
        ("-r", args.redis_var.clone()),
        ("-t", args.timeout.map(|t| t.to_string())),
        ("-i", args.input.as_ref().map(|i| i.display().to_string())),
        ("-k", args.key_vault.clone()),
        ("-d", args.vault_name.clone()),
    ] {
        words.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    for (flag, on) in
        [("-x", args.separate_pod), ("-c", args.compressed), ("-a", args.in_cluster), ("-q", args.quiet)]
    {
        words.extend(on.then(|| flag.to_owned()));
    }
    words.extend(args.app.clone());
    words.push("--".to_owned());
    words.extend(args.program.iter().cloned());
    say(
        args.quiet,
        "drtui: konduit.sh takes over: the password will be in the process list, and TLS is not verified",
    );
    let error = std::process::Command::new(std::path::absolute(program).unwrap_or(program.to_owned()))
        .args(words)
        .exec();
    say(false, &format!("drtui: {} cannot be started: {error}", program.display()));
    Ok(ExitCode::from(126))
}

#[cfg(test)]
mod tests {
    use super::is_batch;

    #[test]
    fn what_tells_psql_what_to_run_is_seen_in_a_cluster_too() {
        for batch in ["-c", "-cselect 1", "-Atc", "-qc", "-Xf", "-l", "--command=x", "--file", "--list"] {
            assert!(is_batch(batch), "{batch}");
        }
        for typed in ["-q", "-At", "-Ucarol", "-dfoo", "-vcolour=1", "-Pformat=csv", "--csv", "select"] {
            assert!(!is_batch(typed), "{typed}");
        }
    }
}
