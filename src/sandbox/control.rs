//! The sandbox's own remote control on loopback: disasters, faults, and changes to the cluster that somebody else would
//! make. No provider speaks through it and no fault acts on it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use chrono::TimeDelta;
use http::StatusCode;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::dependencies;
use super::disaster::{self, Disaster, DisasterError, Scene, Struck};
use super::faults::{Faults, Kind, Provider};
use super::github::Lever;
use super::kubernetes::{Churn, Cluster};
use super::postgres::fleet::{DOMAIN, Server};
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
    scene: Scene,
    ca_file: PathBuf,
    reads_only: Arc<AtomicBool>,
    github: Lever,
    cluster: Cluster,
    /// One disaster at a time.
    striking: tokio::sync::Mutex<()>,
    /// Goes on for as long as it is kept.
    churn: Mutex<Option<Churn>>,
}

impl Control {
    /// Starts on a free port of 127.0.0.1; disasters happen in `scene`, and `reads_only` takes Azure's rights away.
    ///
    /// # Errors
    /// No port.
    pub async fn start(
        scene: Scene,
        ca_file: PathBuf,
        reads_only: Arc<AtomicBool>,
        github: Lever,
        cluster: Cluster,
        mut stop: Stop,
    ) -> std::io::Result<Control> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let token = SecretString::from(plain(40));
        let desk = Arc::new(Desk {
            token: token.clone(),
            scene,
            ca_file,
            reads_only,
            github,
            cluster,
            striking: tokio::sync::Mutex::default(),
            churn: Mutex::default(),
        });
        let app = routes(desk);
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

fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/disasters", get(list_disasters))
        .route("/disaster", post(strike_in_words))
        .route("/disaster/{name}", post(strike))
        .route("/faults", get(list_faults))
        .route("/fault", post(set_fault))
        .route("/fault/{on}", delete(clear_fault))
        .route("/servers", get(list_servers))
        .route("/clock", get(tell_clock).post(set_clock))
        .route("/rights", post(set_rights))
        .route("/dependencies", get(list_dependencies))
        .route("/dependency", post(set_dependency))
        .route("/webhooks", get(list_messages))
        .route("/replicas", post(set_replicas))
        .route("/trouble", post(set_trouble))
        .route("/github", post(set_github))
        .route("/churn", post(churn))
        .route("/compact", post(compact))
        .layer(middleware::from_fn_with_state(Arc::clone(&desk), authorised))
        .with_state(desk)
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
    async fn strike(self: &Arc<Self>, name: &str) -> Result<Struck, (StatusCode, String)> {
        let disaster: Disaster = name.parse().map_err(|why| (StatusCode::NOT_FOUND, why))?;
        let desk = Arc::clone(self);
        // A task of its own: the request ends with its client's patience, and half a disaster is none of ours.
        let striking = tokio::spawn(async move {
            let _one = desk.striking.lock().await;
            disaster::strike(disaster, &desk.scene).await
        });
        let struck = striking.await.map_err(|error| {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the disaster {name} broke off: {error}"))
        })?;
        struck.map_err(|error| {
            let status = match &error {
                DisasterError::Refused(_) | DisasterError::Unfit(_) => StatusCode::CONFLICT,
                _ => StatusCode::BAD_GATEWAY,
            };
            (status, error.to_string())
        })
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
    desk.scene.faults.set(on, kind, lasts);
    Json(fault(&desk.scene.faults, on)).into_response()
}

async fn clear_fault(State(desk): State<Arc<Desk>>, Path(on): Path<String>) -> Response {
    match on.parse() {
        Ok(on) => {
            desk.scene.faults.clear(on);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(why) => refuse(StatusCode::NOT_FOUND, &why),
    }
}

async fn list_faults(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(Provider::ALL.map(|on| fault(&desk.scene.faults, on)).into())
}

fn fault(faults: &Faults, on: Provider) -> Value {
    let remaining = faults.remaining(on);
    json!({
        "on": on.name(),
        "kind": remaining.map(|(kind, _)| kind.name()),
        "for_s": remaining.map(|(_, left)| left.as_secs_f64()),
    })
}

/// Every server with where it really listens: names resolve inside the sandbox only.
async fn list_servers(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let Scene { servers, .. } = &desk.scene;
    let shown = |server: Server| {
        let parameters = format!("sslmode=verify-full&sslrootcert={}", desk.ca_file.display());
        let url = servers
            .access(&server.name)
            .map(|access| access.url("127.0.0.1", access.port, &parameters).expose_secret().to_owned());
        json!({
            "name": server.name, "host": format!("{}{DOMAIN}", server.name), "state": server.state.name(),
            "port": server.port, "url": url, "earliest_restore": server.earliest_restore,
            "created": server.created, "dropped": server.dropped,
        })
    };
    let there: Vec<Value> = servers.list().into_iter().map(shown).collect();
    let dropped: Vec<Value> = servers.dropped().into_iter().map(shown).collect();
    Json(json!({"servers": there, "dropped": dropped}))
}

async fn tell_clock(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let clock = &desk.scene.clock;
    Json(json!({"now": clock.now(), "shift_s": clock.shift().num_seconds()}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shift {
    /// How far Azure's and GitHub's time is ahead of real time, in seconds; 0 is real time.
    shift_s: i64,
}

async fn set_clock(State(desk): State<Arc<Desk>>, Json(wanted): Json<Shift>) -> Response {
    const YEARS: i64 = 3 * 366 * 86_400;
    if wanted.shift_s.abs() > YEARS {
        return refuse(StatusCode::BAD_REQUEST, "shift_s must be within three years");
    }
    desk.scene.clock.set_shift(TimeDelta::seconds(wanted.shift_s));
    tell_clock(State(desk)).await.into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rights {
    /// False: the principal may only look, as before its role is activated.
    may_write: bool,
}

async fn set_rights(State(desk): State<Arc<Desk>>, Json(wanted): Json<Rights>) -> StatusCode {
    desk.reads_only.store(!wanted.may_write, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn list_dependencies(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let is_up = |name: &str| desk.scene.dependencies.is_up(name);
    Json(
        dependencies::NAMES
            .map(|(name, title)| json!({"name": name, "title": title, "up": is_up(name)}))
            .into(),
    )
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    name: String,
    up: bool,
}

async fn set_dependency(State(desk): State<Arc<Desk>>, Json(wanted): Json<Dependency>) -> Response {
    if desk.scene.dependencies.set(&wanted.name, wanted.up) {
        return StatusCode::NO_CONTENT.into_response();
    }
    refuse(StatusCode::NOT_FOUND, "there is no such dependency; GET /dependencies lists them")
}

/// What the webhooks for Teams and Slack received.
async fn list_messages(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(desk.scene.dependencies.messages().into())
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

/// What an administrator of the repository, or an older GitHub, would have otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GithubSettings {
    /// Whether dispatch tells the run's number when asked, or always answers 204 as older servers do.
    run_details: Option<bool>,
    /// Whether the environment production asks for an approval.
    production_approval: Option<bool>,
}

async fn set_github(State(desk): State<Arc<Desk>>, Json(wanted): Json<GithubSettings>) -> Response {
    if let Some(on) = wanted.run_details {
        desk.github.set_run_details(on);
    }
    done(wanted.production_approval.is_none_or(|asked| desk.github.set_approval("production", asked)))
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
