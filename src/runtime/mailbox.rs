//! Where providers put their news: keyed, so that later news of the same thing replaces earlier news that nobody has
//! taken yet. Bounded by the number of things there are; never makes a provider wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::feed::{Sink, Slot};
use crate::domain::{Update, Utc};

/// The mailbox. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Mailbox {
    inner: Arc<Mutex<Inner>>,
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    order: VecDeque<Slot>,
    news: HashMap<Slot, (Update, Utc)>,
}

impl Mailbox {
    /// The end that providers hold.
    pub fn sink(&self) -> Sink {
        let mailbox = self.clone();
        Arc::new(move |update, at| mailbox.put(update, at))
    }

    /// Puts news in.
    pub fn put(&self, update: Update, at: Utc) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Update::Deployments { .. } = update {
            // A new list says everything that single changes before it said.
            let Inner { order, news } = &mut *inner;
            order.retain(|slot| !matches!(slot, Slot::Deployment(_)));
            news.retain(|slot, _| !matches!(slot, Slot::Deployment(_)));
        }
        let slot = update.slot();
        if inner.news.insert(slot.clone(), (update, at)).is_none() {
            inner.order.push_back(slot);
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Takes everything out, oldest slot first.
    pub fn take(&self) -> Vec<(Update, Utc)> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { order, news } = &mut *inner;
        order.drain(..).filter_map(|slot| news.remove(&slot)).collect()
    }

    /// Waits until there may be news. Safe to drop and ask again.
    pub async fn ready(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Deployment, DeploymentKey, Health};

    fn deployment(name: &str, wanted: i32) -> Deployment {
        Deployment {
            key: DeploymentKey { namespace: "ns".into(), name: name.into() },
            wanted,
            ready: 0,
            updated: 0,
            available: 0,
            total: 0,
            hpa: None,
            restarts: 0,
            waiting: Vec::new(),
        }
    }

    fn at() -> Utc {
        "2026-11-20T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn later_news_replace_earlier_of_the_same_thing() {
        let mailbox = Mailbox::default();
        for wanted in 0..1000 {
            mailbox.put(Update::DeploymentChanged { deployment: deployment("a", wanted) }, at());
        }
        mailbox.put(Update::DeploymentChanged { deployment: deployment("b", 7) }, at());
        let got = mailbox.take();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].0, Update::DeploymentChanged { deployment: deployment("a", 999) });
        assert!(mailbox.take().is_empty());
    }

    #[test]
    fn a_new_list_makes_changes_before_it_moot_but_not_those_after() {
        let mailbox = Mailbox::default();
        mailbox.put(Update::DeploymentGone { key: deployment("a", 0).key }, at());
        mailbox.put(Update::Deployments { all: vec![deployment("a", 1)] }, at());
        mailbox.put(Update::DeploymentChanged { deployment: deployment("a", 2) }, at());
        let kinds: Vec<_> = mailbox.take().into_iter().map(|(u, _)| u.slot()).collect();
        assert_eq!(kinds, vec![Slot::Deployments, Slot::Deployment(deployment("a", 0).key)]);
    }

    #[tokio::test]
    async fn news_wake_whoever_waits() {
        let mailbox = Mailbox::default();
        let health = Health { url: "u".into(), status: None, says: String::new() };
        mailbox.sink()(Update::Health { health }, at());
        mailbox.ready().await;
        assert_eq!(mailbox.take().len(), 1);
    }
}
