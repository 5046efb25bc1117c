//! A server's clock, set back by libfaketime, so that what PostgreSQL stamps and logs lies in the past. Processes that the
//! postmaster starts later may have the true time; those that clients talk to have this one.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use tokio::process::Command;

use super::PostgresError;
use super::cluster;
use super::owner::Owner;

const LIBRARY: &str = "faketime/libfaketime.so.1";

/// A clock that is behind the true one, for the servers that are started under it.
#[derive(Debug)]
pub struct FakeClock {
    library: PathBuf,
    /// Holds by how much; read by the server each time it asks what time it is.
    file: PathBuf,
    owner: Owner,
}

impl FakeClock {
    /// Makes a clock that is `by` behind, told by the new file `file`.
    ///
    /// # Errors
    /// libfaketime is not installed, or the file cannot be written.
    pub fn new(file: &Path, owner: Owner, by: TimeDelta) -> Result<FakeClock, PostgresError> {
        let library = usual_places().into_iter().map(|place| place.join(LIBRARY)).find(|p| p.is_file());
        let library = library.ok_or(PostgresError::NoFakeClock)?;
        let clock = FakeClock { library, file: file.to_path_buf(), owner };
        clock.set_back(by)?;
        Ok(clock)
    }

    /// Sets it `by` behind the true time. It must not run backwards: PostgreSQL's commits are in the order of time.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn set_back(&self, by: TimeDelta) -> Result<(), PostgresError> {
        let behind = format!("-{}.{:03}\n", by.num_seconds(), by.subsec_nanos() / 1_000_000);
        cluster::write(&self.file, &behind, self.owner)
    }

    /// Lets `command` run under it.
    pub(super) fn over(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            // Waits and timeouts stay true.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

/// Removes the shared memory that libfaketime leaves behind in the name of the ended process `pid`.
pub fn clear_up(pid: i32) {
    for name in ["faketime_shm_", "sem.faketime_sem_"] {
        // Mostly it is gone already.
        let _ = std::fs::remove_file(format!("/dev/shm/{name}{pid}"));
    }
}

/// Debian has it below the machine's own folder (`/usr/lib/x86_64-linux-gnu`), others directly in one of these.
fn usual_places() -> Vec<PathBuf> {
    let mut places = ["/usr/lib64", "/usr/lib", "/usr/local/lib"].map(PathBuf::from).to_vec();
    let machines = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    places.extend(machines.map(|entry| entry.path()).filter(|path| path.is_dir()));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_file_says_how_far_behind_it_is() {
        let folder = std::env::temp_dir().join(format!("drtui-clock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("clock");
        let clock = FakeClock { library: PathBuf::new(), file: file.clone(), owner: Owner::find().unwrap() };
        let said = |by| {
            clock.set_back(by).unwrap();
            std::fs::read_to_string(&file).unwrap()
        };
        let words = [said(TimeDelta::hours(2)), said(TimeDelta::milliseconds(60_007))];
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(words, ["-7200.000\n", "-60.007\n"]);
    }
}
