//! The loops that keep a cluster in view: list, watch from there, again for ever. Written out, and not the library's
//! watcher, because that one says nothing when a watch has come back after a failure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::api::{ListParams, WatchParams};
use kube::core::{Request, WatchEvent};
use serde::Deserialize;
use tokio::sync::watch as signal;
use tokio::time::{Instant, sleep_until};

use super::super::beat::Beat;
use super::super::words;
use super::board::{Board, Part};
use super::connect::{Link, Session};
use super::http::{self, About, Failure, Lines};
use super::merge::{Kind, Thing};
use super::wire::{Lean, Page};
use crate::domain::{Fault, Utc, backoff};

/// For the head of an answer and for each part of its body.
const PATIENCE: Duration = Duration::from_secs(8);
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// The cluster is asked for a sign of life at this beat, unless it has just given one: the shortest poll's, so that it
/// wakes nobody by itself.
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// A sign of life younger than this is enough.
const FRESH: Duration = Duration::from_secs(5);
/// A watch that sends nothing, not even bookmarks, for this long is opened again.
const IDLE: Duration = Duration::from_secs(75);
/// A new watch without complaint after this long runs.
const PROVED: Duration = Duration::from_millis(150);
/// A watch is not opened again sooner than this after the last time.
const BREATH: Duration = Duration::from_secs(1);
const PAGE: u32 = 500;
/// 500,000 objects.
const PAGES_MAX: usize = 1000;

/// What the loops share.
pub struct Shared {
    pub link: Link,
    pub board: Mutex<Board>,
    pub namespace: String,
    /// Skip the wait for the next try.
    skip: signal::Sender<u64>,
    /// Open the watches again: their connections may be dead.
    resume: signal::Sender<u64>,
    alive: signal::Sender<Instant>,
}

impl Shared {
    pub fn new(link: Link, board: Board, namespace: String) -> Arc<Shared> {
        Arc::new(Shared {
            link,
            board: Mutex::new(board),
            namespace,
            skip: signal::Sender::new(0),
            resume: signal::Sender::new(0),
            alive: signal::Sender::new(Instant::now()),
        })
    }

    pub fn retry_now(&self) {
        self.skip.send_modify(|n| *n += 1);
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, kind: Kind) -> Request {
        let group = match kind {
            Kind::Deployments => "apis/apps/v1",
            Kind::Pods => "api/v1",
            Kind::Autoscalers => "apis/autoscaling/v2",
        };
        Request::new(format!("/{group}/namespaces/{}/{}", self.namespace, kind.plural()))
    }

    /// Records the failure with the time of the next try, and waits until then or until told not to.
    async fn back_off(&self, part: Part, failures: u32, fault: Fault, skip: &mut signal::Receiver<u64>) {
        let wait = backoff::wait(failures, rand::random(), fault.retry_after());
        let (now, due) = (chrono::Utc::now(), Instant::now() + wait);
        let next = now + chrono::Duration::from_std(wait).unwrap_or_default();
        tracing::info!(?part, %fault, wait_ms = wait.as_millis(), "kubernetes fails");
        self.board().down(part, fault, next, now);
        tokio::select! {
            () = sleep_until(due) => {}
            _ = skip.changed() => {}
        }
    }
}

/// How a watch ended.
enum End {
    /// As watches do.
    Over,
    /// The version is too old: list again.
    Gone,
    Failed(Failure),
}

/// Keeps one kind of object in view, for ever.
pub async fn run<L: Lean>(shared: Arc<Shared>, kind: Kind) {
    let mut watch = Watch::<L> {
        what: format!("list {} in namespace {}", kind.plural(), shared.namespace),
        skip: shared.skip.subscribe(),
        resume: shared.resume.subscribe(),
        version: None,
        failures: 0,
        gone: 0,
        kind,
        shared,
        of: std::marker::PhantomData,
    };
    loop {
        watch.once().await;
    }
}

struct Watch<L> {
    shared: Arc<Shared>,
    kind: Kind,
    what: String,
    skip: signal::Receiver<u64>,
    resume: signal::Receiver<u64>,
    /// Where to watch from; `None`: list first.
    version: Option<String>,
    failures: u32,
    /// "Too old" in a row.
    gone: u32,
    of: std::marker::PhantomData<fn() -> L>,
}

