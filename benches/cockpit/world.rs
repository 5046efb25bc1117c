//! A headless sandbox to measure against.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::Home;

/// A running sandbox; stopped when dropped.
pub struct World {
    child: Child,
    state: Value,
    pub state_file: PathBuf,
    home: Home,
}

impl World {
    /// Starts a sandbox of `scale` and waits until it says that it is ready.
    pub fn start(scale: &str, patience: Duration) -> Result<World, String> {
        let home = Home::new();
        let state_file = home.path().join("state.json");
        let log = std::fs::File::create(home.path().join("sandbox.log")).map_err(|e| e.to_string())?;
        let child = Command::new(env!("CARGO_BIN_EXE_drtui"))
            .args(["sandbox", "--headless", "--scale", scale, "--state-file"])
            .arg(&state_file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|e| e.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|e| format!("the sandbox does not start: {e}"))?;
        let mut world = World { child, state: Value::Null, state_file, home };
        let deadline = Instant::now() + patience;
        while world.state.is_null() {
            if let Ok(text) = std::fs::read_to_string(&world.state_file) {
                world.state = serde_json::from_str(&text).map_err(|e| format!("state file: {e}"))?;
                break;
            }
            let ended = world.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(world.home.path().join("sandbox.log")).unwrap_or_default();
                return Err(format!("the sandbox was not ready in {patience:?} ({ended:?}): {log}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(world)
    }

    /// A text of the state file by its JSON pointer, e.g. `/kubeconfig`.
    pub fn text(&self, pointer: &str) -> Result<&str, String> {
        self.state
            .pointer(pointer)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("the state file has no {pointer}"))
    }

    /// The cockpit's configuration for this sandbox.
    pub fn config(&self) -> Result<&Path, String> {
        self.text("/config").map(Path::new)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}
