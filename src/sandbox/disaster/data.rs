//! Disasters in the data: what the service's own user does to it, and how much.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use tokio_postgres::Transaction;

use super::{Damage, Disaster, DisasterError, Struck};
use crate::sandbox::postgres::PostgresError;
use crate::sandbox::postgres::connect::Access;

/// Referrals that the errant job deletes, and those that it damages next to them.
const DELETED: i64 = 1_000;

const DAMAGED: i64 = 500;

/// Referrals that the errant import overwrites.
const CORRUPTED: i64 = 2_000;

/// Tables whose rows go with a referral, children first.
const DEPENDANTS: [&str; 6] =
    ["uploads", "referral_evidence", "allegations", "case_notes", "reminder_emails", "referrers"];

/// What the service's own user does to the data.
pub async fn strike(disaster: Disaster, access: &Access) -> Result<Struck, DisasterError> {
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
