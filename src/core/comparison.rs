//! A comparison of live with a restored copy as the cockpit knows it: what the engine's events add up to. Bounded by the
//! number of tables and by the rows that the engine fetches of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::compare::model::{
    Advice, Counts, Event, Progress, RowDiff, SchemaChange, ServerFacts, Summary, TableHead, Value,
};
use crate::compare::{RowKind, TableId, TableResult, Verdict};
use crate::domain::{CompareRequest, Utc, text};

/// How many notes of the engine are kept.
const NOTES_MAX: usize = 50;
/// More tables than this are not shown: no service has them, and a broken catalogue may.
const TABLES_MAX: usize = 20_000;

/// How far a comparison is.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    Running,
    /// It went to its end at that time (UTC).
    Done {
        at: Utc,
    },
    /// It was cancelled or failed at that time (UTC): what it found until then stays.
    Ended {
        at: Utc,
        why: String,
    },
}

/// A comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub request: CompareRequest,
    /// When it began (UTC).
    pub began: Utc,
    pub stage: Stage,
    pub live: Option<ServerFacts>,
    pub restored: Option<ServerFacts>,
    pub tables: BTreeMap<TableId, Table>,
    /// Definitions that differ and belong to no table.
    pub schema: Vec<SchemaChange>,
    /// What the engine said, newest last.
    pub notes: VecDeque<String>,
    pub progress: Progress,
    pub summary: Option<Summary>,
    /// Rows marked for a repair.
    pub marked: BTreeSet<(TableId, RowKey)>,
    /// The person asked to stop it.
    pub stopping: bool,
}

/// A table of a comparison, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub head: TableHead,
    /// First answer: whether it differs, rows on live, rows in the copy.
    pub glimpse: Option<(bool, u64, u64)>,
    pub result: Option<Box<TableResult>>,
}

/// How a differing row is known: by its kind and key; by where it lies in a table without a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    pub kind: RowKind,
    pub key: Vec<Option<String>>,
    /// Where the row's versions lie: for a table without a key.
    pub place: String,
}

impl RowKey {
    pub fn of(row: &RowDiff) -> RowKey {
        let part = |v: &Option<Value>| v.as_ref().map(whole);
        let place = || {
            let of =
                |v: &Option<crate::compare::RowVersion>| v.as_ref().map_or("-".into(), |v| v.ctid.clone());
            format!("{} {}", of(&row.live), of(&row.restored))
        };
        let place = if row.key.is_empty() { place() } else { String::new() };
        RowKey { kind: row.kind, key: row.key.iter().map(part).collect(), place }
    }
}

/// A value's text, told apart from every other value's even if only its beginning is here.
fn whole(value: &Value) -> String {
    match &value.cut {
        None => value.text.clone(),
        Some(cut) => format!("{}\u{0}{}\u{0}{}", value.text, cut.bytes, cut.md5),
    }
}

impl Comparison {
    pub fn new(request: CompareRequest, began: Utc) -> Comparison {
        Comparison {
            request,
            began,
            stage: Stage::Running,
            live: None,
            restored: None,
            tables: BTreeMap::new(),
            schema: Vec::new(),
            notes: VecDeque::new(),
            progress: Progress::default(),
            summary: None,
            marked: BTreeSet::new(),
            stopping: false,
        }
    }

