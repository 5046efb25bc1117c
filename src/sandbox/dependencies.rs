//! What the service depends on, and where alerts go: status pages and health endpoints of GitHub, DfE Sign-in, GOV.UK
//! Notify, the TRS API and StatusCake, which can be taken down; and webhooks for Teams and Slack that keep what they got.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::certs::Authority;
use super::clock::Clock;
use super::estate::DOMAIN;
use super::faults::{Faults, Provider};
use super::kubernetes::Cluster;
use super::postgres::plain;
use super::serve::{Served, Stop, serve};
use super::service::{Answers, ServiceError, answers};

/// What the service depends on: name, and what it is for people.
pub const NAMES: [(&str, &str); 5] = [
    ("github", "GitHub"),
    ("dfe-sign-in", "DfE Sign-in"),
    ("govuk-notify", "GOV.UK Notify"),
    ("trs-api", "TRS API"),
    ("statuscake", "StatusCake"),
];
/// Messages that the webhooks keep; the oldest go first.
const MOST_MESSAGES: usize = 200;
/// Largest message, as Teams has it.
const LARGEST: usize = 28 * 1024;

/// What is down and what was received; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    down: Vec<String>,
    messages: VecDeque<Value>,
}

impl Dependencies {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a dependency down or brings it back; false if there is none of that name.
    pub fn set(&self, name: &str, is_up: bool) -> bool {
        if !NAMES.iter().any(|(known, _)| *known == name) {
            return false;
        }
        let mut inner = self.inner();
        inner.down.retain(|down| down != name);
        if !is_up {
            inner.down.push(name.to_owned());
        }
        true
    }

    pub fn is_up(&self, name: &str) -> bool {
        !self.inner().down.iter().any(|down| down == name)
    }

    /// What the webhooks received, oldest first.
    pub fn messages(&self) -> Vec<Value> {
        self.inner().messages.iter().cloned().collect()
    }

    fn keep(&self, message: Value) {
        let mut inner = self.inner();
        if inner.messages.len() >= MOST_MESSAGES {
            inner.messages.pop_front();
        }
        inner.messages.push_back(message);
    }
}

/// The server of all of them.
#[derive(Debug)]
pub struct Outside {
    /// Where each dependency tells how it is, by name; and `teams` and `slack`.
    pub addresses: BTreeMap<String, String>,
    pub webhooks: BTreeMap<String, String>,
    served: Served,
}

#[derive(Debug)]
struct Desk {
    dependencies: Dependencies,
    cluster: Cluster,
    clock: Clock,
    /// The webhooks' addresses are secrets: this is the secret part.
    secret: String,
}

impl Outside {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port or no certificate.
    pub async fn start(
        dependencies: Dependencies,
        cluster: Cluster,
        clock: Clock,
        authority: &Authority,
        stop: Stop,
    ) -> Result<Outside, ServiceError> {
        let secret = plain(43);
        let desk = Arc::new(Desk { dependencies, cluster, clock, secret: secret.clone() });
        let app = Router::new()
            .route("/{name}/api/v2/summary.json", get(summary))
            .route("/{name}/health", get(health))
            .route("/{name}/_status", get(health))
            .route("/{name}/.well-known/openid-configuration", get(openid))
            .route("/statuscake/v1/uptime", get(uptime))
            .route("/teams/{secret}", post(teams))
            .route("/slack/{secret}", post(slack))
            .with_state(desk);
        let tls = authority.server_config(&["www.githubstatus.com", "api.statuscake.com"])?;
        // Faults of the providers are none of theirs.
        let served = serve(None, app, Some(tls), Provider::Service, Faults::default(), stop).await?;
        let base = format!("https://{}", served.addr);
        let page = |name: &str| match name {
            "github" | "govuk-notify" => format!("{base}/{name}/api/v2/summary.json"),
            "dfe-sign-in" => format!("{base}/{name}/.well-known/openid-configuration"),
            "statuscake" => format!("{base}/statuscake/v1/uptime"),
            _ => format!("{base}/{name}/health"),
        };
        let addresses = NAMES.iter().map(|(name, _)| ((*name).to_owned(), page(name))).collect();
        let webhooks =
            ["teams", "slack"].map(|name| (name.to_owned(), format!("{base}/{name}/{secret}"))).into();
        Ok(Outside { addresses, webhooks, served })
    }

    /// Returns when it has stopped.
    pub async fn ended(self) {
        self.served.ended().await;
    }
}

fn title(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, title)| *title)
}

fn nothing_here() -> Response {
    (StatusCode::NOT_FOUND, "not found").into_response()
}

/// A status page as Statuspage makes it; the page itself answers while what it tells of is down.
async fn summary(State(desk): State<Arc<Desk>>, Path(name): Path<String>) -> Response {
    let Some(title) = title(&name) else { return nothing_here() };
    let is_up = desk.dependencies.is_up(&name);
    let now = desk.clock.now().to_rfc3339();
    let status = if is_up { "operational" } else { "major_outage" };
    let incident = json!({
        "id": "sandbox1", "name": format!("{title} is unavailable"), "status": "investigating", "impact": "major",
        "created_at": now, "updated_at": now, "shortlink": "https://stspg.io/sandbox1",
        "incident_updates": [{"status": "investigating", "body": "We are investigating.", "created_at": now}],
    });
    Json(json!({
        "page": {"id": name, "name": title, "time_zone": "Etc/UTC", "updated_at": now},
        "components": [{"id": format!("{name}-api"), "name": "API", "status": status, "updated_at": now}],
        "incidents": if is_up { json!([]) } else { json!([incident]) },
        "scheduled_maintenances": [],
        "status": {
            "indicator": if is_up { "none" } else { "major" },
            "description": if is_up { "All Systems Operational" } else { "Major Service Outage" },
        },
    }))
    .into_response()
}

