//! What makes other comparisons lie, and must not make this one: each on a real pair.

use drtui::compare::{Counts, GateName, Mode, Options, Path, TableResult, Verdict};

use super::pair::{Pair, Story};
use super::wire::{self, Told};

fn failed_gate(table: &TableResult) -> Option<GateName> {
    table.gates.iter().find(|g| !g.passed).map(|g| g.gate)
}

fn counts(lost: u64, new: u64, changed: u64) -> Counts {
    Counts { lost, new, changed, ..Counts::NONE }
}

fn found(told: &Told, name: &str) -> Counts {
    told.outcome.as_ref().unwrap();
    Counts { touched_same: 0, ..told.table(name).counts }
}

/// One transaction loads a table, so that every row has the same writer; then live is rewritten.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_after_a_load_by_one_transaction_is_compared_by_key() {
    let pair = Pair::make(
        "rewrite",
        &Story {
            setup: "CREATE TABLE customers (id int PRIMARY KEY, name text); CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
                    INSERT INTO customers SELECT n, 'name ' || n FROM generate_series(1, 3000) n",
            after: "DELETE FROM customers WHERE id = 17; VACUUM FULL customers;
                    INSERT INTO customers VALUES (5000, 'new'); UPDATE customers SET name = 'x' WHERE id = 2999",
            ..Story::default()
        },
    );
    let told = wire::directly(&pair, Options::default()).await;
    let table = told.table("customers");
    assert_eq!((table.path, failed_gate(table)), (Some(Path::KeyXmin), Some(GateName::Filenode)));
    assert_eq!(found(&told, "customers"), counts(1, 1, 1));
    let physical = wire::directly(&pair, Options { mode: Mode::Physical, ..Options::default() }).await;
    assert!(
        matches!(&physical.table("customers").verdict, Verdict::NotComparable { why } if why.contains("file"))
    );
}

/// The copy and live both go on, and both use the same transaction numbers for different rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_written_is_found_out_with_and_without_a_crash() {
    let pair = Pair::make(
        "written",
        &Story {
            setup: "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
                    CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' FROM generate_series(1, 77) n;
                    CREATE TABLE quiet (id int PRIMARY KEY); INSERT INTO quiet VALUES (1)",
            ..Story::default()
        },
    );
    // Make both use one and the same transaction number for the next row.
    let next = |server: &super::pair::Server| -> i64 {
        server.ask("app", "SELECT pg_snapshot_xmax(pg_current_snapshot())::text").parse().unwrap()
    };
    while next(&pair.restored) < next(&pair.live) {
        pair.restored.sql("app", "SELECT pg_current_xact_id()");
    }
    while next(&pair.live) < next(&pair.restored) {
        pair.live.sql("app", "SELECT pg_current_xact_id()");
    }
    pair.live.sql("app", "INSERT INTO t VALUES (100, 'on live')");
    pair.restored.sql("app", "INSERT INTO t VALUES (100, 'in the copy')");
    pair.live.sql("app", "SELECT pg_current_xact_id()");
    let place = "SELECT ctid::text || xmin FROM t WHERE id = 100";
    assert_eq!(pair.live.ask("app", place), pair.restored.ask("app", place), "they do not collide");
    // Statistics are told at the end of a session.
    pair.restored.until("app", "SELECT n_tup_ins > 0 FROM pg_stat_user_tables WHERE relname = 't'");

    let told = wire::directly(&pair, Options::default()).await;
    assert_eq!(failed_gate(told.table("t")), Some(GateName::CopyUnwritten));
    assert_eq!(found(&told, "t"), counts(0, 0, 1));
    assert_eq!(told.table("quiet").path, Some(Path::Physical));

    pair.restored.stop("immediate");
    pair.restored.start();
    pair.restored.until("app", "SELECT n_tup_ins = 0 FROM pg_stat_user_tables WHERE relname = 't'");
    let told = wire::directly(&pair, Options::default()).await;
    let table = told.table("t");
    assert_eq!((table.path, failed_gate(table)), (Some(Path::Content), Some(GateName::YoungRows)));
    assert_eq!(found(&told, "t"), counts(0, 0, 1));
}

