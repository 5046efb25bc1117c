//! The state file: where everything in a running sandbox is, for clients and scripts. Holds secrets: mode 0600.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::postgres::plain;
use super::rundir;

/// What went wrong with a state file.
#[derive(Debug, Error)]
pub enum StateError {
    #[error("no sandbox is running: there is no state file {path}; start one with `drtui sandbox`")]
    None { path: PathBuf },
    #[error("the sandbox that wrote {path} is not running any more; start one with `drtui sandbox`")]
    Dead { path: PathBuf },
    #[error(
        "a sandbox (process {pid}) is already running with the state file {path}; give another with --state-file"
    )]
    Taken { pid: u32, path: PathBuf },
    #[error("could not read the state file {path}: {why}")]
    Read { path: PathBuf, why: String },
    #[error("could not write the state file {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// Everything that a client of the sandbox needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub pid: u32,
    /// The run's folder, gone when the run ends.
    pub run_dir: PathBuf,
    pub seed: u32,
    pub scale: String,
    /// No generated row is newer than the start of this day (UTC).
    pub as_of: chrono::NaiveDate,
    pub ca_file: PathBuf,
    pub kubeconfig: PathBuf,
    pub azure: Azure,
    pub github: Option<Github>,
    pub blobs: Option<Blobs>,
    pub postgres: Postgres,
    pub service: Service,
    /// Where each dependency of the service tells how it is, by name.
    #[serde(default)]
    pub dependencies: BTreeMap<String, String>,
    /// Webhooks that keep what they get, by name; the addresses are secrets.
    #[serde(default)]
    pub webhooks: Webhooks,
    /// A drtui configuration that points at all this.
    pub config: PathBuf,
    pub control: Control,
}

/// Addresses that hold a secret.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Webhooks(pub BTreeMap<String, String>);

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Azure {
    /// Azure Resource Manager and the token authority, both.
    pub endpoint: String,
    pub tenant: String,
    pub client_id: String,
    pub client_secret: String,
    pub subscription: String,
    pub resource_group: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Github {
    /// The REST API, without and with the prefix `/api/v3`.
    pub endpoint: String,
    pub token: String,
    /// `owner/name`.
    pub repository: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Blobs {
    /// The storage account: `https://127.0.0.1:<port>/<account>`.
    pub endpoint: String,
    pub container: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Postgres {
    /// libpq URL of the live server as the service's user.
    pub live_url: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    pub url: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Control {
    pub endpoint: String,
    pub token: String,
}

impl std::fmt::Debug for Azure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Azure").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Github").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// `$XDG_RUNTIME_DIR/drtui-sandbox.json`, else one in the temporary folder with the user's id in its name.
pub fn default_path() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(folder) if folder.is_dir() => folder.join("drtui-sandbox.json"),
        _ => std::env::temp_dir().join(format!("drtui-sandbox-{}.json", geteuid())),
    }
}

impl State {
    /// Writes the file whole: readers see all of it or nothing.
    ///
    /// # Errors
    /// The folder is missing or closed to us.
    pub fn write(&self, path: &Path) -> Result<(), StateError> {
        let failed = |source| StateError::Write { path: path.to_path_buf(), source };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}", plain(8)));
        let written = write_synced(&temporary, self).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(failed)
    }

    /// Reads the file of a sandbox that is running now.
    ///
    /// # Errors
    /// There is none, it cannot be understood, or its sandbox is gone.
    pub fn of_running(path: &Path) -> Result<State, StateError> {
        let unreadable = |why: String| StateError::Read { path: path.to_path_buf(), why };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StateError::None { path: path.to_path_buf() });
            }
            Err(e) => return Err(unreadable(e.to_string())),
        };
        // The default place may be a folder that everybody can write in.
        if !fs::metadata(path).is_ok_and(|meta| meta.uid() == geteuid().as_raw()) {
            return Err(unreadable("it belongs to another user".into()));
        }
        let state: State = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
        if rundir::is_held(&state.run_dir) {
            Ok(state)
        } else {
            Err(StateError::Dead { path: path.to_path_buf() })
        }
    }

    /// Refuses a path that a running sandbox uses; one that a killed sandbox left is free.
    ///
    /// # Errors
    /// [`StateError::Taken`].
    pub fn free(path: &Path) -> Result<(), StateError> {
        match State::of_running(path) {
            Ok(state) => Err(StateError::Taken { pid: state.pid, path: path.to_path_buf() }),
            Err(_) => Ok(()),
        }
    }

    /// Removes the file if it is still the one this run wrote.
    pub fn remove(&self, path: &Path) {
        let ours = fs::read_to_string(path).is_ok_and(|text| {
            serde_json::from_str::<State>(&text).is_ok_and(|there| there.run_dir == self.run_dir)
        });
        if ours {
            let _ = fs::remove_file(path);
        }
    }
}

fn write_synced(path: &Path, state: &State) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut text = serde_json::to_string_pretty(state)?;
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_none_of_a_running_sandbox_is_refused_in_words() {
        let path = std::env::temp_dir().join(format!("drtui-state-{}", plain(8)));
        let missing = State::of_running(&path).unwrap_err().to_string();
        assert!(missing.contains("no sandbox is running"), "{missing}");
        fs::write(&path, "{\"pid\": 1").unwrap();
        let broken = State::of_running(&path).unwrap_err().to_string();
        fs::remove_file(&path).unwrap();
        assert!(broken.contains("could not read"), "{broken}");
        assert!(State::free(&path).is_ok());
    }
}
