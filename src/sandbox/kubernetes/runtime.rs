//! The container runtime: starts the main processes of pods, remembers what they print, and ends everything that runs in
//! a pod when the pod ends.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::super::serve::{Stop, stopped};
use super::controller;
use super::json::{list, text};
use super::kinds::Resource;
use super::logs::Logs;
use super::names::{Found, Names};
use super::pod::{self, Stage};
use super::shell::{self, Input, Io, KILLED, Output, Process};
use super::store::{Change, Inner, Key, Store, deployment_of, key_of};

/// Bytes that wait between two ends of a connection or a pipe.
pub const PIPE: usize = 64 << 10;
/// Connections that wait for a listener in a pod.
const BACKLOG: usize = 16;
/// On a pod: its image has no `nc`.
const NO_NC: &str = "/metadata/annotations/drtui.sandbox~1no-nc";

/// A running container.
#[derive(Debug)]
pub struct Container {
    key: Key,
    uid: String,
    /// `<deployment>.<namespace>`, under which the world may offer the container's own ports; or nothing.
    service: String,
    environment: BTreeMap<String, String>,
    names: Names,
    nc: bool,
    pub logs: Arc<Logs>,
    ended: watch::Sender<bool>,
    ports: Arc<Mutex<HashMap<u16, mpsc::Sender<DuplexStream>>>>,
}

/// A listener in a pod; dropping it frees its port.
#[derive(Debug)]
pub struct Listening {
    port: u16,
    ports: Arc<Mutex<HashMap<u16, mpsc::Sender<DuplexStream>>>>,
    connections: mpsc::Receiver<DuplexStream>,
}

impl Listening {
    /// The next connection.
    pub async fn accept(&mut self) -> Option<DuplexStream> {
        self.connections.recv().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.port);
    }
}

impl Container {
    pub fn pod(&self) -> &str {
        &self.key.1
    }

    pub fn uid(&self) -> &str {
        &self.uid
    }

    pub fn has_nc(&self) -> bool {
        self.nc
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Waits until the container has ended. Cancel-safe.
    pub async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender lives as long as `self`.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// A process in it, with its environment.
    pub fn process(self: &Arc<Self>, terminal: bool) -> Process {
        let mut environment = self.environment.clone();
        if terminal {
            environment.insert("TERM".into(), "xterm".into());
        }
        Process { container: Arc::clone(self), environment, terminal }
    }

    /// Listens on a port of the pod; `None` when something does already.
    pub fn listen(&self, port: u16) -> Option<Listening> {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        if ports.contains_key(&port) {
            return None;
        }
        let (sender, connections) = mpsc::channel(BACKLOG);
        ports.insert(port, sender);
        Some(Listening { port, ports: Arc::clone(&self.ports), connections })
    }

    /// Connects to a port of the pod, as from its own loopback.
    pub async fn connect(&self, port: u16) -> std::io::Result<DuplexStream> {
        let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let listener = self.ports.lock().unwrap_or_else(PoisonError::into_inner).get(&port).cloned();
        if let Some(listener) = listener {
            let (near, far) = tokio::io::duplex(PIPE);
            listener.send(far).await.map_err(|_| refused())?;
            return Ok(near);
        }
        let Found::Address(address) = self.names.find(&self.service, port) else { return Err(refused()) };
        let mut stream = TcpStream::connect(address).await?;
        let (near, mut far) = tokio::io::duplex(PIPE);
        tokio::spawn(async move {
            // Either end may go away; there is nobody to tell.
            let _ = tokio::io::copy_bidirectional(&mut far, &mut stream).await;
        });
        Ok(near)
    }
}

/// Ended containers whose logs are kept.
const KEPT: usize = 256;

/// All running containers that somebody has asked for or that have a process of their own.
#[derive(Debug)]
pub struct Runtime {
    store: Arc<Store>,
    names: Names,
    no_nc: bool,
    containers: Mutex<HashMap<String, Arc<Container>>>,
    /// Logs of containers that have ended, by the pod's uid, the oldest first.
    past: Mutex<VecDeque<(String, Arc<Logs>)>>,
}

impl Runtime {
    pub fn new(store: Arc<Store>, names: Names, no_nc: bool) -> Self {
        Runtime { store, names, no_nc, containers: Mutex::default(), past: Mutex::default() }
    }

