//! Compare: live against a restored copy, left LIVE and right PTR. Tables, those that lost most first; the rows of one
//! that differ; the columns of one row.

use std::cmp::Reverse;

use super::compare_rows;
use crate::compare::model::RowDiff;
use crate::compare::{RowKind, TableId, Verdict, gates};
use crate::core::comparison::{Comparison, RowKey, Stage, Table, advice};
use crate::core::filter::Filter;
use crate::core::list::List;
use crate::core::model::Model;
use crate::core::panes::{PaneId, tunnels::bytes};
use crate::domain::{clock, text};

/// How deep the pane shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    #[default]
    Tables,
    Rows,
    Columns,
}

/// Where the person is in the pane.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    pub level: Level,
    /// The table whose rows show.
    pub table: Option<TableId>,
    /// The row whose columns show.
    pub row: Option<RowKey>,
    pub tables: List<TableId>,
    pub rows: List<RowKey>,
    pub columns: List<u16>,
    /// The first column that shows beside the key, among those that are not of the key.
    pub left: usize,
    /// Going into a table zoomed the pane, so coming back takes it away.
    pub zoomed: bool,
}

impl View {
    /// The filter of the level that shows.
    pub fn filter(&self) -> &str {
        match self.level {
            Level::Tables => &self.tables.filter,
            Level::Rows => &self.rows.filter,
            Level::Columns => &self.columns.filter,
        }
    }

    pub fn set_filter(&mut self, text: String) {
        match self.level {
            Level::Tables => self.tables.filter = text,
            Level::Rows => self.rows.filter = text,
            Level::Columns => self.columns.filter = text,
        }
    }
}

/// A line above the rows: its part in the picture, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// Which two servers, and how far it is.
    Progress(String),
    /// What to conclude.
    Conclusion(String),
    /// More of what it means.
    Meaning(String),
    /// Something is wrong, or not known.
    Caution(String),
}

/// The fields that a filter may name at the level that shows: of rows, their columns.
pub fn fields(model: &Model) -> Vec<&str> {
    match model.panes.compare.level {
        Level::Tables => vec!["name", "verdict", "kind", "path"],
        Level::Columns => vec!["column", "kind", "live", "ptr"],
        Level::Rows => {
            let columns = table(model).and_then(|t| t.result.as_ref()).map(|r| r.columns.as_slice());
            std::iter::once("kind").chain(columns.into_iter().flatten().map(String::as_str)).collect()
        }
    }
}

/// The tables that pass the filter: what lost most first, what is the same last.
pub fn tables(model: &Model) -> Vec<TableId> {
    let Some(comparison) = &model.compare else { return Vec::new() };
    let mut filter = Filter::new(&model.panes.compare.tables.filter);
    let admits = |filter: &mut Filter, table: &Table| {
        filter.admits(&[
            ("name", &table.head.table.to_string()),
            ("verdict", &verdict(table)),
            ("kind", &kinds(table)),
            ("path", path(table)),
        ])
    };
    let mut found: Vec<&Table> =
        comparison.tables.values().filter(|t| filter.is_empty() || admits(&mut filter, t)).collect();
    found.sort_by_cached_key(|t| {
        let c = t.counts().unwrap_or_default();
        (rank(t), Reverse(c.lost), Reverse(c.changed), Reverse(c.new), t.head.table.clone())
    });
    found.into_iter().map(|t| t.head.id).collect()
}

/// What needs a person comes first.
fn rank(table: &Table) -> u8 {
    match table.result.as_ref().map(|r| &r.verdict) {
        Some(Verdict::Changed | Verdict::Gone | Verdict::New) => 0,
        Some(Verdict::NotComparable { .. }) => 1,
        Some(Verdict::SchemaDiffers) => 2,
        Some(Verdict::Same) => 4,
        None if table.differs() == Some(true) => 0,
        None => 3,
    }
}

fn kinds(table: &Table) -> String {
    let Some(counts) = table.counts() else { return String::new() };
    let all = [(counts.lost, "lost"), (counts.changed, "changed"), (counts.new, "new")];
    all.into_iter().filter(|(n, _)| *n > 0).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// How a table was compared.
pub fn path(table: &Table) -> &'static str {
    table.result.as_ref().and_then(|r| r.path).map_or("", |p| p.word())
}

