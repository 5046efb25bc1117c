//! A process for exec, or the output of the main process for attach: writes where the client's carriage leads.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use super::super::runtime::{Container, PIPE};
use super::super::shell::{self, Input, Io, KILLED, Output};
use super::{Options, Wanted, runtime_id, tty};

/// The client's ends of a process's streams. Dropping them ends the process.
pub struct Ends {
    /// `None` when it has none.
    pub stdin: Option<DuplexStream>,
    /// How it ended, as a `Status`; its outputs are complete then.
    pub status: oneshot::Receiver<Value>,
}

/// Starts what the request wants, with these outputs.
pub fn start(
    container: &Arc<Container>,
    wanted: Wanted,
    options: &Options,
    stdout: Output,
    stderr: Output,
) -> Ends {
    let (stdin, process_in) = tokio::io::duplex(PIPE);
    let (tell, status) = oneshot::channel();
    let container = Arc::clone(container);
    let ends = Ends { stdin: options.stdin.then_some(stdin), status };
    let options = options.clone();
    tokio::spawn(async move {
        let mut tell = tell;
        let ended = async {
            match wanted {
                Wanted::Attach => attach(&container, stdout).await,
                _ => exec(&container, &options, process_in, stdout, stderr).await,
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
    stdout: Output,
    stderr: Output,
) -> Value {
    if let Some(why) = shell::cannot_start(container, &options.command) {
        let id = runtime_id(container.uid());
        let message = format!(
            "error executing command in container: failed to exec in container: failed to start exec {id:?}: {why}"
        );
        return internal_error(&message);
    }
    let stdin = if options.stdin { Input::new(stdin) } else { Input::default() };
    let stdout = if options.stdout || options.tty { stdout } else { Output::default() };
    let (io, showing) = if options.tty {
        let (stdin, output, showing) = tty::over(stdin, stdout);
        (Io { stdin, stdout: output.clone(), stderr: output }, Some(showing))
    } else {
        let stderr = if options.stderr { stderr } else { Output::default() };
        (Io { stdin, stdout, stderr }, None)
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
    if let Some(showing) = showing {
        // It cannot fail, and has no result.
        let _ = showing.await;
    }
    exit_status(code)
}

/// What the main process prints from now on, until it ends.
async fn attach(container: &Container, stdout: Output) -> Value {
    let mut count = container.logs.count();
    while let Some((lines, now)) = container.logs.next(count).await {
        count = now;
        for (_, line) in lines {
            if stdout.say(&format!("{line}\n")).await.is_err() {
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
