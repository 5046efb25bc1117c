//! Autoscalers in version `autoscaling/v1`, as older clients ask for them: one CPU target instead of a list of metrics.

use serde_json::{Value, json};

use super::json::{self, int};

const TARGET: &str = "/spec/metrics/0/resource/target/averageUtilization";

/// A stored autoscaler as version 1 shows it.
pub fn shown(scaler: &Value) -> Value {
    let mut shown = scaler.clone();
    json::set(&mut shown, &["apiVersion"], "autoscaling/v1".into());
    if let Some(target) = scaler.pointer(TARGET) {
        json::set(&mut shown, &["spec", "targetCPUUtilizationPercentage"], target.clone());
    }
    json::remove(&mut shown, &["spec", "metrics"]);
    if scaler.get("status").is_some() {
        let status = json!({
            "currentReplicas": int(scaler, "/status/currentReplicas"),
            "desiredReplicas": int(scaler, "/status/desiredReplicas"),
        });
        json::set(&mut shown, &["status"], status);
    }
    shown
}

/// What a client wrote in version 1, as it is stored.
pub fn stored(mut scaler: Value) -> Value {
    json::set(&mut scaler, &["apiVersion"], "autoscaling/v2".into());
    let target =
        json::remove(&mut scaler, &["spec", "targetCPUUtilizationPercentage"]).unwrap_or_else(|| 80.into());
    let metrics = json!([{"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}}]);
    json::set(&mut scaler, &["spec", "metrics"], metrics);
    scaler
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let first = json!({
            "kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1",
            "spec": {"minReplicas": 2, "maxReplicas": 4, "targetCPUUtilizationPercentage": 70},
        });
        let stored = stored(first.clone());
        assert_eq!(int(&stored, TARGET), 70);
        assert_eq!(shown(&stored), first);
    }
}
