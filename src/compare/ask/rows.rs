//! T4: rows by place or by key: identities first (key, content), then the values of those that are shown.

use std::fmt::Write;

use super::physical::Scan;
use super::{and, ident};
use crate::compare::catalogue::Column;

/// Where a row version lies.
pub type Place = (u32, u16);

/// A `tid[]` literal.
pub fn places(all: &[Place]) -> String {
    let mut out = String::from("'{");
    for (i, (block, offset)) in all.iter().enumerate() {
        let _ = write!(out, "{}\"({block},{offset})\"", if i == 0 { "" } else { "," });
    }
    out.push_str("}'::tid[]");
    out
}

/// A condition for row versions at these places.
pub fn at(all: &[Place]) -> String {
    format!("ctid = ANY ({})", places(all))
}

/// (6 bytes of ctid, key, content, xmin) of the rows for which `condition` holds.
pub fn identities(scan: Scan<'_>, key: &str, content: &str, condition: &str) -> String {
    format!(
        "SELECT tidsend(ctid), {key}, {content}, xmin::text::int8 FROM {} WHERE {condition}{}",
        scan.table,
        and(scan.filter)
    )
}

/// (key, content, ctid, xmin, values, what was cut) of the rows for which `condition` holds. Values are text, at most
/// `limit` characters; for longer ones the other array says `bytes:md5` of the whole.
pub fn values<'a>(
    scan: Scan<'_>,
    key: &str,
    content: &str,
    columns: impl IntoIterator<Item = &'a Column>,
    condition: &str,
    limit: usize,
) -> String {
    let (mut values, mut cuts) = (Vec::new(), Vec::new());
    for column in columns {
        let name = ident(&column.name);
        if is_short(column.type_oid) {
            values.push(format!("{name}::text"));
            cuts.push("NULL".to_owned());
        } else {
            values.push(format!("left({name}::text, {limit})"));
            cuts.push(format!(
                "CASE WHEN length({name}::text) > {limit} THEN octet_length({name}::text) || ':' || md5({name}::text) END"
            ));
        }
    }
    format!(
        "SELECT {key}, {content}, ctid::text, xmin::text::int8, ARRAY[{}]::text[], ARRAY[{}]::text[] FROM {} WHERE {condition}{}",
        values.join(", "),
        cuts.join(", "),
        scan.table,
        and(scan.filter)
    )
}

/// (a value of at most `limit` characters, what was cut as in [`values`]) of the row version that lies at `place`, if it
/// is still the one that `xmin` wrote.
pub fn value(table: &str, column: &str, place: Place, xmin: u32, limit: usize) -> String {
    let name = ident(column);
    format!(
        "SELECT left({name}::text, {limit}), CASE WHEN length({name}::text) > {limit} \
         THEN octet_length({name}::text) || ':' || md5({name}::text) END FROM {table} \
         WHERE {} AND xmin::text::int8 = {xmin}",
        at(&[place])
    )
}

/// Seconds since 1970 of the newest and oldest value of a timestamp column, of all rows or those that `condition` picks.
pub fn newest(scan: Scan<'_>, column: &str, condition: &str) -> String {
    let name = ident(column);
    format!(
        "SELECT (extract(epoch FROM max({name})) * 1000000)::int8, (extract(epoch FROM min({name})) * 1000000)::int8 \
         FROM {} WHERE {name} > '-infinity' AND {name} < 'infinity' AND {condition}{}",
        scan.table,
        and(scan.filter)
    )
}

/// Built-in types whose text is always short: numbers but `numeric`, booleans, dates, times, uuid.
fn is_short(oid: u32) -> bool {
    matches!(
        oid,
        16 | 18
            | 19
            | 20
            | 21
            | 23
            | 26
            | 700
            | 701
            | 790
            | 829
            | 869
            | 1082
            | 1083
            | 1114
            | 1184
            | 1186
            | 1266
            | 2950
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::catalogue::tests::column;

    #[test]
    fn only_what_can_be_long_is_cut() {
        let columns = [column(1, "id", 20), column(2, "body", 25)];
        let scan = Scan { table: "t", filter: Some("true") };
        let sql = values(scan, "k", "x", &columns, &at(&[(1, 2), (3, 4)]), 100);
        assert!(
            sql.contains("ARRAY[\"id\"::text, left(\"body\"::text, 100)]::text[], ARRAY[NULL, CASE"),
            "{sql}"
        );
        assert!(sql.contains("ctid = ANY ('{\"(1,2)\",\"(3,4)\"}'::tid[]) AND (true\n)"), "{sql}");
        let one = value("t", "bo\"dy", (7, 2), 900, 10);
        assert!(
            one.contains("left(\"bo\"\"dy\"::text, 10)") && one.ends_with("xmin::text::int8 = 900"),
            "{one}"
        );
    }
}
