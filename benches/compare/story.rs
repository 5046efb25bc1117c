//! The large pair: orders of 8 million rows (2 GB), events with random keys, a log without a key, long documents, a wide
//! table, partitions, 40 small tables, and one in which every row differs. `DRTUI_BENCH_ROWS` makes it smaller.

/// Rows of the largest table.
pub fn rows() -> u64 {
    std::env::var("DRTUI_BENCH_ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(8_000_000)
}

/// Before the base backup.
pub fn setup(rows: u64) -> String {
    let columns = |each: &str| -> String {
        (1..=60).map(|n| each.replace('#', &n.to_string())).collect::<Vec<_>>().join(", ")
    };
    format!(
        "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, state text NOT NULL, total numeric(12,2), currency char(3),
  reference uuid, note text, lines int, weight float8, paid boolean, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO orders SELECT n, n % 300000, (ARRAY['open','paid','sent','done'])[1 + n % 4], (n % 100000) / 7.0, 'GBP', md5(n::text)::uuid,
  repeat(md5((n * 7)::text), 3), n % 9, n / 3.0, n % 2 = 0, '2025-01-01'::timestamptz + n * interval '3 seconds',
  '2025-01-01'::timestamptz + n * interval '3 seconds' FROM generate_series(1, {rows}) n;
CREATE INDEX ON orders (updated_at);
CREATE TABLE events (id uuid PRIMARY KEY, kind text, payload jsonb, at timestamptz);
INSERT INTO events SELECT md5('e' || n)::uuid, 'kind ' || n % 20, jsonb_build_object('n', n, 'text', md5(n::text)), now() FROM generate_series(1, {half}) n;
CREATE TABLE nopk_log (line text, level int); INSERT INTO nopk_log SELECT 'line ' || n % 90000, n % 5 FROM generate_series(1, {quarter}) n;
CREATE TABLE docs (id int PRIMARY KEY, body text); ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
INSERT INTO docs SELECT n, repeat(md5(n::text), 400) FROM generate_series(1, {docs}) n;
CREATE TABLE wide (id int PRIMARY KEY, {typed});
INSERT INTO wide SELECT g, {values} FROM generate_series(1, {wide}) g;
CREATE TABLE readings (at date, sensor int, value float8, PRIMARY KEY (at, sensor)) PARTITION BY RANGE (at);
DO $$ BEGIN FOR m IN 1..12 LOOP EXECUTE format('CREATE TABLE readings_%s PARTITION OF readings FOR VALUES FROM (%L) TO (%L)',
  m, make_date(2026, m, 1), make_date(2026, m, 1) + interval '1 month'); END LOOP; END $$;
INSERT INTO readings SELECT make_date(2026, 1 + n % 12, 1 + n % 28), n, n / 7.0 FROM generate_series(1, {readings}) n;
CREATE TABLE worst (id int PRIMARY KEY, v int); INSERT INTO worst SELECT n, 0 FROM generate_series(1, {worst}) n;
DO $$ BEGIN FOR i IN 1..40 LOOP EXECUTE format('CREATE TABLE small_%s (id int PRIMARY KEY, v text)', i);
  EXECUTE format('INSERT INTO small_%s SELECT n, md5(n::text) FROM generate_series(1, %s) n', i, i * 400); END LOOP; END $$;
-- A database has a history: transactions that wrote nothing here.
DO $$ BEGIN FOR i IN 1..6000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$;
VACUUM ANALYZE;",
        half = rows / 2,
        quarter = rows / 4,
        docs = rows / 200,
        wide = rows / 27,
        readings = rows / 13,
        worst = rows * 5 / 4,
        typed = columns("c# text"),
        values = columns("'value ' || g % #"),
    )
}

/// After the base backup, before the restore point.
pub fn before(rows: u64) -> String {
    format!(
        "UPDATE orders SET state = 'back', updated_at = now() WHERE id % 100 = 3; DELETE FROM orders WHERE id BETWEEN 1000 AND {d};
INSERT INTO orders SELECT n, 1, 'late', 1, 'GBP', NULL, 'b', 1, 1, true, now(), now() FROM generate_series({rows} + 1, {rows} + 20000) n;
DELETE FROM events WHERE payload->>'n' LIKE '%999'; UPDATE docs SET body = 'short' WHERE id % 900 = 1;
VACUUM orders",
        d = 1000 + rows / 500,
    )
}

/// Begun before the restore point, committed after it.
pub const OPEN: &str = "INSERT INTO orders SELECT n, 1, 'open', 1, 'GBP', NULL, 'o', 1, 1, true, now(), now() FROM generate_series(900000001, 900000005) n;
UPDATE orders SET note = 'open' WHERE id IN (51, 52); DELETE FROM orders WHERE id = 54; DELETE FROM small_3 WHERE id = 9";

/// After the restore point, on live only: in clusters and scattered.
pub fn after(rows: u64) -> String {
    format!(
        "DELETE FROM orders WHERE id BETWEEN {middle} AND {middle} + 499; DELETE FROM orders WHERE id % {step} = 11;
UPDATE orders SET note = 'changed', updated_at = now() WHERE id % {step} = 13;
UPDATE orders SET note = note WHERE id % {step} = 17;
INSERT INTO orders SELECT n, 2, 'new', 2, 'GBP', NULL, 'n', 1, 1, true, now(), now() FROM generate_series({rows} + 50001, {rows} + 52000) n;
DELETE FROM events WHERE payload->>'n' LIKE '%12345'; UPDATE events SET kind = 'x' WHERE payload->>'n' LIKE '%54321';
INSERT INTO events SELECT md5('new' || n)::uuid, 'new', NULL, now() FROM generate_series(1, 300) n;
DELETE FROM nopk_log WHERE ctid IN (SELECT ctid FROM nopk_log WHERE line = 'line 77' LIMIT 3) OR line = 'line 1234';
INSERT INTO nopk_log SELECT 'line 8', 3 FROM generate_series(1, 40);
UPDATE docs SET body = body || 'tail' WHERE id % 500 = 3; DELETE FROM docs WHERE id BETWEEN 200 AND 220;
UPDATE wide SET c60 = 'changed', c1 = NULL WHERE id % 5000 = 7; DELETE FROM wide WHERE id BETWEEN 3000 AND 3099;
DELETE FROM readings WHERE at = '2026-05-05' AND sensor % 10 = 0; UPDATE readings SET value = -1 WHERE at = '2026-06-06' AND sensor % 11 = 0;
UPDATE readings SET at = '2026-12-31' WHERE at = '2026-07-07' AND sensor % 50 = 0;
UPDATE worst SET v = 1; UPDATE small_7 SET v = 'changed' WHERE id = 5; DELETE FROM small_8 WHERE id < 9; INSERT INTO small_9 VALUES (100000, 'new')",
        middle = rows / 2,
        step = rows / 500,
    )
}

/// Tables that are checked against their whole contents: name, the key as text that sorts like the key, the key as it is
/// shown. Without a key, both are empty.
pub fn checked() -> Vec<(String, &'static str, &'static str)> {
    let (number, plain) = ("lpad(id::text, 12, '0')", "id::text");
    let mut all: Vec<(String, &str, &str)> = vec![
        ("orders".into(), number, plain),
        ("events".into(), plain, plain),
        ("nopk_log".into(), "", ""),
        ("docs".into(), number, plain),
        ("wide".into(), number, plain),
    ];
    all.extend((1..=12).map(|n| {
        (
            format!("readings_{n}"),
            "at::text || lpad(sensor::text, 12, '0')",
            "at::text || ' ' || sensor::text",
        )
    }));
    all.extend((1..=40).map(|n| (format!("small_{n}"), number, plain)));
    all
}
