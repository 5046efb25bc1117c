//! Compare: live against a restored copy, left LIVE and right PTR. Tables, those that lost most first; the rows of one
//! that differ; the columns of one row.

use std::cmp::Reverse;

use super::compare_head::{self, seconds};
use super::compare_past;
use super::compare_rows;
use crate::compare::model::RowDiff;
use crate::compare::{TableId, Verdict, gates};
use crate::core::comparison::{RowKey, Stage, Table};
use crate::core::filter::Filter;
use crate::core::list::List;
use crate::core::model::Model;
use crate::core::panes::tunnels::bytes;
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
    /// The person is at a table of their choice: else the worst one that is known is selected.
    pub held: bool,
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
        (Some(Verdict::Changed), _) => "DIFFERS".into(),
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
    compare_head::head(model).len() as u16 + title_lines(model)
}

/// A table's particulars: why this path, failed gates, definitions, notes, times. `(is a caution, words)`.
pub fn details(table: &Table) -> Vec<(bool, String)> {
    let Some(result) = &table.result else { return vec![(false, "not looked at yet".into())] };
    let mut lines = Vec::new();
    if let Verdict::NotComparable { why } = &result.verdict {
        lines.push((true, text::clean(why)));
    }
    if let Some(path) = result.path {
        let why = text::clean(&result.why_path);
        lines.push((false, format!("path: {}: {why}", path.word().replace('_', " "))));
    }
    for gate in result.gates.iter().filter(|g| !g.passed) {
        lines.push((true, format!("gate {} failed: {}", gates::word(gate.gate), text::clean(&gate.saw))));
    }
    if let Some(name) = &result.restored_as {
        lines.push((true, text::clean(&format!("called {name} in the copy"))));
    }
    lines.extend(result.schema.iter().map(|c| {
        let normal = if c.normal { " (normal)" } else { "" };
        (!c.normal, text::clean(&format!("{}: {}{normal}", c.what, c.says)))
    }));
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
    let options =
        crate::domain::CompareOptions { tables: vec![name], exclude: vec![], ..request.options.clone() };
    let request = crate::domain::CompareRequest { options, ..request.clone() };
    Some(crate::incident::Action::Compare { request: Box::new(request) }.command_line())
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
    let Some(comparison) = &model.compare else {
        let past = compare_past::last(model).is_some();
        return if past { "!on record, not current".into() } else { "not compared".into() };
    };
    let counts = comparison.counts();
    let found = if counts.differing() == 0 && comparison.differing() == 0 && comparison.unknown() == 0 {
        "no difference".to_owned()
    } else {
        format!("{} lost {} changed", comparison.number(counts.lost), comparison.number(counts.changed))
    };
    match &comparison.stage {
        Stage::Running => format!("{} % {found}", comparison.progress.percent()),
        Stage::Done { .. } if comparison.request.options.part().is_some() => format!("!part {found}"),
        Stage::Done { .. } if comparison.unknown() > 0 => {
            format!("!{found}, {} not compared", comparison.unknown())
        }
        Stage::Done { .. } => found,
        Stage::Ended { .. } => format!("!stopped: {found}"),
    }
}
