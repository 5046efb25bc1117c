//! Flexible servers as Azure shows them.

use chrono::{DateTime, SecondsFormat, Utc};
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use super::{Arm, RESOURCE_GROUP};
use crate::sandbox::postgres::fleet::Server;

/// Storage that the storage percentages are of.
pub const STORAGE_GB: u64 = 32;
/// Memory of a `Standard_D2ds_v5`, and what the memory percentages are of.
pub const MEMORY_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Virtual CPUs of a `Standard_D2ds_v5`, and what the CPU percentages are of.
pub const VCPUS: f64 = 2.0;

/// All servers of the group, which are all of the subscription.
pub fn list(arm: &Arm) -> Value {
    let value: Vec<Value> = arm.servers.list().iter().map(|server| get(arm, server)).collect();
    json!({ "value": value })
}

/// The server called `name`, in any case.
pub fn find(arm: &Arm, name: &str) -> Result<Server, Answer> {
    arm.servers.get(name).ok_or_else(|| not_found(name))
}

pub fn not_found(name: &str) -> Answer {
    let words = format!(
        "The Resource 'Microsoft.DBforPostgreSQL/flexibleServers/{name}' under resource group \
         '{RESOURCE_GROUP}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix"
    );
    Answer::error(StatusCode::NOT_FOUND, "ResourceNotFound", &words)
}

/// The resource id of a server.
pub fn id(arm: &Arm, name: &str) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}",
        arm.principal.subscription
    )
}

/// A real time as the sandbox says it, to the microsecond.
pub fn stamp(arm: &Arm, real: DateTime<Utc>) -> String {
    arm.clock.shown(real).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// One server.
pub fn get(arm: &Arm, server: &Server) -> Value {
    json!({
        "sku": {"name": server.shape.sku, "tier": server.shape.tier},
        "systemData": {"createdAt": stamp(arm, server.created)},
        "properties": properties(arm, server),
        "location": "UK South",
        "tags": server.tags,
        "id": id(arm, &server.name),
        "name": server.name,
        "type": "Microsoft.DBforPostgreSQL/flexibleServers",
    })
}

fn on(yes: bool) -> &'static str {
    if yes { "Enabled" } else { "Disabled" }
}

fn properties(arm: &Arm, server: &Server) -> Value {
    let shape = &server.shape;
    let mut properties = json!({
        "replica": {"role": "Primary", "capacity": 5},
        "storage": {
            "type": "", "iops": 120, "tier": "P4", "storageSizeGB": shape.storage_gb, "autoGrow": on(shape.auto_grow),
        },
        "network": network(server),
        "dataEncryption": {"type": "SystemManaged"},
        "authConfig": {"activeDirectoryAuth": "Disabled", "passwordAuth": "Enabled"},
        "fullyQualifiedDomainName": format!("{}.postgres.database.azure.com", server.name),
        // A server that is still being made does not know its version.
        "version": if server.version.0 == 0 { "17".to_owned() } else { server.version.0.to_string() },
        "minorVersion": server.version.1.to_string(),
        "administratorLogin": shape.administrator,
        "state": server.state.name(),
        "availabilityZone": "1",
        "backup": backup(arm, server),
        "highAvailability": {"mode": "Disabled", "state": "NotEnabled"},
        "maintenanceWindow": {"customWindow": "Enabled", "dayOfWeek": 0, "startHour": 3, "startMinute": 0},
        "replicationRole": "Primary",
        "replicaCapacity": 5,
    });
    if let (None, Some(properties)) = (&shape.network, properties.as_object_mut()) {
        properties.insert("privateEndpointConnections".into(), json!([]));
    }
    properties
}

fn network(server: &Server) -> Value {
    match &server.shape.network {
        Some((subnet, zone)) => json!({
            "publicNetworkAccess": "Disabled", "delegatedSubnetResourceId": subnet, "privateDnsZoneArmResourceId": zone,
        }),
        None => json!({"publicNetworkAccess": "Enabled"}),
    }
}

fn backup(arm: &Arm, server: &Server) -> Value {
    let mut backup = json!({
        "backupRetentionDays": server.shape.retention_days, "geoRedundantBackup": on(server.shape.geo_redundant),
    });
    if let (Some(earliest), Some(backup)) = (server.earliest_restore, backup.as_object_mut()) {
        backup.insert("earliestRestoreDate".into(), stamp(arm, earliest).into());
    }
    backup
}
