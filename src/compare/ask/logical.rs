//! The logical path's question: a sketch (invertible Bloom lookup table by sums) of a whole table in one scan. Each row
//! is a pair (key, content), counted in three cells that its content chooses. Sums, not XOR: rows without a key may be
//! there more than once. [`crate::compare::sketch`] reads the answer.

use super::and;
use super::physical::Scan;

/// Rows of (cell, count, sum of keys, sum of contents, sum of checks), the sums as text where they outgrow `int8`.
/// `log2` is the number of bits of a cell's place; cells are numbered through the three parts. `more` conditions begin
/// with AND.
pub fn sketch(scan: Scan<'_>, key: &str, content: &str, log2: u32, more: &str) -> String {
    let (mask, size) = ((1_u64 << log2) - 1, 1_u64 << log2);
    format!(
        "SELECT coalesce(i, j, l)::int8, count(*)::int8, sum(k)::text, sum(x)::text, sum(c)::int8 FROM (\
         SELECT k, x, (((x & 2147483647) * ((x >> 32) & 2147483647)) >> 31)::int4 c, \
         (x & {mask}) i, ((x >> 20) & {mask}) + {size} j, ((x >> 40) & {mask}) + {} l \
         FROM (SELECT {key} k, {content} x FROM {} WHERE true{}{more} OFFSET 0) a OFFSET 0) b \
         GROUP BY GROUPING SETS ((i), (j), (l))",
        2 * size,
        scan.table,
        and(scan.filter)
    )
}

/// A pair's content where rows keep their writer: hash of key and xmin.
pub fn key_and_writer(key: &str) -> String {
    format!("hashint8extended({key}, xmin::text::int8)")
}

/// (key, content) of one in 2^`bits` rows, chosen by key so that both sides choose the same: for estimates. `more` as
/// above.
pub fn sample(scan: Scan<'_>, key: &str, content: &str, bits: u32, more: &str) -> String {
    format!(
        // The order matters: whatever `more` does, it does for all rows.
        "SELECT {key}, {content} FROM {} WHERE CASE WHEN true{more} THEN hashint8extended({key}, 17) & {} = 0 END{}",
        scan.table,
        (1_u64 << bits) - 1,
        and(scan.filter)
    )
}

/// How many rows there are. `more` conditions begin with AND, as above.
pub fn count(scan: Scan<'_>, more: &str) -> String {
    format!("SELECT count(*)::int8 FROM {} WHERE true{}{more}", scan.table, and(scan.filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_of_equal_size() {
        let sql = sketch(Scan { table: "t", filter: None }, "k", "x", 12, "");
        assert!(
            sql.contains("(x & 4095) i") && sql.contains("+ 4096 j") && sql.contains("+ 8192 l"),
            "{sql}"
        );
    }
}
