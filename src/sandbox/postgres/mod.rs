//! Real PostgreSQL servers on loopback: found, initialised, filled from a seed, run over TLS with a password, archived,
//! restored to a point in time, stopped cleanly.

pub mod binaries;
pub mod cluster;
pub mod connect;
pub mod fake_clock;
pub mod fleet;
pub mod owner;
pub mod postmaster;
pub mod seed;
pub mod usage;

use std::io;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::distr::Alphanumeric;
use secrecy::SecretString;
use thiserror::Error;
use tokio_postgres::Client;

/// The service's database, as the platform names it: `<short>_<environment>`.
pub const DATABASE: &str = "rsm_production";
/// The superuser's name on Azure.
pub const ADMIN: &str = "azuresu";
/// The name under which the service knows its server.
pub const HOST: &str = "s189p01-rsm-pd-pg.postgres.database.azure.com";

/// Why the sandbox's PostgreSQL does not run.
#[derive(Debug, Error)]
pub enum PostgresError {
    #[error(
        "PostgreSQL is not installed (no initdb in PATH, /usr/lib/postgresql or Homebrew): run scripts/bootstrap, or \
         apt-get install postgresql, or brew install postgresql"
    )]
    NotInstalled,
    #[error(
        "the newest PostgreSQL found is version {found}; the sandbox needs 15 or newer: apt-get install postgresql, or \
         brew install postgresql"
    )]
    TooOld { found: u32 },
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it: add one, or run as another user"
    )]
    NoUser,
    #[error(
        "libfaketime is not installed, and without it the database cannot live through a history: apt-get install \
         faketime (on Linux only), or leave --history out"
    )]
    NoFakeClock,
    #[error(
        "no temporary folder that the PostgreSQL user can walk into ({wanted} is closed to it): set TMPDIR to one like /tmp"
    )]
    NoTemporaryFolder { wanted: PathBuf },
    #[error("could not {what} {path}: {source}")]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{program} failed: {why}")]
    Program { program: PathBuf, why: String },
    #[error("PostgreSQL did not start: {why}")]
    Start { why: String },
    #[error("could not prepare TLS for PostgreSQL: {why}")]
    Tls { why: String },
    #[error("PostgreSQL at 127.0.0.1:{port} did not let {user} in: {source}")]
    Connect { port: u16, user: String, source: tokio_postgres::Error },
    #[error("PostgreSQL could not {what}: {}", sql_words(.source))]
    Sql { what: String, source: tokio_postgres::Error },
}

impl PostgresError {
    fn file(what: &'static str, path: &Path, source: io::Error) -> PostgresError {
        PostgresError::File { what, path: path.to_path_buf(), source }
    }
}

/// The server's own words, which the driver's error hides behind "db error".
fn sql_words(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The service's own user: owns the tables, is not superuser.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `u` and 15 random characters, as terraform makes them.
    pub user: String,
    pub password: SecretString,
}

impl Credentials {
    pub fn random() -> Credentials {
        Credentials {
            user: format!("u{}", plain(15).to_lowercase()),
            password: SecretString::from(plain(24)),
        }
    }
}

async fn version(client: &Client) -> Result<(u32, u32), PostgresError> {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::integer", &[])
        .await
        .map_err(|source| PostgresError::Sql { what: "say its version".into(), source })?;
    let number = u32::try_from(row.get::<_, i32>(0)).unwrap_or_default();
    Ok((number / 10_000, number % 10_000))
}

/// Letters and digits from the operating system's randomness.
pub fn plain(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}
