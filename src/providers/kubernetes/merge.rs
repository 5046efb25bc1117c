//! Puts deployments, their pods' troubles and their autoscalers together. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{Deployment, DeploymentKey, Hpa, Target};

/// A deployment without its pods and autoscaler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRow {
    pub name: String,
    pub wanted: i32,
    pub ready: i32,
    pub updated: i32,
    pub available: i32,
    pub total: i32,
}

/// What is wrong with a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodRow {
    pub restarts: i32,
    /// One for each waiting container.
    pub waiting: Vec<String>,
}

/// One listed or watched object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    Deployment(DeploymentRow),
    Pod { deployment: String, name: String, row: PodRow },
    Autoscaler { name: String, deployment: Option<String>, hpa: Hpa },
}

/// Which list a thing belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deployments,
    Pods,
    Autoscalers,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Deployments, Kind::Pods, Kind::Autoscalers];

    /// Name in URLs and rights.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Deployments => "deployments",
            Kind::Pods => "pods",
            Kind::Autoscalers => "horizontalpodautoscalers",
        }
    }
}

/// Everything known of the namespace, as far as it is the target's.
#[derive(Debug)]
pub struct Merge {
    namespace: String,
    /// `None`: the whole namespace.
    owned_by: Option<Target>,
    deployments: BTreeMap<String, DeploymentRow>,
    /// Pods in trouble only, by deployment and name.
    pods: HashMap<String, BTreeMap<String, PodRow>>,
    /// By autoscaler: its deployment and itself.
    autoscalers: BTreeMap<String, (String, Hpa)>,
}

impl Merge {
    pub fn new(target: &Target) -> Merge {
        Merge {
            namespace: target.namespace.clone(),
            owned_by: (!target.whole_namespace).then(|| target.clone()),
            deployments: BTreeMap::new(),
            pods: HashMap::new(),
            autoscalers: BTreeMap::new(),
        }
    }

    fn owns(&self, deployment: &str) -> bool {
        self.owned_by.as_ref().is_none_or(|t| t.owns(deployment))
    }

    /// A complete list took the place of what was known of its kind.
    pub fn replace(&mut self, kind: Kind, things: Vec<Thing>) {
        match kind {
            Kind::Deployments => self.deployments.clear(),
            Kind::Pods => self.pods.clear(),
            Kind::Autoscalers => self.autoscalers.clear(),
        }
        for thing in things {
            self.apply(thing);
        }
    }

    /// A thing is new or changed. Returns the deployments that may look different now.
    pub fn apply(&mut self, thing: Thing) -> BTreeSet<String> {
        match thing {
            Thing::Deployment(row) => {
                if !self.owns(&row.name) {
                    return BTreeSet::new();
                }
                let name = row.name.clone();
                self.deployments.insert(name.clone(), row);
                BTreeSet::from([name])
            }
            Thing::Pod { deployment, name, row } => {
                if !self.owns(&deployment) {
                    return BTreeSet::new();
                }
                if row == PodRow::default() {
                    self.forget_pod(&deployment, &name);
                } else {
                    self.pods.entry(deployment.clone()).or_default().insert(name, row);
                }
                BTreeSet::from([deployment])
            }
            Thing::Autoscaler { name, deployment, hpa } => {
                let before = self.autoscalers.remove(&name).map(|(d, _)| d);
                let now = deployment.filter(|d| self.owns(d));
                if let Some(deployment) = &now {
                    self.autoscalers.insert(name, (deployment.clone(), hpa));
                }
                before.into_iter().chain(now).collect()
            }
        }
    }

    /// A thing is gone. Returns the deployments that may look different now.
    pub fn remove(&mut self, thing: &Thing) -> BTreeSet<String> {
        match thing {
            Thing::Deployment(row) => {
                self.deployments.remove(&row.name).map(|r| r.name).into_iter().collect()
            }
            Thing::Pod { deployment, name, .. } => {
                self.forget_pod(deployment, name);
                BTreeSet::from([deployment.clone()])
            }
            Thing::Autoscaler { name, .. } => {
                self.autoscalers.remove(name).map(|(d, _)| d).into_iter().collect()
            }
        }
    }

    fn forget_pod(&mut self, deployment: &str, name: &str) {
        if let Some(pods) = self.pods.get_mut(deployment) {
            pods.remove(name);
            if pods.is_empty() {
                self.pods.remove(deployment);
            }
        }
    }

    pub fn key(&self, name: &str) -> DeploymentKey {
        DeploymentKey { namespace: self.namespace.clone(), name: name.to_owned() }
    }

    /// One deployment as the cockpit shows it.
    pub fn get(&self, name: &str) -> Option<Deployment> {
        self.deployments.get(name).map(|row| self.merged(row))
    }

    /// All, by name.
    pub fn all(&self) -> Vec<Deployment> {
        let mut scalers: HashMap<&str, &Hpa> = HashMap::new();
        for (deployment, hpa) in self.autoscalers.values() {
            scalers.entry(deployment).or_insert(hpa);
        }
        self.deployments
            .values()
            .map(|row| self.shown(row, scalers.get(row.name.as_str()).copied().cloned()))
            .collect()
    }

    fn merged(&self, row: &DeploymentRow) -> Deployment {
        let hpa = self.autoscalers.values().find(|(d, _)| *d == row.name).map(|(_, h)| h.clone());
        self.shown(row, hpa)
    }

