//! The simulated Kubernetes cluster: an API server over HTTPS that kubectl and kube-rs take for real, with controllers
//! that move pods at a believable pace.

mod access;
mod api;
mod churn;
mod controller;
mod hostile;
mod ingress;
mod json;
mod kinds;
mod legacy;
mod list;
mod logs;
mod names;
mod objects;
mod openapi;
mod patch;
mod pod;
mod protobuf;
mod refusal;
mod remote;
mod route;
mod runtime;
mod selector;
mod shell;
mod spdy;
mod status;
mod store;
mod strict;
mod table;
mod watch;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use base64::Engine;
use thiserror::Error;

use super::certs::{Authority, CertError};
use super::faults::{Faults, Provider};
use super::serve::{ServeError, Stop, serve};
use access::{Access, Role};
pub use churn::Churn;
pub use ingress::Lead;
pub use kinds::Resource;
pub use names::Names;
use pod::Stage;
use runtime::Runtime;
use store::{Inner, Store};

/// Why the cluster could not start.
#[derive(Debug, Error)]
pub enum ClusterError {
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// How long things take. Each delay of a pod is drawn between the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From created to assigned to a node.
    pub schedule: (Duration, Duration),
    /// From assigned to container running.
    pub create: (Duration, Duration),
    /// From running to ready.
    pub ready: (Duration, Duration),
    /// From told to stop to gone.
    pub terminate: (Duration, Duration),
    /// Between two pods of one replica set that are started or stopped.
    pub stagger: Duration,
    /// From a container's end to its next start; twice as long each time.
    pub back_off: Duration,
}

impl Pace {
    /// As a small web service on a warm node: ready after 1 to 3 s, gone after 1 to 2 s.
    pub fn believable() -> Self {
        let ms = |from, to| (Duration::from_millis(from), Duration::from_millis(to));
        Pace {
            schedule: ms(50, 200),
            create: ms(300, 800),
            ready: ms(700, 1_800),
            terminate: ms(1_000, 2_000),
            stagger: Duration::from_millis(400),
            back_off: Duration::from_secs(10),
        }
    }

    /// For tests: the same steps, in milliseconds.
    pub fn fast() -> Self {
        let ms = |from, to| (Duration::from_millis(from), Duration::from_millis(to));
        Pace {
            schedule: ms(2, 5),
            create: ms(5, 10),
            ready: ms(10, 20),
            terminate: ms(10, 20),
            stagger: Duration::from_millis(5),
            back_off: Duration::from_millis(20),
        }
    }
}

/// A deployment to start with; it is settled (all replicas ready) from the first moment.
#[derive(Debug, Clone, Default)]
pub struct DeploymentSpec {
    pub namespace: String,
    pub name: String,
    pub replicas: u32,
    pub image: String,
    /// Minimum and maximum of a horizontal pod autoscaler of the same name.
    pub hpa: Option<(u32, u32)>,
    /// Names of secrets that its container reads with `envFrom`.
    pub secrets: Vec<String>,
}

/// A secret to start with; `data` is plain here and base64 on the wire.
#[derive(Clone, Default)]
pub struct SecretSpec {
    pub namespace: String,
    pub name: String,
    pub data: BTreeMap<String, String>,
}

impl std::fmt::Debug for SecretSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&String> = self.data.keys().collect();
        f.debug_struct("SecretSpec").field("name", &self.name).field("keys", &keys).finish_non_exhaustive()
    }
}

/// A public host name and the deployment that an ingress and a service of the deployment's name lead it to.
#[derive(Debug, Clone, Default)]
pub struct HostSpec {
    pub namespace: String,
    pub host: String,
    pub deployment: String,
}

/// What the cluster holds at its start.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// The cluster's name in the kubeconfig.
    pub name: String,
    /// Namespaces that exist; those of deployments and secrets are added.
    pub namespaces: Vec<String>,
    pub deployments: Vec<DeploymentSpec>,
    pub secrets: Vec<SecretSpec>,
    pub hosts: Vec<HostSpec>,
    /// Where host names lead, as seen from inside containers.
    pub names: Names,
    /// Images have no `nc`, as slim ones do not.
    pub no_nc: bool,
    pub pace: Pace,
    /// Namespaces in which the responder may write; empty means all.
    pub responder_writes: Vec<String>,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        ClusterSpec {
            name: "sandbox".into(),
            namespaces: Vec::new(),
            deployments: Vec::new(),
            secrets: Vec::new(),
            hosts: Vec::new(),
            names: Names::default(),
            no_nc: false,
            pace: Pace::believable(),
            responder_writes: Vec::new(),
        }
    }
}

