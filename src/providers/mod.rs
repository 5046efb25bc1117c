//! TALKS: adapters to the outside; domain values out. Never sees the model.
//!
//! Each source runs for ever in tasks of its own and reports to one sink: data when it has some, its standing when that
//! changes. A failure of one is never a failure of another, and takes no value away.

mod azure;
mod beat;
mod fetch;
mod kubernetes;
mod pair;
pub mod postgres;
mod program;
mod question;
mod sandbox;
mod settings;
mod standing;
pub mod tunnel;
mod web;
mod words;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use pair::{Database, Pair};
pub use question::Answer;
pub use settings::{AzureSettings, KubernetesSettings, Settings, TunnelSettings, WebSettings};

use self::beat::Beat;
use self::kubernetes::Kubernetes;
use crate::domain::feed::Sink;
use crate::domain::{CompareRequest, DeploymentKey, Fault, HandOff, Source, Target, TunnelId, TunnelRequest};

/// A change of replicas that the API server has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaled {
    pub from: i32,
    pub to: i32,
}

/// A change of replicas that did not end well.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault}{}", if *.maybe_applied { "; the change may have been made all the same" } else { "" })]
pub struct ScaleError {
    pub fault: Fault,
    /// True if nobody can say whether the change was made: sense before trying again.
    pub maybe_applied: bool,
}

/// The running providers. Dropping this ends their tasks.
pub struct Providers {
    kubernetes: Kubernetes,
    azure: watch::Sender<u64>,
    monitor: watch::Sender<u64>,
    web: watch::Sender<u64>,
    sandbox: Option<std::path::PathBuf>,
    tunnels: tunnel::Tunnels,
    _tasks: JoinSet<()>,
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Providers").finish_non_exhaustive()
    }
}

/// Starts every provider on the current tokio runtime and returns at once. A target without a health page has no
/// [`Source::Web`].
pub fn start(settings: &Settings, target: &Target, sink: Sink) -> Providers {
    let mut tasks = JoinSet::new();
    let beat = Beat::start();
    let (azure, monitor, web) = (watch::Sender::new(0), watch::Sender::new(0), watch::Sender::new(0));
    let skips = (azure.subscribe(), monitor.subscribe());
    azure::start(&settings.azure, target, &sink, beat, skips, &mut tasks);
    if let Some(url) = &target.health_url {
        web::start(&settings.web, url.clone(), Sink::clone(&sink), beat, web.subscribe(), &mut tasks);
    }
    let tunnels = tunnel::Tunnels::start(&settings.kubernetes, &settings.tunnel, target, Sink::clone(&sink));
    let kubernetes = Kubernetes::start(&settings.kubernetes, target, sink, beat, &mut tasks);
    Providers { kubernetes, azure, monitor, web, sandbox: target.sandbox.clone(), tunnels, _tasks: tasks }
}

impl Providers {
    /// Asks a source again now instead of at its next try.
    pub fn retry_now(&self, source: Source) {
        let skip = |sender: &watch::Sender<u64>| sender.send_modify(|n| *n += 1);
        match source {
            Source::Kubernetes => self.kubernetes.retry_now(),
            Source::Azure => skip(&self.azure),
            Source::Monitor => skip(&self.monitor),
            Source::Web => skip(&self.web),
        }
    }

    /// Sets `spec.replicas` of a deployment to `to` if it is `from`, with a write that the server refuses if anybody was
    /// faster.
    ///
    /// # Errors
    /// [`Fault::Conflict`] if it is not `from` any more; see [`ScaleError::maybe_applied`].
    pub async fn scale(&self, key: &DeploymentKey, from: i32, to: i32) -> Result<Scaled, ScaleError> {
        self.kubernetes.scale(key, from, to).await
    }

    /// Opens a tunnel; its news come by the sink. Where it leads, in words.
    ///
    /// # Errors
    /// It could not be opened; nothing is left behind.
    pub async fn open_tunnel(&self, request: &TunnelRequest) -> Result<String, Fault> {
        self.tunnels.open(request).await
    }

    /// Closes a tunnel; its news say when it is done.
    pub fn close_tunnel(&self, id: TunnelId) {
        self.tunnels.close(id);
    }

    /// Closes all tunnels and deletes their pods, before the program ends.
    pub async fn close_tunnels(&self) {
        self.tunnels.close_all().await;
    }

    /// Looks for a tunnel's way again now.
    pub fn reconnect_tunnel(&self, id: TunnelId) {
        self.tunnels.reconnect(id);
    }

    /// Lists the pods that stand for tunnels; the sink is told which.
    pub fn look_for_pods(&self) {
        self.tunnels.look_for_pods();
    }

    /// Opens the way to both databases of a comparison: in this process, through tunnels that are open or are opened.
    ///
    /// # Errors
    /// One of them cannot be reached so.
    pub async fn open_pair(&self, request: &CompareRequest) -> Result<Pair, Fault> {
        let (live, restored) = pair::ways(request);
        let (live, restored) = tokio::try_join!(self.tunnels.reach(&live), self.tunnels.reach(&restored))?;
        Pair::new(live, restored)
    }

    /// Deletes a pod that was left behind.
    ///
    /// # Errors
    /// It could not be deleted.
    pub async fn delete_pod(&self, namespace: &str, pod: &str) -> Result<(), Fault> {
        self.tunnels.delete_pod(namespace, pod).await
    }

    /// The program to give the terminal to, connected through its tunnel, without a secret on its command line.
    ///
    /// # Errors
    /// The tunnel is not open, or the program does not fit what it leads to.
    pub fn child(&self, hand_off: &HandOff) -> Result<std::process::Command, Fault> {
        self.tunnels.child(hand_off)
    }

    /// Sandbox only: injects the named disaster. Returns what it did, in words.
    ///
    /// # Errors
    /// When this is not a sandbox, or it refuses.
    pub async fn sandbox_disaster(&self, name: &str) -> Result<String, Fault> {
        match &self.sandbox {
            Some(state) => sandbox::disaster(state, name).await,
            None => Err(Fault::Setup { why: "this is not a sandbox: no disaster is made".to_owned() }),
        }
    }
}
