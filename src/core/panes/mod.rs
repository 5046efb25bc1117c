//! The panes: each file decides what rows its pane has, what its commands do, and what copying a row copies.

pub mod checklist;
pub mod compare;
pub mod compare_copy;
pub mod compare_diff;
pub mod compare_head;
pub mod compare_past;
pub mod compare_rows;
pub mod compare_value;
pub mod postgres;
pub mod replicas;
pub mod timeline;
pub mod tunnels;

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::layout::inner;
use super::list::{List, Move};
use super::model::Model;
use crate::domain::{DeploymentKey, TunnelId, Utc, text};

/// The panes, in the order of their number keys. 4 is kept for Workflows, so that no number that fingers know ever means
/// another pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaneId {
    Checklist,
    Replicas,
    Postgres,
    Tunnels,
    Compare,
    Timeline,
}

impl PaneId {
    pub const ALL: [PaneId; 6] = [
        PaneId::Checklist,
        PaneId::Replicas,
        PaneId::Postgres,
        PaneId::Tunnels,
        PaneId::Compare,
        PaneId::Timeline,
    ];

    pub fn title(self) -> &'static str {
        match self {
            PaneId::Checklist => "Checklist",
            PaneId::Replicas => "Replicas",
            PaneId::Postgres => "Postgres",
            PaneId::Tunnels => "Tunnels",
            PaneId::Compare => "Compare",
            PaneId::Timeline => "Timeline",
        }
    }

    /// The number key that focuses the pane.
    pub fn number(self) -> u8 {
        match self {
            PaneId::Checklist => 1,
            PaneId::Replicas => 2,
            PaneId::Postgres => 3,
            PaneId::Tunnels => 5,
            PaneId::Compare => 6,
            PaneId::Timeline => 7,
        }
    }

    /// The next or previous pane, round and round.
    pub fn step(self, forward: bool) -> PaneId {
        let count = PaneId::ALL.len();
        let here = PaneId::ALL.iter().position(|p| *p == self).unwrap_or(0);
        let there = (here + if forward { 1 } else { count - 1 }) % count;
        PaneId::ALL.get(there).copied().unwrap_or(PaneId::Checklist)
    }
}

/// Selection and scrolling of every pane.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panes {
    pub checklist: List<checklist::Row>,
    pub replicas: List<DeploymentKey>,
    pub postgres: List<String>,
    pub tunnels: List<tunnels::Row>,
    pub compare: compare::View,
    /// What was last typed into the query box.
    pub compare_query: String,
    /// Questions asked of both databases so far.
    pub queries: u64,
    pub timeline: List<timeline::Row>,
    /// The timeline stays at its newest row until the person moves away from it.
    pub timeline_held: bool,
    /// A tunnel with connections that is to be closed, and when that was asked for first.
    pub closing: Option<(TunnelId, Utc)>,
}

/// Lines above the rows inside the pane's border: a table head, or what the checklist says first.
pub fn head_lines(model: &Model, pane: PaneId) -> u16 {
    match pane {
        PaneId::Replicas | PaneId::Postgres => 1,
        PaneId::Tunnels => tunnels::head_lines(model),
        PaneId::Compare => compare::head_lines(model),
        PaneId::Checklist => checklist::head(model).len() as u16,
        PaneId::Timeline => 0,
    }
}

/// Rows that fit into a pane now.
pub fn height(model: &Model, pane: PaneId) -> usize {
    let lines = model.layout().rect(pane).map(inner).map_or(0, |r| r.height);
    let lines = lines.saturating_sub(head_lines(model, pane));
    usize::from(match pane {
        PaneId::Postgres => lines.saturating_sub(postgres::detail_lines(lines)),
        PaneId::Checklist => lines.saturating_sub(checklist::detail_lines(lines)),
        PaneId::Tunnels => lines.saturating_sub(tunnels::detail_lines(lines)),
        PaneId::Compare => lines.saturating_sub(compare::detail_lines(model, lines)),
        PaneId::Timeline => lines.saturating_sub(timeline::detail_lines(lines)),
        PaneId::Replicas => lines,
    })
}

/// Applies an expression to the list of a pane with its rows and height.
macro_rules! with_list {
    ($model:expr, $pane:expr, |$list:ident, $rows:ident, $height:ident| $body:expr) => {{
        let $height = height($model, $pane);
        match $pane {
            PaneId::Checklist => {
                let $rows = checklist::rows($model);
                let $list = &mut $model.panes.checklist;
                $body
            }
            PaneId::Replicas => {
                let $rows = replicas::rows($model);
                let $list = &mut $model.panes.replicas;
                $body
            }
            PaneId::Postgres => {
                let $rows = postgres::rows($model);
                let $list = &mut $model.panes.postgres;
                $body
            }
            PaneId::Tunnels => {
                let $rows = tunnels::rows($model);
                let $list = &mut $model.panes.tunnels;
                $body
            }
            PaneId::Compare => match $model.panes.compare.level {
                compare::Level::Tables => {
                    let $rows = compare::tables($model);
                    let $list = &mut $model.panes.compare.tables;
                    $body
                }
                compare::Level::Rows => {
                    let $rows = compare_rows::rows($model);
                    let $list = &mut $model.panes.compare.rows;
                    $body
                }
                compare::Level::Columns => {
                    let $rows = compare_rows::columns($model);
                    let $list = &mut $model.panes.compare.columns;
                    $body
                }
            },
            PaneId::Timeline => {
                let $rows = timeline::rows($model);
                let $list = &mut $model.panes.timeline;
                $body
            }
        }
    }};
}

