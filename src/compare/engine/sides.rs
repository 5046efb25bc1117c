//! The sessions of a comparison: one on live (a transaction for each table) and one that watches it, one or two on the
//! copy (one snapshot for all), opened again when they were cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OnceCell, watch};

use super::session::Session;
use super::{CompareError, Job};
use crate::compare::ask::session as ask;
use crate::compare::link::Connect;
use crate::compare::model::Side;

/// Both sides' sessions.
pub struct Sides {
    connect: [Arc<dyn Connect>; 2],
    received: [Arc<AtomicU64>; 2],
    stop: watch::Receiver<bool>,
    live: Option<Session>,
    restored: Option<Session>,
    /// Looks at live's load while the other one is at work there. Best effort, and opened when it is needed.
    watcher: OnceCell<Option<Session>>,
    /// The copy's second connection, in the first one's snapshot. The same.
    second: OnceCell<Option<Session>>,
    want_second: bool,
    /// Longest statement.
    longest: Duration,
}

impl Sides {
    pub fn new(job: &Job) -> Sides {
        Sides {
            connect: [Arc::clone(&job.live), Arc::clone(&job.restored)],
            received: Default::default(),
            stop: job.stop.clone(),
            live: None,
            restored: None,
            watcher: OnceCell::new(),
            second: OnceCell::new(),
            want_second: job.options.restored_connections > 1,
            longest: job.options.statement,
        }
    }

    /// Bytes received from live and from the copy.
    pub fn received(&self) -> (u64, u64) {
        let [live, restored] = &self.received;
        (live.load(Ordering::Relaxed), restored.load(Ordering::Relaxed))
    }

    /// Opens what is not open.
    pub async fn ready(&mut self) -> Result<(&Session, &Session), CompareError> {
        if self.live.as_ref().is_some_and(Session::is_closed) {
            self.live = None;
        }
        if self.restored.as_ref().is_some_and(Session::is_closed) {
            (self.restored, self.second) = (None, OnceCell::new());
        }
        if self.watcher.get().is_some_and(|w| w.as_ref().is_some_and(Session::is_closed)) {
            self.watcher = OnceCell::new();
        }
        let [to_live, to_restored] = &self.connect;
        let [from_live, from_restored] = &self.received;
        let live =
            reopen(self.live.take(), to_live.as_ref(), Side::Live, from_live, (&self.stop, self.longest));
        let restored =
            open_copy(self.restored.take(), to_restored.as_ref(), from_restored, (&self.stop, self.longest));
        let (live, restored) = tokio::join!(live, restored);
        // Keep the one that works before the other's failure is told.
        let mut failed = None;
        match live {
            Ok(session) => self.live = Some(session),
            Err(e) => failed = Some(e),
        }
        match restored {
            Ok(session) => self.restored = Some(session),
            Err(e) => failed = failed.or(Some(e)),
        }
        match (failed, &self.live, &self.restored) {
            (None, Some(live), Some(restored)) => Ok((live, restored)),
            (failed, ..) => Err(failed.unwrap_or(CompareError::Cancelled)),
        }
    }

    /// The copy's second connection in the snapshot of the first, if it can be had.
    pub async fn second(&self) -> Option<&Session> {
        let open = async {
            let first = self.restored.as_ref().filter(|_| self.want_second)?;
            let [_, to] = &self.connect;
            let [_, received] = &self.received;
            let (snapshot, second) = tokio::join!(
                first.text("its snapshot", ask::EXPORT),
                Session::open(to.as_ref(), Side::Restored, received, &self.stop, (self.longest, LASTING))
            );
            let second = second.ok()?;
            second.run("a snapshot", &ask::begin(Some(&snapshot.ok()?))).await.ok()?;
            Some(second)
        };
        self.second.get_or_init(|| open).await.as_ref().filter(|s| !s.is_closed())
    }

    /// A second connection to live that only looks at its load, if it can be had.
    pub async fn watcher(&self) -> Option<&Session> {
        let [to, _] = &self.connect;
        let [received, _] = &self.received;
        let open = Session::open(to.as_ref(), Side::Live, received, &self.stop, (self.longest, ""));
        self.watcher.get_or_init(|| async { open.await.ok() }).await.as_ref().filter(|s| !s.is_closed())
    }

    /// The sessions that are open, without opening any: live and the copy's.
    pub fn open(&self) -> Option<(&Session, &Session)> {
        Some((self.live.as_ref()?, self.restored.as_ref()?))
    }

    /// A failed statement ended the copy's transaction: begin another. A failure shows at the next question.
    pub async fn renew_copy(&mut self) {
        self.second = OnceCell::new();
        // What was asked there for a table that was given up would be waited for first.
        if let Some(restored) = &self.restored {
            restored.cancel().await;
        }
        if let Some(restored) = &self.restored
            && restored.run("a new snapshot", &ask::renew(Side::Restored)).await.is_err()
        {
            self.restored = None;
        }
    }

    /// Stops on the servers whatever still runs there.
    pub async fn cancel_all(&self) {
        let more = [&self.watcher, &self.second].into_iter().filter_map(|cell| cell.get()?.as_ref());
        let all = [&self.live, &self.restored].into_iter().flatten().chain(more);
        futures::future::join_all(all.map(Session::cancel)).await;
    }

    /// Closes all connections.
    pub fn forget_all(&mut self) {
        (self.live, self.restored) = (None, None);
        (self.watcher, self.second) = (OnceCell::new(), OnceCell::new());
    }
}

/// The copy's sessions wait within their transaction as long as live takes.
const LASTING: &str = "SET idle_in_transaction_session_timeout = 0; ";

async fn reopen(
    old: Option<Session>,
    connect: &dyn Connect,
    side: Side,
    received: &Arc<AtomicU64>,
    (stop, longest): (&watch::Receiver<bool>, Duration),
) -> Result<Session, CompareError> {
    match old {
        Some(session) => {
            // Whatever a failed table left open.
            session.end().await?;
            Ok(session)
        }
        None => Session::open(connect, side, received, stop, (longest, "")).await,
    }
}

async fn open_copy(
    old: Option<Session>,
    connect: &dyn Connect,
    received: &Arc<AtomicU64>,
    (stop, longest): (&watch::Receiver<bool>, Duration),
) -> Result<Session, CompareError> {
    if let Some(session) = old {
        return Ok(session);
    }
    let begin = format!("{LASTING}{}", ask::begin(None));
    Session::open(connect, Side::Restored, received, stop, (longest, &begin)).await
}
