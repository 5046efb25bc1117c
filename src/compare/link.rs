//! How the engine gets its connections: somebody else makes them, over TLS, a tunnel or a socket, and can cancel what runs
//! on them. The engine sets up the session and may ask for another connection when one was cut.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use thiserror::Error;
use tokio_postgres::Client;

/// A future that can be sent.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes connections to one of the two databases.
pub trait Connect: Send + Sync {
    /// Opens a connection and drives it in the background until the client is dropped.
    fn connect(&self) -> Later<'_, Result<Link, LinkError>>;
}

/// Stops the statement that runs on a connection, on the server.
pub trait Cancel: Send + Sync {
    /// Gives up silently: the connection is closed anyway.
    fn cancel(&self) -> Later<'static, ()>;
}

/// An open connection.
pub struct Link {
    pub client: Client,
    pub cancel: Arc<dyn Cancel>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("closed", &self.client.is_closed()).finish_non_exhaustive()
    }
}

/// Why there is no connection. The text holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct LinkError {
    pub why: String,
    /// False when trying again cannot help: a wrong password, an unknown database.
    pub again: bool,
}