/// Values that other tools call equal.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_only_look_the_same_differ_by_both_paths() {
    let values = [
        ("a text", "NULL", "'NULL'"),
        ("b text", "NULL", "'<null>'"),
        ("c text", "''", "NULL"),
        ("d numeric", "1.0", "1.00"),
        ("e float8", "0", "'-0'"),
        ("f float8", "0.3", "0.30000000000000004"),
        ("g jsonb", "'1'", "'1.0'"),
        ("h citext", "'A'", "'a'"),
        ("i interval", "'1 day'", "'24:00'"),
        ("j int[]", "'{1,2}'", "'[0:1]={1,2}'"),
        ("k json", "'{\"a\":1}'", "'{\"a\": 1}'"),
        ("l text", "'a'", "'a '"),
        ("m varbit", "'1'", "'10'"),
        ("n money", "1", "2"),
        ("o tsvector", "'a'", "'b'"),
        ("p point", "'(0,1)'", "'(0,2)'"),
        ("q xml", "'<a/>'", "'<a></a>'"),
        ("r inet", "'10.0.0.1'", "'10.0.0.1/31'"),
        ("s aclitem", "'=r/postgres'", "'=w/postgres'"),
        ("t bpchar", "'a'", "'a  '"),
    ];
    let columns: Vec<&str> = values.iter().map(|(c, ..)| *c).collect();
    let mut setup = format!(
        "CREATE EXTENSION citext; CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
         CREATE TABLE v (id int PRIMARY KEY, two text, three text, {});",
        columns.join(", ")
    );
    let mut after = String::new();
    for (id, (column, before, now)) in values.iter().enumerate() {
        let name = column.split(' ').next().unwrap();
        setup += &format!("INSERT INTO v (id, {name}) VALUES ({id}, {before});\n");
        after += &format!("UPDATE v SET {name} = {now} WHERE id = {id};\n");
    }
    setup += "INSERT INTO v (id, two, three) VALUES (50, 'p|q', 'r'), (51, 'p', 'q')";
    after += "UPDATE v SET two = 'p', three = 'q|r' WHERE id = 50; UPDATE v SET two = 'p' WHERE id = 51;";
    let pair = Pair::make("values", &Story { setup: &setup, after: &after, ..Story::default() });
    for mode in [Mode::Auto, Mode::Logical] {
        let told = wire::directly(&pair, Options { mode, ..Options::default() }).await;
        assert_eq!(found(&told, "v"), counts(0, 0, values.len() as u64 + 1), "{mode:?}");
        let same = told.table("v").counts.touched_same;
        assert_eq!(same, u64::from(mode == Mode::Auto), "written again with the same content");
    }
}

/// {A, A, C} against {B, B, C}: a XOR of contents calls them equal.
#[tokio::test(flavor = "multi_thread")]
async fn duplicates_without_a_key_are_counted() {
    let pair = Pair::make(
        "duplicates",
        &Story {
            setup: "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; CREATE TABLE bag (v text); INSERT INTO bag VALUES ('b'), ('b'), ('c')",
            after: "UPDATE bag SET v = 'a' WHERE v = 'b'",
            ..Story::default()
        },
    );
    for mode in [Mode::Auto, Mode::Logical] {
        let told = wire::directly(&pair, Options { mode, ..Options::default() }).await;
        assert_eq!(found(&told, "bag"), counts(2, 2, 0), "{mode:?}");
        let rows: u64 = told.table("bag").rows.iter().map(|r| r.copies).sum();
        assert_eq!(rows, 4);
    }
}

/// What one may not see, lock or trust is said, and the rest goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_said_and_the_rest_is_compared() {
    let pair = Pair::make("said", &super::exact::story());
    let lock = pair.live.begin("app", "LOCK TABLE held IN ACCESS EXCLUSIVE MODE");
    let told = wire::directly(&pair, Options::default()).await;
    let why = |name: &str| match &told.table(name).verdict {
        Verdict::NotComparable { why } => why.clone(),
        other => panic!("{name}: {other:?}"),
    };
    assert!(why("held").contains("exclusively on live"), "{}", why("held"));
    assert!(why("secured").contains("row-level security"));
    assert_eq!(failed_gate(told.table("unlogged_cache")), Some(GateName::Logged));
    assert_eq!(found(&told, "unlogged_cache"), counts(0, 100, 0));
    assert_eq!(told.table("new_name").restored_as.as_ref().unwrap().name, "old_name");
    assert_eq!(found(&told, "new_name"), counts(1, 0, 0));
    assert_eq!(told.table("altered").verdict, Verdict::SchemaDiffers);
    assert_eq!(told.table("defaulted").verdict, Verdict::SchemaDiffers);
    assert_eq!(found(&told, "pg_largeobject"), counts(0, 0, 1));
    assert_eq!(found(&told, "truncated"), counts(777, 0, 0));
    let changes: Vec<_> = told
        .events
        .iter()
        .filter_map(|e| match e {
            drtui::compare::Event::Schema { changes } => Some(changes.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    let sequence = changes.iter().find(|c| c.on == "public.numbers").expect("the sequence is not mentioned");
    assert!(sequence.normal && sequence.says.contains("ahead"), "{sequence:?}");
    assert!(
        changes.iter().any(|c| c.what == "function" && c.on == "public.twice" && !c.normal),
        "{changes:?}"
    );
    lock.commit();

    let told = wire::compare(pair.live.port, pair.restored.port, "nobody_much", Options::default()).await;
    told.outcome.as_ref().unwrap();
    let said = &told.table("orders").verdict;
    assert!(
        matches!(said, Verdict::NotComparable { why } if why.contains("GRANT SELECT ON public.orders")),
        "{said:?}"
    );
}

/// Nothing in common but the tables: a dump restored into another cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_dump_is_compared_by_content() {
    let setup = include_str!("story.sql");
    let pair = Pair::unrelated(
        "dump",
        setup,
        "DELETE FROM orders WHERE id <= 20; UPDATE events SET kind = 'x' WHERE kind = 'k3';
        UPDATE tricky SET ci = 'a', m = 'sad' WHERE id = 3; DELETE FROM nopk_log WHERE line = 'line 9'",
    );
    let told = wire::directly(&pair, Options::default()).await;
    assert_eq!(found(&told, "orders"), counts(20, 0, 0));
    assert_eq!(failed_gate(told.table("orders")), Some(GateName::SystemIdentifier));
    for (name, query, key) in super::exact::tables() {
        let expected = super::truth::compare(&pair, &query, key);
        assert_eq!(found(&told, &name), expected, "{name}");
    }
}
