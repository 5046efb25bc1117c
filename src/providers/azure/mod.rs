//! Azure: the flexible servers of the resource group and their metrics, polled from Azure Resource Manager and Monitor.

mod arm;
mod parse;
mod token;
pub mod vault;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::arm::Arm;
use super::beat::Beat;
use super::settings::AzureSettings;
use super::standing::Standing;
use crate::domain::feed::Sink;
use crate::domain::{Fault, Server, ServerClass, Source, Target, Update};

const SERVERS_EVERY: Duration = Duration::from_secs(30);
const METRICS_EVERY: Duration = Duration::from_secs(60);
/// Metrics of more servers than this are not asked for.
const METRICS_MOST: usize = 20;

/// Who tells the metrics poll which servers there are: id and name of each that can have metrics.
type Names = Vec<(String, String)>;

/// Starts the polls in `tasks` and returns at once.
pub fn start(
    settings: &AzureSettings,
    target: &Target,
    sink: &Sink,
    beat: Beat,
    skips: (watch::Receiver<u64>, watch::Receiver<u64>),
    tasks: &mut JoinSet<()>,
) {
    let arm = Arc::new(Arm::new(settings.clone()));
    let (names, known) = watch::channel(Names::new());
    let classes = Classes { live: target.server.clone(), side_copies: settings.side_copies.clone() };
    let standing = Standing::new(Source::Azure, Arc::clone(sink), SERVERS_EVERY, beat, skips.0);
    let group = target.resource_group.clone();
    tasks.spawn(servers(Arc::clone(&arm), group, classes, Arc::clone(sink), standing, names));
    let standing = Standing::new(Source::Monitor, Arc::clone(sink), METRICS_EVERY, beat, skips.1);
    tasks.spawn(metrics(arm, Arc::clone(sink), standing, known));
}

/// Sorts servers by their names.
pub struct Classes {
    live: String,
    side_copies: Vec<String>,
}

impl Classes {
    pub fn of(&self, name: &str) -> ServerClass {
        ServerClass::of(name, &self.live, &self.side_copies)
    }
}

async fn servers(
    arm: Arc<Arm>,
    group: String,
    classes: Classes,
    sink: Sink,
    mut standing: Standing,
    names: watch::Sender<Names>,
) {
    loop {
        match arm.servers(&group, &classes).await {
            Ok(all) => {
                let now: Names =
                    all.iter().filter(|s| has_metrics(s)).map(|s| (s.id.clone(), s.name.clone())).collect();
                sink(Update::Servers { all }, chrono::Utc::now());
                names.send_if_modified(|known| {
                    let new = *known != now;
                    *known = now;
                    new
                });
                standing.well().await;
            }
            Err(fault) => standing.failed(&fault).await,
        }
    }
}

fn has_metrics(server: &Server) -> bool {
    !matches!(server.state.as_str(), "Stopped" | "Disabled" | "Dropping")
}

async fn metrics(arm: Arc<Arm>, sink: Sink, mut standing: Standing, mut known: watch::Receiver<Names>) {
    loop {
        let servers = known.borrow_and_update().clone();
        if servers.is_empty() && known.changed().await.is_err() {
            return;
        }
        let mut failed: Option<Fault> = None;
        for (id, name) in servers.iter().take(METRICS_MOST) {
            match arm.metrics(id, chrono::Utc::now()).await {
                Ok(metrics) => sink(Update::Metrics { server: name.clone(), metrics }, chrono::Utc::now()),
                // A server that has just gone is no failure of the source.
                Err(Fault::NotFound { .. }) => {}
                Err(fault) => {
                    let stop = fault.retry_after().is_some();
                    failed.get_or_insert(fault);
                    if stop {
                        break;
                    }
                }
            }
        }
        // A new server is asked about at once.
        let new = known.changed();
        match failed {
            None if servers.is_empty() => {}
            None => tokio::select! { () = standing.well() => {}, _ = new => {} },
            Some(fault) => standing.failed(&fault).await,
        }
    }
}