/// A table's verdict in words.
pub fn verdict(table: &Table) -> String {
    match (table.result.as_ref().map(|r| &r.verdict), table.differs()) {
        (Some(Verdict::Same), _) => "same".into(),
        (Some(Verdict::Changed), _) => "CHANGED".into(),
        (Some(Verdict::Gone), _) => "GONE on live".into(),
        (Some(Verdict::New), _) => "new on live".into(),
        (Some(Verdict::SchemaDiffers), _) => "schema differs".into(),
        (Some(Verdict::NotComparable { why }), _) => format!("NOT COMPARABLE: {}", text::clean(why)),
        (None, Some(true)) => "differs…".into(),
        (None, _) => "…".into(),
    }
}

/// A table's name as it is shown: without the schema that most are in.
pub fn name(table: &Table) -> String {
    let table = &table.head.table;
    text::clean(&if table.schema == "public" { table.name.clone() } else { table.to_string() })
}

/// The selected table, or the one whose rows show.
pub fn table(model: &Model) -> Option<&Table> {
    let view = &model.panes.compare;
    let id = if view.level == Level::Tables { view.tables.selected } else { view.table };
    model.compare.as_ref()?.tables.get(&id?)
}

/// The selected row, or the one whose columns show.
pub fn row(model: &Model) -> Option<&RowDiff> {
    let view = &model.panes.compare;
    let key = match view.level {
        Level::Tables => return None,
        Level::Rows => view.rows.selected.as_ref(),
        Level::Columns => view.row.as_ref(),
    };
    table(model)?.row(key?)
}

/// Rows before the filter, at the level that shows.
pub fn counts(model: &Model) -> (usize, usize) {
    let total = model.compare.as_ref().map_or(0, |c| c.tables.len());
    match model.panes.compare.level {
        Level::Tables => (tables(model).len(), total),
        Level::Rows => {
            let all = table(model).and_then(|t| t.result.as_ref()).map_or(0, |r| r.rows.len());
            (compare_rows::rows(model).len(), all)
        }
        Level::Columns => {
            let all = table(model).and_then(|t| t.result.as_ref()).map_or(0, |r| r.columns.len());
            (compare_rows::columns(model).len(), all)
        }
    }
}

/// What stands on top: how far it is, what it means. Fewer lines where there is little room.
pub fn head(model: &Model) -> Vec<Head> {
    let Some(comparison) = &model.compare else { return Vec::new() };
    let most = usize::from(height(model) / 3).clamp(1, 6);
    let mut lines = match model.panes.compare.level {
        Level::Tables => meaning(model, comparison),
        Level::Rows | Level::Columns => about_table(model),
    };
    let n = comparison.marked.len();
    if let (Some(Head::Progress(first)), 1..) = (lines.first_mut(), n) {
        *first = format!("marked for repair: {n} · {first}");
    }
    lines.truncate(most);
    lines
}

fn height(model: &Model) -> u16 {
    model.layout().rect(PaneId::Compare).map_or(0, |r| r.height.saturating_sub(2))
}

fn meaning(model: &Model, comparison: &Comparison) -> Vec<Head> {
    let mut lines = vec![Head::Progress(progress(model, comparison))];
    if let Stage::Ended { why, .. } = &comparison.stage {
        lines.push(Head::Caution(format!("NOT COMPLETE: {}", text::clean(why))));
    }
    if let Some(summary) = &comparison.summary {
        let why = text::clean(&summary.advice_why);
        lines.push(Head::Conclusion(format!("{}: {why}", advice(summary.advice))));
        if let Some(at) = summary.recovery_point {
            let from = summary.recovery_point_from.as_deref().unwrap_or("the newest thing in it");
            lines.push(Head::Meaning(format!(
                "Recovery point, as the data show it: {} ({})",
                clock::both(at),
                text::clean(from)
            )));
        }
        lines.extend(newest_lost(comparison).map(Head::Meaning));
    } else if let Some(note) = comparison.notes.back() {
        lines.push(Head::Meaning(note.clone()));
    }
    if comparison.unknown() > 0 && !comparison.is_running() {
        lines
            .push(Head::Caution(format!("{} tables NOT compared: filter verdict:not", comparison.unknown())));
    }
    let strange = comparison.schema.iter().filter(|c| !c.normal).count();
    if strange > 0 {
        lines.push(Head::Caution(format!("{strange} definitions besides tables differ: v lists them")));
    }
    lines
}

