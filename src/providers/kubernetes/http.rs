//! One request to the API server: bounded in time and size, its failure sorted into a [`Fault`]. The client's own
//! convenience calls are not used: they buffer without bound, log what they cannot parse, and hide `Retry-After`.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper_util::client::legacy;
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::super::words;
use crate::domain::Fault;

/// Largest answer that is not a watch.
const BODY_MAX: usize = 16 << 20;
/// Largest error body that is read.
const ERROR_MAX: usize = 64 << 10;
/// Largest line of a watch; an object is at most 1.5 MB in etcd.
const LINE_MAX: usize = 4 << 20;
/// A line buffer that has grown beyond this is given back.
const LINE_KEEP: usize = 256 << 10;

/// A failed request.
#[derive(Debug)]
pub struct Failure {
    pub fault: Fault,
    /// HTTP status, if an answer came.
    pub status: Option<u16>,
    /// False if the request certainly never reached the server.
    pub sent: bool,
}

impl Failure {
    fn new(fault: Fault, status: Option<u16>, sent: bool) -> Failure {
        Failure { fault, status, sent }
    }

    /// 410: the version asked for is too old.
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}

/// What a request is about, for messages: `list pods in namespace tra-production`.
#[derive(Debug, Clone)]
pub struct About<'a> {
    pub what: &'a str,
    /// What to run when the credentials are refused.
    pub fix: &'a str,
}

/// Sends `request` and parses the JSON of a 2xx answer. `patience` bounds the wait for the answer's head and for each
/// part of its body.
pub async fn json<T: DeserializeOwned>(
    client: &Client,
    request: http::Request<Vec<u8>>,
    patience: Duration,
    about: &About<'_>,
) -> Result<T, Failure> {
    let body = send(client, request, patience, about).await?;
    let bytes = collect(body, BODY_MAX, patience).await?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let why = words::not_json(&format!("the answer to {}", about.what), &bytes, &e);
        Failure::new(Fault::Garbled { why }, Some(200), true)
    })
}

/// Opens a watch.
pub async fn lines(
    client: &Client,
    request: http::Request<Vec<u8>>,
    patience: Duration,
    about: &About<'_>,
) -> Result<Lines, Failure> {
    let body = send(client, request, patience, about).await?;
    Ok(Lines { body, buffer: Vec::new(), scanned: 0, start: 0 })
}

async fn send(
    client: &Client,
    request: http::Request<Vec<u8>>,
    patience: Duration,
    about: &About<'_>,
) -> Result<Body, Failure> {
    let answer = match timeout(patience, client.send(request.map(Body::from))).await {
        Err(_) => return Err(timed_out(patience)),
        Ok(Err(error)) => return Err(lost(&error)),
        Ok(Ok(answer)) => answer,
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.into_body());
    }
    let asked = words::retry_after(answer.headers(), chrono::Utc::now());
    let body = collect(answer.into_body(), ERROR_MAX, patience).await.unwrap_or_default();
    let details: Option<Status> = serde_json::from_slice(&body).ok();
    let asked = asked.or_else(|| {
        let seconds = details.as_ref()?.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| u64::from(seconds).min(600))
    });
    let message = details.map(|s| words::plain(&s.message)).unwrap_or_default();
    let fault = refusal(status.as_u16(), message, asked, about);
    Err(Failure::new(fault, Some(status.as_u16()), true))
}

/// The fault that a status speaks of.
pub fn refusal(status: u16, message: String, asked: Option<u64>, about: &About<'_>) -> Fault {
    let said = |empty: &str| if message.is_empty() { empty.to_owned() } else { message.clone() };
    match status {
        401 => Fault::AuthExpired {
            why: "the cluster refuses the credentials (401)".to_owned(),
            fix: about.fix.to_owned(),
        },
        403 => Fault::Denied { what: format!("{}: {}", about.what, said("forbidden (403)")) },
        404 => Fault::NotFound { what: format!("{}: {}", about.what, said("not found (404)")) },
        409 => Fault::Conflict { what: said("the object was changed (409)") },
        429 => Fault::Throttled { retry_after_s: asked },
        300..=399 => Fault::Garbled {
            why: format!(
                "the API server's address answers with a redirect ({status}): a proxy or sign-in page?"
            ),
        },
        _ => Fault::Server { status, why: said("no reason given") },
    }
}

fn timed_out(patience: Duration) -> Failure {
    Failure::new(Fault::TimedOut { after_s: patience.as_secs() }, None, true)
}

/// No answer came: the connection failed before or after the request went out.
fn lost(error: &kube::Error) -> Failure {
    let connecting =
        words::any_cause(error, |e| e.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect));
    Failure::new(Fault::Unreachable { why: words::cause(error) }, None, !connecting)
}

async fn collect(mut body: Body, limit: usize, patience: Duration) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        let frame = match timeout(patience, body.frame()).await {
            Err(_) => return Err(timed_out(patience)),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(error))) => return Err(lost(&error)),
            Ok(Some(Ok(frame))) => frame,
        };
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > limit {
                return Err(too_large("the answer", limit));
            }
            bytes.extend_from_slice(data);
        }
    }
}

fn too_large(what: &str, limit: usize) -> Failure {
    let why = format!("{what} is larger than {} MB", limit >> 20);
    Failure::new(Fault::Garbled { why }, Some(200), true)
}

/// The lines of a running watch.
#[derive(Debug)]
pub struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Start of the line being read.
    start: usize,
    /// No newline before this.
    scanned: usize,
}

impl Lines {
    /// True while a line has begun and not ended.
    pub fn is_mid_line(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// The next line, `None` at the end. Cancel-safe: what has arrived is kept.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            let rest = self.buffer.get(self.scanned..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|b| *b == b'\n') {
                let end = self.scanned + length;
                let line = self.buffer.get(self.start..end).unwrap_or_default().to_vec();
                self.start = end + 1;
                self.scanned = self.start;
                if line.iter().any(|b| !b.is_ascii_whitespace()) {
                    return Ok(Some(line));
                }
                continue;
            }
            self.compact();
            if self.buffer.len() > LINE_MAX {
                return Err(too_large("one event of the watch", LINE_MAX));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(lost(&error)),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }

    /// Drops what has been read and gives a grown buffer back.
    fn compact(&mut self) {
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.start = 0;
        self.scanned = self.buffer.len();
        if self.buffer.is_empty() && self.buffer.capacity() > LINE_KEEP {
            self.buffer = Vec::new();
        }
    }
}
