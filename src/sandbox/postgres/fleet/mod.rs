//! The flexible servers of one sandbox, by name: real PostgreSQL servers that are restored to a point in time, dropped,
//! revived, started and stopped. Azure and the recovery workflows both act through this.

mod backup;
mod book;
mod change;
mod jobs;
mod live;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::live::{Loaded, Past};
pub use self::server::{Failure, Kind, Lifecycle, Operation, OperationId, Refusal, Server, Shape, Tempo};

use self::backup::Copier;
use self::book::{Book, Entry};
use super::binaries::Binaries;
use super::cluster::Cluster;
use super::connect::Access;
use super::owner::Owner;
use super::postmaster::Postmaster;
use super::{ADMIN, Credentials, DATABASE, PostgresError, plain};
use crate::sandbox::certs::Authority;

/// What the service's server is called.
pub const LIVE: &str = "s189p01-rsm-pd-pg";
/// What follows a server's name in its address.
pub const DOMAIN: &str = ".postgres.database.azure.com";
/// Servers at once, deleted ones included: each holds up to two copies of the database on disk.
pub const MOST_SERVERS: usize = 10;

/// How the fleet behaves.
#[derive(Debug, Clone)]
pub struct Rules {
    pub tempo: Tempo,
    /// The newest restorable time is this long ago.
    pub lag: TimeDelta,
    /// A dropped server can be revived for this long.
    pub kept: TimeDelta,
    /// An archive of more bytes makes a new base backup, and what is older is removed.
    pub archive_most: u64,
    /// How often its size is looked at.
    pub archive_look: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            tempo: Tempo::Short,
            lag: TimeDelta::seconds(5),
            kept: TimeDelta::days(5),
            archive_most: 1 << 30,
            archive_look: Duration::from_secs(60),
        }
    }
}

/// All servers; clones are the same.
#[derive(Debug, Clone)]
pub struct Servers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    authority: Arc<Authority>,
    credentials: Credentials,
    admin_password: SecretString,
    rules: Rules,
    /// Ways in without a port: the service's and the superuser's.
    templates: (Access, Access),
    tools: OnceLock<(Binaries, Owner)>,
    book: Mutex<Book>,
    changed: watch::Sender<u64>,
    tasks: Mutex<JoinSet<()>>,
    /// First base backups are taken one at a time.
    backing_up: tokio::sync::Mutex<()>,
    copier: Copier,
}

impl Servers {
    /// A fleet without servers; clusters will lie below `folder`.
    ///
    /// # Errors
    /// The authority's certificate cannot be used.
    pub fn new(
        folder: &Path,
        authority: Arc<Authority>,
        credentials: Credentials,
        rules: Rules,
    ) -> Result<Servers, PostgresError> {
        let admin_password = SecretString::from(plain(24));
        let service = Access::new(0, &credentials.user, credentials.password.clone(), DATABASE, &authority)?;
        let admin = Access::new(0, ADMIN, admin_password.clone(), DATABASE, &authority)?;
        let inner = Inner {
            folder: folder.to_path_buf(),
            authority,
            credentials,
            admin_password,
            rules,
            templates: (service, admin),
            tools: OnceLock::new(),
            book: Mutex::default(),
            changed: watch::Sender::new(0),
            tasks: Mutex::default(),
            backing_up: tokio::sync::Mutex::default(),
            copier: Copier::default(),
        };
        Ok(Servers { inner: Arc::new(inner) })
    }

    /// Puts a server into the list that no PostgreSQL stands behind: it can be seen, and nothing can be done to it but
    /// dropping it; for tests of clients, and for copies that nobody opens.
    ///
    /// # Errors
    /// No port is free.
    pub fn put_on_paper(
        &self,
        name: &str,
        state: Lifecycle,
        version: (u32, u32),
        created: DateTime<Utc>,
    ) -> Result<(), PostgresError> {
        let mut book = self.inner.book();
        let port = book.port_of(name)?;
        let mut entry = Entry::new(name, port, created, "");
        entry.server.state = state;
        entry.server.version = version;
        entry.server.earliest_restore = Some(created);
        book.put(entry);
        drop(book);
        self.inner.tell();
        Ok(())
    }

    /// The servers that exist, by name.
    pub fn list(&self) -> Vec<Server> {
        self.inner.book().entries.values().map(|e| e.server.clone()).collect()
    }

