//! What a tunnel counts and remembers for whoever looks at it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::postgres::DialError;
use crate::domain::Traffic;

/// Counters of one tunnel, shared by its connections.
#[derive(Debug, Default)]
pub struct Report {
    sent: AtomicU64,
    received: AtomicU64,
    open: AtomicU32,
    total: AtomicU64,
    failed: Mutex<Option<DialError>>,
}

impl Report {
    pub fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        }
    }

    /// Remembers why a connection failed.
    pub fn failed(&self, error: &DialError) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }

    /// The last failure, once.
    pub fn take_failure(&self) -> Option<DialError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A stream whose bytes are counted, as one connection more while it lives.
#[derive(Debug)]
pub struct Counted<S> {
    stream: S,
    report: Arc<Report>,
}

impl<S> Counted<S> {
    pub fn new(stream: S, report: Arc<Report>) -> Counted<S> {
        report.open.fetch_add(1, Ordering::Relaxed);
        report.total.fetch_add(1, Ordering::Relaxed);
        Counted { stream, report }
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.report.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let more = buffer.filled().len() - before;
        self.report.received.fetch_add(more as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let more = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.report.sent.fetch_add(more as u64, Ordering::Relaxed);
        Poll::Ready(Ok(more))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
