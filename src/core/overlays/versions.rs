//! Both versions of one value, whole, with what differs marked.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Overlay, open};
use crate::compare::{Side, Value};
use crate::core::comparing::fetch;
use crate::core::effect::Effect;
use crate::core::model::{Level, Model};
use crate::core::more::What;
use crate::core::panes::compare_diff::{self, Line, Whose};
use crate::core::panes::{compare, compare_rows, tunnels::bytes};

/// The overlay: which column of the row that shows, and how far it is scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub column: u16,
    pub top: usize,
}

/// What is shown: a title, remarks, and the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub title: String,
    pub remarks: Vec<String>,
    pub lines: Vec<Line>,
}

/// The overlay's content; `None` when the row is not there any more.
pub fn shown(model: &Model, column: u16) -> Option<Shown> {
    let table = compare::table(model)?;
    let row = compare::row(model)?;
    let name = table.result.as_ref()?.columns.get(usize::from(column))?;
    let (live, restored) =
        (compare_rows::value(row, Side::Live, column), compare_rows::value(row, Side::Restored, column));
    let mut remarks = Vec::new();
    for (word, value) in [("LIVE", live), ("PTR", restored)] {
        match value {
            None => remarks.push(format!("{word}: no such row")),
            Some(None) => remarks.push(format!("{word}: NULL")),
            Some(Some(v)) if v.text.is_empty() => remarks.push(format!("{word}: the empty text")),
            Some(Some(Value { cut: Some(cut), text })) => remarks.push(format!(
                "{word}: only the first {} of {} are here",
                bytes(text.len() as u64),
                bytes(cut.bytes)
            )),
            Some(Some(_)) => {}
        }
    }
    remarks.extend(whole(model, column, (live.flatten(), restored.flatten())));
    let text = |value: Option<Option<&Value>>| value.flatten().map(|v| v.text.clone());
    let lines = match (text(live), text(restored)) {
        (Some(a), Some(b)) => compare_diff::diff(&a, &b),
        (Some(a), None) => of(Whose::Live, &a),
        (None, Some(b)) => of(Whose::Restored, &b),
        (None, None) => Vec::new(),
    };
    let title = crate::domain::text::clean(&format!("{}.{name}", table.head.table));
    Some(Shown { title, remarks, lines })
}

/// What is known of the part that is not here, and how to get it.
fn whole(model: &Model, column: u16, (live, restored): (Option<&Value>, Option<&Value>)) -> Vec<String> {
    let cut = |v: Option<&Value>| v.and_then(|v| v.cut.clone());
    let mut out = Vec::new();
    match (cut(live), cut(restored)) {
        (None, None) => {}
        (Some(a), Some(b)) if a == b => {
            out.push("By size and md5 both are the same. f fetches the whole.".into())
        }
        _ => out.push("f fetches the whole.".into()),
    }
    let Some(comparison) = &model.compare else { return out };
    let mine = |what: &What| matches!(what, What::Value { column: c, .. } if *c == column);
    if let Some(fetch) = comparison.fetch.as_ref().filter(|f| mine(&f.what)) {
        let stop = if fetch.stopping { "stopping" } else { "x stops it" };
        out.push(format!("Fetching the whole · {stop}"));
    } else if let Some((_, why)) = comparison.failed.as_ref().filter(|(what, _)| mine(what)) {
        out.push(format!("NOT fetched: {why}"));
    }
    out
}

fn of(whose: Whose, text: &str) -> Vec<Line> {
    compare_diff::alone(text).into_iter().map(|line| Line { whose, ..line }).collect()
}

impl Versions {
    pub(super) fn key(mut self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        let last =
            shown(model, self.column).map_or(0, |s| (s.lines.len() + s.remarks.len()).saturating_sub(1));
        match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Char('q') => return Vec::new(),
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.top = (self.top + 1).min(last),
            KeyCode::PageUp => self.top = self.top.saturating_sub(10),
            KeyCode::PageDown => self.top = (self.top + 10).min(last),
            KeyCode::Home | KeyCode::Char('g') => self.top = 0,
            KeyCode::End | KeyCode::Char('G') => self.top = last,
            KeyCode::Char('f') => {
                let effects = fetch::value(model, self.column);
                open(model, Overlay::Versions(self));
                return effects;
            }
            KeyCode::Char('x') => {
                let effects = fetch::cancel(model).unwrap_or_default();
                open(model, Overlay::Versions(self));
                return effects;
            }
            KeyCode::Char('y') => {
                open(model, Overlay::Versions(self));
                let row = compare::row(model);
                let of = |side| row.and_then(|r| compare_rows::value(r, side, self.column)).flatten();
                let text = of(Side::Restored).or(of(Side::Live)).map(|v| v.text.clone());
                if text.is_none() {
                    model.tell(Level::Info, "There is no text to copy.");
                }
                return text.map(Effect::CopySilently).into_iter().collect();
            }
            _ => {}
        }
        open(model, Overlay::Versions(self));
        Vec::new()
    }
}
