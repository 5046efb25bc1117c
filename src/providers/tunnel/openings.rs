//! Openings that are under way: each can be given up, and all of them before the program ends.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::domain::TunnelId;

/// Which tunnels are being opened, and which of them are given up. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Openings(watch::Sender<BTreeMap<TunnelId, bool>>);

/// One of them. Dropped, it is under way no longer.
#[derive(Debug)]
pub struct Opening {
    all: Openings,
    id: TunnelId,
}

impl Openings {
    pub fn begin(&self, id: TunnelId) -> Opening {
        self.0.send_modify(|all| {
            all.insert(id, false);
        });
        Opening { all: self.clone(), id }
    }

    pub fn give_up(&self, id: TunnelId) {
        self.0.send_modify(|all| {
            if let Some(given_up) = all.get_mut(&id) {
                *given_up = true;
            }
        });
    }

    /// Gives up all, and returns when none is under way.
    pub async fn give_up_all(&self) {
        self.0.send_modify(|all| all.values_mut().for_each(|given_up| *given_up = true));
        // Fails only without a sender, and this is one.
        let _ = self.0.subscribe().wait_for(BTreeMap::is_empty).await;
    }
}

impl Opening {
    /// Returns when it is given up.
    pub async fn given_up(&self) {
        let mut all = self.all.0.subscribe();
        let _ = all.wait_for(|all| all.get(&self.id).copied().unwrap_or_default()).await;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.all.0.send_modify(|all| {
            all.remove(&self.id);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn one_is_given_up_and_the_end_waits_for_all() {
        let all = Openings::default();
        let (one, other) = (all.begin(TunnelId(1)), all.begin(TunnelId(2)));
        all.give_up(TunnelId(1));
        all.give_up(TunnelId(9));
        one.given_up().await;
        assert!(other.given_up().now_or_never().is_none());
        let mut end = std::pin::pin!(all.give_up_all());
        assert!(poll!(&mut end).is_pending());
        other.given_up().await;
        drop(one);
        assert!(poll!(&mut end).is_pending());
        drop(other);
        end.await;
    }
}
