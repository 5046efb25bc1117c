//! What the providers know, pane by pane, and what changed in it that a person may want to hear of.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::{
    Deployment, DeploymentKey, Health, Metrics, Orphan, Phase, Remote, Server, ServerClass, Source, Tunnel,
    TunnelId, TunnelPod, TunnelState, Update, Utc, clock,
};

/// How many changes are remembered for the timeline.
const CHANGES_MAX: usize = 500;

/// The remote values, each with its own standing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    pub deployments: Remote<BTreeMap<DeploymentKey, Deployment>>,
    pub servers: Remote<Vec<Server>>,
    pub metrics: Remote<BTreeMap<String, Metrics>>,
    pub health: Remote<Health>,
    /// Tunnels of this run, closed ones too.
    pub tunnels: BTreeMap<TunnelId, Tunnel>,
    /// Pods that earlier runs left behind.
    pub orphans: Vec<Orphan>,
    /// Pods that stand for tunnels, and when they were asked for (UTC).
    pub tunnel_pods: Option<(Utc, Vec<TunnelPod>)>,
    /// When Azure last listed a restored copy (UTC).
    pub copy_seen: Option<Utc>,
    pub changes: VecDeque<Change>,
    /// Id of the next change.
    next_change: u64,
}

/// Something that changed out there.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Rises by one with each change.
    pub id: u64,
    pub at: Utc,
    pub source: Source,
    pub what: String,
    /// The deployment it is about, by name.
    pub deployment: Option<String>,
    /// How we stand with the source, and not what it says.
    pub standing: bool,
    /// Belongs on the record of an open incident.
    pub major: bool,
    /// Went on record: the timeline shows the record's line instead.
    pub recorded: bool,
}

impl World {
    /// How we stand with a source.
    pub fn phase(&self, source: Source) -> (&Phase, Option<Utc>, Option<Utc>, Option<Utc>) {
        fn parts<T>(r: &Remote<T>) -> (&Phase, Option<Utc>, Option<Utc>, Option<Utc>) {
            (&r.phase, r.as_of, r.since, r.next_try)
        }
        match source {
            Source::Kubernetes => parts(&self.deployments),
            Source::Azure => parts(&self.servers),
            Source::Monitor => parts(&self.metrics),
            Source::Web => parts(&self.health),
        }
    }

    /// True once a source has given a value or said why it cannot.
    pub fn answered(&self, source: Source) -> bool {
        let (phase, as_of, ..) = self.phase(source);
        as_of.is_some() || !(phase.is_healthy() || *phase == Phase::Loading)
    }

    /// Takes in news; returns what changed.
    pub fn apply(&mut self, update: Update, at: Utc) -> Vec<Change> {
        let mut changes = Vec::new();
        let about = match &update {
            Update::DeploymentChanged { deployment } => Some(deployment.key.name.clone()),
            Update::DeploymentGone { key } => Some(key.name.clone()),
            _ => None,
        };
        match update {
            Update::Standing { source, phase, next_try } => {
                self.stand(source, phase, next_try, at, &mut changes)
            }
            Update::Deployments { all } => self.deployments_listed(all, at, &mut changes),
            Update::Heard { source } => self.heard(source, at),
            Update::DeploymentChanged { deployment } => self.deployment_changed(deployment, at, &mut changes),
            Update::DeploymentGone { key } => {
                if let Some(map) = self.deployments.value.as_mut()
                    && map.remove(&key).is_some()
                {
                    changes.push(change(
                        at,
                        Source::Kubernetes,
                        format!("deployment {} is gone", key.name),
                        true,
                    ));
                }
            }
            Update::Servers { all } => self.servers_listed(all, at, &mut changes),
            Update::Metrics { server, metrics } => {
                self.metrics.value.get_or_insert_default().insert(server, metrics);
                self.metrics.confirm(at);
            }
            Update::Health { health } => self.health_told(health, at, &mut changes),
            Update::Tunnel { tunnel } => self.tunnel_told(*tunnel, at, &mut changes),
            Update::Orphans { all } => self.orphans = all,
            Update::TunnelPods { all } => self.tunnel_pods = Some((at, all)),
        }
        for found in &mut changes {
            found.id = self.next_change;
            if found.deployment.is_none() {
                found.deployment.clone_from(&about);
            }
            self.next_change += 1;
            self.changes.push_back(found.clone());
        }
        while self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
        changes
    }

