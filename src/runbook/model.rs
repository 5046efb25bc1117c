//! What a runbook says, typed. `parse` makes it from Markdown; `docs/runbooks.md` describes the format.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// A runbook, parsed and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    /// Front matter `runbook`, e.g. `loss-of-data`; for a plain document the slug of its title.
    pub id: String,
    /// First heading.
    pub title: String,
    pub version: u32,
    /// When this is the right runbook, e.g. "server is listed in Azure; rows are missing or wrong".
    pub condition: String,
    /// What it is to reach, in one sentence.
    pub goal: String,
    /// Agreed recovery time objective in minutes; `None` = not agreed, and shown as such.
    pub rto_minutes: Option<u32>,
    /// Agreed recovery point objective in minutes; `None` = not agreed.
    pub rpo_minutes: Option<u32>,
    /// At most three lines that are known by heart.
    pub memory: Vec<String>,
    /// When people last went through it (front matter `last_reviewed_on`).
    pub last_reviewed_on: Option<NaiveDate>,
    /// When it is to be reviewed again: `last_reviewed_on` plus `review_in`.
    pub review_by: Option<NaiveDate>,
    pub sections: Vec<Section>,
    /// SHA-256 of the Markdown text, lower-case hex.
    pub sha256: String,
    /// True if the document has no `dr` block: a manual checklist.
    pub plain: bool,
}

impl Runbook {
    /// All items in order, sub-items after their parents.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.sections.iter().flat_map(|s| s.items.iter())
    }

    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items().find(|i| i.id == id)
    }
}

/// A phase of the runbook: at most ten items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    pub id: String,
    pub title: String,
    /// Prose before the first item, as plain text paragraphs.
    pub notes: Vec<String>,
    pub items: Vec<Item>,
}

/// One thing to do and to answer for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Slug of the title, unique in the runbook and stable as long as the title is.
    pub id: String,
    pub title: String,
    /// 0 for an item, 1 for a sub-item.
    pub depth: u8,
    pub role: Option<Role>,
    /// Estimate in minutes.
    pub estimate: Option<u32>,
    /// Shown boxed on the first screen.
    pub memory: bool,
    /// Prose as plain text paragraphs, shown on request.
    pub notes: Vec<String>,
    pub links: Vec<Link>,
    /// Command lines found in the text, to be copied.
    pub commands: Vec<String>,
    /// What to look at before answering.
    pub sense: Option<Probe>,
    /// What the sensed value must be for the item to be verified.
    pub verify: Option<Expect>,
    /// Whose replicas to record before the change.
    pub capture: Option<Scope>,
    /// The change this item makes.
    pub action: Option<Do>,
    /// Id of the item at which what this item changes is put back.
    pub undo: Option<String>,
    /// What kind of value is recorded when it is said done; `None`: any words, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
}

/// `record: time`, `record: time utc`, `record: full | partial`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An instant: read like the times of the incident's form, recorded in both zones.
    Time,
    /// The same, but a time without a zone is UTC.
    TimeUtc,
    /// One of these words.
    OneOf(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Tech,
    Comms,
    Support,
}

impl Item {
    /// True if the answer is a fact that somebody has to say: the item says what it records, or nothing is sensed and the
    /// title begins with *Record*, *Name* or *Choose*.
    pub fn wants_value(&self) -> bool {
        if self.record.is_some() {
            return true;
        }
        let asks = ["Record ", "Name ", "Choose "].iter().any(|verb| self.title.starts_with(verb));
        asks && self.sense.is_none() && self.action.is_none()
    }
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Role::Tech => "tech",
            Role::Comms => "comms",
            Role::Support => "support",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub text: String,
    pub url: String,
}

/// A question that the cockpit can answer from what its providers know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "snake_case")]
pub enum Probe {
    /// `replicas.wanted(app)`: sum of `spec.replicas`. A number.
    ReplicasWanted { scope: Scope },
    /// `replicas.ready(app)`: sum of ready replicas. A number.
    ReplicasReady { scope: Scope },
    /// `server.state(live)`: Azure's word, e.g. `Ready`; `absent` when no such server is listed. A word.
    ServerState { which: Which },
    /// `server.count(ptr)`: how many such servers are listed. A number.
    ServerCount { which: Which },
    /// `service.health()`: `up` or `down`. A word.
    ServiceHealth,
    /// `undo.open()`: number of open undo entries in the ledger.
    UndoOpen,
    /// `compare.recoverable()`: rows that the copy can give back: lost on live, or changed there. A number.
    CompareRecoverable,
    /// `compare.differing()`: rows that differ, whichever side has more of them. A number.
    CompareDiffering,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every deployment of the environment: `app`.
    App,
    /// `web`: the deployment named like the app (or `<app>-web`).
    Web,
    /// The deployment `<app>-<suffix>`, e.g. `worker`.
    Suffix(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    Live,
    Ptr,
}

/// `verify: == 0`, `verify: >= 1`, `verify: == Ready`, `verify: == captured`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    pub compare: Compare,
    pub value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    Number(i64),
    Word(String),
    /// What was recorded before the change (sum of captured replicas in the probe's scope).
    Captured,
}

/// A change that an item makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Do {
    /// `scale(app, 0)`.
    Scale { scope: Scope, to: i32 },
    /// `restore(app)`: put captured replicas back.
    Restore { scope: Scope },
}
