//! A pod made for one tunnel: konduit.sh's hardened one, with a deadline and labels that say whose it is. Also finds
//! those that an earlier drtui left behind.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::words;
use super::api::Api;
use super::place::{How, Place};
use super::pods::Follow;
use crate::domain::{Fault, Orphan, TunnelId, TunnelPod, Utc};

/// How all of them are found.
pub const LABEL: &str = "app.kubernetes.io/name=drtui-tunnel";
/// Scheduling, and an image from far away.
const READY: Duration = Duration::from_secs(150);
const CONTAINER: &str = "tunnel";
/// The port of the relay that port-forward needs; on the pod's loopback only.
const RELAY: u16 = 15432;
const OWNER: &str = "drtui/owner";
const PROCESS: &str = "drtui/process";
const INCIDENT: &str = "drtui/incident";
const TUNNEL: &str = "drtui/tunnel";

/// What a pod is made from.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub namespace: String,
    pub image: String,
    pub app: String,
    pub incident: Option<String>,
    pub tunnel: TunnelId,
    /// Kubernetes ends the pod by itself then.
    pub deadline: Duration,
    pub how: How,
}

/// Who runs this, as `user@host`.
pub fn owner() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|u| u.name);
    let host = nix::unistd::gethostname().ok().and_then(|h| h.into_string().ok());
    words::plain(&format!("{}@{}", user.as_deref().unwrap_or("?"), host.as_deref().unwrap_or("?")))
}

/// The manifest: konduit.sh's, as a plain pod because only that has a deadline.
fn manifest(wanted: &Wanted, name: &str) -> Value {
    let mut annotations = json!({
        OWNER: owner(),
        PROCESS: std::process::id().to_string(),
        TUNNEL: wanted.tunnel.0.to_string(),
        "drtui/app": wanted.app,
    });
    if let (Some(incident), Some(all)) = (&wanted.incident, annotations.as_object_mut()) {
        all.insert(INCIDENT.to_owned(), json!(words::plain(incident)));
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/name": "drtui-tunnel",
                "app.kubernetes.io/managed-by": "drtui",
                "drtui/owner": label(&owner()),
                "drtui/incident": label(wanted.incident.as_deref().unwrap_or("none")),
            },
            "annotations": annotations,
        },
        "spec": {
            "activeDeadlineSeconds": wanted.deadline.as_secs(),
            "terminationGracePeriodSeconds": 1,
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "nodeSelector": {"teacherservices.cloud/node_pool": "applications"},
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container(wanted)],
        },
    })
}

fn container(wanted: &Wanted) -> Value {
    let command = match &wanted.how {
        How::Exec => json!(["sleep", (wanted.deadline.as_secs() + 60).to_string()]),
        How::Forward { port, to } => json!([
            "nc",
            "-lk",
            "-s",
            "127.0.0.1",
            "-p",
            port.to_string(),
            "-e",
            "nc",
            to.name,
            to.port.to_string()
        ]),
    };
    json!({
        "name": CONTAINER,
        "image": wanted.image,
        "command": command,
        "resources": {
            "requests": {"cpu": "10m", "memory": "50Mi"},
            "limits": {"cpu": "100m", "memory": "50Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    })
}

/// `text` as the value of a label.
fn label(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '.' })
        .take(63)
        .collect();
    plain.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// How a relay is made for a port-forward to `to`.
pub fn relay(to: &super::super::postgres::Host) -> How {
    How::Forward { port: RELAY, to: to.clone() }
}

/// Makes the pod and waits until it is ready; `step` is told what is waited for. It is deleted unless it gets ready and
/// is kept, also when whoever waits for it gives up.
///
/// # Errors
/// It may not be made, or does not get ready, in words.
pub async fn make(
    api: &Api,
    wanted: &Wanted,
    step: &(dyn Fn(String) + Send + Sync),
) -> Result<(Place, Made), Fault> {
    let name = format!("drtui-tunnel-{:08x}", rand::random::<u32>());
    step(format!("making pod {name}"));
    // Before it is asked for: an answer that does not come does not tell that it was not made.
    let made = Made { api: api.clone(), namespace: wanted.namespace.clone(), name: Some(name.clone()) };
    if let Err(fault) = api.create_pod(&wanted.namespace, &manifest(wanted, &name)).await {
        let unsure = matches!(
            fault,
            Fault::Unreachable { .. } | Fault::TimedOut { .. } | Fault::Server { .. } | Fault::Garbled { .. }
        );
        if !unsure {
            made.keep();
        }
        return Err(fault);
    }
    let mut last = "nothing is known of it".to_owned();
    let ready = async {
        let mut follow = Follow::new(api, &wanted.namespace, &name);
        while let Some(view) = follow.next().await {
            if view.ready {
                return Ok(());
            }
            last.clone_from(&view.why);
            if view.over {
                return Err(format!("pod {name} ended before it was ready: {}", view.why));
            }
            step(format!("waiting for pod {name}: {}", view.why));
        }
        Err(format!("pod {name} was deleted before it was ready"))
    };
    let failed = match timeout(READY, ready).await {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some(format!("pod {name} is not ready after {} s: {last}", READY.as_secs())),
    };
    if let Some(why) = failed {
        made.delete().await;
        return Err(Fault::Setup { why });
    }
    let place = Place::new(&wanted.namespace, &name, Some(CONTAINER.to_owned()), wanted.how.clone());
    Ok((place, made))
}

/// A pod that was made, and is deleted if it comes to nothing, also when whoever waited for it is gone.
#[derive(Debug)]
pub struct Made {
    api: Api,
    namespace: String,
    name: Option<String>,
}

impl Made {
    /// It is somebody else's to delete from now on.
    pub fn keep(mut self) {
        self.name = None;
    }

    /// Deletes it now.
    pub async fn delete(mut self) {
        if let Some(name) = &self.name {
            // Its deadline ends it otherwise.
            let _ = self.api.delete_pod(&self.namespace, name).await;
        }
        self.name = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.api.delete_pod_soon(&self.namespace, &name);
        }
    }
}

/// The pods of a namespace that stand for tunnels.
#[derive(Debug)]
pub struct Standing {
    /// Those of this user on this machine whose drtui has ended.
    pub orphans: Vec<Orphan>,
    /// All of them, whoever made them.
    pub all: Vec<TunnelPod>,
    /// Tunnels of this process that have one.
    pub ours: Vec<TunnelId>,
}

/// Lists them.
///
/// # Errors
/// They cannot be listed.
pub async fn standing(api: &Api, namespace: &str) -> Result<Standing, Fault> {
    let mine = owner();
    let pods = api.list("pods", namespace, LABEL).await?;
    let ours = pods.iter().filter(|pod| {
        let process = std::process::id().to_string();
        note(pod, OWNER) == Some(mine.as_str()) && note(pod, PROCESS) == Some(process.as_str())
    });
    Ok(Standing {
        orphans: pods.iter().filter_map(|pod| orphan(pod, &mine, is_alive)).collect(),
        all: pods.iter().filter_map(tunnel_pod).collect(),
        ours: ours.filter_map(|pod| tunnel_pod(pod)?.tunnel).collect(),
    })
}

fn note<'a>(pod: &'a Value, key: &str) -> Option<&'a str> {
    pod.pointer("/metadata/annotations")?.get(key)?.as_str()
}

