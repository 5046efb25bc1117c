//! The activity log: who changed what and when. Made from the operations on servers, and from what else was recorded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use http::StatusCode;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::answer::Answer;
use super::route::Query;
use super::{Arm, RESOURCE_GROUP, servers};
use crate::sandbox::address::encode;
use crate::sandbox::postgres::fleet::{Kind, Operation, Tempo};

const PROVIDER: &str = "Microsoft.DBforPostgreSQL";
/// Events of one page.
const PAGE: usize = 20;
const MOST: usize = 1_000;
/// How far back the log goes.
const KEPT_DAYS: i64 = 90;

/// What was recorded besides the operations on servers.
#[derive(Debug, Default)]
pub struct Activity {
    others: Mutex<VecDeque<Event>>,
}

#[derive(Debug, Clone)]
struct Event {
    /// Real time (UTC).
    at: DateTime<Utc>,
    action: String,
    title: &'static str,
    resource: String,
    status: &'static str,
    sub_status: &'static str,
    correlation: String,
    failure: Option<String>,
}

/// Records something that was done at once.
pub fn record(arm: &Arm, action: &str, title: &'static str, resource: &str) {
    let mut others = arm.activity.others.lock().unwrap_or_else(PoisonError::into_inner);
    if others.len() >= MOST {
        others.pop_front();
    }
    others.push_back(Event {
        at: Utc::now(),
        action: action.to_owned(),
        title,
        resource: resource.to_owned(),
        status: "Succeeded",
        sub_status: "OK",
        correlation: super::guid(),
        failure: None,
    });
}

fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Create | Kind::PointInTimeRestore | Kind::Revive | Kind::Update => {
            ("flexibleServers/write", "Create or update PostgreSQL Server")
        }
        Kind::Drop => ("flexibleServers/delete", "Delete PostgreSQL Server"),
        Kind::Start => ("flexibleServers/start/action", "Start PostgreSQL Server"),
        Kind::Stop => ("flexibleServers/stop/action", "Stop PostgreSQL Server"),
        Kind::Restart => ("flexibleServers/restart/action", "Restart PostgreSQL Server"),
        Kind::Backup => ("flexibleServers/backups/write", "Create PostgreSQL Server backup"),
    }
}

/// One operation is three events: it was begun, it was accepted, it ended.
fn of_operation(arm: &Arm, operation: &Operation) -> Vec<Event> {
    let (action, title) = words(operation.kind);
    let event = |at, status, sub_status, failure| Event {
        at,
        action: format!("{PROVIDER}/{action}"),
        title,
        resource: servers::id(arm, &operation.server),
        status,
        sub_status,
        correlation: operation.id.clone(),
        failure,
    };
    let mut events = vec![
        event(operation.started, "Started", "", None),
        event(operation.started + TimeDelta::milliseconds(180), "Accepted", "Accepted", None),
    ];
    match &operation.ended {
        None => {}
        Some((at, Ok(()))) => events.push(event(*at, "Succeeded", "", None)),
        Some((at, Err(failure))) => events.push(event(*at, "Failed", "", Some(failure.to_string()))),
    }
    events
}

/// How long an event takes to get into the log.
fn delay(arm: &Arm) -> TimeDelta {
    match arm.servers.rules().tempo {
        Tempo::Fast => TimeDelta::milliseconds(200),
        Tempo::Short => TimeDelta::seconds(2),
        Tempo::Realistic => TimeDelta::seconds(130),
    }
}

fn tenths(arm: &Arm, real: DateTime<Utc>) -> String {
    let text = arm.clock.shown(real).to_rfc3339_opts(SecondsFormat::Micros, true);
    // Seven digits, as .NET writes them.
    format!("{}0Z", text.trim_end_matches('Z'))
}

