//! The sandbox's PostgreSQL: who may come in, what is inside, and that the same seed gives the same rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drtui::sandbox::certs::Authority;
use drtui::sandbox::postgres::connect::Access;
use drtui::sandbox::postgres::fleet::{LIVE, Refusal, Rules, Servers, Tempo};
use drtui::sandbox::postgres::seed::{self, Recipe};
use drtui::sandbox::postgres::{Credentials, DATABASE};
use drtui::sandbox::rundir::{CLUSTERS, RunDir};
use drtui::sandbox::{Say, Scale};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::{Client, Config, NoTls};

use super::sandbox_world::until;

fn say() -> Say {
    Arc::new(|line| println!("{line}"))
}

fn recipe(seed: u32) -> Recipe {
    Recipe { seed, scale: Scale::Small, as_of: chrono::NaiveDate::from_ymd_opt(2026, 11, 20).unwrap() }
}

async fn count(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

async fn check_shape(client: &Client) {
    let tables = seed::tables(client).await.unwrap();
    assert!(tables.len() >= 12, "{tables:?}");
    let ask = |query: &'static str| count(client, query);
    assert!(ask("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0").await >= 12);
    assert!(ask("SELECT count(*) FROM pg_partitioned_table").await >= 1);
    assert!(ask("SELECT count(*) FROM pg_inherits").await >= 12);
    let without_key =
        "SELECT count(*) FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
         AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')";
    assert_eq!(ask(without_key).await, 1);
    for kind in ["uuid", "bigint", "jsonb", "timestamp with time zone"] {
        let columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND data_type = $1";
        assert!(client.query_one(columns, &[&kind]).await.unwrap().get::<_, i64>(0) > 0, "{kind}");
    }
    assert!(ask("SELECT count(*) FROM pg_type WHERE typtype = 'e'").await >= 4);
    let alone = "SELECT count(*) FROM uploads u JOIN referral_evidence e ON e.id = u.evidence_id WHERE e.referral_id <> u.referral_id";
    assert_eq!(ask(alone).await, 0, "an upload's evidence is of another referral");
    let early = "SELECT count(*) FROM allegations a JOIN referrals r ON r.id = a.referral_id WHERE a.created_at < r.created_at";
    assert_eq!(ask(early).await, 0, "an allegation is older than its referral");
    let late = "SELECT count(*) FROM referrals WHERE greatest(created_at, updated_at, submitted_at) >= '2026-11-20T00:00:00Z'";
    assert_eq!(ask(late).await, 0, "a row is newer than the as-of day");
    let taken = "SELECT nextval(pg_get_serial_sequence('referrals', 'id')) - max(id) FROM referrals";
    assert_eq!(ask(taken).await, 1, "the sequence does not follow the rows");
}

async fn check_doors(access: &Access) {
    let mut plain = Config::new();
    plain.host("127.0.0.1").port(access.port).user(&access.user).dbname(&access.database);
    plain.password(access.password.expose_secret());
    let refused = plain.connect(NoTls).await.err().expect("plain text was let in");
    assert!(refused.to_string().contains("db error"), "{refused}");
    let refused = format!("{:?}", refused.as_db_error());
    assert!(refused.contains("no pg_hba.conf entry") && refused.contains("no encryption"), "{refused}");

    let mut wrong = access.clone();
    wrong.password = SecretString::from("wrong");
    let refused = wrong.connect("test").await.unwrap_err();
    assert!(format!("{refused:?}").contains("password authentication failed"), "{refused:?}");
    assert!(!format!("{access:?}").contains(access.password.expose_secret()), "a password in a debug print");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_server_behind_tls_and_password() {
    let begun = Instant::now();
    let run_dir = RunDir::create(&say()).unwrap();
    let folder = run_dir.path().join(CLUSTERS);
    let authority = Authority::new().unwrap();
    let servers =
        Servers::new(&folder, Arc::new(authority), Credentials::random(), Rules::default()).unwrap();
    let live = servers.start_live(&recipe(42), &say()).await.unwrap();
    println!("ready after {:.1} s", begun.elapsed().as_secs_f64());

    let client = live.connect("test").await.unwrap();
    check_shape(&client).await;
    check_doors(&live).await;
    let (rows, first) = seed::digest(&client).await.unwrap();
    println!("{rows} rows\n{first}");
    assert!((295_000..310_000).contains(&rows), "{rows} rows");
    for (name, seed_of_it) in [("same_seed", 42), ("another_seed", 43)] {
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let access = live.in_database(name);
        seed::fill(&access, &recipe(seed_of_it)).await.unwrap();
        let (_, other) = seed::digest(&access.connect("test").await.unwrap()).await.unwrap();
        assert_eq!(first == other, seed_of_it == 42, "{DATABASE} against {name}:\n{first}\n{other}");
    }

    let (pid, _) = servers.process(LIVE).unwrap();
    servers.end().await;
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
    let path = run_dir.path().to_path_buf();
    run_dir.remove().unwrap();
    assert!(!path.exists());
}

/// Bytes of the live server's archive.
fn archived(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder.join("live-archive")).unwrap().flatten();
    files.map(|file| file.metadata().map_or(0, |meta| meta.len())).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_archive_begins_anew_and_the_window_with_it() {
    const MOST: u64 = 100 << 20;
    let run_dir = RunDir::create(&say()).unwrap();
    let folder = run_dir.path().join(CLUSTERS);
    let rules = Rules {
        tempo: Tempo::Fast,
        lag: chrono::TimeDelta::zero(),
        archive_most: MOST,
        archive_look: Duration::from_millis(100),
        ..Rules::default()
    };
    let authority = Arc::new(Authority::new().unwrap());
    let servers = Servers::new(&folder, authority, Credentials::random(), rules).unwrap();
    let live = servers.start_live(&recipe(1), &say()).await.unwrap();
    let earliest = || servers.get(LIVE).and_then(|server| server.earliest_restore);
    until("the first backup is complete", async || earliest().is_some()).await;
    let first = earliest().unwrap();
    let client = live.connect("test").await.unwrap();
    client.batch_execute("CREATE TABLE filler (n bigserial, text text)").await.unwrap();
    let filled = async || {
        let fill =
            "INSERT INTO filler (text) SELECT repeat(md5(n::text), 40) FROM generate_series(1, 10000) n";
        client.batch_execute(fill).await.unwrap();
        earliest() > Some(first)
    };
    until("a new base backup takes the old one's place", filled).await;
    // What was written while the backup was taken may need another.
    until("the archive is small again", async || archived(&folder) < MOST).await;
    let refused = servers.point_in_time_restore(LIVE, first, "too-early", []).unwrap_err();
    assert!(matches!(refused, Refusal::OutsideWindow { .. }), "{refused}");

    let rows = count(&client, "SELECT count(*) FROM filler").await;
    let row = client.query_one("SELECT clock_timestamp()", &[]).await.unwrap();
    let now: std::time::SystemTime = row.get(0);
    let begun = servers.point_in_time_restore(LIVE, now.into(), "restored", []).unwrap();
    servers.wait(&begun).await.unwrap();
    let restored = servers.access("restored").unwrap().connect("test").await.unwrap();
    assert_eq!(count(&restored, "SELECT count(*) FROM filler").await, rows);
    servers.end().await;
    run_dir.remove().unwrap();
}
