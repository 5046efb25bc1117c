//! The command registry: keys, palette, footer, help, `docs/keys.md` and danger all read this one table.
//! A command that is not here does not exist.

use serde::{Deserialize, Serialize};

use super::panes::PaneId;

/// Everything a person can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    Help,
    Palette,
    Filter,
    FocusNext,
    FocusPrevious,
    FocusChecklist,
    FocusReplicas,
    FocusPostgres,
    FocusTunnels,
    FocusCompare,
    FocusTimeline,
    Zoom,
    Up,
    Down,
    First,
    Last,
    HalfUp,
    HalfDown,
    PageUp,
    PageDown,
    Retry,
    Incident,
    Arm,
    Disarm,
    Note,
    UpdateSent,
    UpdateNotSent,
    Ledger,
    Copy,
    Messages,
    Mouse,
    Theme,
    Redraw,
    Suspend,
    Close,
    Quit,
    Answer,
    Do,
    Reopen,
    Details,
    Mark,
    MarkAll,
    ScaleToZero,
    Scale,
    Restore,
    OpenTunnel,
    CloseTunnel,
    Reconnect,
    DeletePod,
    Psql,
    PsqlWrite,
    PgDump,
    PgRestore,
    RedisCli,
    Shell,
    Compare,
    CancelCompare,
    Open,
    Back,
    ColumnsLeft,
    ColumnsRight,
    NextDifference,
    PreviousDifference,
    FetchMore,
    MarkRepair,
    HowCompared,
    CopyCsv,
    CopyJson,
    CopyInsert,
    AskBoth,
    Disaster,
    Panic,
}

/// Where a command works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    Everywhere,
    Pane(PaneId),
}

/// How dangerous a command is: read-only refuses everything but `Safe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Danger {
    /// Changes nothing outside the cockpit and its journal.
    Safe,
    /// Changes the outside world: through the guard, armed only.
    Guarded,
    /// Changes the sandbox only: through the guard, no arming.
    Sandbox,
}

/// One row of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub command: Command,
    /// Name in the palette, also typed after `:`.
    pub name: &'static str,
    /// What may follow the name.
    pub argument: &'static str,
    pub keys: &'static [&'static str],
    pub scope: Scope,
    pub danger: Danger,
    /// A few words for the footer; empty: not in the footer.
    pub hint: &'static str,
    pub summary: &'static str,
}

const ALL: Scope = Scope::Everywhere;
const LIST: Scope = Scope::Pane(PaneId::Checklist);
const REPLICAS: Scope = Scope::Pane(PaneId::Replicas);
const TUNNELS: Scope = Scope::Pane(PaneId::Tunnels);
const COMPARE: Scope = Scope::Pane(PaneId::Compare);

#[allow(clippy::too_many_arguments)] // A table row reads best on one line.
const fn row(
    command: Command,
    name: &'static str,
    argument: &'static str,
    keys: &'static [&'static str],
    scope: Scope,
    danger: Danger,
    hint: &'static str,
    summary: &'static str,
) -> Spec {
    Spec { command, name, argument, keys, scope, danger, hint, summary }
}