impl<L: Lean> Watch<L> {
    async fn once(&mut self) {
        let session = match self.shared.link.session().await {
            Ok(session) => session,
            Err(fault) => return self.failed(fault).await,
        };
        let begun = Instant::now();
        let end = match self.follow(&session).await {
            Ok(end) => end,
            Err(failure) => End::Failed(failure),
        };
        match end {
            End::Over => sleep_until(begun + BREATH).await,
            End::Gone => {
                self.version = None;
                self.gone += 1;
                if self.gone > 1 {
                    let why = "the watch's version is always too old".to_owned();
                    self.failed(Fault::Server { status: 410, why }).await;
                }
            }
            End::Failed(failure) => {
                if matches!(failure.fault, Fault::AuthExpired { .. }) {
                    self.shared.link.refused(&session);
                }
                self.failed(failure.fault).await;
            }
        }
    }

    async fn failed(&mut self, fault: Fault) {
        self.failures += 1;
        let part = Part::Watch(self.kind);
        self.shared.back_off(part, self.failures, fault, &mut self.skip).await;
    }

    async fn follow(&mut self, session: &Session) -> Result<End, Failure> {
        let shared = Arc::clone(&self.shared);
        let version = match &self.version {
            Some(version) => version.clone(),
            None => {
                let (things, version) = self.list(session).await?;
                shared.board().listed(self.kind, things, chrono::Utc::now());
                self.version = Some(version.clone());
                version
            }
        };
        self.resume.mark_unchanged();
        // Ends are spread, so that not every watch is opened again at once.
        let seconds = 240 + rand::random::<u32>() % 50;
        let params = WatchParams { timeout: Some(seconds), bookmarks: true, ..WatchParams::default() };
        let request = request(shared.url(self.kind).watch(&params, &version))?;
        let about = About { what: &self.what, fix: &session.fix };
        match http::lines(&session.client, request, PATIENCE, &about).await {
            Ok(lines) => self.read(lines).await,
            Err(failure) if failure.is_gone() => Ok(End::Gone),
            Err(failure) => Err(failure),
        }
    }

    async fn list(&self, session: &Session) -> Result<(Vec<Thing>, String), Failure> {
        let about = About { what: &self.what, fix: &session.fix };
        let mut things = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        for _ in 0..PAGES_MAX {
            let request = request(self.shared.url(self.kind).list(&params))?;
            let page: Page<L> = http::json(&session.client, request, PATIENCE, &about).await?;
            if !page.kind.ends_with("List") || page.metadata.resource_version.is_empty() {
                return Err(garbled(format!("the answer to {} is not a list", self.what)));
            }
            things.extend(page.items.into_iter().flatten().filter_map(L::thing));
            match page.metadata.more.filter(|m| !m.is_empty()) {
                Some(more) => params.continue_token = Some(more),
                None => return Ok((things, page.metadata.resource_version)),
            }
        }
        Err(garbled(format!("the answer to {} has no end", self.what)))
    }

    async fn read(&mut self, mut lines: Lines) -> Result<End, Failure> {
        let begun = Instant::now();
        let mut proved = false;
        let mut due = begun + PROVED;
        let timer = sleep_until(due);
        tokio::pin!(timer);
        loop {
            tokio::select! {
                biased;
                line = lines.next() => {
                    let Some(line) = line? else {
                        if proved {
                            return Ok(End::Over);
                        }
                        let why = "the watch ended as soon as it began".to_owned();
                        return Err(Failure { fault: Fault::Unreachable { why }, status: None, sent: true });
                    };
                    if let Some(end) = self.line(&line)? {
                        return Ok(end);
                    }
                    self.proved(&mut proved);
                    due = Instant::now() + IDLE;
                    // A timer that is pushed on before it fires wakes nobody; not for every line of a busy watch.
                    if due > timer.deadline() + IDLE / 2 {
                        timer.as_mut().reset(due);
                    }
                }
                _ = self.resume.changed() => return Ok(End::Over),
                () = &mut timer => {
                    if Instant::now() < due {
                        timer.as_mut().reset(due);
                    } else if lines.is_mid_line() && due < begun + PATIENCE {
                        due = begun + PATIENCE;
                        timer.as_mut().reset(due);
                    } else if lines.is_mid_line() {
                        let fault = Fault::TimedOut { after_s: PATIENCE.as_secs() };
                        return Err(Failure { fault, status: None, sent: true });
                    } else if proved {
                        return Ok(End::Over);
                    } else {
                        self.proved(&mut proved);
                        due = begun + IDLE;
                        timer.as_mut().reset(due);
                    }
                }
            }
        }
    }

