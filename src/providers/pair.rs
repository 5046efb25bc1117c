//! Live and a restored copy of it, as a comparison reads them and as one question is asked of both.

use std::sync::Arc;

use super::postgres::{Connect, Room};
use super::question::{self, Answer};
use crate::compare::link;
use crate::domain::{Backend, CompareRequest, Fault, ServerClass, TunnelRequest};

/// Both databases, through tunnels that stay open.
#[derive(Debug)]
pub struct Pair {
    pub live: Database,
    pub restored: Database,
}

/// One of the two.
#[derive(Debug)]
pub struct Database {
    connect: Connect,
}

/// The tunnels that a comparison asks for: to live, and to the copy.
pub fn ways(request: &CompareRequest) -> (TunnelRequest, TunnelRequest) {
    let way = |id, which, server: &String| TunnelRequest {
        id,
        backend: Backend::Postgres,
        which,
        server: Some(server.clone()),
        database: None,
        app: request.app.clone(),
        own_pod: request.own_pod,
        local_port: None,
        incident: request.incident.clone(),
        unverified: false,
    };
    (
        way(request.live_tunnel, ServerClass::Live, &request.live),
        way(request.restored_tunnel, ServerClass::Ptr, &request.restored),
    )
}

impl Pair {
    /// Both databases, of one name.
    ///
    /// # Errors
    /// An open tunnel leads into another database.
    pub fn new(live: Connect, restored: Connect) -> Result<Pair, Fault> {
        let (a, b) = (&live.url().database, &restored.url().database);
        if a != b {
            let why =
                format!("the tunnel to live leads into {a}, the one to the copy into {b}: close one (5)");
            return Err(Fault::Setup { why });
        }
        Ok(Pair { live: Database::new(live), restored: Database::new(restored) })
    }
}

impl Pair {
    /// While the answer lives, the tunnel to live keeps no connection of its own: all that live gets are those of who asks.
    pub fn make_room(&self) -> Option<Room> {
        self.live.connect.make_room()
    }
}

impl Database {
    pub fn new(connect: Connect) -> Database {
        Database { connect }
    }

    /// Connections for the engine.
    pub fn connect(&self) -> Arc<dyn link::Connect> {
        Arc::new(self.connect.clone())
    }

    /// Refuses a condition that may change something.
    ///
    /// # Errors
    /// In words: what it calls, or the connection's failure.
    pub async fn check_condition(&self, sql: &str) -> Result<(), String> {
        question::condition(&self.connect, sql).await
    }

    /// Asks one question of a person's, read-only and limited.
    ///
    /// # Errors
    /// In words: why it is not asked, the connection's failure, or the server's.
    pub async fn select(&self, sql: &str) -> Result<Answer, String> {
        question::ask(&self.connect, sql).await
    }
}
