//! exec, attach, port-forward: requests that become streams, over WebSocket (v5 and v4 channels, and SPDY in a tunnel) or
//! SPDY/3.1. What runs and where it connects is emulated by the container runtime.

mod forward;
mod process;
mod spdy_streams;
mod tty;
mod websocket;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Query;
use base64::Engine;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::Digest;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::faults::{FaultWatch, Kind};
use super::super::serve::{Stop, stopped};
use super::json::{list, text};
use super::refusal::Refusal;
use super::runtime::{Container, Runtime, is_up};

/// The bytes under an upgraded connection.
pub type Raw = TokioIo<hyper::upgrade::Upgraded>;

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Exec,
    Attach,
    PortForward,
}

impl Wanted {
    pub fn of(subresource: &str) -> Option<Wanted> {
        match subresource {
            "exec" => Some(Wanted::Exec),
            "attach" => Some(Wanted::Attach),
            "portforward" => Some(Wanted::PortForward),
            _ => None,
        }
    }
}

/// The streams and the command that a request names.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub command: Vec<String>,
    pub ports: Vec<u16>,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
    container: String,
}

impl Options {
    fn read(request: &Request<Body>) -> Result<Options, Refusal> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
            .map_err(|error| Refusal::bad_request(format!("the query could not be read: {error}")))?;
        let mut options = Options::default();
        for (name, value) in pairs {
            let yes = matches!(value.as_str(), "true" | "1");
            match name.as_str() {
                "command" => options.command.push(value),
                "container" => options.container = value,
                "stdin" => options.stdin = yes,
                "stdout" => options.stdout = yes,
                "stderr" => options.stderr = yes,
                "tty" => options.tty = yes,
                "ports" => {
                    for port in value.split(',').filter(|port| !port.is_empty()) {
                        let bad = || Refusal::bad_request(format!("unable to parse {port:?} as a port"));
                        options.ports.push(port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?);
                    }
                }
                _ => {}
            }
        }
        // With a terminal both outputs are one.
        options.stderr &= !options.tty;
        Ok(options)
    }
}

/// What ends a session besides its own ends.
pub struct Ends {
    pub container: Arc<Container>,
    pub stop: Stop,
    pub faults: FaultWatch,
}

impl Ends {
    /// The sandbox stops, or a fault cuts connections.
    async fn cut(&mut self) {
        loop {
            if matches!(self.faults.now(), Some(Kind::Reset | Kind::Refused)) {
                return;
            }
            tokio::select! {
                () = stopped(&mut self.stop) => return,
                _ = self.faults.changed() => {}
            }
        }
    }
}

/// How the client wants its streams carried.
enum Carriage {
    /// WebSocket with this subprotocol.
    WebSocket(&'static str),
    Spdy(&'static str),
}

/// Answers a request for streams on `pod`.
pub fn answer(
    runtime: &Arc<Runtime>,
    pod: &Value,
    wanted: Wanted,
    request: Request<Body>,
    stop: Stop,
    faults: FaultWatch,
) -> Result<Response<Body>, Refusal> {
    let options = Options::read(&request)?;
    check(pod, wanted, &options)?;
    let carriage = carriage(&request, wanted)?;
    let container = up(runtime, pod, &options)?;
    let (protocol, upgrade) = match &carriage {
        Carriage::WebSocket(protocol) => ((header::SEC_WEBSOCKET_PROTOCOL, *protocol), "websocket"),
        Carriage::Spdy(protocol) => {
            ((header::HeaderName::from_static("x-stream-protocol-version"), *protocol), "SPDY/3.1")
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(upgrade));
    headers.insert(protocol.0, HeaderValue::from_static(protocol.1));
    if let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) {
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
        headers.insert(
            header::SEC_WEBSOCKET_ACCEPT,
            accept.map_err(|_| Refusal::bad_request("bad WebSocket key"))?,
        );
    }
    let ends = Ends { container, stop, faults };
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => session(TokioIo::new(upgraded), carriage, wanted, options, ends).await,
            Err(error) => tracing::debug!(%error, "a client did not finish its upgrade"),
        }
    });
    Ok(response)
}

