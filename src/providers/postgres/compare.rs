//! Connections for a comparison: the connector as `compare` wants it.

use std::sync::Arc;

use tokio_postgres::CancelToken;

use super::{Connect, PostgresError};
use crate::compare::link::{Cancel, Later, Link, LinkError};

impl crate::compare::link::Connect for Connect {
    fn connect(&self) -> Later<'_, Result<Link, LinkError>> {
        let connect = self.clone();
        Box::pin(async move {
            let asked = connect.clone();
            let client = apart(async move || asked.client().await)
                .await
                .unwrap_or_else(|| Err(PostgresError::Setup { why: "the program is ending".to_owned() }))
                .map_err(|e| LinkError { why: e.to_string(), again: again(&e) })?;
            let cancel = Arc::new(Canceller { connect, token: client.cancel_token() });
            Ok(Link { client, cancel })
        })
    }
}

/// Runs `work` on a thread of its own: the connector's future borrows in a way that the compiler cannot see to be `Send`.
/// `None` when the runtime ends.
async fn apart<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> Option<T> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(work())).await.ok()
}

/// True if the same try may succeed a moment later.
fn again(error: &PostgresError) -> bool {
    match error {
        PostgresError::Refused { .. }
        | PostgresError::TimedOut { .. }
        | PostgresError::NoWay { .. }
        | PostgresError::Lost { .. } => true,
        // Starting up, shutting down, no connection free.
        PostgresError::Rejected { sqlstate, .. } => sqlstate.starts_with("57P") || sqlstate == "53300",
        _ => false,
    }
}

struct Canceller {
    connect: Connect,
    token: CancelToken,
}

impl Cancel for Canceller {
    fn cancel(&self) -> Later<'static, ()> {
        let (connect, token) = (self.connect.clone(), self.token.clone());
        Box::pin(async move {
            // Nothing depends on it: the connection is closed anyway.
            let _ = apart(async move || connect.cancel(&token).await).await;
        })
    }
}