    fn stand(&mut self, source: Source, phase: Phase, next_try: Option<Utc>, at: Utc, out: &mut Vec<Change>) {
        let (was, _, since, _) = self.phase(source);
        let (was, since) = (was.clone(), since);
        match source {
            Source::Kubernetes => self.deployments.stand(phase.clone(), next_try, at),
            Source::Azure => self.servers.stand(phase.clone(), next_try, at),
            Source::Monitor => self.metrics.stand(phase.clone(), next_try, at),
            Source::Web => self.health.stand(phase.clone(), next_try, at),
        }
        if (was.is_healthy() || was == Phase::Loading) && !phase.is_healthy() && phase != Phase::Loading {
            let what = format!("does not answer: {}", outage(&phase));
            out.push(Change { standing: true, ..change(at, source, what, true) });
        } else if phase.is_healthy() && !was.is_healthy() && was != Phase::Loading {
            let after = since.map_or_else(String::new, |since| format!(" after {}", clock::span(at - since)));
            out.push(Change { standing: true, ..change(at, source, format!("answers again{after}"), true) });
        }
    }

    fn deployments_listed(&mut self, all: Vec<Deployment>, at: Utc, out: &mut Vec<Change>) {
        let fresh: BTreeMap<_, _> = all.into_iter().map(|d| (d.key.clone(), d)).collect();
        if let Some(old) = &self.deployments.value {
            for (key, was) in old {
                let first = out.len();
                match fresh.get(key) {
                    Some(now) => note_deployment(was, now, at, out),
                    None => out.push(change(
                        at,
                        Source::Kubernetes,
                        format!("deployment {} is gone", key.name),
                        true,
                    )),
                }
                for found in out.iter_mut().skip(first) {
                    found.deployment = Some(key.name.clone());
                }
            }
        }
        self.deployments.set(fresh, at);
    }

    fn deployment_changed(&mut self, deployment: Deployment, at: Utc, out: &mut Vec<Change>) {
        let map = self.deployments.value.get_or_insert_default();
        if let Some(was) = map.get(&deployment.key) {
            note_deployment(was, &deployment, at, out);
        }
        // A change may come from a pod: only the watch of deployments says as of when their counts are true.
        map.insert(deployment.key.clone(), deployment);
    }

    fn heard(&mut self, source: Source, at: Utc) {
        match source {
            Source::Kubernetes => self.deployments.confirm(at),
            Source::Azure => self.servers.confirm(at),
            Source::Monitor => self.metrics.confirm(at),
            Source::Web => self.health.confirm(at),
        }
    }

    fn servers_listed(&mut self, all: Vec<Server>, at: Utc, out: &mut Vec<Change>) {
        if let Some(old) = &self.servers.value {
            for now in &all {
                match old.iter().find(|s| s.name == now.name) {
                    None => out.push(change(
                        at,
                        Source::Azure,
                        format!("server {} appeared: {}", now.name, now.state),
                        true,
                    )),
                    Some(was) if was.state != now.state => {
                        let what = format!("server {}: {} → {}", now.name, was.state, now.state);
                        out.push(change(at, Source::Azure, what, true));
                    }
                    Some(_) => {}
                }
            }
            for was in old.iter().filter(|s| all.iter().all(|n| n.name != s.name)) {
                out.push(change(at, Source::Azure, format!("server {} is no longer listed", was.name), true));
            }
        }
        if all.iter().any(|s| s.class == ServerClass::Ptr) {
            self.copy_seen = Some(at);
        }
        self.servers.set(all, at);
    }

    fn health_told(&mut self, health: Health, at: Utc, out: &mut Vec<Change>) {
        if let Some(was) = &self.health.value
            && was.word() != health.word()
        {
            let what = format!("service is {}", health.word());
            let status = health.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
            out.push(change(at, Source::Web, format!("{what} ({status})"), true));
        }
        self.health.set(health, at);
    }
}