    /// Follows the pods until `stop`.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let mut revision = self.store.subscribe();
        let mut told = 0;
        loop {
            revision.mark_unchanged();
            for (pod, gone) in self.news(&mut told) {
                self.look(&pod, gone);
            }
            tokio::select! {
                changed = revision.changed() => if changed.is_err() { return },
                () = stopped(&mut stop) => break,
            }
        }
        let containers = std::mem::take(&mut *self.containers.lock().unwrap_or_else(PoisonError::into_inner));
        for container in containers.values() {
            container.ended.send_replace(true);
        }
    }

    /// Pods that changed since `told`, and whether each is gone. Of one that went unseen, while the store forgot its past,
    /// there is only the uid.
    fn news(&self, told: &mut u64) -> Vec<(Value, bool)> {
        // Before the pods are listed: a container that is made meanwhile belongs to a pod that may be missing there.
        let known: Vec<String> =
            self.containers.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        self.store.read(|inner| {
            let from = std::mem::replace(told, inner.revision());
            match inner.since(from) {
                Some(entries) => entries
                    .filter(|entry| entry.resource == Resource::Pod)
                    .map(|entry| (entry.object.value.clone(), entry.change == Change::Deleted))
                    .collect(),
                None => {
                    let there: BTreeMap<&str, &Value> = inner
                        .all(Resource::Pod, None)
                        .map(|(_, pod)| (text(&pod.value, "/metadata/uid"), &pod.value))
                        .collect();
                    let gone = known.iter().filter(|uid| !there.contains_key(uid.as_str()));
                    let gone = gone.map(|uid| (json!({"metadata": {"uid": uid}}), true));
                    gone.chain(there.values().map(|pod| ((*pod).clone(), false))).collect()
                }
            }
        })
    }

    fn look(self: &Arc<Self>, pod: &Value, gone: bool) {
        let uid = text(pod, "/metadata/uid");
        if !gone && is_up(pod) {
            if has_command(pod) {
                self.container(pod);
            }
            return;
        }
        self.end(uid);
    }

    fn end(&self, uid: &str) {
        let ended = self.containers.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        if let Some(container) = ended {
            let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
            past.retain(|(known, _)| known != uid);
            past.push_back((uid.to_owned(), Arc::clone(&container.logs)));
            if past.len() > KEPT {
                past.pop_front();
            }
            drop(past);
            container.logs.finish();
            container.ended.send_replace(true);
        }
    }

    /// What a pod's container prints or has printed; `None` when it never started.
    pub fn logs(self: &Arc<Self>, pod: &Value) -> Option<Arc<Logs>> {
        if is_up(pod)
            && let Some(container) = self.container(pod)
        {
            return Some(Arc::clone(&container.logs));
        }
        let uid = text(pod, "/metadata/uid");
        let known = self.containers.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned();
        if let Some(container) = known {
            return Some(Arc::clone(&container.logs));
        }
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.iter().find(|(known, _)| known == uid).map(|(_, logs)| Arc::clone(logs))
    }

    /// The running container of a pod, started if it is not known yet; `None` when the pod is not up.
    pub fn container(self: &Arc<Self>, pod: &Value) -> Option<Arc<Container>> {
        let uid = text(pod, "/metadata/uid").to_owned();
        let key = key_of(pod);
        let known = self.containers.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).cloned();
        if known.is_some() {
            return known;
        }
        let environment = self.store.read(|inner| environment(inner, pod));
        let service = match deployment_of(pod) {
            "" => String::new(),
            deployment => format!("{deployment}.{}", key.0),
        };
        let container = Arc::new(Container {
            key: key.clone(),
            uid: uid.clone(),
            service,
            environment,
            names: self.names.clone(),
            nc: !self.no_nc && text(pod, NO_NC) != "true",
            logs: Arc::new(Logs::of(pod, has_command(pod))),
            ended: watch::Sender::new(false),
            ports: Arc::default(),
        });
        {
            let mut containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = containers.get(&uid) {
                return Some(Arc::clone(known));
            }
            containers.insert(uid.clone(), Arc::clone(&container));
        }
        // It may have ended in the meantime, and whoever ended it did not find it yet.
        let up = self.store.read(|inner| {
            let now = inner.get(Resource::Pod, &key.0, &key.1);
            now.is_some_and(|now| text(&now.value, "/metadata/uid") == uid && is_up(&now.value))
        });
        if !up {
            self.end(&uid);
            return None;
        }
        if has_command(pod) {
            tokio::spawn(main_process(Arc::clone(&self.store), Arc::clone(&container), argv(pod)));
        }
        Some(container)
    }
}

/// True while the pod's containers run.
pub fn is_up(pod: &Value) -> bool {
    matches!(pod::stage(pod), Stage::Starting | Stage::Ready)
}

