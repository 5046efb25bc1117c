//! What the documents say is what the program does.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use drtui::core::command::{Danger, REGISTRY, Scope, label};
use drtui::core::panes::PaneId;

fn keys() -> String {
    let mut out = String::from(
        "# Keys and commands\n\nMade from the command registry; `DRTUI_UPDATE_DOCS=1 cargo test --test it docs` writes it anew. \
         Every command also runs from the palette (`:`) by its name.\n",
    );
    let mut table = |title: &str, scope: Scope| {
        writeln!(out, "\n## {title}\n\n| key | command | what it does |\n| --- | --- | --- |").unwrap();
        for spec in REGISTRY.iter().filter(|s| s.scope == scope && s.name != "panic") {
            let keys: Vec<String> = spec.keys.iter().map(|k| format!("`{}`", label(k))).collect();
            let name = format!("{} {}", spec.name, spec.argument);
            let danger = match spec.danger {
                Danger::Safe => "",
                Danger::Guarded => " **Guarded: armed only.**",
                Danger::Sandbox => " **Sandbox only, guarded.**",
            };
            writeln!(out, "| {} | `{}` | {}.{danger} |", keys.join(" "), name.trim(), spec.summary).unwrap();
        }
    };
    for pane in PaneId::ALL {
        if REGISTRY.iter().any(|s| s.scope == Scope::Pane(pane)) {
            table(pane.title(), Scope::Pane(pane));
        }
    }
    table("Everywhere", Scope::Everywhere);
    out
}

#[test]
fn the_key_list_is_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keys.md");
    if std::env::var_os("DRTUI_UPDATE_DOCS").is_some() {
        fs::write(&path, keys()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == keys(), "docs/keys.md is out of date: DRTUI_UPDATE_DOCS=1 cargo test --test it docs");
}

#[test]
fn links_of_the_documents_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["README.md", "CHANGELOG.md", "docs/runbooks.md", "docs/keys.md"] {
        let text = fs::read_to_string(root.join(name)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                let path = root.join(name).parent().unwrap().join(file);
                assert!(path.exists(), "{name} links {target}, which is not there");
            }
        }
    }
}

#[test]
fn the_example_configuration_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/drtui.example.toml");
    let config = drtui::config::Config::load(&path).unwrap();
    assert!(config.target(None).unwrap().production);
}
