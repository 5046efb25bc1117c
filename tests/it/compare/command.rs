//! `drtui compare` as a script uses it: what it prints, how it ends, what it keeps to itself.

use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::pair::{Pair, Story};

fn run(pair: &Pair, args: &[&str]) -> Output {
    let (live, restored) = pair.urls("reader:hunter2");
    let mut command = Command::new(env!("CARGO_BIN_EXE_drtui"));
    command.args(["compare", "--live", &live, "--restored", &restored]).args(args);
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_command_tells_scripts_and_people() {
    let pair = Pair::make("command", &Story {
        setup: "CREATE ROLE reader LOGIN PASSWORD 'hunter2'; GRANT pg_read_all_data TO reader;
                CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT n, 'v' || n FROM generate_series(1, 100) n;
                CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE held (id int PRIMARY KEY)",
        after: "DELETE FROM a WHERE id IN (7, 8); UPDATE a SET v = E'\\x1b[31mred' WHERE id = 9; INSERT INTO a VALUES (500, 'n')",
        ..Story::default()
    });
    let output = run(&pair, &["--format", "json", "--rows", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let document = json(&output);
    let a = &document["tables"][0];
    assert_eq!((a["table"].as_str(), a["path"].as_str()), (Some("public.a"), Some("physical")));
    let counts: Vec<u64> =
        ["lost", "new", "changed", "rows_live", "rows_restored"].map(|n| a[n].as_u64().unwrap()).into();
    assert_eq!(counts, [2, 1, 1, 99, 100]);
    let rows = a["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "one of each kind");
    assert_eq!(rows[0]["key"]["id"], "7");
    assert_eq!(rows[1]["differing"], serde_json::json!(["v"]));
    assert_eq!(document["summary"]["advice"], "repair_some");

    assert_eq!(run(&pair, &["--table", "b"]).status.code(), Some(0));
    assert_eq!(run(&pair, &["--exclude", "public.a", "--mode", "logical"]).status.code(), Some(0));
    assert_eq!(run(&pair, &["--where", "id > 600", "--table", "a"]).status.code(), Some(0));
    assert_eq!(run(&pair, &["--where", "nonsense >", "--table", "a"]).status.code(), Some(2));
    for (condition, why) in
        [("pg_terminate_backend(1)", "may change something"), ("true) OR (true", "one expression")]
    {
        let refused = run(&pair, &["--where", condition]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains(why), "{condition}: {said}");
    }
    assert_eq!(run(&pair, &["--table", "nothing*"]).status.code(), Some(2));

    let lock = pair.live.begin("app", "LOCK TABLE held IN ACCESS EXCLUSIVE MODE");
    assert_eq!(run(&pair, &[]).status.code(), Some(2));
    assert_eq!(run(&pair, &["--fail-on-difference"]).status.code(), Some(1));
    lock.commit();

    let lines = run(&pair, &["--format", "ndjson"]);
    let lines = String::from_utf8(lines.stdout).unwrap();
    let all: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(all.iter().any(|l| l["table"] == "public.b") && all.last().unwrap()["summary"].is_object());

    for format in ["text", "json", "ndjson", "html"] {
        let output = run(&pair, &["--format", format]);
        let everything = [output.stdout, output.stderr].concat();
        let everything = String::from_utf8_lossy(&everything);
        assert!(everything.contains("public.a"), "{format}");
        assert!(!everything.contains("hunter2") && !everything.contains('\u{1b}'), "{format}: {everything}");
    }
    let wrong = Command::new(env!("CARGO_BIN_EXE_drtui"))
        .args(["compare", "--live", &pair.live.url("reader"), "--restored", &pair.live.url("reader")])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("the same database"));
}

#[test]
fn the_schema_of_the_json_names_what_is_printed() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compare.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let pair = Pair::make(
        "schema",
        &Story {
            setup: "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'a')",
            after: "UPDATE a SET v = 'b'",
            ..Story::default()
        },
    );
    let document = json(&run(&pair, &["--format", "json"]));
    let check = |value: &Value, schema: &Value| {
        let names = schema["properties"].as_object().unwrap();
        for name in value.as_object().unwrap().keys() {
            assert!(names.contains_key(name), "{name} is not in docs/compare.schema.json");
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(value.get(name.as_str().unwrap()).is_some(), "{name} is promised and missing");
        }
    };
    check(&document, &schema);
    let table = &document["tables"][0];
    check(table, &schema["$defs"]["table"]);
    check(&table["rows"][0], &schema["$defs"]["row"]);
    check(&document["summary"], &schema["$defs"]["summary"]);
}

#[test]
fn whatever_ends_it_ends_what_it_began() {
    let pair = Pair::make(
        "signals",
        &Story {
            setup: "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
                CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 1000);
                CREATE FUNCTION slowly(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
                  $$ BEGIN PERFORM pg_sleep(0.1); RETURN true; END $$",
            ..Story::default()
        },
    );
    let (live, restored) = pair.urls("reader");
    let active = "usename = 'reader' AND state = 'active'";
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drtui"));
        command.args(["compare", "--live", &live, "--restored", &restored, "--mode", "logical"]);
        command.args(["--where", "public.slowly(id)"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        for server in [&pair.live, &pair.restored] {
            let scans = format!(
                "SELECT count(*) = 1 FROM pg_stat_activity WHERE {active} AND query LIKE '%GROUPING SETS%'"
            );
            server.until("app", &scans);
        }
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        let told = std::time::Instant::now();
        nix::sys::signal::kill(pid, signal).unwrap();
        for server in [&pair.live, &pair.restored] {
            server.until("app", &format!("SELECT count(*) = 0 FROM pg_stat_activity WHERE {active}"));
        }
        assert!(told.elapsed().as_secs() < 2, "{signal}: {:?}", told.elapsed());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("cancelled"),
            "{signal}: {:?} {said}",
            output.status
        );
    }
}
