//! The last comparison that is on record: shown, with its age, while this run of the cockpit has made none. Never as current.

use super::compare_head::Head;
use crate::core::model::Model;
use crate::domain::{Utc, clock, text};
use crate::incident::{Action, Outcome};

/// What parts the totals from the tables in an outcome on record.
pub const TABLES: &str = "; tables: ";

/// The last comparison on record of the open incident: when it ended (or began), and the record's words.
pub fn last(model: &Model) -> Option<(Utc, String)> {
    let session = model.session.as_ref()?;
    let compared = |a: &&crate::incident::fold::ActionRecord| matches!(a.action, Action::Compare { .. });
    let record = session.state.actions.iter().rfind(compared)?;
    Some(match &record.ended {
        Some((at, Outcome::Done { result })) => (*at, result.clone()),
        Some((at, Outcome::Failed { why } | Outcome::Unknown { why })) => {
            (*at, format!("NOT FINISHED: {why}"))
        }
        None => (record.at, "NOT FINISHED: the record has its beginning and no end".to_owned()),
    })
}

/// Its lines.
pub fn lines(model: &Model) -> Vec<Head> {
    let Some((at, said)) = last(model) else { return Vec::new() };
    let pair = model.session.as_ref().and_then(|s| {
        s.state.actions.iter().rev().find_map(|a| match &a.action {
            Action::Compare { request } => Some((request.as_ref().clone(), a.who.clone())),
            _ => None,
        })
    });
    let ago = clock::span(model.now - at);
    let mut lines = vec![Head::Caution(format!(
        "NOT CURRENT: on record {ago} ago, {}, from before this start of the cockpit",
        clock::both(at)
    ))];
    if let Some((request, who)) = pair {
        let (live, copy) = (text::clean(&request.live), text::clean(&request.restored));
        lines.push(Head::Meaning(format!("LIVE {live} with PTR {copy}, by {}", text::clean(&who))));
        if let Some(part) = request.options.part() {
            lines.push(Head::Caution(format!("PART ONLY ({})", text::clean(&part))));
        }
    }
    let (totals, tables) = said.split_once(TABLES).unwrap_or((&said, ""));
    lines.extend(totals.split("; ").map(|part| Head::Conclusion(text::clean(part))));
    lines.extend(tables.split(", ").filter(|t| !t.is_empty()).map(|t| Head::Progress(text::clean(t))));
    lines
}
