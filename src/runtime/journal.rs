//! The journal's own thread: it alone writes, in the order asked for, and answers when the line is on disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::core::Msg;
use crate::domain::{Target, Utc};
use crate::incident::{Event, Journal, JournalError, list};

/// What the thread is asked for.
#[derive(Debug)]
enum Order {
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
            let (mut journal, held) = match resume(&dir, &target, &answers) {
                Ok(journal) => (journal, None),
                Err(why) => (None, Some(why)),
            };
            say(&answers, Msg::Looked { held });
            while let Some(order) = inbox.blocking_recv() {
                carry_out(order, &mut journal, &dir, &who, &answers);
            }
        })?;
        Ok(Writer { orders: Some(orders), done })
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

/// The newest open incident of the target, read again and locked. `Err` says why there is one that cannot be written
/// here: nobody may begin another beside it.
fn resume(dir: &Path, target: &Target, answers: &mpsc::Sender<Msg>) -> Result<Option<Journal>, String> {
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
        Err(e) => {
            let id = &summary.id;
            // The advice must not be what a small screen cuts off: no path, nothing twice.
            let why = match &e {
                JournalError::Damaged { line, what, readable, .. } => format!(
                    "line {line} of its journal {what}. `drtui incident show {id} --readable-part` shows the {} entries \
                     before it; move the journal away to begin anew.",
                    readable.len()
                ),
                e => format!("{e}. Work there, or end that cockpit first."),
            };
            Err(format!("Incident {id} is open and not resumed here: {why}"))
        }
    }
}
