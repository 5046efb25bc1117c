//! What operations really do, each in a task of its own, and how they end.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::backup::{self, Base};
use super::book::{Book, Entry};
use super::server::{Failure, Kind, Lifecycle, Operation, OperationId, Shape};
use super::{Inner, Servers};
use crate::sandbox::azure::guid;
use crate::sandbox::postgres::cluster::{Cluster, Recovery};
use crate::sandbox::postgres::postmaster::Postmaster;
use crate::sandbox::postgres::{PostgresError, seed, version};

/// What PostgreSQL says when the log ends before the wanted time: then its end is what was there at that time.
const TOO_SHORT: &str = "recovery ended before configured recovery target was reached";

/// What a restore is made from.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    base: Option<Arc<Base>>,
    cluster: Option<Cluster>,
    /// `None`: to the end of what there is.
    until: Option<DateTime<Utc>>,
    is_running: bool,
    shape: Shape,
    version: (u32, u32),
}

/// The real work of an operation.
#[derive(Debug)]
pub(super) enum Job {
    Create,
    Restore(Box<Source>),
    Update { back: Lifecycle },
    Drop,
    Start,
    Stop,
    Restart,
    Backup { name: String },
}

impl Job {
    pub fn restore(from: &Entry, until: Option<DateTime<Utc>>) -> Job {
        Job::Restore(Box::new(Source {
            name: from.server.name.clone(),
            base: from.base.clone(),
            cluster: from.cluster.clone(),
            until,
            is_running: from.server.dropped.is_none()
                && from.postmaster.as_ref().is_some_and(Postmaster::is_alive),
            shape: from.server.shape.clone(),
            version: from.server.version,
        }))
    }

    pub fn shape(&self) -> Shape {
        if let Job::Restore(source) = self { source.shape.clone() } else { Shape::default() }
    }

    pub fn version(&self) -> (u32, u32) {
        if let Job::Restore(source) = self { source.version } else { (0, 0) }
    }
}

/// What an operation found out that it cannot do.
fn failure(error: &PostgresError) -> Failure {
    Failure { code: "InternalServerError", message: format!("An unexpected error occured: {error}") }
}

fn lost() -> PostgresError {
    PostgresError::Start { why: "nothing stands behind this server".into() }
}

impl Inner {
    /// Registers an operation and begins it; takes the book so that nobody comes in between.
    pub(super) fn begin(
        self: &Arc<Self>,
        mut book: MutexGuard<'_, Book>,
        kind: Kind,
        name: &str,
        job: Job,
    ) -> OperationId {
        let name = book.get(name).map_or_else(|| name.to_owned(), |e| e.server.name.clone());
        let id = guid();
        book.remember(Operation {
            id: id.clone(),
            kind,
            server: name.clone(),
            started: Utc::now(),
            ended: None,
        });
        drop(book);
        self.tell();
        let (inner, operation) = (Arc::clone(self), id.clone());
        self.spawn(async move { inner.perform(operation, kind, name, job).await });
        id
    }

    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    async fn perform(self: Arc<Self>, id: OperationId, kind: Kind, name: String, job: Job) {
        let least = tokio::time::Instant::now() + self.rules.tempo.extra(kind);
        let makes = matches!(job, Job::Create | Job::Restore(_));
        let drops = matches!(job, Job::Drop);
        let outcome = self.work(&name, job).await;
        tokio::time::sleep_until(least).await;
        let mut book = self.book();
        match &outcome {
            Err(error) => {
                tracing::warn!(server = name, %error, "a server operation failed");
                if makes {
                    // What could not be made is not there.
                    let gone = book.remove(&name);
                    gone.into_iter().for_each(|entry| self.remove_files(&entry.server.folder));
                } else if let Some(entry) = book.get_mut(&name) {
                    let alive = entry.postmaster.as_ref().is_some_and(Postmaster::is_alive);
                    entry.server.state = if alive { Lifecycle::Ready } else { Lifecycle::Stopped };
                }
            }
            Ok(state) if drops => {
                let _ = state;
                if let Some(mut entry) = book.remove(&name) {
                    entry.server.dropped = Some(Utc::now());
                    book.dropped.push(entry);
                }
            }
            Ok(state) => {
                if let Some(entry) = book.get_mut(&name) {
                    entry.server.state = *state;
                }
            }
        }
        let has_base = book.get(&name).is_some_and(|e| e.base.is_some());
        if let Some(operation) = book.operations.iter_mut().find(|o| o.id == id) {
            let ended = outcome.as_ref().map(drop).map_err(failure);
            operation.ended = Some((Utc::now(), ended));
        }
        drop(book);
        self.tell();
        if outcome.is_ok() && (makes || matches!(kind, Kind::Start | Kind::Restart)) && !has_base {
            Servers { inner: self }.begin_base_backup(&name);
        }
    }

