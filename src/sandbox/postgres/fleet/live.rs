//! How the service's own server comes to be: filled, if wanted with a past that its log really holds, and started.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::backup::{self, Base};
use super::book::Entry;
use super::server::Lifecycle;
use super::{LIVE, Servers};
use crate::sandbox::Say;
use crate::sandbox::postgres::cluster::{self, Cluster};
use crate::sandbox::postgres::connect::Access;
use crate::sandbox::postgres::fake_clock::{self, FakeClock};
use crate::sandbox::postgres::postmaster::Postmaster;
use crate::sandbox::postgres::seed::{self, Recipe};
use crate::sandbox::postgres::{Credentials, PostgresError, version};

/// Nothing is done at its own time while hours pass in moments, and nothing by processes that may have the true time. What
/// is to be archived waits for the present: each command would leave shared memory of libfaketime's behind.
const IN_THE_PAST: &[&str] =
    &["autovacuum=off", "archive_command=", "archive_timeout=0", "checkpoint_timeout=1d"];

/// The service's server while it is made: its files are there, nothing runs.
#[derive(Debug)]
pub struct Loaded {
    cluster: Cluster,
    port: u16,
    created: DateTime<Utc>,
    base: Option<Base>,
}

/// The service's server while its clock is behind. Its base backup is taken.
#[derive(Debug)]
pub struct Past {
    /// Runs forward only.
    pub clock: FakeClock,
    /// The service's way in.
    pub access: Access,
    postmaster: Postmaster,
}

impl Servers {
    /// Makes the service's server, fills it and starts it; its base backup is taken in the background.
    ///
    /// # Errors
    /// PostgreSQL is missing, cannot be started or refuses the rows.
    pub async fn start_live(&self, recipe: &Recipe, say: &Say) -> Result<Access, PostgresError> {
        let loaded = self.load_live(recipe, say).await?;
        self.run_live(loaded, say).await
    }

    /// Makes the service's server and fills it.
    ///
    /// # Errors
    /// PostgreSQL is missing, cannot be started or refuses the rows.
    pub async fn load_live(&self, recipe: &Recipe, say: &Say) -> Result<Loaded, PostgresError> {
        let inner = &self.inner;
        let created = Utc::now();
        let (binaries, _) = inner.tools()?;
        say(&format!("initialising PostgreSQL {}", binaries.major));
        let port = inner.book().port_of(LIVE)?;
        let cluster = inner.new_cluster("live", LIVE).await?;
        say("filling the database");
        let loading = Postmaster::start(&cluster, port, cluster::FOR_LOADING).await?;
        let service = inner.templates.0.with_port(port);
        let admin = inner.templates.1.with_port(port);
        let Credentials { user, password } = &inner.credentials;
        seed::create_database(&admin.in_database("postgres"), user, password).await?;
        seed::fill(&service, recipe).await?;
        loading.stop().await?;
        Ok(Loaded { cluster, port, created, base: None })
    }

    /// Starts it with its clock `by` behind and takes its base backup: from then on it can be restored.
    ///
    /// # Errors
    /// libfaketime is missing, or the server cannot be started or copied.
    pub async fn begin_past(&self, loaded: &mut Loaded, by: TimeDelta) -> Result<Past, PostgresError> {
        let Loaded { cluster, port, .. } = loaded;
        let clock = FakeClock::new(&self.inner.folder.join("live-clock"), cluster.owner, by)?;
        let postmaster = Postmaster::start_under(&clock, cluster, *port, IN_THE_PAST).await?;
        let admin = self.inner.templates.1.with_port(*port);
        let place = self.inner.base_folder("live", "");
        loaded.base = Some(backup::take(&self.inner.copier, cluster, &admin, &place).await?);
        loaded.created -= by;
        Ok(Past { clock, access: self.inner.templates.0.with_port(*port), postmaster })
    }

    /// Stops it in the past, so that it can be started in the present.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn end_past(&self, past: Past) -> Result<(), PostgresError> {
        let pid = past.postmaster.pid();
        let stopped = past.postmaster.stop().await;
        fake_clock::clear_up(pid);
        stopped
    }

    /// Starts it; its base backup is taken in the background if there is none.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run_live(&self, loaded: Loaded, say: &Say) -> Result<Access, PostgresError> {
        let inner = &self.inner;
        let Loaded { cluster, port, created, base } = loaded;
        say("starting PostgreSQL");
        let postmaster = Postmaster::start(&cluster, port, &[]).await?;
        let admin = inner.templates.1.with_port(port);
        let version = version(&admin.connect("drtui sandbox").await?).await?;
        let mut entry = Entry::new(LIVE, port, created, "live");
        entry.server.version = version;
        entry.server.state = Lifecycle::Ready;
        entry.server.earliest_restore = base.as_ref().map(|base| base.complete);
        entry.base = base.map(Arc::new);
        entry.runs(cluster, postmaster);
        inner.book().put(entry);
        inner.tell();
        self.begin_base_backup(LIVE);
        Ok(inner.templates.0.with_port(port))
    }
}
