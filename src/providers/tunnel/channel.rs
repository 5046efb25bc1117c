//! One stream to a server through a pod: the channels of `exec` or `port-forward` over WebSocket, as bytes both ways.
//! Nothing is queued: a slow reader slows the far end, a slow far end slows the writer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use kube::client::Connection;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::super::postgres::{DialError, Host};
use super::super::words;
use super::life::Life;
use super::place::{How, Place};
use super::report::Report;
use crate::domain::text;

/// Most data in one message.
const PART: usize = 32 << 10;
/// Most bytes that are read at once.
const READ: usize = 64 << 10;
/// What a program in the pod says about itself is kept up to here.
const NOTE_MAX: usize = 2 << 10;

const STDIN: u8 = 0;
const CLOSE: u8 = 255;

/// What an API server's connection is after its upgrade.
type Wire = TokioIo<hyper::upgrade::Upgraded>;

/// Bytes both ways through a pod.
pub struct Channel<S = Wire> {
    socket: WebSocketStream<S>,
    place: Arc<Place>,
    host: Host,
    report: Arc<Report>,
    /// The far end can be told that no more comes.
    half_close: bool,
    /// Something was written and may still wait in the socket's buffer.
    unflushed: bool,
    /// Received and not yet read.
    pending: Bytes,
    /// Something has come from the server.
    spoke: bool,
    /// What `nc` or the kubelet complained about.
    note: Vec<u8>,
    status: Option<Value>,
    /// No more follows what is pending.
    over: bool,
    ended: bool,
    finished: bool,
    life: Life,
    /// Channels of a port-forward that have not said their port yet.
    unnamed: u8,
    lost: BoxFuture<'static, ()>,
}

impl<S> std::fmt::Debug for Channel<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Channel({} through {})", self.host, self.place.pod)
    }
}

impl Channel {
    /// Over a connection of which nothing has been read.
    pub async fn new(connection: Connection, place: Arc<Place>, host: Host, report: Arc<Report>) -> Channel {
        let half_close = connection.supports_stream_close() && matches!(place.how, How::Exec);
        // The library's buffer is cleared for each read: a larger one costs more than it saves.
        let config = WebSocketConfig::default().read_buffer_size(READ);
        let raw = connection.into_stream().into_inner();
        let socket = WebSocketStream::from_raw_socket(raw, Role::Client, Some(config)).await;
        Channel::over(socket, half_close, place, host, report)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    fn over(
        socket: WebSocketStream<S>,
        half_close: bool,
        place: Arc<Place>,
        host: Host,
        report: Arc<Report>,
    ) -> Channel<S> {
        let mut lost = place.lost.subscribe();
        let lost = async move {
            // The place outlives its streams.
            let _ = lost.wait_for(|lost| *lost).await;
        };
        Channel {
            socket,
            place,
            host,
            report,
            half_close,
            unflushed: false,
            pending: Bytes::new(),
            spoke: false,
            note: Vec::new(),
            status: None,
            over: false,
            ended: false,
            finished: false,
            life: Life::new(),
            unnamed: 2,
            lost: lost.boxed(),
        }
    }

    /// Takes a message; `Break` when no more follows.
    fn take(&mut self, message: Message) -> bool {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return false,
            _ => return true,
        };
        let Some(channel) = bytes.first().copied() else { return true };
        let data = bytes.slice(1..);
        let forward = matches!(self.place.how, How::Forward { .. });
        match (forward, channel) {
            // A port-forward's channels begin with the number of their port.
            (true, 0 | 1) if self.unnamed > 0 && data.len() == 2 => self.unnamed -= 1,
            (false, 1) | (true, 0) => self.pending = data,
            (false, 2) | (true, 1) => {
                let room = NOTE_MAX.saturating_sub(self.note.len());
                self.note.extend(data.iter().take(room));
            }
            (false, 3) => {
                self.status = serde_json::from_slice(&data).ok();
                return false;
            }
            _ => {}
        }
        self.spoke |= !self.pending.is_empty();
        true
    }

    /// The end of the stream: a clean one, or why not.
    fn end(&mut self) -> io::Result<()> {
        self.ended = true;
        let note = words::plain(&String::from_utf8_lossy(&self.note));
        let good = self.status.as_ref().is_some_and(|s| s.get("status").is_some_and(|s| s == "Success"));
        if good || (matches!(self.place.how, How::Forward { .. }) && note.is_empty()) {
            return Ok(());
        }
        let error = self.why(&note);
        self.report.failed(&error);
        Err(io::Error::new(io::ErrorKind::ConnectionReset, error))
    }

