//! The journal's own thread: it alone writes, in the order asked for, and answers when the line is on disk.

use std::path::{Path, PathBuf};

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
    orders: mpsc::UnboundedSender<Order>,
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
        std::thread::Builder::new().name("journal".into()).spawn(move || {
            let mut journal = resume(&dir, &target, &answers);
            while let Some(order) = inbox.blocking_recv() {
                carry_out(order, &mut journal, &dir, &who, &answers);
            }
        })?;
        Ok(Writer { orders })
    }

    /// Creates a journal for a new incident.
    pub fn open(&self, event: Event, at: Utc) {
        let _ = self.orders.send(Order::Open { event, at });
    }

    /// Appends events.
    pub fn append(&self, events: Vec<Event>, at: Utc) {
        let _ = self.orders.send(Order::Append { events, at });
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

/// The newest open incident of the target, read again and locked.
fn resume(dir: &Path, target: &Target, answers: &mpsc::Sender<Msg>) -> Option<Journal> {
    let found = match list::list(dir) {
        Ok(found) => found,
        Err(e) => {
            say(answers, Msg::Trouble { what: format!("Open incidents cannot be looked for: {e}") });
            return None;
        }
    };
    let ours = |s: &&list::Summary| {
        s.is_open()
            && s.service == target.service
            && s.environment == target.environment
            && s.place.as_ref().is_none_or(|p| *p == target.cluster)
    };
    for broken in found.iter().filter(|s| s.damage.is_some() && s.opened_at.is_none()) {
        let what =
            format!("Journal {} cannot be read: {}", broken.id, broken.damage.clone().unwrap_or_default());
        say(answers, Msg::Trouble { what });
    }
    let summary = found.iter().find(ours)?;
    match Journal::open(&summary.path) {
        Ok((journal, entries)) => {
            let notes = journal.mended().map(str::to_owned).into_iter().collect();
            say(answers, Msg::Opened { entries, resumed: true, notes });
            Some(journal)
        }
        Err(e) => {
            let advice = match &e {
                JournalError::Damaged { .. } => {
                    format!(" `drtui incident show {} --readable-part` shows what can be read.", summary.id)
                }
                _ => String::new(),
            };
            say(
                answers,
                Msg::Trouble { what: format!("Incident {} is not resumed: {e}.{advice}", summary.id) },
            );
            None
        }
    }
}
