//! A comparison of live with a restored copy as the cockpit knows it: what the engine's events add up to. Bounded by the
//! number of tables and by the rows that the engine fetches of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::more::{Fetch, What};
use crate::compare::model::{
    Advice, Counts, Event, Progress, RowDiff, SchemaChange, ServerFacts, Summary, TableHead, Value,
};
use crate::compare::{RowKind, Side, TableId, TableResult, Verdict};
use crate::domain::{CompareRequest, Utc, clock, text};

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

/// How the engine's notes of a cut connection end.
const AGAIN: &str = "; trying again";
/// Tables that the record names.
const ON_RECORD: usize = 20;

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
    /// How often a connection was cut and the table at hand begun again.
    pub cuts: u32,
    pub progress: Progress,
    pub summary: Option<Summary>,
    /// Rows marked for a repair.
    pub marked: BTreeSet<(TableId, RowKey)>,
    /// The person asked to stop it.
    pub stopping: bool,
    /// More of it that is being fetched.
    pub fetch: Option<Fetch>,
    /// What was fetched last and did not come, and why.
    pub failed: Option<(What, String)>,
}

/// A table of a comparison, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub head: TableHead,
    /// First answer: whether it differs, rows on live, rows in the copy.
    pub glimpse: Option<(bool, u64, u64)>,
    pub result: Option<Box<TableResult>>,
    /// How many rows of each kind were asked for when more were fetched.
    pub rows_asked: Option<u32>,
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
            cuts: 0,
            progress: Progress::default(),
            summary: None,
            marked: BTreeSet::new(),
            stopping: false,
            fetch: None,
            failed: None,
        }
    }

    pub fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// True if it went to its end and left nothing out by request.
    pub fn is_whole(&self) -> bool {
        matches!(self.stage, Stage::Done { .. }) && self.request.options.part().is_none()
    }

    /// When it ended (UTC).
    pub fn ended(&self) -> Option<Utc> {
        match &self.stage {
            Stage::Running => None,
            Stage::Done { at } | Stage::Ended { at, .. } => Some(*at),
        }
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Opened { live, restored } => {
                self.live = Some(*live);
                self.restored = Some(*restored);
            }
            Event::Listed { tables } => {
                let of = |head: TableHead| {
                    (head.id, Table { head, glimpse: None, result: None, rows_asked: None })
                };
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
                self.cuts += u32::from(text.ends_with(AGAIN));
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

    /// One table was compared again, with more rows: at `now` (UTC).
    pub fn look_again(&mut self, id: TableId, rows: u32, now: Utc, mut result: Box<TableResult>) {
        let Some(table) = self.tables.get_mut(&id) else { return };
        if let (Verdict::NotComparable { why }, Some(_)) = (&result.verdict, &table.result) {
            // What was found stays, with its rows and their marks.
            self.failed = Some((What::Rows { table: id, rows }, text::clean(why)));
            return;
        }
        table.rows_asked = Some(rows);
        let counts = |r: &TableResult| {
            format!("{} lost, {} changed, {} new", r.counts.lost, r.counts.changed, r.counts.new)
        };
        let (before, after) = (table.result.as_ref().map(|r| counts(r)), counts(&result));
        let at = clock::london_hm(now);
        let moved = match before.filter(|b| *b != after) {
            Some(before) => format!("compared again at {at}: {after}; at first {before}"),
            None => format!("compared again at {at} for more rows: the same counts"),
        };
        result.id = id;
        result.notes.insert(0, moved);
        self.told(result);
    }

    /// The whole of a value came, or did not.
    pub fn complete(
        &mut self,
        id: TableId,
        key: &RowKey,
        column: u16,
        side: Side,
        value: Option<Option<Value>>,
    ) {
        let Some(value) = value else {
            let word = if side == Side::Live { "LIVE" } else { "PTR" };
            let why = format!("{word}: this version of the row is not there any more: compare again (c)");
            self.failed = Some((What::Value { table: id, row: key.clone(), column }, why));
            return;
        };
        let result = self.tables.get_mut(&id).and_then(|t| t.result.as_mut());
        let row = result.and_then(|r| r.rows.iter_mut().find(|r| RowKey::of(r) == *key));
        let version = row.and_then(|r| match side {
            Side::Live => r.live.as_mut(),
            Side::Restored => r.restored.as_mut(),
        });
        if let Some(place) = version.and_then(|v| v.values.get_mut(usize::from(column))) {
            *place = value;
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

    /// A sum as far as it is known: nothing found is no zero where something was not looked at.
    pub fn number(&self, sum: u64) -> String {
        match (sum, self.unknown()) {
            (0, 1..) => "?".into(),
            (n, 1..) => format!("at least {n}"),
            (n, 0) if !self.counts().exact => format!("about {n}"),
            (n, 0) => n.to_string(),
        }
    }

    /// The outcome in one line, of counts and times alone: what goes on record. No value of any row is in it.
    pub fn outcome(&self) -> String {
        let counts = self.counts();
        let mut parts = vec![format!(
            "{} rows lost, {} changed, {} new in {} of {} tables",
            self.number(counts.lost),
            self.number(counts.changed),
            self.number(counts.new),
            self.differing(),
            self.tables.len()
        )];
        if let Some(part) = self.request.options.part() {
            parts.push(format!("PART ONLY: {part}"));
        }
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

    /// The same with each table that differs or is not known: what goes on record. Names, verdicts and counts.
    pub fn record(&self) -> String {
        let mut worst: Vec<&Table> = self.tables.values().filter(|t| t.differs() != Some(false)).collect();
        worst.sort_by_cached_key(|t| {
            let counts = t.counts().unwrap_or_default();
            (std::cmp::Reverse((counts.lost, counts.changed, counts.new)), t.head.table.clone())
        });
        let mut lines: Vec<String> = worst.iter().take(ON_RECORD).map(|t| t.line()).collect();
        match worst.len().saturating_sub(ON_RECORD) {
            0 => {}
            more => lines.push(format!("and {more} more")),
        }
        let same = self.tables.values().filter(|t| t.differs() == Some(false)).count();
        lines.push(format!("{same} the same"));
        format!("{}{}{}", self.outcome(), super::panes::compare_past::TABLES, lines.join(", "))
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

    /// Its name, verdict and counts: no value of any row, and no reason that may hold one.
    fn line(&self) -> String {
        // What parts the lines stands in no name.
        let name = text::clean(&self.head.table.to_string()).replace([',', ';'], "_");
        let Some(result) = &self.result else { return format!("{name} NOT compared") };
        let c = &result.counts;
        let counts = [(c.lost, "lost"), (c.changed, "changed"), (c.new, "new")];
        let counts = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!(" {n} {word}"));
        let word = match result.verdict {
            Verdict::Same => "same",
            Verdict::Changed => "DIFFERS",
            Verdict::Gone => "GONE on live",
            Verdict::New => "new on live",
            Verdict::SchemaDiffers => "schema differs",
            Verdict::NotComparable { .. } => "NOT COMPARABLE",
        };
        format!("{name} {word}{}", counts.collect::<String>())
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
