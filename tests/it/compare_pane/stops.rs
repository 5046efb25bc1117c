//! Comparisons in the cockpit that are stopped, cut and begun again, on real servers: nothing stays behind, what was found
//! stays, and the screen says which it is.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Handle;
use tokio_postgres::Client;

use super::{Arm, COPY, LIVE, lost_and_restored};
use crate::incident::ground::{SOON, hides, shows};
use crate::pty::harness::{Home, Pty, Spawn};
use crate::sandbox_world::{Ground, Sandbox};

/// How long a comparison that meets locked tables and lost servers may take.
const LONG: Duration = Duration::from_secs(90);
/// Tables that the service does not have: so that there are more than 50.
const MORE: &str = "DO $$ BEGIN FOR n IN 1..34 LOOP
    EXECUTE format('CREATE TABLE more_%s (id int PRIMARY KEY, v text)', n);
    EXECUTE format('INSERT INTO more_%s SELECT i, md5(i::text) FROM generate_series(1, 2000) i', n);
    END LOOP; END $$;
    CREATE TABLE letters (id int PRIMARY KEY, body text);
    INSERT INTO letters SELECT n, repeat('dull boy ', 20000) || n FROM generate_series(1, 20) n";

/// Connections of the test's own, for code that does not wait.
struct World {
    handle: Handle,
    live: Client,
    holder: Client,
    sandbox: Sandbox,
    ground: Ground,
}

impl World {
    fn number(&self, client: &Client, sql: &str) -> i64 {
        self.handle.block_on(client.query_one(sql, &[])).unwrap().get(0)
    }

    fn copy(&self) -> Client {
        self.handle.block_on(open(&self.sandbox, COPY))
    }

    /// Holds three tables of live exclusively: each takes the comparison two seconds to give up.
    fn hold(&self) {
        let sql = "BEGIN; LOCK TABLE more_1, more_2, more_3, more_4, more_5 IN ACCESS EXCLUSIVE MODE";
        self.handle.block_on(self.holder.batch_execute(sql)).unwrap();
    }

    fn let_go(&self) {
        self.handle.block_on(self.holder.batch_execute("ROLLBACK")).unwrap();
    }

    /// Scales the service's deployments.
    fn scale(&self, replicas: u32) {
        for name in ["refer-serious-misconduct-production", "refer-serious-misconduct-production-worker"] {
            let body = serde_json::json!({"namespace": "tra-production", "name": name, "replicas": replicas});
            let url = format!("{}/replicas", self.sandbox.word("/control/endpoint"));
            let web = reqwest::Client::builder().no_proxy().build().unwrap();
            let asked = web.post(url).bearer_auth(self.sandbox.word("/control/token")).json(&body).send();
            assert!(self.handle.block_on(asked).unwrap().status().is_success());
        }
    }

    fn turn(&self, name: &str, action: &str, state: &str) {
        self.handle.block_on(async {
            let arm =
                Arm { web: self.sandbox.web(), token: self.sandbox.token().await, sandbox: &self.sandbox };
            arm.turn(name, action, state).await;
        });
    }
}

async fn open(sandbox: &Sandbox, name: &str) -> Client {
    let url = format!("{}/servers", sandbox.word("/control/endpoint"));
    let web = reqwest::Client::builder().no_proxy().build().unwrap();
    let there = web.get(url).bearer_auth(sandbox.word("/control/token")).send().await.unwrap();
    let there: Value = there.json().await.unwrap();
    let servers = there["servers"].as_array().unwrap();
    let server = servers.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("{there}"));
    sandbox.connect(server["url"].as_str().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_cut_and_begun_again() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ground = Ground::new("comparestops");
    let sandbox = ground.start_with(&["--fast", "--restore-lag", "100ms"]);
    let (live, holder) = (open(&sandbox, LIVE).await, open(&sandbox, LIVE).await);
    live.batch_execute(MORE).await.unwrap();
    lost_and_restored(&ground, &sandbox).await;
    let world = World { handle: Handle::current(), live, holder, sandbox, ground };
    tokio::task::spawn_blocking(move || a_night(&world)).await.unwrap();
}

fn a_night(world: &World) {
    let home = Home::new();
    let config = world.sandbox.word("/config").to_owned();
    let mut pty = Spawn::drtui(&home, &["--config", &config]).size(120, 40).start();
    shows(&pty, "● kubernetes live");
    shows(&pty, "● azure every");
    pty.send("i");
    shows(&pty, "Open an incident");
    pty.send("\r");
    shows(&pty, "declared");
    let counting = Counting::on(world);
    the_first_verdict_comes_soon(&mut pty);
    more_rows_are_fetched(&mut pty);
    a_long_value_is_fetched_whole(world, &mut pty);
    world.hold();
    a_question_waits_for_its_turn(world, &mut pty);
    stopped_nothing_runs(world, &mut pty);
    assert_eq!(counting.most(), 2, "connections of ours on live at once");
    cut_it_goes_on(world, &mut pty);
    without_the_copy_it_ends_and_says_so(world, &mut pty);
    world.hold();
    without_the_service_it_ends_and_says_so(world, &mut pty);
    pty.send("q");
    pty.wait_exit();
    after_a_restart_it_is_not_current(&home, &config);
}

