//! What providers tell the cockpit: keyed updates that can be coalesced without losing the latest truth.

use serde::{Deserialize, Serialize};

use super::{
    Deployment, DeploymentKey, Health, Metrics, Orphan, Phase, Server, Tunnel, TunnelId, TunnelPod, Utc,
};

/// A source of data with its own standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Deployments, their pods and autoscalers, by watch.
    Kubernetes,
    /// Flexible servers, polled.
    Azure,
    /// Metrics of the servers, polled.
    Monitor,
    /// The service's health page, polled.
    Web,
}

impl Source {
    pub const ALL: [Source; 4] = [Source::Kubernetes, Source::Azure, Source::Monitor, Source::Web];

    pub fn word(self) -> &'static str {
        match self {
            Source::Kubernetes => "kubernetes",
            Source::Azure => "azure",
            Source::Monitor => "metrics",
            Source::Web => "service",
        }
    }

    /// For narrow lines.
    pub fn short(self) -> &'static str {
        match self {
            Source::Kubernetes => "k8s",
            other => other.word(),
        }
    }

    /// For the narrowest lines.
    pub fn shortest(self) -> &'static str {
        match self {
            Source::Kubernetes => "k8s",
            Source::Azure => "az",
            Source::Monitor => "met",
            Source::Web => "svc",
        }
    }
}

/// One piece of news from a provider. Sent with the time at which it was true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "update", rename_all = "snake_case")]
pub enum Update {
    /// How we stand with a source. Data never travels here.
    Standing {
        source: Source,
        #[serde(flatten)]
        phase: Phase,
        next_try: Option<Utc>,
    },
    /// All deployments: replaces what was known. Sent after each (re-)list.
    Deployments {
        all: Vec<Deployment>,
    },
    /// A watched source spoke, and what is known of it is true as of then: an event, a bookmark, a watch taken up.
    Heard {
        source: Source,
    },
    DeploymentChanged {
        deployment: Deployment,
    },
    DeploymentGone {
        key: DeploymentKey,
    },
    Servers {
        all: Vec<Server>,
    },
    Metrics {
        server: String,
        metrics: Metrics,
    },
    Health {
        health: Health,
    },
    /// A tunnel as it is now. The last one of a tunnel says `Closed` or `Failed`.
    Tunnel {
        tunnel: Box<Tunnel>,
    },
    /// All pods that were made for tunnels and belong to none: replaces what was known.
    Orphans {
        all: Vec<Orphan>,
    },
    /// All pods that stand for tunnels, in use or not, as listed no earlier than the update's time: replaces what was
    /// known.
    TunnelPods {
        all: Vec<TunnelPod>,
    },
}

/// What a later update replaces: two updates of the same slot need not both be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Slot {
    Standing(Source),
    Heard(Source),
    Deployments,
    Deployment(DeploymentKey),
    Servers,
    Metrics(String),
    Health,
    Tunnel(TunnelId),
    Orphans,
    TunnelPods,
}

impl Update {
    pub fn slot(&self) -> Slot {
        match self {
            Update::Standing { source, .. } => Slot::Standing(*source),
            Update::Heard { source } => Slot::Heard(*source),
            Update::Deployments { .. } => Slot::Deployments,
            Update::DeploymentChanged { deployment } => Slot::Deployment(deployment.key.clone()),
            Update::DeploymentGone { key } => Slot::Deployment(key.clone()),
            Update::Servers { .. } => Slot::Servers,
            Update::Metrics { server, .. } => Slot::Metrics(server.clone()),
            Update::Health { .. } => Slot::Health,
            Update::Tunnel { tunnel } => Slot::Tunnel(tunnel.id),
            Update::Orphans { .. } => Slot::Orphans,
            Update::TunnelPods { .. } => Slot::TunnelPods,
        }
    }

    /// The source that this update speaks for.
    pub fn source(&self) -> Source {
        match self {
            Update::Standing { source, .. } | Update::Heard { source } => *source,
            Update::Deployments { .. }
            | Update::DeploymentChanged { .. }
            | Update::DeploymentGone { .. }
            | Update::Tunnel { .. }
            | Update::Orphans { .. }
            | Update::TunnelPods { .. } => Source::Kubernetes,
            Update::Servers { .. } => Source::Azure,
            Update::Metrics { .. } => Source::Monitor,
            Update::Health { .. } => Source::Web,
        }
    }
}

/// Where providers put their news: called from any task, never waits.
pub type Sink = std::sync::Arc<dyn Fn(Update, Utc) + Send + Sync>;
