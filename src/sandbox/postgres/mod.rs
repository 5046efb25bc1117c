//! A real PostgreSQL on loopback: found, initialised, filled from a seed, run over TLS with a password, stopped cleanly.

pub mod binaries;
pub mod cluster;
pub mod connect;
pub mod owner;
pub mod postmaster;
pub mod seed;
pub mod usage;

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rand::Rng;
use rand::distr::Alphanumeric;
use secrecy::SecretString;
use thiserror::Error;
use tokio_postgres::Client;

use self::binaries::Binaries;
use self::cluster::Cluster;
use self::connect::Access;
use self::owner::Owner;
use self::postmaster::Postmaster;
use self::seed::Recipe;
use super::Say;
use super::certs::Authority;

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

/// The live server, running and filled.
#[derive(Debug)]
pub struct Live {
    pub postmaster: Postmaster,
    /// The service's way in: owner of the tables, not superuser.
    pub service: Access,
    /// The superuser's way in, for the simulators.
    pub admin: Access,
    /// Major and minor version, e.g. (15, 18).
    pub version: (u32, u32),
    /// When the server was created (UTC).
    pub created: DateTime<Utc>,
}

impl Live {
    /// Makes a new cluster below `folder`, fills it and starts it.
    ///
    /// # Errors
    /// PostgreSQL is missing, cannot be started or refuses the rows.
    pub async fn start(
        folder: &Path,
        authority: &Authority,
        recipe: &Recipe,
        credentials: &Credentials,
        say: &Say,
    ) -> Result<Live, PostgresError> {
        let created = Utc::now();
        let binaries = Binaries::find()?;
        let admin_password = SecretString::from(plain(24));
        say(&format!("initialising PostgreSQL {}", binaries.major));
        let cluster =
            Cluster::create(&binaries, Owner::find()?, folder, "live", authority, &admin_password).await?;
        let Credentials { user, password } = credentials;

        say("filling the database");
        let loading = Postmaster::start(&cluster, cluster::FOR_LOADING).await?;
        let way_in = |port, user: &str, password: &SecretString, database: &str| {
            Access::new(port, user, password.clone(), database, authority)
        };
        let admin = way_in(loading.port, ADMIN, &admin_password, "postgres")?;
        seed::create_database(&admin, user, password).await?;
        seed::fill(&way_in(loading.port, user, password, DATABASE)?, recipe).await?;
        loading.stop().await?;

        say("starting PostgreSQL");
        let postmaster = Postmaster::start(&cluster, &[]).await?;
        let admin = way_in(postmaster.port, ADMIN, &admin_password, DATABASE)?;
        let service = way_in(postmaster.port, user, password, DATABASE)?;
        let version = version(&admin.connect("drtui sandbox").await?).await?;
        Ok(Live { postmaster, service, admin, version, created })
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
