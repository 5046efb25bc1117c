//! Measures every running PostgreSQL every ten seconds and keeps an hour of minutes. What cannot be measured is left out.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Timelike, Utc};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::servers::{MEMORY_BYTES, STORAGE_GB, VCPUS};
use crate::sandbox::postgres::connect::Access;
use crate::sandbox::postgres::fleet::{Server, Servers};
use crate::sandbox::postgres::usage::{self, Usage};
use crate::sandbox::serve::{Stop, stopped};

const EVERY: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(2);
/// Two samples closer than this are one: CPU over a shorter time means nothing.
const SHORTEST: Duration = Duration::from_millis(900);
/// Minutes kept: an hour, and the one that is running.
const KEPT: usize = 61;

const QUESTION: &str = "
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
       (SELECT sum(pg_database_size(oid)) FROM pg_database)::bigint,
       (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir())::bigint,
       (SELECT max(age(datfrozenxid)) FROM pg_database)::bigint";

/// A minute of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Points {
    pub count: u32,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
}

impl Points {
    fn of(value: f64) -> Points {
        Points { count: 1, sum: value, min: value, max: value }
    }

    /// Both together.
    pub fn with(self, other: Points) -> Points {
        Points {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    pub fn average(self) -> f64 {
        self.sum / f64::from(self.count.max(1))
    }
}

/// One minute of all metrics, by Azure's metric id.
#[derive(Debug, Clone)]
pub struct Minute {
    pub at: DateTime<Utc>,
    pub metrics: BTreeMap<&'static str, Points>,
}

/// The measurements of one server.
#[derive(Debug)]
pub struct Monitor {
    access: Access,
    /// The process that runs it, and what becomes true when that ends.
    process: Mutex<(i32, watch::Receiver<bool>)>,
    minutes: Mutex<VecDeque<Minute>>,
    /// Held while measuring: the open connection and the previous reading.
    probe: tokio::sync::Mutex<Probe>,
}

#[derive(Default)]
struct Probe {
    client: Option<Client>,
    before: Option<(Instant, Option<Usage>)>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("before", &self.before).finish_non_exhaustive()
    }
}

impl Monitor {
    /// Measures the server with the postmaster `pid`, which `exited` tells the end of, asking it as `access`.
    pub fn new(access: Access, pid: i32, exited: watch::Receiver<bool>) -> Monitor {
        let process = Mutex::new((pid, exited));
        Monitor { access, process, minutes: Mutex::default(), probe: tokio::sync::Mutex::default() }
    }

    /// The server runs in another process now.
    fn follow(&self, pid: i32, exited: watch::Receiver<bool>) {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = (pid, exited);
    }

    /// Measures every ten seconds until `stop`.
    pub async fn run(&self, mut stop: Stop) {
        let mut every = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                _ = every.tick() => self.measure().await,
            }
        }
    }

    /// The minutes known, oldest first, the running one measured afresh.
    pub async fn minutes(&self) -> Vec<Minute> {
        self.measure().await;
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    async fn measure(&self) {
        let mut probe = self.probe.lock().await;
        if probe.before.is_some_and(|(at, _)| at.elapsed() < SHORTEST) {
            return;
        }
        let mut values = BTreeMap::new();
        let (pid, alive) = {
            let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            (process.0, !*process.1.borrow())
        };
        let now = (Instant::now(), usage::read(pid).filter(|_| alive));
        used(probe.before, now, &mut values);
        probe.before = Some(now);
        let asked =
            if alive { timeout(PATIENCE, self.ask(&mut probe.client)).await.ok().flatten() } else { None };
        values.insert("is_db_alive", f64::from(u8::from(asked.is_some())));
        if let Some([connections, databases, wal, age]) = asked {
            stored(databases, wal, &mut values);
            values.insert("active_connections", connections);
            values.insert("maximum_used_transactionIDs", age);
        } else {
            probe.client = None;
        }
        self.keep(Utc::now(), &values);
    }

    /// Client connections but our own, bytes of databases, bytes of write-ahead log, oldest transaction age.
    async fn ask(&self, client: &mut Option<Client>) -> Option<[f64; 4]> {
        if client.as_ref().is_none_or(Client::is_closed) {
            *client = self.access.connect("drtui sandbox monitor").await.ok();
        }
        let row = client.as_ref()?.query_one(QUESTION, &[]).await.ok()?;
        #[expect(clippy::cast_precision_loss, reason = "counts and sizes far below 2^52")]
        let number = |index: usize| row.try_get::<_, i64>(index).map(|n| n as f64).ok();
        Some([number(0)?, number(1)?, number(2)?, number(3)?])
    }

    fn keep(&self, now: DateTime<Utc>, values: &BTreeMap<&'static str, f64>) {
        let at = now.with_second(0).and_then(|t| t.with_nanosecond(0)).unwrap_or(now);
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if minutes.back().is_none_or(|last| last.at != at) {
            minutes.push_back(Minute { at, metrics: BTreeMap::new() });
        }
        while minutes.len() > KEPT {
            minutes.pop_front();
        }
        if let Some(minute) = minutes.back_mut() {
            for (name, value) in values {
                let new = Points::of(*value);
                minute.metrics.entry(name).and_modify(|points| *points = points.with(new)).or_insert(new);
            }
        }
    }
}

