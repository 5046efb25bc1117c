//! What is known of one flexible server, what may be refused, and the operations on servers.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

/// Where a server is in its life, by Azure's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    Provisioning,
    Starting,
    Ready,
    Updating,
    Restarting,
    Stopping,
    Stopped,
    Dropping,
}

impl Lifecycle {
    pub fn name(self) -> &'static str {
        match self {
            Lifecycle::Provisioning => "Provisioning",
            Lifecycle::Starting => "Starting",
            Lifecycle::Ready => "Ready",
            Lifecycle::Updating => "Updating",
            Lifecycle::Restarting => "Restarting",
            Lifecycle::Stopping => "Stopping",
            Lifecycle::Stopped => "Stopped",
            Lifecycle::Dropping => "Dropping",
        }
    }

    /// True while nothing is being done to it.
    pub fn is_settled(self) -> bool {
        matches!(self, Lifecycle::Ready | Lifecycle::Stopped)
    }
}

/// What was ordered: copied from the source by a restore. Does not change what really runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub sku: String,
    pub tier: String,
    pub storage_gb: u64,
    pub auto_grow: bool,
    pub retention_days: u64,
    pub geo_redundant: bool,
    /// Subnet and private DNS zone, as resource ids; a server without is reached over public networks.
    pub network: Option<(String, String)>,
    pub administrator: String,
}

impl Default for Shape {
    fn default() -> Self {
        let network = "/subscriptions/00000000-0000-0000-0000-000000000189/resourceGroups";
        Shape {
            sku: "Standard_D2ds_v5".into(),
            tier: "GeneralPurpose".into(),
            storage_gb: 32,
            auto_grow: true,
            retention_days: 7,
            geo_redundant: true,
            network: Some((
                format!(
                    "{network}/s189p01-tsc-pd-rg/providers/Microsoft.Network/virtualNetworks/\
                     s189p01-tsc-production-vnet/subnets/postgres-snet"
                ),
                format!(
                    "{network}/s189p01-tsc-production-bs-rg/providers/Microsoft.Network/privateDnsZones/\
                     production.internal.postgres.database.azure.com"
                ),
            )),
            administrator: "rsmadmin".into(),
        }
    }
}

/// A server at one moment. All times are real ones (UTC).
#[derive(Debug, Clone)]
pub struct Server {
    pub name: String,
    pub state: Lifecycle,
    /// Major and minor version.
    pub version: (u32, u32),
    pub created: DateTime<Utc>,
    /// When its base backup was complete: nothing earlier can be restored. `None` until there is one.
    pub earliest_restore: Option<DateTime<Utc>>,
    /// When it was dropped; the others exist.
    pub dropped: Option<DateTime<Utc>>,
    pub tags: BTreeMap<String, String>,
    pub shape: Shape,
    /// Its port on 127.0.0.1, the same for every server that ever has this name.
    pub port: u16,
    /// The data directory's base name in the run's folder `pg`.
    pub folder: String,
    /// Counts its starts: another number, another process.
    pub starts: u32,
    /// Backups that were asked for: name and completion.
    pub backups: Vec<(String, DateTime<Utc>)>,
}

/// Why a server operation is not even begun.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("there is no server {name}")]
    NotFound { name: String },
    #[error(
        "{name} is not a server name: 3 to 63 lower-case letters, digits and hyphens, no hyphen at the ends"
    )]
    BadName { name: String },
    #[error("the name {name} is taken by another server; give another name, or delete that server first")]
    NameTaken { name: String },
    #[error("{name} is busy with another operation; wait for its end")]
    Busy { name: String },
    #[error("{name} is {}, and must be {wanted}", .state.name())]
    WrongState { name: String, state: Lifecycle, wanted: &'static str },
    #[error("{name} cannot be restored to {}: {}", .point.to_rfc3339(), window(*.earliest, *.latest))]
    OutsideWindow {
        name: String,
        point: DateTime<Utc>,
        earliest: Option<DateTime<Utc>>,
        latest: DateTime<Utc>,
    },
    #[error("no deleted server {name} is kept any more: five days after its deletion it is gone for good")]
    Gone { name: String },
    #[error("the sandbox keeps at most {most} servers, deleted ones included")]
    TooMany { most: usize },
}

fn window(earliest: Option<DateTime<Utc>>, latest: DateTime<Utc>) -> String {
    match earliest {
        Some(earliest) => format!("restorable from {} to {}", earliest.to_rfc3339(), latest.to_rfc3339()),
        None => "its first backup is not complete yet".into(),
    }
}

/// What is done to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Create,
    PointInTimeRestore,
    Revive,
    Update,
    Drop,
    Start,
    Stop,
    Restart,
    Backup,
}

impl Kind {
    /// What it takes beyond the real work: (shortened, realistic).
    fn extra(self) -> (TimeDelta, TimeDelta) {
        let (short_ms, long_s) = match self {
            Kind::Create => (3_000, 300),
            Kind::PointInTimeRestore => (4_000, 600),
            Kind::Revive => (4_000, 480),
            Kind::Update => (1_000, 20),
            Kind::Drop => (2_000, 63),
            Kind::Start => (2_000, 60),
            Kind::Stop => (1_000, 30),
            Kind::Restart => (1_000, 40),
            Kind::Backup => (1_000, 120),
        };
        (TimeDelta::milliseconds(short_ms), TimeDelta::seconds(long_s))
    }
}

/// How long operations take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tempo {
    /// The real work only.
    Fast,
    /// A few seconds more, so that states can be seen.
    #[default]
    Short,
    /// Minutes, as in Azure.
    Realistic,
}

impl Tempo {
    /// What an operation takes beyond the real work.
    pub fn extra(self, kind: Kind) -> std::time::Duration {
        let (short, long) = kind.extra();
        let extra = match self {
            Tempo::Fast => TimeDelta::zero(),
            Tempo::Short => short,
            Tempo::Realistic => long,
        };
        extra.to_std().unwrap_or_default()
    }
}

/// Names an operation.
pub type OperationId = String;

/// How an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
}

/// An operation, running or ended. Times are real ones (UTC).
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: OperationId,
    pub kind: Kind,
    pub server: String,
    pub started: DateTime<Utc>,
    /// When and how it ended.
    pub ended: Option<(DateTime<Utc>, Result<(), Failure>)>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn operations_take_nothing_more_or_seconds_or_minutes() {
        let minutes = |from: u64, to: u64| Duration::from_secs(from * 60)..=Duration::from_secs(to * 60);
        for kind in [Kind::Create, Kind::PointInTimeRestore, Kind::Revive] {
            assert_eq!(Tempo::Fast.extra(kind), Duration::ZERO);
            assert!(minutes(5, 13).contains(&Tempo::Realistic.extra(kind)), "{kind:?}");
        }
        // As recorded from Azure.
        assert_eq!(Tempo::Realistic.extra(Kind::Drop), Duration::from_secs(63));
        for kind in [Kind::Update, Kind::Drop, Kind::Start, Kind::Stop, Kind::Restart, Kind::Backup] {
            let (short, long) = (Tempo::Short.extra(kind), Tempo::Realistic.extra(kind));
            assert!(short <= Duration::from_secs(4) && long >= short * 10, "{kind:?}: {short:?}, {long:?}");
        }
    }
}
