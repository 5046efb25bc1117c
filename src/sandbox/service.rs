//! The service itself: health pages that ask the database and a page of row counts. Its front door does what the
//! cluster's ingresses say: to the service, to the maintenance page, or to nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use chrono::Utc;
use http::StatusCode;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::{Client, Row};

use super::certs::{Authority, CertError};
use super::estate::{DOMAIN, HOST, IMAGE, NAMESPACE, SHA, WEB};
use super::faults::{Faults, Provider};
use super::kubernetes::{Cluster, Lead};
use super::postgres::connect::Access;
use super::recovery::maintenance::{self, PAGE, TEMPORARY_HOST};
use super::serve::{ServeError, Served, Stop, serve};

/// Longest wait for the database before the service calls it down.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tables whose rows the front page counts.
const COUNTED: [&str; 9] = [
    "organisations",
    "users",
    "eligibility_checks",
    "referrals",
    "referrers",
    "allegations",
    "referral_evidence",
    "uploads",
    "case_notes",
];

/// Why the service could not start.
#[derive(Debug, Error)]
pub enum ServiceError {
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// The running service.
#[derive(Debug)]
pub struct Service {
    /// `https://127.0.0.1:<port>`.
    pub url: String,
    served: Served,
}

#[derive(Debug)]
struct App {
    access: Access,
    cluster: Cluster,
    client: Mutex<Option<Arc<Client>>>,
}

impl Service {
    /// Starts on a free port of 127.0.0.1, asking the database as `access`.
    ///
    /// # Errors
    /// No port or no certificate.
    pub async fn start(
        access: Access,
        cluster: Cluster,
        authority: &Authority,
        faults: Faults,
        stop: Stop,
    ) -> Result<Service, ServiceError> {
        let app = Arc::new(App { access, cluster, client: Mutex::default() });
        let router = Router::new()
            .route("/", get(front))
            .route("/healthcheck", get(health))
            .route("/healthcheck/all", get(health))
            .route("/health/all", get(health))
            .route("/healthcheck/sha", get(|| async { SHA }))
            .with_state(Arc::clone(&app))
            .layer(middleware::from_fn_with_state(app, ingress));
        let tls = authority.server_config(&[DOMAIN, HOST, TEMPORARY_HOST])?;
        let served = serve(None, router, Some(tls), Provider::Service, faults, stop).await?;
        Ok(Service { url: format!("https://{}", served.addr), served })
    }

    /// Returns when it has stopped and every connection is closed.
    pub async fn ended(self) {
        self.served.ended().await;
    }
}

/// Who answers for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    Service,
    MaintenancePage,
    /// A pod, but of an image that the sandbox has no life for.
    Stranger,
    /// The ingress has nobody to ask.
    Nobody,
    /// No ingress knows the host.
    Unknown,
}

/// Who answers a request for `path` of `host`. The public domain, and the address itself, lead to the service's host.
pub fn answers(cluster: &Cluster, host: &str, path: &str) -> Answers {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let own = name.eq_ignore_ascii_case(DOMAIN) || matches!(name, "127.0.0.1" | "localhost" | "");
    match cluster.lead(NAMESPACE, if own { HOST } else { name }, path) {
        Lead::Nowhere => Answers::Unknown,
        Lead::Nobody => Answers::Nobody,
        Lead::Pod { image } => match image.split(':').next().unwrap_or_default() {
            IMAGE => Answers::Service,
            maintenance::IMAGE => Answers::MaintenancePage,
            _ => Answers::Stranger,
        },
    }
}

/// The ingress in front.
async fn ingress(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(http::header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    match answers(&app.cluster, host, request.uri().path()) {
        Answers::Service => next.run(request).await,
        Answers::MaintenancePage => (StatusCode::SERVICE_UNAVAILABLE, Html(PAGE)).into_response(),
        Answers::Stranger => nginx(StatusCode::BAD_GATEWAY),
        Answers::Nobody => nginx(StatusCode::SERVICE_UNAVAILABLE),
        Answers::Unknown => (StatusCode::NOT_FOUND, "default backend - 404").into_response(),
    }
}

/// As nginx says it.
fn nginx(status: StatusCode) -> Response {
    let title = match status {
        StatusCode::BAD_GATEWAY => "502 Bad Gateway",
        _ => "503 Service Temporarily Unavailable",
    };
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    (status, Html(page)).into_response()
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let begun = Instant::now();
    let asked = app.ask("SELECT 1").await;
    let ms = begun.elapsed().as_millis();
    let (status, body) = match asked {
        Ok(_) => (
            StatusCode::OK,
            health_body("ok", json!({"success": true, "message": format!("answered in {ms} ms")})),
        ),
        Err(why) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            health_body("failed", json!({"success": false, "message": why})),
        ),
    };
    (status, axum::Json(body)).into_response()
}

fn health_body(status: &str, database: Value) -> Value {
    json!({"status": status, "commit_sha": SHA, "database": database})
}

async fn front(State(app): State<Arc<App>>) -> Response {
    let counts = COUNTED.map(|table| format!("SELECT '{table}', count(*) FROM {table}")).join(" UNION ALL ")
        + " ORDER BY 1";
    match app.ask(&counts).await {
        Ok(rows) => Html(page(&rows)).into_response(),
        Err(_) => {
            let page = "<!doctype html><title>Sorry</title><h1>Sorry, there is a problem with the service</h1>\
                        <p>Try again later.</p>";
            (StatusCode::INTERNAL_SERVER_ERROR, Html(page)).into_response()
        }
    }
}

fn page(rows: &[Row]) -> String {
    let line =
        |row: &Row| format!("<tr><th>{}</th><td>{}</td></tr>\n", row.get::<_, &str>(0), row.get::<_, i64>(1));
    let rows: String = rows.iter().map(line).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><title>Refer serious misconduct by a teacher</title></head>\n<body>\
         <h1>Refer serious misconduct by a teacher in England</h1>\n<table>\n{rows}</table>\n\
         <p>Commit {SHA}, {} UTC</p></body></html>\n",
        Utc::now().format("%Y-%m-%d %H:%M:%S")
    )
}

impl App {
    /// Asks the database on the kept connection; a broken one is replaced. The error is for people.
    async fn ask(&self, question: &str) -> Result<Vec<Row>, String> {
        let answer = async {
            let client = self.client().await?;
            let failed = |e: tokio_postgres::Error| {
                e.as_db_error().map_or_else(|| e.to_string(), |d| d.message().into())
            };
            client.query(question, &[]).await.map_err(failed)
        };
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                // Whatever it hangs on, the next request starts afresh.
                *self.client.lock().await = None;
                Err(format!("no answer from the database within {} s", PATIENCE.as_secs()))
            }
        }
    }

    async fn client(&self) -> Result<Arc<Client>, String> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|c| !c.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let opened = self.access.connect(WEB).await.map_err(|e| e.to_string())?;
        let client = Arc::new(opened);
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }
}
