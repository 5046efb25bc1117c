//! How bytes get to a database: a socket of this machine, or a tunnel's stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::super::words;
use super::url::Host;

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Any stream. A type of its own: the compiler forgets that a bare `Box<dyn Stream>` is `'static` where it has to know
/// whether a future may move between threads.
pub struct BoxStream(Box<dyn Stream>);

impl BoxStream {
    pub fn new(stream: impl Stream + 'static) -> BoxStream {
        BoxStream(Box::new(stream))
    }
}

impl fmt::Debug for BoxStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxStream")
    }
}

impl AsyncRead for BoxStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for BoxStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Why no byte got to a server. A tunnel that learns this late returns it inside an [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialError {
    /// The name leads nowhere, seen from `whence`.
    #[error("{host} is not known to {whence}")]
    UnknownHost { host: String, whence: String },
    #[error("{host} refuses connections")]
    Refused { host: String },
    #[error("{host} did not answer within {after_s} s")]
    TimedOut { host: String, after_s: u64 },
    /// The pod's image has no `nc`.
    #[error("{pod} has no nc, which the connection needs: use a pod of its own (-x)")]
    NoNc { pod: String },
    /// A right is missing; `what` names it.
    #[error("not allowed: {what}")]
    Denied { what: String },
    /// What the bytes should travel through is not there: in words, with what to do.
    #[error("{why}")]
    NoWay { why: String },
}

/// Opens streams to servers.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Opens a stream to `host`. May succeed before the far end has answered.
    fn dial<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<BoxStream, DialError>>;

    /// While the answer lives, whoever keeps the way keeps no connection of its own to the server.
    fn make_room(&self) -> Option<Room> {
        None
    }
}

/// Room made for somebody's connections: until it is dropped.
#[derive(Debug)]
pub struct Room(watch::Sender<u32>);

impl Room {
    /// One more wants room here.
    pub fn at(wanted: &watch::Sender<u32>) -> Room {
        wanted.send_modify(|n| *n += 1);
        Room(wanted.clone())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

/// Sockets of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Direct;

impl Dial for Direct {
    fn dial<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<BoxStream, DialError>> {
        async move {
            let name = host.to_string();
            let addresses = tokio::net::lookup_host((host.name.as_str(), host.port)).await.map_err(|_| {
                DialError::UnknownHost { host: host.name.clone(), whence: "this machine".to_owned() }
            })?;
            let mut last = None;
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        let _ = stream.set_nodelay(true);
                        return Ok(BoxStream::new(stream));
                    }
                    Err(error) => last = Some(error),
                }
            }
            Err(match last {
                Some(e) if e.kind() == io::ErrorKind::ConnectionRefused => DialError::Refused { host: name },
                Some(e) => DialError::NoWay { why: format!("cannot reach {name}: {}", words::cause(&e)) },
                None => DialError::UnknownHost { host: name, whence: "this machine".to_owned() },
            })
        }
        .boxed()
    }
}
