//! Disasters to choose: what goes wrong in the data, with the servers or around them, done the way it really happens and
//! at a known time.

mod data;

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::azure::{Diagnostics, Locks, SERVER};
use super::blobs::CONTAINER;
use super::blobs::store::Store;
use super::clock::{Clock, clock_change_near};
use super::dependencies::Dependencies;
use super::faults::{Faults, Kind, Provider};
use super::postgres::PostgresError;
use super::postgres::connect::Access;
use super::postgres::fleet::{Failure, Refusal, Servers};

/// How long a disaster of a provider lasts.
const OUTAGE: Duration = Duration::from_secs(15 * 60);
/// The clocks change this long after the night begins.
const BEFORE_THE_CHANGE: TimeDelta = TimeDelta::minutes(10);
/// Longest wait for the server's first backup.
const PATIENCE: Duration = Duration::from_secs(30);

/// A disaster by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disaster {
    RowsDeleted,
    RowsCorrupted,
    TableDropped,
    BadMigration,
    ServerDeleted,
    GithubDown,
    AzureThrottled,
    ClusterUnreachable,
    SignInExpired,
    ClockChangeNight,
    PtrNameTaken,
    DiagnosticsLeftBehind,
    BackupMissing,
}

impl Disaster {
    pub const ALL: [Disaster; 13] = [
        Disaster::RowsDeleted,
        Disaster::RowsCorrupted,
        Disaster::TableDropped,
        Disaster::BadMigration,
        Disaster::ServerDeleted,
        Disaster::GithubDown,
        Disaster::AzureThrottled,
        Disaster::ClusterUnreachable,
        Disaster::SignInExpired,
        Disaster::ClockChangeNight,
        Disaster::PtrNameTaken,
        Disaster::DiagnosticsLeftBehind,
        Disaster::BackupMissing,
    ];

    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What it does, for people.
    pub fn says(self) -> &'static str {
        self.words().1
    }

    /// True if it happens to the data, by what the service's own user does.
    pub fn is_in_data(self) -> bool {
        use Disaster::{BadMigration, RowsCorrupted, RowsDeleted, TableDropped};
        matches!(self, RowsDeleted | RowsCorrupted | TableDropped | BadMigration)
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Disaster::RowsDeleted => (
                "rows-deleted",
                "an errant clean-up job deletes about 1,000 referrals of one period with everything that hangs on them, \
                 and blanks the name and birth date of 500 others",
            ),
            Disaster::RowsCorrupted => (
                "rows-corrupted",
                "an errant import overwrites name, TRN and contact of 2,000 referrals with those of their neighbours",
            ),
            Disaster::TableDropped => ("table-dropped", "somebody drops the table case_notes"),
            Disaster::BadMigration => (
                "bad-migration",
                "a migration drops a column of allegations, empties another, and records itself as done",
            ),
            Disaster::ServerDeleted => {
                ("server-deleted", "the live database server is deleted, lock, diagnostic settings and all")
            }
            Disaster::GithubDown => {
                ("github-down", "GitHub fails for 15 minutes, and its status page says so")
            }
            Disaster::AzureThrottled => {
                ("azure-throttled", "Azure answers every request with 429 for 15 minutes")
            }
            Disaster::ClusterUnreachable => {
                ("cluster-unreachable", "the Kubernetes API refuses connections for 15 minutes")
            }
            Disaster::SignInExpired => (
                "sign-in-expired",
                "Azure and Kubernetes answer 401 for 15 minutes, as after the end of a sign-in",
            ),
            Disaster::ClockChangeNight => (
                "clock-change-night",
                "the time that Azure, GitHub and blob storage tell moves to ten minutes before the nearest change of British \
                 clocks; rows keep real time",
            ),
            Disaster::PtrNameTaken => (
                "ptr-name-taken",
                "a server of the name that a point-in-time restore would take is already there",
            ),
            Disaster::DiagnosticsLeftBehind => (
                "diagnostics-left-behind",
                "the live database server is deleted in the portal; its diagnostic setting stays and blocks terraform",
            ),
            Disaster::BackupMissing => ("backup-missing", "the scheduled backups are gone from blob storage"),
        }
    }
}

impl FromStr for Disaster {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Disaster::ALL.into_iter().find(|d| d.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Disaster::ALL.iter().map(|d| d.name()).collect();
            format!("no disaster is called {text:?}; there are {}", names.join(", "))
        })
    }
}

