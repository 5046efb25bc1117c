//! Listens to providers: keeps every update, waits for what a test expects.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drtui::domain::feed::Sink;
use drtui::domain::{Deployment, Phase, Source, Update, Utc};
use tokio::sync::Notify;

/// Everything heard, in order.
#[derive(Clone, Default)]
pub struct Ear {
    heard: Arc<Mutex<Vec<(Update, Utc)>>>,
    news: Arc<Notify>,
}

impl Ear {
    pub fn sink(&self) -> Sink {
        let ear = self.clone();
        Arc::new(move |update, at| {
            ear.heard.lock().unwrap().push((update, at));
            ear.news.notify_waiters();
        })
    }

    pub fn len(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// Updates from number `from` on.
    pub fn since(&self, from: usize) -> Vec<(Update, Utc)> {
        self.heard.lock().unwrap()[from..].to_vec()
    }

    /// Waits for an update from number `from` on of which `pick` makes something.
    pub async fn hear<T>(
        &self,
        what: &str,
        from: usize,
        within: Duration,
        pick: impl Fn(&Update, Utc) -> Option<T>,
    ) -> T {
        let search = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if let Some(found) = self.since(from).iter().find_map(|(u, at)| pick(u, *at)) {
                    return found;
                }
                news.await;
            }
        };
        match tokio::time::timeout(within, search).await {
            Ok(found) => found,
            Err(_) => panic!("not heard within {within:?}: {what}\nheard {:#?}", self.since(from)),
        }
    }

    /// Waits for `source` to stand as `is` says, and returns the phase and the next try.
    pub async fn stands(
        &self,
        source: Source,
        what: &str,
        from: usize,
        within: Duration,
        is: impl Fn(&Phase) -> bool,
    ) -> (Phase, Option<Utc>, Utc) {
        self.hear(&format!("{} {what}", source.word()), from, within, |update, at| match update {
            Update::Standing { source: s, phase, next_try } if *s == source && is(phase) => {
                Some((phase.clone(), *next_try, at))
            }
            _ => None,
        })
        .await
    }

    /// Waits until a deployment is as `is` says.
    pub async fn deployment(
        &self,
        name: &str,
        what: &str,
        from: usize,
        within: Duration,
        is: impl Fn(&Deployment) -> bool,
    ) -> Deployment {
        self.hear(&format!("{name} {what}"), from, within, |update, _| match update {
            Update::Deployments { all } => all.iter().find(|d| d.key.name == name && is(d)).cloned(),
            Update::DeploymentChanged { deployment: d } => (d.key.name == name && is(d)).then(|| d.clone()),
            _ => None,
        })
        .await
    }
}
