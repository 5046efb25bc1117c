//! What can be asked of the servers, and when it is refused; the work is done in the background.

use chrono::{DateTime, Utc};

use super::jobs::Job;
use super::server::{Kind, Lifecycle, OperationId, Refusal, Server};
use super::{Servers, not_found};

impl Servers {
    /// Begins to make `name` from `source` as it was at `time` (real time, UTC).
    ///
    /// # Errors
    /// There is no such source, the time is outside its window, or the name is taken.
    pub fn point_in_time_restore(
        &self,
        source: &str,
        time: DateTime<Utc>,
        name: &str,
        tags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<OperationId, Refusal> {
        let latest = Utc::now() - self.inner.rules.lag;
        self.restore(source, time, latest, name, tags)
    }

    /// Begins to make `name` from `source` as it is now, however young its backup is: for what was there before anybody
    /// looked.
    ///
    /// # Errors
    /// There is no such source, it has no backup, or the name is taken.
    pub fn copy_now(&self, source: &str, name: &str) -> Result<OperationId, Refusal> {
        let now = Utc::now();
        self.restore(source, now, now, name, [])
    }

    fn restore(
        &self,
        source: &str,
        time: DateTime<Utc>,
        latest: DateTime<Utc>,
        name: &str,
        tags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<OperationId, Refusal> {
        let mut book = self.inner.book();
        let from = book.get(source).ok_or_else(|| not_found(source))?;
        let earliest = from.server.earliest_restore;
        if from.base.is_none() || time > latest || earliest.is_none_or(|earliest| time < earliest) {
            let name = source.to_owned();
            return Err(Refusal::OutsideWindow { name, point: time, earliest, latest });
        }
        let job = Job::restore(from, Some(time));
        let mut entry = self.inner.room_for(&mut book, name)?;
        entry.server.tags = tags.into_iter().collect();
        entry.server.version = job.version();
        entry.server.shape = job.shape();
        book.put(entry);
        Ok(self.inner.begin(book, Kind::PointInTimeRestore, name, job))
    }

    /// Begins to bring a dropped server back as `name`, as it was at `time` (real time, UTC), or at its end if that is
    /// later.
    ///
    /// # Errors
    /// No such server was dropped within the five days, the time is before its first backup or in the future, or the
    /// name is taken.
    pub fn revive(&self, name: &str, source: &str, time: DateTime<Utc>) -> Result<OperationId, Refusal> {
        let mut book = self.inner.book();
        self.inner.forget_old(&mut book);
        let from = book.last_dropped(source).ok_or_else(|| Refusal::Gone { name: source.to_owned() })?;
        let (earliest, latest) = (from.server.earliest_restore, Utc::now());
        if from.base.is_none() || time > latest || earliest.is_none_or(|earliest| time < earliest) {
            let name = source.to_owned();
            return Err(Refusal::OutsideWindow { name, point: time, earliest, latest });
        }
        let until = from.server.dropped.filter(|dropped| time < *dropped).map(|_| time);
        let job = Job::restore(from, until);
        let tags = from.server.tags.clone();
        let mut entry = self.inner.room_for(&mut book, name)?;
        entry.server.tags = tags;
        entry.server.version = job.version();
        entry.server.shape = job.shape();
        book.put(entry);
        Ok(self.inner.begin(book, Kind::Revive, name, job))
    }

    /// Begins to make a new server with the service's user and an empty database, as terraform does.
    ///
    /// # Errors
    /// The name is taken or none.
    pub fn create_empty(
        &self,
        name: &str,
        tags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<OperationId, Refusal> {
        let mut book = self.inner.book();
        let mut entry = self.inner.room_for(&mut book, name)?;
        entry.server.tags = tags.into_iter().collect();
        book.put(entry);
        Ok(self.inner.begin(book, Kind::Create, name, Job::Create))
    }

    /// Begins to drop a server: it stops, and is kept for a revival.
    ///
    /// # Errors
    /// There is none, or it is busy.
    pub fn drop_server(&self, name: &str) -> Result<OperationId, Refusal> {
        self.change(name, Kind::Drop, Lifecycle::Dropping, None, Job::Drop)
    }

    /// # Errors
    /// There is no such server, it is busy, or it is not stopped.
    pub fn start(&self, name: &str) -> Result<OperationId, Refusal> {
        self.change(name, Kind::Start, Lifecycle::Starting, Some((Lifecycle::Stopped, "stopped")), Job::Start)
    }

    /// # Errors
    /// There is no such server, it is busy, or it is not ready.
    pub fn stop(&self, name: &str) -> Result<OperationId, Refusal> {
        self.change(name, Kind::Stop, Lifecycle::Stopping, Some((Lifecycle::Ready, "ready")), Job::Stop)
    }

    /// # Errors
    /// There is no such server, it is busy, or it is not ready.
    pub fn restart(&self, name: &str) -> Result<OperationId, Refusal> {
        let ready = Some((Lifecycle::Ready, "ready"));
        self.change(name, Kind::Restart, Lifecycle::Restarting, ready, Job::Restart)
    }

    /// Begins an update: `edit` changes tags and shape at once, the state tells of it until it ends.
    ///
    /// # Errors
    /// There is no such server, or it is busy.
    pub fn update(&self, name: &str, edit: impl FnOnce(&mut Server)) -> Result<OperationId, Refusal> {
        let mut book = self.inner.book();
        let entry = book.settled(name)?;
        let back = entry.server.state;
        edit(&mut entry.server);
        entry.server.state = Lifecycle::Updating;
        Ok(self.inner.begin(book, Kind::Update, name, Job::Update { back }))
    }

    /// Begins a backup on demand called `backup`.
    ///
    /// # Errors
    /// There is no such server, or it is not ready.
    pub fn back_up(&self, name: &str, backup: &str) -> Result<OperationId, Refusal> {
        let mut book = self.inner.book();
        let entry = book.settled(name)?;
        if entry.server.state != Lifecycle::Ready {
            let (name, state) = (name.to_owned(), entry.server.state);
            return Err(Refusal::WrongState { name, state, wanted: "ready" });
        }
        let job = Job::Backup { name: backup.to_owned() };
        Ok(self.inner.begin(book, Kind::Backup, name, job))
    }

    /// Forgets a backup on demand; false if there is none.
    pub fn forget_backup(&self, name: &str, backup: &str) -> bool {
        let mut book = self.inner.book();
        let Some(entry) = book.get_mut(name) else { return false };
        let before = entry.server.backups.len();
        entry.server.backups.retain(|(known, _)| !known.eq_ignore_ascii_case(backup));
        entry.server.backups.len() < before
    }

    fn change(
        &self,
        name: &str,
        kind: Kind,
        meanwhile: Lifecycle,
        wanted: Option<(Lifecycle, &'static str)>,
        job: Job,
    ) -> Result<OperationId, Refusal> {
        let mut book = self.inner.book();
        let entry = book.settled(name)?;
        if let Some((state, wanted)) = wanted.filter(|(state, _)| *state != entry.server.state) {
            let _ = state;
            let (name, state) = (name.to_owned(), entry.server.state);
            return Err(Refusal::WrongState { name, state, wanted });
        }
        entry.server.state = meanwhile;
        Ok(self.inner.begin(book, kind, name, job))
    }
}