fn shown(arm: &Arm, event: &Event) -> Value {
    let id = stable_id(event);
    let local = |value: &str| json!({"value": value, "localizedValue": value});
    let (name, title) = match event.status {
        "Started" => ("BeginRequest", "Begin request"),
        _ => ("EndRequest", "End request"),
    };
    let provider = event.action.split('/').next().unwrap_or(PROVIDER);
    let kind = event.action.rsplit_once('/').map_or(provider, |(kind, _)| kind).trim_end_matches("/start");
    let mut properties = json!({"entity": event.resource, "message": event.action, "hierarchy": ""});
    if let Some(properties) = properties.as_object_mut() {
        if !event.sub_status.is_empty() {
            properties.insert("statusCode".into(), event.sub_status.into());
        }
        if let Some(failure) = &event.failure {
            properties.insert("statusMessage".into(), failure.clone().into());
        }
    }
    let (subscription, tenant) = (&arm.principal.subscription, &arm.principal.tenant);
    json!({
        "authorization": {"action": event.action, "scope": event.resource},
        "caller": arm.principal.client_id,
        "channels": "Operation",
        "claims": {"aud": "https://management.azure.com/", "appid": arm.principal.client_id},
        "correlationId": event.correlation,
        "description": "",
        "eventDataId": id,
        "eventName": {"value": name, "localizedValue": title},
        "category": {"value": "Administrative", "localizedValue": "Administrative"},
        "id": format!("{}/events/{id}/ticks/{}", event.resource, 621_355_968_000_000_000 + event.at.timestamp_micros() * 10),
        "level": if event.failure.is_some() { "Error" } else { "Informational" },
        "resourceGroupName": RESOURCE_GROUP,
        "resourceProviderName": {"value": provider, "localizedValue": provider},
        "resourceId": event.resource,
        "resourceType": local(kind),
        "operationId": event.correlation,
        "operationName": {"value": event.action, "localizedValue": event.title},
        "properties": properties,
        "status": local(event.status),
        "subStatus": local(event.sub_status),
        "eventTimestamp": tenths(arm, event.at),
        "submissionTimestamp": tenths(arm, event.at + delay(arm)),
        "subscriptionId": subscription,
        "tenantId": tenant,
    })
}

/// The same event has the same id whenever it is asked for.
fn stable_id(event: &Event) -> String {
    let digest = Sha256::digest(format!("{}/{}/{}", event.correlation, event.status, event.at));
    let hex: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// What was asked for.
#[derive(Debug, Default, PartialEq)]
struct Filter {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    /// Field and value, both in lower case.
    equal: Vec<(String, String)>,
}

/// Filters that the log understands besides the time.
const FIELDS: [&str; 7] = [
    "resourcegroupname",
    "resourceuri",
    "resourceid",
    "resourceprovider",
    "correlationid",
    "caller",
    "status",
];

impl Filter {
    fn parse(text: &str) -> Result<Filter, String> {
        let mut filter = Filter::default();
        for clause in split_and(text) {
            let mut words = clause.splitn(3, char::is_whitespace).map(str::trim);
            let (field, operator, value) = (
                words.next().unwrap_or_default(),
                words.next().unwrap_or_default(),
                words.next().unwrap_or_default(),
            );
            let value = value.trim_matches('\'');
            match (field.to_ascii_lowercase().as_str(), operator.to_ascii_lowercase().as_str()) {
                ("eventtimestamp", "ge") => filter.from = Some(time(value)?),
                ("eventtimestamp", "le") => filter.to = Some(time(value)?),
                // Both channels are all there are.
                ("eventchannels", "eq") => {}
                (field, "eq") if FIELDS.contains(&field) => {
                    filter.equal.push((field.to_owned(), value.to_ascii_lowercase()));
                }
                _ => return Err(format!("'{clause}' is not supported")),
            }
        }
        let scopes = filter.equal.iter().filter(|(f, _)| !["caller", "status"].contains(&f.as_str()));
        if scopes.count() > 1 {
            return Err(
                "only one of resourceGroupName, resourceUri, resourceProvider and correlationId can be used"
                    .into(),
            );
        }
        Ok(filter)
    }

    fn takes(&self, arm: &Arm, event: &Event) -> bool {
        let at = arm.clock.shown(event.at);
        let within = self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at <= to);
        let provider = event.action.split('/').next().unwrap_or_default();
        within
            && self.equal.iter().all(|(field, value)| {
                let has = |text: &str| text.eq_ignore_ascii_case(value);
                match field.as_str() {
                    "resourcegroupname" => has(RESOURCE_GROUP),
                    "resourceprovider" => has(provider),
                    "correlationid" => has(&event.correlation),
                    "caller" => has(&arm.principal.client_id),
                    "status" => has(event.status),
                    _ => has(&event.resource),
                }
            })
    }
}

