//! What the recovery workflows need of the PostgreSQL servers, whoever runs them.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use thiserror::Error;

use crate::sandbox::postgres::connect::Access;

/// Azure's refusal, as its client prints it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("({code}) {message}")]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `ResourceNotFound`, `ServerNameAlreadyExists`, …
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Refusal {
        Refusal { status, code: code.to_owned(), message: message.into() }
    }
}

/// What is on its way.
pub type Doing<'a, T> = BoxFuture<'a, Result<T, Refusal>>;

/// The sandbox's flexible servers by name, as the workflows use them.
pub trait Servers: Send + Sync + std::fmt::Debug {
    /// The way into the service's database on `server`, as the service's user.
    fn access<'a>(&'a self, server: &'a str) -> Doing<'a, Access>;

    /// Restores `source` as it was at `time` to the new server `new_name`; done when that server is ready.
    fn point_in_time_restore<'a>(
        &'a self,
        source: &'a str,
        time: DateTime<Utc>,
        new_name: &'a str,
    ) -> Doing<'a, ()>;

    /// Asks for the deleted server `name` as it was at `time`; done when the request is accepted, not when it is back.
    fn revive<'a>(&'a self, name: &'a str, time: DateTime<Utc>) -> Doing<'a, ()>;

    /// Makes the server `name` with an empty database of the service, as a deployment does when there is none. True if
    /// it had to be made.
    fn ensure<'a>(&'a self, name: &'a str) -> Doing<'a, bool>;

    /// Makes the server's diagnostic setting, as a deployment does after it; refused when one is left of a server before.
    fn diagnose<'a>(&'a self, name: &'a str) -> Doing<'a, ()>;
}
