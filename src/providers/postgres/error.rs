//! What goes wrong between here and a database, in the words of whoever has to act.

use std::error::Error as StdError;
use std::io;

use thiserror::Error;
use tokio_postgres::error::SqlState;

use super::super::words;
use super::dial::DialError;
use super::url::{AZURE_SUFFIX, Host, UrlError};
use crate::domain::text;

/// Why there is no connection, or no connection any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PostgresError {
    #[error(transparent)]
    Url(#[from] UrlError),
    /// This machine cannot even try: a file, TLS.
    #[error("{why}")]
    Setup { why: String },
    #[error("no server called {server}: {whence} does not know the name. {}", spelling(.server))]
    UnknownServer { server: String, whence: String },
    #[error("{server} refuses connections: is it started?")]
    Refused { server: String },
    #[error("{server} did not answer within {after_s} s")]
    TimedOut { server: String, after_s: u64 },
    /// The way there is missing or broken: tunnel, pod, rights.
    #[error("{why}")]
    NoWay { why: String },
    #[error(
        "{server} answers with a certificate for {presented}, not for its own name: nothing was sent. \
             Something else answers in its place"
    )]
    TlsName { server: String, presented: String },
    #[error(
        "{server}'s certificate is not to be trusted ({why}): nothing was sent. \
             If its authority is your own, name it (ca_file, --ca-file)"
    )]
    TlsUntrusted { server: String, why: String },
    #[error("{server} does not speak TLS, and its URL asks for it: nothing was sent")]
    TlsMissing { server: String },
    #[error("{server} refuses the password of {user}: was it changed, or is this another server's?")]
    Password { server: String, user: String },
    #[error("{server} has no database called {database}")]
    UnknownDatabase { server: String, database: String },
    /// The server understood and said no, in its own words.
    #[error("{server} says: {message} ({sqlstate})")]
    Rejected { server: String, sqlstate: String, message: String },
    #[error("the connection to {server} is lost: {why}")]
    Lost { server: String, why: String },
}

fn spelling(server: &str) -> &'static str {
    if server.ends_with(AZURE_SUFFIX) {
        "Look at its spelling; a deleted server's name is gone, and a private one is known only inside its network"
    } else {
        "Look at its spelling"
    }
}

impl PostgresError {
    /// Sorts what the client library says about `host`.
    pub fn sort(error: &tokio_postgres::Error, host: &Host, user: &str, database: &str) -> PostgresError {
        let server = host.name.clone();
        if let Some(said) = error.as_db_error() {
            return rejected(said, server, user, database);
        }
        if let Some(dial) = within::<DialError>(error) {
            return PostgresError::from_dial(dial, &server);
        }
        if let Some(refused) = within::<rustls::Error>(error) {
            return certificate(refused, server);
        }
        let why = words::cause(error);
        if why.contains("server does not support TLS") {
            return PostgresError::TlsMissing { server };
        }
        if why.contains("password missing") {
            return PostgresError::Password { server, user: user.to_owned() };
        }
        let why = if why.contains("unexpected end of file") || why.contains("early eof") {
            "it hung up".to_owned()
        } else {
            why
        };
        PostgresError::Lost { server, why }
    }

    pub(super) fn from_dial(error: &DialError, server: &str) -> PostgresError {
        let server = server.to_owned();
        match error {
            DialError::UnknownHost { whence, .. } => {
                PostgresError::UnknownServer { server, whence: whence.clone() }
            }
            DialError::Refused { .. } => PostgresError::Refused { server },
            DialError::TimedOut { after_s, .. } => PostgresError::TimedOut { server, after_s: *after_s },
            DialError::NoNc { .. } | DialError::Denied { .. } | DialError::NoWay { .. } => {
                PostgresError::NoWay { why: error.to_string() }
            }
        }
    }

    /// True if another of the URL's hosts may do better.
    pub(super) fn is_of_one_host(&self) -> bool {
        matches!(
            self,
            PostgresError::UnknownServer { .. }
                | PostgresError::Refused { .. }
                | PostgresError::TimedOut { .. }
                | PostgresError::Lost { .. }
        )
    }
}

fn rejected(
    said: &tokio_postgres::error::DbError,
    server: String,
    user: &str,
    database: &str,
) -> PostgresError {
    match said.code() {
        code if *code == SqlState::INVALID_PASSWORD => {
            PostgresError::Password { server, user: user.to_owned() }
        }
        code if *code == SqlState::INVALID_CATALOG_NAME => {
            PostgresError::UnknownDatabase { server, database: database.to_owned() }
        }
        code => PostgresError::Rejected {
            server,
            sqlstate: code.code().to_owned(),
            message: words::plain(&text::redact(said.message())),
        },
    }
}

/// The error of type `E` that is or lies within `error`.
fn within<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    for _ in 0..16 {
        let error = next?;
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // `source` of an I/O error skips the error that it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn certificate(refused: &rustls::Error, server: String) -> PostgresError {
    use rustls::CertificateError as Bad;
    match refused {
        rustls::Error::InvalidCertificate(Bad::NotValidForNameContext { presented, .. }) => {
            let names: Vec<String> = presented.iter().map(|name| words::plain(&strip(name))).collect();
            let presented = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            PostgresError::TlsName { server, presented }
        }
        rustls::Error::InvalidCertificate(Bad::NotValidForName) => {
            PostgresError::TlsName { server, presented: "another name".to_owned() }
        }
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            PostgresError::TlsUntrusted { server, why: "its issuer is not known here".to_owned() }
        }
        other => PostgresError::TlsUntrusted { server, why: words::plain(&other.to_string()) },
    }
}

/// `DnsName("x")` as the library debug-prints it.
fn strip(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}
