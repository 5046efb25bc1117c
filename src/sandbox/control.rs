//! The sandbox's own remote control on loopback: disasters, faults, and changes to the cluster that somebody else would
//! make. No provider speaks through it and no fault acts on it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::disaster::{self, Disaster, Struck};
use super::faults::{Faults, Kind, Provider};
use super::kubernetes::{Churn, Cluster};
use super::postgres::connect::Access;
use super::postgres::plain;
use super::serve::{Stop, stopped};

/// The running remote control.
#[derive(Debug)]
pub struct Control {
    /// `http://127.0.0.1:<port>`.
    pub endpoint: String,
    /// Bearer token that every request needs.
    pub token: SecretString,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Desk {
    token: SecretString,
    access: Access,
    cluster: Cluster,
    faults: Faults,
    /// One disaster at a time.
    striking: tokio::sync::Mutex<()>,
    /// Goes on for as long as it is kept.
    churn: Mutex<Option<Churn>>,
}

impl Control {
    /// Starts on a free port of 127.0.0.1; disasters happen through `access`.
    ///
    /// # Errors
    /// No port.
    pub async fn start(
        access: Access,
        cluster: Cluster,
        faults: Faults,
        mut stop: Stop,
    ) -> std::io::Result<Control> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let token = SecretString::from(plain(40));
        let desk = Arc::new(Desk {
            token: token.clone(),
            access,
            cluster,
            faults,
            striking: tokio::sync::Mutex::default(),
            churn: Mutex::default(),
        });
        let app = Router::new()
            .route("/disasters", get(list_disasters))
            .route("/disaster", post(strike_in_words))
            .route("/disaster/{name}", post(strike))
            .route("/faults", get(list_faults))
            .route("/fault", post(set_fault))
            .route("/fault/{on}", delete(clear_fault))
            .route("/replicas", post(set_replicas))
            .route("/trouble", post(set_trouble))
            .route("/churn", post(churn))
            .route("/compact", post(compact))
            .layer(middleware::from_fn_with_state(Arc::clone(&desk), authorised))
            .with_state(desk);
        let serving =
            axum::serve(listener, app).with_graceful_shutdown(async move { stopped(&mut stop).await });
        let task = tokio::spawn(async move {
            // Serving ends with the stop signal; accept errors are retried inside.
            let _ = serving.await;
        });
        Ok(Control { endpoint, token, task })
    }

    /// Ends it now; `stop` has been given.
    pub async fn ended(self) {
        if tokio::time::timeout(Duration::from_secs(1), self.task).await.is_err() {
            tracing::debug!("a client kept the sandbox's control connection open");
        }
    }
}

async fn authorised(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let wanted = format!("Bearer {}", desk.token.expose_secret());
    let given = request.headers().get(AUTHORIZATION).map(|v| v.as_bytes());
    if given == Some(wanted.as_bytes()) {
        return next.run(request).await;
    }
    refuse(StatusCode::UNAUTHORIZED, "the token of the sandbox's state file is needed")
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

async fn list_disasters() -> Json<Value> {
    Json(Disaster::ALL.map(|d| json!({"name": d.name(), "says": d.says()})).into())
}

async fn strike(State(desk): State<Arc<Desk>>, Path(name): Path<String>) -> Response {
    match desk.strike(&name).await {
        Ok(struck) => Json(struck).into_response(),
        Err((status, why)) => refuse(status, &why),
    }
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

/// The same with the name in the body, answered in words.
async fn strike_in_words(State(desk): State<Arc<Desk>>, Json(named): Json<Named>) -> Response {
    match desk.strike(&named.name).await {
        Ok(struck) => struck.words().into_response(),
        Err((status, why)) => (status, why).into_response(),
    }
}

impl Desk {
    async fn strike(&self, name: &str) -> Result<Struck, (StatusCode, String)> {
        let disaster: Disaster = name.parse().map_err(|why| (StatusCode::NOT_FOUND, why))?;
        let _one = self.striking.lock().await;
        disaster::strike(disaster, &self.access).await.map_err(|e| (StatusCode::BAD_GATEWAY, e.to_string()))
    }
}

/// A fault to inject: `kind` as in `faults`, `on` a provider's name, for so many seconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    kind: String,
    on: String,
    for_s: f64,
}

async fn set_fault(State(desk): State<Arc<Desk>>, Json(wanted): Json<Wanted>) -> Response {
    let parsed = wanted.kind.parse::<Kind>().and_then(|kind| Ok((kind, wanted.on.parse::<Provider>()?)));
    let (kind, on) = match parsed {
        Ok(parsed) => parsed,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
    };
    let Some(lasts) = Duration::try_from_secs_f64(wanted.for_s).ok().filter(|d| !d.is_zero()) else {
        return refuse(StatusCode::BAD_REQUEST, "for_s must be a number of seconds above 0");
    };
    desk.faults.set(on, kind, lasts);
    Json(fault(&desk.faults, on)).into_response()
}

async fn clear_fault(State(desk): State<Arc<Desk>>, Path(on): Path<String>) -> Response {
    match on.parse() {
        Ok(on) => {
            desk.faults.clear(on);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(why) => refuse(StatusCode::NOT_FOUND, &why),
    }
}

async fn list_faults(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(Provider::ALL.map(|on| fault(&desk.faults, on)).into())
}

fn fault(faults: &Faults, on: Provider) -> Value {
    let remaining = faults.remaining(on);
    json!({
        "on": on.name(),
        "kind": remaining.map(|(kind, _)| kind.name()),
        "for_s": remaining.map(|(_, left)| left.as_secs_f64()),
    })
}

/// A deployment, and what somebody else does to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replicas {
    namespace: String,
    name: String,
    replicas: u32,
}

/// Somebody else scales a deployment.
async fn set_replicas(State(desk): State<Arc<Desk>>, Json(wanted): Json<Replicas>) -> Response {
    done(desk.cluster.set_replicas(&wanted.namespace, &wanted.name, wanted.replicas))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    namespace: String,
    name: String,
    /// Waiting reason such as `CrashLoopBackOff`; left out, the trouble ends.
    reason: Option<String>,
}

/// The pods of a deployment begin to fail, or stop failing.
async fn set_trouble(State(desk): State<Arc<Desk>>, Json(wanted): Json<Trouble>) -> Response {
    done(desk.cluster.set_trouble(&wanted.namespace, &wanted.name, wanted.reason.as_deref()))
}

fn done(found: bool) -> Response {
    if found {
        return StatusCode::NO_CONTENT.into_response();
    }
    refuse(StatusCode::NOT_FOUND, "there is no such deployment")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pace {
    per_second: u32,
}

/// Watch events at a pace, for benchmarks; 0 ends them.
async fn churn(State(desk): State<Arc<Desk>>, Json(pace): Json<Pace>) -> StatusCode {
    let mut churn = desk.churn.lock().unwrap_or_else(PoisonError::into_inner);
    // The old one ends first, or both would run for a moment.
    *churn = None;
    *churn = (pace.per_second > 0).then(|| desk.cluster.churn(pace.per_second));
    StatusCode::NO_CONTENT
}

/// The cluster forgets its past: watches that resume from before are told 410.
async fn compact(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.cluster.compact();
    StatusCode::NO_CONTENT
}
