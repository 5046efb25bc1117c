//! A write whose answer goes wrong in one exact place: never repeated blindly, and never called undone when nobody knows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use drtui::domain::{DeploymentKey, Fault};
use drtui::providers::{self, Providers, ScaleError, Scaled};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::ear::Ear;
use super::world::{Dir, NAMESPACE, crypto, key, only_kubernetes, target};

/// What the server does with a write.
enum Write {
    Accept,
    /// 409; the deployment then wants this many.
    Refuse(i64),
    /// Accepts and breaks the connection before the answer.
    Lose,
    /// Accepts and answers what nobody understands.
    Babble,
    Deny,
}

struct Server {
    replicas: i64,
    version: u64,
    script: VecDeque<Write>,
    writes: usize,
}

type Shared = Arc<Mutex<Server>>;

fn scale(server: &Server) -> Value {
    let spec = if server.replicas == 0 { json!({}) } else { json!({"replicas": server.replicas}) };
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "spec": spec,
        "metadata": {"name": "web", "namespace": NAMESPACE, "resourceVersion": server.version.to_string()},
    })
}

async fn read(State(server): State<Shared>) -> Response {
    axum::Json(scale(&server.lock().unwrap())).into_response()
}

async fn write(State(server): State<Shared>, axum::Json(body): axum::Json<Value>) -> Response {
    let mut server = server.lock().unwrap();
    server.writes += 1;
    assert_eq!(
        body["metadata"]["resourceVersion"],
        server.version.to_string(),
        "written to the version read"
    );
    let wanted = body["spec"]["replicas"].as_i64().unwrap();
    let what = server.script.pop_front().unwrap_or(Write::Accept);
    server.version += 1;
    if !matches!(what, Write::Refuse(_) | Write::Deny) {
        server.replicas = wanted;
    }
    match what {
        Write::Accept => axum::Json(scale(&server)).into_response(),
        Write::Refuse(replicas) => {
            server.replicas = replicas;
            (StatusCode::CONFLICT, "{\"kind\":\"Status\",\"message\":\"changed\"}").into_response()
        }
        Write::Deny => (StatusCode::FORBIDDEN, "{\"kind\":\"Status\",\"message\":\"no\"}").into_response(),
        Write::Babble => "{\"kind\":\"Sca".into_response(),
        Write::Lose => {
            let broken = futures::stream::iter([Ok("{\"kind\""), Err(std::io::Error::other("gone"))]);
            Body::from_stream(broken).into_response()
        }
    }
}

async fn start(name: &str, replicas: i64, script: Vec<Write>) -> (Providers, Shared, Dir) {
    crypto();
    let server = Arc::new(Mutex::new(Server { replicas, version: 7, script: script.into(), writes: 0 }));
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web/scale");
    let app = Router::new().route(&path, get(read).put(write)).with_state(Arc::clone(&server));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    let dir = Dir::new(name);
    let kubeconfig = dir.write(
        "kubeconfig",
        &format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{url}'}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        ),
    );
    let providers = providers::start(&only_kubernetes(&kubeconfig), &target(), Ear::default().sink());
    (providers, server, dir)
}

fn web() -> DeploymentKey {
    key("web")
}

fn writes(server: &Shared) -> usize {
    server.lock().unwrap().writes
}

#[tokio::test]
async fn a_write_that_lost_a_race_looks_again_before_it_writes_again() {
    // A status update took the version; nobody scaled.
    let (providers, server, _dir) = start("race-a", 2, vec![Write::Refuse(2)]).await;
    assert_eq!(providers.scale(&web(), 2, 0).await, Ok(Scaled { from: 2, to: 0 }));
    assert_eq!(writes(&server), 2);
    // Somebody scaled in between.
    let (providers, server, _dir) = start("race-b", 2, vec![Write::Refuse(4)]).await;
    let error = providers.scale(&web(), 2, 0).await.unwrap_err();
    assert!(matches!(&error.fault, Fault::Conflict { what } if what.starts_with("web now wants 4, not 2")));
    assert!(!error.maybe_applied);
    assert_eq!((writes(&server), server.lock().unwrap().replicas), (1, 4));
}

#[tokio::test]
async fn a_lost_answer_is_said_to_be_unknown_and_not_repeated() {
    for (name, what) in [("lost", Write::Lose), ("babble", Write::Babble)] {
        let (providers, server, _dir) = start(name, 2, vec![what]).await;
        let ScaleError { fault, maybe_applied } = providers.scale(&web(), 2, 0).await.unwrap_err();
        assert!(maybe_applied, "{fault:?}");
        assert_eq!((writes(&server), server.lock().unwrap().replicas), (1, 0), "it was applied, once");
    }
    let (providers, server, _dir) = start("deny", 2, vec![Write::Deny]).await;
    let error = providers.scale(&web(), 2, 0).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Denied { .. }) && !error.maybe_applied);
    assert_eq!(writes(&server), 1);
}