/// `c`, more keys, `Enter`, until it runs.
fn begins(pty: &mut Pty, keys: &str) {
    pty.send("6c");
    // Until Azure says that the copy is Ready.
    pty.wait("a form", LONG, |s| s.screen().contents().contains("All tables, all rows.").then_some(()));
    pty.send(&format!("{keys}\r"));
    shows(pty, "COMPARING");
}

/// The verdict of tables that are the same, and of one that is not.
fn verdict(pty: &Pty) {
    pty.wait("a verdict", SOON, |s| {
        let text = s.screen().contents();
        [" same ", "differs…"].iter().any(|w| text.contains(w)).then_some(())
    });
}

fn still_shows_what_was_found(pty: &Pty) {
    pty.wait("what was found", SOON, |s| s.screen().contents().contains("DIFFERS").then_some(()));
}

fn finishes(pty: &Pty) {
    pty.wait("the end", LONG, |s| s.screen().contents().contains("FINISHED").then_some(()));
}

fn the_first_verdict_comes_soon(pty: &mut Pty) {
    pty.send("6zc");
    shows(pty, "compare, on record");
    let asked = Instant::now();
    pty.send("\r");
    hides(pty, "compare, on record");
    verdict(pty);
    let first = asked.elapsed();
    finishes(pty);
    println!("first verdict {first:?} after the key, all {:?}, tunnels opened meanwhile", asked.elapsed());
    let said = pty.text();
    println!("{}", said.lines().find(|l| l.contains("FINISHED")).unwrap());
    assert!(first < Duration::from_secs(5), "{first:?}");
    shows(pty, "ago: all ");
    // Again, the tunnels being open.
    pty.send("c");
    shows(pty, "compare, on record");
    let asked = Instant::now();
    pty.send("\r");
    shows(pty, "COMPARING");
    verdict(pty);
    println!("again: first verdict {:?} after the key", asked.elapsed());
    finishes(pty);
}

fn more_rows_are_fetched(pty: &mut Pty) {
    begins(pty, "\x1b[Z1");
    finishes(pty);
    pty.send("g\r");
    shows(pty, "(the first 1 here)");
    shows(pty, "f fetches more");
    pty.send("f");
    shows(pty, "(the first 10 here)");
    shows(pty, "compared again at");
    hides(pty, "x stops it");
    pty.send("f");
    hides(pty, "(the first 10 here)");
    pty.send("\x7f");
    shows(pty, "VERDICT");
}

/// The end of it differs, which is beyond what a comparison fetches.
fn a_long_value_is_fetched_whole(world: &World, pty: &mut Pty) {
    let change = |sql: &str| world.handle.block_on(world.live.batch_execute(sql)).unwrap();
    change("UPDATE letters SET body = body || ' (bright)' WHERE id = 7");
    begins(pty, "");
    finishes(pty);
    pty.send("/letters\r");
    shows(pty, "1 of ");
    pty.send("g\r");
    shows(pty, "1 changed · that is all");
    pty.send("g\r");
    shows(pty, "≠ body");
    pty.send("\r");
    shows(pty, "only the first 4.0 kB of 180 kB are here");
    pty.send("f");
    shows(pty, "7[ (bright)]");
    shows(pty, "characters that are the same on both");
    hides(pty, "only the first");
    pty.send("\x1b");
    hides(pty, "that are the same on both");
    // Written again since: another version is not taken for the one that was compared.
    begins(pty, "");
    finishes(pty);
    pty.send("g\r");
    shows(pty, "1 changed · that is all");
    pty.send("g\r\r");
    shows(pty, "only the first 4.0 kB of 180 kB are here");
    change("UPDATE letters SET body = body || '!' WHERE id = 7");
    pty.send("f");
    shows(pty, "NOT fetched: LIVE: this version of the row is not there any more");
    pty.send("\x1b");
    hides(pty, "NOT fetched: LIVE");
    pty.send("\x7f\x7f");
    shows(pty, "VERDICT");
    // A message that is still there goes first. Each is waited for: two in one read are one key.
    let gone = |pty: &mut Pty| {
        pty.send("\x1b");
        pty.try_wait(Duration::from_secs(5), |s| (!s.screen().contents().contains("/letters")).then_some(()))
    };
    assert!((0..3).any(|_| gone(pty).is_some()), "the filter stays:\n{}", pty.text());
}

const AT_WORK: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'drtui compare'";

/// It waits for a table that somebody holds: it is at work on the servers for seconds.
fn is_at_work(world: &World, pty: &mut Pty) {
    begins(pty, "");
    pty.wait("a table that is held", LONG, |s| s.screen().contents().contains("public.more_").then_some(()));
    let limit = Instant::now() + SOON;
    while world.number(&world.live, &format!("{AT_WORK} AND wait_event_type = 'Lock'")) == 0 {
        assert!(Instant::now() < limit, "it never waited on live");
    }
}

