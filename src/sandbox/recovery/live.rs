//! The one live server as the workflows see it: there, and nothing else.

use chrono::{DateTime, Utc};

use super::servers::{Doing, Refusal, Servers};
use crate::sandbox::azure::SERVER;
use crate::sandbox::postgres::connect::Access;

/// Only the live server exists; it can be dumped and restored into.
#[derive(Debug, Clone)]
pub struct LiveOnly {
    /// The service's way in.
    pub access: Access,
}

impl LiveOnly {
    fn find(&self, server: &str) -> Result<Access, Refusal> {
        if server == SERVER { Ok(self.access.clone()) } else { Err(Refusal::not_found(server)) }
    }
}

impl Servers for LiveOnly {
    fn access<'a>(&'a self, server: &'a str) -> Doing<'a, Access> {
        Box::pin(async move { self.find(server) })
    }

    fn point_in_time_restore<'a>(
        &'a self,
        source: &'a str,
        _time: DateTime<Utc>,
        _new_name: &'a str,
    ) -> Doing<'a, ()> {
        Box::pin(async move {
            self.find(source)?;
            Err(Refusal::new(400, "FeatureNotSupported", "This sandbox keeps no restore points."))
        })
    }

    fn revive<'a>(&'a self, name: &'a str, _time: DateTime<Utc>) -> Doing<'a, ()> {
        Box::pin(async move { Err(Refusal::not_found(name)) })
    }

    fn ensure<'a>(&'a self, name: &'a str) -> Doing<'a, bool> {
        Box::pin(async move { self.find(name).map(|_| false) })
    }

    fn databases<'a>(&'a self, server: &'a str) -> Doing<'a, Vec<String>> {
        Box::pin(async move {
            let failed = |why: String| Refusal::new(500, "InternalServerError", why);
            let client =
                self.find(server)?.connect("drtui sandbox").await.map_err(|e| failed(e.to_string()))?;
            let query =
                "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'
                         ORDER BY datname";
            let rows = client.query(query, &[]).await.map_err(|e| failed(e.to_string()))?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }
}