fn tunnel_pod(pod: &Value) -> Option<TunnelPod> {
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).map(words::plain);
    Some(TunnelPod {
        namespace: text("/metadata/namespace")?,
        pod: text("/metadata/name")?,
        incident: note(pod, INCIDENT).map(words::plain),
        tunnel: note(pod, TUNNEL).and_then(|n| n.parse().ok()).map(TunnelId),
    })
}

fn is_alive(process: i32) -> bool {
    process == i32::try_from(std::process::id()).unwrap_or(0)
        || nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None) != Err(nix::errno::Errno::ESRCH)
}

fn orphan(pod: &Value, mine: &str, is_alive: impl Fn(i32) -> bool) -> Option<Orphan> {
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str);
    let owner = note(pod, OWNER)?;
    let process: i32 = note(pod, PROCESS)?.parse().ok()?;
    if owner != mine || is_alive(process) || text("/metadata/deletionTimestamp").is_some() {
        return None;
    }
    let created: Option<Utc> = text("/metadata/creationTimestamp").and_then(|t| t.parse().ok());
    let seconds = pod.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64);
    let begun = text("/status/startTime").and_then(|t| t.parse().ok()).or(created);
    Some(Orphan {
        namespace: words::plain(text("/metadata/namespace")?),
        pod: words::plain(text("/metadata/name")?),
        owner: words::plain(owner),
        incident: note(pod, INCIDENT).map(words::plain),
        created,
        ends_at: begun.zip(seconds).and_then(|(b, s)| b.checked_add_signed(TimeDelta::try_seconds(s)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(how: How) -> Wanted {
        Wanted {
            namespace: "tra-test".into(),
            image: "alpine:3.20.1".into(),
            app: "web".into(),
            incident: Some("I-1".into()),
            tunnel: TunnelId(3),
            deadline: Duration::from_secs(3_900),
            how,
        }
    }

    #[test]
    fn the_manifest_is_hardened_and_ends_by_itself() {
        let pod = manifest(&wanted(How::Exec), "drtui-tunnel-1");
        assert_eq!(pod["spec"]["activeDeadlineSeconds"], 3_900);
        assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(pod["metadata"]["labels"]["drtui/incident"], "I-1");
        let to = super::super::super::postgres::Host { name: "db.example".into(), port: 5432 };
        let pod = manifest(&wanted(relay(&to)), "drtui-tunnel-1");
        let command = pod["spec"]["containers"][0]["command"].to_string();
        assert!(command.contains("127.0.0.1") && command.contains("db.example"), "{command}");
        assert_eq!(label("some one@host!"), "some.one.host");
    }

    #[test]
    fn only_ones_own_dead_process_leaves_an_orphan() {
        let mut pod = manifest(&wanted(How::Exec), "drtui-tunnel-1");
        pod["metadata"]["namespace"] = "tra-test".into();
        pod["metadata"]["creationTimestamp"] = "2026-11-20T10:00:00Z".into();
        let mine = owner();
        let found = orphan(&pod, &mine, |_| false).unwrap();
        assert_eq!((found.pod.as_str(), found.incident.as_deref()), ("drtui-tunnel-1", Some("I-1")));
        assert_eq!(found.ends_at, Some("2026-11-20T11:05:00Z".parse().unwrap()));
        assert_eq!(orphan(&pod, &mine, |_| true), None);
        assert_eq!(orphan(&pod, "somebody@else", |_| false), None);
        assert!(is_alive(i32::try_from(std::process::id()).unwrap()));
    }
}