impl World {
    fn tunnel_told(&mut self, tunnel: Tunnel, at: Utc, out: &mut Vec<Change>) {
        let was = self.tunnels.get(&tunnel.id).map(|t| &t.state);
        let before = was.is_none_or(|s| matches!(s, TunnelState::Opening { .. }));
        let what = match &tunnel.state {
            // How an opening ends is on record as the end of its action.
            _ if before => None,
            TunnelState::Opening { .. } => None,
            TunnelState::Open => was.is_some_and(|s| !s.is_open()).then(|| "is connected again".to_owned()),
            TunnelState::Reconnecting { why, .. } => {
                was.is_some_and(TunnelState::is_open).then(|| format!("lost its way, reconnecting: {why}"))
            }
            TunnelState::Closed { why } | TunnelState::Failed { why, .. } => {
                was.is_some_and(TunnelState::is_alive).then(|| format!("has ended: {why}"))
            }
        };
        if let Some(what) = what {
            let text =
                format!("tunnel {} to {} ({}) {what}", tunnel.id, tunnel.target(), tunnel.which.word());
            out.push(change(at, Source::Kubernetes, text, true));
        }
        if !tunnel.state.is_alive() {
            // A list from before its end does not show what became of its pod.
            self.tunnel_pods = None;
        }
        self.tunnels.insert(tunnel.id, tunnel);
    }
}

/// The reason in a phase, in words.
pub fn trouble(phase: &Phase) -> String {
    match phase {
        Phase::Loading => "waiting for the first answer".into(),
        Phase::Live => "live".into(),
        Phase::Polling { every_s } => format!("asked every {every_s} s"),
        Phase::Stale { why } => why.clone(),
        Phase::AuthExpired { why, fix } => format!("sign in: {fix} ({why})"),
        Phase::Denied { what } => format!("not allowed: {what}"),
    }
}

/// The reason in a phase as it goes on record: without the command that signs in, whose arguments are nobody's business.
pub fn outage(phase: &Phase) -> String {
    match phase {
        Phase::AuthExpired { why, .. } => format!("sign in again: {why}"),
        other => trouble(other),
    }
}

/// The kind of trouble in a phase: `refused`, `error 503`, `sign in`. The whole reason is [`trouble`]'s.
pub fn trouble_short(phase: &Phase) -> String {
    match phase {
        Phase::Stale { why } => {
            let why = why.strip_prefix("cannot reach it: ").unwrap_or(why);
            let why = why.strip_prefix("server ").unwrap_or(why);
            let kind = why.split([':', ',']).next().unwrap_or(why);
            kind.trim_start_matches("Connection ").trim_start_matches("connection ").to_owned()
        }
        Phase::AuthExpired { .. } => "sign in (M)".into(),
        Phase::Denied { .. } => "not allowed".into(),
        Phase::Loading | Phase::Live | Phase::Polling { .. } => trouble(phase),
    }
}

fn change(at: Utc, source: Source, what: String, major: bool) -> Change {
    Change { id: 0, at, source, what, deployment: None, standing: false, major, recorded: false }
}

fn note_deployment(was: &Deployment, now: &Deployment, at: Utc, out: &mut Vec<Change>) {
    if was.wanted != now.wanted {
        let what = format!("{}: wanted {} → {}", now.key.name, was.wanted, now.wanted);
        out.push(change(at, Source::Kubernetes, what, false));
    }
    let settled = now.ready == now.wanted && now.total == now.wanted;
    let was_settled = was.ready == was.wanted && was.total == was.wanted;
    if settled && !was_settled {
        let state = match now.wanted {
            0 => "stopped, no pod is left".to_owned(),
            wanted => format!("{} of {wanted} ready", now.ready),
        };
        out.push(change(at, Source::Kubernetes, format!("{}: {state}", now.key.name), true));
    } else if !settled && was_settled && was.wanted == now.wanted {
        out.push(change(
            at,
            Source::Kubernetes,
            format!("{}: only {} of {} ready", now.key.name, now.ready, now.wanted),
            false,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u32) -> Utc {
        format!("2026-11-20T10:00:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn a_failure_never_takes_a_value_away() {
        let mut world = World::default();
        let health = Health { url: "u".into(), status: Some(200), says: "ok".into() };
        world.apply(Update::Health { health: health.clone() }, at(0));
        world.apply(
            Update::Standing {
                source: Source::Web,
                phase: Phase::Stale { why: "no answer".into() },
                next_try: Some(at(9)),
            },
            at(5),
        );
        assert_eq!(world.health.value, Some(health));
        assert_eq!((world.health.as_of, world.health.since), (Some(at(0)), Some(at(5))));
    }

    #[test]
    fn what_changed_is_said_once() {
        let mut world = World::default();
        let told =
            |status| Update::Health { health: Health { url: "u".into(), status, says: String::new() } };
        assert!(world.apply(told(Some(200)), at(0)).is_empty());
        assert_eq!(world.apply(told(Some(503)), at(1)).len(), 1);
        assert!(world.apply(told(Some(503)), at(2)).is_empty());
    }
}
