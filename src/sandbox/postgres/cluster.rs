//! A database cluster on disk: `initdb`, certificates, who may come in. Configuration lies beside the data directory,
//! in a folder of ours, so that the PostgreSQL user cannot change it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use secrecy::{ExposeSecret, SecretString};

use super::binaries::Binaries;
use super::owner::Owner;
use super::{ADMIN, HOST, PostgresError};
use crate::sandbox::certs::Authority;

/// Settings for filling an empty cluster fast. What it writes is safe only once it has stopped cleanly.
pub const FOR_LOADING: &[&str] = &[
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "maintenance_work_mem=128MB",
    "max_wal_size=8GB",
];

/// TLS and password or not at all: no plain TCP, no socket.
const HBA: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\n";

/// Durable, UTC, ready to be archived; small enough for a laptop.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = on
ssl_min_protocol_version = 'TLSv1.2'
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = '128MB'
wal_level = replica
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, mdy'
lc_messages = 'C'
logging_collector = off
log_destination = 'stderr'
";

/// A cluster that [`super::postmaster::Postmaster`] can start.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub owner: Owner,
    /// The `postgres` program.
    pub program: PathBuf,
    /// The data directory, owned by [`Cluster::owner`].
    pub data: PathBuf,
    /// `postgresql.conf`, beside the data directory.
    pub settings: PathBuf,
    /// Where the server's messages go.
    pub log: PathBuf,
}

impl Cluster {
    /// Makes a new cluster `folder/name` with the superuser [`ADMIN`].
    ///
    /// # Errors
    /// Files cannot be written or `initdb` fails.
    pub async fn create(
        binaries: &Binaries,
        owner: Owner,
        folder: &Path,
        name: &str,
        authority: &Authority,
        password: &SecretString,
    ) -> Result<Cluster, PostgresError> {
        let conf = folder.join(format!("{name}-conf"));
        let data = folder.join(name);
        make_folder(folder, if owner.is_another() { 0o711 } else { 0o700 })?;
        make_folder(&conf, if owner.is_another() { 0o711 } else { 0o700 })?;
        make_folder(&data, 0o700)?;
        owner.give(&data)?;
        let password_file = write(&conf.join("password"), password.expose_secret(), owner)?;
        let made = initdb(binaries, owner, &data, &password_file).await;
        let _ = fs::remove_file(&password_file);
        made?;
        write_settings(&conf, owner, authority)?;
        Ok(Cluster {
            owner,
            program: binaries.program("postgres"),
            data,
            settings: conf.join("postgresql.conf"),
            log: folder.join(format!("{name}.log")),
        })
    }
}

fn write_settings(conf: &Path, owner: Owner, authority: &Authority) -> Result<(), PostgresError> {
    let issued = authority
        .issue(&["localhost", "127.0.0.1", HOST])
        .map_err(|e| PostgresError::Tls { why: e.to_string() })?;
    let cert = write(&conf.join("server.crt"), &issued.cert_pem, owner)?;
    let key = write(&conf.join("server.key"), &issued.key_pem, owner)?;
    let hba = write(&conf.join("pg_hba.conf"), HBA, owner)?;
    let quoted = |path: &Path| path.display().to_string().replace('\'', "''");
    let settings = format!(
        "{SETTINGS}hba_file = '{}'\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
        quoted(&hba),
        quoted(&cert),
        quoted(&key)
    );
    write(&conf.join("postgresql.conf"), &settings, owner).map(drop)
}

async fn initdb(
    binaries: &Binaries,
    owner: Owner,
    data: &Path,
    password: &Path,
) -> Result<(), PostgresError> {
    let program = binaries.program("initdb");
    let failed = |why: String| PostgresError::Program { program: program.clone(), why };
    let output = owner
        .command(&program)
        .args(["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
        .arg(format!("--username={ADMIN}"))
        .arg("--pgdata")
        .arg(data)
        .arg("--pwfile")
        .arg(password)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn make_folder(path: &Path, mode: u32) -> Result<(), PostgresError> {
    let failed = |source| PostgresError::file("make folder", path, source);
    if !path.is_dir() {
        fs::DirBuilder::new().mode(mode).create(path).map_err(failed)?;
    }
    // The mode above passes through the umask; this one does not.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)
}

/// Writes a new file that only the owner of the cluster can read.
fn write(path: &Path, text: &str, owner: Owner) -> Result<PathBuf, PostgresError> {
    let failed = |source| PostgresError::file("write", path, source);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    owner.give(path)?;
    Ok(path.to_path_buf())
}
