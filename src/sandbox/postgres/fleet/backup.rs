//! Base backups and the archive of write-ahead log: what a restore is made from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tokio_postgres::Client;

use crate::sandbox::postgres::PostgresError;
use crate::sandbox::postgres::cluster::Cluster;
use crate::sandbox::postgres::connect::Access;
use crate::sandbox::postgres::owner::Owner;

/// Longest wait for the archiver to file a segment.
const ARCHIVING: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Folders of a data directory whose content a base backup leaves out.
const WITHOUT_CONTENT: [&str; 8] = [
    "pg_wal",
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
];
/// Files that belong to the running server only.
const LEFT_OUT: [&str; 4] = ["postmaster.pid", "postmaster.opts", "backup_label", "pg_internal.init"];

/// A base backup on disk.
#[derive(Debug)]
pub(super) struct Base {
    pub path: PathBuf,
    /// The first moment that can be restored (UTC), to the microsecond.
    pub complete: DateTime<Utc>,
    /// Name of the segment that its recovery begins with; older ones are needed by nobody.
    pub first_segment: String,
    /// Held shared by whoever copies it, alone by whoever replaces it.
    pub in_use: tokio::sync::RwLock<()>,
}

/// Copies data directories where that may block, until told to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Copier {
    ending: Arc<AtomicBool>,
    /// Held shared by every copy under way.
    busy: Arc<tokio::sync::RwLock<()>>,
}

impl Copier {
    /// Breaks off all copies, now and later; returns when none is under way, so that nobody makes files any more.
    pub async fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        drop(self.busy.write().await);
    }

    /// Copies a base backup, its label included.
    pub async fn copy_whole(&self, from: &Path, to: &Path, owner: Owner) -> Result<(), PostgresError> {
        self.copy(from, to, owner).await?;
        let label = to.join("backup_label");
        fs::copy(from.join("backup_label"), &label).map_err(|e| PostgresError::file("copy", &label, e))?;
        owner.give(&label)
    }

    /// Copies a data directory, without what belongs to the running server. The kernel shares the blocks where the file
    /// system can.
    async fn copy(&self, from: &Path, to: &Path, owner: Owner) -> Result<(), PostgresError> {
        let busy = Arc::clone(&self.busy).read_owned().await;
        let (from, to, ending) = (from.to_path_buf(), to.to_path_buf(), Arc::clone(&self.ending));
        let work = move || {
            let _busy = busy;
            make_folder(&to, owner)?;
            copy_folder(&from, &to, owner, true, &ending)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(PostgresError::Start { why: format!("copying broke off: {error}") }),
        }
    }
}

/// Takes a base backup of a running server into the new folder `to`.
pub(super) async fn take(
    copier: &Copier,
    cluster: &Cluster,
    admin: &Access,
    to: &Path,
) -> Result<Base, PostgresError> {
    let client = admin.connect("drtui sandbox backup").await?;
    let failed = |source| PostgresError::Sql { what: "take its base backup".into(), source };
    let start = "SELECT pg_walfile_name(pg_backup_start('sandbox', true))";
    let first_segment: String = client.query_one(start, &[]).await.map_err(failed)?.get(0);
    copier.copy(&cluster.data, to, cluster.owner).await?;
    let stop = "SELECT labelfile FROM pg_backup_stop(false)";
    let label: String = client.query_one(stop, &[]).await.map_err(failed)?.get(0);
    let file = to.join("backup_label");
    fs::write(&file, label).map_err(|e| PostgresError::file("write", &file, e))?;
    cluster.owner.give(&file)?;
    // By the server's own clock, which may be behind ours.
    let complete = client.query_one("SELECT clock_timestamp()", &[]).await.map_err(failed)?;
    Ok(Base {
        path: to.to_path_buf(),
        complete: complete.get::<_, SystemTime>(0).into(),
        first_segment,
        in_use: tokio::sync::RwLock::default(),
    })
}

fn copy_folder(
    from: &Path,
    to: &Path,
    owner: Owner,
    is_top: bool,
    ending: &AtomicBool,
) -> Result<(), PostgresError> {
    let failed = |path: &Path, e| PostgresError::file("copy", path, e);
    for item in fs::read_dir(from).map_err(|e| failed(from, e))? {
        if ending.load(Ordering::Relaxed) {
            return Err(PostgresError::Start { why: "the sandbox ends".into() });
        }
        let item = item.map_err(|e| failed(from, e))?;
        let (name, path) = (item.file_name().to_string_lossy().into_owned(), item.path());
        let target = to.join(&name);
        if LEFT_OUT.contains(&name.as_str()) || name.starts_with("pgsql_tmp") {
            continue;
        }
        // A file may be gone between the listing and the look: the server is running.
        let kind = match item.file_type() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            kind => kind.map_err(|e| failed(&path, e))?,
        };
        if kind.is_dir() {
            make_folder(&target, owner)?;
            if is_top && WITHOUT_CONTENT.contains(&name.as_str()) {
                if name == "pg_wal" {
                    make_folder(&target.join("archive_status"), owner)?;
                }
            } else {
                copy_folder(&path, &target, owner, false, ending)?;
            }
        } else {
            match fs::copy(&path, &target) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                done => done.map_err(|e| failed(&path, e))?,
            };
            owner.give(&target)?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path, owner: Owner) -> Result<(), PostgresError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|e| PostgresError::file("make folder", path, e))?;
    owner.give(path)
}

/// Commits a transaction that changes nothing, so that every time before now has a commit after it, and waits until the
/// log up to it is in the archive.
pub(super) async fn archive_until_now(cluster: &Cluster, admin: &Access) -> Result<(), PostgresError> {
    let client = admin.connect("drtui sandbox backup").await?;
    let segment = mark(&client).await?;
    let file = cluster.archive.join(&segment);
    let waiting = async {
        // The archiver tells nobody when it has filed a segment.
        let mut look = tokio::time::interval(LOOK_EVERY);
        while !file.exists() {
            look.tick().await;
        }
    };
    tokio::time::timeout(ARCHIVING, waiting).await.map_err(|_| PostgresError::Start {
        why: format!("its archiver did not file {segment} within {} s", ARCHIVING.as_secs()),
    })
}

/// The marker; gives the segment that holds it, which is complete.
async fn mark(client: &Client) -> Result<String, PostgresError> {
    let failed = |source| PostgresError::Sql { what: "switch its write-ahead log".into(), source };
    client.query_one("SELECT pg_current_xact_id()::text", &[]).await.map_err(failed)?;
    let row = client.query_one("SELECT pg_walfile_name(pg_switch_wal())", &[]).await.map_err(failed)?;
    Ok(row.get(0))
}

/// Bytes in the archive.
pub(super) fn size(archive: &Path) -> u64 {
    let files = fs::read_dir(archive).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

/// Removes segments that are older than `first`. Names without their timeline order by age.
pub(super) fn prune(archive: &Path, first: &str) {
    for file in fs::read_dir(archive).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let is_segment = name.len() == 24 && name.bytes().all(|b| b.is_ascii_hexdigit());
        if is_segment && name.get(8..) < first.get(8..) {
            let _ = fs::remove_file(file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_segments_are_pruned() {
        let folder = std::env::temp_dir().join(format!("drtui-archive-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in [
            "000000010000000000000003",
            "000000020000000000000009",
            "00000002.history",
            "000000020000000000000005",
        ] {
            fs::write(folder.join(name), "x").unwrap();
        }
        prune(&folder, "000000020000000000000005");
        let mut left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(left, ["00000002.history", "000000020000000000000005", "000000020000000000000009"]);
    }
}