/// The registry, in the order in which help shows it.
#[rustfmt::skip]
pub const REGISTRY: &[Spec] = &[
    row(Command::Answer, "answer", "", &["enter"], LIST, Danger::Safe, "answer", "Answer the item: the sensed value is shown first"),
    row(Command::Do, "do", "", &["d"], LIST, Danger::Guarded, "do it", "Make the item's change, through the guard"),
    row(Command::Reopen, "reopen", "", &["x"], LIST, Danger::Safe, "", "Open an answered item again, saying why"),
    row(Command::Details, "details", "", &["v"], LIST, Danger::Safe, "details", "The item's notes, links, commands and evidence"),
    row(Command::Mark, "mark", "", &["space"], REPLICAS, Danger::Safe, "mark", "Mark the deployment, or take the mark away"),
    row(Command::MarkAll, "mark-all", "", &["a"], REPLICAS, Danger::Safe, "all", "Mark every deployment shown, or none"),
    row(Command::ScaleToZero, "scale-to-zero", "", &["s"], REPLICAS, Danger::Guarded, "scale to 0", "Scale the marked deployments to 0, previous counts captured"),
    row(Command::Scale, "scale", "N", &[], REPLICAS, Danger::Guarded, "", "Scale the marked deployments to N replicas"),
    row(Command::Psql, "psql", "ARGS", &["p"], TUNNELS, Danger::Safe, "psql, read-only", "psql in the selected tunnel, in a read-only session"),
    row(Command::PsqlWrite, "psql-write", "ARGS", &["P"], TUNNELS, Danger::Guarded, "", "psql in the selected tunnel, able to write, through the guard"),
    row(Command::PgDump, "pg_dump", "ARGS", &["d"], TUNNELS, Danger::Safe, "pg_dump", "pg_dump through the selected tunnel; its arguments are asked for"),
    row(Command::PgRestore, "pg_restore", "ARGS", &["R"], TUNNELS, Danger::Guarded, "", "pg_restore through the selected tunnel, through the guard"),
    row(Command::RedisCli, "redis-cli", "ARGS", &[], TUNNELS, Danger::Guarded, "", "redis-cli in the selected tunnel to a Redis, through the guard: Redis has no read-only session"),
    row(Command::Shell, "shell", "", &["s"], TUNNELS, Danger::Safe, "shell", "Your shell with the tunnel's connection in its environment, read-only"),
    row(Command::CloseTunnel, "tunnel-close", "", &["x"], TUNNELS, Danger::Safe, "close", "Close the selected tunnel, and delete the pod that was made for it"),
    row(Command::Reconnect, "tunnel-reconnect", "", &["c"], TUNNELS, Danger::Safe, "", "Look for the selected tunnel's way again now; its local port stays"),
    row(Command::DeletePod, "delete-pod", "", &["X"], TUNNELS, Danger::Guarded, "delete pod", "Delete the selected pod that an earlier run left behind"),
    row(Command::Open, "open", "", &["enter"], COMPARE, Danger::Safe, "open", "Into the table, the row, the value"),
    row(Command::Back, "back", "", &["backspace"], COMPARE, Danger::Safe, "", "Out of the row, out of the table; Esc does so too"),
    row(Command::Compare, "compare", "SERVER", &["c"], COMPARE, Danger::Safe, "compare", "Compare live with the PTR copy, or with the named server; reads only"),
    row(Command::CancelCompare, "compare-stop", "", &["x"], COMPARE, Danger::Safe, "stop", "Stop the comparison, on the servers too"),
    row(Command::NextDifference, "next-difference", "", &["]"], COMPARE, Danger::Safe, "difference", "To the next difference"),
    row(Command::PreviousDifference, "previous-difference", "", &["["], COMPARE, Danger::Safe, "", "To the difference before"),
    row(Command::ColumnsRight, "columns-right", "", &["right", "l"], COMPARE, Danger::Safe, "columns", "Scroll the columns; the key stays in view"),
    row(Command::ColumnsLeft, "columns-left", "", &["left", "h"], COMPARE, Danger::Safe, "", "Scroll the columns back"),
    row(Command::FetchMore, "fetch", "", &["f"], COMPARE, Danger::Safe, "fetch more", "More rows than are listed, or the whole of a value that was cut; reads both databases again"),
    row(Command::MarkRepair, "mark-repair", "", &["space"], COMPARE, Danger::Safe, "mark", "Mark the row for a repair, or take the mark away"),
    row(Command::HowCompared, "how", "", &["v"], COMPARE, Danger::Safe, "how", "How the table was compared: path, gates, definitions, notes"),
    row(Command::AskBoth, "select", "", &["s"], COMPARE, Danger::Safe, "query both", "Ask both databases one SELECT, read-only, limited and timed"),
    row(Command::CopyCsv, "copy-csv", "", &["C"], COMPARE, Danger::Safe, "", "Copy the row as CSV"),
    row(Command::CopyJson, "copy-json", "", &["J"], COMPARE, Danger::Safe, "", "Copy the row as JSON"),
    row(Command::CopyInsert, "copy-insert", "", &["I"], COMPARE, Danger::Safe, "", "Copy the row as an INSERT of the version that live lacks"),
    row(Command::OpenTunnel, "tunnel", "SERVER", &["t"], ALL, Danger::Safe, "tunnel", "Open a tunnel to `live`, `ptr`, `redis` (the app's) or a server by name; without one a form asks"),
    row(Command::Restore, "restore", "", &["b"], ALL, Danger::Guarded, "put back", "Put back exactly the replicas that were captured"),
    row(Command::Incident, "incident", "", &["i"], ALL, Danger::Safe, "incident", "Open an incident: its journal starts here"),
    row(Command::Arm, "arm", "15m", &[], ALL, Danger::Safe, "", "Allow changes for a bounded time (1m to 60m)"),
    row(Command::Disarm, "disarm", "", &[], ALL, Danger::Safe, "", "Back to read-only"),
    row(Command::Note, "note", "TEXT", &["n"], ALL, Danger::Safe, "note", "Write a note into the timeline"),
    row(Command::UpdateSent, "update-sent", "", &["U"], ALL, Danger::Safe, "", "Record that stakeholders were updated; the next is due in 30 minutes"),
    row(Command::UpdateNotSent, "update-not-sent", "", &[], ALL, Danger::Safe, "", "Take the last record of an update back; it stays in the journal"),
    row(Command::Ledger, "ledger", "", &["L"], ALL, Danger::Safe, "undo ledger", "What was changed and must still be put back"),
    row(Command::Filter, "filter", "TEXT", &["/"], ALL, Danger::Safe, "filter", "Show only rows that match: words, !word, field:word"),
    row(Command::Copy, "copy", "", &["y"], ALL, Danger::Safe, "copy", "Copy the selected row's command or text"),
    row(Command::Retry, "retry", "", &["r"], ALL, Danger::Safe, "", "Ask every source again now"),
    row(Command::Messages, "messages", "", &["M"], ALL, Danger::Safe, "", "Messages so far"),
    row(Command::FocusChecklist, "checklist", "", &["1"], ALL, Danger::Safe, "", "Go to the checklist"),
    row(Command::FocusReplicas, "replicas", "", &["2"], ALL, Danger::Safe, "", "Go to the replicas"),
    row(Command::FocusPostgres, "postgres", "", &["3"], ALL, Danger::Safe, "", "Go to the Postgres servers"),
    row(Command::FocusTunnels, "tunnels", "", &["5"], ALL, Danger::Safe, "", "Go to the tunnels"),
    row(Command::FocusCompare, "compare-pane", "", &["6"], ALL, Danger::Safe, "", "Go to the comparison"),
    row(Command::FocusTimeline, "timeline", "", &["7"], ALL, Danger::Safe, "", "Go to the timeline"),
    row(Command::FocusNext, "next-pane", "", &["tab"], ALL, Danger::Safe, "", "Next pane"),
    row(Command::FocusPrevious, "previous-pane", "", &["backtab"], ALL, Danger::Safe, "", "Previous pane"),
    row(Command::Zoom, "zoom", "", &["z"], ALL, Danger::Safe, "", "One pane on the whole screen, or all again"),
    row(Command::Up, "up", "", &["k", "up"], ALL, Danger::Safe, "", "Up"),
    row(Command::Down, "down", "", &["j", "down"], ALL, Danger::Safe, "", "Down"),
    row(Command::First, "first", "", &["g", "home"], ALL, Danger::Safe, "", "First row"),
    row(Command::Last, "last", "", &["G", "end"], ALL, Danger::Safe, "", "Last row"),
    row(Command::HalfUp, "half-page-up", "", &["ctrl-u"], ALL, Danger::Safe, "", "Half a page up"),
    row(Command::HalfDown, "half-page-down", "", &["ctrl-d"], ALL, Danger::Safe, "", "Half a page down"),
    row(Command::PageUp, "page-up", "", &["pageup"], ALL, Danger::Safe, "", "A page up"),
    row(Command::PageDown, "page-down", "", &["pagedown"], ALL, Danger::Safe, "", "A page down"),
    row(Command::Mouse, "mouse", "", &["m"], ALL, Danger::Safe, "", "Release the mouse for the terminal's own selection, or take it back"),
    row(Command::Theme, "theme", "NAME", &["T"], ALL, Danger::Safe, "", "Next theme, or the named one"),
    row(Command::Help, "help", "", &["?", "f1"], ALL, Danger::Safe, "", "Keys and commands, this pane's first"),
    row(Command::Palette, "palette", "", &[":"], ALL, Danger::Safe, "", "Find a command by name"),
    row(Command::Redraw, "redraw", "", &["ctrl-l"], ALL, Danger::Safe, "", "Draw the screen anew"),
    row(Command::Suspend, "suspend", "", &["ctrl-z"], ALL, Danger::Safe, "", "Back to the shell; `fg` returns"),
    row(Command::Close, "close", "", &[], ALL, Danger::Safe, "", "Close the incident; refused while an undo is open"),
    row(Command::Disaster, "disaster", "rows-deleted", &[], ALL, Danger::Sandbox, "", "Sandbox only: make a disaster happen"),
    row(Command::Quit, "quit", "", &["q", "ctrl-c"], ALL, Danger::Safe, "", "Leave; an open incident stays open and is resumed next time"),
    row(Command::Panic, "panic", "", &[], ALL, Danger::Safe, "", "Test switch: panic"),
];

