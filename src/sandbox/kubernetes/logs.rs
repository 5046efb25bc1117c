//! What containers print: what their emulated process says, or the lines of a web service.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::{HeaderValue, Response, header};
use hyper::body::Bytes;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::watch;

use super::json::text;
use super::refusal::Refusal;
use super::route::Options;

/// Lines kept of a container.
const MOST: usize = 2_000;
/// Longest line kept, in bytes.
const LONGEST: u64 = 16 << 10;
/// A web service writes a line so often.
const EVERY: i64 = 5;
/// Lines of a web service that are told of its past.
const PAST: i64 = 200;

/// A line and when it was written.
pub type Line = (DateTime<Utc>, String);

/// The output of one container.
#[derive(Debug)]
pub struct Logs {
    /// When a service began that writes emulated lines; `None` for what runs an emulated process.
    service: Option<DateTime<Utc>>,
    lines: Mutex<VecDeque<Line>>,
    /// Lines written so far, and whether more can come.
    written: watch::Sender<(u64, bool)>,
}

impl Logs {
    pub fn of(pod: &Value, command: bool) -> Self {
        let began = text(pod, "/status/containerStatuses/0/state/running/startedAt");
        let began = DateTime::parse_from_rfc3339(began).map_or_else(|_| Utc::now(), |at| at.to_utc());
        Logs {
            service: (!command).then_some(began),
            lines: Mutex::default(),
            written: watch::Sender::new((0, true)),
        }
    }

    pub fn add(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back((Utc::now(), line.to_owned()));
        if lines.len() > MOST {
            lines.pop_front();
        }
        drop(lines);
        self.written.send_modify(|(count, _)| *count += 1);
    }

    /// Nothing more comes.
    pub fn finish(&self) {
        self.written.send_modify(|(_, open)| *open = false);
    }

    /// Adds every line of an output until its end.
    pub async fn collect(self: Arc<Self>, from: impl AsyncRead + Unpin) {
        let mut from = BufReader::new(from);
        loop {
            let mut line = Vec::new();
            match (&mut from).take(LONGEST).read_until(b'\n', &mut line).await {
                Ok(1..) => self.add(String::from_utf8_lossy(&line).trim_end_matches('\n')),
                _ => return,
            }
        }
    }

    /// Lines after the first `skip` ever written.
    fn after(&self, skip: u64) -> (Vec<Line>, u64) {
        if let Some(began) = self.service {
            return emulated(began, skip, Utc::now());
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.written.borrow().0;
        let fresh = usize::try_from(count.saturating_sub(skip)).unwrap_or(usize::MAX);
        (lines.iter().skip(lines.len().saturating_sub(fresh)).cloned().collect(), count)
    }

    /// The lines after the first `skip`, as soon as there are any; `None` when no more can come. Cancel-safe.
    pub async fn next(&self, skip: u64) -> Option<(Vec<Line>, u64)> {
        let mut written = self.written.subscribe();
        loop {
            let open = written.borrow_and_update().1;
            let (lines, count) = self.after(skip);
            if !lines.is_empty() || count > skip {
                return Some((lines, count));
            }
            if !open {
                return None;
            }
            tokio::select! {
                changed = written.changed() => changed.ok()?,
                () = tokio::time::sleep(Duration::from_secs(1)), if self.service.is_some() => {}
            }
        }
    }

    /// How many lines have been written.
    pub fn count(&self) -> u64 {
        self.after(u64::MAX).1
    }
}

/// Lines of a web service that began at `began`, after the first `skip`.
fn emulated(began: DateTime<Utc>, skip: u64, now: DateTime<Utc>) -> (Vec<Line>, u64) {
    const START: [&str; 4] = [
        "=> Booting Puma",
        "Puma starting in cluster mode...",
        "* Listening on http://0.0.0.0:8080",
        "- Worker 0 (PID: 17) booted in 0.02s, phase: 0",
    ];
    let first = i64::try_from(START.len()).unwrap_or(i64::MAX);
    let total = first + (now - began).num_seconds().max(0) / EVERY;
    let from = i64::try_from(skip).unwrap_or(i64::MAX).max(total - PAST);
    let line = |n: i64| match usize::try_from(n).ok().and_then(|n| START.get(n)) {
        Some(line) => (began, (*line).to_owned()),
        None => {
            let at = began + TimeDelta::seconds((n - first + 1) * EVERY);
            let path = ["/healthcheck", "/referrals", "/start", "/healthcheck/all"];
            let path = path.get(usize::try_from(n % 4).unwrap_or_default()).copied().unwrap_or("/");
            let time = at.to_rfc3339_opts(SecondsFormat::Millis, true);
            (
                at,
                format!(
                    "{time} INFO Rails -- method=GET path={path} status=200 duration={}.{}",
                    4 + n % 9,
                    n % 10
                ),
            )
        }
    };
    ((from..total).map(line).collect(), u64::try_from(total).unwrap_or_default())
}

/// How a client wants them.
struct Wish {
    tail: Option<usize>,
    since: Option<DateTime<Utc>>,
    timestamps: bool,
    limit: usize,
}

impl Wish {
    fn read(options: &Options) -> Result<Wish, Refusal> {
        let number = |name: &str| options.number(name);
        let seconds = number("sinceSeconds")?.and_then(|seconds| i64::try_from(seconds).ok());
        let time = DateTime::parse_from_rfc3339(options.get("sinceTime")).ok().map(|at| at.to_utc());
        Ok(Wish {
            tail: number("tailLines")?.and_then(|n| usize::try_from(n).ok()),
            since: seconds
                .and_then(|seconds| Utc::now().checked_sub_signed(TimeDelta::seconds(seconds)))
                .or(time),
            timestamps: options.is("timestamps"),
            limit: number("limitBytes")?.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
        })
    }

