//! What a tunnel is asked to be. Holds a URL only where somebody gave one; never shown.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::super::postgres::AZURE_SUFFIX;
use super::super::settings::{AzureSettings, TunnelSettings};
use crate::domain::{Backend, DeploymentKey, ServerClass, TunnelId, TunnelRequest};

/// Of an interactive session in konduit.sh.
const HARD: Duration = Duration::from_secs(28_800);
const IDLE: Duration = Duration::from_secs(2 * 3_600);

/// Where the URL with the password comes from.
#[derive(Debug, Clone)]
pub enum UrlFrom {
    /// The deployment's environment; this variable.
    Deployment {
        variable: String,
    },
    Given(SecretString),
    /// Secret `<name>-database-url`.
    KeyVault {
        vault: String,
        name: String,
        /// How to sign in to Azure; `None`: `az` alone knows.
        azure: Option<Box<AzureSettings>>,
    },
}

/// A tunnel to open.
#[derive(Debug, Clone)]
pub struct Wish {
    pub id: TunnelId,
    pub backend: Backend,
    pub which: ServerClass,
    /// Name of the live server, to tell what a URL from elsewhere leads to; `None`: not known.
    pub live: Option<String>,
    /// Names of servers that are known copies for other purposes.
    pub side_copies: Vec<String>,
    /// Environment or namespace, for prompts and lists.
    pub label: String,
    pub app: DeploymentKey,
    pub url: UrlFrom,
    /// Instead of the URL's; gets Azure's suffix unless it has a dot.
    pub server: Option<String>,
    pub database: Option<String>,
    /// Through a pod made for it.
    pub own_pod: bool,
    /// By port-forward to a pod made for it, where exec is not wanted.
    pub port_forward: bool,
    /// If the app's pod does not serve, one may be made.
    pub may_make_pod: bool,
    pub image: String,
    pub local_port: Option<u16>,
    pub incident: Option<String>,
    /// Certificate authorities for the database; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// The server whose certificate somebody chose not to verify, by its whole name.
    pub unverified: Option<String>,
    /// A redis in the cluster: no TLS.
    pub in_cluster: bool,
    /// Closes after this, whatever happens.
    pub limit: Duration,
    /// Closes after this long without a byte.
    pub idle: Option<Duration>,
    /// Keeps a connection and measures how long the server takes.
    pub measure: bool,
}

/// A request, for tests.
#[cfg(test)]
pub fn request() -> TunnelRequest {
    TunnelRequest {
        id: TunnelId(1),
        backend: Backend::Postgres,
        which: ServerClass::Live,
        server: None,
        database: None,
        app: DeploymentKey { namespace: "ns".into(), name: "web".into() },
        own_pod: false,
        local_port: None,
        incident: None,
        unverified: false,
    }
}

/// The name that TLS is verified against: one without a dot is Azure's.
fn whole(server: &str) -> String {
    if server.contains('.') { server.to_owned() } else { format!("{server}{AZURE_SUFFIX}") }
}

impl Wish {
    /// What the cockpit asks for.
    pub fn of(request: &TunnelRequest, settings: &TunnelSettings, label: &str) -> Wish {
        let variable = match request.backend {
            Backend::Postgres => settings.variable.clone(),
            Backend::Redis => settings.redis_variable.clone(),
        };
        Wish {
            id: request.id,
            backend: request.backend,
            which: request.which,
            live: None,
            side_copies: Vec::new(),
            label: label.to_owned(),
            app: request.app.clone(),
            url: UrlFrom::Deployment { variable },
            server: request.server.clone(),
            database: request.database.clone(),
            own_pod: request.own_pod,
            port_forward: false,
            // Making one is a change that a person is asked about first.
            may_make_pod: request.own_pod,
            image: settings.image.clone(),
            local_port: request.local_port,
            incident: request.incident.clone(),
            ca_file: settings.ca_file.clone(),
            unverified: request.server.as_ref().filter(|_| request.unverified).map(|s| whole(s)),
            in_cluster: false,
            limit: HARD,
            idle: Some(IDLE),
            measure: true,
        }
    }
}
