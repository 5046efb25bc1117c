//! Names of incidents and of their files: `2026-11-20-1134-rsm-production-loss-of-data`, the minute in UTC.

use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::event::Event;
use crate::domain::Utc;

/// Longest id, without a suffix.
pub const MAX: usize = 120;
/// What journal files end with.
pub const EXTENSION: &str = "jsonl";

/// An id for an incident that opens at `at` (UTC).
pub fn make(at: Utc, service: &str, environment: &str, runbook: &str) -> String {
    let name = format!("{}-{service}-{environment}-{runbook}", at.format("%Y-%m-%d-%H%M"));
    let mut id: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    while id.contains("--") {
        id = id.replace("--", "-");
    }
    id.truncate(MAX);
    id.trim_matches('-').to_owned()
}

/// True for what may name an incident, and so a file.
pub fn is_valid(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX + 3
        && !id.starts_with('-')
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The journal of incident `id`.
pub fn path(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.{EXTENSION}"))
}

/// The id that a journal's file name gives.
pub fn of_path(path: &Path) -> String {
    path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The id that an opening event asks for, or a made one.
pub(super) fn of(opened: &Event, at: Utc) -> Result<String, JournalError> {
    let Event::Opened { incident, runbook, service, environment, .. } = opened else {
        return Err(JournalError::NotOpening);
    };
    let id = if incident.is_empty() { make(at, service, environment, &runbook.id) } else { incident.clone() };
    if is_valid(&id) { Ok(id) } else { Err(JournalError::BadId { id, max: MAX }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_always_a_safe_file_name() {
        let at = "2026-11-20T11:34:59Z".parse().unwrap();
        assert_eq!(
            make(at, "rsm", "production", "loss-of-data"),
            "2026-11-20-1134-rsm-production-loss-of-data"
        );
        assert_eq!(make(at, "../../etc", "Ünder Score", "x"), "2026-11-20-1134-etc-nder-score-x");
        assert!(is_valid(&make(at, &"long ".repeat(100), "", "")));
        assert!(!is_valid("../x") && !is_valid("") && !is_valid("-rf") && !is_valid("A"));
    }
}
