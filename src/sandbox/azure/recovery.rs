//! The servers as the recovery workflows use them: the same operations as Azure's, refused in Azure's words.

use chrono::{DateTime, Utc};

use super::Diagnostics;
use super::writes::refused;
use crate::sandbox::clock::Clock;
use crate::sandbox::postgres::connect::Access;
use crate::sandbox::postgres::fleet::{self, Failure, Servers};
use crate::sandbox::recovery::{self, Doing, Refusal};

use std::sync::Arc;

/// What workflows act through.
#[derive(Debug, Clone)]
pub struct Recovery {
    pub servers: Servers,
    pub diagnostics: Arc<Diagnostics>,
    pub clock: Clock,
}

fn words(refusal: &fleet::Refusal) -> Refusal {
    let answer = refused(refusal);
    let word = |pointer: &str| {
        answer.body.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    Refusal::new(answer.status.as_u16(), &word("/error/code"), word("/error/message"))
}

fn failed(failure: Failure) -> Refusal {
    Refusal::new(500, failure.code, failure.message)
}

impl Recovery {
    async fn done(&self, begun: Result<String, fleet::Refusal>) -> Result<(), Refusal> {
        let id = begun.map_err(|refusal| words(&refusal))?;
        self.servers.wait(&id).await.map_err(failed)
    }
}

impl recovery::Servers for Recovery {
    fn access<'a>(&'a self, server: &'a str) -> Doing<'a, Access> {
        Box::pin(async move { self.servers.access(server).ok_or_else(|| Refusal::not_found(server)) })
    }

    fn point_in_time_restore<'a>(
        &'a self,
        source: &'a str,
        time: DateTime<Utc>,
        new_name: &'a str,
    ) -> Doing<'a, ()> {
        Box::pin(async move {
            let time = self.clock.real(time);
            self.done(self.servers.point_in_time_restore(source, time, new_name, [])).await
        })
    }

    fn revive<'a>(&'a self, name: &'a str, time: DateTime<Utc>) -> Doing<'a, ()> {
        Box::pin(async move {
            let begun = self.servers.revive(name, name, self.clock.real(time));
            begun.map(drop).map_err(|refusal| words(&refusal))
        })
    }

    fn ensure<'a>(&'a self, name: &'a str) -> Doing<'a, bool> {
        Box::pin(async move {
            if self.servers.get(name).is_some() {
                return Ok(false);
            }
            self.done(self.servers.create_empty(name, [])).await?;
            // Terraform makes the server and then finds that the setting of the old one is still there.
            if let Some(left) = self.diagnostics.of(name).first() {
                let message = format!(
                    "A resource with the ID \".../flexibleServers/{name}|{left}\" already exists - to be managed via \
                     Terraform this resource needs to be imported into the State. Please see the resource \
                     documentation for \"azurerm_monitor_diagnostic_setting\" for more information."
                );
                return Err(Refusal::new(409, "AlreadyExists", message));
            }
            self.diagnostics.give(name);
            Ok(true)
        })
    }

    fn databases<'a>(&'a self, server: &'a str) -> Doing<'a, Vec<String>> {
        Box::pin(async move {
            let admin = self.servers.admin(server).ok_or_else(|| Refusal::not_found(server))?;
            let broken = |why: String| Refusal::new(500, "InternalServerError", why);
            let client = admin
                .in_database("postgres")
                .connect("drtui sandbox")
                .await
                .map_err(|error| broken(error.to_string()))?;
            let query =
                "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'
                         ORDER BY datname";
            let rows = client.query(query, &[]).await.map_err(|error| broken(error.to_string()))?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }
}
