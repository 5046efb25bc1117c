//! A database cluster on disk: `initdb`, certificates, who may come in. Configuration lies beside the data directory,
//! in a folder of ours, so that the PostgreSQL user cannot change it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::binaries::Binaries;
use super::owner::Owner;
use super::{ADMIN, PostgresError};
use crate::sandbox::certs::Authority;

/// Settings for filling an empty cluster fast. What it writes is safe only once it has stopped cleanly.
pub const FOR_LOADING: &[&str] = &[
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "archive_mode=off",
    "max_wal_senders=0",
    "autovacuum=off",
    "maintenance_work_mem=128MB",
    "max_wal_size=8GB",
];

/// TLS and password or not at all: no plain TCP, no socket.
const HBA: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\n";

/// UTC, archived, whole after a crash of its processes; small enough for a laptop. No fsync: a sandbox does not outlive
/// its machine, and every sync would hold up the files that other sandboxes make and remove.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = on
ssl_min_protocol_version = 'TLSv1.2'
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = '128MB'
fsync = off
wal_level = replica
archive_mode = on
archive_timeout = 60
min_wal_size = 16MB
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
    /// Where its write-ahead log is filed.
    pub archive: PathBuf,
}

/// What a server recovers from when it first starts.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The source's archive.
    pub archive: PathBuf,
    /// The source's own log, where the archive ends.
    pub log: Option<PathBuf>,
    /// To the microsecond; without, to the end of the log.
    pub until: Option<DateTime<Utc>>,
}

impl Cluster {
    /// Makes a new cluster `folder/name` with the superuser [`ADMIN`] and a certificate for `host`.
    ///
    /// # Errors
    /// Files cannot be written or `initdb` fails.
    pub async fn create(
        binaries: &Binaries,
        owner: Owner,
        folder: &Path,
        name: &str,
        host: &str,
        authority: &Authority,
        password: &SecretString,
    ) -> Result<Cluster, PostgresError> {
        make_folder(folder, if owner.is_another() { 0o711 } else { 0o700 })?;
        let cluster = Cluster::at(binaries.program("postgres"), owner, folder, name);
        cluster.configure(host, authority, None)?;
        make_folder(&cluster.data, 0o700)?;
        owner.give(&cluster.data)?;
        let password_file = cluster.conf().join("password");
        write(&password_file, password.expose_secret(), owner)?;
        let made = initdb(binaries, owner, &cluster.data, &password_file).await;
        let _ = fs::remove_file(&password_file);
        made?;
        Ok(cluster)
    }

    fn at(program: PathBuf, owner: Owner, folder: &Path, name: &str) -> Cluster {
        Cluster {
            owner,
            program,
            data: folder.join(name),
            settings: folder.join(format!("{name}-conf")).join("postgresql.conf"),
            log: folder.join(format!("{name}.log")),
            archive: folder.join(format!("{name}-archive")),
        }
    }

    /// Where another cluster of the same PostgreSQL will lie.
    pub fn sibling(&self, folder: &Path, name: &str) -> Cluster {
        Cluster::at(self.program.clone(), self.owner, folder, name)
    }

    fn conf(&self) -> &Path {
        self.settings.parent().unwrap_or(&self.settings)
    }

    /// Writes the settings, replacing those that are there, and a certificate for `host` if there is none; with
    /// `recovery` the server recovers when it starts. A running server must be told to reload.
    ///
    /// # Errors
    /// Files cannot be written.
    pub fn configure(
        &self,
        host: &str,
        authority: &Authority,
        recovery: Option<&Recovery>,
    ) -> Result<(), PostgresError> {
        let (conf, owner) = (self.conf(), self.owner);
        make_folder(conf, if owner.is_another() { 0o711 } else { 0o700 })?;
        make_folder(&self.archive, 0o700)?;
        owner.give(&self.archive)?;
        let (cert, key, hba) = (conf.join("server.crt"), conf.join("server.key"), conf.join("pg_hba.conf"));
        if !key.exists() {
            let issued = authority
                .issue(&[host, "localhost", "127.0.0.1"])
                .map_err(|e| PostgresError::Tls { why: e.to_string() })?;
            write(&cert, &issued.cert_pem, owner)?;
            write(&key, &issued.key_pem, owner)?;
            write(&hba, HBA, owner)?;
        }
        let settings = format!(
            "{SETTINGS}hba_file = {}\nssl_cert_file = {}\nssl_key_file = {}\narchive_command = {}\n{}",
            quoted(&hba.display().to_string()),
            quoted(&cert.display().to_string()),
            quoted(&key.display().to_string()),
            quoted(&archive_command(&self.archive)),
            recovery.map(recovering).unwrap_or_default()
        );
        if recovery.is_some() {
            write(&self.data.join("recovery.signal"), "", owner)?;
        }
        write(&self.settings, &settings, owner)
    }
}

/// A value as postgresql.conf takes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A path as the shell takes it in a command where `%` has a meaning.
fn for_shell(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''").replace('%', "%%"))
}

/// Files a segment under its name only once it is whole.
fn archive_command(archive: &Path) -> String {
    let folder = for_shell(archive);
    format!("cp \"%p\" {folder}/.\"%f\" && mv {folder}/.\"%f\" {folder}/\"%f\"")
}

fn recovering(recovery: &Recovery) -> String {
    let fetch = |folder: &Path| format!("cp {}/\"%f\" \"%p\" 2>/dev/null", for_shell(folder));
    let mut command = fetch(&recovery.archive);
    if let Some(log) = &recovery.log {
        command = format!("{command} || {}", fetch(log));
    }
    let until = recovery.until.map(|until| {
        let until = until.to_rfc3339_opts(SecondsFormat::Micros, false);
        format!("recovery_target_time = '{until}'\nrecovery_target_inclusive = on\n")
    });
    format!(
        "restore_command = {}\n{}recovery_target_action = 'promote'\nhot_standby = off\n",
        quoted(&command),
        until.unwrap_or_default()
    )
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
        .args([
            "--no-sync",
            "--no-instructions",
            "--wal-segsize=1",
            "--encoding=UTF8",
            "--locale=C",
            "--auth=scram-sha-256",
        ])
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

/// Writes a file whole that only the owner of the cluster can read.
pub(super) fn write(path: &Path, text: &str, owner: Owner) -> Result<(), PostgresError> {
    let failed = |source| PostgresError::file("write", path, source);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    owner.give(&new)?;
    fs::rename(&new, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_odd_folders() {
        let command = archive_command(Path::new("/tmp/it's 5%"));
        assert_eq!(
            command,
            r#"cp "%p" '/tmp/it'\''s 5%%'/."%f" && mv '/tmp/it'\''s 5%%'/."%f" '/tmp/it'\''s 5%%'/"%f""#
        );
        assert_eq!(quoted("it's"), "'it''s'");
    }

    #[test]
    fn a_time_is_said_to_the_microsecond_and_in_utc() {
        let until = "2026-10-25T00:30:00.000001Z".parse().ok();
        let words = recovering(&Recovery { archive: "/a".into(), log: None, until });
        assert!(words.contains("recovery_target_time = '2026-10-25T00:30:00.000001+00:00'"), "{words}");
        let words = recovering(&Recovery { archive: "/a".into(), log: Some("/l".into()), until: None });
        assert!(!words.contains("target_time") && words.contains("|| cp"), "{words}");
    }
}
