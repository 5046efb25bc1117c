//! The words of the journal. Every line of a journal file is one [`Entry`]; its meaning is its [`Event`].
//! Old journals must stay readable: add variants and optional fields, never rename or remove.

use serde::{Deserialize, Serialize};

use crate::domain::{
    Backend, CompareRequest, DeploymentKey, HandOff, Hpa, Sensed, ServerClass, Tool, TunnelId, TunnelRequest,
    Utc,
};

/// One line of a journal: an event with its place in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// 1 for the first line, without gaps.
    pub seq: u64,
    pub at: Utc,
    /// Who was at the keyboard: `user@host`.
    pub who: String,
    pub event: Event,
    /// Hash of the previous line, lower-case hex; 64 zeros on the first line.
    pub prev: String,
    /// SHA-256 over this line without this field, lower-case hex.
    pub hash: String,
}

/// Who is named for what the cockpit sensed by itself: nobody typed it.
pub const SENSED: &str = "drtui (sensed)";

impl Entry {
    /// Whom a reader should hold this line to: the person at the keyboard, or the cockpit for what it sensed itself.
    pub fn author(&self) -> &str {
        match self.event {
            Event::Observed { .. } | Event::Undone { .. } => SENSED,
            _ => &self.who,
        }
    }
}

/// The four marks of a checklist item, readable without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// `[ ]`
    Open,
    /// `[x]` verified by a probe, accepted by a person.
    Verified,
    /// `[~]` said done, not verified.
    Said,
    /// `[!]` overridden: who and why are on record.
    Overridden,
}

impl Mark {
    /// The mark as drawn and reported.
    pub fn sign(self) -> &'static str {
        match self {
            Mark::Open => "[ ]",
            Mark::Verified => "[x]",
            Mark::Said => "[~]",
            Mark::Overridden => "[!]",
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Mark::Open => "open",
            Mark::Verified => "verified",
            Mark::Said => "said done",
            Mark::Overridden => "overridden",
        }
    }
}

/// Which runbook an incident follows, pinned by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunbookRef {
    /// Front matter `runbook`, e.g. `loss-of-data`.
    pub id: String,
    pub title: String,
    pub version: u32,
    /// SHA-256 of the Markdown text, lower-case hex.
    pub sha256: String,
}

/// An item as the runbook had it when the incident opened: lets the journal alone say what was never answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedItem {
    /// Stable id in the runbook.
    pub id: String,
    pub title: String,
    /// Title of its section.
    pub section: String,
    /// `tech`, `comms` or `support`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Estimate in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<u32>,
}

/// Something done to the outside world, or a look into it that belongs on the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Set `spec.replicas` of a deployment from `from` to `to`; refused if it is not `from` any more.
    Scale { deployment: DeploymentKey, from: i32, to: i32 },
    /// Sandbox only: inject a named disaster.
    SandboxDisaster { name: String },
    /// Open a way to a database server through a pod.
    OpenTunnel { request: Box<TunnelRequest> },
    /// Give the terminal to a program that is connected through a tunnel.
    HandOff { hand_off: Box<HandOff>, which: ServerClass, server: String, database: String },
    /// Delete a pod that an earlier run made for a tunnel and left behind.
    DeletePod { namespace: String, pod: String },
    /// Compare the live database with a restored copy, reading only. Its outcome holds counts and times, never a row.
    Compare { request: Box<CompareRequest> },
}

impl Action {
    /// True if it changes the world outside, or opens a session that may: only through the guard, and armed.
    pub fn is_change(&self) -> bool {
        match self {
            Action::Scale { .. } | Action::SandboxDisaster { .. } | Action::DeletePod { .. } => true,
            Action::OpenTunnel { request } => request.own_pod || request.unverified,
            Action::Compare { request } => request.own_pod,
            Action::HandOff { hand_off, .. } => !hand_off.read_only,
        }
    }

    /// The command line that would do the same, for the guard and the record.
    pub fn command_line(&self) -> String {
        match self {
            Action::Scale { deployment, to, .. } => format!(
                "kubectl -n {} scale deployment {} --replicas {to}",
                deployment.namespace, deployment.name
            ),
            Action::SandboxDisaster { name } => format!("drtui sandbox disaster {name}"),
            Action::OpenTunnel { request } => tunnel_line(request),
            Action::HandOff { hand_off, server, database, .. } => {
                let args: String = hand_off.args.iter().map(|a| format!(" {}", quoted(a))).collect();
                match hand_off.tool {
                    Tool::Shell => format!("$SHELL with {server}/{database} in its environment"),
                    Tool::RedisCli => format!("redis-cli{args}"),
                    tool => format!("{} -h {server} -d {database}{args}", tool.word()),
                }
            }
            Action::DeletePod { namespace, pod } => format!("kubectl -n {namespace} delete pod {pod}"),
            Action::Compare { request } => {
                // The address holds a password, and the condition may hold somebody's data: both stay in the shell's
                // environment.
                let options: String =
                    request.options.arguments().iter().map(|a| format!(" {}", quoted(a))).collect();
                let condition = request.options.filter.as_ref().map_or("", |_| " --where \"$CONDITION\"");
                format!(
                    "drtui compare --live \"$LIVE_URL\" --restored @{}{options}{condition}",
                    request.restored
                )
            }
        }
    }
}