    fn why(&self, note: &str) -> DialError {
        let said = self.status.as_ref().and_then(|s| s.get("message")).and_then(Value::as_str);
        let said = text::clean(said.unwrap_or_default());
        let pod = &self.place.pod;
        if self.spoke {
            let how = [note, &said].into_iter().find(|text| !text.is_empty()).unwrap_or("it was cut off");
            let why = words::plain(&format!("the connection through {pod} is lost: {how}"));
            return DialError::NoWay { why };
        }
        explain(pod, &self.host, note, &said)
    }

    fn check_place(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.lost.poll_unpin(cx).is_ready() {
            return Err(self.cut(io::ErrorKind::ConnectionReset, "the pod is gone"));
        }
        Ok(())
    }

    /// To be asked when all that has come is read.
    fn check_life(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.life.poll_beat(cx).is_ready() {
            let over = self.life.is_over();
            match self.socket.poll_ready_unpin(cx) {
                // The far end takes nothing more for now (a server that waits for a lock, a slow line): it cannot be
                // asked, and its silence says nothing. TCP tells a dead one.
                Poll::Pending => self.life.held_back(),
                Poll::Ready(_) if over => return Err(self.cut(io::ErrorKind::TimedOut, "no sign of life")),
                Poll::Ready(Ok(())) if self.socket.start_send_unpin(Message::Ping(Bytes::new())).is_ok() => {
                    let _ = self.socket.poll_flush_unpin(cx);
                }
                Poll::Ready(_) => {}
            }
        }
        Ok(())
    }

    fn cut(&mut self, kind: io::ErrorKind, why: &str) -> io::Error {
        self.ended = true;
        let error =
            DialError::NoWay { why: format!("the connection through {} is lost: {why}", self.place.pod) };
        self.report.failed(&error);
        io::Error::new(kind, error)
    }
}

/// Why nothing came from a server, from what `nc` said and how the exec ended.
fn explain(pod: &str, host: &Host, note: &str, said: &str) -> DialError {
    let name = host.name.clone();
    let has = |words: &[&str]| words.iter().any(|w| note.contains(w) || said.contains(w));
    let whence = || format!("the cluster (pod {pod})");
    if has(&[
        "executable file not found",
        "not found\"",
        "nc: not found",
        "exit status 127",
        "exit status 126",
    ]) {
        return DialError::NoNc { pod: pod.to_owned() };
    }
    if has(&["bad address", "getaddrinfo", "not known", "not resolve", "unknown host"]) {
        return DialError::UnknownHost { host: name, whence: whence() };
    }
    if has(&["onnection refused"]) {
        return DialError::Refused { host: name };
    }
    if has(&["timed out", "nreachable", "No route"]) {
        return DialError::NoWay { why: format!("{host} cannot be reached from pod {pod}: {note}") };
    }
    let how = [note, said].into_iter().find(|text| !text.is_empty()).unwrap_or("it was cut off");
    DialError::NoWay { why: words::plain(&format!("no connection to {host} through {pod}: {how}")) }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Channel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.pending.is_empty() && !this.over && !this.ended {
            this.check_place(cx)?;
            // Whoever waits for an answer means what they wrote to be sent, also where they did not say so.
            if this.unflushed && this.socket.poll_flush_unpin(cx).map_err(broken)?.is_ready() {
                this.unflushed = false;
            }
        }
        // All that has come is passed on at once: busy servers send many small messages.
        loop {
            if !this.pending.is_empty() {
                let part = this.pending.split_to(this.pending.len().min(buffer.remaining()));
                buffer.put_slice(&part);
            }
            let some = buffer.filled().len() > before;
            if this.ended || buffer.remaining() == 0 || (some && this.over) {
                return Poll::Ready(Ok(()));
            }
            if this.over {
                return Poll::Ready(this.end());
            }
            match this.socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    this.life.heard();
                    this.over = !this.take(message);
                }
                Poll::Ready(Some(Err(_)) | None) => this.over = true,
                Poll::Pending if some => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    this.check_life(cx)?;
                    return Poll::Pending;
                }
            }
        }
    }
}

