//! Azure Resource Manager, Monitor metrics and the token authority in one HTTPS server, as their clients see them.
//! Facts are the sandbox's own: states, versions and metrics come from the PostgreSQL that really runs.

mod activity;
mod answer;
mod diagnostics;
mod locks;
mod metrics;
pub mod monitor;
mod operations;
mod route;
mod servers;
mod token;
mod vault;
mod writes;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use axum::Router;
use secrecy::SecretString;
use thiserror::Error;
use tokio::net::TcpListener;

use self::activity::Activity;
pub use self::answer::guid;
pub use self::diagnostics::Diagnostics;
pub use self::locks::Locks;
use self::monitor::Monitors;
use self::operations::Tickets;
pub use self::token::{Given, STORAGE, Tokens};
pub use self::writes::refused;
use super::certs::{Authority, CertError};
use super::clock::Clock;
use super::faults::{Faults, Provider};
use super::postgres::fleet::{self, Servers};
use super::postgres::plain;
use super::serve::{ServeError, Served, Stop, serve};

/// Names as on the platform.
pub const RESOURCE_GROUP: &str = "s189p01-rsm-pd-rg";
pub const SERVER: &str = fleet::LIVE;
pub const SIDE_COPY: &str = "s189p01-rsm-pd-pg-snapshot";

/// Why Azure does not answer.
#[derive(Debug, Error)]
pub enum AzureError {
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("cannot listen on 127.0.0.1 for the sandbox's azure: {0}")]
    Listen(std::io::Error),
}

/// The service principal of the sandbox.
#[derive(Debug, Clone)]
pub struct Principal {
    pub tenant: String,
    pub client_id: String,
    pub client_secret: SecretString,
    pub subscription: String,
}

impl Principal {
    /// A fresh one with a random secret.
    pub fn random() -> Principal {
        Principal {
            tenant: answer::guid(),
            client_id: answer::guid(),
            client_secret: SecretString::from(plain(40)),
            subscription: answer::guid(),
        }
    }
}

/// Everything that a request may need.
#[derive(Debug)]
struct Arm {
    endpoint: String,
    principal: Principal,
    servers: Servers,
    clock: Clock,
    monitors: Arc<Monitors>,
    tickets: Tickets,
    activity: Activity,
    diagnostics: Arc<Diagnostics>,
    locks: Arc<Locks>,
    /// True: the principal may only look, as without an activated role.
    reads_only: Arc<AtomicBool>,
    tokens: Tokens,
    reads: AtomicU32,
}

/// Azure, serving.
#[derive(Debug)]
pub struct Azure {
    /// `https://127.0.0.1:<port>`: resource manager and token authority.
    pub endpoint: String,
    /// The tokens that it gives out, for the other servers that take them.
    pub tokens: Tokens,
    /// Diagnostic settings, which outlive their servers.
    pub diagnostics: Arc<Diagnostics>,
    /// Locks against deletion.
    pub locks: Arc<Locks>,
    /// Set to true, the principal may only look.
    pub reads_only: Arc<AtomicBool>,
    served: Served,
}

impl Azure {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port or no certificate.
    pub async fn start(
        principal: Principal,
        servers: Servers,
        clock: Clock,
        authority: &Authority,
        faults: Faults,
        stop: Stop,
    ) -> Result<Azure, AzureError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(AzureError::Listen)?;
        let endpoint = format!("https://{}", listener.local_addr().map_err(AzureError::Listen)?);
        let tls = authority.server_config(&["management.azure.com", "login.microsoftonline.com"])?;
        let tokens = Tokens::default();
        let (diagnostics, locks, reads_only) =
            (Arc::<Diagnostics>::default(), Arc::<Locks>::default(), Arc::<AtomicBool>::default());
        let monitors = Arc::new(Monitors::default());
        let (watching, watched, until) = (Arc::clone(&monitors), servers.clone(), stop.clone());
        tokio::spawn(async move { watching.run(watched, until).await });
        let arm = Arc::new(Arm {
            endpoint: endpoint.clone(),
            principal,
            servers,
            clock,
            monitors,
            tickets: Tickets::default(),
            activity: Activity::default(),
            diagnostics: Arc::clone(&diagnostics),
            locks: Arc::clone(&locks),
            reads_only: Arc::clone(&reads_only),
            tokens: tokens.clone(),
            reads: AtomicU32::new(11_999),
        });
        let app = Router::new().fallback(route::answer).with_state(arm);
        let served = serve(Some(listener), app, Some(tls), Provider::Azure, faults, stop).await?;
        Ok(Azure { endpoint, tokens, diagnostics, locks, reads_only, served })
    }

    /// Returns when it has stopped and every connection is closed.
    pub async fn ended(self) {
        self.served.ended().await;
    }
}
