//! Kubernetes: deployments with their pods' troubles and autoscalers by watch; replicas by scale.

mod board;
pub(super) mod connect;
pub(super) mod http;
mod merge;
mod plugin;
pub(super) mod scale;
mod watch;
mod wire;

use std::sync::Arc;

use tokio::task::JoinSet;

use self::board::Board;
use self::connect::Link;
use self::merge::Kind;
use self::watch::Shared;
use super::beat::Beat;
use super::settings::KubernetesSettings;
use super::{ScaleError, Scaled};
use crate::domain::feed::Sink;
use crate::domain::{DeploymentKey, Target};

/// A cluster in view.
pub struct Kubernetes {
    shared: Arc<Shared>,
}

impl Kubernetes {
    /// Starts the watches in `tasks` and returns at once.
    pub fn start(
        settings: &KubernetesSettings,
        target: &Target,
        sink: Sink,
        beat: Beat,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let board = Board::new(target, sink);
        let shared = Shared::new(Link::new(settings.clone()), board, target.namespace.clone());
        tasks.spawn(watch::run::<wire::Deployment>(Arc::clone(&shared), Kind::Deployments));
        tasks.spawn(watch::run::<wire::Pod>(Arc::clone(&shared), Kind::Pods));
        tasks.spawn(watch::run::<wire::Autoscaler>(Arc::clone(&shared), Kind::Autoscalers));
        tasks.spawn(watch::probe(Arc::clone(&shared), beat));
        Kubernetes { shared }
    }

    pub fn retry_now(&self) {
        self.shared.retry_now();
    }

    pub async fn scale(&self, key: &DeploymentKey, from: i32, to: i32) -> Result<Scaled, ScaleError> {
        scale::scale(&self.shared.link, key, from, to).await
    }
}
