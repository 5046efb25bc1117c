//! Ends of pods: the main process that ends by itself, and the deadline.

use serde_json::Value;

use super::super::json::{self, text};
use super::super::kinds::Resource;
use super::super::objects;
use super::super::pod::{self, Stage};
use super::super::store::{Inner, Key, Store};

/// A pod that ran longer than its `activeDeadlineSeconds` fails.
pub fn exceed(inner: &mut Inner, key: &Key, uid: &str) {
    let Some(pod) = running(inner, key, uid) else { return };
    let mut pod = pod;
    pod::finish(&mut pod, 137, &json::now());
    let message = "Pod was active on the node longer than the specified deadline";
    json::set(&mut pod, &["status", "phase"], "Failed".into());
    json::set(&mut pod, &["status", "reason"], "DeadlineExceeded".into());
    json::set(&mut pod, &["status", "message"], message.into());
    objects::record_event(inner, &pod, "kubelet", "DeadlineExceeded", message);
    inner.put(Resource::Pod, pod);
}

/// The pod of this uid, if its container is up.
fn running(inner: &Inner, key: &Key, uid: &str) -> Option<Value> {
    let pod = inner.get(Resource::Pod, &key.0, &key.1)?;
    let stage = pod::stage(&pod.value);
    let up = matches!(stage, Stage::Creating | Stage::Starting | Stage::Ready | Stage::Crashing);
    (text(&pod.value, "/metadata/uid") == uid && up).then(|| pod.value.clone())
}

/// The main process of a pod's container has ended with `code`: the pod is done, or its container will start again.
pub fn exited(store: &Store, key: &Key, uid: &str, code: i32) {
    store.write(|inner| {
        let Some(mut pod) = running(inner, key, uid) else { return };
        let at = json::now();
        let again = match text(&pod, "/spec/restartPolicy") {
            "Never" => false,
            "OnFailure" => code != 0,
            _ => true,
        };
        if again {
            let ended = pod::terminated(&pod, code, &at);
            pod::step(&mut pod, Stage::Crashing, "CrashLoopBackOff", &at);
            pod::set_last_end(&mut pod, ended);
            objects::record_event(inner, &pod, "kubelet", "BackOff", "Back-off restarting failed container");
        } else {
            pod::finish(&mut pod, code, &at);
        }
        inner.put(Resource::Pod, pod);
    });
}
