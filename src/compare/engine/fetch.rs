//! Rows by place, key or content: identities of all that differ, values of those that are shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::session::Session;
use super::table::{Asking, At, Table, pick};
use super::{CompareError, gentle};
use crate::compare::ask;
use crate::compare::ask::physical::numbers;
use crate::compare::ask::rows::{self, Place};
use crate::compare::buckets::{self, Version};
use crate::compare::join::{Found, Joined};
use crate::compare::link::Connect;
use crate::compare::model::{Cut, RowDiff, RowKind, RowVersion, Side, TableName, Value};

/// Rows in one question.
const AT_ONCE: usize = 5_000;
/// How long the server may look for one value.
const PATIENCE: Duration = Duration::from_secs(60);

/// Key and content of row versions.
pub async fn identities(
    asking: &Asking<'_>,
    side: Side,
    table: &Table,
    versions: &[Version],
) -> Result<Vec<Found<At>>, CompareError> {
    let (session, what) = (asking.session(side), "differing rows");
    let (key, content) = (table.key(side), table.content(side));
    let mut found = Vec::with_capacity(versions.len());
    for some in versions.chunks(AT_ONCE) {
        let places: Vec<Place> = some.iter().map(|v| v.place).collect();
        let sql = rows::identities(table.scan(side), &key, &content, &rows::at(&places));
        let read = session.each(what, &sql, |row| {
            found.push(Found {
                place: At::Place(buckets::place(row.try_get(0).ok()?)?),
                key: row.try_get(1).ok()?,
                content: row.try_get(2).ok()?,
                copies: 1,
            });
            Some(())
        });
        gentle::ask(asking, side, read).await?;
    }
    if found.len() != versions.len() {
        return Err(session.garbled(what, "a row went away within one snapshot"));
    }
    Ok(found)
}

/// What a fetched row is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Place(String),
    Key(i64),
    Content(i64),
}

fn name(found: &Found<At>) -> Name {
    match (found.place, found.key) {
        (At::Place((block, offset)), _) => Name::Place(format!("({block},{offset})")),
        (At::Name, Some(key)) => Name::Key(key),
        (At::Name, None) => Name::Content(found.content),
    }
}

/// The rows to show: of each kind the first ones, lost first, with their values.
pub async fn show(
    asking: &Asking<'_>,
    table: &Table,
    joined: &[Joined<At>],
) -> Result<Vec<RowDiff>, CompareError> {
    let mut chosen: Vec<Joined<At>> = Vec::new();
    for kind in [RowKind::Lost, RowKind::Changed, RowKind::New, RowKind::TouchedSame] {
        chosen.extend(joined.iter().filter(|j| j.kind == kind).take(asking.options.rows));
    }
    let live: Vec<Found<At>> = chosen.iter().filter_map(|j| j.live).collect();
    let restored: Vec<Found<At>> = chosen.iter().filter_map(|j| j.restored).collect();
    let (live, restored) = tokio::try_join!(
        values(asking, table, Side::Live, &live),
        values(asking, table, Side::Restored, &restored)
    )?;
    let pick = |all: &HashMap<Name, RowVersion>, found: &Option<Found<At>>| {
        found.as_ref().and_then(|f| all.get(&name(f)).cloned())
    };
    Ok(chosen.iter().map(|j| row(table, j, pick(&live, &j.live), pick(&restored, &j.restored))).collect())
}

fn row(
    table: &Table,
    joined: &Joined<At>,
    live: Option<RowVersion>,
    restored: Option<RowVersion>,
) -> RowDiff {
    let any = live.as_ref().or(restored.as_ref());
    let keys = table.plan.key.as_ref().map(|k| k.columns()).unwrap_or_default();
    let index = |shared: &_| table.plan.shared.iter().position(|s| s == shared);
    let key = keys.iter().filter_map(|shared| any?.values.get(index(shared)?).cloned()).collect();
    let differing = match (&live, &restored) {
        (Some(l), Some(r)) => {
            let pairs = l.values.iter().zip(&r.values).enumerate();
            pairs.filter(|(_, (l, r))| l != r).filter_map(|(i, _)| u16::try_from(i).ok()).collect()
        }
        _ => Vec::new(),
    };
    RowDiff { kind: joined.kind, key, live, restored, differing, copies: joined.copies }
}

