//! The large pair: an orders table of 8 million rows (2 GB), events with random keys, a log without a key, small tables.
//! `DRTUI_BENCH_ROWS` makes it smaller.

/// Rows of the largest table.
pub fn rows() -> u64 {
    std::env::var("DRTUI_BENCH_ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(8_000_000)
}

pub fn setup(rows: u64) -> String {
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
CREATE TABLE worst (id int PRIMARY KEY, v int); INSERT INTO worst SELECT n, 0 FROM generate_series(1, {worst}) n;
DO $$ BEGIN FOR i IN 1..40 LOOP EXECUTE format('CREATE TABLE small_%s (id int PRIMARY KEY, v text)', i);
  EXECUTE format('INSERT INTO small_%s SELECT n, md5(n::text) FROM generate_series(1, %s) n', i, i * 400); END LOOP; END $$;
-- A database has a history: transactions that wrote nothing here.
DO $$ BEGIN FOR i IN 1..6000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$;
VACUUM ANALYZE;",
        half = rows / 2,
        quarter = rows / 4,
        worst = rows * 5 / 4,
    )
}

pub fn before(rows: u64) -> String {
    format!(
        "UPDATE orders SET state = 'back', updated_at = now() WHERE id % 100 = 3; DELETE FROM orders WHERE id BETWEEN 1000 AND {d};
INSERT INTO orders SELECT n, 1, 'late', 1, 'GBP', NULL, 'b', 1, 1, true, now(), now() FROM generate_series({rows} + 1, {rows} + 20000) n;
VACUUM orders",
        d = 1000 + rows / 500,
    )
}

pub const OPEN: &str = "INSERT INTO orders SELECT n, 1, 'open', 1, 'GBP', NULL, 'o', 1, 1, true, now(), now() FROM generate_series(900000001, 900000005) n";

pub fn after(rows: u64) -> String {
    format!(
        "DELETE FROM orders WHERE id BETWEEN {middle} AND {middle} + 499; DELETE FROM orders WHERE id % {step} = 11;
UPDATE orders SET note = 'changed', updated_at = now() WHERE id % {step} = 13;
INSERT INTO orders SELECT n, 2, 'new', 2, 'GBP', NULL, 'n', 1, 1, true, now(), now() FROM generate_series({rows} + 50001, {rows} + 52000) n;
DELETE FROM events WHERE payload->>'n' LIKE '%12345'; UPDATE events SET kind = 'x' WHERE payload->>'n' LIKE '%54321';
UPDATE worst SET v = 1; UPDATE small_7 SET v = 'changed' WHERE id = 5",
        middle = rows / 2,
        step = rows / 500,
    )
}
