//! The service itself: health pages that ask the database and a page of row counts. It answers only while its web
//! deployment has ready replicas; otherwise the ingress does, with 503.

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
use super::estate::{NAMESPACE, SHA, WEB};
use super::faults::{Faults, Provider};
use super::kubernetes::Cluster;
use super::postgres::connect::Access;
use super::recovery::Maintenance;
use super::recovery::maintenance::{PAGE, TEMPORARY_HOST};
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
    maintenance: Maintenance,
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
        maintenance: Maintenance,
        authority: &Authority,
        faults: Faults,
        stop: Stop,
    ) -> Result<Service, ServiceError> {
        let app = Arc::new(App { access, cluster, maintenance, client: Mutex::default() });
        let router = Router::new()
            .route("/", get(front))
            .route("/healthcheck", get(health))
            .route("/healthcheck/all", get(health))
            .route("/health/all", get(health))
            .route("/healthcheck/sha", get(|| async { SHA }))
            .with_state(Arc::clone(&app))
            .layer(middleware::from_fn_with_state(app, ingress));
        let tls = authority.server_config(&["refer-serious-misconduct.education.gov.uk", TEMPORARY_HOST])?;
        let served = serve(None, router, Some(tls), Provider::Service, faults, stop).await?;
        Ok(Service { url: format!("https://{}", served.addr), served })
    }

    /// Returns when it has stopped and every connection is closed.
    pub async fn ended(self) {
        self.served.ended().await;
    }
}

/// The ingress in front: the maintenance page while it is on, except under the temporary host, which exists only then;
/// without a ready web replica nobody is there to answer.
async fn ingress(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(http::header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let temporary = host.split(':').next().is_some_and(|h| h.eq_ignore_ascii_case(TEMPORARY_HOST));
    match (app.maintenance.is_on(), temporary) {
        (true, false) => return (StatusCode::SERVICE_UNAVAILABLE, Html(PAGE)).into_response(),
        (false, true) => {
            return (StatusCode::NOT_FOUND, "default backend - 404").into_response();
        }
        _ => {}
    }
    if app.cluster.ready_replicas(NAMESPACE, WEB) > 0 {
        return next.run(request).await;
    }
    let page = "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n\
                <center><h1>503 Service Temporarily Unavailable</h1></center>\r\n<hr><center>nginx</center>\r\n\
                </body>\r\n</html>\r\n";
    (StatusCode::SERVICE_UNAVAILABLE, Html(page)).into_response()
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
