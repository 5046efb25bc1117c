//! What changes a flexible server: PUT with its create modes, PATCH, DELETE, start, stop, restart, backups on demand.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use super::route::Ask;
use super::{Arm, RESOURCE_GROUP, locks, operations, servers};
use crate::sandbox::postgres::fleet::{OperationId, Refusal, Server};

/// How Azure refuses. Codes marked in `docs/sandbox.md` as ours are not recorded anywhere.
pub fn refused(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::NotFound { name } => servers::not_found(name),
        Refusal::Gone { name } => servers::not_found(name),
        Refusal::NameTaken { .. } => {
            let words = "Specified server name is already used.";
            Answer::error(StatusCode::CONFLICT, "ServerNameAlreadyExists", words)
        }
        Refusal::BadName { .. } => invalid("serverName"),
        Refusal::OutsideWindow { .. } => {
            let mut answer = invalid("pointInTimeUTC");
            if let Some(error) = answer.body.get_mut("error").and_then(Value::as_object_mut) {
                let details = json!([{"code": "RestorePointOutsideWindow", "message": refusal.to_string()}]);
                error.insert("details".into(), details);
            }
            answer
        }
        Refusal::Busy { name } => {
            let words =
                format!("Server {name} is busy processing another operation. Please try again later.");
            Answer::error(StatusCode::CONFLICT, "ServerIsBusy", &words)
        }
        Refusal::WrongState { name, state, wanted } => {
            let words =
                format!("Server {name} is in state {}. The operation needs it to be {wanted}.", state.name());
            Answer::error(StatusCode::CONFLICT, "InvalidServerState", &words)
        }
        Refusal::TooMany { .. } => Answer::error(StatusCode::CONFLICT, "QuotaExceeded", &refusal.to_string()),
    }
}

fn invalid(parameter: &str) -> Answer {
    let words = format!("Invalid value given for parameter {parameter}. Specify a valid parameter value.");
    Answer::error(StatusCode::BAD_REQUEST, "InvalidParameterValue", &words)
}

