//! One connection, set up to read only. Every question goes through here: it is counted, it can be cancelled on the
//! server, and its failure is told apart (cut, refused, not understood).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use tokio::sync::watch;
use tokio_postgres::Row;

use super::CompareError;
use crate::compare::ask::session as ask;
use crate::compare::link::{Connect, Later, Link};
use crate::compare::model::Side;
use crate::domain::text;

/// SQLSTATE of a statement that was cancelled, by somebody or by its time limit.
pub const STOPPED: &str = "57014";
/// Takes what a cancel needs to come through the server's processes, and is stopped by one that comes late.
const ABSORB: &str = "SELECT pg_sleep(1)";
/// How long a connection may take to open before the try counts as failed.
const OPENING: Duration = Duration::from_secs(30);

/// A connection to one side.
pub struct Session {
    pub side: Side,
    link: Link,
    received: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
    /// A transaction is open.
    within: AtomicBool,
    /// A statement that runs longer is stopped by the server.
    longest: Duration,
}

impl Session {
    /// Connects and sets the session up, with `more` statements. `received` counts what comes in.
    pub async fn open(
        connector: &dyn Connect,
        side: Side,
        received: &Arc<AtomicU64>,
        stop: &watch::Receiver<bool>,
        (longest, more): (Duration, &str),
    ) -> Result<Session, CompareError> {
        let mut waiting = stop.clone();
        let opened = tokio::select! {
            opened = tokio::time::timeout(OPENING, connector.connect()) => opened,
            () = stopped(&mut waiting) => return Err(CompareError::Cancelled),
        };
        let link = match opened {
            Ok(Ok(link)) => link,
            Ok(Err(e)) if e.again => {
                return Err(CompareError::Cut { side, what: "a connection", why: e.why });
            }
            Ok(Err(e)) => return Err(CompareError::Connect { side, why: e.why }),
            Err(_) => {
                let why = format!("no connection within {} s", OPENING.as_secs());
                return Err(CompareError::Cut { side, what: "a connection", why });
            }
        };
        let (received, stop) = (Arc::clone(received), stop.clone());
        let session = Session { side, link, received, stop, within: AtomicBool::new(false), longest };
        let settings = ask::settings(side, longest) + more;
        session.run("the session's settings", &settings).await?;
        Ok(session)
    }

    /// Begins a transaction that sees one moment, unless there is one.
    pub async fn begin(&self) -> Result<(), CompareError> {
        if self.within.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.run("a transaction", &ask::begin(None)).await
    }

    /// Ends the transaction that [`Session::begin`] began, if there is one.
    pub async fn end(&self) -> Result<(), CompareError> {
        if !self.within.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.run("the end of a transaction", ask::END).await
    }

    /// A transaction is open.
    pub fn is_within(&self) -> bool {
        self.within.load(Ordering::Relaxed)
    }

    pub fn is_closed(&self) -> bool {
        self.link.client.is_closed()
    }