fn tunnel_line(request: &TunnelRequest) -> String {
    let mut line = format!("drtui tunnel -n {}", request.app.namespace);
    if request.own_pod {
        line.push_str(" -x");
    }
    if let Some(server) = &request.server {
        line.push_str(&format!(" -s {server}"));
    }
    if request.unverified {
        let server = request.server.as_deref().unwrap_or_default();
        line.push_str(&format!(" --tls-unverified {server}.postgres.database.azure.com"));
    }
    if let Some(database) = &request.database {
        line.push_str(&format!(" -b {}", quoted(database)));
    }
    if request.backend == Backend::Redis {
        // What tells drtui that it is redis that is meant.
        return format!("{line} {} -- redis-cli", request.app.name);
    }
    let port = request.local_port.unwrap_or(0);
    format!("{line} --listen {port} {}", request.app.name)
}

/// `word` as a shell reads it as one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How an action ended. `Unknown` means that nobody can say: the answer was lost; sense before trying again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Done { result: String },
    Failed { why: String },
    Unknown { why: String },
}

/// What a change replaced, enough to put it back exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum UndoKind {
    /// Put `spec.replicas` back to `replicas`. The autoscaler is recorded; Kubernetes resumes it above 0.
    Replicas { deployment: DeploymentKey, replicas: i32, hpa: Option<Hpa> },
    /// No pod stood for these tunnels: delete those that were made for them.
    TunnelPods { namespace: String, tunnels: Vec<TunnelId>, server: String },
}

impl UndoKind {
    /// The deployment whose replicas were captured, and how many.
    pub fn replicas(&self) -> Option<(&DeploymentKey, i32)> {
        match self {
            UndoKind::Replicas { deployment, replicas, .. } => Some((deployment, *replicas)),
            UndoKind::TunnelPods { .. } => None,
        }
    }
}

/// An entry of the open-undo ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Unique in the incident: `u1`, `u2`, …
    pub id: String,
    #[serde(flatten)]
    pub kind: UndoKind,
    /// Checklist item that is to undo it, if the runbook says so.
    pub due: Option<String>,
}

/// What can happen in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// First entry of every journal.
    Opened {
        incident: String,
        runbook: RunbookRef,
        service: String,
        environment: String,
        production: bool,
        /// A drill: stamped EXERCISE everywhere.
        exercise: bool,
        /// When the disruption began, if known (UTC).
        disrupted_at: Option<Utc>,
        /// When it was noticed (UTC).
        detected_at: Option<Utc>,
        /// The cluster, or the run of a sandbox: an incident is resumed only where it was opened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
    },
    /// What the runbook plans and promises. Second entry of a journal; without it the report says that the number of
    /// items never answered is not known.
    Planned {
        goal: String,
        condition: String,
        /// Agreed objectives in minutes; `None` = not agreed.
        rto_minutes: Option<u32>,
        rpo_minutes: Option<u32>,
        items: Vec<PlannedItem>,
    },
    /// The cockpit came back to an open incident after a stop or crash. `notes` says what was re-sensed.
    Resumed {
        notes: Vec<String>,
    },
    Armed {
        until: Utc,
    },
    Disarmed {
        why: String,
    },
    /// A checklist item was answered. `item` is its stable id in the runbook.
    Answered {
        item: String,
        title: String,
        mark: Mark,
        /// What was on screen when the person answered.
        sensed: Option<Sensed>,
        /// Why it was overridden, or what the person added.
        reason: Option<String>,
    },
    /// An answered item was opened again, by a person or because the world says otherwise.
    Reopened {
        item: String,
        title: String,
        why: String,
    },
    Noted {
        text: String,
        item: Option<String>,
    },
    /// The state before a change, on record before the change: opens an undo.
    Captured {
        undo: Undo,
    },
    /// A change is about to be made. Written and fsynced before it is sent.
    Intended {
        /// Unique in the incident: `a1`, `a2`, …
        id: String,
        action: Action,
        /// Equivalent command line.
        command: String,
        /// Ledger entry this action puts back, if it is an undo.
        undoes: Option<String>,
    },
    /// How the change with the same id ended.
    Finished {
        id: String,
        outcome: Outcome,
    },
    /// A ledger entry was put back, and sensed so.
    Undone {
        undo: String,
        how: String,
    },
    /// A ledger entry will not be put back: who decided is `Entry::who`.
    Waived {
        undo: String,
        reason: String,
    },
    /// A waived ledger entry is to be put back after all.
    Unwaived {
        undo: String,
        why: String,
    },
    /// Something the providers reported that belongs on the record.
    Observed {
        what: String,
        source: String,
    },
    Closed {
        summary: String,
    },
}
