//! Pods that a killed drtui left behind: said at the next start, listed and deleted when asked.

use std::io::{self, BufRead, IsTerminal, Write};

use super::options::Plan;
use super::{NO_TUNNEL, say};
use crate::domain::Orphan;
use crate::providers::tunnel::Opener;

/// Says that there are some, while the tunnel is opened. Never a reason not to open it.
pub async fn hint(opener: &Opener, plan: &Plan, quiet: bool) {
    // Whoever may not list pods has made none.
    let Ok(found) = opener.orphans(&plan.namespace).await else { return };
    if !found.is_empty() {
        let names: Vec<&str> = found.iter().map(|o| o.pod.as_str()).collect();
        let line = format!(
            "note: an earlier drtui left {} behind; drtui tunnel -n {} --orphans deletes them",
            names.join(", "),
            plan.namespace
        );
        say(quiet, &line);
    }
}

/// `--orphans`: lists them, and deletes them when a person says so.
pub async fn run(opener: &Opener, plan: &Plan) -> u8 {
    let found = match opener.orphans(&plan.namespace).await {
        Ok(found) => found,
        Err(fault) => {
            say(false, &format!("drtui: {fault}"));
            return NO_TUNNEL;
        }
    };
    if found.is_empty() {
        say(false, &format!("No pod of yours was left behind in {}.", plan.namespace));
        return 0;
    }
    for orphan in &found {
        say(false, &line(orphan));
    }
    if !asked(&format!("Delete {}? [y/N] ", if found.len() == 1 { "it" } else { "them" })) {
        return 1;
    }
    for orphan in &found {
        match opener.delete_pod(&orphan.namespace, &orphan.pod).await {
            Ok(()) => say(false, &format!("deleted {}/{}", orphan.namespace, orphan.pod)),
            Err(fault) => {
                say(false, &format!("drtui: {fault}"));
                return NO_TUNNEL;
            }
        }
    }
    0
}

fn line(orphan: &Orphan) -> String {
    let time = |at: Option<crate::domain::Utc>| {
        at.map_or("?".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
    };
    format!(
        "{}/{} made by {} at {}, ends by itself at {}",
        orphan.namespace,
        orphan.pod,
        orphan.owner,
        time(orphan.created),
        time(orphan.ends_at)
    )
}

/// A person's yes: typed, or piped in by somebody who means it.
fn asked(question: &str) -> bool {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if !io::stdin().is_terminal() {
        let _ = writeln!(err);
    }
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
