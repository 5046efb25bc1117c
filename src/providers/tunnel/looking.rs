//! Looks which pods stand for tunnels, whenever it is asked for and never by itself: what is deleted is believed only
//! when it is not listed any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Open;
use super::api::Api;
use super::own_pod::{self, Standing};
use crate::domain::feed::{Sink, Update};
use crate::domain::{Fault, TunnelId, backoff};

/// Tries of one look: the API server may be away, or a pod on its way out.
const TRIES: u32 = 8;

/// Runs until nobody can ask any more.
pub async fn run(
    api: Api,
    namespace: String,
    sink: Sink,
    open: Arc<Mutex<BTreeMap<TunnelId, Arc<Open>>>>,
    mut asked: mpsc::Receiver<()>,
) {
    while asked.recv().await.is_some() {
        for failures in 1..=TRIES {
            let at = chrono::Utc::now();
            let wait = match own_pod::standing(&api, &namespace).await {
                Ok(Standing { orphans, all, ours }) => {
                    sink(Update::Orphans { all: orphans }, at);
                    sink(Update::TunnelPods { all }, at);
                    let open = open.lock().unwrap_or_else(PoisonError::into_inner);
                    if ours.iter().all(|id| open.contains_key(id)) {
                        break;
                    }
                    None
                }
                // Not worth a word: how we stand with the namespace is shown by others.
                Err(Fault::Denied { .. } | Fault::Setup { .. }) => break,
                Err(fault) => fault.retry_after(),
            };
            sleep(backoff::wait(failures, rand::random(), wait)).await;
        }
    }
}
