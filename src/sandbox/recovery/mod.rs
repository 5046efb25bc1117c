//! What the recovery workflows do in the sandbox's world: back up, restore, restore to a time, revive, deploy, and set
//! maintenance mode. With the platform's own flaws, which a rehearsal must be able to meet.

pub mod fleet;
pub mod maintenance;
pub mod servers;
mod tools;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::blobs::store::Store;
use super::clock::Clock;
use super::kubernetes::Cluster;
pub use servers::{Doing, Refusal, Servers};

/// Takes one line of a job's log.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// One workflow's work, with its inputs as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// `file`: `default` or a name without extension; `server`: another server than the live one.
    Backup { file: String, server: String, scheduled: bool },
    /// `file`: a blob's name; empty means today's scheduled one.
    Restore { file: String },
    /// `time` in UTC as typed; `new_server` empty means `<server>-ptr`.
    PointInTime { time: String, new_server: String },
    /// `time` in UTC as typed.
    Revive { time: String, server: String },
    /// Moves the ingress to the maintenance page, or back.
    Maintenance { enable: bool },
    /// What terraform does: makes what is missing, and puts the ingress back.
    Deploy { image: String },
}

/// The job has failed; its log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// Does tasks.
#[derive(Debug)]
pub struct Recovery {
    pub servers: Arc<dyn Servers>,
    pub blobs: Store,
    /// Where the service and its ingress are.
    pub cluster: Cluster,
    /// The sandbox's own time: what people and files go by.
    pub clock: Clock,
    /// The programs `pg_dump` and `psql`.
    pub dump: PathBuf,
    pub psql: PathBuf,
    /// The authority that signs the servers' certificates.
    pub ca_file: PathBuf,
}

/// `rsm_pd_<date>.sql.gz`, or `rsm_pd_adhoc_<date>.sql.gz` for one that a person asked for.
pub fn backup_name(scheduled: bool, at: DateTime<Utc>) -> String {
    let adhoc = if scheduled { "" } else { "adhoc_" };
    format!("rsm_pd_{adhoc}{}.sql.gz", at.format("%Y-%m-%d"))
}