/// A running cluster; clones are handles to the same one. It ends with `stop`.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: Arc<str>,
    addr: SocketAddr,
    ca_pem: Arc<str>,
    store: Arc<Store>,
    access: Arc<Access>,
    stop: Stop,
}

impl Cluster {
    /// Starts the API server on a free port of 127.0.0.1 and the controllers, with everything in `spec` settled.
    pub async fn start(
        spec: ClusterSpec,
        authority: &Authority,
        faults: Faults,
        stop: Stop,
    ) -> Result<Cluster, ClusterError> {
        let store = Arc::new(Store::default());
        store.write(|inner| fill(inner, &spec, authority.ca_pem()));
        let access = Arc::new(Access::new(spec.responder_writes));
        let runtime = Arc::new(Runtime::new(Arc::clone(&store), spec.names, spec.no_nc));
        tokio::spawn(Arc::clone(&runtime).run(stop.clone()));
        let api = api::Api {
            store: Arc::clone(&store),
            access: Arc::clone(&access),
            runtime,
            faults: faults.clone(),
            stop: stop.clone(),
        };
        let app = Router::new().fallback(api::handle).with_state(Arc::new(api));
        let tls = authority.server_config(&["kubernetes", "kubernetes.default.svc"])?;
        let follow = faults.follow(Provider::Kubernetes);
        let served = serve(None, app, Some(tls), Provider::Kubernetes, faults, stop.clone()).await?;
        let controller = controller::Controller::new(Arc::clone(&store), spec.pace);
        tokio::spawn(controller.run(stop.clone()));
        let good = hostile::firsts(&spec.deployments);
        tokio::spawn(hostile::run(Arc::clone(&store), good, follow, stop.clone()));
        Ok(Cluster {
            name: spec.name.into(),
            addr: served.addr,
            ca_pem: authority.ca_pem().into(),
            store,
            access,
            stop,
        })
    }

    /// `https://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Bearer token of the responder, who may read everything and write in its namespaces.
    pub fn token(&self) -> &str {
        self.access.token(Role::Responder)
    }

    /// Bearer token of a user who may get, list and watch (not secrets) and nothing else.
    pub fn viewer_token(&self) -> &str {
        self.access.token(Role::Viewer)
    }

