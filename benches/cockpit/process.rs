//! What Linux knows about a running process.

use std::fs;

use nix::unistd::Pid;

/// Times that any thread of `pid` has gone to sleep by itself so far: each is a wake-up that was or will be.
/// Threads that have ended are no longer counted.
pub fn voluntary_switches(pid: Pid) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        sum += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
    }
    Some(sum)
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
