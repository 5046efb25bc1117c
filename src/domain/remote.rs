//! A value that lives elsewhere: the last good copy, how old it is, and how we stand with its source.

use serde::{Deserialize, Serialize};

use super::{Fault, Utc};

/// How we stand with a source of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Nothing has arrived yet.
    Loading,
    /// A watch is open: the value is as the source last said it, which may be a while ago.
    Live,
    /// Asked for every `every_s` seconds.
    Polling { every_s: u32 },
    /// The source fails; the value is the last good one.
    Stale { why: String },
    /// The credentials have run out; `fix` is the command that renews them.
    AuthExpired { why: String, fix: String },
    /// The source refuses this reader; `what` says which right is missing.
    Denied { what: String },
}

impl Phase {
    /// True while the source answers.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Phase::Live | Phase::Polling { .. })
    }
}

/// The last good value of something remote. A failure changes the phase and never the value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remote<T> {
    /// Last good value; `None` until the first answer.
    pub value: Option<T>,
    /// When the source was last heard to say the value (UTC): never later, however well we stand with it.
    pub as_of: Option<Utc>,
    #[serde(flatten)]
    pub phase: Phase,
    /// Since when the phase has been unhealthy (UTC); `None` while healthy or loading.
    pub since: Option<Utc>,
    /// When the next try is due (UTC), while unhealthy.
    pub next_try: Option<Utc>,
}

impl<T> Default for Remote<T> {
    fn default() -> Self {
        Remote { value: None, as_of: None, phase: Phase::Loading, since: None, next_try: None }
    }
}

impl<T> Remote<T> {
    /// A fresh value from the source.
    pub fn set(&mut self, value: T, at: Utc) {
        self.value = Some(value);
        self.confirm(at);
    }

    /// The source confirmed what we have.
    pub fn confirm(&mut self, at: Utc) {
        self.as_of = Some(at);
    }

    /// The standing changed. The value stays.
    pub fn stand(&mut self, phase: Phase, next_try: Option<Utc>, at: Utc) {
        if phase.is_healthy() {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(at);
        }
        self.phase = phase;
        self.next_try = next_try;
    }

    /// The source failed with `fault`.
    pub fn fail(&mut self, fault: &Fault, next_try: Option<Utc>, at: Utc) {
        self.stand(fault.phase(), next_try, at);
    }
}
