//! T1 to T3 of the physical path. A row version is where it lies and who wrote it: (ctid, xmin); its fingerprint is
//! `hashtidextended(ctid, xmin)`. Sequential scans on live (they use a small ring of buffers), TID ranges on the copy.

use std::fmt::Write;

use super::and;
use crate::compare::model::TableName;

/// `xmin` as a number, without the cost of its text. `age` counts from the transaction that is next; both wrap at 2^32.
/// Identifiers below 3 are all "frozen" or older, and come out as 2.
const XMIN: &str = "CASE WHEN age(xmin) = 2147483647 THEN 2 \
    ELSE ((SELECT 3::int8 + age('3'::xid)) - age(xmin)) & 4294967295 END";

/// Names of ours that stand where the table's columns can be seen: no column is called so.
const BUCKET: &str = "drtui__bucket";
const BLOCK: &str = "drtui__block";

/// Fingerprint of a row version, an `int8`.
pub fn fingerprint() -> String {
    format!("hashtidextended(ctid, {XMIN})")
}

/// Since when: one text, the transaction before which all others are over now; and the table's size in bytes.
pub fn since(oid: u32) -> String {
    format!("SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text, pg_relation_size({oid}::oid)::int8")
}

/// A piece of a sequential scan, `rows` long: (unit, count, fingerprint, written since) by units of `unit` blocks. With
/// `synchronize_seqscans` the server begins where the last such scan of the table stopped.
pub fn piece(table: &str, rows: u64, unit: u64, since: &str) -> String {
    format!(
        "SELECT u, sum(n)::int8, bit_xor(h), bool_or(y) FROM (SELECT (get_byte(b, 0) * 16777216::int8 \
         + get_byte(b, 1) * 65536::int8 + get_byte(b, 2) * 256::int8 + get_byte(b, 3)) / {unit} u, n, h, y FROM \
         (SELECT substr(tidsend(ctid_), 1, 4) b, count(*)::int8 n, bit_xor({}) h, bool_or({}) y \
         FROM (SELECT ctid ctid_, xmin xmin_ FROM {table} LIMIT {rows}) piece GROUP BY 1) blocks) units GROUP BY 1",
        ours(&fingerprint()),
        ours(&young_since(since))
    )
}

/// The same of the columns that a piece hands on.
fn ours(sql: &str) -> String {
    sql.replace("ctid", "ctid_").replace("xmin", "xmin_")
}

/// True for a row that was written by `since` or a later transaction. Rows beyond half of all numbers back, long frozen,
/// have a negative age.
fn young_since(since: &str) -> String {
    format!("age(xmin) BETWEEN 0 AND age({}::xid)", super::literal(since))
}

/// (number, count, fingerprint, written since) of the given buckets of `width` blocks, by TID ranges.
pub fn buckets_of(scan: Scan<'_>, buckets: &[u64], width: u64, since: &str) -> String {
    format!(
        "SELECT {BUCKET}, y.n, y.h, y.y FROM unnest({}) {BUCKET}, \
         LATERAL (SELECT count(*)::int8 n, coalesce(bit_xor({}), 0) h, coalesce(bool_or({}), false) y {}) y",
        numbers(buckets),
        fingerprint(),
        young_since(since),
        range(scan, &format!("{BUCKET} * {width}"), &format!("({BUCKET} + 1) * {width}"))
    )
}

/// (rows, rows written since) of a table, by one sequential scan.
pub fn written(table: &str, since: &str) -> String {
    format!("SELECT count(*)::int8, (count(*) FILTER (WHERE {}))::int8 FROM {table}", young_since(since))
}

/// (number of the file, writer of the catalogue's row) of the table of this name now.
pub fn file(name: &TableName) -> String {
    let quoted = format!("{}.{}", super::ident(&name.schema), super::ident(&name.name));
    format!(
        "SELECT pg_relation_filenode(oid)::int8, xmin::text FROM pg_class WHERE oid = {}::regclass",
        super::literal(&quoted)
    )
}

/// A table to be scanned: its quoted name, and the caller's condition.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    pub table: &'a str,
    pub filter: Option<&'a str>,
}

