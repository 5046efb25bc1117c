//! A table that only one side has: how many rows, and the first of them.

use super::CompareError;
use super::session::Session;
use crate::compare::ask::physical::Scan;
use crate::compare::ask::{self, logical, rows};
use crate::compare::catalogue::Relation;
use crate::compare::model::{Options, RowDiff, RowKind, RowVersion, Side, Value};

/// Counts the table and fetches its first rows.
pub async fn look(
    session: &Session,
    relation: &Relation,
    options: &Options,
) -> Result<(u64, Vec<RowDiff>), CompareError> {
    let name = ask::table(&relation.table());
    let scan = Scan { table: &name, filter: None };
    let count = session.number("the number of rows", &logical::count(scan)).await?;
    let first = format!("ctid = ANY (ARRAY(SELECT ctid FROM {name} LIMIT {}))", options.rows);
    let sql = rows::values(scan, "NULL::int8", "0::int8", &relation.columns, &first, options.value_bytes);
    let mut found = Vec::new();
    let key = relation.keys.first().map(|k| k.columns.as_slice()).unwrap_or_default();
    session
        .each("rows of a table", &sql, |row| {
            let values: Vec<Option<String>> = row.try_get(4).ok()?;
            let values: Vec<Option<Value>> =
                values.into_iter().map(|v| v.map(|text| Value { text, cut: None })).collect();
            let xmin: i64 = row.try_get(3).ok()?;
            let of = |num: &i32| relation.columns.iter().position(|c| c.num == *num);
            let key = key.iter().filter_map(|num| values.get(of(num)?).cloned()).collect();
            let version =
                Some(RowVersion { values, ctid: row.try_get(2).ok()?, xmin: u32::try_from(xmin).ok()? });
            let (live, restored) = if session.side == Side::Live { (version, None) } else { (None, version) };
            let kind = if session.side == Side::Live { RowKind::New } else { RowKind::Lost };
            found.push(RowDiff { kind, key, live, restored, differing: vec![], copies: 1 });
            Some(())
        })
        .await?;
    Ok((count, found))
}
