//! Live is a patient: what the comparison does while live is busy or slow, in what pieces it reads, when its time is up,
//! how long its transactions stand, and on how many connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drtui::compare::engine::{Job, run};
use drtui::compare::link::{Cancel, Connect, Later, Link, LinkError};
use drtui::compare::model::{Advice, Event, Path};
use drtui::compare::{Counts, Mode, Options, Verdict};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::cuts::said;
use super::pair::{Pair, Running, Server, Story};
use super::wire::{self, Proxy, Wire};

/// Each statement over a table takes this long beside its work.
fn slowed(seconds: f32) -> Option<String> {
    Some(format!("(SELECT pg_sleep({seconds}))::text IS NOT NULL"))
}

/// Only the statements that read a whole table in one go do.
fn long_ones_slowed(seconds: f32) -> Option<String> {
    // The condition stands in the text of every statement: it must not find itself.
    let long = "current_query() LIKE '%width_' || 'bucket(%' OR current_query() LIKE '%GROUPING ' || 'SETS%'";
    Some(format!("(SELECT pg_sleep(CASE WHEN {long} THEN {seconds} ELSE 0 END))::text IS NOT NULL"))
}

/// A table of 60 MB, more than a quarter of the buffers unless `settings` say otherwise, and a small one.
fn story(settings: &str) -> Story<'_> {
    Story {
        setup: "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; CREATE TABLE big (id int PRIMARY KEY, v text);
                INSERT INTO big SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 400000) n;
                CREATE TABLE little (id int PRIMARY KEY); INSERT INTO little VALUES (1)",
        after: "DELETE FROM big WHERE id % 40000 = 0; UPDATE big SET v = 'x' WHERE id = 7",
        settings,
        ..Story::default()
    }
}

const TRUTH: Counts = Counts { lost: 10, changed: 1, ..Counts::NONE };

fn only_big() -> Options {
    Options { tables: vec!["big".into()], ..Options::default() }
}

/// Other sessions that are at work on live.
struct Busy<'a> {
    server: &'a Server,
    sessions: Vec<Running>,
}

