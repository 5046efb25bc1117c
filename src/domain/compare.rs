//! A comparison of the live database with a restored copy, as it is asked for. Never holds a secret.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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

/// A condition on rows, in SQL. It may hold somebody's data, such as a name: it is never written anywhere. What is written,
/// shown and read back is the beginning of its SHA-256, by which two can be told apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct Condition {
    sql: Sql,
    /// The first 12 hexadecimal digits.
    sha256: String,
}

/// The condition itself; equal to any other, as its hash tells them apart.
#[derive(Clone)]
struct Sql(Option<String>);

impl PartialEq for Sql {
    fn eq(&self, _: &Sql) -> bool {
        true
    }
}

impl Eq for Sql {}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•")
    }
}

const SHA256: &str = "sha256:";

impl Condition {
    pub fn new(sql: String) -> Condition {
        let sha256 = Sha256::digest(&sql).iter().take(6).map(|b| format!("{b:02x}")).collect();
        Condition { sql: Sql(Some(sql)), sha256 }
    }

    /// The condition; `None` if it was read back.
    pub fn sql(&self) -> Option<&str> {
        self.sql.0.as_deref()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> String {
        format!("{SHA256}{}", condition.sha256)
    }
}

impl From<String> for Condition {
    fn from(text: String) -> Condition {
        match text.strip_prefix(SHA256) {
            Some(sha256) => Condition { sql: Sql(None), sha256: sha256.chars().take(12).collect() },
            // Records of before have the condition itself.
            None => Condition::new(text),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rows that meet a condition (SHA-256 {}…)", self.sha256)
    }
}

/// What is compared, and how. The default is everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompareOptions {
    /// Patterns (`*`, `?`) on `schema.name` or `name`; empty is all.
    pub tables: Vec<String>,
    pub exclude: Vec<String>,
    /// SQL condition on the rows of every table.
    pub filter: Option<Condition>,
    pub path: ComparePath,
    /// Sessions at work on live above which the comparison waits. `None`: twice those of the beginning, at least 8 more;
    /// 0 neither waits nor rests.
    pub max_load: Option<u32>,
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
            max_load: None,
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
            parts.push(filter.to_string());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The options of `drtui compare` that say the same, without the condition; each word is to be quoted for a shell.
    pub fn arguments(&self) -> Vec<String> {
        let default = CompareOptions::default();
        let mut all = Vec::new();
        let mut add = |name: &str, value: &str| all.extend([format!("--{name}"), value.to_owned()]);
        self.tables.iter().for_each(|t| add("table", t));
        self.exclude.iter().for_each(|t| add("exclude", t));
        if self.path != default.path {
            add("mode", self.path.word());
        }
        if let Some(load) = self.max_load {
            add("max-load", &load.to_string());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_never_written() {
        // printf "name = 'Ada'" | sha256sum
        let condition = Condition::new("name = 'Ada'".into());
        let options = CompareOptions { filter: Some(condition.clone()), ..CompareOptions::default() };
        let written = serde_json::to_string(&options).unwrap();
        let said = format!("{written} {options:?} {} {:?}", options.part().unwrap(), options.arguments());
        assert!(!said.contains("Ada") && said.contains("sha256:"), "{said}");
        let back: CompareOptions = serde_json::from_str(&written).unwrap();
        assert!(back == options && back.filter.unwrap().sql().is_none());
        assert_ne!(condition, Condition::new("name = 'Bob'".into()));
        // A record of before, written again.
        let old: CompareOptions = serde_json::from_str("{\"filter\": \"name = 'Ada'\"}").unwrap();
        assert_eq!(serde_json::to_string(&old).unwrap(), written);
    }
}
