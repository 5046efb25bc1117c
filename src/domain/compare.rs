//! A comparison of the live database with a restored copy, as it is asked for. Never holds a secret.

use serde::{Deserialize, Serialize};

use super::{DeploymentKey, TunnelId};

/// Which two databases are compared, and the way there. The password is not here: the engine reads it from the
/// deployment's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareRequest {
    /// Rises by one with each comparison of a cockpit's run: news of an older one are dropped.
    pub run: u32,
    /// Name of the live server without its domain.
    pub live: String,
    /// Name of the restored copy without its domain.
    pub restored: String,
    /// The deployment whose credentials are used, and through whose pod it goes unless `own_pod`.
    pub app: DeploymentKey,
    /// Through pods made for it, deleted when those tunnels close: the only way while the service is stopped.
    pub own_pod: bool,
    /// The tunnel to live, and the one to the copy, if none that is open leads there.
    pub live_tunnel: TunnelId,
    pub restored_tunnel: TunnelId,
    /// Id of the open incident, for the labels of pods made for it.
    pub incident: Option<String>,
}