/// Why a disaster did not happen.
#[derive(Debug, Error)]
pub enum DisasterError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("the disaster cannot happen: {0}")]
    Refused(#[from] Refusal),
    #[error("the disaster went wrong: {0}")]
    Failed(#[from] Failure),
    #[error("the disaster cannot happen: {0}")]
    Unfit(&'static str),
}

/// Where disasters happen.
#[derive(Debug, Clone)]
pub struct Scene {
    pub servers: Servers,
    pub faults: Faults,
    pub clock: Clock,
    pub locks: Arc<Locks>,
    pub diagnostics: Arc<Diagnostics>,
    pub dependencies: Dependencies,
    pub blobs: Store,
}

/// What a disaster did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struck {
    pub disaster: String,
    /// The last moment at which all was whole (UTC): just before the first change.
    pub at: DateTime<Utc>,
    /// When the last change was done (UTC).
    pub until: DateTime<Utc>,
    pub what: Vec<Damage>,
    /// What happened besides rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Rows of one table that are gone or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    pub table: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<u64>,
    /// Columns that were overwritten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl Struck {
    /// In one line, for people.
    pub fn words(&self) -> String {
        let clock = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string();
        let mut words = format!("{}: data was whole until {}", self.disaster, clock(self.at));
        if self.what.is_empty() {
            words = format!("{}: since {}", self.disaster, clock(self.at));
        }
        for Damage { table, deleted, changed, columns } in &self.what {
            // Writing to a string cannot fail.
            let _ = match (deleted, changed) {
                (Some(rows), _) => write!(words, "; {rows} rows of {table} deleted"),
                (None, Some(rows)) => {
                    write!(words, "; {} of {rows} rows of {table} overwritten", columns.join(", "))
                }
                (None, None) => Ok(()),
            };
        }
        if let Some(note) = &self.note {
            let _ = write!(words, "; {note}");
        }
        words
    }
}

/// Lets `disaster` happen.
///
/// # Errors
/// The database or the servers refuse; a half-done transaction is rolled back.
pub async fn strike(disaster: Disaster, scene: &Scene) -> Result<Struck, DisasterError> {
    let at = Utc::now();
    let note = match disaster {
        in_data if in_data.is_in_data() => {
            let access =
                scene.servers.access(SERVER).ok_or_else(|| Refusal::NotFound { name: SERVER.into() })?;
            return data::strike(disaster, &access).await;
        }
        Disaster::ServerDeleted => delete_server(scene, true).await?,
        Disaster::DiagnosticsLeftBehind => delete_server(scene, false).await?,
        Disaster::PtrNameTaken => take_name(scene).await?,
        Disaster::ClockChangeNight => change_clock(scene),
        Disaster::BackupMissing => lose_backups(scene).await?,
        outage => out(outage, scene),
    };
    Ok(Struck { disaster: disaster.name().into(), at, until: Utc::now(), what: Vec::new(), note: Some(note) })
}

/// Lets a disaster in the data happen in the database that `access` leads to.
///
/// # Errors
/// It is none in the data, or the database refuses; a half-done transaction is rolled back.
pub async fn strike_data(disaster: Disaster, access: &Access) -> Result<Struck, DisasterError> {
    if !disaster.is_in_data() {
        return Err(DisasterError::Unfit("it is none in the data"));
    }
    data::strike(disaster, access).await
}

/// Providers that fail for a while.
fn out(disaster: Disaster, scene: &Scene) -> String {
    let spoil = |on, kind| scene.faults.set(on, kind, OUTAGE);
    let words = match disaster {
        Disaster::GithubDown => {
            spoil(Provider::Github, Kind::ServerError);
            scene.dependencies.set("github", false);
            "GitHub answers with errors; its status page stays at an outage until it is brought back"
        }
        Disaster::AzureThrottled => {
            spoil(Provider::Azure, Kind::Throttled);
            "Azure throttles the subscription"
        }
        Disaster::ClusterUnreachable => {
            spoil(Provider::Kubernetes, Kind::Refused);
            "the Kubernetes API refuses connections"
        }
        _ => {
            spoil(Provider::Azure, Kind::Unauthorized);
            spoil(Provider::Kubernetes, Kind::Unauthorized);
            "Azure and Kubernetes take no token any more"
        }
    };
    format!("{words}; ends by itself in {} minutes", OUTAGE.as_secs() / 60)
}

/// Somebody with the right to do so removes the lock and deletes the live server.
async fn delete_server(scene: &Scene, cleanly: bool) -> Result<String, DisasterError> {
    if scene.servers.get(SERVER).is_some() && !scene.servers.restorable(SERVER, PATIENCE).await {
        return Err(DisasterError::Unfit("the server has no backup yet and could never be revived"));
    }
    let id = scene.servers.drop_server(SERVER)?;
    let locks = scene.locks.release(SERVER);
    scene.servers.wait(&id).await?;
    if cleanly {
        scene.diagnostics.forget(SERVER);
    } else if scene.diagnostics.of(SERVER).is_empty() {
        scene.diagnostics.give(SERVER);
    }
    let left = scene.diagnostics.of(SERVER);
    let left = if left.is_empty() { "nothing".to_owned() } else { left.join(", ") };
    Ok(format!("server {SERVER} deleted (lock removed: {}); left behind: {left}", locks.join(", ")))
}

/// Somebody made a restore before, under the name that the workflow takes by default.
async fn take_name(scene: &Scene) -> Result<String, DisasterError> {
    let name = format!("{SERVER}-ptr");
    if !scene.servers.restorable(SERVER, PATIENCE).await {
        return Err(DisasterError::Unfit("the live server has no backup yet"));
    }
    let id = scene.servers.copy_now(SERVER, &name)?;
    scene.servers.wait(&id).await?;
    Ok(format!("server {name} is there already"))
}

fn change_clock(scene: &Scene) -> String {
    scene.clock.set_shift(TimeDelta::zero());
    let now = Utc::now();
    let Some(change) = clock_change_near(now.date_naive()) else { return "no clock change is near".into() };
    scene.clock.set_shift(change - BEFORE_THE_CHANGE - now);
    format!(
        "Azure, GitHub and blob storage now say {} UTC; British clocks change at {} UTC",
        scene.clock.now().format("%Y-%m-%d %H:%M:%S"),
        change.format("%H:%M")
    )
}

async fn lose_backups(scene: &Scene) -> Result<String, DisasterError> {
    let lost = scene.blobs.lose(CONTAINER, "rsm_pd_2", PATIENCE).await;
    if lost.is_empty() {
        return Err(DisasterError::Unfit("there is no scheduled backup in blob storage"));
    }
    Ok(format!("gone from the container {CONTAINER}: {}", lost.join(", ")))
}