    /// Runs statements that answer nothing.
    pub fn run<'a>(&'a self, what: &'static str, sql: &'a str) -> Later<'a, Result<(), CompareError>> {
        let work = async move {
            let began = Instant::now();
            self.link.client.batch_execute(sql).await.map_err(|e| self.trouble(what, began, &e))
        };
        self.guarded(Box::pin(work))
    }

    /// Asks and keeps all rows: for answers that are bounded.
    pub async fn rows(&self, what: &'static str, sql: &str) -> Result<Vec<Row>, CompareError> {
        let mut all = Vec::new();
        self.each(what, sql, |row| {
            all.push(row);
            Some(())
        })
        .await?;
        Ok(all)
    }

    /// Asks and hands each row over as it comes; `None` from `take` says that it cannot be understood.
    pub fn each<'a>(
        &'a self,
        what: &'static str,
        sql: &'a str,
        take: impl FnMut(Row) -> Option<()> + Send + 'a,
    ) -> Later<'a, Result<(), CompareError>> {
        self.each_row(what, sql, Box::new(take))
    }

    /// Every question is one boxed future of one type: everything above is built of these, and the compiler need not look
    /// into them again wherever they are waited for.
    fn each_row<'a>(
        &'a self,
        what: &'static str,
        sql: &'a str,
        mut take: Box<dyn FnMut(Row) -> Option<()> + Send + 'a>,
    ) -> Later<'a, Result<(), CompareError>> {
        let work = async move {
            let began = Instant::now();
            let trouble = |e| self.trouble(what, began, &e);
            let rows = self
                .link
                .client
                .query_typed_raw(sql, std::iter::empty::<(i32, tokio_postgres::types::Type)>())
                .await
                .map_err(trouble)?;
            let mut rows = std::pin::pin!(rows);
            while let Some(row) = rows.try_next().await.map_err(trouble)? {
                // A row's header on the wire is 7 bytes.
                self.received.fetch_add(row.raw_size_bytes() as u64 + 7, Ordering::Relaxed);
                take(row).ok_or_else(|| self.garbled(what, "unexpected columns"))?;
            }
            Ok(())
        };
        self.guarded(Box::pin(work))
    }

    /// The one text that a question answers.
    pub async fn text(&self, what: &'static str, sql: &str) -> Result<String, CompareError> {
        let rows = self.rows(what, sql).await?;
        let text = rows.first().and_then(|row| row.try_get::<_, String>(0).ok());
        text.ok_or_else(|| self.garbled(what, "no text"))
    }

    /// The one number that a question answers.
    pub async fn number(&self, what: &'static str, sql: &str) -> Result<u64, CompareError> {
        let rows = self.rows(what, sql).await?;
        let number = rows.first().and_then(|row| row.try_get::<_, i64>(0).ok());
        number.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| self.garbled(what, "no number"))
    }

    /// Does `work` unless we are told to stop; then stops it on the server.
    fn guarded<'a>(
        &'a self,
        work: Later<'a, Result<(), CompareError>>,
    ) -> Later<'a, Result<(), CompareError>> {
        let mut stop = self.stop.clone();
        Box::pin(async move {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => {
                    self.link.cancel.cancel().await;
                    Err(CompareError::Cancelled)
                }
                done = work => done,
            }
        })
    }

    /// Stops what runs on this connection, on the server.
    pub async fn cancel(&self) {
        self.link.cancel.cancel().await;
    }

    /// After a cancel that a statement did not notice, because it was done: waits for it, so that it does not hit the next
    /// one. True if it came; then the transaction is lost.
    pub async fn absorb(&self) -> Result<bool, CompareError> {
        match self.run("a cancel that comes late", ABSORB).await {
            Err(CompareError::Refused { code, .. }) if code == STOPPED => Ok(true),
            other => other.map(|()| false),
        }
    }

    pub fn garbled(&self, what: &'static str, why: &str) -> CompareError {
        CompareError::Garbled { side: self.side, what, why: why.to_owned() }
    }

    fn trouble(&self, what: &'static str, began: Instant, error: &tokio_postgres::Error) -> CompareError {
        let side = self.side;
        let Some(db) = error.as_db_error() else {
            let why = text::fit(&text::redact(&text::clean(&causes(error))), 300);
            // Without a word from the server, only a conversion of ours is not the connection's fault.
            return if self.is_closed() || error.is_closed() || std::error::Error::source(error).is_some() {
                CompareError::Cut { side, what, why }
            } else {
                CompareError::Garbled { side, what, why }
            };
        };
        let why = text::fit(&text::redact(&text::clean(db.message())), 300);
        let code = db.code().code().to_owned();
        // Its words are in the server's language: a cancel by the time limit is known by the time.
        if code == STOPPED && began.elapsed() >= self.longest {
            return CompareError::TooLong { side, what, seconds: self.longest.as_secs() };
        }
        // 57P0x: the server shuts down; 08: the connection; 40001 on a standby: replay got in the way.
        if code.starts_with("57P") || code.starts_with("08") || code == "40001" || code == "25P03" {
            CompareError::Cut { side, what, why }
        } else {
            CompareError::Refused { side, what, why, code }
        }
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        out.push_str(": ");
        out.push_str(&cause.to_string());
        next = cause.source();
    }
    out
}

/// Ends when we are told to stop; never if nobody can tell any more.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
