//! The operating-system user that PostgreSQL runs as: ourselves, or, because it refuses root, `postgres` or `nobody`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use tokio::process::Command;

use super::PostgresError;

/// Who runs PostgreSQL and owns its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User and group to become; `None` when we are not root and stay who we are.
    become_ids: Option<(u32, u32)>,
}

impl Owner {
    /// Picks the user.
    ///
    /// # Errors
    /// We are root and the machine has neither `postgres` nor `nobody`.
    pub fn find() -> Result<Owner, PostgresError> {
        if !geteuid().is_root() {
            return Ok(Owner { become_ids: None });
        }
        let found = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = found.ok_or(PostgresError::NoUser)?;
        Ok(Owner { become_ids: Some((user.uid.as_raw(), user.gid.as_raw())) })
    }

    /// True if the files must be made reachable for another user than ourselves.
    pub fn is_another(&self) -> bool {
        self.become_ids.is_some()
    }

    /// A command that will run as the owner, with a plain environment, in its own process group so that a Ctrl-C at
    /// the terminal reaches only us.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir("/").process_group(0);
        if let Some((uid, gid)) = self.become_ids {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives `path` to the owner.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn give(&self, path: &Path) -> Result<(), PostgresError> {
        let Some((uid, gid)) = self.become_ids else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .map_err(|source| PostgresError::file("give to the PostgreSQL user", path, source))
    }
}

/// The first of the usual temporary folders that every user can walk into: PostgreSQL may run as another user.
///
/// # Errors
/// There is none; names the folder that TMPDIR asks for.
pub fn temporary_folder() -> Result<PathBuf, PostgresError> {
    let wanted = std::env::temp_dir();
    let anybody = geteuid().is_root();
    let usable = |path: &PathBuf| path.is_dir() && (!anybody || traversable(path));
    let found = [wanted.clone(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")].into_iter().find(usable);
    found.ok_or(PostgresError::NoTemporaryFolder { wanted })
}

fn traversable(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().all(|folder| {
        folder.metadata().is_ok_and(|m| m.permissions().mode() & 0o001 != 0 && m.is_dir() && m.nlink() > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_folder_on_the_way_is_seen() {
        let base = std::env::temp_dir().join(format!("drtui-owner-{}", std::process::id()));
        let inner = base.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::set_permissions(&base, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o755)).unwrap();
        let open = traversable(&inner);
        std::fs::set_permissions(&base, std::fs::Permissions::from_mode(0o700)).unwrap();
        let closed = traversable(&inner);
        std::fs::remove_dir_all(&base).unwrap();
        assert!(open && !closed);
    }
}