impl<'a> Busy<'a> {
    fn on(server: &'a Server) -> Busy<'a> {
        let sessions = (0..4).map(|_| server.start_script("app", "SELECT pg_sleep(600)")).collect();
        server.until("app", "SELECT count(*) = 4 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'");
        Busy { server, sessions }
    }

    fn end(self) {
        self.server.sql(
            "app",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'",
        );
        self.sessions.into_iter().for_each(Running::kill);
    }
}

fn idle(server: &Server) {
    server.until("app", "SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active' AND query LIKE '%big%'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_live_is_waited_for_before_anything_is_read() {
    let pair = Pair::make("busy", &story("shared_buffers = 512MB\nlog_min_duration_statement = 0"));
    let (live, restored) = (pair.live.port, pair.restored.port);
    let calm = wire::directly(&pair, only_big()).await;
    assert_eq!(calm.table("big").counts, TRUTH);
    let (_stop, stopped) = watch::channel(false);
    let busy = Busy::on(&pair.live);
    let options = Options { max_load: Some(2), ..only_big() };
    let mut at = wire::begin(live, restored, "reader", options, stopped.clone());
    at.until_note("sessions at work, more than 2").await;
    idle(&pair.live);
    busy.end();
    let told = at.finish().await;
    assert_eq!(said(&told.tables), said(&calm.tables));
    let notes = format!("{:?}", told.events);
    assert!(notes.contains("going on: live is quiet again"), "{notes}");

    // In pieces of the time that was allowed: the log has one line for each.
    let pieces = || pair.live.log().matches("execute <unnamed>: SELECT drtui__bucket / ").count();
    let before = pieces();
    wire::directly(&pair, Options { chunk: Duration::from_secs(60), ..only_big() }).await;
    let few = pieces() - before;
    let told = wire::directly(&pair, Options { chunk: Duration::from_millis(1), ..only_big() }).await;
    let many = pieces() - before - few;
    assert!(few <= 2 && many >= few + 2, "{few} and {many}");
    assert_eq!(said(&told.tables), said(&calm.tables));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_scan_is_stopped_when_live_gets_busy_and_two_connections_are_the_most() {
    let pair = Pair::make("stopped", &story(""));
    let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader';\n\\watch 0.02\n";
    let counting = pair.live.start_script("app", count);
    let (_stop, stopped) = watch::channel(false);
    let options = Options { max_load: Some(2), filter: long_ones_slowed(30.0), ..only_big() };
    let mut at = wire::begin(pair.live.port, pair.restored.port, "reader", options, stopped);
    for _ in 0..3 {
        pair.live.until("app", "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%width_bucket%' AND usename = 'reader' AND state = 'active'");
        let busy = Busy::on(&pair.live);
        at.until_note("sessions at work, more than 2: stopped reading there").await;
        idle(&pair.live);
        busy.end();
    }
    at.until_note("busy again and again: reading it in chunks").await;
    let told = at.finish().await;
    assert_eq!(told.table("big").counts, TRUTH);
    let most = counting.output().lines().filter_map(|n| n.parse::<u32>().ok()).max();
    assert_eq!(most, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_scan_is_stopped_when_live_answers_slowly() {
    let pair = Pair::make("slow", &story(""));
    let proxy = Proxy::before(pair.live.port, Duration::ZERO, 0, None).await;
    for mode in [Mode::Auto, Mode::Logical] {
        let (_stop, stopped) = watch::channel(false);
        let options = Options { filter: long_ones_slowed(15.0), mode, ..only_big() };
        let mut at = wire::begin(proxy.port, pair.restored.port, "reader", options, stopped);
        // The watcher has looked once.
        pair.live.until("app", "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%client backend%' AND usename = 'reader'");
        proxy.set_delay(Duration::from_millis(800));
        at.until_note("ms: stopped reading there").await;
        proxy.set_delay(Duration::ZERO);
        let told = at.finish().await;
        assert_eq!(Counts { touched_same: 0, ..told.table("big").counts }, TRUTH, "{mode:?}");
    }
}

/// Contents are read in one statement, in which the server itself sleeps; a second table of a session finds what the first
/// left behind. Files are read in pieces, each of its own moment, with no transaction open.
#[tokio::test(flavor = "multi_thread")]
async fn while_others_are_at_work_it_rests() {
    let mut story = story("log_min_duration_statement = 0");
    let setup = format!(
        "{}; CREATE TABLE big_too AS TABLE big; ALTER TABLE big_too ADD PRIMARY KEY (id)",
        story.setup
    );
    story.setup = &setup;
    let pair = Pair::make("rests", &story);
    let other = pair.live.start_script("app", "SELECT pg_sleep(600)");
    pair.live.until("app", "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'");
    for (mode, sign, times) in
        [(Mode::Auto, ") piece GROUP BY 1) blocks", 2 * 3), (Mode::Logical, "drtui.rested", 2)]
    {
        let signs = || pair.live.log().matches(sign).count();
        let options =
            |max_load| Options { mode, max_load, chunk: Duration::from_millis(200), ..Options::default() };
        let before = signs();
        let told = wire::directly(&pair, options(None)).await;
        assert_eq!(Counts { touched_same: 0, ..told.table("big").counts }, TRUTH, "{mode:?}");
        assert_eq!(told.table("big_too").verdict, Verdict::Same, "{mode:?}: {:?}", told.outcome);
        let rested = signs() - before;
        assert!(rested >= times, "{mode:?}: {rested}");
        let before = signs();
        wire::directly(&pair, options(Some(0))).await;
        assert_eq!(signs(), before, "{mode:?}: it rests though it must not");
    }
    other.kill();
}

/// One row is gone at each moment, another one every time: pieces of different moments could each have looked at it when
/// it was there. So they are proven to hold for one moment, or given up.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_do_not_hold_for_one_moment_are_given_up() {
    let pair = Pair::make("pieces", &Story { after: "DELETE FROM big WHERE id = 1", ..story("") });
    let script = "DO $$ DECLARE gone int := 1; next int; BEGIN FOR i IN 1..1000000 LOOP
        next := 1 + (i * 77) % 400 * 1000;
        INSERT INTO big VALUES (gone, repeat(md5(gone::text), 4)); DELETE FROM big WHERE id = next; gone := next;
        COMMIT; PERFORM pg_sleep(0.003); END LOOP; END $$";
    let writer = pair.live.start_script("app", script);
    pair.live.until("app", "SELECT EXISTS (SELECT FROM big WHERE id = 1)");
    for _ in 0..2 {
        let told = wire::directly(&pair, Options { chunk: Duration::from_millis(50), ..only_big() }).await;
        let said =
            |what: &str| told.events.iter().any(|e| matches!(e, Event::Note { text } if text.contains(what)));
        assert!(
            said("in short pieces") && said("written to while it was read in pieces"),
            "{:?}",
            told.outcome
        );
        let big = told.table("big");
        let counts = Counts { touched_same: 0, ..big.counts };
        assert_eq!((big.verdict.clone(), counts), (Verdict::Changed, Counts { lost: 1, ..Counts::NONE }));
    }
    writer.kill();
}

/// `VACUUM FULL` keeps rows and their writers, and moves them: nothing but the file tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_rewritten_while_it_is_read_is_not_compared_by_its_files() {
    let pair = Pair::make("rewritten", &story(""));
    let other = pair.live.start_script("app", "SELECT pg_sleep(600)");
    pair.live.until("app", "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'");
    let (_stop, stopped) = watch::channel(false);
    let options = Options { chunk: Duration::from_millis(20), ..only_big() };
    let mut at = wire::begin(pair.live.port, pair.restored.port, "reader", options, stopped);
    at.until_note("in short pieces").await;
    pair.live.sql("app", "VACUUM FULL big");
    let told = at.finish().await;
    let big = told.table("big");
    assert_eq!(Counts { touched_same: 0, ..big.counts }, TRUTH, "{:?}", told.outcome);
    assert!(big.path != Some(Path::Physical) && big.why_path.contains("another one"), "{big:?}");
    other.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_budget_is_used_up_the_rest_is_said_to_be_unknown() {
    let pair = Pair::make("budget", &story(""));
    // The small table takes 1.2 s, which leaves 0.8 s for the large one.
    let options = Options { budget: Some(Duration::from_secs(2)), filter: slowed(1.2), ..Options::default() };
    let began = Instant::now();
    let told = wire::directly(&pair, options).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let summary = told.outcome.as_ref().unwrap();
    assert_eq!(told.table("little").verdict, Verdict::Same);
    let why = &told.table("big").verdict;
    assert!(matches!(why, Verdict::NotComparable { why } if why.contains("--budget")), "{why:?}");
    assert!(summary.incomplete() && summary.advice == Advice::LookCloser, "{summary:?}");
    idle(&pair.live);
}

/// How long transactions of ours stood idle on live, as somebody sees who looks all the time.
struct Idle(Running);

impl Idle {
    fn on(server: &Server) -> Idle {
        let look = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0) FROM pg_stat_activity
            WHERE usename = 'reader' AND state LIKE 'idle in transaction%' \\watch 0.05\n";
        Idle(server.start_script("app", look))
    }

    fn longest(self) -> f64 {
        let all = self.0.output();
        let all: Vec<f64> = all.lines().filter_map(|n| n.parse().ok()).collect();
        assert!(all.len() > 20, "nobody looked");
        all.into_iter().fold(0.0, f64::max)
    }
}

/// Longer than the bound of three seconds, by what a loaded machine needs.
const LONG: f64 = 5.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_on_live_does_not_wait_for_room() {
    let pair = Pair::make("held", &story("shared_buffers = 512MB"));
    let idle = Idle::on(&pair.live);
    let (_stop, stopped) = watch::channel(false);
    let chunk = Duration::from_millis(1);
    let options = Options { max_load: Some(2), chunk, filter: slowed(0.5), ..only_big() };
    let mut at = wire::begin(pair.live.port, pair.restored.port, "reader", options, stopped);
    pair.live.until("app", "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'reader' AND query LIKE 'SELECT drtui\\_\\_bucket / %'");
    let busy = Busy::on(&pair.live);
    let ended = timeout(Duration::from_secs(60), at.until_note("it begins again when there is room")).await;
    assert!(ended.is_ok(), "it waits within its transaction");
    at.until_note("waiting: ").await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state LIKE 'idle in transaction%'";
    assert_eq!(pair.live.ask("app", open), "0");
    busy.end();
    let told = at.finish().await;
    assert_eq!(told.table("big").counts, TRUTH);
    let longest = idle.longest();
    assert!(longest < LONG, "{longest} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_on_live_does_not_wait_for_the_copy() {
    let pair = Pair::make("slowcopy", &story(""));
    // The condition stands in the text of every statement: it must not find itself.
    let filter = format!(
        "(SELECT pg_sleep(CASE WHEN inet_server_port() = {} AND (current_query() LIKE 'SELECT drtui\\_\\_' || 'bucket / %' \
         OR current_query() LIKE '%GROUPING ' || 'SETS%') THEN 8 ELSE 0 END))::text IS NOT NULL",
        pair.restored.port
    );
    for mode in [Mode::Auto, Mode::Logical] {
        let idle = Idle::on(&pair.live);
        let options = Options { mode, filter: Some(filter.clone()), ..only_big() };
        let told = wire::directly(&pair, options).await;
        assert_eq!(Counts { touched_same: 0, ..told.table("big").counts }, TRUTH, "{mode:?}");
        let notes = format!("{:?}", told.events);
        assert!(notes.contains("live is read again when it is done"), "{mode:?}: {notes}");
        let longest = idle.longest();
        assert!(longest < LONG, "{mode:?}: {longest} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_beyond_its_time_is_divided_or_said() {
    let pair = Pair::make("beyond", &story(""));
    let options = |mode| Options {
        statement: Duration::from_secs(2),
        filter: long_ones_slowed(20.0),
        mode,
        ..only_big()
    };
    let told = wire::directly(&pair, options(Mode::Auto)).await;
    assert_eq!(told.table("big").counts, TRUTH);
    let notes = format!("{:?}", told.events);
    assert!(notes.contains("longer than 2 s in one statement: reading it in chunks"), "{notes}");
    let told = wire::directly(&pair, options(Mode::Logical)).await;
    let verdict = &told.table("big").verdict;
    let why = "2 s";
    assert!(
        matches!(verdict, Verdict::NotComparable { why: said } if said.contains(why) && said.contains("--where")),
        "{verdict:?}"
    );
    idle(&pair.live);
}

/// What cannot be divided is not read however busy live is.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_live_is_not_read_all_the_same() {
    let mut story = story("");
    let after =
        format!("{}; CREATE TABLE fresh AS SELECT generate_series(1, 5000) id; ANALYZE fresh", story.after);
    story.after = &after;
    let pair = Pair::make("allthesame", &story);
    let long = "current_query() LIKE 'SELECT count(*)::int8 ' || 'FROM%' OR current_query() LIKE '%GROUPING ' || 'SETS%'";
    let filter = format!(
        "(SELECT pg_sleep(CASE WHEN inet_server_port() = {} AND ({long}) THEN 60 ELSE 0 END))::text IS NOT NULL",
        pair.live.port
    );
    for (table, mode) in [("big", Mode::Logical), ("fresh", Mode::Auto)] {
        let (_stop, stopped) = watch::channel(false);
        let (tables, filter) = (vec![table.to_owned()], Some(filter.clone()));
        let options = Options { max_load: Some(2), filter, mode, tables, ..Options::default() };
        let mut at = wire::begin(pair.live.port, pair.restored.port, "reader", options, stopped);
        for _ in 0..3 {
            pair.live.until(
                "app",
                "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'
                AND (query LIKE 'SELECT count(*)::int8 FROM ONLY%' OR query LIKE '%GROUPING SETS%')",
            );
            let busy = Busy::on(&pair.live);
            at.until_note("sessions at work, more than 2: stopped reading there").await;
            busy.end();
        }
        let told = at.finish().await;
        let result = told.table(table);
        let busy = "live is busy again and again";
        match &result.verdict {
            Verdict::NotComparable { why } if table == "big" => assert!(why.contains(busy), "{why}"),
            Verdict::New if table == "fresh" => {
                assert_eq!(result.counts, Counts { new: 5_000, exact: false, ..Counts::NONE });
                assert!(result.notes.iter().any(|n| n.contains(busy)), "{:?}", result.notes);
            }
            other => panic!("{table}: {other:?}"),
        }
    }
}

/// Its cancels come late: when the statement that they are for is done, and another one runs.
struct Late(Wire, Server);

impl Connect for Late {
    fn connect(&self) -> Later<'_, Result<Link, LinkError>> {
        Box::pin(async {
            let link = self.0.connect().await?;
            let cancel = Arc::new(LateCancel(link.cancel, self.1.clone()));
            Ok(Link { client: link.client, cancel })
        })
    }
}

struct LateCancel(Arc<dyn Cancel>, Server);

impl Cancel for LateCancel {
    fn cancel(&self) -> Later<'static, ()> {
        let (cancel, server) = (Arc::clone(&self.0), self.1.clone());
        Box::pin(async move {
            tokio::task::spawn_blocking(move || {
                server.until("app", "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'
                    AND query NOT LIKE '%width\\_bucket(%' AND query NOT LIKE '%client backend%' AND query NOT LIKE '%clear_snapshot%'");
                tokio::runtime::Handle::current().block_on(cancel.cancel());
            });
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_late_hits_no_other_statement() {
    let pair = Pair::make("late", &story(""));
    let (_stop, stopped) = watch::channel(false);
    let wire = |port| Wire { port, user: "reader".into() };
    let live = Arc::new(Late(wire(pair.live.port), pair.live.clone()));
    // The scan is done before it is stopped; what comes then takes its time too.
    let long = "current_query() LIKE '%width_' || 'bucket(%'";
    let filter = Some(format!("(SELECT pg_sleep(CASE WHEN {long} THEN 5 ELSE 1 END))::text IS NOT NULL"));
    let options = Options { max_load: Some(2), filter, ..only_big() };
    let (events, mut news) = mpsc::channel(64);
    let restored = Arc::new(wire(pair.restored.port));
    let running = tokio::spawn(run(Job { live, restored, options, events, stop: stopped }));
    pair.live.until("app", "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%width_bucket%' AND usename = 'reader' AND state = 'active'");
    let busy = Busy::on(&pair.live);
    pair.live.until("app", "SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE '%width_bucket%' AND usename = 'reader' AND state = 'active'");
    busy.end();
    let mut counts = None;
    while let Some(event) = news.recv().await {
        if let drtui::compare::Event::Table { table } = event {
            counts = Some((table.verdict, table.counts));
        }
    }
    running.await.unwrap().unwrap();
    assert_eq!(counts, Some((Verdict::Changed, TRUTH)));
}
