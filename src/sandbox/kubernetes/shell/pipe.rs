//! The three streams of an emulated process.

use std::io;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

use super::parse::Redirect;

/// Longest line that is read from a standard input, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// An input that processes may share; without one it is at its end.
#[derive(Clone, Default)]
pub struct Input(Option<Arc<Mutex<Box<dyn AsyncRead + Send + Unpin>>>>);

impl Input {
    pub fn new(from: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Input(Some(Arc::new(Mutex::new(Box::new(from)))))
    }

    /// Reads what is there; 0 at the end.
    pub async fn read(&self, to: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Some(from) => from.lock().await.read(to).await,
            None => Ok(0),
        }
    }

    /// The next line without its end; `None` at the end of the input.
    pub async fn line(&self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0_u8];
            let read = self.read(&mut byte).await.unwrap_or_default();
            match byte {
                _ if read == 0 && line.is_empty() => return None,
                [b'\n'] => break,
                _ if read == 0 || line.len() >= LONGEST_LINE => break,
                [byte] => line.push(byte),
            }
        }
        Some(String::from_utf8_lossy(&line).into_owned())
    }
}

/// Where an output leads. What is written has left when the write is done: a slow reader slows the process.
pub trait Sink: Send + Sync {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>>;

    /// Tells the reader that nothing more comes.
    fn close(&self) -> BoxFuture<'_, ()>;
}

impl<W: AsyncWrite + Send + Unpin> Sink for Mutex<W> {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        async move { self.lock().await.write_all(bytes).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        // A reader that is gone needs no end.
        async move { drop(self.lock().await.shutdown().await) }.boxed()
    }
}

/// An output that processes may share; without one everything is thrown away.
#[derive(Clone, Default)]
pub struct Output(Option<Arc<dyn Sink>>);

impl Output {
    pub fn new(to: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Output::to(Mutex::new(to))
    }

    pub fn to(sink: impl Sink + 'static) -> Self {
        Output(Some(Arc::new(sink)))
    }

    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.0 {
            Some(to) if !bytes.is_empty() => to.write(bytes).await,
            _ => Ok(()),
        }
    }

    pub async fn say(&self, text: &str) -> io::Result<()> {
        self.write(text.as_bytes()).await
    }

    /// Tells the reader that nothing more comes.
    pub async fn close(&self) {
        if let Some(to) = &self.0 {
            to.close().await;
        }
    }
}

#[derive(Clone, Default)]
pub struct Io {
    pub stdin: Input,
    pub stdout: Output,
    pub stderr: Output,
}

impl Io {
    /// The same streams, with some of them led elsewhere.
    pub fn redirected(&self, redirects: &[Redirect]) -> Io {
        let mut io = self.clone();
        for redirect in redirects {
            match redirect {
                Redirect::Nowhere(1) => io.stdout = Output::default(),
                Redirect::Nowhere(_) => io.stderr = Output::default(),
                Redirect::ErrorsToOutput => io.stderr = io.stdout.clone(),
                Redirect::OutputToErrors => io.stdout = io.stderr.clone(),
                Redirect::InputFromNowhere => io.stdin = Input::default(),
            }
        }
        io
    }
}
