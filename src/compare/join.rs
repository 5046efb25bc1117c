//! From row versions on one side only to rows that are lost, new, changed, or written again with the same content.

use std::collections::HashMap;

use super::model::{Counts, RowKind};

/// A row version on one side only, or as many equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<P> {
    /// `None` without a key.
    pub key: Option<i64>,
    pub content: i64,
    pub copies: u64,
    /// Where to fetch it.
    pub place: P,
}

/// A difference, and where its two versions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined<P> {
    pub kind: RowKind,
    pub live: Option<Found<P>>,
    pub restored: Option<Found<P>>,
    pub copies: u64,
}

/// Joins on key; without one, on content.
pub fn join<P: Copy>(live: Vec<Found<P>>, restored: Vec<Found<P>>) -> Vec<Joined<P>> {
    let mut by: HashMap<(bool, i64), Vec<Found<P>>> = HashMap::with_capacity(restored.len());
    let name = |f: &Found<P>| f.key.map_or((false, f.content), |k| (true, k));
    for found in restored.into_iter().rev() {
        by.entry(name(&found)).or_default().push(found);
    }
    let mut out = Vec::new();
    for mut mine in live {
        let theirs = by.get_mut(&name(&mine));
        let Some(theirs) = theirs else {
            out.push(alone(RowKind::New, mine));
            continue;
        };
        while let Some(last) = theirs.last_mut().filter(|_| mine.copies > 0) {
            let copies = mine.copies.min(last.copies);
            let kind = if mine.content == last.content { RowKind::TouchedSame } else { RowKind::Changed };
            out.push(Joined { kind, live: Some(mine), restored: Some(*last), copies });
            mine.copies -= copies;
            last.copies -= copies;
            if last.copies == 0 {
                theirs.pop();
            }
        }
        if mine.copies > 0 {
            out.push(alone(RowKind::New, mine));
        }
    }
    let mut lost: Vec<Found<P>> = by.into_values().flatten().collect();
    lost.sort_by_key(|f| (f.key, f.content));
    out.extend(lost.into_iter().map(|f| alone(RowKind::Lost, f)));
    out
}

fn alone<P: Copy>(kind: RowKind, found: Found<P>) -> Joined<P> {
    let (live, restored) = if kind == RowKind::New { (Some(found), None) } else { (None, Some(found)) };
    Joined { kind, live, restored, copies: found.copies }
}

/// How many of each kind.
pub fn count<P>(all: &[Joined<P>]) -> Counts {
    let of = |kind| all.iter().filter(|j| j.kind == kind).map(|j| j.copies).sum();
    Counts {
        lost: of(RowKind::Lost),
        new: of(RowKind::New),
        changed: of(RowKind::Changed),
        touched_same: of(RowKind::TouchedSame),
        exact: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: Option<i64>, content: i64, copies: u64) -> Found<()> {
        Found { key, content, copies, place: () }
    }

    #[test]
    fn keys_tell_lost_new_changed_and_touched_apart() {
        let live = vec![found(Some(1), 10, 1), found(Some(2), 20, 1), found(Some(3), 30, 1)];
        let restored = vec![found(Some(1), 11, 1), found(Some(2), 20, 1), found(Some(4), 40, 1)];
        let counts = count(&join(live, restored));
        assert_eq!(counts, Counts { lost: 1, new: 1, changed: 1, touched_same: 1, exact: true });
    }

    #[test]
    fn without_a_key_equal_contents_cancel_as_often_as_both_have_them() {
        let live = vec![found(None, 10, 1), found(None, 10, 1), found(None, 7, 2)];
        let restored = vec![found(None, 10, 5), found(None, 8, 1)];
        let counts = count(&join(live, restored));
        assert_eq!(counts, Counts { lost: 4, new: 2, changed: 0, touched_same: 2, exact: true });
    }
}
