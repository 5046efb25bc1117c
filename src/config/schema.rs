//! What a configuration file holds, as serde sees it and as the checks explain it. `config/drtui.example.toml` is the
//! commented form.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// A key of a table: its name, whether it must be there, and what to write if it is missing.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub needed: bool,
    pub example: &'static str,
}

const fn must(name: &'static str, example: &'static str) -> Key {
    Key { name, needed: true, example }
}

const fn may(name: &'static str) -> Key {
    Key { name, needed: false, example: "" }
}

/// Keys of the top level.
pub const TOP: &[Key] = &[
    must("service", "service = \"refer-serious-misconduct\""),
    may("runbooks"),
    must("environments", "[environments.production]"),
];

/// Keys of `[environments.NAME]`.
pub const ENVIRONMENT: &[Key] = &[
    may("production"),
    may("exercise"),
    must("namespace", "namespace = \"tra-production\""),
    must("app", "app = \"refer-serious-misconduct-production\""),
    may("deployments"),
    may("health_url"),
    may("health_ca_file"),
    may("sandbox"),
    must("cluster", "[environments.NAME.cluster]"),
    must("azure", "[environments.NAME.azure]"),
    may("tunnel"),
];

/// Keys of `[environments.NAME.cluster]`.
pub const CLUSTER: &[Key] =
    &[must("name", "name = \"s189p01-tsc-production-aks\""), may("kubeconfig"), may("context")];

/// Keys of `[environments.NAME.azure]`.
pub const AZURE: &[Key] = &[
    must("subscription", "subscription = \"00000000-0000-0000-0000-000000000000\""),
    must("resource_group", "resource_group = \"s189p01-rsm-pd-rg\""),
    must("server", "server = \"s189p01-rsm-pd-pg\""),
    may("side_copies"),
    may("tenant"),
    may("client_id"),
    may("client_secret_file"),
    may("endpoint"),
    may("authority"),
    may("key_vaults"),
    may("ca_file"),
];

/// Keys of `[environments.NAME.tunnel]`.
pub const TUNNEL: &[Key] = &[may("variable"), may("redis_variable"), may("image"), may("ca_file")];

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub service: String,
    pub runbooks: Option<PathBuf>,
    pub environments: BTreeMap<String, Environment>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Left out means yes: the careful way round.
    #[serde(default = "yes")]
    pub production: bool,
    #[serde(default)]
    pub exercise: bool,
    pub namespace: String,
    pub app: String,
    #[serde(default)]
    pub deployments: Deployments,
    pub health_url: Option<String>,
    pub health_ca_file: Option<PathBuf>,
    /// State file of the running sandbox that this environment lives in.
    pub sandbox: Option<PathBuf>,
    pub cluster: Cluster,
    pub azure: Azure,
    #[serde(default)]
    pub tunnel: Tunnel,
}

fn yes() -> bool {
    true
}

/// Which deployments of the namespace to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deployments {
    #[default]
    Service,
    Namespace,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    pub name: String,
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Azure {
    pub subscription: String,
    pub resource_group: String,
    pub server: String,
    #[serde(default)]
    pub side_copies: Vec<String>,
    pub tenant: Option<String>,
    pub client_id: Option<String>,
    pub client_secret_file: Option<PathBuf>,
    pub endpoint: Option<String>,
    pub authority: Option<String>,
    pub key_vaults: Option<String>,
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    pub variable: Option<String>,
    pub redis_variable: Option<String>,
    pub image: Option<String>,
    pub ca_file: Option<PathBuf>,
}
