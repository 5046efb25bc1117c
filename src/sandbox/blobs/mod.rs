//! Blob storage over HTTPS as its clients see it: one account, the platform's backup container with its immutability
//! policy, files in the run's folder.

mod answer;
mod auth;
mod list;
mod read;
mod route;
pub mod store;
mod write;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;

use self::store::Store;
use super::azure::Tokens;
use super::certs::{Authority, CertError};
use super::clock::Clock;
use super::faults::{Faults, Provider};
use super::serve::{ServeError, Served, Stop, serve};

/// The storage account of production's backups: `<prefix><short>dbbkp<cs>sa`.
pub const ACCOUNT: &str = "s189p01rsmdbbkppdsa";
/// Its container. Nothing in it can be overwritten or deleted.
pub const CONTAINER: &str = "database-backup";

/// Why there is no blob storage.
#[derive(Debug, Error)]
pub enum BlobsError {
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("cannot listen on 127.0.0.1 for the sandbox's blobs: {0}")]
    Listen(std::io::Error),
    #[error("cannot make a folder for the sandbox's blobs: {0}")]
    Folder(std::io::Error),
}

/// Where clients are sent to sign in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The token authority's endpoint.
    pub authority: String,
    pub tenant: String,
}

/// What requests need.
#[derive(Debug)]
struct Desk {
    /// `https://127.0.0.1:<port>/<account>`.
    endpoint: String,
    store: Store,
    clock: Clock,
    tokens: Tokens,
    sign_in: SignIn,
}

/// Blob storage, serving.
#[derive(Debug)]
pub struct Blobs {
    /// `https://127.0.0.1:<port>/<account>`.
    pub endpoint: String,
    /// The same blobs, for the simulators.
    pub store: Store,
    served: Served,
}

impl Blobs {
    /// Starts on a free port of 127.0.0.1 with files below `folder`; times are told by `clock`.
    ///
    /// # Errors
    /// No port, no certificate or no folder.
    pub async fn start(
        folder: &Path,
        clock: Clock,
        tokens: Tokens,
        sign_in: SignIn,
        authority: &Authority,
        faults: Faults,
        stop: Stop,
    ) -> Result<Blobs, BlobsError> {
        let store = Store::create(folder, clock.clone()).map_err(BlobsError::Folder)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(BlobsError::Listen)?;
        let endpoint = format!("https://{}/{ACCOUNT}", listener.local_addr().map_err(BlobsError::Listen)?);
        let host = format!("{ACCOUNT}.blob.core.windows.net");
        let tls = authority.server_config(&[&host])?;
        let desk =
            Arc::new(Desk { endpoint: endpoint.clone(), store: store.clone(), clock, tokens, sign_in });
        let app = Router::new().fallback(route::answer).with_state(desk);
        let served = serve(Some(listener), app, Some(tls), Provider::Blobs, faults, stop).await?;
        Ok(Blobs { endpoint, store, served })
    }

    /// Returns when it has stopped and every connection is closed.
    pub async fn ended(self) {
        self.served.ended().await;
    }
}