async fn session(raw: Raw, carriage: Carriage, wanted: Wanted, options: Options, mut ends: Ends) {
    let container = Arc::clone(&ends.container);
    let streams = async {
        match (carriage, wanted) {
            (Carriage::WebSocket(TUNNEL), _) => {
                spdy_streams::forward(websocket::tunnel(raw).await, &container).await
            }
            (Carriage::WebSocket(_), Wanted::PortForward) => {
                websocket::forward(raw, &container, &options.ports).await
            }
            (Carriage::WebSocket(protocol), _) => {
                websocket::process(raw, &container, wanted, &options, protocol == V5).await;
            }
            (Carriage::Spdy(_), Wanted::PortForward) => spdy_streams::forward(raw, &container).await,
            (Carriage::Spdy(_), _) => spdy_streams::process(raw, &container, wanted, &options).await,
        }
    };
    tokio::select! {
        () = streams => {}
        () = ends.cut() => {}
    }
}

pub const V5: &str = "v5.channel.k8s.io";
const V4: &str = "v4.channel.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const PORT_FORWARD: &str = "portforward.k8s.io";

fn check(pod: &Value, wanted: Wanted, options: &Options) -> Result<(), Refusal> {
    let name = text(pod, "/metadata/name");
    if wanted != Wanted::PortForward && !(options.stdin || options.stdout || options.stderr || options.tty) {
        return Err(Refusal::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    if wanted == Wanted::Exec && options.command.is_empty() {
        return Err(Refusal::bad_request("you must specify at least one command for the container"));
    }
    let known = list(pod, "/spec/containers").iter().any(|c| text(c, "/name") == options.container);
    if !options.container.is_empty() && !known {
        return Err(Refusal::bad_request(format!(
            "container {} is not valid for pod {name}",
            options.container
        )));
    }
    if text(pod, "/spec/nodeName").is_empty() {
        return Err(Refusal::bad_request(format!("pod {name} does not have a host assigned")));
    }
    Ok(())
}

/// The pod's container, or the kubelet's words when it does not run.
fn up(runtime: &Arc<Runtime>, pod: &Value, options: &Options) -> Result<Arc<Container>, Refusal> {
    let name = match options.container.as_str() {
        "" => text(pod, "/spec/containers/0/name"),
        name => name,
    };
    let container = is_up(pod).then(|| runtime.container(pod)).flatten();
    container.ok_or_else(|| Refusal::kubelet(&format!("container not found (\"{name}\")")))
}

fn words<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn carriage(request: &Request<Body>, wanted: Wanted) -> Result<Carriage, Refusal> {
    let headers = request.headers();
    let asks = |protocol: &str| words(headers, "upgrade").any(|word| word.eq_ignore_ascii_case(protocol));
    if asks("websocket") && *request.method() == Method::GET {
        let known: &[&'static str] = if wanted == Wanted::PortForward { &[TUNNEL, V4] } else { &[V5, V4] };
        let offered: Vec<&str> = words(headers, "sec-websocket-protocol").collect();
        let chosen = known.iter().find(|known| offered.contains(*known));
        let refused = || {
            Refusal::bad_request(format!(
                "unable to negotiate protocol: client supports {offered:?}, server accepts {known:?}"
            ))
        };
        if headers.get(header::SEC_WEBSOCKET_KEY).is_none() {
            return Err(Refusal::bad_request("the WebSocket request has no key"));
        }
        return chosen.map(|protocol| Carriage::WebSocket(protocol)).ok_or_else(refused);
    }
    if asks("SPDY/3.1") {
        let known = if wanted == Wanted::PortForward { PORT_FORWARD } else { V4 };
        let offered: Vec<&str> = words(headers, "x-stream-protocol-version").collect();
        if offered.contains(&known) {
            return Ok(Carriage::Spdy(known));
        }
        return Err(Refusal::unnegotiable(&offered, known));
    }
    Err(Refusal::bad_request("Upgrade request required"))
}

/// A made-up identity of something the container runtime started.
pub fn runtime_id(seed: &str) -> String {
    let random: u64 = rand::random();
    let digest = sha2::Sha256::digest(format!("{seed} {random}"));
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest).to_lowercase().replace(['-', '_'], "0")
}
