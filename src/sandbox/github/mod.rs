//! GitHub's REST API over HTTPS as its clients see it, for one repository, with workflows that do their work on the
//! sandbox.

mod actions;
mod answer;
mod catalogue;
mod engine;
mod graphql;
mod guard;
mod limit;
mod logs;
mod model;
mod render;
mod repo;
mod route;
mod zip;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use secrecy::SecretString;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::limit::{Left, Limits};
use self::model::State;
use super::certs::{Authority, CertError};
use super::clock::Clock;
use super::faults::{Faults, Provider};
use super::postgres::plain;
use super::recovery::Recovery;
use super::serve::{ServeError, Served, Stop, serve};

/// The service's repository.
pub const OWNER: &str = "DFE-Digital";
pub const REPOSITORY: &str = "refer-serious-misconduct";
/// Its default branch.
pub const BRANCH: &str = "main";
/// Who the sandbox's token belongs to.
pub const LOGIN: &str = "responder";

/// Why there is no GitHub.
#[derive(Debug, Error)]
pub enum GithubError {
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("cannot listen on 127.0.0.1 for the sandbox's github: {0}")]
    Listen(std::io::Error),
}

/// How long the steps of a job take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Until a runner takes a job.
    pub queue: Duration,
    /// Percent of a step's usual time.
    pub percent: u64,
}

impl Pace {
    /// As on the platform, a little quicker.
    pub fn believable() -> Pace {
        Pace { queue: Duration::from_secs(4), percent: 100 }
    }

    /// The same steps, in moments.
    pub fn fast() -> Pace {
        Pace { queue: Duration::from_millis(80), percent: 2 }
    }
}

/// Everything that requests and runs need.
#[derive(Debug)]
struct Hub {
    /// `https://127.0.0.1:<port>`.
    endpoint: String,
    token: SecretString,
    pace: Pace,
    recovery: Recovery,
    state: Mutex<State>,
    /// Moves with every change that a run may wait for.
    revision: watch::Sender<u64>,
    limits: Limits,
    /// Dispatch answers 204 without run details, whatever is asked, as older servers do.
    old_dispatch: AtomicBool,
    running: Mutex<JoinSet<()>>,
}

impl Hub {
    /// What all times are told by.
    fn clock(&self) -> &Clock {
        &self.recovery.clock
    }

    /// Where the limits stand, in the sandbox's time.
    fn left(&self) -> Left {
        let left = self.limits.left();
        Left { reset: left.reset + self.clock().shift().num_seconds(), ..left }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits for it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state());
        self.revision.send_modify(|r| *r += 1);
        done
    }
}

/// GitHub, serving.
#[derive(Debug)]
pub struct Github {
    /// `https://127.0.0.1:<port>`; the prefix `/api/v3` is understood too.
    pub endpoint: String,
    /// A token with the scopes `repo` and `workflow`.
    pub token: SecretString,
    hub: Arc<Hub>,
    served: Served,
}

/// A handle for the remote control.
#[derive(Debug, Clone)]
pub struct Lever {
    hub: Arc<Hub>,
}

impl Lever {
    /// Whether dispatch tells the run's number when asked, as github.com does, or never, as older servers.
    pub fn set_run_details(&self, on: bool) {
        self.hub.old_dispatch.store(!on, Ordering::Relaxed);
    }

    /// Whether the environment asks for an approval. False when there is no such environment.
    pub fn set_approval(&self, environment: &str, asked: bool) -> bool {
        self.hub.change(|state| state.set_approval(environment, asked))
    }
}

impl Github {
    /// Starts on a free port of 127.0.0.1; workflows work through `recovery`. The nightly backup begins at once.
    ///
    /// # Errors
    /// No port or no certificate.
    pub async fn start(
        recovery: Recovery,
        pace: Pace,
        authority: &Authority,
        faults: Faults,
        stop: Stop,
    ) -> Result<Github, GithubError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(GithubError::Listen)?;
        let endpoint = format!("https://{}", listener.local_addr().map_err(GithubError::Listen)?);
        let tls = authority.server_config(&["api.github.com", "github.com"])?;
        let token = SecretString::from(format!("ghp_{}", plain(36)));
        let hub = Arc::new(Hub {
            endpoint: endpoint.clone(),
            token: token.clone(),
            pace,
            recovery,
            state: Mutex::new(State::new()),
            revision: watch::Sender::new(0),
            limits: Limits::default(),
            old_dispatch: AtomicBool::new(false),
            running: Mutex::default(),
        });
        engine::nightly(&hub);
        let app = Router::new().fallback(route::answer).with_state(Arc::clone(&hub));
        let served = serve(Some(listener), app, Some(tls), Provider::Github, faults, stop).await?;
        Ok(Github { endpoint, token, hub, served })
    }

    pub fn lever(&self) -> Lever {
        Lever { hub: Arc::clone(&self.hub) }
    }

    /// Ends all runs; returns when serving has stopped and every connection is closed.
    pub async fn ended(self) {
        let mut running =
            std::mem::take(&mut *self.hub.running.lock().unwrap_or_else(PoisonError::into_inner));
        running.shutdown().await;
        self.served.ended().await;
    }
}
