//! The simulators' own way into the server: TLS checked against the sandbox's authority, password, short patience.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresError;
use crate::sandbox::certs::Authority;

const PATIENCE: Duration = Duration::from_secs(5);

/// A user's way into one database.
#[derive(Clone)]
pub struct Access {
    pub port: u16,
    pub user: String,
    pub password: SecretString,
    pub database: String,
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({}@127.0.0.1:{}/{})", self.user, self.port, self.database)
    }
}

impl Access {
    /// # Errors
    /// The authority's certificate cannot be used.
    pub fn new(
        port: u16,
        user: &str,
        password: SecretString,
        database: &str,
        authority: &Authority,
    ) -> Result<Access, PostgresError> {
        let tls = Arc::new(trust(authority.ca_pem())?);
        Ok(Access { port, user: user.to_owned(), password, database: database.to_owned(), tls })
    }

    /// The same user in another database.
    pub fn in_database(&self, database: &str) -> Access {
        Access { database: database.to_owned(), ..self.clone() }
    }

    /// The same way into the server on another port.
    pub fn with_port(&self, port: u16) -> Access {
        Access { port, ..self.clone() }
    }

    /// Opens a connection; `application` is shown in `pg_stat_activity`. The connection ends with the client.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn connect(&self, application: &str) -> Result<Client, PostgresError> {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user(&self.user)
            .password(self.password.expose_secret())
            .dbname(&self.database)
            .application_name(application)
            .connect_timeout(PATIENCE)
            .ssl_mode(SslMode::Require);
        let tls = MakeRustlsConnect::new(ClientConfig::clone(&self.tls));
        let failed = |source| PostgresError::Connect { port: self.port, user: self.user.clone(), source };
        let (client, connection) = config.connect(tls).await.map_err(failed)?;
        tokio::spawn(async move {
            // A broken connection shows as an error of the next query.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// As libpq and the platform write it, for files that only the user may read.
    pub fn url(&self, host: &str, port: u16, parameters: &str) -> SecretString {
        SecretString::from(format!(
            "postgres://{}:{}@{host}:{port}/{}?{parameters}",
            self.user,
            self.password.expose_secret(),
            self.database
        ))
    }
}

fn trust(ca_pem: &str) -> Result<ClientConfig, PostgresError> {
    let failed = |why: String| PostgresError::Tls { why };
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(cert.map_err(|e| failed(e.to_string()))?).map_err(|e| failed(e.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