fn has_command(pod: &Value) -> bool {
    !list(pod, "/spec/containers/0/command").is_empty() || !list(pod, "/spec/containers/0/args").is_empty()
}

/// The command line of the first container; arguments alone go to the image's own shell.
fn argv(pod: &Value) -> Vec<String> {
    let words = |name: &str| {
        let words = list(pod, &format!("/spec/containers/0/{name}"));
        words.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    [words("command"), words("args")].concat()
}

async fn main_process(store: Arc<Store>, container: Arc<Container>, argv: Vec<String>) {
    if let Some(why) = shell::cannot_start(&container, &argv) {
        container.logs.add(&why);
        controller::pods::exited(&store, &container.key, &container.uid, 128);
        return;
    }
    let (out, read_out) = tokio::io::duplex(PIPE);
    let reader = tokio::spawn(Arc::clone(&container.logs).collect(read_out));
    let output = Output::new(out);
    let io = Io { stdin: Input::default(), stdout: output.clone(), stderr: output };
    let mut process = container.process(false);
    let code = tokio::select! {
        code = shell::run(&mut process, &argv, io) => code,
        () = container.ended() => KILLED,
    };
    // The outputs are dropped with the process: the reader comes to its end.
    let _ = reader.await;
    if !*container.ended.borrow() {
        controller::pods::exited(&store, &container.key, &container.uid, code);
    }
}

/// What processes in a pod's first container find in their environment.
fn environment(inner: &Inner, pod: &Value) -> BTreeMap<String, String> {
    let (namespace, name) = key_of(pod);
    let mut found: BTreeMap<String, String> = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/"),
        ("HOSTNAME", name.as_str()),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for from in list(pod, "/spec/containers/0/envFrom") {
        let prefix = text(from, "/prefix");
        for (resource, reference) in [(Resource::Secret, "secretRef"), (Resource::ConfigMap, "configMapRef")]
        {
            let source = text(from, &format!("/{reference}/name"));
            let data = inner.get(resource, &namespace, source).and_then(|object| object.value.get("data"));
            for (key, value) in data.and_then(Value::as_object).into_iter().flatten() {
                found.insert(format!("{prefix}{key}"), plain(resource, value));
            }
        }
    }
    for variable in list(pod, "/spec/containers/0/env") {
        let value = match variable.get("valueFrom") {
            None => Some(text(variable, "/value").to_owned()),
            Some(from) => reference(inner, pod, &namespace, from),
        };
        if let Some(value) = value {
            found.insert(text(variable, "/name").to_owned(), value);
        }
    }
    found
}

fn reference(inner: &Inner, pod: &Value, namespace: &str, from: &Value) -> Option<String> {
    let field = text(from, "/fieldRef/fieldPath");
    if !field.is_empty() {
        let pointer = format!("/{}", field.replace('.', "/"));
        return Some(text(pod, &pointer).to_owned());
    }
    let sources = [(Resource::Secret, "secretKeyRef"), (Resource::ConfigMap, "configMapKeyRef")];
    let (resource, reference) = sources.into_iter().find_map(|(r, name)| Some((r, from.get(name)?)))?;
    let object = inner.get(resource, namespace, text(reference, "/name"))?;
    object.value.get("data")?.get(text(reference, "/key")).map(|value| plain(resource, value))
}

fn plain(resource: Resource, value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    if resource != Resource::Secret {
        return text.to_owned();
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::store::Inner;
    use super::*;

    #[test]
    fn a_container_ends_with_its_pod_even_if_the_store_forgot_both() {
        let store = Arc::new(Store::default());
        let runtime = Arc::new(Runtime::new(Arc::clone(&store), Names::default(), false));
        let pod = |name: &str| {
            let pod = json!({"metadata": {"name": name, "namespace": "n", "uid": name},
                "status": {"phase": "Running", "containerStatuses": [{"ready": true}]}});
            store.write(|inner| inner.put(Resource::Pod, pod).value.clone())
        };
        let (stays, goes) = (pod("stays"), pod("goes"));
        let [stays, goes] = [stays, goes].map(|pod| runtime.container(&pod).expect("the pod is up"));
        let mut told = store.read(Inner::revision);
        store.write(|inner| {
            inner.delete(Resource::Pod, "n", "goes");
            inner.compact();
        });
        for (pod, gone) in runtime.news(&mut told) {
            runtime.look(&pod, gone);
        }
        assert!(*goes.ended.borrow(), "its pod is gone");
        assert!(!*stays.ended.borrow(), "its pod is there");
    }
}
