//! One SELECT, asked of both databases, answers side by side: read-only, limited, timed.

use crossterm::event::{KeyCode, KeyEvent};
use serde::{Deserialize, Serialize};
use tui_input::Input;

use super::{Overlay, edit, open};
use crate::compare::question;
use crate::core::effect::Effect;
use crate::core::model::Model;
use crate::domain::CompareRequest;

/// What a database answered. Texts are as the server wrote them: not cleaned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Rows {
        columns: Vec<String>,
        /// `None` is NULL. Bounded in number and in size.
        rows: Vec<Vec<Option<String>>>,
        /// There are more rows than these.
        more: bool,
        /// A value is longer than what is here of it.
        #[serde(default)]
        cut: bool,
        /// Milliseconds that the server took.
        took_ms: u64,
    },
    Failed {
        why: String,
    },
}

impl Reply {
    /// Replaces every value by its number: for recordings.
    pub fn hide(&mut self) {
        match self {
            Reply::Rows { rows, .. } => {
                let values = rows.iter_mut().flatten().flatten();
                values.enumerate().for_each(|(n, value)| *value = format!("•{n}"));
            }
            Reply::Failed { why } => *why = "•".into(),
        }
    }
}

/// The box.
#[derive(Debug, Clone)]
pub struct Query {
    pub request: CompareRequest,
    pub input: Input,
    /// The question that is under way, by its number.
    pub asked: Option<u64>,
    /// Live's answer and the copy's.
    pub answers: Option<(Reply, Reply)>,
    /// The first row and the first column that show.
    pub top: usize,
    pub left: usize,
    /// The keys scroll the answers and do not type.
    pub reading: bool,
    /// Why what stands there is not asked.
    pub problem: Option<String>,
}

impl Query {
    pub fn new(request: CompareRequest, sql: &str) -> Query {
        Query {
            request,
            input: Input::new(sql.to_owned()),
            asked: None,
            answers: None,
            top: 0,
            left: 0,
            reading: false,
            problem: None,
        }
    }

    pub(super) fn key(mut self: Box<Self>, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        let mut effects = Vec::new();
        match key.code {
            KeyCode::Esc => {
                model.panes.compare_query = self.input.value().to_owned();
                return Vec::new();
            }
            KeyCode::Tab => self.reading = !self.reading && self.answers.is_some(),
            KeyCode::Enter if self.asked.is_none() && self.is_refused() => {}
            KeyCode::Enter if self.asked.is_none() => {
                model.panes.queries += 1;
                let id = model.panes.queries;
                (self.asked, self.answers, self.top, self.left) = (Some(id), None, 0, 0);
                model.panes.compare_query = self.input.value().to_owned();
                let (request, sql) = (self.request.clone(), self.input.value().trim().to_owned());
                effects.push(Effect::AskBoth { id, request: Box::new(request), sql });
            }
            KeyCode::Down => self.top = (self.top + 1).min(self.rows().saturating_sub(1)),
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::PageDown => self.top = (self.top + 10).min(self.rows().saturating_sub(1)),
            KeyCode::PageUp => self.top = self.top.saturating_sub(10),
            KeyCode::Left if self.reading => self.left = self.left.saturating_sub(1),
            KeyCode::Right if self.reading => {
                self.left = (self.left + 1).min(self.columns().saturating_sub(1));
            }
            _ if !self.reading => {
                self.problem = None;
                edit(&mut self.input, key);
            }
            _ => {}
        }
        open(model, Overlay::Query(self));
        effects
    }

    /// True, and says why, if it is plain from the text that it is not one SELECT: then nobody is asked.
    fn is_refused(&mut self) -> bool {
        self.problem = question::read(self.input.value()).err();
        if self.problem.is_some() {
            self.answers = None;
        }
        self.problem.is_some()
    }

    /// Rows of the longer answer.
    pub fn rows(&self) -> usize {
        self.most(|reply| match reply {
            Reply::Rows { rows, .. } => rows.len(),
            Reply::Failed { .. } => 0,
        })
    }

    fn columns(&self) -> usize {
        self.most(|reply| match reply {
            Reply::Rows { columns, .. } => columns.len(),
            Reply::Failed { .. } => 0,
        })
    }

    fn most(&self, of: impl Fn(&Reply) -> usize) -> usize {
        self.answers.as_ref().map_or(0, |(live, restored)| of(live).max(of(restored)))
    }
}
