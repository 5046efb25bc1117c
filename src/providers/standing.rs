//! How a polled source stands: says so to the sink when it changes, and waits for the next try.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::beat::Beat;
use crate::domain::feed::Sink;
use crate::domain::{Fault, Phase, Source, Utc, backoff};

/// The standing of one polled source.
pub struct Standing {
    source: Source,
    sink: Sink,
    every: Duration,
    beat: Beat,
    failures: u32,
    said: Option<(Phase, Option<Utc>)>,
    skip: watch::Receiver<u64>,
}

impl Standing {
    pub fn new(
        source: Source,
        sink: Sink,
        every: Duration,
        beat: Beat,
        skip: watch::Receiver<u64>,
    ) -> Standing {
        Standing { source, sink, every, beat, failures: 0, said: None, skip }
    }

    /// The source answered. Waits until it is to be asked again.
    pub async fn well(&mut self) {
        self.failures = 0;
        let every_s = u32::try_from(self.every.as_secs()).unwrap_or(u32::MAX);
        self.say(Phase::Polling { every_s }, None);
        self.wait(self.beat.next(self.every, Instant::now())).await;
    }

    /// The source failed. Waits until the next try, which comes no later than it would have come anyway.
    pub async fn failed(&mut self, fault: &Fault) {
        self.failures += 1;
        let asked = fault.retry_after();
        let wait = backoff::wait(self.failures, rand::random(), asked);
        let wait = if asked.is_some() { wait } else { wait.min(self.every) };
        tracing::info!(source = self.source.word(), %fault, wait_ms = wait.as_millis(), "source fails");
        let next = chrono::Utc::now() + chrono::Duration::from_std(wait).unwrap_or_default();
        self.say(fault.phase(), Some(next));
        self.wait(Instant::now() + wait).await;
    }

    fn say(&mut self, phase: Phase, next_try: Option<Utc>) {
        let now = (phase, next_try);
        if self.said.as_ref() != Some(&now) {
            self.said = Some(now.clone());
            let (phase, next_try) = now;
            let update = crate::domain::Update::Standing { source: self.source, phase, next_try };
            (self.sink)(update, chrono::Utc::now());
        }
    }

    async fn wait(&mut self, due: Instant) {
        tokio::select! {
            () = sleep_until(due) => {}
            _ = self.skip.changed() => {}
        }
    }
}
