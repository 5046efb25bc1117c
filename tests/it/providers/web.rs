//! The health page: any answer is a value, silence is a fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use drtui::domain::{Health, Phase, Source, Update};
use drtui::providers;
use http::StatusCode;
use tokio::net::TcpListener;

use super::ear::Ear;
use super::world::{crypto, only_kubernetes, target};

const SOON: Duration = Duration::from_secs(10);

async fn health(ear: &Ear, from: usize, status: Option<u16>) -> Health {
    ear.hear(&format!("health {status:?}"), from, SOON, |u, _| match u {
        Update::Health { health } => (health.status == status).then(|| health.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_news_is_a_value_and_silence_is_a_fault() {
    crypto();
    let status = Arc::new(AtomicU16::new(200));
    let says = Arc::clone(&status);
    let page = get(move || {
        let status = says.load(Ordering::Relaxed);
        async move {
            // Closed, so that the server's end is the end of its connections.
            let location = [("location", "https://elsewhere.example/sign-in"), ("connection", "close")];
            (StatusCode::from_u16(status).unwrap(), location, format!("database says {status}\u{1b}[2J"))
        }
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, Router::new().route("/health", page)).into_future());
    let mut target = target();
    target.health_url = Some(format!("http://{addr}/health"));
    let ear = Ear::default();
    let providers =
        providers::start(&only_kubernetes("/nonexistent/kubeconfig".as_ref()), &target, ear.sink());
    let up = health(&ear, 0, Some(200)).await;
    assert!(up.is_up() && up.says == "database says 200", "{up:?}");
    for (code, words) in [(503, "database says 503"), (302, "redirects to elsewhere.example")] {
        status.store(code, Ordering::Relaxed);
        let from = ear.len();
        providers.retry_now(Source::Web);
        let down = health(&ear, from, Some(code)).await;
        assert!(!down.is_up() && down.says == words, "{down:?}");
    }
    let from = ear.len();
    server.abort();
    let _ = server.await;
    providers.retry_now(Source::Web);
    let (phase, next, _) = ear.stands(Source::Web, "stale", from, SOON, |p| !p.is_healthy()).await;
    assert!(matches!(phase, Phase::Stale { .. }) && next.is_some());
    assert!(
        !ear.since(from).iter().any(|(u, _)| matches!(u, Update::Health { .. })),
        "no answer takes no value away"
    );
    let listener = TcpListener::bind(addr).await.unwrap();
    let page = get(|| async { "back" });
    let server = tokio::spawn(axum::serve(listener, Router::new().route("/health", page)).into_future());
    let from = ear.len();
    assert_eq!(health(&ear, from, Some(200)).await.says, "back");
    ear.stands(Source::Web, "polled again", from, SOON, Phase::is_healthy).await;
    server.abort();
    // A kubeconfig that is not there is said with its path, and stops nobody.
    let (phase, ..) = ear.stands(Source::Kubernetes, "setup", 0, SOON, |p| !p.is_healthy()).await;
    assert!(matches!(phase, Phase::Stale { why } if why.contains("/nonexistent/kubeconfig")));
}
