//! Streams over SPDY/3.1: a process's streams by their type, and pairs of a data and an error stream for each connection
//! to a port.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::super::runtime::{Container, PIPE};
use super::super::shell::Output;
use super::super::spdy::{self, Sender, Stream};
use super::process::{self, Ends};
use super::{Options, Wanted, forward as words};

/// How long the client may take to open its streams.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that wait for their second stream.
const HALVES: usize = 256;

/// Carries the streams of a process.
pub async fn process<T>(raw: T, container: &Arc<Container>, wanted: Wanted, options: &Options)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (opened, mut streams) = mpsc::channel(8);
    let connection = spdy::serve(raw, opened);
    let session = async {
        let Some((error, found)) = collect(&mut streams, options).await else { return };
        let ((stdout, to_stdout), (stderr, to_stderr)) = (duplex(PIPE), duplex(PIPE));
        let (to_stdout, to_stderr) = (Output::new(to_stdout), Output::new(to_stderr));
        let ends = process::start(container, wanted, options, to_stdout, to_stderr);
        run(error, found, ends, stdout, stderr).await;
        drop(streams);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a SPDY connection ended");
        },
        () = session => {}
    }
}

type Found = HashMap<&'static str, Stream>;

/// Waits until the client has opened every stream that it asked for.
async fn collect(streams: &mut mpsc::Receiver<Stream>, options: &Options) -> Option<(Sender, Found)> {
    let wanted = [
        ("error", true),
        ("stdin", options.stdin),
        ("stdout", options.stdout),
        ("stderr", options.stderr),
        ("resize", options.tty),
    ];
    let wanted: Vec<&'static str> =
        wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect();
    let mut found = Found::new();
    let all = async {
        while found.len() < wanted.len() {
            let stream = streams.recv().await?;
            let kind = stream.header("streamtype").to_owned();
            if let Some(kind) = wanted.iter().find(|wanted| **wanted == kind) {
                found.insert(kind, stream);
            }
        }
        Some(())
    };
    tokio::time::timeout(PATIENCE, all).await.ok()??;
    let error = found.remove("error")?.to;
    Some((error, found))
}

async fn run(error: Sender, mut found: Found, ends: Ends, stdout: DuplexStream, stderr: DuplexStream) {
    let Ends { stdin, status } = ends;
    let (stdin_stream, stdout_stream, stderr_stream) =
        (found.remove("stdin"), found.remove("stdout"), found.remove("stderr"));
    let input = async {
        if let (Some(stream), Some(mut to)) = (stdin_stream, stdin) {
            let mut from = stream.from;
            // The process may read less than is sent.
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = stream.to.close().await;
        }
        std::future::pending::<()>().await;
    };
    let out = async {
        if let Some(stream) = stdout_stream {
            let _ = stream.to.send_all(stdout).await;
        }
    };
    let err = async {
        if let Some(stream) = stderr_stream {
            let _ = stream.to.send_all(stderr).await;
        }
    };
    let outputs = async {
        tokio::join!(out, err);
        if let Ok(status) = status.await {
            let _ = error.send(status.to_string().as_bytes()).await;
        }
        let _ = error.close().await;
    };
    tokio::select! {
        () = input => {}
        () = outputs => {}
    }
}

/// Carries connections to ports until the client or the pod is gone.
pub async fn forward<T>(raw: T, container: &Arc<Container>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (opened, mut streams) = mpsc::channel(8);
    let connection = spdy::serve(raw, opened);
    let session = async {
        let mut halves: HashMap<String, Stream> = HashMap::new();
        let mut serving = tokio::task::JoinSet::new();
        loop {
            let stream = tokio::select! {
                stream = streams.recv() => stream,
                Some(_) = serving.join_next() => continue,
            };
            let Some(stream) = stream else { return };
            let request = stream.header("requestid").to_owned();
            match halves.remove(&request) {
                Some(other) => {
                    let is_data = stream.header("streamtype") == "data";
                    let (data, error) = if is_data { (stream, other) } else { (other, stream) };
                    serving.spawn(connect(Arc::clone(container), data, error.to));
                }
                None if halves.len() < HALVES => {
                    halves.insert(request, stream);
                }
                None => return,
            }
        }
    };
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a SPDY connection ended");
        },
        () = session => {}
        () = container.ended() => {}
    }
}

async fn connect(container: Arc<Container>, data: Stream, error: Sender) {
    let port = data.header("port").parse().unwrap_or_default();
    match container.connect(port).await {
        Ok(connection) => {
            let (read, mut write) = tokio::io::split(connection);
            let mut from = data.from;
            let up = async {
                let _ = tokio::io::copy(&mut from, &mut write).await;
                let _ = write.shutdown().await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = up => {}
                sent = data.to.send_all(read) => drop(sent),
            }
        }
        Err(_) => {
            let _ = error.send(words::refused(&container, port).as_bytes()).await;
            let _ = data.to.close().await;
        }
    }
    let _ = error.close().await;
}
