//! The whole state of the cockpit, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;

use super::comparison::Comparison;
use super::layout::{self, Layout};
use super::msg::Held;
use super::overlays::Overlay;
use super::panes::{PaneId, Panes};
use super::session::Session;
use super::world::{World, trouble, trouble_short};
use crate::domain::{DeploymentKey, Phase, Source, Target, Utc, clock};
use crate::incident::Action;
use crate::runbook::Runbook;

/// How long a plain message stays in sight.
const TOAST: Duration = Duration::seconds(6);
/// How many messages are kept.
const MESSAGES_MAX: usize = 200;

/// What the cockpit starts with.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Start {
    pub now: Utc,
    pub size: (u16, u16),
    pub target: Target,
    /// `user@host`
    pub who: String,
    pub runbooks: Vec<Runbook>,
    pub theme: String,
    pub themes: Vec<String>,
    /// Enables `:panic`.
    pub test_switches: bool,
}

/// The state. Everything that is drawn follows from it.
#[derive(Debug, Clone)]
pub struct Model {
    pub now: Utc,
    pub size: (u16, u16),
    pub target: Target,
    pub who: String,
    pub runbooks: Vec<Runbook>,
    pub world: World,
    /// The last comparison of live with a copy.
    pub compare: Option<Comparison>,
    /// The last one of everything that went to its end, while a later one runs, was not finished or was of a part: it
    /// stays the evidence.
    pub earlier: Option<Box<Comparison>>,
    /// The open incident, if any.
    pub session: Option<Session>,
    /// Why no incident may be opened here: another cockpit holds the open one, or it is damaged.
    pub held: Option<Held>,
    /// True until the journals have been looked through for an open incident.
    pub looking: bool,
    /// Changes on their way, by action id.
    pub pending: BTreeMap<String, Pending>,
    /// Scaled deployments whose new count the watch has not shown yet: the count before, and since when.
    pub awaiting: BTreeMap<DeploymentKey, (i32, Utc)>,
    /// Drift already put on record: deployment and the count seen.
    pub drift_told: BTreeSet<(DeploymentKey, i32)>,
    pub armed_until: Option<Utc>,
    /// When the terminal was last asked for by a child program (UTC).
    pub handing_since: Option<Utc>,
    pub panes: Panes,
    pub focus: PaneId,
    pub zoom: bool,
    pub overlays: Vec<Overlay>,
    /// Typed into a prompt and not sent, by what it is about. In memory only.
    pub drafts: BTreeMap<String, String>,
    pub messages: Vec<Message>,
    /// What the messages are about that are told now.
    pub about: Option<About>,
    pub theme: String,
    pub themes: Vec<String>,
    pub mouse: bool,
    pub away: Away,
    pub test_switches: bool,
    pub quit: bool,
}

/// A change that has been asked for and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    pub action: Action,
    /// False while its intent is not on disk yet.
    pub running: bool,
    /// True once it has ended and its outcome is on its way to the journal: until it is on record there, what the
    /// providers say about it is no news.
    pub ended: bool,
}

impl Pending {
    /// True if it changes this deployment.
    pub fn is_about(&self, key: &DeploymentKey) -> bool {
        matches!(&self.action, Action::Scale { deployment, .. } if deployment == key)
    }

    pub fn new(action: Action, running: bool) -> Pending {
        Pending { action, running, ended: false }
    }
}

/// Whether the person is here, and what to tell when they come back.
#[derive(Debug, Clone, PartialEq)]
pub struct Away {
    pub last_input: Utc,
    /// Since when the terminal has not had the focus.
    pub unfocused: Option<Utc>,
    pub bookmark: Option<Bookmark>,
}

/// What a person who was away needs to know to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Bookmark {
    /// The last key, or after a resume the last line on record.
    pub since: Utc,
    pub until: Utc,
    pub resumed: bool,
    /// After a resume, until what changed meanwhile has been sensed.
    pub sensing: bool,
    /// What that found.
    pub sensed: Option<String>,
    pub last_done: Option<String>,
    pub current: Option<String>,
    pub changed: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    /// Stays in sight until dismissed.
    Error,
}

/// Something the cockpit told the person.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub at: Utc,
    pub level: Level,
    pub text: String,
    pub dismissed: bool,
    /// What it is about, if a newer message about the same makes it moot.
    pub about: Option<About>,
}

