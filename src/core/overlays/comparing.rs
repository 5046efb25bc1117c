//! How to compare: with which copy, which tables and rows, by which path, at what cost for live. Every field may stay as it
//! is: Enter compares everything.

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Overlay, edit, open};
use crate::compare::question;
use crate::core::comparing::begin;
use crate::core::effect::Effect;
use crate::core::model::Model;
use crate::domain::{CompareOptions, ComparePath, Condition};

/// Most rows of each kind and table that may be asked for: all of them are kept.
pub const ROWS_MAX: u32 = 10_000;

const FIELDS: usize = 7;

/// The form. Fields: 0 copy, 1 tables, 2 left out, 3 condition, 4 path, 5 load, 6 rows.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// Name of the chosen copy.
    pub copy: String,
    pub tables: Input,
    pub exclude: Input,
    pub filter: Input,
    pub path: ComparePath,
    pub max_load: Input,
    pub rows: Input,
    pub field: usize,
    pub problem: Option<String>,
}

impl Form {
    pub fn new(copy: String) -> Form {
        Form { copy, ..Form::default() }
    }

    /// The text field with the focus.
    pub fn field_mut(&mut self) -> Option<&mut Input> {
        match self.field {
            1 => Some(&mut self.tables),
            2 => Some(&mut self.exclude),
            3 => Some(&mut self.filter),
            5 => Some(&mut self.max_load),
            6 => Some(&mut self.rows),
            _ => None,
        }
    }

    /// What the form asks for.
    ///
    /// # Errors
    /// What is wrong with a field, in words.
    pub fn options(&self) -> Result<CompareOptions, String> {
        let rows = CompareOptions::default().rows;
        let filter = self.filter.value().trim();
        if !filter.is_empty() {
            question::condition(filter)?;
        }
        Ok(CompareOptions {
            tables: patterns(&self.tables),
            exclude: patterns(&self.exclude),
            filter: (!filter.is_empty()).then(|| Condition::new(filter.to_owned())),
            path: self.path,
            max_load: number(&self.max_load, 0, 1_000, "Active sessions", "what is usual there")?,
            rows: number(&self.rows, 1, ROWS_MAX, "Rows listed", &rows.to_string())?.unwrap_or(rows),
        })
    }

    fn turn(&mut self, model: &Model, forward: bool) {
        fn next<T: Clone + PartialEq>(all: &[T], here: &T, forward: bool) -> Option<T> {
            let at = all.iter().position(|x| x == here).unwrap_or(0);
            all.get(if forward { at + 1 } else { at.wrapping_sub(1) }).cloned()
        }
        if self.field == 4 {
            self.path = next(&ComparePath::ALL, &self.path, forward).unwrap_or(self.path);
        } else {
            let names: Vec<String> = begin::copies(model).iter().map(|s| s.name.clone()).collect();
            self.copy = next(&names, &self.copy, forward).unwrap_or(self.copy.clone());
        }
    }

    pub(super) fn key(mut self: Box<Self>, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Tab | KeyCode::Down => self.field = (self.field + 1) % FIELDS,
            KeyCode::BackTab | KeyCode::Up => self.field = (self.field + FIELDS - 1) % FIELDS,
            KeyCode::Left | KeyCode::Right | KeyCode::Char(' ') if matches!(self.field, 0 | 4) => {
                self.problem = None;
                self.turn(model, key.code != KeyCode::Left);
            }
            KeyCode::Enter => match (begin::hindrance(model, &self.copy), self.options()) {
                (None, Ok(options)) => return begin::start(model, self.copy, options),
                (Some(why), _) | (None, Err(why)) => self.problem = Some(why),
            },
            _ => {
                self.problem = None;
                if let Some(input) = self.field_mut() {
                    edit(input, key);
                }
            }
        }
        open(model, Overlay::Comparing(self));
        Vec::new()
    }
}

/// Words with blanks or commas between them.
fn patterns(input: &Input) -> Vec<String> {
    let words = input.value().split(|c: char| c.is_whitespace() || c == ',');
    words.filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn number(input: &Input, least: u32, most: u32, what: &str, default: &str) -> Result<Option<u32>, String> {
    let text = input.value().trim();
    match text.parse::<u32>() {
        _ if text.is_empty() => Ok(None),
        Ok(n) if (least..=most).contains(&n) => Ok(Some(n)),
        _ => Err(format!("{what}: say {least} to {most}, or nothing for {default}; `{text}` is neither.")),
    }
}
