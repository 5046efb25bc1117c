//! The simulated Kubernetes API over real HTTPS: versions, watches, refusals, paging and faults.

use std::time::{Duration, Instant};

use drtui::sandbox::certs::Authority;
use drtui::sandbox::faults::{Faults, Kind, Provider};
use drtui::sandbox::kubernetes::{Cluster, ClusterSpec, DeploymentSpec, Pace, SecretSpec};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

const NS: &str = "tra-production";
const WEB: &str = "/apis/apps/v1/namespaces/tra-production/deployments/rsm-production";
const ALL: &str = "/apis/apps/v1/deployments";
const PATIENCE: Duration = Duration::from_secs(10);

struct World {
    cluster: Cluster,
    client: Client,
    faults: Faults,
    stop: watch::Sender<bool>,
}

fn deployment(name: &str, replicas: u32) -> DeploymentSpec {
    DeploymentSpec {
        namespace: NS.into(),
        name: name.into(),
        replicas,
        image: "ghcr.io/dfe-digital/rsm:1".into(),
        hpa: None,
        secrets: vec!["rsm-production-1".into()],
    }
}

async fn world() -> World {
    let secret = SecretSpec {
        namespace: NS.into(),
        name: "rsm-production-1".into(),
        data: [("DATABASE_URL".to_owned(), "postgres://x".to_owned())].into(),
    };
    world_of(ClusterSpec {
        namespaces: vec![NS.into(), "other".into()],
        deployments: vec![deployment("rsm-production", 2), deployment("rsm-production-worker", 1)],
        secrets: vec![secret],
        pace: Pace::fast(),
        responder_writes: vec![NS.into()],
        ..ClusterSpec::default()
    })
    .await
}

async fn world_of(spec: ClusterSpec) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (stop, stopped) = watch::channel(false);
    let faults = Faults::default();
    let authority = Authority::new().unwrap();
    let cluster = Cluster::start(spec, &authority, faults.clone(), stopped).await.unwrap();
    let ca = reqwest::Certificate::from_pem(authority.ca_pem().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
    World { cluster, client, faults, stop }
}

impl World {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.cluster.url())).bearer_auth(self.cluster.token())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    async fn patch(&self, path: &str, kind: &str, body: &Value) -> (StatusCode, Value) {
        let kind = format!("application/{kind}+json");
        let request = self.request(Method::PATCH, path).header("content-type", kind);
        answer(request.body(body.to_string())).await
    }

    async fn version(&self, path: &str) -> String {
        let (_, list) = self.get(path).await;
        list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
    }

    async fn watch(&self, path: &str) -> Lines {
        let separator = if path.contains('?') { '&' } else { '?' };
        let request = self.request(Method::GET, &format!("{path}{separator}watch=true"));
        let response = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        Lines { response, buffer: Vec::new() }
    }

    /// Asks until the answer is 200, within the patience.
    async fn recovers(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = self.request(Method::GET, ALL).timeout(Duration::from_secs(2));
            if request.send().await.is_ok_and(|response| response.status() == 200) {
                return;
            }
            assert!(Instant::now() < deadline, "it does not recover");
            tokio::task::yield_now().await;
        }
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
    (response.status(), response.json().await.unwrap())
}

