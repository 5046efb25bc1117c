//! Job control: whether stopping makes sense.

use nix::unistd::{Pid, getpgid, getpgrp, getppid, getsid};

/// True if a stopped job of ours can be continued: our group is not orphaned, that is, the parent of its leader is in
/// our session and in another group. Not so for a session leader (`ssh host drtui`, a window of its own in tmux).
pub(in crate::runtime) fn a_shell_waits() -> bool {
    let group = getpgrp();
    let leader_parent = if group == Pid::this() { Some(getppid()) } else { parent_of(group) };
    // The leader may have ended before us; then ask for our own parent.
    let parent = leader_parent.unwrap_or_else(getppid);
    getsid(Some(parent)).is_ok() && getsid(Some(parent)) == getsid(None) && getpgid(Some(parent)) != Ok(group)
}

/// The parent of `process`, from Linux's process table; `None` elsewhere.
fn parent_of(process: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; state and parent follow it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_parent_is_found() {
        assert_eq!(parent_of(Pid::this()), Some(getppid()));
    }
}