    /// The real work; gives the state that it leads to.
    async fn work(self: &Arc<Self>, name: &str, job: Job) -> Result<Lifecycle, PostgresError> {
        match job {
            Job::Create => self.create(name).await?,
            Job::Restore(source) => self.restore(name, *source).await?,
            Job::Update { back } => return Ok(back),
            Job::Backup { name: backup } => {
                if let Some(entry) = self.book().get_mut(name) {
                    entry.server.backups.push((backup, Utc::now()));
                }
            }
            Job::Start => self.run(name).await?,
            Job::Restart => {
                self.halt(name).await?;
                self.run(name).await?;
            }
            Job::Stop | Job::Drop => {
                self.halt(name).await?;
                return Ok(Lifecycle::Stopped);
            }
        }
        Ok(Lifecycle::Ready)
    }

    fn folder_of(&self, name: &str) -> Option<(String, u16)> {
        self.book().get(name).map(|e| (e.server.folder.clone(), e.server.port))
    }

    /// Puts what runs into the book; if the server is gone meanwhile, it is ended.
    async fn running(
        &self,
        name: &str,
        cluster: Cluster,
        postmaster: Postmaster,
    ) -> Result<(), PostgresError> {
        let late = {
            let mut book = self.book();
            match book.get_mut(name) {
                Some(entry) => {
                    entry.runs(cluster, postmaster);
                    None
                }
                None => Some(postmaster),
            }
        };
        if let Some(postmaster) = late {
            postmaster.end_now().await;
            return Err(lost());
        }
        self.tell();
        Ok(())
    }

    async fn create(&self, name: &str) -> Result<(), PostgresError> {
        let (folder, port) = self.folder_of(name).ok_or_else(lost)?;
        let cluster = self.new_cluster(&folder, name).await?;
        let postmaster = Postmaster::start(&cluster, port, &[]).await?;
        let admin = self.templates.1.with_port(port).in_database("postgres");
        let credentials = &self.credentials;
        seed::create_database(&admin, &credentials.user, &credentials.password).await?;
        let version = version(&admin.connect("drtui sandbox").await?).await?;
        if let Some(entry) = self.book().get_mut(name) {
            entry.server.version = version;
        }
        self.running(name, cluster, postmaster).await
    }

    async fn restore(&self, name: &str, source: Source) -> Result<(), PostgresError> {
        let (folder, port) = self.folder_of(name).ok_or_else(lost)?;
        let (Some(base), Some(from)) = (source.base, source.cluster) else { return Err(lost()) };
        let _not_replaced = base.in_use.read().await;
        if source.is_running {
            let port = self.book().get(&source.name).map(|e| e.server.port).ok_or_else(lost)?;
            backup::archive_until_now(&from, &self.templates.1.with_port(port)).await?;
        }
        let cluster = from.sibling(&self.folder, &folder);
        self.copier.copy_whole(&base.path, &cluster.data, cluster.owner).await?;
        let mut recovery = Recovery {
            archive: from.archive.clone(),
            // What a server that crashed had not filed yet lies in its own folder.
            log: (!source.is_running).then(|| from.data.join("pg_wal")),
            until: source.until,
        };
        let host = format!("{name}{}", super::DOMAIN);
        cluster.configure(&host, &self.authority, Some(&recovery))?;
        let postmaster = match Postmaster::start(&cluster, port, &[]).await {
            Err(PostgresError::Start { why }) if why.contains(TOO_SHORT) => {
                recovery.until = None;
                cluster.configure(&host, &self.authority, Some(&recovery))?;
                Postmaster::start(&cluster, port, &[]).await?
            }
            started => started?,
        };
        cluster.configure(&host, &self.authority, None)?;
        postmaster.reload();
        self.running(name, cluster, postmaster).await
    }

    async fn run(&self, name: &str) -> Result<(), PostgresError> {
        let (cluster, port) = {
            let book = self.book();
            let entry = book.get(name).ok_or_else(lost)?;
            (entry.cluster.clone().ok_or_else(lost)?, entry.server.port)
        };
        let postmaster = Postmaster::start(&cluster, port, &[]).await?;
        self.running(name, cluster, postmaster).await
    }

