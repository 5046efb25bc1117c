-- Every shape that a comparison meets, small. Rows are made by number, so that each part of the story can name them.
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
CREATE ROLE nobody_much LOGIN;

CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, state text NOT NULL, total numeric(12,2), note text,
  created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO orders SELECT n, n % 500, 'open', n / 3.0, repeat('x', n % 40), '2026-01-01'::timestamptz + n * interval '1 minute',
  '2026-01-01'::timestamptz + n * interval '1 minute' FROM generate_series(1, 20000) n;
CREATE INDEX ON orders (updated_at);

CREATE TABLE events (id uuid PRIMARY KEY, kind text, payload jsonb);
INSERT INTO events SELECT md5(n::text)::uuid, 'k' || n % 7, jsonb_build_object('n', n) FROM generate_series(1, 8000) n;

CREATE TABLE nopk_log (line text, level int);
INSERT INTO nopk_log SELECT 'line ' || n % 900, n % 5 FROM generate_series(1, 6000) n;

CREATE TABLE docs (id int PRIMARY KEY, body text);
ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
INSERT INTO docs SELECT n, repeat(md5(n::text), 200) FROM generate_series(1, 400) n;

DO $$ BEGIN EXECUTE 'CREATE TABLE wide (id int PRIMARY KEY, ' || (SELECT string_agg('c' || n || ' text', ', ') FROM generate_series(1, 60) n) || ')'; END $$;
DO $$ BEGIN EXECUTE 'INSERT INTO wide SELECT g, ' || (SELECT string_agg('''v'' || g % ' || n, ', ') FROM generate_series(1, 60) n) || ' FROM generate_series(1, 2000) g'; END $$;

CREATE TABLE readings (at date, sensor int, value float8, PRIMARY KEY (at, sensor)) PARTITION BY RANGE (at);
DO $$ BEGIN FOR m IN 1..12 LOOP EXECUTE format('CREATE TABLE readings_%s PARTITION OF readings FOR VALUES FROM (%L) TO (%L)',
  m, make_date(2026, m, 1), make_date(2026, m, 1) + interval '1 month'); END LOOP; END $$;
INSERT INTO readings SELECT make_date(2026, 1 + n % 12, 1 + n % 28), n, n / 7.0 FROM generate_series(1, 6000) n;

CREATE TABLE composite_key (a text, b int, c mood, v int, PRIMARY KEY (a, b, c));
INSERT INTO composite_key SELECT 'a' || n % 10, n, (ARRAY['glad', 'sad'])[1 + n % 2]::mood, n FROM generate_series(1, 3000) n;

DO $$ BEGIN FOR i IN 1..40 LOOP EXECUTE format('CREATE TABLE small_%s (id int PRIMARY KEY, v text)', to_char(i, 'FM00'));
  EXECUTE format('INSERT INTO small_%s SELECT n, md5(n::text) FROM generate_series(1, %s) n', to_char(i, 'FM00'), i * 7); END LOOP; END $$;

CREATE TABLE rewritten (id int PRIMARY KEY, v text); INSERT INTO rewritten SELECT n, 'v' || n FROM generate_series(1, 5000) n;
CREATE TABLE rewritten_nokey (v text); INSERT INTO rewritten_nokey SELECT 'v' || n % 300 FROM generate_series(1, 3000) n;
CREATE TABLE retyped (id int PRIMARY KEY, v int); INSERT INTO retyped SELECT n, n FROM generate_series(1, 3000) n;
CREATE TABLE truncated (id int PRIMARY KEY); INSERT INTO truncated SELECT n FROM generate_series(1, 777) n;
CREATE TABLE dropped (id int PRIMARY KEY, v text); INSERT INTO dropped SELECT n, 'd' FROM generate_series(1, 55) n;
CREATE TABLE old_name (id int PRIMARY KEY, v text); INSERT INTO old_name SELECT n, 'r' FROM generate_series(1, 66) n;
CREATE TABLE altered (id int PRIMARY KEY, v text, gone text, called text); INSERT INTO altered SELECT n, 'a', 'b', 'c' FROM generate_series(1, 88) n;
CREATE TABLE defaulted (id int PRIMARY KEY, v text DEFAULT 'one' CHECK (v <> ''));
CREATE UNLOGGED TABLE unlogged_cache (id int PRIMARY KEY); INSERT INTO unlogged_cache SELECT n FROM generate_series(1, 100) n;
CREATE TABLE secured (id int PRIMARY KEY, owner text); INSERT INTO secured SELECT n, CASE n % 2 WHEN 0 THEN 'reader' ELSE 'x' END FROM generate_series(1, 10) n;
ALTER TABLE secured ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON secured USING (owner = current_user);
CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held SELECT n FROM generate_series(1, 10) n;
CREATE TABLE empty_table (id int PRIMARY KEY);
CREATE TABLE tricky (id int PRIMARY KEY, t text, u text, num numeric, f float8, j jsonb, ci citext, iv interval, arr int[], p positive, m mood, x xml, pt point, b bit(8));
INSERT INTO tricky SELECT n, 'a', 'b', 1.0, 0, '{"a": 1}', 'A', '1 day', '{1,2}', 1, 'glad', '<a/>', '(1,2)', B'00000001' FROM generate_series(1, 20) n;
CREATE TABLE "Odd ""Name" ("Key Col" int PRIMARY KEY, "va'l" text); INSERT INTO "Odd ""Name" SELECT n, 'o' FROM generate_series(1, 5) n;
CREATE SEQUENCE numbers; SELECT nextval('numbers');
CREATE VIEW open_orders AS SELECT id FROM orders WHERE state = 'open';
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
SELECT lo_from_bytea(0, 'hello'::bytea), lo_from_bytea(0, 'world'::bytea);
CREATE MATERIALIZED VIEW per_state AS SELECT state, count(*) FROM orders GROUP BY 1;
VACUUM FREEZE composite_key;
