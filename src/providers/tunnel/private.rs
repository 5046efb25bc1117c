//! A folder that only this user can read, for what programs need in files; gone when dropped, or at the next start.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::domain::Fault;

const PREFIX: &str = "drtui-tunnel-";

/// The folder. Dropping it removes it with all it holds.
#[derive(Debug)]
pub struct Private(PathBuf);

impl Private {
    /// Makes one, and removes those of processes that have ended.
    ///
    /// # Errors
    /// No folder can be made.
    pub fn create() -> Result<Private, Fault> {
        let base = base();
        sweep(&base);
        let path = base.join(format!("{PREFIX}{}-{:08x}", std::process::id(), rand::random::<u32>()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|e| Fault::Setup { why: format!("cannot make the folder {}: {e}", path.display()) })?;
        Ok(Private(path))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file that only this user can read.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, Fault> {
        let path = self.path(name);
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())
        };
        write().map_err(|e| Fault::Setup { why: format!("cannot write {}: {e}", path.display()) })?;
        Ok(path)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `$XDG_RUNTIME_DIR`, which is in memory, else the temporary folder.
fn base() -> PathBuf {
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    given.filter(|p| p.is_absolute() && p.is_dir()).unwrap_or_else(std::env::temp_dir)
}

/// Removes what drtuis that were killed left: a password must not wait on disk for the next tunnel.
pub fn clear_left_behind() {
    sweep(&base());
}

/// Removes what a killed drtui left here. Others' folders cannot be removed, and are not tried.
fn sweep(base: &Path) {
    use std::os::unix::fs::MetadataExt;
    let me = nix::unistd::getuid().as_raw();
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let Some(process) = rest.and_then(|r| r.split('-').next()?.parse::<i32>().ok()) else { continue };
        let mine = entry.metadata().is_ok_and(|m| m.is_dir() && m.uid() == me);
        let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None)
            == Err(nix::errno::Errno::ESRCH);
        if mine && gone {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_private_and_goes() {
        let folder = Private::create().unwrap();
        let file = folder.write("a", "x").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&folder.0).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!file.exists());
    }

    #[test]
    fn what_a_killed_process_left_goes_at_the_next_start() {
        let base = std::env::temp_dir().join(format!("drtui-sweep-{}", std::process::id()));
        let (dead, alive) = (
            base.join(format!("{PREFIX}999999999-0")),
            base.join(format!("{PREFIX}{}-0", std::process::id())),
        );
        std::fs::create_dir_all(&dead).unwrap();
        std::fs::create_dir_all(&alive).unwrap();
        sweep(&base);
        assert!(!dead.exists() && alive.exists());
        std::fs::remove_dir_all(&base).unwrap();
    }
}
