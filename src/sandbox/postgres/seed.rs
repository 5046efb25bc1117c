//! The believable database: schema, rows made by the server itself from (seed, as-of day, scale), and a digest that
//! tells whether two databases hold the same.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Client;

use super::connect::Access;
use super::{DATABASE, PostgresError};
use crate::sandbox::Scale;

const SCHEMA: &str = include_str!("schema.sql");
const ROWS: &str = include_str!("rows.sql");
const KEYS: &str = include_str!("keys.sql");

/// Rows of each table at scale small.
const SIZES: &[(&str, u64)] = &[
    ("organisations", 4_000),
    ("users", 18_000),
    ("eligibility_checks", 30_000),
    ("referrals", 24_000),
    ("allegations", 30_000),
    ("referral_evidence", 24_000),
    ("uploads", 30_000),
    ("case_notes", 20_000),
    ("reminder_emails", 12_000),
    ("sessions", 6_000),
    ("versions", 38_000),
    ("analytics_events", 34_000),
    ("notify_callbacks", 6_000),
];

/// What the content depends on, and nothing else: the same recipe gives the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    pub seed: u32,
    pub scale: Scale,
    /// Every time in the rows lies before 00:00 UTC of this day and is counted back from it.
    pub as_of: NaiveDate,
}

impl Recipe {
    /// The start of the as-of day (UTC): no row is newer.
    pub fn end(&self) -> DateTime<Utc> {
        self.as_of.and_time(chrono::NaiveTime::MIN).and_utc()
    }

    fn script(&self) -> String {
        let mut script = String::from("SET check_function_bodies = off; SET timezone = 'UTC'; BEGIN;\n");
        for part in [SCHEMA, ROWS, KEYS] {
            script.push_str(part);
        }
        script.push_str("\nCOMMIT; ANALYZE;");
        for (table, rows) in SIZES {
            let rows = rows * self.scale.rows_percent() / 100;
            script = script.replace(&format!("{{{{{table}}}}}"), &rows.to_string());
        }
        script
            .replace("{{staff}}", "60")
            .replace("{{seed}}", &self.seed.to_string())
            .replace("{{as_of}}", &self.end().to_rfc3339())
    }
}

/// Makes the service's user and its empty database.
///
/// # Errors
/// The server refuses.
pub async fn create_database(
    admin: &Access,
    user: &str,
    password: &SecretString,
) -> Result<(), PostgresError> {
    let client = admin.connect("drtui sandbox").await?;
    // Both values are letters and digits of our own making.
    let password = password.expose_secret();
    let failed = |source| PostgresError::Sql { what: format!("create database {DATABASE}"), source };
    client
        .batch_execute(&format!("CREATE ROLE {user} LOGIN CREATEDB PASSWORD '{password}'"))
        .await
        .map_err(failed)?;
    client.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {user}")).await.map_err(failed)
}

/// Fills the empty database that `access` leads to.
///
/// # Errors
/// The server refuses; the database is then as empty as before.
pub async fn fill(access: &Access, recipe: &Recipe) -> Result<(), PostgresError> {
    let client = access.connect("drtui sandbox").await?;
    let failed = |source| PostgresError::Sql { what: format!("fill {}", access.database), source };
    client.batch_execute(&recipe.script()).await.map_err(failed)
}

/// The service's tables (partitioned ones once, without their partitions), by name.
///
/// # Errors
/// The server cannot be asked.
pub async fn tables(client: &Client) -> Result<Vec<String>, PostgresError> {
    let query = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
                 AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname";
    let rows = client
        .query(query, &[])
        .await
        .map_err(|source| PostgresError::Sql { what: "list its tables".into(), source })?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Rows of every table and a digest of all their content, in no particular row order.
///
/// # Errors
/// The server cannot be asked.
pub async fn digest(client: &Client) -> Result<(u64, String), PostgresError> {
    let failed = |source| PostgresError::Sql { what: "digest its tables".into(), source };
    client.batch_execute("SET timezone = 'UTC'").await.map_err(failed)?;
    let (mut total, mut all) = (0, String::new());
    for table in tables(client).await? {
        let query = format!(
            "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM \"{table}\" t"
        );
        let row = client.query_one(&query, &[]).await.map_err(failed)?;
        total += u64::try_from(row.get::<_, i64>(0)).unwrap_or_default();
        let _ = writeln!(all, "{table} {} {}", row.get::<_, i64>(0), row.get::<_, String>(1));
    }
    Ok((total, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_a_function_of_the_recipe_and_leaves_no_gap() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let recipe = Recipe { seed: 7, scale: Scale::Small, as_of: day };
        assert_eq!(recipe.script(), recipe.script());
        assert!(!recipe.script().contains("{{"), "an unfilled gap");
        assert_ne!(recipe.script(), Recipe { seed: 8, ..recipe }.script());
        assert!(recipe.script().contains("2026-11-20T00:00:00+00:00"));
    }

    #[test]
    fn small_is_about_300_000_rows_and_large_two_million() {
        let total = |scale: Scale| {
            let other = SIZES.iter().find(|(t, _)| *t == "referrals").map_or(0, |(_, n)| *n);
            (SIZES.iter().map(|(_, n)| n).sum::<u64>() + other) * scale.rows_percent() / 100
        };
        assert!((295_000..310_000).contains(&total(Scale::Small)), "{}", total(Scale::Small));
        assert!((950_000..1_050_000).contains(&total(Scale::Medium)));
        assert!((1_950_000..2_050_000).contains(&total(Scale::Large)));
    }
}
