//! The sandbox's remote control: asked by its state file, only where there is one.

use axum::Router;
use axum::routing::post;
use drtui::domain::Fault;
use drtui::providers;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::ear::Ear;
use super::world::{Dir, crypto, only_kubernetes, target};

#[tokio::test]
async fn a_disaster_is_made_in_a_sandbox_only() {
    crypto();
    let strike = post(|headers: HeaderMap, axum::Json(asked): axum::Json<Value>| async move {
        match (headers["authorization"].to_str().unwrap(), asked["name"].as_str().unwrap()) {
            ("Bearer t0ken", "rows-deleted") => {
                (StatusCode::OK, "rows-deleted: data was whole until 12:00\n")
            }
            ("Bearer t0ken", _) => (StatusCode::NOT_FOUND, "there is rows-deleted"),
            _ => (StatusCode::UNAUTHORIZED, "no"),
        }
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/disaster", strike)).into_future());
    let dir = Dir::new("control");
    let state =
        dir.write("state.json", &json!({"control": {"endpoint": endpoint, "token": "t0ken"}}).to_string());
    let settings = only_kubernetes("/nonexistent/kubeconfig".as_ref());
    let mut target = target();
    target.sandbox = Some(state);
    let sandbox = providers::start(&settings, &target, Ear::default().sink());
    let done = sandbox.sandbox_disaster("rows-deleted").await;
    assert_eq!(done.as_deref(), Ok("rows-deleted: data was whole until 12:00"));
    let unknown = sandbox.sandbox_disaster("flood").await.unwrap_err();
    assert!(matches!(unknown, Fault::NotFound { what } if what.contains("there is rows-deleted")));
    // A state file that points elsewhere is not followed: the token would go with the question.
    dir.write("state.json", "{\"control\":{\"endpoint\":\"https://example.com\",\"token\":\"t0ken\"}}");
    let elsewhere = sandbox.sandbox_disaster("rows-deleted").await.unwrap_err().to_string();
    assert!(elsewhere.contains("not on this machine"), "{elsewhere}");
    target.sandbox = None;
    let real = providers::start(&settings, &target, Ear::default().sink());
    let refused = real.sandbox_disaster("rows-deleted").await.unwrap_err().to_string();
    assert!(refused.contains("not a sandbox"), "{refused}");
}
