//! What Azure Resource Manager and Monitor send, read into domain values. Pure. Samples: `tests/fixtures/wire`.

use serde::Deserialize;

use super::super::words;
use super::Classes;
use crate::domain::{Metrics, Sample, Server, Utc, text};

/// Longest name, version, state … that is kept.
const WORD_MAX: usize = 200;
/// One hour.
const SAMPLES_MAX: usize = 60;

/// A page of servers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub value: Vec<WireServer>,
    pub next_link: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireServer {
    id: String,
    name: String,
    #[serde(default)]
    sku: Sku,
    #[serde(default)]
    system_data: SystemData,
    #[serde(default)]
    properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sku {
    name: String,
    tier: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SystemData {
    created_at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    state: Option<String>,
    version: Option<String>,
    minor_version: Option<String>,
    fully_qualified_domain_name: Option<String>,
    storage: Storage,
    backup: Backup,
    high_availability: HighAvailability,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Storage {
    #[serde(rename = "storageSizeGB")]
    size_gb: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Backup {
    backup_retention_days: Option<u32>,
    earliest_restore_date: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HighAvailability {
    mode: Option<String>,
    state: Option<String>,
}

/// A server as the cockpit shows it.
pub fn server(wire: WireServer, classes: &Classes) -> Server {
    let p = wire.properties;
    let major = word(p.version.as_deref());
    let version = match p.minor_version.as_deref().map(|m| word(Some(m))) {
        Some(minor) if !minor.is_empty() && !major.is_empty() => format!("{major}.{minor}"),
        _ => major,
    };
    let mode = word(p.high_availability.mode.as_deref());
    let ha = match p.high_availability.state.as_deref() {
        _ if mode.is_empty() => "Disabled".to_owned(),
        Some(state) if mode != "Disabled" => format!("{mode} ({})", word(Some(state))),
        _ => mode,
    };
    let name = word(Some(&wire.name));
    Server {
        id: wire.id.chars().filter(|c| !c.is_control()).take(2_000).collect(),
        class: classes.of(&name),
        name,
        state: word(p.state.as_deref()),
        version,
        sku: word(Some(&wire.sku.name)),
        tier: word(Some(&wire.sku.tier)),
        storage_gb: p.storage.size_gb,
        ha,
        earliest_restore: time(p.backup.earliest_restore_date.as_deref()),
        retention_days: p.backup.backup_retention_days,
        created: time(wire.system_data.created_at.as_deref()),
        fqdn: word(p.fully_qualified_domain_name.as_deref()),
    }
}

fn word(text: Option<&str>) -> String {
    text::fit(&text::clean(text.unwrap_or_default()), WORD_MAX)
}

/// RFC 3339 with any fraction and offset.
fn time(text: Option<&str>) -> Option<Utc> {
    chrono::DateTime::parse_from_rfc3339(text?).ok().map(|t| t.to_utc())
}

/// An answer of the metrics API.
#[derive(Debug, Deserialize)]
pub struct WireMetrics {
    value: Vec<WireMetric>,
}

#[derive(Debug, Deserialize)]
struct WireMetric {
    name: WireName,
    #[serde(default)]
    timeseries: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct WireName {
    value: String,
}

#[derive(Debug, Deserialize)]
struct Series {
    #[serde(default)]
    data: Vec<Point>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    time_stamp: String,
    average: Option<f64>,
}

/// The metrics asked for, in the order of [`Metrics`].
pub const METRICS: [&str; 4] = ["cpu_percent", "memory_percent", "active_connections", "storage_percent"];

/// The last hour of each metric. One that is not there stays empty.
pub fn metrics(wire: WireMetrics) -> Metrics {
    let mut found = Metrics::default();
    for metric in wire.value {
        let place = match metric.name.value.as_str() {
            "cpu_percent" => &mut found.cpu,
            "memory_percent" => &mut found.memory,
            "active_connections" => &mut found.connections,
            "storage_percent" => &mut found.storage,
            _ => continue,
        };
        *place = metric.timeseries.into_iter().next().map(samples).unwrap_or_default();
    }
    found
}

fn samples(series: Series) -> Vec<Sample> {
    let mut all: Vec<Sample> = series
        .data
        .into_iter()
        .filter_map(|p| {
            let value = p.average.filter(|v| v.is_finite());
            time(Some(&p.time_stamp)).map(|at| Sample { at, value })
        })
        .collect();
    all.sort_by_key(|s| s.at);
    all.split_off(all.len().saturating_sub(SAMPLES_MAX))
}

/// Code and message of ARM's error envelope.
pub fn error(body: &[u8]) -> (String, String) {
    #[derive(Deserialize)]
    struct Envelope {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    match serde_json::from_slice::<Envelope>(body) {
        Ok(Envelope { error }) => (words::plain(&error.code), words::plain(&error.message)),
        Err(_) => (String::new(), String::new()),
    }
}

/// The action that was denied, from the message of AuthorizationFailed.
pub fn denied_action(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("perform action '")?;
    rest.split_once('\'').map(|(action, _)| action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ServerClass;

    fn classes() -> Classes {
        Classes { live: "exampleserver1".into(), side_copies: vec!["exampleserver".into()] }
    }

    #[test]
    fn the_documented_list_is_read() {
        let page: Page =
            serde_json::from_str(include_str!("../../../tests/fixtures/wire/servers_list_2025-08-01.json"))
                .unwrap();
        assert!(page.next_link.unwrap().contains("$skiptoken=skiptoken"));
        let all: Vec<_> = page.value.into_iter().map(|s| server(s, &classes())).collect();
        let live = &all[0];
        assert_eq!(
            (live.class, live.version.as_str(), live.state.as_str()),
            (ServerClass::Live, "17.5", "Ready")
        );
        assert_eq!(live.ha, "ZoneRedundant (Healthy)");
        assert_eq!(live.earliest_restore.unwrap().to_rfc3339(), "2025-06-01T18:35:22.123456+00:00");
        assert_eq!((live.storage_gb, live.retention_days), (Some(128), Some(7)));
        assert_eq!((live.sku.as_str(), live.tier.as_str()), ("Standard_D4ds_v5", "GeneralPurpose"));
        assert_eq!((all[1].class, all[1].ha.as_str()), (ServerClass::SideCopy, "Disabled"));
    }

    #[test]
    fn a_server_being_made_says_little_and_that_is_fine() {
        let wire = serde_json::from_str(
            r#"{"id":"/x","name":"n\u001b[2J-ptr","properties":{"state":"Provisioning"}}"#,
        );
        let made = server(wire.unwrap(), &classes());
        assert_eq!((made.name.as_str(), made.state.as_str()), ("n-ptr", "Provisioning"));
        assert_eq!((made.version.as_str(), made.ha.as_str(), made.class), ("", "Disabled", ServerClass::Ptr));
        assert!(made.earliest_restore.is_none() && made.created.is_none());
    }

    #[test]
    fn times_are_read_with_any_fraction() {
        for (text, expected) in [
            ("2026-04-16T22:31:41.4078005+00:00", "2026-04-16T22:31:41.407800500+00:00"),
            ("2026-04-16T22:31:41Z", "2026-04-16T22:31:41+00:00"),
            ("2026-04-16T23:31:41.123456+01:00", "2026-04-16T22:31:41.123456+00:00"),
        ] {
            assert_eq!(time(Some(text)).unwrap().to_rfc3339(), expected);
        }
        assert_eq!(time(Some("yesterday")), None);
    }

    #[test]
    fn metrics_keep_minutes_without_data() {
        let sample: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/wire/metrics_get.json")).unwrap();
        let read = metrics(serde_json::from_value(sample["response"].clone()).unwrap());
        let values: Vec<_> = read.cpu.iter().map(|s| s.value).collect();
        assert_eq!(values, [Some(7.1), None]);
        assert!(read.memory.is_empty());
    }

    #[test]
    fn error_bodies_become_words() {
        let samples: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/wire/errors.json")).unwrap();
        let body = samples["403_AuthorizationFailed"]["body"].to_string();
        let (code, message) = error(body.as_bytes());
        assert_eq!(code, "AuthorizationFailed");
        assert_eq!(denied_action(&message), Some("Microsoft.DBforPostgreSQL/flexibleServers/write"));
        assert_eq!(error(b"<html>"), (String::new(), String::new()));
    }
}