    fn write(&self, lines: &[Line]) -> Vec<u8> {
        let mut text = String::new();
        for (at, line) in lines.iter().filter(|(at, _)| self.since.is_none_or(|since| *at >= since)) {
            if self.timestamps {
                text.push_str(&at.to_rfc3339_opts(SecondsFormat::Nanos, true));
                text.push(' ');
            }
            text.push_str(line);
            text.push('\n');
        }
        let mut text = text.into_bytes();
        text.truncate(self.limit);
        text
    }
}

/// Answers a request for logs.
pub fn answer(logs: Arc<Logs>, options: &Options) -> Result<Response<Body>, Refusal> {
    let wish = Wish::read(options)?;
    let (mut lines, count) = logs.after(0);
    if let Some(tail) = wish.tail {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let first = Bytes::from(wish.write(&lines));
    let body = if options.is("follow") {
        let state = (Some(first), count, logs, wish);
        Body::from_stream(futures::stream::unfold(state, |(first, count, logs, wish)| async move {
            if let Some(first) = first {
                return Some((Ok::<_, std::convert::Infallible>(first), (None, count, logs, wish)));
            }
            let (lines, count) = logs.next(count).await?;
            let text = Bytes::from(wish.write(&lines));
            Some((Ok(text), (None, count, logs, wish)))
        }))
    } else {
        Body::from(first)
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn lines_are_kept_and_followed() {
        let logs = Arc::new(Logs::of(&json!({}), true));
        Arc::clone(&logs).collect(&b"one\ntwo\n"[..]).await;
        let (lines, count) = logs.after(0);
        assert_eq!(lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(count, 2);
        logs.add("three");
        assert_eq!(logs.next(2).await.unwrap().0[0].1, "three");
        logs.finish();
        assert!(logs.next(3).await.is_none());
        for n in 0..=MOST {
            logs.add(&n.to_string());
        }
        assert_eq!(logs.after(0).0.len(), MOST);
    }

    #[test]
    fn a_service_writes_steadily() {
        let began = Utc::now();
        let (lines, count) = emulated(began, 0, began + TimeDelta::seconds(12));
        assert_eq!((lines.len(), count), (6, 6));
        assert!(lines[4].1.contains("status=200"));
        let (lines, _) = emulated(began, 5, began + TimeDelta::seconds(12));
        assert_eq!(lines.len(), 1);
        assert_eq!(emulated(began, 0, began + TimeDelta::days(3)).0.len(), 200);
    }
}
