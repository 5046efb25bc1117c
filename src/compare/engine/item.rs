//! A table on its way through a comparison, and the table that only one side has.

use super::CompareError;
use super::one_side;
use super::table::{Asking, Table};
use crate::compare::catalogue::{self, Pair};
use crate::compare::model::{Path, Side, TableResult, Verdict};

/// A table at work and what is known of it.
pub struct Item {
    pub pair: Pair,
    pub result: TableResult,
    pub table: Option<Table>,
    /// There is nothing to look at.
    pub done: bool,
}

impl Item {
    /// Somebody holds it exclusively.
    pub fn held(&self) -> bool {
        self.holder().is_some()
    }

    fn holder(&self) -> Option<(Side, i32)> {
        let of = |r: &Option<catalogue::Relation>| r.as_ref().and_then(|r| r.held_by);
        of(&self.pair.live).map(|p| (Side::Live, p)).or(of(&self.pair.restored).map(|p| (Side::Restored, p)))
    }

    /// The failure in words.
    pub fn why(&self, error: &CompareError) -> String {
        match (error, self.holder()) {
            (CompareError::Refused { code, .. }, Some((side, pid))) if code == "55P03" => {
                format!(
                    "process {pid} holds it exclusively on {side}: wait for it, or end it, and compare again"
                )
            }
            _ => error.to_string(),
        }
    }
}

/// Looks at a table that only one side has.
pub async fn alone(asking: &Asking<'_>, pair: &Pair, result: &mut TableResult) -> Result<(), CompareError> {
    let (side, relation) = match (&pair.live, &pair.restored) {
        (Some(live), _) => (Side::Live, live),
        (None, Some(restored)) => (Side::Restored, restored),
        (None, None) => return Ok(()),
    };
    result.path = Some(Path::OneSide);
    result.why_path = format!("only on {side}");
    result.columns = relation.columns.iter().map(|c| c.name.clone()).collect();
    let named = |num: &i32| relation.columns.iter().find(|c| c.num == *num).map(|c| c.name.clone());
    result.key =
        relation.keys.first().and_then(|k| k.columns.iter().map(named).collect()).unwrap_or_default();
    let mut rows = 0;
    if matches!(relation.kind.as_str(), "r" | "m") {
        let seen = one_side::look(asking, side, relation).await?;
        (rows, result.rows) = (seen.rows, seen.first);
        result.counts.exact = seen.about.is_none();
        let note = |why| format!("{why}: it was not counted, the number is the server's estimate");
        result.notes.extend(seen.about.map(note));
    }
    if side == Side::Live {
        (result.verdict, result.rows_live, result.counts.new) = (Verdict::New, Some(rows), rows);
    } else {
        (result.verdict, result.rows_restored, result.counts.lost) = (Verdict::Gone, Some(rows), rows);
    }
    Ok(())
}
