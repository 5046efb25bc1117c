//! Holds the house: who may know whom, read from the `use crate::` lines.

use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what it may name with `crate::`.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("runbook", &["domain"]),
    ("incident", &["domain"]),
    ("compare", &["domain"]),
    ("core", &["domain", "runbook", "incident", "compare"]),
    ("view", &["core", "domain", "runbook", "incident", "compare"]),
    ("providers", &["domain", "compare"]),
    ("config", &["domain", "providers", "runbook"]),
    ("runtime", &["core", "view", "providers", "incident", "domain", "config", "runbook", "compare"]),
    ("sandbox", &["domain"]),
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn modules_know_only_whom_they_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, may) in MAY_KNOW {
        for file in sources(&src.join(module)) {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                for name in line.split("crate::").skip(1) {
                    let known: String =
                        name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    if known != *module && !known.is_empty() && !may.contains(&known.as_str()) {
                        wrong.push(format!(
                            "{}:{}: {module} may not know {known}",
                            file.display(),
                            number + 1
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
