//! The few requests that a tunnel makes of the API server, with their refusals in words.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::api::{AttachParams, DeleteParams, GetParams, ListParams, PostParams, WatchParams};
use kube::client::Connection;
use kube::core::Request;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::kubernetes::connect::{Link, Session};
use super::super::kubernetes::http::{self, About, Failure, Lines};
use super::super::kubernetes::scale::is_name;
use super::super::words;
use crate::domain::Fault;

/// For each request.
const PATIENCE: Duration = Duration::from_secs(10);
/// A watch is asked to end by itself after this many seconds, and is then opened again.
const WATCH_S: u32 = 280;

/// The API server, by the credentials of whoever runs this.
#[derive(Clone)]
pub struct Api {
    link: Arc<Link>,
    /// What clears away and nobody waits for.
    owed: Arc<Mutex<JoinSet<()>>>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

type Built = Result<::http::Request<Vec<u8>>, kube::core::request::Error>;

impl Api {
    pub fn new(link: Arc<Link>) -> Api {
        Api { link, owed: Arc::default() }
    }

    fn owed(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one object; `kind` is plural and names the path (`pods`, `deployments`).
    pub async fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Value, Fault> {
        let built = path(kind, namespace, name)?.get(name, &GetParams::default());
        self.json(built, &format!("get {kind} {namespace}/{name}")).await
    }

    /// Lists objects with these labels.
    pub async fn list(&self, kind: &str, namespace: &str, labels: &str) -> Result<Vec<Value>, Fault> {
        let built = path(kind, namespace, kind)?.list(&ListParams::default().labels(labels).limit(500));
        let list: Value = self.json(built, &format!("list {kind} in namespace {namespace}")).await?;
        match list.get("items") {
            Some(Value::Array(items)) => Ok(items.clone()),
            _ => Ok(Vec::new()),
        }
    }

    pub async fn create_pod(&self, namespace: &str, pod: &Value) -> Result<Value, Fault> {
        let body = pod.to_string().into_bytes();
        let built = path("pods", namespace, "x")?.create(&PostParams::default(), body);
        self.json(built, &format!("create pods in namespace {namespace}")).await
    }

    /// Deletes a pod at once; one that is gone already is fine.
    pub async fn delete_pod(&self, namespace: &str, name: &str) -> Result<(), Fault> {
        // Nothing in it needs time to end.
        let how = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        let built = path("pods", namespace, name)?.delete(name, &how);
        match self.json::<Value>(built, &format!("delete pods {namespace}/{name}")).await {
            Ok(_) | Err(Fault::NotFound { .. }) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// The same in the background, for whoever can wait no longer; [`Api::cleared`] can.
    pub fn delete_pod_soon(&self, namespace: &str, name: &str) {
        let (api, namespace, name) = (self.clone(), namespace.to_owned(), name.to_owned());
        self.owe(async move { drop(api.delete_pod(&namespace, &name).await) });
    }

    /// Does `what` in the background; [`Api::cleared`] waits for it.
    pub fn owe(&self, what: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut owed = self.owed();
        while owed.try_join_next().is_some() {}
        owed.spawn_on(what, &runtime);
    }

    /// Waits until nothing is owed any more, also what comes of what was.
    pub async fn cleared(&self) {
        loop {
            let mut owed = std::mem::take(&mut *self.owed());
            if owed.is_empty() {
                return;
            }
            while owed.join_next().await.is_some() {}
        }
    }

    /// Changes of one pod from `version` on.
    pub async fn watch_pod(&self, namespace: &str, name: &str, version: &str) -> Result<Lines, Fault> {
        let fields = format!("metadata.name={name}");
        let wanted = WatchParams::default().fields(&fields).timeout(WATCH_S);
        let built = path("pods", namespace, name)?.watch(&wanted, version);
        let what = format!("watch pods {namespace}/{name}");
        let session = self.link.session().await?;
        let about = About { what: &what, fix: &session.fix };
        let lines = http::lines(&session.client, request(built, &what)?, PATIENCE, &about).await;
        lines.map_err(|failure| self.heed(&session, failure))
    }

    /// Runs `command` in a pod, its streams over WebSocket.
    pub async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        command: &[&str],
        stdin: bool,
    ) -> Result<Connection, Fault> {
        let mut wanted = AttachParams::default().stdin(stdin).stdout(true).stderr(true);
        wanted.container = container.map(str::to_owned);
        let built = path("pods", namespace, pod)?.exec(pod, command.iter().copied(), &wanted);
        self.connect(built, &format!("create pods/exec on {namespace}/{pod}")).await
    }

    /// Reaches one port of a pod, over WebSocket.
    pub async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<Connection, Fault> {
        let built = path("pods", namespace, pod)?.portforward(pod, &[port]);
        self.connect(built, &format!("create pods/portforward on {namespace}/{pod}")).await
    }

    async fn connect(&self, built: Built, what: &str) -> Result<Connection, Fault> {
        let request = request(built, what)?;
        let session = self.link.session().await?;
        let connected = match timeout(PATIENCE, session.client.connect(request)).await {
            Err(_) => {
                // It may have waited on a connection that died in the machine's sleep: the next one is a new one.
                self.link.refused(&session);
                return Err(Fault::TimedOut { after_s: PATIENCE.as_secs() });
            }
            Ok(connected) => connected,
        };
        connected.map_err(|error| {
            let about = About { what, fix: &session.fix };
            let fault = match &error {
                kube::Error::Api(status) => {
                    http::refusal(status.code, words::plain(&status.message), None, &about)
                }
                kube::Error::UpgradeConnection(why) => {
                    let why = format!("{what}: no stream: {}", words::plain(&why.to_string()));
                    Fault::Garbled { why }
                }
                error => Fault::Unreachable { why: words::cause(error) },
            };
            if matches!(fault, Fault::AuthExpired { .. }) {
                self.link.refused(&session);
            }
            fault
        })
    }

    async fn json<T: DeserializeOwned>(&self, built: Built, what: &str) -> Result<T, Fault> {
        let request = request(built, what)?;
        let session = self.link.session().await?;
        let about = About { what, fix: &session.fix };
        let answer = http::json(&session.client, request, PATIENCE, &about).await;
        answer.map_err(|failure| self.heed(&session, failure))
    }

    fn heed(&self, session: &Session, failure: Failure) -> Fault {
        if matches!(failure.fault, Fault::AuthExpired { .. } | Fault::TimedOut { .. }) {
            self.link.refused(session);
        }
        failure.fault
    }
}

fn request(built: Built, what: &str) -> Result<::http::Request<Vec<u8>>, Fault> {
    built.map_err(|e| Fault::Setup { why: format!("cannot {what}: {}", words::plain(&e.to_string())) })
}

/// The path of a kind's collection; names become part of it.
fn path(kind: &str, namespace: &str, name: &str) -> Result<Request, Fault> {
    if let Some(bad) = [namespace, name].into_iter().find(|name| !is_name(name)) {
        return Err(Fault::Setup { why: format!("{:?} is not a name in Kubernetes", words::plain(bad)) });
    }
    let group = if kind == "deployments" { "apis/apps/v1" } else { "api/v1" };
    Ok(Request::new(format!("/{group}/namespaces/{namespace}/{kind}")))
}
