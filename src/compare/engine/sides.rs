//! The sessions of a comparison: one on live (a transaction for each table), one or two on the copy (one snapshot for
//! all), opened again when they were cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

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
    /// The copy's second connection, in the first one's snapshot. Best effort.
    second: Option<Session>,
    want_second: bool,
}

impl Sides {
    pub fn new(job: &Job) -> Sides {
        Sides {
            connect: [Arc::clone(&job.live), Arc::clone(&job.restored)],
            received: Default::default(),
            stop: job.stop.clone(),
            live: None,
            restored: None,
            second: None,
            want_second: job.options.restored_connections > 1,
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
            (self.restored, self.second) = (None, None);
        }
        let [to_live, to_restored] = &self.connect;
        let [from_live, from_restored] = &self.received;
        let live = reopen(self.live.take(), to_live.as_ref(), Side::Live, from_live, &self.stop);
        let restored = open_copy(self.restored.take(), to_restored.as_ref(), from_restored, &self.stop);
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
    pub async fn second(&mut self) -> Option<&Session> {
        if self.second.as_ref().is_none_or(Session::is_closed) && self.want_second {
            self.second = None;
            let snapshot = self.restored.as_ref()?.text("its snapshot", ask::EXPORT).await.ok()?;
            let [_, to_restored] = &self.connect;
            let [_, from_restored] = &self.received;
            let second =
                Session::open(to_restored.as_ref(), Side::Restored, from_restored, &self.stop).await.ok()?;
            second.run("a snapshot", &ask::begin(Some(&snapshot))).await.ok()?;
            self.second = Some(second);
        }
        self.second.as_ref()
    }

    /// The sessions that are open, without opening any: live, the copy's, its second.
    pub fn open(&self) -> Option<(&Session, &Session, Option<&Session>)> {
        Some((self.live.as_ref()?, self.restored.as_ref()?, self.second.as_ref()))
    }

    /// A failed statement ended the copy's transaction: begin another. A failure shows at the next question.
    pub async fn renew_copy(&mut self) {
        self.second = None;
        if let Some(restored) = &self.restored
            && restored.run("a new snapshot", &ask::renew(Side::Restored)).await.is_err()
        {
            self.restored = None;
        }
    }

    /// Stops on the servers whatever still runs there.
    pub async fn cancel_all(&self) {
        let all = [&self.live, &self.restored, &self.second].into_iter().flatten();
        futures::future::join_all(all.map(Session::cancel)).await;
    }

    /// Closes all connections.
    pub fn forget_all(&mut self) {
        (self.live, self.restored, self.second) = (None, None, None);
    }
}

async fn reopen(
    old: Option<Session>,
    connect: &dyn Connect,
    side: Side,
    received: &Arc<AtomicU64>,
    stop: &watch::Receiver<bool>,
) -> Result<Session, CompareError> {
    match old {
        Some(session) => {
            // Whatever a failed table left open.
            session.run("the end of a transaction", ask::END).await?;
            Ok(session)
        }
        None => Session::open(connect, side, received, stop).await,
    }
}

async fn open_copy(
    old: Option<Session>,
    connect: &dyn Connect,
    received: &Arc<AtomicU64>,
    stop: &watch::Receiver<bool>,
) -> Result<Session, CompareError> {
    if let Some(session) = old {
        return Ok(session);
    }
    let session = Session::open(connect, Side::Restored, received, stop).await?;
    let sql = format!("SET idle_in_transaction_session_timeout = 0; {}", ask::begin(None));
    session.run("a snapshot", &sql).await?;
    Ok(session)
}
