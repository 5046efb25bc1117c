//! The sandbox's fleet of real servers, as the workflows see it: with Azure's refusals in Azure's words.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::servers::{Doing, Refusal, Servers};
use crate::sandbox::azure::Diagnostics;
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
        self.servers.access(server).ok_or_else(|| Refusal::not_found(server))
    }
}

/// As the resource manager would put it.
fn refused(refusal: fleet::Refusal) -> Refusal {
    let (status, code) = match &refusal {
        fleet::Refusal::NotFound { name } => return Refusal::not_found(name),
        fleet::Refusal::BadName { .. } => (400, "InvalidParameterValue"),
        fleet::Refusal::NameTaken { .. } => (409, "ServerNameAlreadyExists"),
        fleet::Refusal::Busy { .. } => (409, "ServerIsBusy"),
        fleet::Refusal::WrongState { .. } => (409, "OperationNotAllowed"),
        fleet::Refusal::OutsideWindow { .. } => (400, "InvalidPointInTimeUTC"),
        fleet::Refusal::Gone { .. } => (404, "SourceServerNotFound"),
        fleet::Refusal::TooMany { .. } => (409, "QuotaExceeded"),
    };
    Refusal::new(status, code, refusal.to_string())
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
