//! What controllers write into `status`: counts and conditions, as Kubernetes does it (zero counts are left out).

use serde_json::{Map, Value, json};

use super::json::{self, count, int, text};

/// Pods that are not told to stop, and those of them that are ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub active: usize,
    pub ready: usize,
}

impl std::ops::Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally { active: self.active + other.active, ready: self.ready + other.ready }
    }
}

/// Status of a replica set of `generation`.
pub fn of_replica_set(set: &mut Value, tally: Tally, generation: i64) {
    let mut status = Map::new();
    status.insert("replicas".into(), tally.active.into());
    count(&mut status, "fullyLabeledReplicas", tally.active);
    count(&mut status, "readyReplicas", tally.ready);
    count(&mut status, "availableReplicas", tally.ready);
    status.insert("observedGeneration".into(), generation.into());
    json::set(set, &["status"], Value::Object(status));
}

/// Status of a deployment of `generation`: all its pods, and how many of them have the present template.
pub fn of_deployment(deployment: &mut Value, all: Tally, updated: usize, generation: i64, at: &str) {
    let wanted = usize::try_from(int(deployment, "/spec/replicas")).unwrap_or_default();
    let (_, unavailable) = room(deployment);
    let mut status = Map::new();
    status.insert("observedGeneration".into(), generation.into());
    count(&mut status, "replicas", all.active);
    count(&mut status, "updatedReplicas", updated);
    count(&mut status, "readyReplicas", all.ready);
    count(&mut status, "availableReplicas", all.ready);
    count(&mut status, "unavailableReplicas", wanted.max(all.active).saturating_sub(all.ready));
    let available = if all.ready >= wanted.saturating_sub(unavailable) {
        ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned())
    } else {
        let message = "Deployment does not have minimum availability.".to_owned();
        ("Available", "False", "MinimumReplicasUnavailable", message)
    };
    let name = text(deployment, "/metadata/name");
    let done = updated == wanted && all.active == updated && all.ready >= wanted;
    let progressing = if done {
        let message = format!("ReplicaSet of deployment \"{name}\" has successfully progressed.");
        ("Progressing", "True", "NewReplicaSetAvailable", message)
    } else {
        let message = format!("ReplicaSet of deployment \"{name}\" is progressing.");
        ("Progressing", "True", "ReplicaSetUpdated", message)
    };
    let conditions: Vec<Value> =
        [available, progressing].map(|new| condition(deployment, new, at)).into_iter().collect();
    status.insert("conditions".into(), conditions.into());
    json::set(deployment, &["status"], Value::Object(status));
}

/// Status of an autoscaler whose deployment has `current` pods and wants `wanted`. At 0 it is paused.
pub fn of_autoscaler(scaler: &mut Value, current: i64, wanted: i64, at: &str) {
    let active = if wanted == 0 {
        let message = "scaling is disabled since the replica count of the target is zero".to_owned();
        ("ScalingActive", "False", "ScalingDisabled", message)
    } else {
        let message = "the HPA was able to successfully calculate a replica count from cpu".to_owned();
        ("ScalingActive", "True", "ValidMetricFound", message)
    };
    let able =
        ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size".to_owned());
    let conditions: Vec<Value> = [able, active].map(|new| condition(scaler, new, at)).into_iter().collect();
    let status = json!({"currentReplicas": current, "desiredReplicas": wanted, "currentMetrics": null, "conditions": conditions});
    json::set(scaler, &["status"], status);
}

/// A condition, with the times of the one it replaces where those still hold.
fn condition(object: &Value, new: (&str, &str, &str, String), at: &str) -> Value {
    let (kind, status, reason, message) = new;
    let old = json::list(object, "/status/conditions").iter().find(|c| text(c, "/type") == kind);
    if let Some(old) = old.filter(|o| text(o, "/status") == status && text(o, "/reason") == reason) {
        return old.clone();
    }
    let since = old.filter(|o| text(o, "/status") == status).map_or(at, |o| text(o, "/lastTransitionTime"));
    let mut condition = json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    });
    if text(object, "/kind") == "Deployment" {
        json::set(&mut condition, &["lastUpdateTime"], at.into());
    }
    condition
}

/// How many pods a roll-out may have too many and too few.
pub fn room(deployment: &Value) -> (usize, usize) {
    let wanted = usize::try_from(int(deployment, "/spec/replicas")).unwrap_or_default();
    let rolling = "/spec/strategy/rollingUpdate";
    let part = |name: &str, up: bool| match deployment.pointer(&format!("{rolling}/{name}")) {
        Some(Value::Number(n)) => n.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
        Some(Value::String(percent)) => {
            let percent: usize = percent.trim_end_matches('%').parse().unwrap_or(25);
            let whole = wanted.saturating_mul(percent);
            if up { whole.div_ceil(100) } else { whole / 100 }
        }
        _ => 0,
    };
    match (part("maxSurge", true), part("maxUnavailable", false)) {
        (0, 0) => (0, 1),
        room => room,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: u32) -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas, "strategy":
            {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}}})
    }

    #[test]
    fn a_rollout_has_room_as_kubernetes_rounds_it() {
        assert_eq!(room(&deployment(2)), (1, 0));
        assert_eq!(room(&deployment(10)), (3, 2));
        assert_eq!(room(&deployment(0)), (0, 1));
    }

    #[test]
    fn zero_counts_are_left_out_and_times_are_kept() {
        let mut value = deployment(2);
        of_deployment(&mut value, Tally { active: 2, ready: 2 }, 2, 1, "T1");
        let before = value["status"]["conditions"].clone();
        of_deployment(&mut value, Tally { active: 2, ready: 2 }, 2, 1, "T2");
        assert_eq!(value["status"]["conditions"], before, "nothing changed, so no time changes");
        of_deployment(&mut value, Tally { active: 2, ready: 1 }, 2, 2, "T3");
        assert_eq!(value["status"]["readyReplicas"], 1);
        assert_eq!(value["status"]["unavailableReplicas"], 1);
        assert_eq!(value["status"]["conditions"][0]["status"], "False");
        json::set(&mut value, &["spec", "replicas"], 0.into());
        of_deployment(&mut value, Tally::default(), 0, 3, "T4");
        assert!(value["status"].get("readyReplicas").is_none());
        assert_eq!(value["status"]["conditions"][1]["reason"], "NewReplicaSetAvailable");
    }

    #[test]
    fn an_autoscaler_is_paused_at_zero() {
        let mut scaler = json!({"kind": "HorizontalPodAutoscaler"});
        of_autoscaler(&mut scaler, 2, 0, "T");
        assert_eq!(scaler["status"]["conditions"][1]["reason"], "ScalingDisabled");
        assert_eq!(scaler["status"]["currentReplicas"], 2);
    }
}
