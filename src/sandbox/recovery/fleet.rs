//! The sandbox's fleet of real servers, as the workflows see it: with Azure's refusals in Azure's words.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::servers::{Doing, Refusal, Servers};
use crate::sandbox::azure::{self, Diagnostics};
use crate::sandbox::postgres::connect::Access;
use crate::sandbox::postgres::fleet::{self, Failure};

/// All servers of the sandbox.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub servers: fleet::Servers,
    /// Settings that outlive their servers.
    pub diagnostics: Arc<Diagnostics>,
}

impl Fleet {
    fn find(&self, server: &str) -> Result<Access, Refusal> {
        self.servers
            .access(server)
            .ok_or_else(|| refused(fleet::Refusal::NotFound { name: server.to_owned() }))
    }
}

/// As the resource manager puts it, which the workflows ask on the platform.
fn refused(refusal: fleet::Refusal) -> Refusal {
    let answer = azure::refused(&refusal);
    let said = |at: &str| answer.body.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let message = format!("{} {}", said("/error/message"), said("/error/details/0/message"));
    Refusal::new(answer.status.as_u16(), said("/error/code"), message.trim())
}

fn failed(failure: Failure) -> Refusal {
    Refusal::new(500, failure.code, failure.message)
}

impl Servers for Fleet {
    fn access<'a>(&'a self, server: &'a str) -> Doing<'a, Access> {
        Box::pin(async move { self.find(server) })
    }

    fn point_in_time_restore<'a>(
        &'a self,
        source: &'a str,
        time: DateTime<Utc>,
        new_name: &'a str,
    ) -> Doing<'a, ()> {
        Box::pin(async move {
            let begun = self.servers.point_in_time_restore(source, time, new_name, []).map_err(refused)?;
            self.servers.wait(&begun).await.map_err(failed)
        })
    }

    fn revive<'a>(&'a self, name: &'a str, time: DateTime<Utc>) -> Doing<'a, ()> {
        Box::pin(async move { self.servers.revive(name, name, time).map(drop).map_err(refused) })
    }

    fn ensure<'a>(&'a self, name: &'a str) -> Doing<'a, bool> {
        Box::pin(async move {
            if self.servers.get(name).is_some() {
                return Ok(false);
            }
            let begun = self.servers.create_empty(name, []).map_err(refused)?;
            self.servers.wait(&begun).await.map_err(failed)?;
            self.diagnostics.disown(name);
            Ok(true)
        })
    }

    fn diagnose<'a>(&'a self, name: &'a str) -> Doing<'a, ()> {
        Box::pin(async move {
            self.diagnostics.ensure(name).map_err(|left| {
                let message = format!(
                    "A resource with the ID \".../flexibleServers/{name}|{left}\" already exists - to be managed via \
                     Terraform this resource needs to be imported into the State."
                );
                Refusal::new(409, "ResourceAlreadyExists", message)
            })
        })
    }
}