impl Command {
    /// The command's row.
    pub fn spec(self) -> Option<&'static Spec> {
        REGISTRY.iter().find(|s| s.command == self)
    }

    /// The first key of the command as it is drawn: `Enter`, `^D`, `s`.
    pub fn key_label(self) -> Option<String> {
        self.spec().and_then(|s| s.keys.first()).map(|k| label(k))
    }
}

/// A key name as drawn.
pub fn label(key: &str) -> String {
    match key {
        "enter" => "Enter".into(),
        "space" => "Space".into(),
        "tab" => "Tab".into(),
        "backtab" => "S-Tab".into(),
        "up" => "↑".into(),
        "down" => "↓".into(),
        "left" => "←".into(),
        "right" => "→".into(),
        "backspace" => "BkSp".into(),
        "home" => "Home".into(),
        "end" => "End".into(),
        "pageup" => "PgUp".into(),
        "pagedown" => "PgDn".into(),
        "f1" => "F1".into(),
        other => {
            other.strip_prefix("ctrl-").map_or_else(|| other.to_owned(), |c| format!("^{}", c.to_uppercase()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_commands_share_a_name_or_a_key_in_a_scope() {
        let mut names = HashSet::new();
        for spec in REGISTRY {
            assert!(names.insert(spec.name), "{}", spec.name);
        }
        for pane in PaneId::ALL {
            let mut keys = HashSet::new();
            for spec in REGISTRY.iter().filter(|s| s.scope == ALL || s.scope == Scope::Pane(pane)) {
                for key in spec.keys {
                    assert!(keys.insert(*key), "{key} twice in {pane:?}");
                }
            }
        }
    }

    #[test]
    fn movement_keys_never_change_the_world() {
        for spec in REGISTRY.iter().filter(|s| s.danger != Danger::Safe) {
            for key in spec.keys {
                assert!(
                    !["j", "k", "g", "G", "ctrl-d", "ctrl-u", "enter", "space"].contains(key),
                    "{}",
                    spec.name
                );
            }
        }
    }

    #[test]
    fn every_command_has_a_row() {
        assert!(Command::Panic.spec().is_some() && Command::Help.spec().is_some());
    }
}
