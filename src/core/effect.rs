//! What `update` asks the runtime to do, as plain data.

use super::more::More;
use crate::domain::{CompareRequest, Source, TunnelId};
use crate::incident::{Action, Event};

/// One thing to do. Outcomes come back as messages.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Create a journal whose first entry is this `Event::Opened`. Answer: `Msg::Opened`.
    OpenIncident(Event),
    /// Look through the journals for an open incident once more. Answer: `Msg::Opened` or none, then `Msg::Looked`.
    LookAgain,
    /// Append and fsync these events in order. Answer: `Msg::Journalled` or `Msg::JournalFailed`.
    Journal(Vec<Event>),
    /// Make the change. Only ever asked for after its intent is journalled. Answer: `Msg::Acted`.
    Run { id: String, action: Action },
    /// Skip the wait before the next try.
    RetryNow(Source),
    /// Close a tunnel, and delete the pod that was made for it. News of the tunnel say so.
    CloseTunnel(TunnelId),
    /// Look for the tunnel's way again now.
    ReconnectTunnel(TunnelId),
    /// List the pods that stand for tunnels. News say which.
    LookForPods,
    /// Stop a comparison, on the servers too. It ends as its action does.
    CancelCompare { run: u32 },
    /// Ask both databases of a comparison one question, read-only, limited and timed. Answer: `Msg::Queried`.
    AskBoth { id: u64, request: Box<CompareRequest>, sql: String },
    /// Fetch more of what a comparison found. News are `Msg::Fetched`.
    Fetch { id: u64, request: Box<CompareRequest>, more: More },
    /// Stop that, on the servers too.
    CancelFetch { id: u64 },
    /// Put text on the clipboard (OSC 52). Answer: `Msg::Copied`.
    Copy(String),
    /// The same for a row's data, which no message repeats. Answer: `Msg::Info`.
    CopySilently(String),
    /// Capture the mouse, or release it for the terminal's own selection.
    Mouse(bool),
    /// Stop like any job (Ctrl-Z).
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Panic, to prove that the terminal survives it. Exists only under a test switch.
    Panic,
}

impl Effect {
    /// True for effects that change the outside world.
    pub fn is_mutating(&self) -> bool {
        matches!(self, Effect::Run { action, .. } if action.is_change())
    }
}
