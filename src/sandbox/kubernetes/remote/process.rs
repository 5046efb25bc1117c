//! A process for exec, or the output of the main process for attach, with the ends of its streams.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;

use super::super::runtime::{Container, PIPE};
use super::super::shell::{self, Input, Io, KILLED, Output};
use super::{Options, Wanted, runtime_id, tty};

/// The client's ends of a process's streams. Dropping them ends the process.
pub struct Ends {
    /// `None` when it has none.
    pub stdin: Option<DuplexStream>,
    pub stdout: DuplexStream,
    pub stderr: DuplexStream,
    /// How it ended, as a `Status`.
    pub status: oneshot::Receiver<Value>,
}

/// Starts what the request wants.
pub fn start(container: &Arc<Container>, wanted: Wanted, options: &Options) -> Ends {
    let (stdin, process_in) = tokio::io::duplex(PIPE);
    let (stdout, process_out) = tokio::io::duplex(PIPE);
    let (stderr, process_err) = tokio::io::duplex(PIPE);
    let (tell, status) = oneshot::channel();
    let container = Arc::clone(container);
    let ends = Ends { stdin: options.stdin.then_some(stdin), stdout, stderr, status };
    let options = options.clone();
    tokio::spawn(async move {
        let mut tell = tell;
        let ended = async {
            match wanted {
                Wanted::Attach => attach(&container, process_out).await,
                _ => exec(&container, &options, process_in, process_out, process_err).await,
            }
        };
        tokio::select! {
            ended = ended => drop(tell.send(ended)),
            // The client has dropped its ends.
            () = tell.closed() => {}
        }
    });
    ends
}

async fn exec(
    container: &Arc<Container>,
    options: &Options,
    stdin: DuplexStream,
    stdout: DuplexStream,
    stderr: DuplexStream,
) -> Value {
    if let Some(why) = shell::cannot_start(container, &options.command) {
        let id = runtime_id(container.uid());
        let message = format!(
            "error executing command in container: failed to exec in container: failed to start exec {id:?}: {why}"
        );
        return internal_error(&message);
    }
    let stdin = if options.stdin { Input::new(stdin) } else { Input::default() };
    let stdout = if options.stdout || options.tty { Output::new(stdout) } else { Output::default() };
    let io = if options.tty {
        let (stdin, output) = tty::over(stdin, stdout);
        Io { stdin, stdout: output.clone(), stderr: output }
    } else {
        let stderr = if options.stderr { Output::new(stderr) } else { Output::default() };
        Io { stdin, stdout, stderr }
    };
    let outputs = [io.stdout.clone(), io.stderr.clone()];
    let mut process = container.process(options.tty);
    let code = tokio::select! {
        biased;
        () = container.ended() => KILLED,
        code = shell::run(&mut process, &options.command, io) => code,
    };
    for output in outputs {
        output.close().await;
    }
    exit_status(code)
}

/// What the main process prints from now on, until it ends.
async fn attach(container: &Container, mut stdout: DuplexStream) -> Value {
    let mut count = container.logs.count();
    while let Some((lines, now)) = container.logs.next(count).await {
        count = now;
        for (_, line) in lines {
            if stdout.write_all(format!("{line}\n").as_bytes()).await.is_err() {
                return exit_status(0);
            }
        }
    }
    exit_status(0)
}

/// The `Status` of a process that ended with `code`.
fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn internal_error(message: &str) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {message}"),
        "details": {"causes": [{"message": message}]},
    })
}