    async fn halt(&self, name: &str) -> Result<(), PostgresError> {
        let (postmaster, admin) = {
            let mut book = self.book();
            let Some(entry) = book.get_mut(name) else { return Err(lost()) };
            (entry.postmaster.take(), self.templates.1.with_port(entry.server.port))
        };
        self.tell();
        let Some(postmaster) = postmaster else { return Ok(()) };
        if postmaster.is_alive() {
            // So that any time up to now can be restored from what it leaves.
            if let Ok(client) = admin.connect("drtui sandbox").await {
                let _ = client.query_one("SELECT pg_current_xact_id()::text", &[]).await;
            }
        }
        postmaster.stop().await
    }

    /// Removes what a server had on disk.
    pub(super) fn remove_files(&self, folder: &str) {
        if folder.is_empty() {
            return;
        }
        for name in ["", "-conf", "-archive", "-base", "-base-new"] {
            let _ = std::fs::remove_dir_all(self.folder.join(format!("{folder}{name}")));
        }
        let _ = std::fs::remove_file(self.folder.join(format!("{folder}.log")));
    }

    pub(super) fn base_folder(&self, folder: &str, suffix: &str) -> PathBuf {
        self.folder.join(format!("{folder}-base{suffix}"))
    }

    async fn take_base(&self, name: &str) -> Result<(), PostgresError> {
        let (cluster, port, folder) = {
            let book = self.book();
            let entry = book.get(name).ok_or_else(lost)?;
            (entry.cluster.clone().ok_or_else(lost)?, entry.server.port, entry.server.folder.clone())
        };
        let path = self.base_folder(&folder, "");
        let _one = self.backing_up.lock().await;
        // One that broke off, because the server was stopped meanwhile, may lie there.
        let _ = std::fs::remove_dir_all(&path);
        let base = backup::take(&self.copier, &cluster, &self.templates.1.with_port(port), &path).await?;
        let mut book = self.book();
        if let Some(entry) = book.get_mut(name).filter(|e| e.server.folder == folder) {
            entry.server.earliest_restore = Some(base.complete);
            entry.base = Some(Arc::new(base));
        }
        drop(book);
        self.tell();
        Ok(())
    }

    /// Keeps the archive bounded: past its limit a new base backup takes the old one's place, and the window begins
    /// later. Ends when the server is gone.
    async fn bound_archive(&self, name: &str, folder: &str) {
        let mut look = tokio::time::interval(self.rules.archive_look);
        loop {
            look.tick().await;
            let (cluster, base, port) = {
                let book = self.book();
                let Some(entry) = book.get(name).filter(|e| e.server.folder == folder) else { return };
                if entry.server.state != Lifecycle::Ready {
                    continue;
                }
                (entry.cluster.clone(), entry.base.clone(), entry.server.port)
            };
            let (Some(cluster), Some(old)) = (cluster, base) else { continue };
            if backup::size(&cluster.archive) <= self.rules.archive_most {
                continue;
            }
            let _alone = old.in_use.write().await;
            let new = self.base_folder(folder, "-new");
            let _ = std::fs::remove_dir_all(&new);
            match backup::take(&self.copier, &cluster, &self.templates.1.with_port(port), &new).await {
                Err(error) => tracing::warn!(server = name, %error, "cannot renew the base backup"),
                Ok(mut base) => {
                    let place = self.base_folder(folder, "");
                    let _ = std::fs::remove_dir_all(&place);
                    if std::fs::rename(&new, &place).is_ok() {
                        base.path = place;
                    }
                    backup::prune(&cluster.archive, &base.first_segment);
                    if let Some(entry) = self.book().get_mut(name).filter(|e| e.server.folder == folder) {
                        entry.server.earliest_restore = Some(base.complete);
                        entry.base = Some(Arc::new(base));
                    }
                    self.tell();
                }
            }
        }
    }
}

impl Servers {
    /// Takes a server's first base backup in the background if it has none, and keeps its archive bounded from then on.
    pub(super) fn begin_base_backup(&self, name: &str) {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        self.inner.spawn(async move {
            let Some((folder, _)) = inner.folder_of(&name) else { return };
            let has_base = inner.book().get(&name).is_some_and(|e| e.base.is_some());
            let taken = if has_base { Ok(()) } else { inner.take_base(&name).await };
            match taken {
                Ok(()) => inner.bound_archive(&name, &folder).await,
                Err(error) => tracing::warn!(server = name, %error, "cannot take the first base backup"),
            }
        });
    }
}
