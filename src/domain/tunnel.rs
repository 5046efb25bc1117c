//! A way into a database through a pod, as the cockpit shows it and as it is asked for. Never holds a secret.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DeploymentKey, ServerClass, Utc};

/// How a tunnel is known in every list and record: `t1`, `t2`, … Never used twice in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TunnelId(pub u32);

impl fmt::Display for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// What answers at the far end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    #[default]
    Postgres,
    /// For what `konduit.sh` could do besides.
    Redis,
}

impl Backend {
    pub fn word(self) -> &'static str {
        match self {
            Backend::Postgres => "Postgres",
            Backend::Redis => "redis",
        }
    }
}

/// How the bytes get through the cluster, best first: each is the fallback of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// One `exec` of `nc` in the pod for each connection: no port is opened in the pod.
    Exec,
    PortForward,
    /// The user's own `konduit.sh`.
    Konduit,
}

impl Method {
    pub fn word(self) -> &'static str {
        match self {
            Method::Exec => "exec",
            Method::PortForward => "port-forward",
            Method::Konduit => "konduit.sh",
        }
    }
}

/// What is to be opened. The password is not here: the engine reads it from the deployment's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelRequest {
    pub id: TunnelId,
    #[serde(default)]
    pub backend: Backend,
    pub which: ServerClass,
    /// Name of the server without its domain, as `-s` of `konduit.sh` takes it; `None`: the one that the app uses.
    pub server: Option<String>,
    /// `None`: the one that the app uses.
    pub database: Option<String>,
    /// The deployment whose credentials are used, and through whose pod it goes unless `own_pod`.
    pub app: DeploymentKey,
    /// Through a pod made for it (`-x`), deleted at the end.
    pub own_pod: bool,
    /// On this local port, or on a free one.
    pub local_port: Option<u16>,
    /// Id of the open incident, for the labels of a pod made for it.
    pub incident: Option<String>,
    /// The server's certificate is not verified: somebody typed its name to say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
}

impl TunnelRequest {
    /// Where it is to lead, in words: the server's name, or the app's own.
    pub fn target(&self) -> &str {
        match (&self.server, self.backend) {
            (Some(server), _) => server,
            (None, Backend::Postgres) => "the app's own server",
            (None, Backend::Redis) => "the app's redis",
        }
    }
}

/// Through what a tunnel goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    pub app: DeploymentKey,
    /// The pod in use; `None` until one is found.
    pub pod: Option<String>,
    /// The pod was made for this tunnel and goes with it.
    pub own_pod: bool,
    pub method: Method,
}

/// What a tunnel is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TunnelState {
    /// `step` in words: `reading the secret`, `waiting for the pod`.
    Opening {
        step: String,
    },
    Open,
    /// The way is lost and is looked for again; the local port is kept.
    Reconnecting {
        why: String,
        next_try: Option<Utc>,
    },
    Closed {
        why: String,
    },
    /// Given up: `fix` says what a person can do.
    Failed {
        why: String,
        fix: String,
    },
}

impl TunnelState {
    /// True while it holds a local port or works on getting one.
    pub fn is_alive(&self) -> bool {
        !matches!(self, TunnelState::Closed { .. } | TunnelState::Failed { .. })
    }

    pub fn is_open(&self) -> bool {
        matches!(self, TunnelState::Open)
    }
}

/// Bytes and connections since the tunnel was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes to the server.
    pub sent: u64,
    /// Bytes from the server.
    pub received: u64,
    /// Connections now.
    pub open: u32,
    /// Connections ever.
    pub total: u64,
}

/// A tunnel with its state. Texts are cleaned of control sequences and bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    pub id: TunnelId,
    #[serde(default)]
    pub backend: Backend,
    pub which: ServerClass,
    /// Name of the server without its domain, e.g. `s189p01-rsm-pd-pg-ptr`.
    pub server: String,
    /// The whole name that TLS is verified against; empty until it is known.
    pub host: String,
    pub database: String,
    pub user: String,
    pub via: Via,
    /// On 127.0.0.1; `None` until it listens.
    pub local_port: Option<u16>,
    /// A command line that connects from another terminal, without a password in it: `psql service=…` with the private
    /// files it needs. `None` until there is one.
    #[serde(default)]
    pub line: Option<String>,
    /// When it was asked for (UTC).
    pub opened_at: Utc,
    #[serde(flatten)]
    pub state: TunnelState,
    pub traffic: Traffic,
    /// Time of a `SELECT 1` on a connection that stood, in milliseconds; `None` until measured.
    pub latency_ms: Option<u32>,
    /// Seconds without a byte after which it closes; `None`: never.
    pub idle_limit_s: Option<u32>,
    /// When it closes whatever happens (UTC), e.g. at its pod's deadline; `None`: never.
    pub ends_at: Option<Utc>,
    /// What somebody who connects has to know, e.g. that the server's name could not be verified.
    pub warning: Option<String>,
}

impl Tunnel {
    /// The server that it leads to; whose server, as long as its name is not known.
    pub fn target(&self) -> String {
        match self.server.as_str() {
            "" => format!("{} of {}", self.backend.word(), self.via.app.name),
            name => name.to_owned(),
        }
    }
}

/// A pod that an earlier drtui made for a tunnel and did not live to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    pub namespace: String,
    pub pod: String,
    /// `user@host` that made it, from its label.
    pub owner: String,
    pub incident: Option<String>,
    pub created: Option<Utc>,
    /// When Kubernetes ends it by itself (UTC).
    pub ends_at: Option<Utc>,
}

/// A pod that stands for a tunnel, whoever keeps it: what an incident made and must delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelPod {
    pub namespace: String,
    pub pod: String,
    /// Id of the incident that it was made in.
    pub incident: Option<String>,
    pub tunnel: Option<TunnelId>,
}

/// A program that gets the terminal, connected through a tunnel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    #[default]
    Psql,
    PgDump,
    PgRestore,
    RedisCli,
    /// The user's shell with the connection in its environment.
    Shell,
}

impl Tool {
    pub fn word(self) -> &'static str {
        match self {
            Tool::Psql => "psql",
            Tool::PgDump => "pg_dump",
            Tool::PgRestore => "pg_restore",
            Tool::RedisCli => "redis-cli",
            Tool::Shell => "shell",
        }
    }
}

/// A program to run in a tunnel with the terminal in its hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOff {
    pub tunnel: TunnelId,
    pub tool: Tool,
    /// The program's own arguments, each by itself.
    pub args: Vec<String>,
    /// Sessions begin read-only (`default_transaction_read_only`) unless a person armed the cockpit for more.
    pub read_only: bool,
    /// Milliseconds after which the server ends a statement.
    pub statement_timeout_ms: u32,
}
