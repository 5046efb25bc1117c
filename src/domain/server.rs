//! An Azure Database for PostgreSQL flexible server and its metrics.

use serde::{Deserialize, Serialize};

use super::Utc;

/// What a server is to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerClass {
    Live,
    /// A point-in-time-restored copy, or a server that may be one.
    Ptr,
    /// A known copy for other purposes (`-pg-snapshot`).
    SideCopy,
}

impl ServerClass {
    /// Sorts a server by its name: the configured live name, its known side copies, everything else may be a PTR copy
    /// (`platform.md` §2.2, §5).
    pub fn of(name: &str, live: &str, side_copies: &[String]) -> ServerClass {
        if name.eq_ignore_ascii_case(live) {
            ServerClass::Live
        } else if side_copies.iter().any(|s| s.eq_ignore_ascii_case(name)) {
            ServerClass::SideCopy
        } else {
            ServerClass::Ptr
        }
    }

    /// Where somebody is who works on such a server: `LIVE production`, `PTR copy`, `SIDE COPY`.
    pub fn place(self, environment: &str) -> String {
        match self {
            ServerClass::Live => format!("LIVE {environment}"),
            ServerClass::Ptr => "PTR copy".to_owned(),
            ServerClass::SideCopy => "SIDE COPY".to_owned(),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            ServerClass::Live => "LIVE",
            ServerClass::Ptr => "PTR",
            ServerClass::SideCopy => "SIDE COPY",
        }
    }
}

/// A flexible server as Azure Resource Manager describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// ARM resource id. Compare without case.
    pub id: String,
    pub name: String,
    pub class: ServerClass,
    /// `properties.state`, verbatim: `Ready`, `Starting`, … "Ready" speaks of the control plane only.
    pub state: String,
    /// `17.5` or `17`.
    pub version: String,
    pub sku: String,
    pub tier: String,
    pub storage_gb: Option<u32>,
    /// High availability, e.g. `ZoneRedundant (Healthy)` or `Disabled`.
    pub ha: String,
    /// First instant a point-in-time restore can go to (UTC).
    pub earliest_restore: Option<Utc>,
    pub retention_days: Option<u32>,
    pub created: Option<Utc>,
    pub fqdn: String,
}

impl Server {
    /// The restore window in UTC as Azure told at `told`: from its earliest date to five minutes before (`apis.md` §1.4).
    /// What came later is known only when Azure speaks again.
    pub fn restore_window(&self, told: Utc) -> Option<(Utc, Utc)> {
        let latest = told - chrono::Duration::minutes(5);
        self.earliest_restore.filter(|e| *e <= latest).map(|e| (e, latest))
    }
}

/// One minute of a metric; `value` is `None` where Azure had no data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub at: Utc,
    pub value: Option<f64>,
}

/// The last hour of a server's metrics, oldest first, one sample a minute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Percent.
    pub cpu: Vec<Sample>,
    /// Percent.
    pub memory: Vec<Sample>,
    /// Active connections, a count.
    pub connections: Vec<Sample>,
    /// Percent.
    pub storage: Vec<Sample>,
}