/// When the lost rows were last written, by the table that lost most.
fn newest_lost(comparison: &Comparison) -> Option<String> {
    let results = comparison.tables.values().filter_map(|t| t.result.as_ref());
    let times = results.flat_map(|r| r.times.iter().map(move |t| (r, t)));
    let (result, time) =
        times.filter(|(_, t)| t.newest_lost.is_some()).max_by_key(|(r, t)| (t.newest_lost, r.counts.lost))?;
    let at = time.newest_lost?;
    let column = text::clean(&time.column);
    Some(format!(
        "Newest lost row: {} ({}.{column})",
        clock::both(at),
        text::clean(&result.table.to_string())
    ))
}

/// How far it is: percent, time left, tables, bytes from each side, what is done now.
pub fn progress(model: &Model, comparison: &Comparison) -> String {
    let p = &comparison.progress;
    let received = format!("{} from LIVE, {} from PTR", bytes(p.received_live), bytes(p.received_restored));
    match &comparison.stage {
        Stage::Running => {
            let left = p.left.map_or_else(String::new, |s| format!(" · {} left", seconds(s)));
            let verb = if comparison.stopping { "stopping" } else { "comparing" };
            let now = if p.now.is_empty() { String::new() } else { format!(" · {}", text::clean(&p.now)) };
            format!(
                "{verb} {} % · {} of {} tables{left} · {received}{now}",
                p.percent(),
                p.tables_done,
                p.tables
            )
        }
        Stage::Done { at } => {
            let (live, restored) = comparison
                .summary
                .as_ref()
                .map_or((p.received_live, p.received_restored), |s| (s.received_live, s.received_restored));
            let took = comparison.summary.as_ref().map_or(p.elapsed, |s| s.seconds);
            format!(
                "{} tables in {} · {} from LIVE, {} from PTR · {} ago",
                comparison.tables.len(),
                seconds(took),
                bytes(live),
                bytes(restored),
                clock::span(model.now - *at)
            )
        }
        Stage::Ended { at, .. } => format!(
            "{} of {} tables · {received} · {} ago",
            p.tables_done,
            comparison.tables.len(),
            clock::span(model.now - *at)
        ),
    }
}

/// `0.8 s`, `12 s`, `3 m`.
fn seconds(value: f64) -> String {
    if value < 9.95 {
        format!("{:.1} s", value.max(0.0))
    } else {
        clock::span(chrono::Duration::milliseconds((value.min(1e9) * 1e3) as i64))
    }
}

fn about_table(model: &Model) -> Vec<Head> {
    let Some(table) = table(model) else { return Vec::new() };
    let name = name(table);
    let Some(result) = &table.result else { return vec![Head::Progress(name)] };
    if let (Level::Columns, Some(row)) = (model.panes.compare.level, row(model)) {
        let key = compare_rows::key_text(row);
        let (sign, kind) = (compare_rows::sign(row.kind), compare_rows::kind(row.kind));
        return vec![Head::Progress(format!(
            "{name} · {sign} {kind} · {} {key}",
            text::clean(&result.key.join(", "))
        ))];
    }
    let counts = &result.counts;
    let about = if counts.exact { "" } else { "about " };
    let mut shown: Vec<String> = [
        (counts.lost, RowKind::Lost, "lost"),
        (counts.changed, RowKind::Changed, "changed"),
        (counts.new, RowKind::New, "new"),
    ]
    .into_iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, kind, word)| {
        let here = result.rows.iter().filter(|r| r.kind == kind).map(|r| r.copies.max(1)).sum::<u64>();
        let first = if here < n { format!(", the first {here} here") } else { String::new() };
        format!("{about}{n} {word}{first}")
    })
    .collect();
    if counts.touched_same > 0 {
        shown.push(format!("{} written again, same content", counts.touched_same));
    }
    let mut lines = vec![Head::Progress(format!("{name} · {}", shown.join(" · ")))];
    if model.panes.compare.level == Level::Rows {
        lines.extend(result.notes.iter().map(|n| Head::Meaning(text::clean(n))));
    }
    lines
}

