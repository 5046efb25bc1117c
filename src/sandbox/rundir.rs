//! The folder of one run. A lock on its `owner` file lives as long as the run, however it ends; a folder whose lock is
//! free belongs to a run that was killed, and the next start clears it away with its PostgreSQL.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use thiserror::Error;

use super::Say;
use super::postgres::{PostgresError, owner, plain};

const PREFIX: &str = "drtui-sandbox-";
const OWNER: &str = "owner";
/// The owner file until it is locked.
const YOUNG_OWNER: &str = ".owner";
/// Where the PostgreSQL clusters of a run lie.
pub const CLUSTERS: &str = "pg";
/// A folder without an owner file is a leftover once it is this old: before, another sandbox may be making it.
const UNOWNED_AFTER: Duration = Duration::from_secs(60);

/// Why there is no folder to run in.
#[derive(Debug, Error)]
pub enum RunDirError {
    #[error(transparent)]
    Temporary(#[from] PostgresError),
    #[error("could not make the sandbox's folder {path}: {source}")]
    Make { path: PathBuf, source: io::Error },
    #[error("could not write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("could not remove the sandbox's folder {path}: {source}; remove it by hand")]
    Remove { path: PathBuf, source: io::Error },
}

/// The folder of this run. Dropped, it is removed with all that runs in it.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
    removed: bool,
}

impl RunDir {
    /// Clears away what killed runs left, saying so, and makes the folder of this run.
    ///
    /// # Errors
    /// There is no usable temporary folder, or it cannot be written.
    pub fn create(say: &Say) -> Result<RunDir, RunDirError> {
        let base = owner::temporary_folder()?;
        clear_leftovers(&base, say);
        let uid = geteuid();
        // Made under a name that is not taken for a run's until it is locked.
        let making = base.join(format!(".{PREFIX}{uid}-{}", plain(12)));
        let path = base.join(format!("{PREFIX}{uid}-{}-{}", std::process::id(), plain(6)));
        let failed = |source| RunDirError::Make { path: path.clone(), source };
        // PostgreSQL may run as another user, who must be able to walk in (not to look).
        let mode = if uid.is_root() { 0o711 } else { 0o700 };
        DirBuilder::new().mode(mode).create(&making).map_err(failed)?;
        fs::set_permissions(&making, Permissions::from_mode(mode)).map_err(failed)?;
        let lock = own(&making).map_err(failed)?;
        fs::rename(&making, &path).map_err(failed)?;
        Ok(RunDir { path, _lock: lock, removed: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that only we can read, whole, and gives its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, RunDirError> {
        let path = self.path.join(name);
        let failed = |source| RunDirError::Write { path: path.clone(), source };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(path)
    }

    /// Ends what still runs in the folder and removes it.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn remove(mut self) -> Result<(), RunDirError> {
        self.removed = true;
        clear(&self.path).map(drop)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if !self.removed {
            let _ = clear(&self.path);
        }
    }
}

/// True while the run that made the folder is alive.
pub fn is_held(path: &Path) -> bool {
    File::open(path.join(OWNER)).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn own(folder: &Path) -> io::Result<File> {
    let young = folder.join(YOUNG_OWNER);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&young)?;
    file.lock()?;
    writeln!(file, "{}\n{}", std::process::id(), chrono::Utc::now().to_rfc3339())?;
    // Whoever sees the owner file finds it locked: another sandbox that starts now takes the folder for no leftover.
    fs::rename(young, folder.join(OWNER))?;
    Ok(file)
}

fn clear_leftovers(base: &Path, say: &Say) {
    let mine = [format!("{PREFIX}{}-", geteuid()), format!(".{PREFIX}{}-", geteuid())];
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !mine.iter().any(|prefix| name.starts_with(prefix.as_str())) || !is_leftover(&entry.path()) {
            continue;
        }
        let path = entry.path();
        match clear(&path) {
            Ok(ended) => {
                let ended: String =
                    ended.iter().map(|pid| format!(", its PostgreSQL (process {pid}) ended")).collect();
                say(&format!("removed what a killed sandbox left: {}{ended}", path.display()));
            }
            Err(error) => say(&error.to_string()),
        }
    }
}

/// A folder of ours (not a link, not another user's) whose run is dead.
fn is_leftover(path: &Path) -> bool {
    let Ok(meta) = path.symlink_metadata() else { return false };
    if !meta.is_dir() || meta.uid() != geteuid().as_raw() {
        return false;
    }
    if path.join(OWNER).exists() {
        return !is_held(path);
    }
    meta.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > UNOWNED_AFTER)
}