    fn proved(&mut self, proved: &mut bool) {
        if !*proved {
            *proved = true;
            self.failures = 0;
            self.gone = 0;
            // Whoever asked for a retry has got it.
            self.skip.mark_unchanged();
            self.shared.board().up(self.kind, chrono::Utc::now());
        }
    }

    /// Takes in one event; `Some` if it ends the watch.
    fn line(&mut self, line: &[u8]) -> Result<Option<End>, Failure> {
        let event: WatchEvent<L> = serde_json::from_slice(line)
            .map_err(|e| garbled(words::not_json("an event of the watch", line, &e)))?;
        let now = chrono::Utc::now();
        self.shared.alive.send_replace(Instant::now());
        let version = match event {
            WatchEvent::Error(status) if status.code == 410 => return Ok(Some(End::Gone)),
            WatchEvent::Error(status) => {
                let fault = Fault::Server { status: status.code, why: words::plain(&status.message) };
                return Err(Failure { fault, status: Some(status.code), sent: true });
            }
            WatchEvent::Bookmark(bookmark) => bookmark.metadata.resource_version,
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let version = object.version().to_owned();
                if let Some(thing) = object.thing() {
                    self.shared.board().applied(thing, now);
                }
                version
            }
            WatchEvent::Deleted(object) => {
                let version = object.version().to_owned();
                if let Some(thing) = object.thing() {
                    self.shared.board().removed(&thing, now);
                }
                version
            }
        };
        if !version.is_empty() {
            self.version = Some(version);
        }
        self.shared.board().heard(self.kind, now);
        Ok(None)
    }
}

/// Asks the cluster for a sign of life whenever it has given none for a while, for ever.
pub async fn probe(shared: Arc<Shared>, beat: Beat) {
    #[derive(Deserialize)]
    struct Any {}
    let what = format!("list deployments in namespace {}", shared.namespace);
    let mut skip = shared.skip.subscribe();
    let mut failures = 0;
    loop {
        let mut asked = false;
        if failures == 0 {
            asked = tokio::select! {
                () = sleep_until(beat.next(PROBE_EVERY, Instant::now())) => false,
                _ = skip.changed() => true,
            };
            if !asked && shared.alive.borrow().elapsed() < FRESH {
                continue;
            }
        }
        if !shared.board().all_up() {
            // The watches see for themselves, and say so.
            failures = 0;
            continue;
        }
        let answer = async {
            let session = shared.link.session().await?;
            let about = About { what: &what, fix: &session.fix };
            let request = request(shared.url(Kind::Deployments).list(&ListParams::default().limit(1)));
            let answer = match request {
                Ok(request) => http::json::<Any>(&session.client, request, PROBE_PATIENCE, &about).await,
                Err(failure) => Err(failure),
            };
            answer.map_err(|failure| {
                if matches!(failure.fault, Fault::AuthExpired { .. }) {
                    shared.link.refused(&session);
                }
                failure.fault
            })
        };
        match answer.await {
            Ok(_) => {
                failures = 0;
                // Who asks wants to know what is true now: only a watch that is taken up again says that.
                if shared.board().probed(now()) || asked {
                    shared.resume.send_modify(|n| *n += 1);
                }
            }
            Err(fault) => {
                failures += 1;
                shared.back_off(Part::Probe, failures, fault, &mut skip).await;
            }
        }
    }
}

fn now() -> Utc {
    chrono::Utc::now()
}

fn request(
    built: Result<::http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<::http::Request<Vec<u8>>, Failure> {
    built.map_err(|e| {
        let why = format!("cannot ask the cluster: {}", words::plain(&e.to_string()));
        Failure { fault: Fault::Setup { why }, status: None, sent: false }
    })
}

fn garbled(why: String) -> Failure {
    Failure { fault: Fault::Garbled { why }, status: None, sent: true }
}