/// Lines below the list for the selected one's particulars, out of `lines` in all.
pub fn detail_lines(model: &Model, lines: u16) -> u16 {
    match (model.panes.compare.level, lines) {
        (Level::Tables, 8..=13) => 3,
        (Level::Tables, 14..) => 5,
        _ => 0,
    }
}

/// Lines of the table's head: what is what side, and the columns' names.
pub fn title_lines(model: &Model) -> u16 {
    match (&model.compare, model.panes.compare.level) {
        (None, _) => 0,
        (Some(_), Level::Rows) => 2,
        (Some(_), Level::Tables | Level::Columns) => 1,
    }
}

/// All lines above the rows.
pub fn head_lines(model: &Model) -> u16 {
    head(model).len() as u16 + title_lines(model)
}

/// A table's particulars: why this path, failed gates, definitions, notes, times. `(is a caution, words)`.
pub fn details(table: &Table) -> Vec<(bool, String)> {
    let Some(result) = &table.result else { return vec![(false, "not looked at yet".into())] };
    let mut lines = Vec::new();
    if let Verdict::NotComparable { why } = &result.verdict {
        lines.push((true, text::clean(why)));
    }
    let word = result.path.map_or("no path", |p| p.word()).replace('_', " ");
    lines.push((false, format!("path: {word}: {}", text::clean(&result.why_path))));
    for gate in result.gates.iter().filter(|g| !g.passed) {
        lines.push((true, format!("gate {} failed: {}", gates::word(gate.gate), text::clean(&gate.saw))));
    }
    if let Some(name) = &result.restored_as {
        lines.push((true, text::clean(&format!("called {name} in the copy"))));
    }
    lines.extend(result.schema.iter().map(|c| (!c.normal, text::clean(&c.says))));
    lines.extend(result.notes.iter().map(|n| (false, text::clean(n))));
    for times in &result.times {
        let at = |t: Option<crate::domain::Utc>| t.map_or_else(|| "-".into(), clock::both);
        let column = text::clean(&times.column);
        let lost = times.newest_lost.map_or_else(String::new, |t| format!(" · lost {}", clock::both(t)));
        lines.push((
            false,
            format!(
                "newest {column}: LIVE {} · PTR {}{lost}",
                at(times.newest_live),
                at(times.newest_restored)
            ),
        ));
    }
    lines.push((false, format!("{} received in {}", bytes(result.bytes), seconds(result.seconds))));
    lines
}

/// What `y` copies: the command that compares this table; a row has `C`, `J` and `I`.
pub fn copy_text(model: &Model) -> Option<String> {
    let request = &model.compare.as_ref()?.request;
    let table = table(model)?;
    let name = text::clean(&table.head.table.to_string());
    Some(format!("drtui compare --live \"$LIVE_URL\" --restored @{} --table '{name}'", request.restored))
}

/// A table or row that is not there any more is left.
pub fn settle(model: &mut Model) {
    let level = model.panes.compare.level;
    if level == Level::Columns && row(model).is_none() {
        model.panes.compare.level = Level::Rows;
    }
    if level != Level::Tables
        && table(model).and_then(|t| t.result.as_ref()).is_none_or(|r| r.rows.is_empty())
    {
        model.panes.compare.level = Level::Tables;
    }
}

/// One line for the strip.
pub fn summary(model: &Model) -> String {
    let Some(comparison) = &model.compare else { return "not compared".into() };
    let counts = comparison.counts();
    let found = if counts.differing() == 0 && comparison.differing() == 0 {
        "no difference".to_owned()
    } else {
        format!("{} lost {} changed", counts.lost, counts.changed)
    };
    match &comparison.stage {
        Stage::Running => format!("{} % {found}", comparison.progress.percent()),
        Stage::Done { .. } => found,
        Stage::Ended { .. } => format!("!stopped {found}"),
    }
}
