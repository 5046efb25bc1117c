//! What a running server really uses, read from `/proc` where there is one. Elsewhere: nothing, rather than a guess.

use std::fs;

/// Linux reports CPU time in hundredths of a second to user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a postmaster and its children use at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// CPU seconds since the postmaster's start, ended children included.
    pub cpu_seconds: f64,
    /// Memory in bytes; shared pages are counted once where the kernel tells.
    pub memory_bytes: u64,
}

/// Reads the usage of the postmaster `pid`. `None` without `/proc`, or once it has ended.
pub fn read(pid: i32) -> Option<Usage> {
    let own = stat(pid)?;
    let mut cpu = own.own_ticks + own.reaped_ticks;
    let mut memory = memory(pid).unwrap_or_default();
    for child in children(pid) {
        // A child may end while we look; its time then shows up in the postmaster's.
        if let Some(stat) = stat(child) {
            cpu += stat.own_ticks + stat.reaped_ticks;
            memory += self::memory(child).unwrap_or_default();
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "hundredths of seconds of one run")]
    Some(Usage { cpu_seconds: cpu as f64 / TICKS_PER_SECOND, memory_bytes: memory })
}

#[derive(Debug, PartialEq)]
struct Stat {
    own_ticks: u64,
    reaped_ticks: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state ppid …`; the name may hold spaces and brackets. Fields are counted after the last bracket.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat { own_ticks: number(11)? + number(12)?, reaped_ticks: number(13)? + number(14)? })
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|p| p.parse().ok()).collect()
}

/// Proportional set size: each shared page is divided among those who share it.
fn memory(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let text = "77 (post (gres) x) S 1 77 77 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 99 1 1";
        assert_eq!(parse_stat(text), Some(Stat { own_ticks: 200, reaped_ticks: 50 }));
        assert_eq!(parse_stat("77 (x) S 1"), None);
    }
}