    /// A kubeconfig (YAML) of the responder with the CA embedded. It holds a secret: write it with mode 0600.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_of(Role::Responder)
    }

    /// As `kubeconfig`, for the viewer.
    pub fn viewer_kubeconfig(&self) -> String {
        self.kubeconfig_of(Role::Viewer)
    }

    /// As `kubeconfig`, for someone who has not activated their production role.
    pub fn no_pim_kubeconfig(&self) -> String {
        self.kubeconfig_of(Role::NoPim)
    }

    /// As `kubeconfig`, for a responder who may not run anything in a container.
    pub fn no_exec_kubeconfig(&self) -> String {
        self.kubeconfig_of(Role::NoExec)
    }

    /// As `kubeconfig`, for a responder who may neither run anything in a container nor reach its ports.
    pub fn no_streams_kubeconfig(&self) -> String {
        self.kubeconfig_of(Role::NoStreams)
    }

    /// As `kubeconfig`, for a responder who may not read secrets.
    pub fn no_secrets_kubeconfig(&self) -> String {
        self.kubeconfig_of(Role::NoSecrets)
    }

    fn kubeconfig_of(&self, role: Role) -> String {
        let (name, url, token) = (&self.name, self.url(), self.access.token(role));
        let user = role.user();
        let ca = base64::engine::general_purpose::STANDARD.encode(self.ca_pem.as_bytes());
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\npreferences: {{}}\nclusters:\n- name: {name}\n  \
             cluster:\n    server: {url}\n    certificate-authority-data: {ca}\ncontexts:\n- name: {name}\n  \
             context:\n    cluster: {name}\n    user: {user}\nusers:\n- name: {user}\n  user:\n    token: {token}\n"
        )
    }

    /// `status.readyReplicas` of a deployment; 0 when there is none.
    pub fn ready_replicas(&self, namespace: &str, name: &str) -> usize {
        let ready = self.store.read(|inner| {
            let deployment = inner.get(Resource::Deployment, namespace, name)?;
            Some(json::int(&deployment.value, "/status/readyReplicas"))
        });
        ready.and_then(|ready| usize::try_from(ready).ok()).unwrap_or_default()
    }

    /// Returns the ready count of a deployment as soon as it is not `seen`. Cancel-safe.
    pub async fn ready_changed(&self, namespace: &str, name: &str, seen: usize) -> usize {
        let mut revision = self.store.subscribe();
        loop {
            revision.mark_unchanged();
            let ready = self.ready_replicas(namespace, name);
            if ready != seen {
                return ready;
            }
            if revision.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Sets `spec.replicas` of a deployment as another user would. False when there is no such deployment.
    pub fn set_replicas(&self, namespace: &str, name: &str, replicas: u32) -> bool {
        self.store.write(|inner| write::set_replicas(inner, namespace, name, replicas))
    }

    /// Lets the pods of a deployment crash with this waiting reason (e.g. `CrashLoopBackOff`), now and when they start
    /// again; `None` ends it. False when there is no such deployment.
    pub fn set_trouble(&self, namespace: &str, name: &str, reason: Option<&str>) -> bool {
        self.store.write(|inner| trouble(inner, namespace, name, reason))
    }

    /// Forgets all past versions: running watches go on, those that resume from before now are told 410.
    pub fn compact(&self) {
        self.store.write(Inner::compact);
    }

    /// The present resource version.
    pub fn revision(&self) -> u64 {
        self.store.read(Inner::revision)
    }

    /// Changes the ready count and an annotation of a random deployment `per_second` times a second until the returned
    /// value is dropped. Controllers are not told, so that each change is exactly one watch event. For benchmarks.
    pub fn churn(&self, per_second: u32) -> Churn {
        Churn::start(Arc::clone(&self.store), per_second, self.stop.clone())
    }
}

fn fill(inner: &mut Inner, spec: &ClusterSpec, ca_pem: &str) {
    let mut namespaces: BTreeSet<&str> = ["default", "kube-system"].into();
    namespaces.extend(spec.namespaces.iter().map(String::as_str));
    namespaces.extend(spec.deployments.iter().map(|d| d.namespace.as_str()));
    namespaces.extend(spec.secrets.iter().map(|s| s.namespace.as_str()));
    for name in namespaces {
        inner.put_quietly(Resource::Namespace, objects::namespace(name));
        objects::furnish(inner, name, ca_pem);
    }
    for secret in &spec.secrets {
        inner.put_quietly(Resource::Secret, objects::secret(secret));
    }
    for deployment in &spec.deployments {
        objects::settle(inner, deployment);
    }
    for host in &spec.hosts {
        objects::published(inner, host);
    }
}

fn trouble(inner: &mut Inner, namespace: &str, name: &str, reason: Option<&str>) -> bool {
    if inner.get(Resource::Deployment, namespace, name).is_none() {
        return false;
    }
    let key = (namespace.to_owned(), name.to_owned());
    let (from, to) = match reason {
        Some(reason) => {
            inner.troubled.insert(key, reason.to_owned());
            (Stage::Ready, Stage::Crashing)
        }
        None => {
            inner.troubled.remove(&key);
            (Stage::Crashing, Stage::Starting)
        }
    };
    let pods: Vec<_> = inner
        .prefixed(Resource::Pod, namespace, name)
        .filter(|pod| store::deployment_of(&pod.value) == name && pod::stage(&pod.value) == from)
        .cloned()
        .collect();
    for pod in pods {
        let mut value = pod.value.clone();
        pod::step(&mut value, to, reason.unwrap_or_default(), &json::now());
        inner.put(Resource::Pod, value);
    }
    true
}