    fn shown(&self, row: &DeploymentRow, hpa: Option<Hpa>) -> Deployment {
        let (restarts, waiting) = self.troubles(&row.name);
        Deployment {
            key: self.key(&row.name),
            wanted: row.wanted,
            ready: row.ready,
            updated: row.updated,
            available: row.available,
            total: row.total,
            hpa,
            restarts,
            waiting,
        }
    }

    /// Restarts and distinct waiting reasons, most frequent first, of a deployment's pods.
    fn troubles(&self, deployment: &str) -> (i32, Vec<String>) {
        let mut restarts = 0_i32;
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in self.pods.get(deployment).into_iter().flat_map(BTreeMap::values) {
            restarts = restarts.saturating_add(pod.restarts);
            for reason in &pod.waiting {
                *reasons.entry(reason).or_default() += 1;
            }
        }
        let mut ranked: Vec<_> = reasons.into_iter().collect();
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        (restarts, ranked.into_iter().map(|(reason, _)| reason.to_owned()).collect())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn target(whole_namespace: bool) -> Target {
        Target { namespace: "tra-test".into(), app: "rsm-test".into(), whole_namespace, ..Target::sample() }
    }

    pub fn deployment(name: &str, wanted: i32, ready: i32) -> Thing {
        Thing::Deployment(DeploymentRow {
            name: name.into(),
            wanted,
            ready,
            updated: ready,
            available: ready,
            total: wanted,
        })
    }

    fn pod(deployment: &str, name: &str, restarts: i32, waiting: &[&str]) -> Thing {
        Thing::Pod {
            deployment: deployment.into(),
            name: name.into(),
            row: PodRow { restarts, waiting: waiting.iter().map(ToString::to_string).collect() },
        }
    }

    fn hpa(name: &str, deployment: &str) -> Thing {
        let hpa = Hpa { name: name.into(), min: 2, max: 5 };
        Thing::Autoscaler { name: name.into(), deployment: Some(deployment.into()), hpa }
    }

    #[test]
    fn troubles_of_pods_are_summed_and_ranked() {
        let mut merge = Merge::new(&target(false));
        // Pods may be listed before their deployment.
        merge.replace(
            Kind::Pods,
            vec![
                pod("rsm-test", "a", 2, &["ImagePullBackOff"]),
                pod("rsm-test", "b", 3, &["CrashLoopBackOff", "CrashLoopBackOff"]),
                pod("rsm-test", "c", 0, &[]),
                pod("rsm-testing", "d", 9, &["Other"]),
            ],
        );
        assert_eq!(merge.apply(deployment("rsm-test", 3, 0)), BTreeSet::from(["rsm-test".to_owned()]));
        let shown = merge.get("rsm-test").unwrap();
        assert_eq!(shown.restarts, 5);
        assert_eq!(shown.waiting, ["CrashLoopBackOff", "ImagePullBackOff"]);
        assert_eq!(shown.key.to_string(), "tra-test/rsm-test");
        merge.remove(&pod("rsm-test", "b", 0, &[]));
        merge.apply(pod("rsm-test", "a", 0, &[]));
        let shown = merge.get("rsm-test").unwrap();
        assert_eq!((shown.restarts, shown.waiting.len()), (0, 0));
        assert!(merge.pods.is_empty(), "healthy pods cost nothing");
    }

    #[test]
    fn only_the_services_own_are_kept_unless_all_are_asked_for() {
        for (whole, expected) in
            [(false, vec!["rsm-test", "rsm-test-worker"]), (true, vec!["other", "rsm-test"])]
        {
            let mut merge = Merge::new(&target(whole));
            merge.replace(
                Kind::Deployments,
                ["rsm-test-worker", "rsm-test", "rsm-testing", "other"].map(|n| deployment(n, 1, 1)).to_vec(),
            );
            let names: Vec<_> = merge.all().into_iter().map(|d| d.key.name).take(2).collect();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn an_autoscaler_may_change_its_target() {
        let mut merge = Merge::new(&target(false));
        merge
            .replace(Kind::Deployments, vec![deployment("rsm-test", 2, 2), deployment("rsm-test-web", 2, 2)]);
        merge.apply(hpa("h", "rsm-test"));
        assert_eq!(merge.get("rsm-test").unwrap().hpa.unwrap().max, 5);
        let affected = merge.apply(hpa("h", "rsm-test-web"));
        assert_eq!(affected.len(), 2);
        assert_eq!(merge.get("rsm-test").unwrap().hpa, None);
        assert_eq!(merge.all().iter().filter(|d| d.hpa.is_some()).count(), 1);
        assert_eq!(merge.remove(&hpa("h", "rsm-test-web")).len(), 1);
        assert_eq!(merge.get("rsm-test-web").unwrap().hpa, None);
    }

    #[test]
    fn a_relist_forgets_what_is_gone() {
        let mut merge = Merge::new(&target(false));
        merge
            .replace(Kind::Deployments, vec![deployment("rsm-test", 2, 2), deployment("rsm-test-old", 1, 1)]);
        merge.apply(pod("rsm-test", "a", 1, &[]));
        merge.replace(Kind::Deployments, vec![deployment("rsm-test", 0, 0)]);
        assert_eq!(merge.all().len(), 1);
        assert_eq!(merge.get("rsm-test").unwrap().restarts, 1, "pods survive a list of deployments");
    }
}