fn broken(error: tokio_tungstenite::tungstenite::Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Channel<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.socket.poll_ready_unpin(cx)).map_err(broken)?;
        let part = bytes.get(..bytes.len().min(PART)).unwrap_or(bytes);
        let mut message = Vec::with_capacity(part.len() + 1);
        message.push(STDIN);
        message.extend_from_slice(part);
        self.socket.start_send_unpin(Message::Binary(message.into())).map_err(broken)?;
        let written = part.len();
        self.unflushed = true;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush_unpin(cx).map_err(broken)
    }

    /// Tells the far end that no more comes, where the protocol can; what it still sends is read on.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished && self.half_close && !self.ended {
            ready!(self.socket.poll_ready_unpin(cx)).map_err(broken)?;
            self.socket
                .start_send_unpin(Message::Binary(Bytes::from_static(&[CLOSE, STDIN])))
                .map_err(broken)?;
        }
        self.finished = true;
        self.socket.poll_flush_unpin(cx).map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    #[test]
    fn what_nc_says_is_told_apart() {
        let host = Host { name: "db.example".into(), port: 5432 };
        let why = |note: &str, said: &str| explain("web-1", &host, note, said);
        assert!(matches!(
            why("nc: bad address 'db.example'", "exit status 1"),
            DialError::UnknownHost { .. }
        ));
        let glibc = "nc: getaddrinfo for host \"db.example\" port 5432: Name or service not known";
        assert!(matches!(why(glibc, "exit status 1"), DialError::UnknownHost { .. }));
        assert!(matches!(
            why("nc: db.example (10.0.0.1:5432): Connection refused", "exit status 1"),
            DialError::Refused { .. }
        ));
        let missing = "failed to start exec: exec: \"nc\": executable file not found in $PATH: unknown";
        assert!(matches!(why("", missing), DialError::NoNc { .. }));
        assert!(why("nc: oops", "exit status 1").to_string().contains("oops"));
        assert!(why("", "").to_string().contains("cut off"));
    }

    /// A stream to a far end in this process, and that far end.
    async fn pair() -> (Channel<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = tokio::io::duplex(64 << 10);
        let near = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        let far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        let place = Arc::new(Place::new("ns", "web-1", None, How::Exec));
        let host = Host { name: "db.example".into(), port: 5432 };
        (Channel::over(near, true, place, host, Arc::default()), far)
    }

    const STOP: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_reader_that_stops_for_a_minute_gets_every_byte_when_it_reads_on() {
        let (mut near, mut far) = pair().await;
        let server = tokio::spawn(async move {
            for n in 0..64_u8 {
                let mut part = vec![n; 16 << 10];
                part[0] = 1;
                far.send(Message::Binary(part.into())).await.unwrap();
            }
            let success = [&[3], &br#"{"status":"Success"}"#[..]].concat();
            far.send(Message::Binary(success.into())).await.unwrap();
        });
        let mut got = vec![0; 10];
        near.read_exact(&mut got).await.unwrap();
        // What is on its way fills the pipe; nobody reads it.
        near.life.pass(STOP);
        near.read_to_end(&mut got).await.unwrap();
        let want: Vec<u8> = (0..64_u8).flat_map(|n| vec![n; (16 << 10) - 1]).collect();
        assert!(got == want, "{} of {} bytes", got.len(), want.len());
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_far_end_that_takes_nothing_for_minutes_is_waited_for() {
        let (mut near, mut far) = pair().await;
        let part = vec![7; PART];
        // A server that waits for a lock reads nothing: the writer is held back.
        while futures::poll!(std::pin::pin!(near.write(&part))).is_ready() {}
        let mut got = [0; 5];
        for _ in 0..9 {
            near.life.pass(Duration::from_secs(20));
            assert!(futures::poll!(std::pin::pin!(near.read(&mut got))).is_pending());
        }
        let goes_on = async {
            far.next().await.unwrap().unwrap();
            far.send(Message::Binary(Bytes::from_static(b"\x01alive"))).await.unwrap();
        };
        near.life.pass(Duration::from_secs(20));
        let (read, ()) = tokio::join!(near.read_exact(&mut got), goes_on);
        read.unwrap();
        assert_eq!(&got, b"alive");
    }

    #[tokio::test]
    async fn one_that_stopped_in_silence_asks_before_it_takes_the_far_end_for_dead() {
        let (mut near, mut far) = pair().await;
        near.life.pass(STOP);
        let (mut got, answer) = ([0; 5], Message::Binary(Bytes::from_static(b"\x01alive")));
        let answers = async {
            let asked = far.next().await;
            assert!(matches!(asked, Some(Ok(Message::Ping(_)))), "{asked:?}");
            far.send(answer).await.unwrap();
        };
        let (read, ()) = tokio::join!(near.read_exact(&mut got), answers);
        read.unwrap();
        assert_eq!(&got, b"alive");
        // Nobody answers any more: three seconds of silence, heard by somebody who listens, are the end.
        let mut byte = [0];
        for stop in [Duration::ZERO, STOP] {
            near.life.pass(stop);
            assert!(futures::poll!(std::pin::pin!(near.read(&mut byte))).is_pending());
        }
        near.life.pass(Duration::from_secs(3));
        let error = near.read(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(error.to_string().contains("no sign of life"), "{error}");
    }
}