/// What a message is about: an error is true until something newer is known of the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Comparison,
    Deployment(DeploymentKey),
    /// A tunnel, by where it leads.
    Tunnel(String),
}

impl About {
    /// What an action's outcome is about.
    pub fn action(action: &Action) -> Option<About> {
        match action {
            Action::Compare { .. } => Some(About::Comparison),
            Action::Scale { deployment, .. } => Some(About::Deployment(deployment.clone())),
            Action::OpenTunnel { request } => Some(About::Tunnel(request.target().to_owned())),
            Action::HandOff { .. } | Action::DeletePod { .. } | Action::SandboxDisaster { .. } => None,
        }
    }
}

impl Model {
    pub fn new(start: Start) -> Model {
        Model {
            now: start.now,
            size: start.size,
            target: start.target,
            who: start.who,
            runbooks: start.runbooks,
            world: World::default(),
            compare: None,
            earlier: None,
            session: None,
            looking: true,
            held: None,
            pending: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            drift_told: BTreeSet::new(),
            armed_until: None,
            handing_since: None,
            panes: Panes::default(),
            focus: PaneId::Checklist,
            zoom: false,
            overlays: Vec::new(),
            drafts: BTreeMap::new(),
            messages: Vec::new(),
            about: None,
            theme: start.theme,
            themes: start.themes,
            mouse: true,
            away: Away { last_input: start.now, unfocused: None, bookmark: None },
            test_switches: start.test_switches,
            quit: false,
        }
    }

    pub fn layout(&self) -> Layout {
        layout::layout(self.size.0, self.size.1, self.focus, self.zoom)
    }

    /// The runbook in use: the incident's, else the first.
    pub fn runbook(&self) -> Option<&Runbook> {
        match &self.session {
            Some(session) => self.runbooks.iter().find(|r| r.id == session.runbook_id()),
            None => self.runbooks.first(),
        }
    }

    /// True while changes are allowed.
    pub fn is_armed(&self) -> bool {
        self.armed_until.is_some_and(|until| until > self.now)
    }

    pub fn tell(&mut self, level: Level, text: impl Into<String>) {
        let about = self.about.clone();
        if let Some(about) = &about {
            self.settle(about);
        }
        let message = Message { at: self.now, level, text: text.into(), dismissed: false, about };
        self.messages.push(message);
        if self.messages.len() > MESSAGES_MAX {
            self.messages.remove(0);
        }
    }

    /// What was told about this is over: an older error does not come back into sight.
    pub fn settle(&mut self, about: &About) {
        for message in self.messages.iter_mut().filter(|m| m.about.as_ref() == Some(about)) {
            message.dismissed |= message.level == Level::Error;
        }
    }

    /// A small word, said anew and not once more if it was the last.
    pub fn hint(&mut self, text: String) {
        if self.messages.last().is_some_and(|last| last.text == text) {
            self.messages.pop();
        }
        self.tell(Level::Info, text);
    }

    /// The message to show: the newest that is neither dismissed nor, unless it is an error, older than six seconds.
    pub fn toast(&self) -> Option<&Message> {
        self.messages
            .iter()
            .rev()
            .find(|m| !m.dismissed && (m.level == Level::Error || m.at + TOAST > self.now))
    }

    /// Errors that are not dismissed: only one is in sight at a time.
    pub fn errors_waiting(&self) -> usize {
        self.messages.iter().filter(|m| !m.dismissed && m.level == Level::Error).count()
    }

    /// Dismisses the message in sight, and only that: an error behind it has not been seen yet. False if nothing was.
    pub fn dismiss(&mut self) -> bool {
        let Some(level) = self.toast().map(|t| t.level) else { return self.away.bookmark.take().is_some() };
        for message in self.messages.iter_mut().rev().filter(|m| !m.dismissed) {
            if level == Level::Error && message.level == Level::Error {
                message.dismissed = true;
                break;
            }
            if level != Level::Error && message.level != Level::Error {
                message.dismissed = true;
            }
        }
        true
    }

