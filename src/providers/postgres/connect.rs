//! A connector: knows where, who and how, and can be asked for connections again and again, by anybody who has a clone.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::timeout;
use tokio_postgres::config::SslMode as Wanted;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dial::{BoxStream, Dial, Direct, Room};
use super::error::PostgresError;
use super::tls::Tls;
use super::url::{AZURE_SUFFIX, Host, SslMode, Url};

/// For one server: the way there, TLS and sign-in.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes connections to one database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connect {
    url: Arc<Url>,
    tls: Tls,
    dial: Arc<dyn Dial>,
    application: Arc<str>,
    options: Arc<[String]>,
    patience: Duration,
}

impl Connect {
    /// Connections by this machine's own sockets.
    pub fn direct(url: Url, tls: Tls) -> Connect {
        Connect::through(url, tls, Arc::new(Direct))
    }

    /// Connections by streams that `dial` opens, such as a tunnel's.
    pub fn through(url: Url, tls: Tls, dial: Arc<dyn Dial>) -> Connect {
        let application = concat!("drtui/", env!("CARGO_PKG_VERSION")).into();
        Connect { url: Arc::new(url), tls, dial, application, options: Arc::new([]), patience: PATIENCE }
    }

    /// Sets the name that `pg_stat_activity` shows.
    #[must_use]
    pub fn application(mut self, name: &str) -> Connect {
        self.application = name.into();
        self
    }

    /// Adds a server setting for each session, e.g. `default_transaction_read_only`, `on`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Connect {
        // Backslash and space are what the server's `options` escape.
        let escaped = value.replace('\\', "\\\\").replace(' ', "\\ ");
        let more = std::iter::once(format!("-c {name}={escaped}"));
        self.options = self.options.iter().cloned().chain(more).collect();
        self
    }

    /// How long one server may take to be reached and to let us in.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Connect {
        self.patience = patience;
        self
    }

    /// While the answer lives, the tunnel that it goes through, if it does, keeps no connection of its own to the server.
    pub fn make_room(&self) -> Option<Room> {
        self.dial.make_room()
    }

    /// Where it leads.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Opens a connection; the URL's hosts are tried in their order. It lives as long as the client.
    ///
    /// # Errors
    /// The last host's, or the first that another host would not mend (password, certificate).
    pub async fn client(&self) -> Result<Client, PostgresError> {
        let mut last = PostgresError::NoWay { why: "the URL names no host".to_owned() };
        for host in &self.url.hosts {
            let tried = timeout(self.patience, self.one(host)).await.unwrap_or_else(|_| {
                Err(PostgresError::TimedOut { server: host.name.clone(), after_s: self.patience.as_secs() })
            });
            match tried {
                Ok(client) => return Ok(client),
                Err(error) if error.is_of_one_host() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn one(&self, host: &Host) -> Result<Client, PostgresError> {
        let sort =
            |e: &tokio_postgres::Error| PostgresError::sort(e, host, &self.url.user, &self.url.database);
        let stream = self.stream(host).await?;
        let config = self.config(host);
        let tls = self.make_tls(host)?;
        let (client, connection) = config.connect_raw(stream, tls).await.map_err(|e| sort(&e))?;
        tokio::spawn(async move {
            // A broken connection shows as an error of the next query.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// Cancels what the client with this token is doing, over a connection of its own.
    ///
    /// # Errors
    /// As [`Connect::client`]; the server does not say whether there was anything to cancel.
    pub async fn cancel(&self, token: &CancelToken) -> Result<(), PostgresError> {
        let Some(host) = self.url.hosts.first() else { return Ok(()) };
        let cancel = async {
            let stream = self.stream(host).await?;
            let tls = self.make_tls(host)?;
            let sort = |e| PostgresError::sort(&e, host, &self.url.user, &self.url.database);
            token.cancel_query_raw(stream, tls).await.map_err(sort)
        };
        timeout(self.patience, cancel).await.unwrap_or_else(|_| {
            Err(PostgresError::TimedOut { server: host.name.clone(), after_s: self.patience.as_secs() })
        })
    }

    async fn stream(&self, host: &Host) -> Result<BoxStream, PostgresError> {
        self.dial.dial(host).await.map_err(|e| PostgresError::from_dial(&e, &host.name))
    }

    fn make_tls(
        &self,
        host: &Host,
    ) -> Result<<MakeRustlsConnect as MakeTlsConnect<BoxStream>>::TlsConnect, PostgresError> {
        let mut make = MakeRustlsConnect::new(rustls::ClientConfig::clone(&self.tls.client));
        MakeTlsConnect::<BoxStream>::make_tls_connect(&mut make, &host.name).map_err(|e| {
            PostgresError::Setup { why: format!("{} cannot be a certificate's name: {e}", host.name) }
        })
    }

    fn config(&self, host: &Host) -> Config {
        let mut config = Config::new();
        // Only for the messages of the library: the stream is ours.
        config.host(&host.name).port(host.port);
        config.user(&self.url.user).dbname(&self.url.database).application_name(&*self.application);
        if let Some(password) = &self.url.password {
            config.password(password.expose_secret());
        }
        let options: Vec<&str> =
            self.url.options.as_deref().into_iter().chain(self.options.iter().map(|o| &**o)).collect();
        if !options.is_empty() {
            config.options(options.join(" "));
        }
        config.ssl_mode(wanted(self.url.ssl, &host.name));
        config
    }
}

/// Plain text only where the URL allows it, and never to Azure.
fn wanted(mode: Option<SslMode>, host: &str) -> Wanted {
    match mode {
        _ if host.ends_with(AZURE_SUFFIX) => Wanted::Require,
        Some(SslMode::Disable) => Wanted::Disable,
        None | Some(SslMode::Allow | SslMode::Prefer) => Wanted::Prefer,
        Some(SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => Wanted::Require,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azure_is_never_asked_in_plain_text() {
        let azure = format!("x{AZURE_SUFFIX}");
        assert_eq!(wanted(Some(SslMode::Disable), &azure), Wanted::Require);
        assert_eq!(wanted(Some(SslMode::Disable), "rsm-review-1-postgres"), Wanted::Disable);
        assert_eq!(wanted(None, "rsm-review-1-postgres"), Wanted::Prefer);
        assert_eq!(wanted(Some(SslMode::Require), "db"), Wanted::Require);
    }
}