fn used(
    before: Option<(Instant, Option<Usage>)>,
    now: (Instant, Option<Usage>),
    values: &mut BTreeMap<&'static str, f64>,
) {
    let (at, Some(usage)) = now else { return };
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory, far below 2^52")]
    let memory = usage.memory_bytes as f64 / MEMORY_BYTES as f64 * 100.0;
    values.insert("memory_percent", memory.min(100.0));
    if let Some((then, Some(earlier))) = before {
        let seconds = at.duration_since(then).as_secs_f64();
        let busy = (usage.cpu_seconds - earlier.cpu_seconds).max(0.0) / seconds / VCPUS * 100.0;
        values.insert("cpu_percent", busy.min(100.0));
    }
}

fn stored(databases: f64, wal: f64, values: &mut BTreeMap<&'static str, f64>) {
    #[expect(clippy::cast_precision_loss, reason = "bytes of storage, far below 2^52")]
    let size = (STORAGE_GB * 1024 * 1024 * 1024) as f64;
    values.insert("storage_used", databases + wal);
    values.insert("storage_free", size - databases - wal);
    values.insert("storage_percent", (databases + wal) / size * 100.0);
    values.insert("txlogs_storage_used", wal);
    values.insert("database_size_bytes", databases);
}

/// The monitors of all servers, by data directory.
#[derive(Debug, Default)]
pub struct Monitors {
    known: Mutex<HashMap<String, Watched>>,
}

#[derive(Debug)]
struct Watched {
    monitor: Arc<Monitor>,
    starts: u32,
    task: JoinHandle<()>,
}

impl Monitors {
    /// The monitor of a server, if it ever ran.
    pub fn of(&self, server: &Server) -> Option<Arc<Monitor>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&server.folder).map(|watched| Arc::clone(&watched.monitor))
    }

    /// Watches every server that runs, until `stop`.
    pub async fn run(&self, servers: Servers, mut stop: Stop) {
        let mut changes = servers.changes();
        loop {
            changes.borrow_and_update();
            self.update(&servers, &stop);
            tokio::select! {
                () = stopped(&mut stop) => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.drain().for_each(|(_, watched)| watched.task.abort());
    }

    fn update(&self, servers: &Servers, stop: &Stop) {
        let there = servers.list();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|folder, watched| {
            let stays = there.iter().any(|server| server.folder == *folder);
            if !stays {
                watched.task.abort();
            }
            stays
        });
        for server in &there {
            let (Some((pid, exited)), Some(admin)) =
                (servers.process(&server.name), servers.admin(&server.name))
            else {
                continue;
            };
            if let Some(watched) = known.get_mut(&server.folder) {
                if watched.starts != server.starts {
                    watched.starts = server.starts;
                    watched.monitor.follow(pid, exited);
                }
                continue;
            }
            let monitor = Arc::new(Monitor::new(admin, pid, exited));
            let (running, stop) = (Arc::clone(&monitor), stop.clone());
            let task = tokio::spawn(async move { running.run(stop).await });
            known.insert(server.folder.clone(), Watched { monitor, starts: server.starts, task });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_the_time_used_of_two_processors_between_two_readings() {
        let start = Instant::now();
        let usage = |cpu_seconds| Some(Usage { cpu_seconds, memory_bytes: MEMORY_BYTES / 100 });
        let mut values = BTreeMap::new();
        used(Some((start, usage(5.0))), (start + Duration::from_secs(10), usage(10.0)), &mut values);
        assert!((values["cpu_percent"] - 25.0).abs() < 1e-9);
        assert!((values["memory_percent"] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_first_reading_says_nothing_about_cpu_and_a_dead_server_nothing_at_all() {
        let mut values = BTreeMap::new();
        used(None, (Instant::now(), Some(Usage { cpu_seconds: 1.0, memory_bytes: 1 })), &mut values);
        assert!(!values.contains_key("cpu_percent") && values.contains_key("memory_percent"));
        values.clear();
        used(Some((Instant::now(), None)), (Instant::now(), None), &mut values);
        assert!(values.is_empty());
    }

    #[test]
    fn points_keep_average_and_extremes() {
        let both = Points::of(2.0).with(Points::of(6.0));
        assert!((both.average() - 4.0).abs() < 1e-9 && both.count == 2);
        assert!((both.min - 2.0).abs() < 1e-9 && (both.max - 6.0).abs() < 1e-9);
    }
}