async fn values(
    asking: &Asking<'_>,
    table: &Table,
    side: Side,
    wanted: &[Found<At>],
) -> Result<HashMap<Name, RowVersion>, CompareError> {
    let session = asking.session(side);
    let (key, content) = (table.key(side), table.content(side));
    let mut all = HashMap::with_capacity(wanted.len());
    for some in wanted.chunks(AT_ONCE) {
        let by_place = some.iter().any(|f| matches!(f.place, At::Place(_)));
        let sql = rows::values(
            table.scan(side),
            &key,
            &content,
            table.columns(side),
            &condition(table, side, some),
            asking.options.value_bytes,
        );
        let read = session.each("differing rows", &sql, |row| {
            let name = match (by_place, row.try_get::<_, Option<i64>>(0).ok()?) {
                (true, _) => Name::Place(row.try_get(2).ok()?),
                (false, Some(key)) => Name::Key(key),
                (false, None) => Name::Content(row.try_get(1).ok()?),
            };
            all.insert(name, version(&row)?);
            Some(())
        });
        gentle::ask(asking, side, read).await?;
    }
    Ok(all)
}

fn condition(table: &Table, side: Side, some: &[Found<At>]) -> String {
    let places: Vec<Place> = some
        .iter()
        .filter_map(|f| match f.place {
            At::Place(place) => Some(place),
            At::Name => None,
        })
        .collect();
    if !places.is_empty() {
        return rows::at(&places);
    }
    let keys: Vec<i64> = some.iter().filter_map(|f| f.key).collect();
    match &table.plan.key {
        Some(key) => key.any(&keys, table.plan.agreement, pick(side)),
        None => {
            let contents: Vec<i64> = some.iter().map(|f| f.content).collect();
            format!("{} = ANY ({})", table.content(side), numbers(&contents))
        }
    }
}

pub(super) fn version(row: &tokio_postgres::Row) -> Option<RowVersion> {
    let values: Vec<Option<String>> = row.try_get(4).ok()?;
    let cuts: Vec<Option<String>> = row.try_get(5).ok()?;
    let values = values.into_iter().zip(cuts).map(|(text, long)| value(text, long.as_deref())).collect();
    let xmin: i64 = row.try_get(3).ok()?;
    Some(RowVersion { values, ctid: row.try_get(2).ok()?, xmin: u32::try_from(xmin).ok()? })
}

/// A value, and what was cut of it: `bytes:md5`.
fn value(text: Option<String>, long: Option<&str>) -> Option<Value> {
    let cut = |long: &str| {
        let (bytes, md5) = long.split_once(':')?;
        Some(Cut { bytes: bytes.parse().ok()?, md5: md5.to_owned() })
    };
    text.map(|text| Value { text, cut: long.and_then(cut) })
}

/// Which value is wanted whole: one column of a row version that a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub side: Side,
    pub table: TableName,
    pub column: String,
    /// As [`RowVersion::ctid`] says it.
    pub ctid: String,
    pub xmin: u32,
}

/// The whole of a value that was fetched in part, or its first `limit` characters; `None` if that version of the row is
/// not there any more. One connection, closed afterwards; reads only; `stop` cancels it on the server.
///
/// # Errors
/// As those of a comparison.
pub async fn whole(
    connect: &dyn Connect,
    wanted: &Wanted,
    limit: usize,
    stop: &watch::Receiver<bool>,
) -> Result<Option<Option<Value>>, CompareError> {
    let session = Session::open(connect, wanted.side, &Arc::default(), stop, (PATIENCE, "")).await?;
    let Some(place) = place(&wanted.ctid) else {
        return Err(session.garbled("a value", "the place of its row"));
    };
    let sql = rows::value(&ask::table(&wanted.table), &wanted.column, place, wanted.xmin, limit);
    let mut found = None;
    session
        .each("a value", &sql, |row| {
            let long: Option<String> = row.try_get(1).ok()?;
            found = Some(value(row.try_get(0).ok()?, long.as_deref()));
            Some(())
        })
        .await?;
    Ok(found)
}

fn place(ctid: &str) -> Option<Place> {
    let (block, offset) = ctid.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some((block.parse().ok()?, offset.parse().ok()?))
}
