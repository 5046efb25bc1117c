//! Which runbooks there are: the service's own folder first, then the ones drtui ships.

use std::fs;

use super::Config;

/// Larger files are not runbooks.
const MAX_BYTES: u64 = 4 << 20;

/// Runbooks in the binary: file name and text.
pub const BUILT_IN: &[(&str, &str)] =
    &[("loss-of-data.md", include_str!("../../config/runbooks/loss-of-data.md"))];

/// All runbooks as (file name, text), the service's own first, each group by name. A shipped one is left out when the
/// folder has one of the same file name. Files that cannot be read are left out and logged.
pub fn runbooks(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Some(dir) = config.runbook_dir() {
        let mut files: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
        files.sort();
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_none_or(|e| e != "md") || name.eq_ignore_ascii_case("README.md") {
                continue;
            }
            if fs::metadata(&path).is_ok_and(|m| m.len() > MAX_BYTES) {
                tracing::warn!(file = %path.display(), "runbook is too large, left out");
                continue;
            }
            match fs::read_to_string(&path) {
                Ok(text) => found.push((name, text)),
                Err(error) => tracing::warn!(file = %path.display(), %error, "cannot read runbook"),
            }
        }
    }
    for (name, text) in BUILT_IN {
        if !found.iter().any(|(n, _)| n == name) {
            found.push((format!("built-in {name}"), (*text).to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_services_own_come_first_and_readme_is_none() {
        let dir = std::env::temp_dir().join(format!("drtui-runbooks-{}", std::process::id()));
        fs::create_dir_all(dir.join("runbooks")).unwrap();
        for name in ["b.md", "a.md", "README.md", "notes.txt"] {
            fs::write(dir.join("runbooks").join(name), format!("# {name}")).unwrap();
        }
        let text = include_str!("../../config/drtui.example.toml");
        let config = Config::parse(&dir.join("drtui.toml"), text).unwrap();
        let own: Vec<_> = runbooks(&config).into_iter().map(|(n, _)| n).take(2).collect();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(own, ["a.md", "b.md"]);
        let config = Config::parse(Path::new("/nonexistent/drtui.toml"), text).unwrap();
        assert_eq!(runbooks(&config).len(), BUILT_IN.len());
    }
}
