//! What the providers have said so far. Pure.

use std::collections::BTreeMap;

use crate::domain::{Deployment, Health, Metrics, Phase, Remote, Server, Source, Target, Update, Utc};

/// The last word on everything.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub deployments: Remote<Vec<Deployment>>,
    pub servers: Remote<Vec<Server>>,
    /// By server.
    pub metrics: Remote<BTreeMap<String, Metrics>>,
    pub health: Remote<Health>,
}

impl Known {
    pub fn take(&mut self, update: Update, at: Utc) {
        match update {
            Update::Standing { source: Source::Kubernetes, phase, next_try } => {
                self.deployments.stand(phase, next_try, at);
            }
            Update::Standing { source: Source::Azure, phase, next_try } => {
                self.servers.stand(phase, next_try, at);
            }
            Update::Standing { source: Source::Monitor, phase, next_try } => {
                self.metrics.stand(phase, next_try, at);
            }
            Update::Standing { source: Source::Web, phase, next_try } => {
                self.health.stand(phase, next_try, at);
            }
            Update::Deployments { all } => self.deployments.set(all, at),
            Update::DeploymentChanged { deployment } => {
                let all = self.deployments.value.get_or_insert_default();
                match all.iter_mut().find(|d| d.key == deployment.key) {
                    Some(known) => *known = deployment,
                    None => all.push(deployment),
                }
                self.deployments.confirm(at);
            }
            Update::DeploymentGone { key } => {
                self.deployments.value.get_or_insert_default().retain(|d| d.key != key);
                self.deployments.confirm(at);
            }
            Update::Servers { all } => self.servers.set(all, at),
            Update::Metrics { server, metrics } => {
                self.metrics.value.get_or_insert_default().insert(server, metrics);
                self.metrics.confirm(at);
            }
            Update::Health { health } => self.health.set(health, at),
            // `status` opens no tunnel.
            Update::Tunnel { .. } | Update::Orphans { .. } => {}
        }
    }

    /// How we stand with a source.
    pub fn phase(&self, source: Source) -> &Phase {
        match source {
            Source::Kubernetes => &self.deployments.phase,
            Source::Azure => &self.servers.phase,
            Source::Monitor => &self.metrics.phase,
            Source::Web => &self.health.phase,
        }
    }

    /// The sources that the target has.
    pub fn sources(target: &Target) -> impl Iterator<Item = Source> + use<> {
        let web = target.health_url.is_some();
        Source::ALL.into_iter().filter(move |s| *s != Source::Web || web)
    }

    /// True when every source has answered or failed. Metrics cannot be asked for before servers are known.
    pub fn settled(&self, target: &Target) -> bool {
        Known::sources(target).all(|source| match source {
            Source::Monitor => *self.phase(source) != Phase::Loading || self.no_metrics_to_come(),
            source => *self.phase(source) != Phase::Loading,
        })
    }

    fn no_metrics_to_come(&self) -> bool {
        let failed = *self.phase(Source::Azure) != Phase::Loading && !self.phase(Source::Azure).is_healthy();
        failed || self.servers.value.as_ref().is_some_and(Vec::is_empty)
    }

    /// True when every source answers and the service is up.
    pub fn all_well(&self, target: &Target) -> bool {
        let answers = |source| self.phase(source).is_healthy();
        let no_servers = self.servers.value.as_ref().is_some_and(Vec::is_empty);
        Known::sources(target).all(|s| answers(s) || (s == Source::Monitor && no_servers))
            && (target.health_url.is_none() || self.health.value.as_ref().is_some_and(Health::is_up))
    }
}