/// Keeps every selection on a row that exists and in sight.
pub fn settle(model: &mut Model) {
    compare::settle(model);
    for pane in PaneId::ALL {
        with_list!(model, pane, |list, rows, height| list.settle(&rows, height));
    }
    if !model.panes.timeline_held {
        with_list!(model, PaneId::Timeline, |list, rows, height| list.go(&rows, Move::Last, height));
    }
    if model.panes.compare.level == compare::Level::Tables && !model.panes.compare.held {
        with_list!(model, PaneId::Compare, |list, rows, height| list.go(&rows, Move::First, height));
    }
}

/// Moves the selection of a pane.
pub fn go(model: &mut Model, pane: PaneId, to: Move) {
    with_list!(model, pane, |list, rows, height| list.go(&rows, to, height));
    hold(model, pane);
}

/// Turns the wheel over a pane.
pub fn wheel(model: &mut Model, pane: PaneId, down: bool) {
    with_list!(model, pane, |list, rows, height| list.wheel(&rows, down, height));
    hold(model, pane);
}

/// Selects the row that is drawn `line` lines below the top of the pane's rows.
pub fn click(model: &mut Model, pane: PaneId, line: usize) {
    with_list!(model, pane, |list, rows, _height| {
        let index = list.top + line;
        list.select_index(&rows, index);
    });
    hold(model, pane);
}

/// The pane's filter text.
pub fn filter(model: &Model, pane: PaneId) -> &str {
    match pane {
        PaneId::Checklist => &model.panes.checklist.filter,
        PaneId::Replicas => &model.panes.replicas.filter,
        PaneId::Postgres => &model.panes.postgres.filter,
        PaneId::Tunnels => &model.panes.tunnels.filter,
        PaneId::Compare => model.panes.compare.filter(),
        PaneId::Timeline => &model.panes.timeline.filter,
    }
}

pub fn set_filter(model: &mut Model, pane: PaneId, text: String) {
    match pane {
        PaneId::Checklist => model.panes.checklist.filter = text,
        PaneId::Replicas => model.panes.replicas.filter = text,
        PaneId::Postgres => model.panes.postgres.filter = text,
        PaneId::Tunnels => model.panes.tunnels.filter = text,
        PaneId::Compare => model.panes.compare.set_filter(text),
        PaneId::Timeline => model.panes.timeline.filter = text,
    }
}

/// The fields that a filter of the pane may name.
fn fields(model: &Model, pane: PaneId) -> Vec<&str> {
    match pane {
        PaneId::Checklist => checklist::FIELDS.to_vec(),
        PaneId::Replicas => replicas::FIELDS.to_vec(),
        PaneId::Postgres => postgres::FIELDS.to_vec(),
        PaneId::Tunnels => tunnels::FIELDS.to_vec(),
        PaneId::Compare => compare::fields(model),
        PaneId::Timeline => timeline::FIELDS.to_vec(),
    }
}

/// What is wrong with the pane's filter: a field that its rows do not have.
pub fn filter_problem(model: &Model, pane: PaneId) -> Option<String> {
    let known = fields(model, pane);
    let filter = Filter::new(filter(model, pane));
    let field = filter.unknown_field(&known)?;
    let hint = match text::nearest(field, known.iter().copied(), 3) {
        Some(near) => format!("did you mean `{near}:`?"),
        None => format!("there is {}.", known.join(", ")),
    };
    Some(format!("No field is called `{field}` here; {hint}"))
}

/// Rows shown and rows in all, for the filter's count.
pub fn counts(model: &Model, pane: PaneId) -> (usize, usize) {
    match pane {
        PaneId::Checklist => (checklist::rows(model).len(), checklist::total(model)),
        PaneId::Replicas => {
            (replicas::rows(model).len(), model.world.deployments.value.as_ref().map_or(0, |m| m.len()))
        }
        PaneId::Postgres => {
            (postgres::rows(model).len(), model.world.servers.value.as_ref().map_or(0, |m| m.len()))
        }
        PaneId::Tunnels => (tunnels::rows(model).len(), tunnels::total(model)),
        PaneId::Compare => compare::counts(model),
        PaneId::Timeline => (timeline::rows(model).len(), timeline::total(model)),
    }
}

/// What `y` copies from the pane.
pub fn copy_text(model: &Model, pane: PaneId) -> Option<String> {
    match pane {
        PaneId::Checklist => checklist::copy_text(model),
        PaneId::Replicas => replicas::copy_text(model),
        PaneId::Postgres => postgres::copy_text(model),
        PaneId::Tunnels => tunnels::copy_text(model),
        PaneId::Compare => compare::copy_text(model),
        PaneId::Timeline => timeline::copy_text(model),
    }
}

/// One line about the pane, for the strip on small screens.
pub fn summary(model: &Model, pane: PaneId) -> String {
    match pane {
        PaneId::Checklist => checklist::summary(model),
        PaneId::Replicas => replicas::summary(model),
        PaneId::Postgres => postgres::summary(model),
        PaneId::Tunnels => tunnels::summary(model),
        PaneId::Compare => compare::summary(model),
        PaneId::Timeline => timeline::summary(model),
    }
}

/// After a person moved: the timeline stays where it is unless at its end, the comparison's tables unless at their top.
pub fn hold(model: &mut Model, pane: PaneId) {
    match pane {
        PaneId::Timeline => {
            let rows = timeline::rows(model);
            let last = rows.len().saturating_sub(1);
            model.panes.timeline_held = model.panes.timeline.position(&rows).is_some_and(|p| p < last);
        }
        PaneId::Compare if model.panes.compare.level == compare::Level::Tables => {
            let rows = compare::tables(model);
            model.panes.compare.held = model.panes.compare.tables.position(&rows).is_some_and(|p| p > 0);
        }
        _ => {}
    }
}
