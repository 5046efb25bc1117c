//! A Kubernetes deployment as the cockpit shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Namespace and name: how a deployment is known, in every list and record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeploymentKey {
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for DeploymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A horizontal pod autoscaler that steers a deployment. At 0 replicas Kubernetes pauses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hpa {
    pub name: String,
    pub min: i32,
    pub max: i32,
}

/// A deployment with its pods' troubles summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub key: DeploymentKey,
    /// `spec.replicas`.
    pub wanted: i32,
    /// `status.readyReplicas`, and so on; 0 where Kubernetes leaves the field out.
    pub ready: i32,
    pub updated: i32,
    pub available: i32,
    /// `status.replicas`: pods that exist, ready or not.
    pub total: i32,
    pub hpa: Option<Hpa>,
    /// Sum of container restarts over the deployment's pods.
    pub restarts: i32,
    /// Distinct waiting reasons of its containers, e.g. `CrashLoopBackOff`, most frequent first.
    pub waiting: Vec<String>,
}
