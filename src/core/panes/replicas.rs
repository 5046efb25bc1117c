//! Replicas: every deployment of the environment, by watch; drift against what the incident did.

use crate::core::filter::Filter;
use crate::core::model::Model;
use crate::domain::{Deployment, DeploymentKey};

/// Fields of a row that a filter may name.
pub const FIELDS: [&str; 2] = ["name", "status"];

/// The deployments that pass the filter, the service's own first.
pub fn rows(model: &Model) -> Vec<DeploymentKey> {
    let Some(map) = &model.world.deployments.value else { return Vec::new() };
    let text = model.panes.replicas.filter.trim();
    let mut filter = Filter::new(text);
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for d in map.values() {
        if text.is_empty() || filter.admits(&[("name", &d.key.name), ("status", &status(model, d))]) {
            if model.target.owns(&d.key.name) { own.push(d.key.clone()) } else { others.push(d.key.clone()) }
        }
    }
    own.append(&mut others);
    own
}

pub fn deployment<'a>(model: &'a Model, key: &DeploymentKey) -> Option<&'a Deployment> {
    model.world.deployments.value.as_ref()?.get(key)
}

/// The replicas captured before the incident changed this deployment, while they are not put back.
pub fn was(model: &Model, key: &DeploymentKey) -> Option<i32> {
    model.session.as_ref()?.open_capture(key).map(|(_, replicas)| replicas)
}

/// The count this incident last set, where the deployment wants another one now: someone scaled it meanwhile. What an
/// autoscaler makes of it within its bounds is no drift.
pub fn drift(model: &Model, d: &Deployment) -> Option<i32> {
    let set = model.session.as_ref()?.last_set(&d.key)?;
    let moving = model.awaiting.get(&d.key).is_some_and(|(from, _)| *from == d.wanted)
        || model.pending.values().any(|p| p.is_about(&d.key));
    let steered = set > 0 && is_steered(d);
    (set != d.wanted && !moving && !steered).then_some(set)
}

/// How many of the service's deployments have drifted.
pub fn drifted(model: &Model) -> usize {
    let all = model.world.deployments.value.iter().flat_map(|map| map.values());
    all.filter(|d| model.target.owns(&d.key.name) && drift(model, d).is_some()).count()
}

/// True if the count may be the autoscaler's doing.
pub fn is_steered(d: &Deployment) -> bool {
    d.hpa.as_ref().is_some_and(|h| (h.min..=h.max).contains(&d.wanted))
}

/// A deployment's state in words: drift from what we set to what somebody else made of it, then waiting reasons (the counts have columns of their own), then `ready`,
/// `2 of 4 ready`, `stopped` or `stopping, 1 left`.
pub fn status(model: &Model, d: &Deployment) -> String {
    let mut parts = Vec::new();
    if let Some(set) = drift(model, d) {
        parts.push(format!("DRIFT {set}→{}", d.wanted));
    }
    parts.extend(d.waiting.iter().take(2).cloned());
    parts.push(if d.wanted == 0 && d.total == 0 {
        "stopped".into()
    } else if d.wanted == 0 {
        format!("stopping, {} left", d.total)
    } else if d.ready >= d.wanted && d.updated >= d.wanted && d.total == d.wanted {
        "ready".into()
    } else {
        format!("{} of {} ready", d.ready, d.wanted)
    });
    parts.join(", ")
}

pub fn copy_text(model: &Model) -> Option<String> {
    let key = model.panes.replicas.selected.as_ref()?;
    Some(format!("kubectl -n {} get deployment {}", key.namespace, key.name))
}

/// One line for the strip: `2/4 ready`.
pub fn summary(model: &Model) -> String {
    let Some(map) = &model.world.deployments.value else { return "…".into() };
    let (mut ready, mut wanted) = (0, 0);
    for d in map.values().filter(|d| model.target.owns(&d.key.name)) {
        ready += d.ready;
        wanted += d.wanted;
    }
    let drifted = drifted(model);
    let drift = if drifted > 0 { format!(" !{drifted} drift") } else { String::new() };
    format!("{ready}/{wanted} ready{drift}")
}
