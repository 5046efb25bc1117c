//! Disasters to choose: what goes wrong in the data, done the way it really happens and at a known time.

use std::fmt::Write as _;
use std::str::FromStr;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::Transaction;

use super::postgres::PostgresError;
use super::postgres::connect::Access;

/// Referrals that the errant job deletes, and those that it damages next to them.
const DELETED: i64 = 1_000;
const DAMAGED: i64 = 500;
/// Tables whose rows go with a referral, children first.
const DEPENDANTS: [&str; 6] =
    ["uploads", "referral_evidence", "allegations", "case_notes", "reminder_emails", "referrers"];

/// A disaster by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disaster {
    /// An errant clean-up job deletes a window of referrals and blanks columns of others.
    RowsDeleted,
}

impl Disaster {
    pub const ALL: [Disaster; 1] = [Disaster::RowsDeleted];

    pub fn name(self) -> &'static str {
        match self {
            Disaster::RowsDeleted => "rows-deleted",
        }
    }

    /// What it does, for people.
    pub fn says(self) -> &'static str {
        match self {
            Disaster::RowsDeleted => {
                "an errant clean-up job deletes about 1,000 referrals of one period with everything that hangs on \
                 them, and blanks the name and birth date of 500 others"
            }
        }
    }
}

impl FromStr for Disaster {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Disaster::ALL.into_iter().find(|d| d.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Disaster::ALL.iter().map(|d| d.name()).collect();
            format!("no disaster is called {text:?}; there is {}", names.join(", "))
        })
    }
}

/// What a disaster did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struck {
    pub disaster: String,
    /// The last moment at which the data was whole (UTC): just before the first change.
    pub at: DateTime<Utc>,
    /// When the last change was committed (UTC).
    pub until: DateTime<Utc>,
    pub what: Vec<Damage>,
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
        words
    }
}

/// Lets `disaster` happen, as the service's own user.
///
/// # Errors
/// The database cannot be reached or refuses; a half-done transaction is rolled back.
pub async fn strike(disaster: Disaster, access: &Access) -> Result<Struck, PostgresError> {
    let Disaster::RowsDeleted = disaster;
    let mut client = access.connect("refer-serious-misconduct-production-cleanup").await?;
    let failed =
        |source| PostgresError::Sql { what: format!("run the disaster {}", disaster.name()), source };
    let whole = client.query_one("SELECT clock_timestamp()", &[]).await.map_err(failed)?;
    let at = whole.get::<_, SystemTime>(0).into();

    let deleting = client.transaction().await.map_err(failed)?;
    let (mut what, last) = delete_window(&deleting).await.map_err(failed)?;
    deleting.commit().await.map_err(failed)?;

    let damaging = client.transaction().await.map_err(failed)?;
    what.push(blank(&damaging, last).await.map_err(failed)?);
    damaging.commit().await.map_err(failed)?;

    let done = client.query_one("SELECT clock_timestamp()", &[]).await.map_err(failed)?;
    Ok(Struck { disaster: disaster.name().into(), at, until: done.get::<_, SystemTime>(0).into(), what })
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
