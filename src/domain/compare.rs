//! A comparison of the live database with a restored copy, as it is asked for. Never holds a secret.

use serde::{Deserialize, Serialize};

use super::{DeploymentKey, TunnelId};

/// Rows of each kind and table that are listed unless a person says otherwise.
pub const ROWS: u32 = 100;

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
    /// What of the two is compared, and how.
    #[serde(default, skip_serializing_if = "CompareOptions::is_default")]
    pub options: CompareOptions,
}

/// What is compared, and how. The default is everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompareOptions {
    /// Patterns (`*`, `?`) on `schema.name` or `name`; empty is all.
    pub tables: Vec<String>,
    pub exclude: Vec<String>,
    /// SQL condition on the rows of every table.
    pub filter: Option<String>,
    pub path: ComparePath,
    /// Sessions at work on live above which the comparison waits; 0: twice those of the beginning, at least 8 more.
    pub max_load: u32,
    /// Rows of each kind and table that are listed.
    pub rows: u32,
}

impl Default for CompareOptions {
    fn default() -> CompareOptions {
        CompareOptions {
            tables: Vec::new(),
            exclude: Vec::new(),
            filter: None,
            path: ComparePath::default(),
            max_load: 0,
            rows: ROWS,
        }
    }
}

impl CompareOptions {
    fn is_default(&self) -> bool {
        *self == CompareOptions::default()
    }

    /// What is compared, in words, if that is not everything: such a comparison says nothing about the rest.
    pub fn part(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.tables.is_empty() {
            parts.push(format!("only {}", self.tables.join(", ")));
        }
        if !self.exclude.is_empty() {
            parts.push(format!("without {}", self.exclude.join(", ")));
        }
        if let Some(filter) = &self.filter {
            parts.push(format!("rows where {filter}"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The options of `drtui compare` that say the same; each word is to be quoted for a shell.
    pub fn arguments(&self) -> Vec<String> {
        let default = CompareOptions::default();
        let mut all = Vec::new();
        let mut add = |name: &str, value: &str| all.extend([format!("--{name}"), value.to_owned()]);
        self.tables.iter().for_each(|t| add("table", t));
        self.exclude.iter().for_each(|t| add("exclude", t));
        self.filter.iter().for_each(|f| add("where", f));
        if self.path != default.path {
            add("mode", self.path.word());
        }
        if self.max_load != default.max_load {
            add("max-load", &self.max_load.to_string());
        }
        if self.rows != default.rows {
            add("rows", &self.rows.to_string());
        }
        all
    }
}

/// Which path may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparePath {
    /// Physical where it is proven to hold, else by content.
    #[default]
    Auto,
    /// Physical, or the table is not compared.
    Physical,
    /// By content only.
    Logical,
}

impl ComparePath {
    pub const ALL: [ComparePath; 3] = [ComparePath::Auto, ComparePath::Physical, ComparePath::Logical];

    pub fn word(self) -> &'static str {
        match self {
            ComparePath::Auto => "auto",
            ComparePath::Physical => "physical",
            ComparePath::Logical => "logical",
        }
    }
}
