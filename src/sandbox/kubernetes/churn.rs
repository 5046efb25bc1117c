//! A steady rate of changes for benchmarks.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::super::serve::{Stop, stopped};
use super::json;
use super::kinds::Resource;
use super::store::{Inner, Key, Store};

/// Changes deployments until it is dropped; then the controllers put the statuses right again.
#[derive(Debug)]
pub struct Churn {
    task: JoinHandle<()>,
    store: Arc<Store>,
    keys: Arc<[Key]>,
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.task.abort();
        self.store.write(|inner| self.keys.iter().for_each(|(namespace, name)| inner.touch(namespace, name)));
    }
}

impl Churn {
    pub(super) fn start(store: Arc<Store>, per_second: u32, stop: Stop) -> Churn {
        let keys: Arc<[Key]> =
            store.read(|inner| inner.all(Resource::Deployment, None).map(|(key, _)| key.clone()).collect());
        let task = tokio::spawn(run(Arc::clone(&store), Arc::clone(&keys), per_second, stop));
        Churn { task, store, keys }
    }
}

async fn run(store: Arc<Store>, keys: Arc<[Key]>, per_second: u32, mut stop: Stop) {
    if keys.is_empty() || per_second == 0 {
        return;
    }
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / f64::from(per_second.min(1_000))));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let began = Instant::now();
    let mut done = 0_u64;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stop) => return,
        }
        let due = (began.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        while done < due {
            done += 1;
            store.write(|inner| change_one(inner, &keys, done));
        }
    }
}

fn change_one(inner: &mut Inner, keys: &[Key], number: u64) {
    let mut rng = rand::rng();
    let Some((namespace, name)) = keys.get(rng.random_range(0..keys.len())) else { return };
    let Some(object) = inner.get(Resource::Deployment, namespace, name) else { return };
    let mut value = object.value.clone();
    let wanted = json::int(&value, "/spec/replicas").max(0);
    let ready = rng.random_range(0..=wanted);
    json::set(&mut value, &["status", "readyReplicas"], ready.into());
    json::set(&mut value, &["status", "availableReplicas"], ready.into());
    json::set(&mut value, &["metadata", "annotations", "drtui.sandbox/churn"], number.to_string().into());
    inner.put_quietly(Resource::Deployment, value);
}