fn begun(arm: &Arm, ask: &Ask, begun: Result<OperationId, Refusal>) -> Result<Answer, Answer> {
    match begun {
        Ok(id) => Ok(operations::accepted(arm, &id, ask.api_version())),
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// `PUT …/flexibleServers/{name}`.
pub fn put(arm: &Arm, ask: &Ask, name: &str) -> Result<Answer, Answer> {
    let body = ask.json()?;
    check_location(&body)?;
    let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let tags = tags(&body).unwrap_or_default();
    let mode = word("/properties/createMode").unwrap_or("Default");
    match mode.to_ascii_lowercase().as_str() {
        "pointintimerestore" => {
            let (source, time) = source_and_time(arm, &body)?;
            servers::find(arm, &source)?;
            let id = arm
                .servers
                .point_in_time_restore(&source, arm.clock.real(time), name, tags)
                .map_err(|r| refused(&r))?;
            Ok(operations::accepted(arm, &id, ask.api_version()))
        }
        "revivedropped" => {
            let (source, time) = source_and_time(arm, &body)?;
            begun(arm, ask, arm.servers.revive(name, &source, arm.clock.real(time)))
        }
        "default" | "create" if arm.servers.get(name).is_none() => {
            let id = arm.servers.create_empty(name, tags).map_err(|r| refused(&r))?;
            Ok(operations::accepted(arm, &id, ask.api_version()))
        }
        "default" | "create" | "update" => update(arm, ask, name, &body),
        "georestore" | "replica" => {
            let words = format!("The create mode {mode} is not supported for this server.");
            Err(Answer::error(StatusCode::BAD_REQUEST, "FeatureNotSupported", &words))
        }
        _ => Err(invalid("createMode")),
    }
}

/// `PATCH …/flexibleServers/{name}`.
pub fn patch(arm: &Arm, ask: &Ask, name: &str) -> Result<Answer, Answer> {
    let body = ask.json()?;
    update(arm, ask, name, &body)
}

fn update(arm: &Arm, ask: &Ask, name: &str, body: &Value) -> Result<Answer, Answer> {
    let server = servers::find(arm, name)?;
    let change = Change::of(body, &server)?;
    begun(arm, ask, arm.servers.update(name, |server| change.apply(server)))
}

/// What an update asks for, checked.
struct Change {
    tags: Option<BTreeMap<String, String>>,
    sku: Option<(String, String)>,
    storage_gb: Option<u64>,
    auto_grow: Option<bool>,
    retention_days: Option<u64>,
}

impl Change {
    fn of(body: &Value, server: &Server) -> Result<Change, Answer> {
        let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64);
        let sku = word("/sku/name").map(|sku| {
            let tier = word("/sku/tier").unwrap_or(&server.shape.tier);
            (sku.to_owned(), tier.to_owned())
        });
        if let Some((_, tier)) = &sku
            && !["Burstable", "GeneralPurpose", "MemoryOptimized"].contains(&tier.as_str())
        {
            return Err(invalid("sku.tier"));
        }
        let storage_gb = number("/properties/storage/storageSizeGB");
        if storage_gb.is_some_and(|size| size < server.shape.storage_gb || size > 32_767) {
            // Storage only ever grows.
            return Err(invalid("storageSizeGB"));
        }
        let retention_days = number("/properties/backup/backupRetentionDays");
        if retention_days.is_some_and(|days| !(7..=35).contains(&days)) {
            return Err(invalid("backupRetentionDays"));
        }
        let auto_grow = word("/properties/storage/autoGrow").map(|on| on == "Enabled");
        Ok(Change { tags: tags(body), sku, storage_gb, auto_grow, retention_days })
    }

    fn apply(self, server: &mut Server) {
        let shape = &mut server.shape;
        if let Some((sku, tier)) = self.sku {
            (shape.sku, shape.tier) = (sku, tier);
        }
        shape.storage_gb = self.storage_gb.unwrap_or(shape.storage_gb);
        shape.auto_grow = self.auto_grow.unwrap_or(shape.auto_grow);
        shape.retention_days = self.retention_days.unwrap_or(shape.retention_days);
        if let Some(tags) = self.tags {
            server.tags = tags;
        }
    }
}

fn tags(body: &Value) -> Option<BTreeMap<String, String>> {
    let tags = body.get("tags")?.as_object()?;
    Some(tags.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect())
}

fn check_location(body: &Value) -> Result<(), Answer> {
    let Some(location) = body.get("location").and_then(Value::as_str) else {
        let words = "The location property is required for this definition.";
        return Err(Answer::error(StatusCode::BAD_REQUEST, "LocationRequired", words));
    };
    if is_here(location) {
        return Ok(());
    }
    let words = format!(
        "The provided location '{location}' is not available for resource type \
         'Microsoft.DBforPostgreSQL/flexibleServers'. List of available regions for the resource type is 'uksouth'."
    );
    Err(Answer::error(StatusCode::BAD_REQUEST, "LocationNotAvailableForResourceType", &words))
}

fn is_here(location: &str) -> bool {
    location.chars().filter(|c| !c.is_whitespace()).collect::<String>().eq_ignore_ascii_case("uksouth")
}

/// The server that is restored, and to which time as the sandbox tells the time.
fn source_and_time(arm: &Arm, body: &Value) -> Result<(String, DateTime<Utc>), Answer> {
    let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let id = word("/properties/sourceServerResourceId").ok_or_else(|| invalid("sourceServerResourceId"))?;
    let parts: Vec<&str> = id.split('/').filter(|p| !p.is_empty()).collect();
    let source = match parts.as_slice() {
        ["subscriptions", s, group, g, "providers", provider, kind, name]
            if s.eq_ignore_ascii_case(&arm.principal.subscription)
                && group.eq_ignore_ascii_case("resourceGroups")
                && g.eq_ignore_ascii_case(RESOURCE_GROUP)
                && provider.eq_ignore_ascii_case("Microsoft.DBforPostgreSQL")
                && kind.eq_ignore_ascii_case("flexibleServers") =>
        {
            (*name).to_owned()
        }
        [.., name] if parts.len() == 8 => return Err(servers::not_found(name)),
        _ => return Err(invalid("sourceServerResourceId")),
    };
    let time = word("/properties/pointInTimeUTC").ok_or_else(|| invalid("pointInTimeUTC"))?;
    let Ok(time) = DateTime::parse_from_rfc3339(time) else {
        // What Azure does with any other format.
        let words = format!(
            "An unexpected error occured while processing the request. Tracking ID: '{}'",
            super::guid()
        );
        return Err(Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", &words));
    };
    Ok((source, time.to_utc()))
}

/// `DELETE …/flexibleServers/{name}`.
pub fn delete(arm: &Arm, ask: &Ask, name: &str) -> Result<Answer, Answer> {
    if arm.servers.get(name).is_none() {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    locks::check_delete(arm, name)?;
    begun(arm, ask, arm.servers.drop_server(name))
}

/// `POST …/flexibleServers/{name}/start` and the like.
pub fn action(arm: &Arm, ask: &Ask, name: &str, action: &str) -> Option<Result<Answer, Answer>> {
    let id = match action {
        "start" => arm.servers.start(name),
        "stop" => arm.servers.stop(name),
        "restart" => arm.servers.restart(name),
        _ => return None,
    };
    Some(begun(arm, ask, id))
}

/// `POST …/checkNameAvailability`.
pub fn check_name(arm: &Arm, ask: &Ask) -> Result<Answer, Answer> {
    let body = ask.json()?;
    let name = body.get("name").and_then(Value::as_str).ok_or_else(|| invalid("name"))?;
    let kind = "Microsoft.DBforPostgreSQL/flexibleServers";
    if !body.get("type").and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case(kind)) {
        return Err(invalid("type"));
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let well_formed = (3..=63).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    Ok(Answer::ok(if !well_formed {
        json!({
            "name": name, "type": kind, "nameAvailable": false, "reason": "Invalid",
            "message": "The server name is not valid: 3 to 63 lower-case letters, digits and hyphens.",
        })
    } else if arm.servers.get(name).is_some() {
        json!({
            "name": name, "type": kind, "nameAvailable": false, "reason": "AlreadyExists",
            "message": "Specified server name is already used.",
        })
    } else {
        json!({"name": name, "type": kind, "nameAvailable": true, "message": ""})
    }))
}

/// The backups of a server: its base backup, and those that were asked for.
pub fn backups(arm: &Arm, server: &Server) -> Vec<Value> {
    let id = servers::id(arm, &server.name);
    let one = |name: &str, kind: &str, source: &str, complete: DateTime<Utc>| {
        json!({
            "properties": {"backupType": kind, "source": source, "completedTime": servers::stamp(arm, complete)},
            "id": format!("{id}/backups/{name}"), "name": name,
            "type": "Microsoft.DBforPostgreSQL/flexibleServers/backups",
        })
    };
    let automatic = server.earliest_restore.map(|complete| {
        let ticks = 621_355_968_000_000_000 + complete.timestamp_micros() * 10;
        one(&format!("backup_{ticks}"), "Full", "Automatic", complete)
    });
    let asked =
        server.backups.iter().map(|(name, at)| one(name, "Customer On-Demand", "Customer Initiated", *at));
    automatic.into_iter().chain(asked).collect()
}

/// `…/flexibleServers/{name}/backups[/{backup}]`.
pub fn backup(arm: &Arm, ask: &Ask, server: &Server, backup: Option<&str>) -> Option<Result<Answer, Answer>> {
    let all = backups(arm, server);
    let named = |name: &str| {
        all.iter().find(|b| b["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name))).cloned()
    };
    Some(match (ask.method.as_str(), backup) {
        ("GET", None) => Ok(Answer::ok(json!({ "value": all }))),
        ("GET", Some(name)) => named(name).map(Answer::ok).ok_or_else(|| {
            let words = format!("The backup '{name}' of server '{}' was not found.", server.name);
            Answer::error(StatusCode::NOT_FOUND, "ResourceNotFound", &words)
        }),
        ("PUT", Some(name)) if named(name).is_some() => {
            let words = format!("A backup with the name '{name}' already exists.");
            Err(Answer::error(StatusCode::CONFLICT, "BackupAlreadyExists", &words))
        }
        ("PUT", Some(name)) => begun(arm, ask, arm.servers.back_up(&server.name, name)),
        ("DELETE", Some(name)) => {
            arm.servers.forget_backup(&server.name, name);
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        }
        _ => return None,
    })
}
