//! What the providers need to know beyond the target: files, addresses, identities. No secrets in here.

use std::path::PathBuf;

/// Settings of all providers for one environment.
#[derive(Debug, Clone)]
pub struct Settings {
    pub kubernetes: KubernetesSettings,
    pub azure: AzureSettings,
    pub web: WebSettings,
    pub tunnel: TunnelSettings,
}

/// How to reach the cluster.
#[derive(Debug, Clone, Default)]
pub struct KubernetesSettings {
    /// `None`: `$KUBECONFIG`, then `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// `None`: the kubeconfig's current context.
    pub context: Option<String>,
}

/// How to reach Azure Resource Manager.
#[derive(Debug, Clone)]
pub struct AzureSettings {
    pub subscription: String,
    /// Names of servers that are known copies for other purposes.
    pub side_copies: Vec<String>,
    /// With `client_id` and `client_secret_file`: a service principal. Without: `az` is asked for tokens.
    pub tenant: Option<String>,
    pub client_id: Option<String>,
    pub client_secret_file: Option<PathBuf>,
    /// Without a slash at the end.
    pub endpoint: String,
    /// Without a slash at the end.
    pub authority: String,
    /// Address of key vaults, `{vault}` in it standing for a vault's name; without a slash at the end.
    pub key_vaults: String,
    /// PEM of a further certificate authority.
    pub ca_file: Option<PathBuf>,
}

/// How to reach the health page.
#[derive(Debug, Clone, Default)]
pub struct WebSettings {
    /// PEM of a further certificate authority.
    pub ca_file: Option<PathBuf>,
}

/// How tunnels are made.
#[derive(Debug, Clone)]
pub struct TunnelSettings {
    /// The app's variable that holds the Postgres URL.
    pub variable: String,
    /// The app's variable that holds the redis URL.
    pub redis_variable: String,
    /// Of the pod made for a tunnel; needs `nc` and `sleep`.
    pub image: String,
    /// PEM of the database's certificate authorities; `None`: the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for TunnelSettings {
    fn default() -> TunnelSettings {
        TunnelSettings {
            variable: "DATABASE_URL".to_owned(),
            redis_variable: "REDIS_URL".to_owned(),
            // konduit.sh's.
            image: "alpine:3.20.1".to_owned(),
            ca_file: None,
        }
    }
}
