//! Disasters to choose: what goes wrong in the data, with the servers or around them, done the way it really happens and
//! at a known time.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio_postgres::Transaction;

use super::azure::{Diagnostics, Locks, SERVER};
use super::blobs::CONTAINER;
use super::blobs::store::Store;
use super::clock::{Clock, clock_change_near};
use super::dependencies::Dependencies;
use super::faults::{Faults, Kind, Provider};
use super::postgres::PostgresError;
use super::postgres::fleet::{Failure, Refusal, Servers};

/// Referrals that the errant job deletes, and those that it damages next to them.
const DELETED: i64 = 1_000;
const DAMAGED: i64 = 500;
/// Referrals that the errant import overwrites.
const CORRUPTED: i64 = 2_000;
/// How long a disaster of a provider lasts.
const OUTAGE: Duration = Duration::from_secs(15 * 60);
/// The clocks change this long after the night begins.
const BEFORE_THE_CHANGE: TimeDelta = TimeDelta::minutes(10);
/// Longest wait for the server's first backup.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tables whose rows go with a referral, children first.
const DEPENDANTS: [&str; 6] =
    ["uploads", "referral_evidence", "allegations", "case_notes", "reminder_emails", "referrers"];

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
                "what Azure and GitHub say the time is moves to ten minutes before the nearest change of British clocks; \
                 rows keep real time",
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
        Disaster::RowsDeleted | Disaster::RowsCorrupted | Disaster::TableDropped | Disaster::BadMigration => {
            return in_the_data(disaster, scene).await;
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
        "Azure and GitHub now say {} UTC; British clocks change at {} UTC",
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

/// What the service's own user does to the data.
async fn in_the_data(disaster: Disaster, scene: &Scene) -> Result<Struck, DisasterError> {
    let access = scene.servers.access(SERVER).ok_or_else(|| Refusal::NotFound { name: SERVER.into() })?;
    let mut client = access.connect("refer-serious-misconduct-production-cleanup").await?;
    let failed =
        |source| PostgresError::Sql { what: format!("run the disaster {}", disaster.name()), source };
    let whole = client.query_one("SELECT clock_timestamp()", &[]).await.map_err(failed)?;
    let at = whole.get::<_, SystemTime>(0).into();
    let first = client.transaction().await.map_err(failed)?;
    let (mut what, mut note) = (Vec::new(), None);
    match disaster {
        Disaster::RowsCorrupted => what.push(corrupt(&first).await.map_err(failed)?),
        Disaster::TableDropped => {
            let rows = count(&first, "case_notes").await.map_err(failed)?;
            first.batch_execute("DROP TABLE case_notes").await.map_err(failed)?;
            what.push(deleted("case_notes", rows));
            note = Some("the table case_notes is gone".to_owned());
        }
        Disaster::BadMigration => {
            what.push(migrate(&first).await.map_err(failed)?);
            note = Some("the column allegations.happened_on is gone".to_owned());
        }
        _ => {
            let (gone, last) = delete_window(&first).await.map_err(failed)?;
            first.commit().await.map_err(failed)?;
            what = gone;
            let second = client.transaction().await.map_err(failed)?;
            what.push(blank(&second, last).await.map_err(failed)?);
            second.commit().await.map_err(failed)?;
            return finish(disaster, &client, at, what, note).await;
        }
    }
    first.commit().await.map_err(failed)?;
    finish(disaster, &client, at, what, note).await
}

async fn finish(
    disaster: Disaster,
    client: &tokio_postgres::Client,
    at: DateTime<Utc>,
    what: Vec<Damage>,
    note: Option<String>,
) -> Result<Struck, DisasterError> {
    let failed = |source| PostgresError::Sql { what: "tell the time".into(), source };
    let done = client.query_one("SELECT clock_timestamp()", &[]).await.map_err(failed)?;
    let until = done.get::<_, SystemTime>(0).into();
    Ok(Struck { disaster: disaster.name().into(), at, until, what, note })
}

async fn count(transaction: &Transaction<'_>, table: &str) -> Result<u64, tokio_postgres::Error> {
    let row = transaction.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

fn overwritten(table: &str, rows: u64, columns: &[&str]) -> Damage {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    Damage { table: table.into(), deleted: None, changed: Some(rows), columns }
}

/// Every referral of a period gets the person of the one before it.
async fn corrupt(transaction: &Transaction<'_>) -> Result<Damage, tokio_postgres::Error> {
    let update = "UPDATE referrals r SET first_name = p.first_name, last_name = p.last_name, trn = p.trn,
                    contact = p.contact, updated_at = now()
                  FROM (SELECT id, lag(first_name) OVER w AS first_name, lag(last_name) OVER w AS last_name,
                          lag(trn) OVER w AS trn, lag(contact) OVER w AS contact
                        FROM referrals WINDOW w AS (ORDER BY id)) p
                  WHERE p.id = r.id AND p.first_name IS NOT NULL
                    AND r.id IN (SELECT id FROM referrals ORDER BY id OFFSET 8000 LIMIT $1)";
    let rows = transaction.execute(update, &[&CORRUPTED]).await?;
    Ok(overwritten("referrals", rows, &["first_name", "last_name", "trn", "contact", "updated_at"]))
}

/// What a release runs once, and cannot run back.
async fn migrate(transaction: &Transaction<'_>) -> Result<Damage, tokio_postgres::Error> {
    let rows = transaction.execute("UPDATE allegations SET details = '', updated_at = now()", &[]).await?;
    transaction
        .batch_execute(
            "ALTER TABLE allegations DROP COLUMN happened_on;
             INSERT INTO schema_migrations (version) VALUES ('20991231235959')",
        )
        .await?;
    Ok(overwritten("allegations", rows, &["details", "updated_at"]))
}

/// Deletes the referrals of one period, two thirds into the data; gives the counts and the period's end.
async fn delete_window(
    transaction: &Transaction<'_>,
) -> Result<(Vec<Damage>, Option<SystemTime>), tokio_postgres::Error> {
    let window = "WITH doomed AS (
          SELECT created_at FROM referrals ORDER BY created_at, id
          OFFSET (SELECT greatest(0, least(count(*) * 2 / 3, count(*) - $1)) FROM referrals) LIMIT $1)
        SELECT min(created_at), max(created_at) FROM doomed";
    let row = transaction.query_one(window, &[&DELETED]).await?;
    let (from, to): (Option<SystemTime>, Option<SystemTime>) = (row.get(0), row.get(1));
    let mut what = Vec::new();
    for table in DEPENDANTS {
        let delete = format!(
            "DELETE FROM {table} WHERE referral_id IN (SELECT id FROM referrals WHERE created_at BETWEEN $1 AND $2)"
        );
        what.push(deleted(table, transaction.execute(&delete, &[&from, &to]).await?));
    }
    let delete = "DELETE FROM referrals WHERE created_at BETWEEN $1 AND $2";
    what.push(deleted("referrals", transaction.execute(delete, &[&from, &to]).await?));
    Ok((what, to))
}

fn deleted(table: &str, rows: u64) -> Damage {
    Damage { table: table.into(), deleted: Some(rows), changed: None, columns: Vec::new() }
}

/// Blanks columns of the referrals that follow the period.
async fn blank(
    transaction: &Transaction<'_>,
    after: Option<SystemTime>,
) -> Result<Damage, tokio_postgres::Error> {
    let update = "UPDATE referrals SET last_name = '', date_of_birth = DATE '1900-01-01', updated_at = now()
        WHERE id IN (SELECT id FROM referrals WHERE created_at > $1 ORDER BY created_at, id LIMIT $2)";
    let rows = transaction.execute(update, &[&after, &DAMAGED]).await?;
    Ok(Damage {
        table: "referrals".into(),
        deleted: None,
        changed: Some(rows),
        columns: ["last_name", "date_of_birth", "updated_at"].map(Into::into).to_vec(),
    })
}
