//! What Linux knows about a running process.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;

use nix::unistd::Pid;

/// How often each thread of a process has gone to sleep by itself so far.
pub type Switches = HashMap<OsString, u64>;

/// The switches of every thread of `pid`.
pub fn voluntary_switches(pid: Pid) -> Switches {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Switches::new() };
    let read = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        Some((task.file_name(), field(&status, "voluntary_ctxt_switches:")?))
    };
    tasks.flatten().filter_map(read).collect()
}

/// Wake-ups between two looks; threads that have ended meanwhile count once each.
pub fn wake_ups(before: &Switches, after: &Switches) -> u64 {
    let lived: u64 = after.iter().map(|(id, n)| n - before.get(id).copied().unwrap_or(0).min(*n)).sum();
    let ended = before.keys().filter(|id| !after.contains_key(*id)).count();
    lived + ended as u64
}

/// Resident memory of `pid` in MiB.
pub fn resident_mib(pid: Pid) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    field(&status, "VmRSS:").map(|kib| kib as f64 / 1024.0)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|l| l.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
