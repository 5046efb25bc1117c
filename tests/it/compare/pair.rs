//! A real pair of servers: live with a WAL archive, and a copy of it restored from a base backup to a point in time and
//! promoted, as a provider does it. Everything lies in one temporary folder and ends with it.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What happens to the databases, in order. Each part is a psql script.
#[derive(Debug, Clone, Copy, Default)]
pub struct Story<'a> {
    /// Tables and rows, before the base backup.
    pub setup: &'a str,
    /// After the base backup, before the restore point.
    pub before: &'a str,
    /// A transaction that is begun before the restore point and committed after it.
    pub open: &'a str,
    /// After the restore point: on live only.
    pub after: &'a str,
    /// More lines of postgresql.conf, for both.
    pub settings: &'a str,
}

/// One running server.
#[derive(Debug, Clone)]
pub struct Server {
    pub port: u16,
    data: PathBuf,
    bin: PathBuf,
    ids: Option<(u32, u32)>,
}

/// Live and its restored copy.
#[derive(Debug)]
pub struct Pair {
    pub live: Server,
    pub restored: Server,
    /// Ends with the pair; `None` if somebody else made it.
    folder: Option<PathBuf>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Pair {
    /// Tells the story to two servers.
    pub fn make(name: &str, story: &Story<'_>) -> Pair {
        let folder = folder(name);
        let live = Server::new(&folder, "live");
        let restored = Server { data: folder.join("restored"), port: free_port(), ..live.like() };
        std::fs::create_dir_all(folder.join("archive")).unwrap();
        live.own(&folder);
        live.own(&folder.join("archive"));
        let archive = folder.join("archive").display().to_string();
        live.initialise();
        let archiving =
            |command: &str| format!("archive_mode = on\narchive_command = '{command}'\n{}", story.settings);
        // What is loaded before the base backup need not be archived.
        live.configure(&archiving("/bin/true"));
        live.start();
        live.sql("postgres", "CREATE DATABASE app");
        live.sql("app", story.setup);
        live.configure(&archiving(&format!("cp \"%p\" {archive}/\"%f\"")));
        live.must("pg_ctl", &["-D", live.dir(), "reload"]);
        live.until("postgres", "SELECT current_setting('archive_command') LIKE 'cp%'");
        let port = live.port.to_string();
        live.must(
            "pg_basebackup",
            &[
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "postgres",
                "-c",
                "fast",
                "--no-sync",
                "-D",
                restored.dir(),
            ],
        );
        live.sql("app", story.before);
        let open = live.begin("app", story.open);
        let until = live.ask("app", "SELECT clock_timestamp()");
        // The first commit after the point is what recovery stops at.
        live.sql("app", "SELECT pg_current_xact_id()");
        live.sql("app", story.after);
        open.commit();
        live.archived();
        restored.configure(&format!(
            "archive_mode = off\nrestore_command = 'cp {archive}/\"%f\" \"%p\"'\nrecovery_target_time = '{until}'\n\
             recovery_target_action = 'promote'\n{}",
            story.settings
        ));
        restored.signal_recovery();
        restored.start();
        restored.until("app", "SELECT NOT pg_is_in_recovery()");
        Pair { live, restored, folder: Some(folder) }
    }

    /// Two clusters that have nothing in common: the copy is filled by a dump of live, then live goes on.
    pub fn unrelated(name: &str, setup: &str, after: &str) -> Pair {
        let folder = folder(name);
        let (live, restored) = (Server::new(&folder, "live"), Server::new(&folder, "restored"));
        live.own(&folder);
        for server in [&live, &restored] {
            server.initialise();
            server.configure("");
            server.start();
            server.sql("postgres", "CREATE DATABASE app");
        }
        live.sql("app", setup);
        // Other numbers for the same types.
        restored.sql(
            "app",
            "CREATE TYPE other AS ENUM ('x'); CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader",
        );
        let dump =
            live.must("pg_dump", &["-h", "127.0.0.1", "-p", &live.port.to_string(), "-U", "postgres", "app"]);
        restored.sql("app", &String::from_utf8(dump.stdout).unwrap());
        live.sql("app", after);
        Pair { live, restored, folder: Some(folder) }
    }

    /// A pair that runs already.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn at(live: u16, restored: u16) -> Pair {
        let at = |port| Server { port, data: PathBuf::new(), bin: bin(), ids: None };
        Pair { live: at(live), restored: at(restored), folder: None }
    }

