//! Streams over WebSocket: channels, each message beginning with the number of its channel; and a tunnel of plain bytes.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::SplitSink;
use futures::{FutureExt, SinkExt, Stream, StreamExt};
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::super::runtime::{Container, PIPE};
use super::super::shell::{Output, Sink};
use super::process::{self, Ends};
use super::{Options, Raw, Wanted, forward};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
/// In version 5: closes the channel whose number follows.
const CLOSE: u8 = 255;
/// Most data in one message, in bytes.
const LARGEST_DATA: usize = 64 << 10;
/// Largest message that is taken, in bytes.
const LARGEST_MESSAGE: usize = 16 << 20;

type Failure = tokio_tungstenite::tungstenite::Error;

async fn accept(raw: Raw) -> WebSocketStream<Raw> {
    let config = WebSocketConfig::default()
        .read_buffer_size(64 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    WebSocketStream::from_raw_socket(raw, Role::Server, Some(config)).await
}

/// The close of a session that went well.
fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

fn message(channel: u8, data: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(1 + data.len());
    bytes.push(channel);
    bytes.extend_from_slice(data);
    Message::Binary(Bytes::from(bytes))
}

/// Carries the streams of a process. `v5` clients can close its input.
pub async fn process(raw: Raw, container: &Arc<Container>, wanted: Wanted, options: &Options, v5: bool) {
    let (sink, stream) = accept(raw).await.split();
    let out: Out = Arc::new(tokio::sync::Mutex::new(sink));
    // An empty message tells the client that the streams are there.
    if send(&out, STDOUT, &[]).await.is_err() {
        return;
    }
    let output = |channel| Output::to(Channel { out: Arc::clone(&out), channel });
    let Ends { stdin, status } = process::start(container, wanted, options, output(STDOUT), output(STDERR));
    let sending = async {
        if let Ok(status) = status.await {
            send(&out, ERROR, status.to_string().as_bytes()).await?;
        }
        out.lock().await.send(goodbye()).await
    };
    let mut reading = pin!(input(stream, stdin, v5));
    tokio::select! {
        sent = sending => if sent.is_ok() {
            // The client answers the close, or goes away.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(2), reading).await;
        },
        () = &mut reading => {}
    }
}

/// One output of a process, sent by whoever writes: a task in between would be woken for every part.
struct Channel {
    out: Out,
    channel: u8,
}

impl Sink for Channel {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        async move {
            for part in bytes.chunks(LARGEST_DATA) {
                send(&self.out, self.channel, part).await.map_err(io::Error::other)?;
            }
            Ok(())
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        // The status ends all channels.
        async {}.boxed()
    }
}

/// Passes on what the client sends until it goes away.
async fn input(
    mut stream: impl Stream<Item = Result<Message, Failure>> + Unpin,
    mut stdin: Option<DuplexStream>,
    v5: bool,
) {
    while let Some(Ok(received)) = stream.next().await {
        let bytes = match &received {
            Message::Binary(bytes) => bytes.as_ref(),
            Message::Text(text) => text.as_bytes(),
            Message::Close(_) => return,
            _ => continue,
        };
        match bytes.split_first() {
            Some((&STDIN, data)) => {
                if let Some(to) = &mut stdin
                    && to.write_all(data).await.is_err()
                {
                    // The process reads no more.
                    stdin = None;
                }
            }
            Some((&CLOSE, [STDIN])) if v5 => stdin = None,
            // Sizes of the terminal, and channels that are the server's.
            _ => {}
        }
    }
}

type Out = Arc<tokio::sync::Mutex<SplitSink<WebSocketStream<Raw>, Message>>>;

async fn send(out: &Out, channel: u8, bytes: &[u8]) -> Result<(), Failure> {
    out.lock().await.send(message(channel, bytes)).await
}

/// Carries connections to ports: for the n-th port, channel 2n has its data and 2n+1 its errors.
pub async fn forward(raw: Raw, container: &Arc<Container>, ports: &[u16]) {
    let (sink, mut stream) = accept(raw).await.split();
    let out: Out = Arc::new(tokio::sync::Mutex::new(sink));
    let mut inputs = Vec::new();
    let mut serving = tokio::task::JoinSet::new();
    for (n, port) in ports.iter().enumerate() {
        let Ok(data) = u8::try_from(2 * n) else { return };
        for channel in [data, data + 1] {
            if send(&out, channel, &port.to_le_bytes()).await.is_err() {
                return;
            }
        }
        let (to, from) = tokio::io::duplex(PIPE);
        inputs.push(Some(to));
        serving.spawn(serve_port(Arc::clone(container), *port, from, Arc::clone(&out), data));
    }
    let reading = async {
        while let Some(Ok(received)) = stream.next().await {
            let Message::Binary(bytes) = received else {
                if received.is_close() {
                    return;
                }
                continue;
            };
            let Some((channel, data)) = bytes.split_first() else { continue };
            // Odd channels are the server's.
            let place = inputs.get_mut(usize::from(channel / 2)).filter(|_| channel % 2 == 0);
            if let Some(place) = place
                && let Some(to) = place
                && to.write_all(data).await.is_err()
            {
                *place = None;
            }
        }
    };
    let serving = async { while serving.join_next().await.is_some() {} };
    tokio::select! {
        () = reading => {}
        () = serving => {
            let _ = out.lock().await.send(goodbye()).await;
        }
    }
}

/// Connects to one port and carries its bytes until one side ends.
async fn serve_port(container: Arc<Container>, port: u16, mut from: DuplexStream, out: Out, data: u8) {
    let Ok(connection) = container.connect(port).await else {
        let _ = send(&out, data + 1, forward::refused(&container, port).as_bytes()).await;
        return;
    };
    let (mut read, mut write) = tokio::io::split(connection);
    let up = async {
        let _ = tokio::io::copy(&mut from, &mut write).await;
        let _ = write.shutdown().await;
        std::future::pending::<()>().await;
    };
    let down = async {
        let mut buffer = vec![0; LARGEST_DATA];
        loop {
            let read = read.read(&mut buffer).await.unwrap_or_default();
            match buffer.get(..read) {
                Some(part) if !part.is_empty() && send(&out, data, part).await.is_ok() => {}
                _ => return,
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
        () = container.ended() => {
            let _ = send(&out, data + 1, forward::lost(&container).as_bytes()).await;
        }
    }
}

/// A connection whose bytes travel in binary messages.
pub async fn tunnel(raw: Raw) -> DuplexStream {
    let (near, far) = tokio::io::duplex(PIPE);
    let (mut sink, mut stream) = accept(raw).await.split();
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(far);
        let up = async {
            while let Some(Ok(received)) = stream.next().await {
                match received {
                    Message::Binary(bytes) if write.write_all(&bytes).await.is_err() => return,
                    Message::Close(_) => break,
                    _ => {}
                }
            }
            let _ = write.shutdown().await;
        };
        let down = async {
            let mut buffer = vec![0; LARGEST_DATA];
            loop {
                let read = read.read(&mut buffer).await.unwrap_or_default();
                let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
                if sink.send(Message::Binary(Bytes::copy_from_slice(part))).await.is_err() {
                    return;
                }
            }
            let _ = sink.send(goodbye()).await;
        };
        let (mut up, mut down) = (pin!(up), pin!(down));
        tokio::select! {
            () = &mut down => {}
            // The client sends no more; what is on its way to it still goes out.
            () = &mut up => down.await,
        }
    });
    near
}
