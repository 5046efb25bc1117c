//! A table that only one side has: how many rows, and the first of them.

use super::CompareError;
use super::fetch;
use super::session::Session;
use crate::compare::ask::physical::Scan;
use crate::compare::ask::{self, logical, rows};
use crate::compare::catalogue::Relation;
use crate::compare::model::{Options, RowDiff, RowKind, Side};

/// Counts the table and fetches its first rows.
pub async fn look(
    session: &Session,
    relation: &Relation,
    options: &Options,
) -> Result<(u64, Vec<RowDiff>), CompareError> {
    let name = ask::table(&relation.table());
    let scan = Scan { table: &name, filter: options.filter.as_deref() };
    let count = session.number("the number of rows", &logical::count(scan)).await?;
    let chosen = ask::and(scan.filter);
    let first =
        format!("ctid = ANY (ARRAY(SELECT ctid FROM {name} WHERE true{chosen} LIMIT {}))", options.rows);
    let sql = rows::values(scan, "NULL::int8", "0::int8", &relation.columns, &first, options.value_bytes);
    let mut found = Vec::new();
    let key = relation.keys.first().map(|k| k.columns.as_slice()).unwrap_or_default();
    session
        .each("rows of a table", &sql, |row| {
            let version = fetch::version(&row)?;
            let of = |num: &i32| relation.columns.iter().position(|c| c.num == *num);
            let key = key.iter().filter_map(|num| version.values.get(of(num)?).cloned()).collect();
            let version = Some(version);
            let (live, restored) = if session.side == Side::Live { (version, None) } else { (None, version) };
            let kind = if session.side == Side::Live { RowKind::New } else { RowKind::Lost };
            found.push(RowDiff { kind, key, live, restored, differing: vec![], copies: 1 });
            Some(())
        })
        .await?;
    Ok((count, found))
}