/// A watch, line by line.
struct Lines {
    response: Response,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next event; `None` at a clean end, an error when the connection broke.
    async fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(|e| format!("not JSON: {e}"));
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.map_err(|_| "silence".to_owned())?;
            match chunk {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                Ok(None) => return Ok(None),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn event(&mut self) -> Value {
        self.next().await.unwrap().expect("the watch ended")
    }
}

fn name(event: &Value) -> &str {
    event["object"]["metadata"]["name"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn only_known_tokens_come_in() {
    let world = world().await;
    let open = world.client.get(format!("{}/readyz", world.cluster.url())).send().await.unwrap();
    assert_eq!(open.text().await.unwrap(), "ok");
    for token in ["", "wrong"] {
        let request = world.client.get(format!("{}{ALL}", world.cluster.url())).bearer_auth(token);
        let (status, body) = answer(request).await;
        assert_eq!((status.as_u16(), body["reason"].as_str()), (401, Some("Unauthorized")));
    }
    let (status, groups) = world.get("/apis").await;
    assert_eq!((status.as_u16(), groups["kind"].as_str()), (200, Some("APIGroupList")));
    world.stop.send(true).unwrap();
}

#[tokio::test]
async fn a_scale_is_seen_on_its_way_down_and_up() {
    let world = world().await;
    let from = world.version(ALL).await;
    let mut watch = world.watch(&format!("{ALL}?resourceVersion={from}")).await;
    for (to, way) in [(0, vec![2, 1, 0]), (2, vec![0, 1, 2])] {
        let body = json!({"spec": {"replicas": to}});
        let (status, scale) = world.patch(&format!("{WEB}/scale"), "merge-patch", &body).await;
        assert_eq!(status, 200);
        assert_eq!((scale["kind"].as_str(), scale["spec"]["replicas"].as_u64()), (Some("Scale"), Some(to)));
        let mut seen = Vec::new();
        loop {
            let event = watch.event().await;
            assert_eq!((event["type"].as_str(), name(&event)), (Some("MODIFIED"), "rsm-production"));
            let status = &event["object"]["status"];
            let ready = status["readyReplicas"].as_u64().unwrap_or(0);
            if seen.last() != Some(&ready) {
                seen.push(ready);
            }
            let caught_up = status["observedGeneration"] == event["object"]["metadata"]["generation"];
            if caught_up && ready == to && status["conditions"][1]["reason"] == "NewReplicaSetAvailable" {
                break;
            }
        }
        assert_eq!(seen, way);
        assert_eq!(world.cluster.ready_replicas(NS, "rsm-production"), usize::try_from(to).unwrap());
    }
    let (_, events) = world.get(&format!("/api/v1/namespaces/{NS}/events")).await;
    for reason in ["ScalingReplicaSet", "SuccessfulCreate", "Killing"] {
        let found = events["items"].as_array().unwrap().iter().any(|event| event["reason"] == reason);
        assert!(found, "no {reason} event");
    }
}

#[tokio::test]
async fn ready_changes_wake_those_who_follow() {
    let world = world().await;
    assert!(world.cluster.set_replicas(NS, "rsm-production", 0));
    assert!(!world.cluster.set_replicas(NS, "nobody", 0));
    let mut ready = 2;
    while ready != 0 {
        ready = timeout(PATIENCE, world.cluster.ready_changed(NS, "rsm-production", ready)).await.unwrap();
    }
    assert!(world.cluster.set_trouble(NS, "rsm-production-worker", Some("CrashLoopBackOff")));
    let worker = "rsm-production-worker";
    assert_eq!(timeout(PATIENCE, world.cluster.ready_changed(NS, worker, 1)).await.unwrap(), 0);
    let path = format!("/api/v1/namespaces/{NS}/pods?labelSelector=app%3D{worker}");
    let (_, pods) = world.get(&path).await;
    let container = &pods["items"][0]["status"]["containerStatuses"][0];
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(container["restartCount"], 1);
    assert!(world.cluster.set_trouble(NS, worker, None));
    assert_eq!(timeout(PATIENCE, world.cluster.ready_changed(NS, worker, 0)).await.unwrap(), 1);
}

#[tokio::test]
async fn refusals_are_the_api_servers() {
    let world = world().await;
    let (status, body) = world.get(&format!("{WEB}-missing")).await;
    assert_eq!(status, 404);
    assert_eq!(body["message"], "deployments.apps \"rsm-production-missing\" not found");
    let (status, body) =
        world.patch(&format!("{WEB}/scale"), "merge-patch", &json!({"spec": {"replicas": -1}})).await;
    assert_eq!((status.as_u16(), body["reason"].as_str()), (422, Some("Invalid")));
    assert!(body["message"].as_str().unwrap().contains("must be greater than or equal to 0"), "{body}");
    let (status, _) = world.patch(WEB, "apply-patch", &json!({})).await;
    assert_eq!(status, 415);
    let (status, body) = answer(world.request(Method::DELETE, ALL)).await;
    assert_eq!((status.as_u16(), body["reason"].as_str()), (405, Some("MethodNotAllowed")));
    let (status, body) = world.get("/apis/batch/v1/cronjobs").await;
    assert_eq!((status.as_u16(), body["reason"].as_str()), (404, Some("NotFound")));
    let (status, _) = world.get(&format!("{ALL}?labelSelector=a%20b")).await;
    assert_eq!(status, 400);
    let (status, body) = world.get(&format!("{ALL}?watch=1&sendInitialEvents=true")).await;
    assert_eq!((status.as_u16(), body["reason"].as_str()), (422, Some("Invalid")));
}

#[tokio::test]
async fn rights_hold() {
    let world = world().await;
    let url = format!("{}{WEB}/scale", world.cluster.url());
    let body = json!({"spec": {"replicas": 0}}).to_string();
    let request = world.client.patch(url).bearer_auth(world.cluster.viewer_token());
    let (status, refusal) =
        answer(request.header("content-type", "application/merge-patch+json").body(body)).await;
    assert_eq!((status.as_u16(), refusal["reason"].as_str()), (403, Some("Forbidden")));
    assert!(refusal["message"].as_str().unwrap().contains("cannot patch resource \"deployments/scale\""));
    for (namespace, may) in [(NS, true), ("other", false)] {
        let ask = json!({"spec": {"resourceAttributes":
            {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": namespace}}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let (status, review) = answer(world.request(Method::POST, path).json(&ask)).await;
        assert_eq!((status.as_u16(), review["status"]["allowed"].as_bool()), (201, Some(may)));
    }
}

#[tokio::test]
async fn stale_changes_conflict() {
    let world = world().await;
    let (_, mut before) = world.get(WEB).await;
    let labels = json!({"metadata": {"labels": {"touched": "yes"}}});
    let (status, after) = world.patch(WEB, "strategic-merge-patch", &labels).await;
    assert_eq!(status, 200);
    assert_ne!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    assert_eq!(before["metadata"]["generation"], after["metadata"]["generation"], "a label is no new spec");
    before["spec"]["replicas"] = json!(0);
    let (status, body) = answer(world.request(Method::PUT, WEB).json(&before)).await;
    assert_eq!((status.as_u16(), body["reason"].as_str()), (409, Some("Conflict")));
    let old = &before["metadata"]["resourceVersion"];
    let patch = json!({"metadata": {"resourceVersion": old}, "spec": {"replicas": 0}});
    let (status, _) = world.patch(&format!("{WEB}/scale"), "merge-patch", &patch).await;
    assert_eq!(status, 409);
    let tested = json!([{"op": "test", "path": "/spec/replicas", "value": 2},
                        {"op": "replace", "path": "/spec/replicas", "value": 3}]);
    let (status, after) = world.patch(WEB, "json-patch", &tested).await;
    assert_eq!((status.as_u16(), after["spec"]["replicas"].as_u64()), (200, Some(3)));
    assert_eq!(after["metadata"]["generation"], 2);
    let (status, _) = world.patch(WEB, "json-patch", &tested).await;
    assert_eq!(status, 422, "the test no longer holds");
}

#[tokio::test]
async fn a_watch_resumes_where_it_was_until_that_is_compacted() {
    let world = world().await;
    let from = world.version(ALL).await;
    let label = |value: &str| json!({"metadata": {"labels": {"n": value}}});
    for value in ["1", "2"] {
        world.patch(WEB, "merge-patch", &label(value)).await;
    }
    let mut watch = world.watch(&format!("{ALL}?resourceVersion={from}")).await;
    let mut first = String::new();
    for value in ["1", "2"] {
        let event = watch.event().await;
        assert_eq!(event["object"]["metadata"]["labels"]["n"], value);
        if first.is_empty() {
            first = event["object"]["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        }
    }
    let mut later = world.watch(&format!("{ALL}?resourceVersion={first}")).await;
    assert_eq!(later.event().await["object"]["metadata"]["labels"]["n"], "2");

    world.cluster.compact();
    let mut late = world.watch(&format!("{ALL}?resourceVersion={first}")).await;
    let event = late.event().await;
    assert_eq!((event["type"].as_str(), event["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
    assert_eq!(event["object"]["reason"], "Expired");
    assert_eq!(late.next().await, Ok(None), "the watch is over");
    // A watch that was there all along goes on.
    world.patch(WEB, "merge-patch", &label("3")).await;
    assert_eq!(watch.event().await["object"]["metadata"]["labels"]["n"], "3");

    let mut future = world.watch(&format!("{ALL}?resourceVersion=99999999")).await;
    assert_eq!(future.event().await["object"]["reason"], "Timeout");
}

#[tokio::test]
async fn a_watch_without_version_begins_with_what_there_is() {
    let world = world().await;
    let mut watch = world.watch(&format!("{ALL}?resourceVersion=0")).await;
    for known in ["rsm-production", "rsm-production-worker"] {
        let event = watch.event().await;
        assert_eq!((event["type"].as_str(), name(&event)), (Some("ADDED"), known));
    }
    let path = format!("{ALL}?labelSelector=colour%3Dred");
    let mut red = world.watch(&path).await;
    for (colour, kind) in [("red", "ADDED"), ("blue", "DELETED")] {
        let body = json!({"metadata": {"labels": {"colour": colour}}});
        world.patch(WEB, "merge-patch", &body).await;
        assert_eq!(red.event().await["type"], kind, "as seen through the selector");
    }
    let field = format!("{ALL}?fieldSelector=metadata.name%3Drsm-production-worker");
    let (_, list) = world.get(&field).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_watch_ends_in_time_after_a_bookmark() {
    let world = world().await;
    let from = world.version(ALL).await;
    let began = Instant::now();
    let path = format!("{ALL}?resourceVersion={from}&timeoutSeconds=2&allowWatchBookmarks=true");
    let mut watch = world.watch(&path).await;
    let event = watch.event().await;
    assert_eq!(event["type"], "BOOKMARK");
    assert_eq!(event["object"]["metadata"]["resourceVersion"], from.as_str());
    assert_eq!(event["object"]["kind"], "Deployment");
    assert_eq!(watch.next().await, Ok(None));
    let took = began.elapsed();
    assert!((2.0..4.0).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test]
async fn pages_hold_together() {
    let world = world().await;
    let (_, first) = world.get(&format!("{ALL}?limit=1")).await;
    assert_eq!(first["items"].as_array().unwrap().len(), 1);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = world.get(&format!("{ALL}?limit=1&continue={token}")).await;
    assert_eq!(second["items"][0]["metadata"]["name"], "rsm-production-worker");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert!(second["metadata"].get("continue").is_none());
    world.patch(WEB, "merge-patch", &json!({"metadata": {"labels": {"n": "1"}}})).await;
    world.cluster.compact();
    let (status, body) = world.get(&format!("{ALL}?limit=1&continue={token}")).await;
    assert_eq!((status.as_u16(), body["reason"].as_str()), (410, Some("Expired")));
}

#[tokio::test]
async fn a_deployment_can_be_made_changed_and_deleted() {
    let world = world().await;
    let made = json!({
        "metadata": {"name": "tool"},
        "spec": {"selector": {"matchLabels": {"app": "tool"}}, "template": {
            "metadata": {"labels": {"app": "tool"}},
            "spec": {"containers": [{"name": "tool", "image": "alpine"}]}}},
    });
    let all = format!("/apis/apps/v1/namespaces/{NS}/deployments");
    let (status, _) = answer(world.request(Method::POST, &all).json(&made)).await;
    assert_eq!(status, 201);
    assert_eq!(timeout(PATIENCE, world.cluster.ready_changed(NS, "tool", 0)).await.unwrap(), 1);
    let (status, body) = answer(world.request(Method::POST, &all).json(&made)).await;
    assert_eq!((status.as_u16(), body["reason"].as_str()), (409, Some("AlreadyExists")));
    let pods = format!("/api/v1/namespaces/{NS}/pods?labelSelector=app%3Dtool");
    let from = world.version(&pods).await;
    let mut watch = world.watch(&format!("{pods}&resourceVersion={from}")).await;
    let (status, body) = answer(world.request(Method::DELETE, &format!("{all}/tool"))).await;
    assert_eq!((status.as_u16(), body["status"].as_str()), (200, Some("Success")));
    while watch.event().await["type"] != "DELETED" {}
    let elsewhere = "/apis/apps/v1/namespaces/missing/deployments";
    let (status, _) = answer(world.request(Method::POST, elsewhere).json(&made)).await;
    assert_eq!(status, 403, "the responder has no rights there");
}

#[tokio::test]
async fn two_thousand_deployments_are_there_at_once() {
    let deployments = (0..2_000).map(|n| deployment(&format!("app-{n}"), 2)).collect();
    let began = Instant::now();
    let world = world_of(ClusterSpec { deployments, ..ClusterSpec::default() }).await;
    let started = began.elapsed();
    let (_, pods) = world.get("/api/v1/pods").await;
    assert_eq!(pods["items"].as_array().unwrap().len(), 4_000);
    println!("started in {started:?}, all pods listed after {:?}", began.elapsed());
    assert!(started < Duration::from_secs(3), "an unoptimised build on a busy machine: {started:?}");
}

#[tokio::test]
async fn churn_is_one_event_a_change() {
    let world = world().await;
    let from = world.version(ALL).await;
    let mut watch = world.watch(&format!("{ALL}?resourceVersion={from}")).await;
    let churn = world.cluster.churn(500);
    for number in 1..=250_u32 {
        let event = watch.event().await;
        let seen = &event["object"]["metadata"]["annotations"]["drtui.sandbox/churn"];
        assert_eq!(seen.as_str(), Some(number.to_string().as_str()));
    }
    drop(churn);
    // Controllers put the ready counts right again.
    while world.cluster.ready_replicas(NS, "rsm-production") != 2 {
        let seen = world.cluster.ready_replicas(NS, "rsm-production");
        timeout(PATIENCE, world.cluster.ready_changed(NS, "rsm-production", seen)).await.unwrap();
    }
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn faults_that_answer() {
    let world = world().await;
    for (kind, code, reason) in [
        (Kind::Unauthorized, 401, "Unauthorized"),
        (Kind::Forbidden, 403, "Forbidden"),
        (Kind::Gone, 410, "Expired"),
        (Kind::Throttled, 429, "TooManyRequests"),
        (Kind::ServerError, 500, "InternalError"),
    ] {
        let from = world.version(ALL).await;
        let mut watch = world.watch(&format!("{ALL}?resourceVersion={from}")).await;
        world.faults.set(Provider::Kubernetes, kind, LONG);
        let response = world.request(Method::GET, ALL).send().await.unwrap();
        assert_eq!(response.status(), code);
        let retry = response.headers().get("retry-after").is_some();
        assert_eq!(retry, kind == Kind::Throttled);
        assert_eq!(response.json::<Value>().await.unwrap()["reason"], reason);
        let last = watch.next().await.unwrap();
        if kind == Kind::Gone {
            assert_eq!(last.unwrap()["object"]["code"], 410);
            assert_eq!(watch.next().await, Ok(None));
        } else {
            assert_eq!(last, None, "a running watch ends, so that its reader comes to see the fault");
        }
        world.faults.clear(Provider::Kubernetes);
        world.recovers().await;
    }
}

#[tokio::test]
async fn faults_of_the_connection() {
    let world = world().await;
    for kind in [Kind::Refused, Kind::Reset] {
        let from = world.version(ALL).await;
        let mut watch = world.watch(&format!("{ALL}?resourceVersion={from}")).await;
        world.faults.set(Provider::Kubernetes, kind, LONG);
        assert!(watch.next().await.is_err(), "{kind:?} breaks a running watch");
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A socket of its own tells refusal from reset; the listener needs a moment to close.
            let address = world.cluster.url().replace("https://", "");
            let connected = tokio::net::TcpStream::connect(address).await;
            let error = match connected {
                Err(error) => error.kind(),
                Ok(stream) => {
                    let mut byte = [0];
                    let mut stream = stream;
                    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut byte);
                    match timeout(PATIENCE, read).await.unwrap() {
                        Err(error) => error.kind(),
                        Ok(_) => std::io::ErrorKind::Other,
                    }
                }
            };
            let wanted = match kind {
                Kind::Refused => std::io::ErrorKind::ConnectionRefused,
                _ => std::io::ErrorKind::ConnectionReset,
            };
            if error == wanted {
                break;
            }
            assert!(Instant::now() < deadline, "{kind:?} is seen as {error:?}");
            tokio::task::yield_now().await;
        }
        assert!(world.request(Method::GET, ALL).send().await.is_err());
        world.faults.clear(Provider::Kubernetes);
        world.recovers().await;
    }
}

#[tokio::test]
async fn a_fault_ends_by_itself() {
    let world = world().await;
    world.faults.set(Provider::Kubernetes, Kind::Refused, Duration::from_millis(200));
    world.recovers().await;
    assert_eq!(world.faults.active(Provider::Kubernetes), None);
}

#[tokio::test]
async fn a_stall_is_silence_and_nothing_is_lost() {
    let world = world().await;
    let from = world.version(ALL).await;
    let mut watch = world.watch(&format!("{ALL}?resourceVersion={from}")).await;
    world.faults.set(Provider::Kubernetes, Kind::Stall, LONG);
    assert!(world.cluster.set_replicas(NS, "rsm-production", 1));
    let silent = timeout(Duration::from_millis(300), watch.next()).await;
    assert!(silent.is_err(), "the watch spoke in a stall");
    let mut waiting = Box::pin(world.request(Method::GET, ALL).send());
    assert!(timeout(Duration::from_millis(300), &mut waiting).await.is_err(), "answered in a stall");
    world.faults.clear(Provider::Kubernetes);
    assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap().status(), 200);
    assert_eq!(watch.event().await["object"]["spec"]["replicas"], 1);
}

#[tokio::test]
async fn garbage_and_huge_answers() {
    let world = world().await;
    let from = world.version(ALL).await;
    let mut watch = world.watch(&format!("{ALL}?resourceVersion={from}")).await;
    world.faults.set(Provider::Kubernetes, Kind::Garbage, LONG);
    let response = world.request(Method::GET, ALL).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(serde_json::from_slice::<Value>(&response.bytes().await.unwrap()).is_err());
    assert!(watch.next().await.unwrap_err().contains("not JSON"));
    world.faults.set(Provider::Kubernetes, Kind::Huge, LONG);
    let mut response = world.request(Method::GET, ALL).send().await.unwrap();
    let mut size = 0;
    while let Some(chunk) = timeout(PATIENCE, response.chunk()).await.unwrap().unwrap() {
        size += chunk.len();
    }
    assert!(size > 50_000_000, "{size}");
    world.faults.clear(Provider::Kubernetes);
    world.recovers().await;
}

#[tokio::test]
async fn hostile_names_come_and_go() {
    let world = world().await;
    let from = world.version(ALL).await;
    let mut watch = world.watch(&format!("{ALL}?resourceVersion={from}")).await;
    world.faults.set(Provider::Kubernetes, Kind::HostileNames, LONG);
    let mut names = Vec::new();
    for _ in 0..4 {
        let event = watch.event().await;
        assert_eq!(event["type"], "ADDED");
        names.push(name(&event).to_owned());
    }
    assert!(names.iter().all(|name| name.starts_with("rsm-production-")));
    assert!(names.iter().any(|name| name.contains('\u{1b}')));
    assert!(names.iter().any(|name| name.chars().count() > 300));
    let (_, pods) = world.get("/api/v1/pods").await;
    let hostile = pods["items"].as_array().unwrap().iter().any(|pod| {
        let reason = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
        reason.as_str().is_some_and(|reason| reason.contains('\u{1b}'))
    });
    assert!(hostile);
    world.faults.clear(Provider::Kubernetes);
    for _ in 0..4 {
        assert_eq!(watch.event().await["type"], "DELETED");
    }
    let (_, list) = world.get(ALL).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}
