//! Finds the installed PostgreSQL: `initdb` in PATH, then Debian's and Homebrew's places; 15 or newer.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::PostgresError;

/// Oldest major version that the sandbox works with.
pub const OLDEST: u32 = 15;

/// An installed PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder that holds `initdb` and `postgres`.
    pub bin: PathBuf,
    /// Major version, e.g. 15.
    pub major: u32,
}

impl Binaries {
    /// Finds the PostgreSQL to use: the one in PATH if it is new enough, else the newest of the usual places.
    ///
    /// # Errors
    /// None is installed, or all are older than [`OLDEST`]; the error says how to install one.
    pub fn find() -> Result<Binaries, PostgresError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = installed(std::env::split_paths(&path));
        let elsewhere = installed(usual_places().into_iter());
        choose(in_path, elsewhere)
    }

    /// Full path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

fn choose(in_path: Vec<Binaries>, elsewhere: Vec<Binaries>) -> Result<Binaries, PostgresError> {
    let newest_seen = in_path.iter().chain(&elsewhere).map(|b| b.major).max();
    let new_enough = |b: &Binaries| b.major >= OLDEST;
    in_path
        .into_iter()
        .find(new_enough)
        .or_else(|| elsewhere.into_iter().filter(new_enough).max_by_key(|b| b.major))
        .ok_or(match newest_seen {
            Some(found) => PostgresError::TooOld { found },
            None => PostgresError::NotInstalled,
        })
}

fn installed(folders: impl Iterator<Item = PathBuf>) -> Vec<Binaries> {
    folders.filter_map(|folder| at(&folder)).collect()
}

/// The PostgreSQL whose `initdb` lies (or points) here. A link such as `/usr/local/bin/initdb` is followed, because
/// `postgres` itself need not be linked beside it.
fn at(folder: &Path) -> Option<Binaries> {
    let initdb = folder.join("initdb").canonicalize().ok()?;
    let bin = initdb.parent()?.to_path_buf();
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let major = major_of(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { bin, major })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15, `… 18beta1` is 18.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL)").nth(1)?.trim_start();
    number.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

fn usual_places() -> Vec<PathBuf> {
    let mut places = below("/usr/lib/postgresql", |_| true);
    places.push(PathBuf::from("/usr/local/pgsql"));
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        places.extend(below(homebrew, |name| name.to_string_lossy().starts_with("postgresql")));
    }
    places.into_iter().map(|p| p.join("bin")).collect()
}

fn below(folder: &str, wanted: impl Fn(&OsStr) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|e| wanted(&e.file_name())).map(|e| e.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(major: u32) -> Binaries {
        Binaries { bin: PathBuf::from(format!("/pg/{major}")), major }
    }

    #[test]
    fn versions_are_read_as_postgres_prints_them() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("something else"), None);
    }

    #[test]
    fn path_wins_if_new_enough_else_the_newest() {
        let elsewhere = vec![binaries(15), binaries(17), binaries(14)];
        assert_eq!(choose(vec![binaries(16)], elsewhere.clone()).unwrap().major, 16);
        assert_eq!(choose(vec![binaries(13)], elsewhere).unwrap().major, 17);
    }

    #[test]
    fn the_error_says_how_to_install() {
        let none = choose(vec![], vec![]).unwrap_err().to_string();
        assert!(none.contains("apt-get install postgresql") && none.contains("brew install"), "{none}");
        let old = choose(vec![], vec![binaries(13)]).unwrap_err().to_string();
        assert!(old.contains("13") && old.contains("15"), "{old}");
    }
}
