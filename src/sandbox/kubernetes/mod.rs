//! The simulated Kubernetes cluster: an API server over HTTPS that kubectl and kube-rs take for real, with controllers
//! that move pods at a believable pace.

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

use super::certs::{Authority, CertError};
use super::faults::Faults;
use super::serve::{ServeError, Stop};

/// Why the cluster could not start.
#[derive(Debug, Error)]
pub enum ClusterError {
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// How long things take. Each delay of a pod is drawn between the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From created to assigned to a node.
    pub schedule: (Duration, Duration),
    /// From assigned to container running.
    pub create: (Duration, Duration),
    /// From running to ready.
    pub ready: (Duration, Duration),
    /// From told to stop to gone.
    pub terminate: (Duration, Duration),
    /// Between two pods of one replica set that are started or stopped.
    pub stagger: Duration,
}

impl Pace {
    /// As a small web service on a warm node: ready after 1 to 3 s, gone after 1 to 2 s.
    pub fn believable() -> Self {
        let ms = |from, to| (Duration::from_millis(from), Duration::from_millis(to));
        Pace {
            schedule: ms(50, 200),
            create: ms(300, 800),
            ready: ms(700, 1_800),
            terminate: ms(1_000, 2_000),
            stagger: Duration::from_millis(400),
        }
    }

    /// For tests: the same steps, in milliseconds.
    pub fn fast() -> Self {
        let ms = |from, to| (Duration::from_millis(from), Duration::from_millis(to));
        Pace {
            schedule: ms(2, 5),
            create: ms(5, 10),
            ready: ms(10, 20),
            terminate: ms(10, 20),
            stagger: Duration::from_millis(5),
        }
    }
}

/// A deployment to start with; it is settled (all replicas ready) from the first moment.
#[derive(Debug, Clone, Default)]
pub struct DeploymentSpec {
    pub namespace: String,
    pub name: String,
    pub replicas: u32,
    pub image: String,
    /// Minimum and maximum of a horizontal pod autoscaler of the same name.
    pub hpa: Option<(u32, u32)>,
    /// Names of secrets that its container reads with `envFrom`.
    pub secrets: Vec<String>,
}

/// A secret to start with; `data` is plain here and base64 on the wire.
#[derive(Clone, Default)]
pub struct SecretSpec {
    pub namespace: String,
    pub name: String,
    pub data: BTreeMap<String, String>,
}

impl std::fmt::Debug for SecretSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&String> = self.data.keys().collect();
        f.debug_struct("SecretSpec").field("name", &self.name).field("keys", &keys).finish_non_exhaustive()
    }
}

/// What the cluster holds at its start.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// The cluster's name in the kubeconfig.
    pub name: String,
    /// Namespaces that exist; those of deployments and secrets are added.
    pub namespaces: Vec<String>,
    pub deployments: Vec<DeploymentSpec>,
    pub secrets: Vec<SecretSpec>,
    pub pace: Pace,
    /// Namespaces in which the responder may write; empty means all.
    pub responder_writes: Vec<String>,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        ClusterSpec {
            name: "sandbox".into(),
            namespaces: Vec::new(),
            deployments: Vec::new(),
            secrets: Vec::new(),
            pace: Pace::believable(),
            responder_writes: Vec::new(),
        }
    }
}

/// A running cluster; clones are handles to the same one. It ends with `stop`.
#[derive(Debug, Clone)]
pub struct Cluster {}

#[allow(clippy::unused_async)]
impl Cluster {
    /// Starts the API server on a free port of 127.0.0.1 and the controllers, with everything in `spec` settled.
    pub async fn start(
        _spec: ClusterSpec,
        _authority: &Authority,
        _faults: Faults,
        _stop: Stop,
    ) -> Result<Cluster, ClusterError> {
        Ok(Cluster {})
    }

    /// `https://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        String::new()
    }

    /// Bearer token of the responder, who may read everything and write in its namespaces.
    pub fn token(&self) -> &str {
        ""
    }

    /// Bearer token of a user who may get, list and watch (not secrets) and nothing else.
    pub fn viewer_token(&self) -> &str {
        ""
    }

    /// A kubeconfig (YAML) of the responder with the CA embedded. It holds a secret: write it with mode 0600.
    pub fn kubeconfig(&self) -> String {
        String::new()
    }

    /// `status.readyReplicas` of a deployment; 0 when there is none.
    pub fn ready_replicas(&self, _namespace: &str, _name: &str) -> usize {
        0
    }

    /// Returns the ready count of a deployment as soon as it is not `seen`. Cancel-safe.
    pub async fn ready_changed(&self, _namespace: &str, _name: &str, _seen: usize) -> usize {
        std::future::pending().await
    }

    /// Sets `spec.replicas` of a deployment as another user would. False when there is no such deployment.
    pub fn set_replicas(&self, _namespace: &str, _name: &str, _replicas: u32) -> bool {
        false
    }
}
