//! One table at work: its names on both sides, its plan, and what is asked of it in SQL.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use super::pace::Pace;
use super::pieces::Pieces;
use super::session::Session;
use super::sides::Sides;
use crate::compare::ask::content::Shared;
use crate::compare::ask::physical::Scan;
use crate::compare::ask::rows::Place;
use crate::compare::ask::{self};
use crate::compare::buckets::Buckets;
use crate::compare::catalogue::{Column, Relation};
use crate::compare::gates::{Ground, Plan};
use crate::compare::join::Joined;
use crate::compare::model::{Counts, Event, Options, Progress, Side, TableId};

/// Whom to tell, and where we stand. When the reader is slow, we wait: nothing piles up.
pub struct Teller {
    pub events: mpsc::Sender<Event>,
    pub progress: Mutex<Progress>,
}

impl Teller {
    pub async fn tell(&self, event: Event) {
        // A reader that went away is noticed by the run itself.
        let _ = self.events.send(event).await;
    }

    /// Tells something that a later event says again: dropped if the reader is behind, so that nobody waits for a reader
    /// within a transaction.
    pub fn hint(&self, event: Event) {
        let _ = self.events.try_send(event);
    }

    /// Says something to know; dropped if the reader is behind.
    pub fn note(&self, text: String) {
        let _ = self.events.try_send(Event::Note { text });
    }

    /// What is being done now.
    pub fn now(&self) -> String {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).now.clone()
    }

    /// Says why we pause, where it is looked for: beside the progress too.
    pub fn pause(&self, text: String) {
        self.with(|p| p.now.clone_from(&text));
        self.note(text);
        self.advance(0);
    }

    /// Counts bytes of tables as looked at; tells if the reader keeps up.
    pub fn advance(&self, bytes: u64) {
        let progress = {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.done = (progress.done + bytes).min(progress.total);
            progress.clone()
        };
        let _ = self.events.try_send(Event::Progress { progress });
    }

    pub fn with(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Everything that comparing a table needs.
pub struct Asking<'a> {
    pub live: &'a Session,
    pub restored: &'a Session,
    pub sides: &'a Sides,
    pub options: &'a Options,
    pub ground: &'a Ground,
    pub pace: &'a Pace,
    pub tell: &'a Teller,
    pub stop: &'a watch::Receiver<bool>,
}

impl Asking<'_> {
    pub fn session(&self, side: Side) -> &Session {
        match side {
            Side::Live => self.live,
            Side::Restored => self.restored,
        }
    }
}

/// A table that both sides have, ready to be asked.
pub struct Table {
    pub id: TableId,
    pub live: Relation,
    pub restored: Relation,
    pub plan: Plan,
    quoted: [String; 2],
    filter: Option<String>,
    /// Fingerprints of the copy by chunk, kept when a connection is cut, and the snapshot that they are of.
    copied: Mutex<(String, BTreeMap<u64, Copied>)>,
    pieces: Mutex<Pieces>,
}

/// Buckets of a chunk of the copy, and the age of each one's youngest writer.
pub type Copied = (Buckets, BTreeMap<u64, i64>);

impl Table {
    pub fn new(id: TableId, live: Relation, restored: Relation, plan: Plan, options: &Options) -> Table {
        let quoted = [ask::table(&live.table()), ask::table(&restored.table())];
        let filter = options.filter.clone();
        Table { id, live, restored, plan, quoted, filter, copied: Mutex::default(), pieces: Mutex::default() }
    }

    /// What was read of live in pieces.
    pub fn pieces<T>(&self, change: impl FnOnce(&mut Pieces) -> T) -> T {
        change(&mut self.pieces.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Chunks of the copy from here on are of this snapshot; those of another one are forgotten.
    pub fn copying(&self, snapshot: &str) {
        let mut kept = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != snapshot {
            *kept = (snapshot.to_owned(), BTreeMap::new());
        }
    }

    /// True if the chunk that begins at this block was read.
    pub fn is_copied(&self, from: u64) -> bool {
        self.copied.lock().unwrap_or_else(PoisonError::into_inner).1.contains_key(&from)
    }

    /// Keeps a chunk that was read.
    pub fn keep(&self, from: u64, chunk: Copied) {
        self.copied.lock().unwrap_or_else(PoisonError::into_inner).1.insert(from, chunk);
    }

    /// All that was read of the copy.
    pub fn copy(&self) -> Copied {
        let mut all = Copied::default();
        for (buckets, ages) in self.copied.lock().unwrap_or_else(PoisonError::into_inner).1.values() {
            all.0.extend(buckets);
            all.1.extend(ages);
        }
        all
    }

    pub fn scan(&self, side: Side) -> Scan<'_> {
        let [live, restored] = &self.quoted;
        Scan { table: if side == Side::Live { live } else { restored }, filter: self.filter.as_deref() }
    }

    pub fn relation(&self, side: Side) -> &Relation {
        if side == Side::Live { &self.live } else { &self.restored }
    }

    pub fn bytes(&self) -> u64 {
        self.live.bytes.max(self.restored.bytes)
    }

    /// The key as SQL, `NULL` without one.
    pub fn key(&self, side: Side) -> String {
        let key = self.plan.key.as_ref();
        key.map_or_else(|| "NULL::int8".to_owned(), |k| k.expression(self.plan.agreement, pick(side)))
    }

    /// Hash of all shared columns as SQL.
    pub fn content(&self, side: Side) -> String {
        self.plan.agreement.hash(&self.plan.shared, pick(side))
    }

    pub fn columns(&self, side: Side) -> impl Iterator<Item = &Column> {
        let pick = pick(side);
        self.plan.shared.iter().map(pick)
    }
}

/// Chooses one side's column of a shared one.
pub fn pick(side: Side) -> impl Fn(&Shared) -> &Column {
    move |shared| if side == Side::Live { &shared.live } else { &shared.restored }
}

/// How a found row can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    Place(Place),
    /// By its key, or without one by its content.
    Name,
}

/// What differs in a table.
#[derive(Debug, Default)]
pub struct Differences {
    pub rows_live: u64,
    pub rows_restored: u64,
    pub counts: Counts,
    pub joined: Vec<Joined<At>>,
    pub notes: Vec<String>,
}

impl Differences {
    /// All `rows` rows are the same.
    pub fn none(rows: u64) -> Differences {
        Differences { rows_live: rows, rows_restored: rows, counts: Counts::NONE, ..Differences::default() }
    }
}

/// How comparing a table by one path ended.
#[derive(Debug)]
pub enum Compared {
    Done(Box<Differences>),
    /// This path does not hold: take the next one.
    Fallback {
        why: String,
        young: bool,
    },
}
