//! A table that only one side has: how many rows, and the first of them.

use super::pace::Resting;
use super::table::Asking;
use super::{CompareError, fetch, gentle};
use crate::compare::ask::physical::Scan;
use crate::compare::ask::{self, logical, physical, rows};
use crate::compare::catalogue::Relation;
use crate::compare::link::Later;
use crate::compare::model::{RowDiff, RowKind, Side};

/// What is known of the table.
pub struct Seen {
    pub rows: u64,
    /// Why that is only the server's estimate.
    pub about: Option<String>,
    pub first: Vec<RowDiff>,
}

/// Counts the table and fetches its first rows.
pub async fn look(asking: &Asking<'_>, side: Side, relation: &Relation) -> Result<Seen, CompareError> {
    let (session, options) = (asking.session(side), asking.options);
    let name = ask::table(&relation.table());
    let scan = Scan { table: &name, filter: options.filter.as_deref() };
    let (rows, about) = match count(asking, side, relation, scan).await? {
        Ok(rows) => (rows, None),
        Err(why) => (relation.estimate(), Some(why)),
    };
    let chosen = ask::and(scan.filter);
    let first =
        format!("ctid = ANY (ARRAY(SELECT ctid FROM {name} WHERE true{chosen} LIMIT {}))", options.rows);
    let sql = rows::values(scan, "NULL::int8", "0::int8", &relation.columns, &first, options.value_bytes);
    let mut found = Vec::new();
    let key = relation.keys.first().map(|k| k.columns.as_slice()).unwrap_or_default();
    let read = session.each("rows of a table", &sql, |row| {
        let version = fetch::version(&row)?;
        let of = |num: &i32| relation.columns.iter().position(|c| c.num == *num);
        let key = key.iter().filter_map(|num| version.values.get(of(num)?).cloned()).collect();
        let version = Some(version);
        let (live, restored) = if side == Side::Live { (version, None) } else { (None, version) };
        let kind = if side == Side::Live { RowKind::New } else { RowKind::Lost };
        found.push(RowDiff { kind, key, live, restored, differing: vec![], copies: 1 });
        Some(())
    });
    gentle::ask(asking, side, read).await?;
    Ok(Seen { rows, about, first: found })
}

/// How many rows there are; the inner error says why live could not be read to its end.
async fn count(
    asking: &Asking<'_>,
    side: Side,
    relation: &Relation,
    scan: Scan<'_>,
) -> Result<Result<u64, String>, CompareError> {
    const WHAT: &str = "the number of rows";
    let session = asking.session(side);
    if side == Side::Restored {
        return session.number(WHAT, &logical::count(scan, "")).await.map(Ok);
    }
    let blocks = relation.bytes / u64::from(asking.ground.live.block_size);
    let blocks = Some(blocks).filter(|_| relation.am.as_deref() == Some("heap"));
    let counted = |resting: Resting| -> Later<'_, _> {
        Box::pin(async move {
            let rests = resting.times.map(|times| physical::resting(blocks.unwrap_or(0), times));
            session.number(WHAT, &logical::count(scan, &rests.unwrap_or_default())).await
        })
    };
    gentle::undivided(asking, blocks, counted).await
}
