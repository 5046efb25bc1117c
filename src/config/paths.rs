//! The directories drtui uses, by the XDG rules. What it creates is for its user only (mode 0700).

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `$XDG_STATE_HOME/drtui`, else `~/.local/state/drtui`, else a directory here. Not created.
pub fn state_dir() -> PathBuf {
    under("XDG_STATE_HOME", ".local/state")
}

/// Where incident journals are kept. Not created.
pub fn incidents_dir() -> PathBuf {
    state_dir().join("incidents")
}

/// Where log files go. Not created.
pub fn log_dir() -> PathBuf {
    state_dir().join("log")
}

/// Where configuration files are looked for, first one first.
pub fn config_candidates() -> Vec<PathBuf> {
    vec![PathBuf::from("drtui.toml"), under("XDG_CONFIG_HOME", ".config").join("drtui.toml")]
}

/// Creates `dir` and its parents for this user only; an existing `dir` is narrowed to that.
///
/// # Errors
/// When it cannot be created or is not a directory.
pub fn create_private(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mode = std::fs::metadata(dir)?.permissions().mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn under(variable: &str, default: &str) -> PathBuf {
    let home = || directories::BaseDirs::new().map(|d| d.home_dir().join(default));
    // The XDG rules: a relative path in the variable is to be ignored.
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(home)
        .unwrap_or_else(|| PathBuf::from(".drtui"))
        .join("drtui")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_means_private() {
        let dir = std::env::temp_dir().join(format!("drtui-paths-{}", std::process::id()));
        let inner = dir.join("a/b");
        create_private(&inner).unwrap();
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o755)).unwrap();
        create_private(&inner).unwrap();
        let mode = std::fs::metadata(&inner).unwrap().permissions().mode() & 0o777;
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(mode, 0o700);
    }

    #[test]
    fn journals_and_logs_lie_under_the_state_directory() {
        assert!(incidents_dir().starts_with(state_dir()) && log_dir().starts_with(state_dir()));
        assert!(state_dir().ends_with("drtui"));
    }
}