/// Ends the PostgreSQL servers of a run folder and removes the folder; gives the process ids that were ended.
fn clear(path: &Path) -> Result<Vec<i32>, RunDirError> {
    let (mut ended, mut running) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(path.join(CLUSTERS)).into_iter().flatten().flatten() {
        if let Some(pid) = postmaster_of(&entry.path()) {
            // All are told before any is waited for.
            let _ = kill(pid, Signal::SIGQUIT);
            running.push((pid, entry.path()));
        }
    }
    for (pid, data) in running {
        end(pid, &data);
        ended.push(pid.as_raw());
    }
    remove_clusters(path);
    // A server process that is still on its way out may add a file meanwhile: look again.
    for _ in 0..4 {
        if fs::remove_dir_all(path).is_ok() {
            return Ok(ended);
        }
    }
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RunDirError::Remove { path: path.to_path_buf(), source })
        }
        _ => Ok(ended),
    }
}

/// Removes the clusters side by side: thousands of files, each of which may have to wait for the disk's journal. What is
/// left is for the caller to find.
fn remove_clusters(path: &Path) {
    let clusters = fs::read_dir(path.join(CLUSTERS)).into_iter().flatten().flatten();
    std::thread::scope(|scope| {
        for cluster in clusters {
            scope.spawn(move || fs::remove_dir_all(cluster.path()));
        }
    });
}

/// The process that `postmaster.pid` names, if it is alive and really works in this data directory.
fn postmaster_of(data: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 1)?;
    works_in(pid, data).then(|| Pid::from_raw(pid))
}

fn works_in(pid: i32, data: &Path) -> bool {
    if Path::new("/proc/self/cwd").exists() {
        return fs::read_link(format!("/proc/{pid}/cwd")).ok() == data.canonicalize().ok();
    }
    let listed = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    listed.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(&data.display().to_string()))
}

/// Immediate shutdown, then the kill that cannot be refused. Not our child, so there is no signal of its end to wait for.
fn end(pid: Pid, data: &Path) {
    for (signal, patience) in [(Signal::SIGQUIT, 6), (Signal::SIGKILL, 2)] {
        let _ = kill(pid, signal);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(patience) {
            if !works_in(pid.as_raw(), data) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_held_while_it_lives_and_a_leftover_after() {
        let base = std::env::temp_dir().join(format!("drtui-rundir-{}", plain(8)));
        fs::create_dir(&base).unwrap();
        let lock = own(&base).unwrap();
        assert!(is_held(&base) && !is_leftover(&base));
        drop(lock);
        assert!(!is_held(&base) && is_leftover(&base));
        clear(&base).unwrap();
        assert!(!base.exists());
    }

    #[test]
    fn a_folder_is_no_leftover_at_any_moment_of_its_beginning() {
        let base = std::env::temp_dir().join(format!("drtui-rundir-{}", plain(8)));
        fs::create_dir(&base).unwrap();
        let (begun, young) = std::sync::mpsc::channel::<PathBuf>();
        let watcher = std::thread::spawn(move || {
            let mut looks = 0;
            while let Ok(path) = young.recv() {
                while !is_held(&path) {
                    assert!(!is_leftover(&path), "{} was taken for a leftover", path.display());
                    looks += 1;
                }
            }
            looks
        });
        let mut locks = Vec::new();
        for n in 0..400 {
            let path = base.join(n.to_string());
            fs::create_dir(&path).unwrap();
            begun.send(path.clone()).unwrap();
            locks.push(own(&path).unwrap());
        }
        drop(begun);
        assert!(watcher.join().unwrap() > 0, "nobody looked in time");
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_young_folder_without_owner_is_somebody_elses_beginning() {
        let base = std::env::temp_dir().join(format!("drtui-rundir-{}", plain(8)));
        fs::create_dir(&base).unwrap();
        assert!(!is_leftover(&base));
        fs::remove_dir(&base).unwrap();
    }

    #[test]
    fn a_process_that_does_not_work_in_the_data_directory_is_left_alone() {
        let base = std::env::temp_dir().join(format!("drtui-rundir-{}", plain(8)));
        fs::create_dir(&base).unwrap();
        fs::write(base.join("postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
        assert_eq!(postmaster_of(&base), None);
        fs::remove_dir_all(&base).unwrap();
    }
}