fn down() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response()
}

async fn health(State(desk): State<Arc<Desk>>, Path(name): Path<String>) -> Response {
    match title(&name) {
        None => nothing_here(),
        Some(_) if !desk.dependencies.is_up(&name) => down(),
        Some(_) => Json(json!({"status": "ok"})).into_response(),
    }
}

/// What a service behind DfE Sign-in reads before anybody can sign in.
async fn openid(State(desk): State<Arc<Desk>>, Path(name): Path<String>, request: Request) -> Response {
    if name != "dfe-sign-in" {
        return nothing_here();
    }
    if !desk.dependencies.is_up(&name) {
        return down();
    }
    let host = request.headers().get(http::header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let issuer = format!("https://{host}/dfe-sign-in");
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/certs"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
    }))
    .into_response()
}

/// StatusCake's list of uptime tests: the service's own test is down while the service does not answer users.
async fn uptime(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    if !desk.dependencies.is_up("statuscake") {
        return down();
    }
    let answering = answers(&desk.cluster, DOMAIN, "/health/all") == Answers::Service;
    let status = if answering { "up" } else { "down" };
    let test = json!({
        "id": "6200001", "name": "refer-serious-misconduct-production", "test_type": "HTTP", "check_rate": 30,
        "website_url": "https://refer-serious-misconduct.education.gov.uk/health/all", "contact_groups": ["282453"],
        "paused": false, "status": status, "tags": ["tra", "production"], "uptime": 99.98,
    });
    let query = request.uri().query().unwrap_or_default();
    let wanted = query.split('&').find_map(|pair| pair.strip_prefix("status="));
    let data: Vec<Value> =
        std::iter::once(test).filter(|_| wanted.is_none_or(|wanted| wanted == status)).collect();
    let count = data.len();
    Json(json!({
        "data": data, "metadata": {"page": 1, "per_page": 25, "page_count": 1, "total_count": count},
    }))
    .into_response()
}

/// A Teams workflow takes adaptive cards only, and answers 202 without a body.
async fn teams(
    State(desk): State<Arc<Desk>>,
    Path(secret): Path<String>,
    body: axum::body::Bytes,
) -> Response {
    if secret != desk.secret {
        let error = json!({"error": {"code": "DirectApiAuthorizationRequired", "message": "The request is not signed."}});
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    let card = serde_json::from_slice::<Value>(&body).ok().filter(is_card);
    let Some(card) = card.filter(|_| body.len() <= LARGEST) else {
        let error =
            json!({"error": {"code": "InvalidRequestContent", "message": "An adaptive card is needed."}});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    desk.dependencies.keep(json!({"webhook": "teams", "at": desk.clock.now(), "message": card}));
    StatusCode::ACCEPTED.into_response()
}

fn is_card(message: &Value) -> bool {
    let is = |pointer: &str, wanted: &str| message.pointer(pointer).and_then(Value::as_str) == Some(wanted);
    is("/type", "message")
        && is("/attachments/0/contentType", "application/vnd.microsoft.card.adaptive")
        && is("/attachments/0/content/type", "AdaptiveCard")
}

/// Slack takes text and blocks, and says `ok`.
async fn slack(
    State(desk): State<Arc<Desk>>,
    Path(secret): Path<String>,
    body: axum::body::Bytes,
) -> Response {
    if secret != desk.secret {
        return (StatusCode::NOT_FOUND, "no_service").into_response();
    }
    let message = serde_json::from_slice::<Value>(&body).ok();
    let is_message = |m: &Value| m.get("text").is_some_and(Value::is_string) || m.get("blocks").is_some();
    let Some(message) = message.filter(|m| is_message(m) && body.len() <= LARGEST) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    desk.dependencies.keep(json!({"webhook": "slack", "at": desk.clock.now(), "message": message}));
    "ok".into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_goes_down_and_it_comes_back() {
        let all = Dependencies::default();
        assert!(all.set("github", false) && !all.is_up("github") && all.is_up("trs-api"));
        assert!(all.set("github", false) && all.set("github", true) && all.is_up("github"));
        assert!(!all.set("fax", false));
    }

    #[test]
    fn the_webhooks_keep_a_bounded_number() {
        let all = Dependencies::default();
        for n in 0..=MOST_MESSAGES {
            all.keep(json!(n));
        }
        assert_eq!(all.messages().len(), MOST_MESSAGES);
        assert_eq!(all.messages()[0], json!(1));
    }

    #[test]
    fn a_card_is_told_from_text() {
        assert!(!is_card(&json!({"text": "hello"})));
        assert!(is_card(&json!({"type": "message", "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "content": {"type": "AdaptiveCard"}}]})));
    }
}