    /// One server, whatever the name's case.
    pub fn get(&self, name: &str) -> Option<Server> {
        self.inner.book().get(name).map(|e| e.server.clone())
    }

    /// Dropped servers that can still be revived, newest last.
    pub fn dropped(&self) -> Vec<Server> {
        let mut book = self.inner.book();
        self.inner.forget_old(&mut book);
        book.dropped.iter().map(|e| e.server.clone()).collect()
    }

    /// The service's way into the server's database [`DATABASE`].
    pub fn access(&self, name: &str) -> Option<Access> {
        self.get(name).map(|server| self.inner.templates.0.with_port(server.port))
    }

    /// The superuser's way in.
    pub fn admin(&self, name: &str) -> Option<Access> {
        self.get(name).map(|server| self.inner.templates.1.with_port(server.port))
    }

    /// The service's user and password, the same on every server.
    pub fn credentials(&self) -> &Credentials {
        &self.inner.credentials
    }

    /// Where `<name>.postgres.database.azure.com` is reached: what the name servers inside the cluster would say.
    /// `None` for names that are none of a server, and while it is being made.
    pub fn resolve(&self, host: &str) -> Option<SocketAddr> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let server = self.get(host.strip_suffix(DOMAIN)?)?;
        (server.state != Lifecycle::Provisioning)
            .then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, server.port)))
    }

    /// Process id of a running server, and what becomes true when it ends.
    pub fn process(&self, name: &str) -> Option<(i32, watch::Receiver<bool>)> {
        let book = self.inner.book();
        let postmaster = book.get(name)?.postmaster.as_ref()?;
        Some((postmaster.pid(), postmaster.exited()))
    }

    /// Full path of one of PostgreSQL's programs, `pg_dump` for instance.
    ///
    /// # Errors
    /// PostgreSQL is not installed.
    pub fn program(&self, name: &str) -> Result<PathBuf, PostgresError> {
        Ok(self.inner.tools()?.0.program(name))
    }

    /// Changes at every change of any server or operation.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// How the fleet behaves.
    pub fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    /// An operation, for as long as it is remembered.
    pub fn operation(&self, id: &str) -> Option<Operation> {
        self.inner.book().operations.iter().find(|o| o.id == id).cloned()
    }

    /// All remembered operations, oldest first.
    pub fn operations(&self) -> Vec<Operation> {
        self.inner.book().operations.iter().cloned().collect()
    }

    /// Waits for an operation's end.
    ///
    /// # Errors
    /// The operation failed, or nobody remembers it.
    pub async fn wait(&self, id: &str) -> Result<(), Failure> {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            match self.operation(id) {
                Some(Operation { ended: Some((_, outcome)), .. }) => return outcome,
                Some(_) => {}
                None => {
                    let message = format!("no operation {id} is remembered");
                    return Err(Failure { code: "OperationNotFound", message });
                }
            }
            if changes.changed().await.is_err() {
                return Err(Failure { code: "Canceled", message: "the sandbox ends".into() });
            }
        }
    }

    /// Waits until the server `name` has its base backup, at most `limit`; false if it has none then.
    pub async fn restorable(&self, name: &str, limit: Duration) -> bool {
        let mut changes = self.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if self.get(name).is_some_and(|s| s.earliest_restore.is_some()) {
                    return true;
                }
                if changes.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(limit, waiting).await.unwrap_or(false)
    }

    /// Ends every server and every operation, at once: nothing of them is needed any more.
    pub async fn end(&self) {
        let mut tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        self.inner.copier.end().await;
        let running: Vec<Postmaster> = {
            let mut book = self.inner.book();
            book.entries.values_mut().filter_map(|entry| entry.postmaster.take()).collect()
        };
        futures::future::join_all(running.into_iter().map(Postmaster::end_now)).await;
    }
}

fn not_found(name: &str) -> Refusal {
    Refusal::NotFound { name: name.to_owned() }
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    fn tools(&self) -> Result<&(Binaries, Owner), PostgresError> {
        if let Some(tools) = self.tools.get() {
            return Ok(tools);
        }
        let found = (Binaries::find()?, Owner::find()?);
        Ok(self.tools.get_or_init(|| found))
    }

    async fn new_cluster(&self, folder: &str, name: &str) -> Result<Cluster, PostgresError> {
        let (binaries, owner) = self.tools()?;
        let host = format!("{name}{DOMAIN}");
        Cluster::create(binaries, *owner, &self.folder, folder, &host, &self.authority, &self.admin_password)
            .await
    }
}
