//! The undo ledger: what was changed and must still be put back.

use crossterm::event::{KeyCode, KeyEvent};

use super::prompt::Kind;
use super::{Overlay, ask, open};
use crate::core::act;
use crate::core::effect::Effect;
use crate::core::model::{Level, Model};
use crate::core::pods;
use crate::incident::UndoKind;
use crate::incident::fold::LedgerRecord;
use crate::incident::words::captured;

/// The ledger with its selected line, by undo id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    pub selected: usize,
}

impl Ledger {
    pub(super) fn key(mut self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        let count = model.session.as_ref().map_or(0, |s| s.state.ledger.len());
        let picked = model.session.as_ref().and_then(|s| s.state.ledger.get(self.selected)).cloned();
        match key.code {
            KeyCode::Esc | KeyCode::Char('q' | 'L') => return Vec::new(),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => {
                self.selected = (self.selected + 1).min(count.saturating_sub(1))
            }
            KeyCode::Char('b') => {
                if let Some(record) = picked.filter(|r| r.ended.is_none()) {
                    return match record.undo.kind {
                        UndoKind::Replicas { deployment, .. } => act::restore(model, Some(&[deployment])),
                        UndoKind::TunnelPods { tunnels, .. } => {
                            pods::put_back(model, &record.undo.id, &tunnels)
                        }
                    };
                }
                model.tell(Level::Info, "This one is settled already.");
            }
            KeyCode::Char('w') => match picked.filter(|r| r.ended.is_none()) {
                Some(record) => {
                    open(model, Overlay::Ledger(self));
                    let what = captured(&record.undo);
                    ask(model, Kind::Waive { undo: record.undo.id, what });
                    return Vec::new();
                }
                None => model.tell(Level::Info, "This one is settled already."),
            },
            KeyCode::Char('x') => {
                let waived = |r: &LedgerRecord| r.ended.as_ref().is_some_and(|e| !e.put_back);
                if let Some(record) = picked.filter(waived) {
                    open(model, Overlay::Ledger(self));
                    let what = captured(&record.undo);
                    ask(model, Kind::Unwaive { undo: record.undo.id, what });
                    return Vec::new();
                }
                model.tell(Level::Info, "Only what was waived can be opened again.");
            }
            _ => {}
        }
        open(model, Overlay::Ledger(self));
        Vec::new()
    }
}
