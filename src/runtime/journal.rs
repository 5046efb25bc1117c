//! The journal's own thread: it alone writes, in the order asked for, and answers when the line is on disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::core::Msg;
use crate::core::msg::Held;
use crate::domain::{Target, Utc, clock};
use crate::incident::{Entry, Event, Journal, JournalError, list};

/// What the thread is asked for.
#[derive(Debug)]
enum Order {
    Look,
    Open { event: Event, at: Utc },
    Append { events: Vec<Event>, at: Utc },
}

/// The end that the loop holds.
#[derive(Debug)]
pub struct Writer {
    /// `None` only while it is dropped.
    orders: Option<mpsc::UnboundedSender<Order>>,
    /// Closes when the thread has written everything.
    done: std::sync::mpsc::Receiver<()>,
}

/// Leaving waits until what was asked for is on disk; a disk that hangs is waited for this long.
const LEAVING: Duration = Duration::from_secs(2);

impl Drop for Writer {
    fn drop(&mut self) {
        self.orders = None;
        if self.done.recv_timeout(LEAVING) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the journal did not end in time: its last lines may be missing");
        }
    }
}

impl Writer {
    /// Starts the thread. It first looks for an open incident of this target and reads it again.
    pub fn start(
        dir: PathBuf,
        target: &Target,
        who: String,
        answers: mpsc::Sender<Msg>,
    ) -> std::io::Result<Writer> {
        // Unbounded because an order must never be dropped; it is fed by keys and by at most a few changes a frame.
        let (orders, mut inbox) = mpsc::unbounded_channel();
        let target = target.clone();
        let (alive, done) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("journal".into()).spawn(move || {
            let _alive: std::sync::mpsc::Sender<()> = alive;
            let mut journal = look(&dir, &target, &answers);
            while let Some(order) = inbox.blocking_recv() {
                if let Order::Look = order {
                    journal = journal.or_else(|| look(&dir, &target, &answers));
                } else {
                    carry_out(order, &mut journal, &dir, &who, &answers);
                }
            }
        })?;
        Ok(Writer { orders: Some(orders), done })
    }

    /// Looks for an open incident once more, unless one is open here.
    pub fn look(&self) {
        self.send(Order::Look);
    }

    /// Creates a journal for a new incident.
    pub fn open(&self, event: Event, at: Utc) {
        self.send(Order::Open { event, at });
    }

    /// Appends events.
    pub fn append(&self, events: Vec<Event>, at: Utc) {
        self.send(Order::Append { events, at });
    }
}

impl Writer {
    fn send(&self, order: Order) {
        if self.orders.as_ref().is_none_or(|o| o.send(order).is_err()) {
            tracing::error!("the journal's thread has ended");
        }
    }
}

fn say(answers: &mpsc::Sender<Msg>, msg: Msg) {
    // Fails only while the cockpit ends.
    let _ = answers.blocking_send(msg);
}

fn carry_out(
    order: Order,
    journal: &mut Option<Journal>,
    dir: &Path,
    who: &str,
    answers: &mpsc::Sender<Msg>,
) {
    match order {
        Order::Look => {}
        Order::Open { event, at } => match Journal::create(dir, event, at, who) {
            Ok((made, entry)) => {
                *journal = Some(made);
                say(answers, Msg::Opened { entries: vec![entry], resumed: false, notes: Vec::new() });
            }
            Err(e) => say(answers, Msg::Trouble { what: format!("No incident was opened: {e}") }),
        },
        Order::Append { events, at } => {
            let Some(open) = journal.as_mut() else {
                say(answers, Msg::JournalFailed { why: "no incident is open".into() });
                return;
            };
            let mut entries = Vec::new();
            let mut failure = None;
            let mut closed = false;
            for event in events {
                closed |= matches!(event, Event::Closed { .. });
                match open.append(event, at, who) {
                    Ok(entry) => entries.push(entry),
                    Err(e) => {
                        failure = Some(e.to_string());
                        break;
                    }
                }
            }
            if !entries.is_empty() {
                say(answers, Msg::Journalled { entries });
            }
            match failure {
                Some(why) => say(answers, Msg::JournalFailed { why }),
                None if closed => *journal = None,
                None => {}
            }
        }
    }
}

fn look(dir: &Path, target: &Target, answers: &mpsc::Sender<Msg>) -> Option<Journal> {
    let (journal, held) = match resume(dir, target, answers) {
        Ok(journal) => (journal, None),
        Err(held) => (None, Some(held)),
    };
    say(answers, Msg::Looked { held });
    journal
}

/// The newest open incident of the target, read again and locked. `Err` says why there is one that cannot be written
/// here: nobody may begin another beside it.
fn resume(dir: &Path, target: &Target, answers: &mpsc::Sender<Msg>) -> Result<Option<Journal>, Held> {
    let found = match list::list(dir) {
        Ok(found) => found,
        Err(e) => {
            say(answers, Msg::Trouble { what: format!("Open incidents cannot be looked for: {e}") });
            return Ok(None);
        }
    };
    for broken in found.iter().filter(|s| s.damage.is_some() && s.opened_at.is_none()) {
        let what =
            format!("Journal {} cannot be read: {}", broken.id, broken.damage.clone().unwrap_or_default());
        say(answers, Msg::Trouble { what });
    }
    let same_service = |s: &&list::Summary| s.is_open_for(target);
    let here = |s: &&list::Summary| s.is_here(target);
    let mut open = found.iter().filter(same_service).filter(here);
    let newest = open.next();
    let others: Vec<&str> = open.map(|s| s.id.as_str()).collect();
    if !others.is_empty() {
        let what = format!(
            "Older incidents of this service are still open: {}. `drtui incident list` shows them.",
            others.join(", ")
        );
        say(answers, Msg::Trouble { what });
    }
    if target.sandbox.is_none() {
        for elsewhere in found.iter().filter(same_service).filter(|s| !here(s)) {
            let place = elsewhere.place.clone().unwrap_or_default();
            let what = format!(
                "Incident {} of this service is open on {place}, which is not this cluster.",
                elsewhere.id
            );
            say(answers, Msg::Trouble { what });
        }
    }
    let Some(summary) = newest else { return Ok(None) };
    match Journal::open(&summary.path) {
        Ok((journal, entries)) => {
            let notes = journal.mended().map(str::to_owned).into_iter().collect();
            say(answers, Msg::Opened { entries, resumed: true, notes });
            Ok(Some(journal))
        }
        Err(e) => Err(held(&summary.id, &e)),
    }
}

/// Why an open incident is not resumed here. No path, nothing twice: a small screen must not cut the advice off.
fn held(id: &str, error: &JournalError) -> Held {
    let (state, advice) = match error {
        JournalError::Held { holder, entries, .. } => {
            let taken = |e: &&Entry| matches!(e.event, Event::Opened { .. } | Event::Resumed { .. });
            let since = entries.iter().rfind(taken).map(|e| format!(" since {}", clock::london_hm(e.at)));
            let holder = holder.as_deref().unwrap_or("another process");
            (
                format!("held by {holder}{}", since.unwrap_or_default()),
                "Its marks and what must be put back are there. Work there, or end that cockpit: i then takes it over here."
                    .to_owned(),
            )
        }
        JournalError::Damaged { line, what, readable, .. } => (
            format!("not readable: line {line} of its journal {what}"),
            format!(
                "Move the journal away, then i. `drtui incident show {id} --readable-part` shows the {} entries before it.",
                readable.len()
            ),
        ),
        e => ("not readable here".to_owned(), format!("{e}. i tries again.")),
    };
    Held { incident: id.to_owned(), state, advice }
}
