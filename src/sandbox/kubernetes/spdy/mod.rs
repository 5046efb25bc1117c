//! A SPDY/3.1 connection, as kubectl and the kubelet speak it: streams that the client opens, with headers, each closed
//! in one direction at a time. As in their implementation there are no windows: who does not read holds the connection up.

mod frame;

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use frame::{Frame, Headers, Reader, Writer};

use super::runtime::PIPE;

/// Streams open at once on one connection.
const MOST: usize = 2_048;
/// Frames that wait to be written.
const WAITING: usize = 8;
/// Most data in one frame, in bytes.
pub const LARGEST_DATA: usize = 16 << 10;

/// A stream that the client opened.
pub struct Stream {
    headers: Headers,
    /// What the client sends; at its end when the client closes its direction.
    pub from: DuplexStream,
    pub to: Sender,
}

impl Stream {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// The server's direction of a stream.
#[derive(Clone)]
pub struct Sender {
    id: u32,
    frames: mpsc::Sender<Frame>,
}

impl Sender {
    /// Sends all of `data`; an error when the connection is gone.
    pub async fn send(&self, data: &[u8]) -> io::Result<()> {
        for part in data.chunks(LARGEST_DATA) {
            self.frame(Frame::Data { id: self.id, fin: false, data: part.to_vec() }).await?;
        }
        Ok(())
    }

    /// Closes this direction.
    pub async fn close(&self) -> io::Result<()> {
        self.frame(Frame::Data { id: self.id, fin: true, data: Vec::new() }).await
    }

    /// Sends everything that `from` gives, then closes this direction.
    pub async fn send_all(&self, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = vec![0; LARGEST_DATA];
        loop {
            let read = from.read(&mut buffer).await.unwrap_or_default();
            match buffer.get(..read) {
                Some(part) if !part.is_empty() => self.send(part).await?,
                _ => return self.close().await,
            }
        }
    }

    async fn frame(&self, frame: Frame) -> io::Result<()> {
        self.frames.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Serves a connection: `streams` gets what the client opens. Returns when the client is gone, breaks the protocol, or
/// nobody wants streams any more and all that was to be sent is sent.
pub async fn serve<T>(connection: T, streams: mpsc::Sender<Stream>) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (read, write) = tokio::io::split(connection);
    let (frames, waiting) = mpsc::channel(WAITING);
    let done = streams.clone();
    let reading = async {
        tokio::select! {
            ended = read_frames(read, frames, streams) => ended,
            () = done.closed() => Ok(()),
        }
    };
    let writing = write_frames(write, waiting);
    // The writer ends when every sender of frames is gone, or when the client reads no more.
    let (mut reading, mut writing) = (std::pin::pin!(reading), std::pin::pin!(writing));
    tokio::select! {
        ended = &mut reading => {
            ended?;
            writing.await
        }
        ended = &mut writing => ended,
    }
}

async fn write_frames(mut to: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Frame>) -> io::Result<()> {
    let mut writer = Writer::new();
    while let Some(frame) = frames.recv().await {
        to.write_all(&writer.encode(&frame)?).await?;
        if frames.is_empty() {
            to.flush().await?;
        }
    }
    to.shutdown().await
}

async fn read_frames(
    from: impl AsyncRead + Unpin,
    frames: mpsc::Sender<Frame>,
    streams: mpsc::Sender<Stream>,
) -> io::Result<()> {
    let mut reader = Reader::new(from);
    let mut open: HashMap<u32, DuplexStream> = HashMap::new();
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    while let Some(frame) = reader.next().await? {
        match frame {
            Frame::Open { id, fin, headers } => {
                if open.len() >= MOST {
                    frames.send(Frame::Reset { id, status: 3 }).await.map_err(gone)?;
                    continue;
                }
                let (to, from) = tokio::io::duplex(PIPE);
                if !fin {
                    open.insert(id, to);
                }
                frames.send(Frame::Accept { id }).await.map_err(gone)?;
                let sender = Sender { id, frames: frames.clone() };
                if streams.send(Stream { headers, from, to: sender }).await.is_err() {
                    return Ok(());
                }
            }
            Frame::Data { id, fin, data } => {
                if let Some(to) = open.get_mut(&id)
                    && to.write_all(&data).await.is_err()
                {
                    // Nobody reads this stream any more.
                    open.remove(&id);
                }
                if fin {
                    open.remove(&id);
                }
            }
            Frame::Reset { id, .. } => {
                open.remove(&id);
            }
            Frame::Ping { id } => frames.send(Frame::Ping { id }).await.map_err(gone)?,
            Frame::GoAway { .. } => return Ok(()),
            Frame::Accept { .. } | Frame::Other => {}
        }
    }
    Ok(())
}