/// T1: one row (number, count, fingerprint, age of the youngest writer) for each table, `number` being its number in
/// `scans`. Sequential scans. Without `ages` the last is 0.
pub fn overview(scans: &[(u32, Scan<'_>)], ages: bool) -> String {
    let h = fingerprint();
    let age = if ages { YOUNGEST } else { "0::int8" };
    let one = |(id, scan): &(u32, Scan<'_>)| {
        format!(
            "SELECT {id}::int8, count(*)::int8, coalesce(bit_xor({h}), 0), {age} FROM {} WHERE true{}",
            scan.table,
            and(scan.filter)
        )
    };
    scans.iter().map(one).collect::<Vec<_>>().join("\nUNION ALL ")
}

/// T2 by one sequential scan: (bucket, count, fingerprint) of buckets of `width` blocks; empty ones do not come. With
/// `rest`, the server sleeps so many times as long as it read, every few blocks.
pub fn buckets_by_scan(scan: Scan<'_>, blocks: u64, width: u64, rest: Option<u32>) -> String {
    format!(
        "SELECT width_bucket(ctid, (SELECT coalesce(array_agg(format('(%s,0)', g)::tid ORDER BY g), '{{}}') \
         FROM generate_series({width}::int8, {}, {width}) g))::int8, count(*)::int8, bit_xor({}) FROM {} WHERE true{}{} GROUP BY 1",
        blocks.saturating_sub(1),
        fingerprint(),
        scan.table,
        and(scan.filter),
        rest.map(|times| resting(blocks, times)).unwrap_or_default()
    )
}

/// Blocks between two rests: 16 MB.
pub const REST_EVERY: u64 = 2_048;

/// A condition that holds for every row, and at the first row of some blocks takes `times` as long as it is since the
/// last of them; at most a second. A cursor with pauses would have to hand out every row.
pub fn resting(blocks: u64, times: u32) -> String {
    let places: Vec<_> =
        (1..=blocks / REST_EVERY).filter_map(|n| Some((u32::try_from(n * REST_EVERY).ok()?, 1))).collect();
    format!(
        " AND (ctid <> ALL ({}) OR pg_sleep(coalesce(least(1, {times} * extract(epoch FROM clock_timestamp() \
         - nullif(current_setting('drtui.rested', true), '')::timestamptz)), 0))::text \
         || set_config('drtui.rested', clock_timestamp()::text, true) IS NOT NULL)",
        super::rows::places(&places)
    )
}

/// The rows of blocks `from` to before `to`. The aggregate around it keeps the planner from flattening it into a nested
/// loop over sequential scans.
fn range(scan: Scan<'_>, from: &str, to: &str) -> String {
    let fence = |at: &str| format!("format('(%s,0)', {at})::tid");
    format!("FROM {} WHERE ctid >= {} AND ctid < {}{}", scan.table, fence(from), fence(to), and(scan.filter))
}

/// T2 by TID ranges, in order: (bucket, count, fingerprint, age of the youngest writer) of the buckets that begin in
/// blocks `from` to before `to`, `from` a multiple of `width`. Without `ages` the last is 0: it costs a little.
pub fn buckets_by_range(scan: Scan<'_>, from: u64, to: u64, width: u64, ages: bool) -> String {
    format!(
        "SELECT {BUCKET} / {width}, y.n, y.h, y.a FROM generate_series({from}::int8, {}, {width}) {BUCKET}, \
         LATERAL (SELECT count(*)::int8 n, coalesce(bit_xor({}), 0) h, {} a {}) y",
        to.saturating_sub(1),
        fingerprint(),
        if ages { YOUNGEST } else { "0::int8" },
        range(scan, BUCKET, &format!("{BUCKET} + {width}"))
    )
}

/// Age of the youngest writer, in transactions.
const YOUNGEST: &str = "coalesce(min(age(xmin)), 2147483647)::int8";

/// Two bytes of fingerprint for each block of the given buckets: (bucket, bytes).
pub fn blocks(scan: Scan<'_>, buckets: &[u64], width: u64) -> String {
    format!(
        "SELECT {BUCKET}, (SELECT string_agg(substr(int8send(y.h), 7, 2), ''::bytea ORDER BY {BLOCK}) \
         FROM generate_series({BUCKET} * {width}, {BUCKET} * {width} + {}) {BLOCK}, \
         LATERAL (SELECT coalesce(bit_xor({}) # count(*)::int8, 0) h {}) y) FROM unnest({}) {BUCKET}",
        width.saturating_sub(1),
        fingerprint(),
        range(scan, BLOCK, &format!("{BLOCK} + 1")),
        numbers(buckets)
    )
}

/// T3: the row versions of whole blocks: (block, 14 bytes for each version: offset 2, xmin 4, fingerprint 8).
pub fn versions(scan: Scan<'_>, blocks: &[u64]) -> String {
    format!(
        "SELECT {BLOCK}, (SELECT string_agg(substr(tidsend(ctid), 5, 2) || xidsend(xmin) || int8send({}), ''::bytea) {}) \
         FROM unnest({}) {BLOCK}",
        fingerprint(),
        range(scan, BLOCK, &format!("{BLOCK} + 1")),
        numbers(blocks)
    )
}

/// For the gate of young rows: (writer, 6 bytes of its first row's ctid, of its last) for each transaction not older than
/// `age`, youngest first, in the given buckets.
pub fn young(scan: Scan<'_>, buckets: &[u64], width: u64, age: u64, limit: usize) -> String {
    format!(
        "SELECT y.x, tidsend(min(y.first)), tidsend(max(y.last)) FROM unnest({}) {BUCKET}, LATERAL (\
         SELECT xmin::text::int8 x, min(ctid) first, max(ctid) last {} AND age(xmin) <= {age} GROUP BY 1) y \
         GROUP BY 1 ORDER BY 1 DESC LIMIT {limit}",
        numbers(buckets),
        range(scan, &format!("{BUCKET} * {width}"), &format!("({BUCKET} + 1) * {width}"))
    )
}

/// An `int8[]` literal.
pub fn numbers<T: std::fmt::Display>(all: &[T]) -> String {
    let mut out = String::from("'{");
    for (i, n) in all.iter().enumerate() {
        let _ = write!(out, "{}{n}", if i == 0 { "" } else { "," });
    }
    out.push_str("}'::int8[]");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: Scan<'static> = Scan { table: "ONLY \"s\".\"t\"", filter: None };

    #[test]
    fn an_overview_asks_all_tables_at_once() {
        let sql = overview(&[(0, SCAN), (7, Scan { filter: Some("a > 1 -- x"), ..SCAN })], true);
        assert_eq!(sql.matches("UNION ALL").count(), 1);
        assert!(sql.contains("SELECT 7::int8") && sql.ends_with("WHERE true AND (a > 1 -- x\n)"), "{sql}");
    }

    #[test]
    fn a_scan_rests_every_few_blocks() {
        let sql = buckets_by_scan(SCAN, 5_000, 64, Some(5));
        assert!(sql.contains("<> ALL ('{\"(2048,1)\",\"(4096,1)\"}'::tid[]) OR pg_sleep("), "{sql}");
        assert!(!buckets_by_scan(SCAN, 5_000, 64, None).contains("pg_sleep"));
    }

    #[test]
    fn a_piece_is_told_by_its_own_columns() {
        let sql = piece("ONLY \"s\".\"t\"", 1_000, 16, "9");
        assert!(
            sql.contains("hashtidextended(ctid_, CASE WHEN age(xmin_)") && sql.ends_with("GROUP BY 1"),
            "{sql}"
        );
        assert!(sql.contains("age(xmin_) BETWEEN 0 AND age('9'::xid)"), "{sql}");
        // Not by shifts: in SQL `<<` and `|` bind alike.
        assert!(sql.contains("get_byte(b, 1) * 65536::int8 + get_byte(b, 2) * 256::int8"), "{sql}");
        let name = TableName { schema: "s".into(), name: "it's".into() };
        assert!(file(&name).ends_with("oid = '\"s\".\"it''s\"'::regclass"), "{}", file(&name));
        assert!(buckets_of(SCAN, &[3], 16, "9").contains("unnest('{3}'::int8[])"));
    }

    #[test]
    fn ranges_stand_under_an_aggregate() {
        let sql = buckets_by_range(SCAN, 0, 128, 64, false);
        assert!(
            sql.contains("generate_series(0::int8, 127, 64) drtui__bucket")
                && sql.contains("LATERAL (SELECT count(*)")
        );
        assert_eq!(numbers(&[3_u64, 4]), "'{3,4}'::int8[]");
        assert_eq!(numbers::<u64>(&[]), "'{}'::int8[]");
    }
}
