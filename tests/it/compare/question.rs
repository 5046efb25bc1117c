//! The query box on a real server, as the role that owns everything: one SELECT, and nothing that changes anything.

use std::time::{Duration, Instant};

use drtui::providers::postgres::{Connect, Tls, Url};
use drtui::providers::{Answer, Database};

use super::pair::{Pair, Story};

const SETUP: &str = "
    CREATE ROLE app LOGIN; GRANT pg_signal_backend TO app; GRANT CREATE ON SCHEMA public TO app;
    CREATE EXTENSION dblink; CREATE EXTENSION tablefunc;
    SET ROLE app;
    CREATE TYPE mood AS ENUM ('calm', 'tired');
    CREATE TABLE users (id int PRIMARY KEY, name text, mood mood, extra jsonb);
    INSERT INTO users SELECT n, 'user ' || n, 'tired', '{\"a\": 1.0}' FROM generate_series(1, 1000) n;
    CREATE SEQUENCE counter;
    CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM users; RETURN 1; END $$;
    CREATE FUNCTION liar() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
        EXECUTE 'SELECT set_config(''transaction_read_only'', ''off'', true)'; RETURN nextval('counter'); END $$;
    CREATE FUNCTION of(u users) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT pg_notify(''a'', ''b'') IS NULL; SELECT 1';
    CREATE VIEW trap AS SELECT pid, pg_terminate_backend(pid) AS gone FROM pg_stat_activity WHERE application_name LIKE 'drtui-open%'";

/// What may not be asked, and a word of the reason.
const REFUSED: [(&str, &str); 24] = [
    ("select 1; delete from users", "after the semicolon"),
    ("set default_transaction_read_only = off; delete from users", "after the semicolon"),
    ("delete from users", "begins with DELETE"),
    ("copy users to program 'touch /tmp/x'", "begins with COPY"),
    ("explain analyze delete from users", "begins with EXPLAIN"),
    ("with gone as (delete from users returning id) select * from gone", "must be at the top level"),
    ("select * into copied from users", "no column"),
    ("select * from users for update", "read-only transaction"),
    (
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'drtui-open%'",
        "pg_terminate_backend()",
    ),
    ("select pg_catalog.\"pg_cancel_backend\"(1)", "pg_cancel_backend()"),
    ("select * from trap", "pg_terminate_backend()"),
    ("select nextval('counter')", "nextval()"),
    ("select setval('counter', 99)", "setval()"),
    ("select * from dblink('dbname=app', 'delete from users') as t(a text)", "dblink()"),
    ("select * from crosstab('select wipe(), 1, 1') as t(a int, b int)", "crosstab()"),
    ("select query_to_xml('select wipe()', true, true, '')", "query_to_xml()"),
    ("select lo_import('/etc/hostname')", "lo_import()"),
    ("select set_config('transaction_read_only', 'off', true)", "set_config()"),
    ("select pg_advisory_lock(1)", "pg_advisory_lock()"),
    ("select wipe()", "wipe()"),
    ("select (u).of from users u", "of()"),
    ("select liar()", "read-write mode"),
    ("select name from users where id = $1", "no parameters"),
    ("select 1) as q(c1); drop table users; select (2", "after the semicolon"),
];

async fn database(pair: &Pair) -> Database {
    let url = Url::parse(&pair.live.url("app")).unwrap();
    Database::new(Connect::direct(url, Tls::load(None).await.unwrap()))
}

fn texts(answer: &Answer) -> Vec<Vec<&str>> {
    answer.rows.iter().map(|r| r.iter().map(|v| v.as_deref().unwrap_or("(null)")).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_select_that_changes_nothing_within_its_limits() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pair = Pair::make("question", &Story { setup: SETUP, ..Story::default() });
    let database = database(&pair).await;
    answers(&database).await;
    let victim = pair.live.begin("app", "SET ROLE app");
    let mut wrong = Vec::new();
    for (sql, why) in REFUSED {
        match database.select(sql).await {
            Err(said) if said.contains(why) => {}
            other => wrong.push((sql, other)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (condition, fine) in
        [("id > 7 and lower(name) <> 'x'", true), ("wipe() > 0", false), ("pg_terminate_backend(1)", false)]
    {
        assert_eq!(database.check_condition(condition).await.is_ok(), fine, "{condition}");
    }
    let whole = "SELECT count(*) || ' ' || (SELECT last_value || ' ' || is_called FROM counter) FROM users";
    assert_eq!(pair.live.ask("app", whole), "1000 1 false", "something was changed");
    assert_eq!(pair.live.ask("app", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
    victim.commit();
    limits(&pair, &database).await;
}

async fn answers(database: &Database) {
    let asked = "with few as (select * from users where id < 3)
                 select id, name, mood, extra, null::text as nothing from few order by id desc; -- why";
    let answer = database.select(asked).await.unwrap();
    assert_eq!(answer.columns, ["id", "name", "mood", "extra", "nothing"]);
    let rows = texts(&answer);
    assert_eq!(rows[0], ["2", "user 2", "tired", "{\"a\": 1.0}", "(null)"]);
    assert!(rows.len() == 2 && !answer.more && !answer.cut);
    for fine in [
        "table users limit 1",
        "values (1, 'a')",
        "(select 1) union (select 2)",
        "select count(*), max(name), now(), clock_timestamp(), pg_size_pretty(pg_total_relation_size('users')) from users",
        "select * from pg_locks",
        "select state, count(*) from pg_stat_activity group by 1 -- all of them",
        "select row_number() over (order by id), row(id, name), id = any (array[1, 2]) from users limit 3",
    ] {
        database.select(fine).await.unwrap_or_else(|e| panic!("{fine}: {e}"));
    }
    let said = database.select("select * from ordres").await.unwrap_err();
    assert!(said.contains("\"ordres\" does not exist (42P01)"), "{said}");
}

async fn limits(pair: &Pair, database: &Database) {
    let many = database.select("select generate_series(1, 100000000)").await.unwrap();
    assert!(many.more && many.rows.len() == 200 && texts(&many)[199] == ["200"]);
    let long = database.select("select repeat('x', 50000000), 'short'").await.unwrap();
    assert!(long.cut && texts(&long)[0][0].len() == 2_000 && !long.more);
    let wide = "select repeat('x', 2000) from generate_series(1, 150) a, generate_series(1, 2) b";
    let columns =
        (0..40).map(|n| format!("(select repeat('y', 2000 + {n})) c{n}")).collect::<Vec<_>>().join(", ");
    assert!(database.select(wide).await.unwrap().more);
    let wide = database.select(&format!("select {columns} from generate_series(1, 200)")).await.unwrap();
    assert!(wide.more && wide.rows.len() < 100, "{} rows", wide.rows.len());
    let began = Instant::now();
    let endless = "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let said = database.select(endless).await.unwrap_err();
    assert!(said.contains("longer than 10 s") && began.elapsed() < Duration::from_secs(15), "{said}");
    pair.live.until("app", "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'drtui%'");
}