/// Counts our connections on live all the time: of comparisons, of fetches, of questions, and of the tunnel itself.
struct Counting {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<i64>,
}

impl Counting {
    fn on(world: &World) -> Counting {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let client = world.handle.block_on(open(&world.sandbox, LIVE));
        let (handle, stopped) = (world.handle.clone(), std::sync::Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('drtui compare', 'drtui latency')
                OR application_name LIKE 'drtui/%'";
            let mut most = 0;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok(row) = handle.block_on(client.query_one(ours, &[])) else { break };
                most = most.max(row.get::<_, i64>(0));
            }
            most
        });
        Counting { stop, thread }
    }

    fn most(self) -> i64 {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// While a comparison is at work, the query box opens no third connection.
fn a_question_waits_for_its_turn(world: &World, pty: &mut Pty) {
    is_at_work(world, pty);
    pty.send("s");
    shows(pty, "SELECT>");
    pty.send("select 1 as only\r");
    shows(pty, "something else is at work on live");
    pty.send("\x1b");
    hides(pty, "SELECT>");
    pty.send("x");
    shows(pty, "NOT FINISHED: cancelled");
}

fn stopped_nothing_runs(world: &World, pty: &mut Pty) {
    is_at_work(world, pty);
    let copy = world.copy();
    assert!(world.number(&copy, AT_WORK) > 0, "nothing was on the copy");
    let stopped = Instant::now();
    pty.send("x");
    loop {
        let left = world.number(&world.live, AT_WORK) + world.number(&copy, AT_WORK);
        if left == 0 {
            break;
        }
        // The engine's own tests hold it to 1 s; here many tests share two cores.
        assert!(stopped.elapsed() < Duration::from_secs(3), "{left} sessions are left after 3 s");
    }
    println!("stopped: nothing on either server after {:?}", stopped.elapsed());
    shows(pty, "NOT FINISHED: cancelled");
    still_shows_what_was_found(pty);
    // Nor does anything come back.
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_secs(1) {
        assert_eq!(world.number(&world.live, AT_WORK) + world.number(&copy, AT_WORK), 0);
    }
}

/// The way through the cluster is gone for a while.
fn cut_it_goes_on(world: &World, pty: &mut Pty) {
    is_at_work(world, pty);
    let cut = world.ground.run(&["fault", "reset", "--on", "kubernetes", "--for", "3s"]);
    assert!(cut.status.success(), "{}", String::from_utf8_lossy(&cut.stderr));
    let waits = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {}",
        AT_WORK.split_once("WHERE ").unwrap().1
    );
    world.number(&world.live, &waits);
    shows(pty, "trying again");
    world.let_go();
    finishes(pty);
    shows(pty, " lost");
    world.hold();
}

fn without_the_copy_it_ends_and_says_so(world: &World, pty: &mut Pty) {
    is_at_work(world, pty);
    world.turn(COPY, "stop", "Stopped");
    pty.wait("an end that says why", LONG, |s| {
        let text = s.screen().contents();
        (text.contains("NOT FINISHED") && text.contains("restored")).then_some(())
    });
    still_shows_what_was_found(pty);
    world.let_go();
    pty.send("c");
    pty.wait("Azure's word", LONG, |s| {
        s.screen().contents().contains("wait until it is Ready").then_some(())
    });
    pty.send("\r");
    world.turn(COPY, "start", "Ready");
    pty.send("\x1b");
    hides(pty, "wait until it is Ready");
    begins(pty, "");
    finishes(pty);
    shows(pty, "ago: all ");
}

/// The service is scaled to 0 while it runs: its pods were the way.
fn without_the_service_it_ends_and_says_so(world: &World, pty: &mut Pty) {
    is_at_work(world, pty);
    world.scale(0);
    pty.wait("a cut that is said", LONG, |s| {
        let text = s.screen().contents();
        (text.contains("trying again") || text.contains("NOT FINISHED")).then_some(())
    });
    pty.send("x");
    pty.wait("an end", LONG, |s| s.screen().contents().contains("NOT FINISHED").then_some(()));
    still_shows_what_was_found(pty);
    world.let_go();
    pty.send("c");
    pty.wait("the cluster's word", LONG, |s| {
        s.screen().contents().contains("No pod of the service runs: pods are made for it").then_some(())
    });
    pty.send("\x1b");
    hides(pty, "compare, on record");
    world.scale(2);
    begins(pty, "");
    finishes(pty);
    shows(pty, "ago: all ");
}

fn after_a_restart_it_is_not_current(home: &Home, config: &str) {
    let mut pty = Spawn::drtui(home, &["--config", config]).size(120, 40).start();
    shows(&pty, "declared");
    pty.send("6z");
    for words in ["Compare again: c.", "NOT CURRENT: on record", "rows lost", "the same"] {
        shows(&pty, words);
    }
    pty.send("q");
    pty.wait_exit();
}
