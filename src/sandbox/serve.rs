//! Serves one simulator on loopback: own accept loop (HTTP/1.1, TLS or plain, upgrades), so that faults act where real
//! ones do: at the listener, on the connection, on the request and in the middle of an answer.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use futures::{Stream, StreamExt};
use http::{Request, Response};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::faults::{FaultWatch, Faults, Kind, Provider};

pub mod spoil;

/// Turns true, or its sender goes away, when the sandbox stops.
pub type Stop = watch::Receiver<bool>;

/// Connections served at once per simulator; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 512;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What is written to a connection at once leaves in one piece up to here, in bytes.
const TLS_BUFFER: usize = 256 << 10;

/// Why a simulator could not be served.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("cannot listen on {on} for the sandbox's {provider}: {source}")]
    Listen { provider: &'static str, on: SocketAddr, source: io::Error },
}

/// A served simulator. It ends with `stop`; dropping this value does not end it.
#[derive(Debug)]
pub struct Served {
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// Returns when the accept loop has ended and every connection is closed.
    pub async fn ended(self) {
        let _ = self.task.await;
    }
}

/// Waits until `stop` says so.
pub async fn stopped(stop: &mut Stop) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Serves `app` on `listener` (or on a free port of 127.0.0.1) until `stop`. `faults` of `provider` act on it.
pub async fn serve(
    listener: Option<TcpListener>,
    app: Router,
    tls: Option<Arc<ServerConfig>>,
    provider: Provider,
    faults: Faults,
    stop: Stop,
) -> Result<Served, ServeError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let fail = |on| move |source| ServeError::Listen { provider: provider.name(), on, source };
    let listener = match listener {
        Some(listener) => listener,
        None => TcpListener::bind(any).await.map_err(fail(any))?,
    };
    let addr = listener.local_addr().map_err(fail(any))?;
    let shared = Shared { app, tls: tls.map(TlsAcceptor::from), provider, faults, stop };
    let task = tokio::spawn(accept_loop(listener, addr, shared));
    Ok(Served { addr, task })
}

#[derive(Clone)]
struct Shared {
    app: Router,
    tls: Option<TlsAcceptor>,
    provider: Provider,
    faults: Faults,
    stop: Stop,
}

async fn accept_loop(listener: TcpListener, addr: SocketAddr, shared: Shared) {
    let mut listener = Some(listener);
    let mut fault = shared.faults.follow(shared.provider);
    let mut stop = shared.stop.clone();
    let mut connections = JoinSet::new();
    loop {
        if fault.now() == Some(Kind::Refused) {
            // A socket that is bound but does not listen refuses connections, and the kernel gives its port to nobody
            // who asks for any free one.
            drop(listener.take());
            let held = hold(addr).await;
            while fault.now() == Some(Kind::Refused) {
                tokio::select! {
                    () = stopped(&mut stop) => return,
                    _ = fault.changed() => {}
                }
            }
            listener = reopen(addr, held).await;
            continue;
        }
        let Some(open) = &listener else { return };
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = fault.changed() => {}
            Some(_) = connections.join_next() => {}
            accepted = open.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => { connections.spawn(connection(stream, shared.clone())); }
                Err(error) => {
                    tracing::warn!(%error, provider = shared.provider.name(), "cannot accept a connection");
                    // Out of descriptors, most likely: wait for a connection to end, or a moment.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Binds `addr` without listening.
async fn hold(addr: SocketAddr) -> Option<TcpSocket> {
    for attempt in 0..50_u64 {
        if let Ok(socket) = TcpSocket::new_v4()
            && socket.set_reuseaddr(true).is_ok()
            && socket.bind(addr).is_ok()
        {
            return Some(socket);
        }
        tokio::time::sleep(Duration::from_millis(attempt)).await;
    }
    tracing::warn!(%addr, "cannot hold the port while it refuses connections");
    None
}

/// Listens on `addr` again, on the held socket if there is one.
async fn reopen(addr: SocketAddr, held: Option<TcpSocket>) -> Option<TcpListener> {
    if let Some(listener) = held.and_then(|socket| socket.listen(1024).ok()) {
        return Some(listener);
    }
    for attempt in 0..200_u64 {
        match TcpListener::bind(addr).await {
            Ok(listener) => return Some(listener),
            Err(error) => tracing::warn!(%addr, %error, "cannot listen again after a fault"),
        }
        tokio::time::sleep(Duration::from_millis(attempt)).await;
    }
    None
}

async fn connection(stream: TcpStream, shared: Shared) {
    // Watch events are small and must leave at once.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: Arc::clone(&reset) };
    let mut fault = shared.faults.follow(shared.provider);
    let mut stop = shared.stop.clone();
    if fault.now() == Some(Kind::Reset) {
        reset.store(true, Ordering::Relaxed);
        return;
    }
    let mut served = std::pin::pin!(handshake_and_http(socket, shared));
    loop {
        tokio::select! {
            () = &mut served => return,
            () = stopped(&mut stop) => return,
            kind = fault.changed() => match kind {
                Some(Kind::Reset) => {
                    reset.store(true, Ordering::Relaxed);
                    return;
                }
                Some(Kind::Refused) => return,
                _ => {}
            }
        }
    }
}

async fn handshake_and_http(socket: Socket, shared: Shared) {
    match shared.tls.clone() {
        None => http(socket, shared).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE, secured(&tls, socket)).await {
            Ok(Ok(stream)) => http(stream, shared).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
}

/// The handshake.
fn secured(tls: &TlsAcceptor, socket: Socket) -> tokio_rustls::Accept<Socket> {
    tls.accept_with(socket, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)))
}

async fn http<S>(stream: S, shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(request, shared).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended");
    }
}

/// The app's answer, or the fault's.
async fn answer(request: Request<Incoming>, shared: Shared) -> Response<Body> {
    let Shared { app, provider, faults, .. } = shared;
    let mut fault = faults.follow(provider);
    while let Some((kind, left)) = faults.remaining(provider) {
        match kind {
            Kind::HostileNames => break,
            // The connection's own task ends it in a moment.
            Kind::Refused | Kind::Reset | Kind::Stall => {
                fault.changed().await;
            }
            kind => return spoil::response(provider, kind, left, &request),
        }
    }
    let response = match app.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::from_stream(spoiled(body, provider, fault)))
}

/// A long answer (a watch) under faults: silent in a stall, ended by the others.
fn spoiled(
    body: Body,
    provider: Provider,
    fault: FaultWatch,
) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    let state = (Some(body.into_data_stream()), fault);
    futures::stream::unfold(state, move |(data, mut fault)| async move {
        let mut data = data?;
        loop {
            match fault.now() {
                None | Some(Kind::HostileNames) => {}
                Some(Kind::Stall | Kind::Refused | Kind::Reset) => {
                    fault.changed().await;
                    continue;
                }
                Some(kind) => {
                    let last = spoil::last_words(provider, kind)?;
                    return Some((Ok(last), (None, fault)));
                }
            }
            tokio::select! {
                biased;
                _ = fault.changed() => {}
                next = data.next() => return next.map(|item| (item, (Some(data), fault))),
            }
        }
    })
}

/// A TCP stream that closes with an RST when asked to.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