    /// When something visible changes by time alone (UTC): the loop sleeps until then.
    pub fn next_wake(&self) -> Utc {
        let second = self.now + Duration::seconds(1);
        let mut wake = clock::next_minute(self.now);
        if let Some(until) = self.armed_until.filter(|u| *u > self.now) {
            wake = wake.min(if until - self.now <= Duration::seconds(60) { second } else { until });
        }
        if let Some(toast) = self.toast().filter(|t| t.level != Level::Error) {
            wake = wake.min(toast.at + TOAST);
        }
        for source in Source::ALL {
            let (phase, as_of, _, _) = self.world.phase(source);
            match phase {
                // Ages and countdowns run only while something is wrong.
                Phase::Stale { .. } | Phase::AuthExpired { .. } | Phase::Denied { .. } => {
                    wake = wake.min(second)
                }
                Phase::Polling { every_s } => {
                    if let Some(late) = as_of.map(|at| at + overdue(*every_s)) {
                        wake = wake.min(if late > self.now { late } else { second });
                    }
                }
                Phase::Loading | Phase::Live => {}
            }
        }
        // What is decided on shows its age to the second.
        let deciding = matches!(self.overlays.last(), Some(Overlay::Answer(_) | Overlay::Guard(_)));
        if deciding || super::tunnel::needs_a_second(self) || super::comparing::needs_a_second(self) {
            wake = wake.min(second);
        }
        wake
    }

    /// True from when a child program is to get the terminal until it has ended: no key is the cockpit's meanwhile.
    pub fn hands_off(&self) -> bool {
        self.pending.values().any(|p| matches!(p.action, Action::HandOff { .. }) && !p.ended)
    }

    /// What the terminal's title says.
    pub fn title(&self) -> String {
        let stale = Source::ALL.iter().filter(|s| self.unwell(**s)).count();
        let drill = if self.target.exercise { "EXERCISE " } else { "" };
        let tail = if stale > 0 { format!(" · {stale} stale") } else { String::new() };
        let held = if self.held.is_some() { "HELD ELSEWHERE " } else { "" };
        format!("drtui {held}{drill}{} {}{tail}", self.target.service, self.target.environment)
    }

    /// True if a source has failed, or has not been heard of for longer than it should.
    pub fn unwell(&self, source: Source) -> bool {
        let (phase, as_of, _, _) = self.world.phase(source);
        match phase {
            Phase::Loading | Phase::Live => false,
            Phase::Polling { every_s } => as_of.is_some_and(|at| at + overdue(*every_s) <= self.now),
            Phase::Stale { .. } | Phase::AuthExpired { .. } | Phase::Denied { .. } => true,
        }
    }

    /// One line on how we stand with a source: `live`, `every 30 s`, `87 s old, refused, retry in 4 s`.
    pub fn standing(&self, source: Source) -> String {
        let (phase, as_of, _, next_try) = self.world.phase(source);
        if !self.unwell(source) {
            return match phase {
                Phase::Loading => "waiting…".into(),
                Phase::Polling { every_s } => format!("every {every_s} s"),
                _ => "live".into(),
            };
        }
        let age =
            as_of.map_or_else(|| "no data yet".into(), |at| format!("{} old", clock::span(self.now - at)));
        let why = if phase.is_healthy() { "overdue".into() } else { trouble(phase) };
        let retry = next_try
            .filter(|at| *at > self.now)
            .map(|at| format!(", retry in {}", clock::span(at - self.now + Duration::milliseconds(999))))
            .unwrap_or_default();
        format!("{age}{retry}: {why}")
    }

    /// What is wrong with a source in few words: `refused`, `refused, 87 s old`, `refused, 87 s old, next 4 s`.
    pub fn standing_short(&self, source: Source, detail: Detail) -> String {
        let (phase, as_of, _, due) = self.world.phase(source);
        let mut words = if phase.is_healthy() { "overdue".into() } else { trouble_short(phase) };
        if detail >= Detail::Age {
            let age =
                as_of.map_or_else(|| "no data".into(), |at| format!("{} old", clock::span(self.now - at)));
            words = format!("{words}, {age}");
        }
        if let Some(at) = due.filter(|at| detail >= Detail::Next && *at > self.now) {
            let next = clock::span(at - self.now + Duration::milliseconds(999));
            words = format!("{words}, next {next}");
        }
        words
    }
}

/// How much [`Model::standing_short`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    Kind,
    Age,
    Next,
}

/// After how long without an answer a polled value counts as old.
fn overdue(every_s: u32) -> Duration {
    Duration::seconds(i64::from(every_s) * 2 + 10)
}