    /// URL of live's database, and of the copy's.
    pub fn urls(&self, user: &str) -> (String, String) {
        (self.live.url(user), self.restored.url(user))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            self.live.stop("immediate");
            self.restored.stop("immediate");
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Server {
    /// A server that is not made yet.
    pub fn new(folder: &Path, name: &str) -> Server {
        std::fs::create_dir_all(folder).unwrap();
        let ids = nix::unistd::geteuid().is_root().then(|| {
            let user =
                ["postgres", "nobody"].iter().find_map(|n| nix::unistd::User::from_name(n).ok().flatten());
            let user = user.expect("no user to run PostgreSQL as");
            (user.uid.as_raw(), user.gid.as_raw())
        });
        Server { port: free_port(), data: folder.join(name), bin: bin(), ids }
    }

    fn like(&self) -> Server {
        Server { port: 0, data: PathBuf::new(), bin: self.bin.clone(), ids: self.ids }
    }

    pub fn url(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/app?sslmode=disable", self.port)
    }

    fn dir(&self) -> &str {
        self.data.to_str().unwrap()
    }

    fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.ids {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Where one of the server's programs is.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn program(&self, name: &str) -> String {
        self.bin.join(name).display().to_string()
    }

    pub fn must(&self, program: &str, args: &[&str]) -> Output {
        let output = self.command(program).args(args).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn initialise(&self) {
        let args = [
            "-A",
            "trust",
            "-U",
            "postgres",
            "-k",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
            self.dir(),
        ];
        self.must("initdb", &args);
    }

    fn configure(&self, more: &str) {
        let path = self.data.join("postgresql.conf");
        let text = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nfsync = off\njit = off\n\
             shared_buffers = 64MB\nmax_wal_size = 1GB\ncheckpoint_timeout = 1h\nautovacuum = off\nmax_connections = 50\n\
             max_prepared_transactions = 5\ntimezone = 'UTC'\nlogging_collector = off\n{more}",
            self.port
        );
        std::fs::write(&path, text).unwrap();
        self.own(&path);
    }

    fn signal_recovery(&self) {
        let path = self.data.join("recovery.signal");
        std::fs::write(&path, "").unwrap();
        self.own(&path);
    }

    pub fn start(&self) {
        let log = format!("{}.log", self.dir());
        let mut start = self.command("pg_ctl");
        // Its output would keep our pipe open as long as the server lives.
        start.args(["-D", self.dir(), "-l", &log, "-w", "-t", "600", "start"]);
        let status = start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(format!("{}.log", self.dir())).unwrap()
    }

    pub fn stop(&self, how: &str) {
        let _ = self
            .command("pg_ctl")
            .args(["-D", self.dir(), "-m", how, "-w", "stop"])
            .stdin(Stdio::null())
            .output();
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = self.command("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"]);
        psql.args(["-p", &self.port.to_string(), "-d", database, "-f", "-"]);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        psql
    }

    /// psql with one statement, ready to run.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn psql_with(&self, database: &str, statement: &str) -> Command {
        let mut psql = self.command("psql");
        psql.args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-U", "postgres", "-d", database]);
        psql.args(["-p", &self.port.to_string(), "-c", statement]);
        psql
    }

    /// Runs a script; its output.
    pub fn sql(&self, database: &str, script: &str) -> String {
        let mut child = self.psql(database).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{script:.300}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a script in a session of its own, and does not wait for it.
    pub fn start_script(&self, database: &str, script: &str) -> Running {
        let mut child = self.psql(database).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        Running { child }
    }

    /// The one value that a query gives.
    pub fn ask(&self, database: &str, query: &str) -> String {
        self.sql(database, query).trim().to_owned()
    }

    /// Waits until a query gives `t`.
    pub fn until(&self, database: &str, query: &str) {
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(600);
        while self.ask(database, query) != "t" {
            assert!(std::time::Instant::now() < limit, "never true: {query}");
        }
    }

    /// Begins a transaction with `script` in a session of its own, and returns when it is done so far.
    pub fn begin(&self, database: &str, script: &str) -> Open {
        let mut child = self.psql(database).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mark = format!("drtui-open-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        write!(input, "SET application_name = '{mark}';\nBEGIN;\n{script};\nSELECT 'begun';\n").unwrap();
        input.flush().unwrap();
        let begun = format!(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '{mark}' \
             AND state = 'idle in transaction' AND query LIKE '%begun%'"
        );
        self.until(database, &begun);
        Open { child, input }
    }

    /// Everything that was written so far lies in the archive.
    fn archived(&self) {
        let last = self.ask("postgres", "SELECT pg_walfile_name(pg_switch_wal())");
        self.until(
            "postgres",
            &format!("SELECT coalesce(last_archived_wal, '') >= '{last}' FROM pg_stat_archiver"),
        );
    }
}

fn folder(name: &str) -> PathBuf {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(std::env::var("DRTUI_PAIR_DIR").unwrap_or_else(|_| "/var/tmp".into()))
        .join(format!("drtui-pair-{name}-{}-{number}", std::process::id()))
}

/// A script at work.
pub struct Running {
    child: Child,
}

impl Running {
    /// Ends it; what it printed.
    pub fn output(mut self) -> String {
        let _ = self.child.kill();
        String::from_utf8(self.child.wait_with_output().unwrap().stdout).unwrap()
    }

    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An open transaction.
pub struct Open {
    child: Child,
    input: std::process::ChildStdin,
}

impl Open {
    pub fn commit(mut self) {
        self.input.write_all(b"COMMIT;\n").unwrap();
        drop(self.input);
        assert!(self.child.wait().unwrap().success(), "the open transaction failed");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The newest installed PostgreSQL.
fn bin() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok()).max();
    match newest {
        Some(version) => PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")),
        None => {
            let output =
                Command::new("pg_config").arg("--bindir").output().expect("PostgreSQL is not installed");
            PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
        }
    }
}
