//! Flexible servers as the resource manager describes them.

use chrono::SecondsFormat;
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use super::{Arm, Facts, RESOURCE_GROUP};

/// Storage of the servers, and what the storage percentages are of.
pub const STORAGE_GB: u64 = 32;
/// Memory of a `Standard_D2ds_v5`, and what the memory percentages are of.
pub const MEMORY_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Virtual CPUs of a `Standard_D2ds_v5`, and what the CPU percentages are of.
pub const VCPUS: f64 = 2.0;

/// All servers of the group, which are all of the subscription.
pub fn list(arm: &Arm) -> Value {
    let value: Vec<Value> = arm.servers.iter().map(|facts| get(arm, facts)).collect();
    json!({ "value": value })
}

/// The server called `name`, in any case.
pub fn find<'a>(arm: &'a Arm, name: &str) -> Result<&'a Facts, Answer> {
    arm.servers.iter().find(|facts| facts.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let words = format!(
            "The Resource 'Microsoft.DBforPostgreSQL/flexibleServers/{name}' under resource group \
             '{RESOURCE_GROUP}' was not found. For more details please go to \
             https://aka.ms/ARMResourceNotFoundFix"
        );
        Answer::error(StatusCode::NOT_FOUND, "ResourceNotFound", &words)
    })
}

/// The resource id of a server.
pub fn id(arm: &Arm, name: &str) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}",
        arm.principal.subscription
    )
}

/// One server.
pub fn get(arm: &Arm, facts: &Facts) -> Value {
    let created = facts.created.to_rfc3339_opts(SecondsFormat::Micros, true);
    let network = "/subscriptions/00000000-0000-0000-0000-000000000189/resourceGroups";
    json!({
        "sku": {"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"},
        "systemData": {"createdAt": created},
        "properties": {
            "replica": {"role": "Primary", "capacity": 5},
            "storage": {"type": "", "iops": 120, "tier": "P4", "storageSizeGB": STORAGE_GB, "autoGrow": "Enabled"},
            "network": {
                "publicNetworkAccess": "Disabled",
                "delegatedSubnetResourceId": format!(
                    "{network}/s189p01-tsc-pd-rg/providers/Microsoft.Network/virtualNetworks/\
                     s189p01-tsc-production-vnet/subnets/postgres-snet"
                ),
                "privateDnsZoneArmResourceId": format!(
                    "{network}/s189p01-tsc-production-bs-rg/providers/Microsoft.Network/privateDnsZones/\
                     production.internal.postgres.database.azure.com"
                ),
            },
            "dataEncryption": {"type": "SystemManaged"},
            "authConfig": {"activeDirectoryAuth": "Disabled", "passwordAuth": "Enabled"},
            "fullyQualifiedDomainName": format!("{}.postgres.database.azure.com", facts.name),
            "version": facts.version.0.to_string(),
            "minorVersion": facts.version.1.to_string(),
            "administratorLogin": "rsmadmin",
            "state": facts.state,
            "availabilityZone": "1",
            "backup": {
                "backupRetentionDays": 7, "geoRedundantBackup": "Enabled", "earliestRestoreDate": created,
            },
            "highAvailability": {"mode": "Disabled", "state": "NotEnabled"},
            "maintenanceWindow": {"customWindow": "Enabled", "dayOfWeek": 0, "startHour": 3, "startMinute": 0},
            "replicationRole": "Primary",
            "replicaCapacity": 5,
        },
        "location": "UK South",
        "tags": {"Environment": "Prod", "Product": "Refer Serious Misconduct"},
        "id": id(arm, &facts.name),
        "name": facts.name,
        "type": "Microsoft.DBforPostgreSQL/flexibleServers",
    })
}