    pub fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Opened { live, restored } => {
                self.live = Some(*live);
                self.restored = Some(*restored);
            }
            Event::Listed { tables } => {
                let of = |head: TableHead| (head.id, Table { head, glimpse: None, result: None });
                self.tables = tables.into_iter().take(TABLES_MAX).map(of).collect();
            }
            Event::Schema { changes } => self.schema = changes,
            Event::Glimpse { id, differs, rows_live, rows_restored } => {
                if let Some(table) = self.tables.get_mut(&id) {
                    table.glimpse = Some((differs, rows_live, rows_restored));
                }
            }
            Event::Table { table } => self.told(table),
            Event::Progress { progress } => self.progress = progress,
            Event::Note { text } => {
                self.notes.push_back(text::clean(&text));
                if self.notes.len() > NOTES_MAX {
                    self.notes.pop_front();
                }
            }
            Event::Done { summary } => self.summary = Some(*summary),
        }
    }

    fn told(&mut self, result: Box<TableResult>) {
        if let Some(table) = self.tables.get_mut(&result.id) {
            let keys: BTreeSet<RowKey> = result.rows.iter().map(RowKey::of).collect();
            let id = result.id;
            self.marked.retain(|(table, key)| *table != id || keys.contains(key));
            table.result = Some(result);
        }
    }

    /// Sums over the tables known so far.
    pub fn counts(&self) -> Counts {
        let results = self.tables.values().filter_map(|t| t.result.as_ref());
        results.fold(Counts::NONE, |sum, r| Counts {
            lost: sum.lost.saturating_add(r.counts.lost),
            new: sum.new.saturating_add(r.counts.new),
            changed: sum.changed.saturating_add(r.counts.changed),
            touched_same: sum.touched_same.saturating_add(r.counts.touched_same),
            exact: sum.exact && r.counts.exact,
        })
    }

    /// Tables that could not be compared, or were not looked at.
    pub fn unknown(&self) -> usize {
        let unknown =
            |t: &&Table| t.result.as_ref().is_none_or(|r| matches!(r.verdict, Verdict::NotComparable { .. }));
        self.tables.values().filter(unknown).count()
    }

    /// Tables that differ.
    pub fn differing(&self) -> usize {
        self.tables.values().filter(|t| t.differs() == Some(true)).count()
    }

    /// The outcome in one line, of counts and times alone: what goes on record. No value of any row is in it.
    pub fn outcome(&self) -> String {
        let counts = self.counts();
        let about = if counts.exact { "" } else { "about " };
        let mut parts = vec![format!(
            "{about}{} rows lost, {} changed, {} new in {} of {} tables",
            counts.lost,
            counts.changed,
            counts.new,
            self.differing(),
            self.tables.len()
        )];
        if self.unknown() > 0 {
            parts.push(format!("{} NOT compared", self.unknown()));
        }
        if let Some(summary) = &self.summary {
            parts.push(advice(summary.advice).to_owned());
            if let Some(at) = summary.recovery_point {
                parts.push(format!("the copy reaches {}", crate::domain::clock::utc_full(at)));
            }
        }
        parts.join("; ")
    }

    /// Which two servers were compared.
    pub fn pair(&self) -> String {
        format!("LIVE {} with PTR {}", self.request.live, self.request.restored)
    }
}

impl Table {
    /// Whether it differs, as far as is known.
    pub fn differs(&self) -> Option<bool> {
        match &self.result {
            Some(r) => match r.verdict {
                Verdict::Same => Some(false),
                Verdict::NotComparable { .. } => None,
                Verdict::Changed | Verdict::Gone | Verdict::New | Verdict::SchemaDiffers => Some(true),
            },
            None => self.glimpse.map(|(differs, ..)| differs),
        }
    }

    pub fn counts(&self) -> Option<Counts> {
        self.result.as_ref().map(|r| r.counts)
    }

    /// Rows on live and in the copy, as far as they were counted.
    pub fn rows(&self) -> (Option<u64>, Option<u64>) {
        match (&self.result, self.glimpse) {
            (Some(r), _) => (r.rows_live, r.rows_restored),
            (None, Some((_, live, restored))) => (Some(live), Some(restored)),
            (None, None) => (None, None),
        }
    }

    pub fn row(&self, key: &RowKey) -> Option<&RowDiff> {
        self.result.as_ref()?.rows.iter().find(|r| RowKey::of(r) == *key)
    }
}

/// What to conclude, in the words of the person who must decide.
pub fn advice(advice: Advice) -> &'static str {
    match advice {
        Advice::NothingToDo => "NOTHING DIFFERS",
        Advice::RestoreAll => "RESTORE ALL",
        Advice::RepairSome => "REPAIR SOME",
        Advice::ChooseAnotherTime => "CHOOSE ANOTHER TIME",
        Advice::LookCloser => "LOOK CLOSER",
    }
}