/// Splits at the word `and`, in any case.
fn split_and(text: &str) -> Vec<&str> {
    let lower = text.to_ascii_lowercase();
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, _) in lower.match_indices(" and ") {
        parts.extend(text.get(from..at));
        from = at + " and ".len();
    }
    parts.extend(text.get(from..));
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// RFC 3339, or without a zone, which is UTC.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let text = text.replace(' ', "+");
    let with_zone = DateTime::parse_from_rfc3339(&text).map(|t| t.to_utc());
    with_zone
        .or_else(|_| NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").map(|t| t.and_utc()))
        .map_err(|_| format!("'{text}' is not a time"))
}

/// `GET …/eventtypes/management/values`.
pub fn list(arm: &Arm, query: &Query) -> Result<Answer, Answer> {
    let bad = |why: &str| {
        let words = format!("The filter is not valid: {why}.");
        Answer::error(StatusCode::BAD_REQUEST, "BadRequest", &words)
    };
    let text = query.get("$filter").ok_or_else(|| bad("it is missing, and must hold eventTimestamp ge"))?;
    let filter = Filter::parse(text).map_err(|why| bad(&why))?;
    let from = filter.from.ok_or_else(|| bad("it must hold eventTimestamp ge"))?;
    if arm.clock.now() - from > TimeDelta::days(KEPT_DAYS) {
        return Err(bad("the log goes back 90 days only"));
    }
    let seen = Utc::now() - delay(arm);
    let operations = arm.servers.operations();
    let others = arm.activity.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut events: Vec<Event> = operations.iter().flat_map(|o| of_operation(arm, o)).chain(others).collect();
    events.retain(|event| event.at <= seen && filter.takes(arm, event));
    // Newest first.
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    let skip: usize = query.get("$skiptoken").and_then(|token| token.parse().ok()).unwrap_or_default();
    let chosen = query.get("$select").map(selected);
    let page = events.iter().skip(skip).take(PAGE).map(|event| {
        let shown = shown(arm, event);
        chosen.as_ref().map_or(shown.clone(), |names| only(shown, names))
    });
    let mut body = json!({ "value": page.collect::<Vec<_>>() });
    if let (true, Some(body)) = (events.len() > skip + PAGE, body.as_object_mut()) {
        body.insert("nextLink".into(), next_link(arm, query, text, skip + PAGE).into());
    }
    Ok(Answer::ok(body))
}

fn selected(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
}

fn only(event: Value, names: &[String]) -> Value {
    let Value::Object(fields) = event else { return event };
    let kept: Map<String, Value> =
        fields.into_iter().filter(|(name, _)| names.contains(&name.to_ascii_lowercase())).collect();
    Value::Object(kept)
}

fn next_link(arm: &Arm, query: &Query, filter: &str, skip: usize) -> String {
    let select = query.get("$select").map(|s| format!("&$select={}", encode(s))).unwrap_or_default();
    format!(
        "{}/subscriptions/{}/providers/microsoft.insights/eventtypes/management/values?api-version={}&$filter={}{select}\
         &$skiptoken={skip}",
        arm.endpoint,
        arm.principal.subscription,
        query.get("api-version").unwrap_or("2015-04-01"),
        encode(filter)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_az_and_the_documentation_write_them() {
        let az = "eventTimestamp ge 2026-11-15T09:34:59.236347 and eventTimestamp le 2026-11-20T09:34:59.236347 \
                  and resourceProvider eq 'Microsoft.DBforPostgreSQL'";
        let filter = Filter::parse(az).unwrap();
        assert_eq!(filter.from, "2026-11-15T09:34:59.236347Z".parse().ok());
        assert_eq!(filter.equal, [("resourceprovider".into(), "microsoft.dbforpostgresql".into())]);
        let documented = "eventTimestamp ge '2026-11-15T00:00:00Z' AND eventChannels eq 'Admin, Operation'";
        assert!(Filter::parse(documented).unwrap().equal.is_empty());
    }

    #[test]
    fn what_the_log_cannot_filter_is_refused() {
        for bad in [
            "eventTimestamp ge 2026-11-15T00:00:00Z and operationName eq 'x'",
            "eventTimestamp gt 2026-11-15T00:00:00Z",
            "eventTimestamp ge yesterday",
            "resourceProvider eq 'a' and resourceGroupName eq 'b'",
        ] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
