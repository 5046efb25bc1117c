//! Azure Monitor's metrics question and answer. Minutes without data carry only their time, as in Azure.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::monitor::{Minute, Points};
use super::route::Query;
use super::{Arm, servers};
use crate::sandbox::postgres::fleet::Server;

const NAMESPACE: &str = "Microsoft.DBforPostgreSQL/flexibleServers";
/// Widest answer: the interval is widened until a series has no more points than this.
const MOST_POINTS: i64 = 1_440;
const MOST_METRICS: usize = 20;
/// Intervals that Monitor knows, in minutes.
const INTERVALS: [(&str, i64); 8] = [
    ("PT1M", 1),
    ("PT5M", 5),
    ("PT15M", 15),
    ("PT30M", 30),
    ("PT1H", 60),
    ("PT6H", 360),
    ("PT12H", 720),
    ("P1D", 1_440),
];

/// Metrics that the provider defines: id, title, unit, usual aggregation. Those that the sandbox cannot measure are
/// defined all the same and have no data.
const DEFINED: [(&str, &str, &str, &str); 22] = [
    ("cpu_percent", "CPU percent", "Percent", "Average"),
    ("memory_percent", "Memory percent", "Percent", "Average"),
    ("active_connections", "Active Connections", "Count", "Average"),
    ("connections_failed", "Failed Connections", "Count", "Total"),
    ("connections_succeeded", "Succeeded Connections", "Count", "Total"),
    ("storage_percent", "Storage percent", "Percent", "Average"),
    ("storage_used", "Storage used", "Bytes", "Average"),
    ("storage_free", "Storage Free", "Bytes", "Average"),
    ("backup_storage_used", "Backup Storage Used", "Bytes", "Average"),
    ("txlogs_storage_used", "Transaction Log Storage Used", "Bytes", "Average"),
    ("database_size_bytes", "Database Size", "Bytes", "Average"),
    ("iops", "IOPS", "Count", "Average"),
    ("read_iops", "Read IOPS", "Count", "Average"),
    ("write_iops", "Write IOPS", "Count", "Average"),
    ("read_throughput", "Read Throughput Bytes/Sec", "Count", "Average"),
    ("write_throughput", "Write Throughput Bytes/Sec", "Count", "Average"),
    ("disk_queue_depth", "Disk Queue Depth", "Count", "Average"),
    ("network_bytes_ingress", "Network In", "Bytes", "Total"),
    ("network_bytes_egress", "Network Out", "Bytes", "Total"),
    ("cpu_credits_remaining", "CPU Credits Remaining", "Count", "Average"),
    ("maximum_used_transactionIDs", "Maximum Used Transaction IDs", "Count", "Average"),
    ("is_db_alive", "Database Is Alive", "Count", "Maximum"),
];

/// What was asked, checked.
#[derive(Debug)]
struct Question {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    interval: (&'static str, i64),
    metrics: Vec<(&'static str, &'static str, &'static str, &'static str)>,
    /// Lower case; empty means each metric's usual one.
    aggregations: Vec<String>,
}

/// Answers `GET {resource}/providers/Microsoft.Insights/metrics`.
pub async fn get(arm: &Arm, server: &Server, query: &Query) -> Result<Answer, Answer> {
    let question = ask(query, arm.clock.now())?;
    let minutes = match arm.monitors.of(server) {
        Some(monitor) => monitor.minutes().await,
        None => Vec::new(),
    };
    let minutes: Vec<Minute> =
        minutes.into_iter().map(|m| Minute { at: arm.clock.shown(m.at), ..m }).collect();
    let id = servers::id(arm, &server.name);
    let value: Vec<Value> =
        question.metrics.iter().map(|metric| series(&question, *metric, &minutes, &id)).collect();
    Ok(Answer::ok(json!({
        "cost": (question.to - question.from).num_minutes() * i64::try_from(value.len()).unwrap_or(1),
        "timespan": format!("{}/{}", stamp(question.from), stamp(question.to)),
        "interval": question.interval.0,
        "value": value,
        "namespace": NAMESPACE,
        "resourceregion": "uksouth",
    })))
}

fn bad(words: &str) -> Answer {
    Answer::error(StatusCode::BAD_REQUEST, "BadRequest", words)
}

fn ask(query: &Query, now: DateTime<Utc>) -> Result<Question, Answer> {
    if query.get("metricnamespace").is_some_and(|n| !n.eq_ignore_ascii_case(NAMESPACE)) {
        return Err(bad(&format!("Metric namespace must be {NAMESPACE}.")));
    }
    let (from, to) = match query.get("timespan") {
        None => (now - TimeDelta::hours(1), now),
        Some(span) => timespan(span)
            .ok_or_else(|| bad(&format!("Invalid timespan '{span}': start/end in ISO 8601.")))?,
    };
    let names = query.get("metricnames").or_else(|| query.get("metric")).unwrap_or("cpu_percent");
    let metrics = names
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .map(defined)
        .collect::<Result<Vec<_>, _>>()?;
    if metrics.len() > MOST_METRICS {
        return Err(bad(&format!("At most {MOST_METRICS} metrics can be asked for at once.")));
    }
    let aggregations: Vec<String> = query
        .get("aggregation")
        .unwrap_or_default()
        .split(',')
        .map(|a| a.trim().to_ascii_lowercase())
        .filter(|a| !a.is_empty())
        .collect();
    if let Some(unknown) = aggregations
        .iter()
        .find(|a| !["average", "maximum", "minimum", "total", "count"].contains(&a.as_str()))
    {
        return Err(bad(&format!("Invalid aggregation '{unknown}'.")));
    }
    let interval = interval(query.get("interval").unwrap_or("PT1M"), (to - from).num_minutes())?;
    Ok(Question { from, to, interval, metrics, aggregations })
}

fn defined(name: &str) -> Result<(&'static str, &'static str, &'static str, &'static str), Answer> {
    DEFINED.into_iter().find(|(id, ..)| id.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let known: Vec<&str> = DEFINED.iter().map(|(id, ..)| *id).collect();
        bad(&format!(
            "Failed to find metric configuration for provider: Microsoft.DBforPostgreSQL, resource Type: \
             flexibleServers, metric: {name}, Valid metrics: {}",
            known.join(",")
        ))
    })
}

/// `start/end`. A plus sign may have arrived as a space.
fn timespan(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (from, to) = text.split_once('/')?;
    let parse = |t: &str| DateTime::parse_from_rfc3339(&t.trim().replace(' ', "+")).ok().map(|t| t.to_utc());
    let (from, to) = (parse(from)?, parse(to)?);
    (from < to && to - from <= TimeDelta::days(30)).then_some((from, to))
}

/// The interval asked for, or the next wider one that keeps the answer bounded.
fn interval(wanted: &str, minutes: i64) -> Result<(&'static str, i64), Answer> {
    let at = INTERVALS.iter().position(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let at = at.ok_or_else(|| bad(&format!("Detect invalid time grain input '{wanted}'.")))?;
    let wide_enough = |(_, step): &&(&'static str, i64)| minutes / step <= MOST_POINTS;
    INTERVALS.iter().skip(at).find(wide_enough).copied().ok_or_else(|| bad("The timespan is too long."))
}

fn series(
    question: &Question,
    (name, title, unit, usual): (&'static str, &'static str, &'static str, &'static str),
    minutes: &[Minute],
    id: &str,
) -> Value {
    let usual = [usual.to_ascii_lowercase()];
    let aggregations = if question.aggregations.is_empty() { &usual[..] } else { &question.aggregations };
    let step = TimeDelta::minutes(question.interval.1);
    let seconds = step.num_seconds();
    let mut at =
        DateTime::from_timestamp(question.from.timestamp() / seconds * seconds, 0).unwrap_or(question.from);
    let mut data = Vec::new();
    while at < question.to {
        let within = minutes.iter().filter(|m| m.at >= at && m.at < at + step);
        let points = within.filter_map(|m| m.metrics.get(name).copied()).reduce(Points::with);
        data.push(datum(at, points, aggregations));
        at += step;
    }
    json!({
        "id": format!("{id}/providers/Microsoft.Insights/metrics/{name}"),
        "type": "Microsoft.Insights/metrics",
        "name": {"value": name, "localizedValue": title},
        "displayDescription": title,
        "unit": unit,
        "timeseries": [{"metadatavalues": [], "data": data}],
        "errorCode": "Success",
    })
}

fn datum(at: DateTime<Utc>, points: Option<Points>, aggregations: &[String]) -> Value {
    let mut datum = Map::new();
    datum.insert("timeStamp".into(), stamp(at).into());
    if let Some(points) = points {
        for aggregation in aggregations {
            let value = match aggregation.as_str() {
                "maximum" => points.max,
                "minimum" => points.min,
                "total" => points.sum,
                "count" => f64::from(points.count),
                _ => points.average(),
            };
            datum.insert(aggregation.clone(), value.into());
        }
    }
    Value::Object(datum)
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn question(interval: (&'static str, i64)) -> Question {
        Question {
            from: at("2026-11-20T08:00:30Z"),
            to: at("2026-11-20T08:04:00Z"),
            interval,
            metrics: vec![],
            aggregations: vec!["average".into(), "maximum".into()],
        }
    }

    fn minute(time: &str, low: f64, high: f64) -> Minute {
        let points = Points { count: 2, sum: low + high, min: low, max: high };
        Minute { at: at(time), metrics: BTreeMap::from([("cpu_percent", points)]) }
    }

    #[test]
    fn empty_minutes_carry_only_their_time() {
        let minutes = [minute("2026-11-20T08:02:00Z", 1.0, 3.0)];
        let said = series(&question(("PT1M", 1)), defined("cpu_percent").unwrap(), &minutes, "/x");
        let data = said["timeseries"][0]["data"].as_array().unwrap();
        assert_eq!(data.len(), 4);
        assert_eq!(data[0], json!({"timeStamp": "2026-11-20T08:00:00Z"}));
        assert_eq!(data[2], json!({"timeStamp": "2026-11-20T08:02:00Z", "average": 2.0, "maximum": 3.0}));
    }

    #[test]
    fn wider_intervals_join_minutes() {
        let minutes = [minute("2026-11-20T08:01:00Z", 0.0, 2.0), minute("2026-11-20T08:03:00Z", 4.0, 6.0)];
        let said = series(&question(("PT5M", 5)), defined("cpu_percent").unwrap(), &minutes, "/x");
        assert_eq!(
            said["timeseries"][0]["data"],
            json!([{"timeStamp": "2026-11-20T08:00:00Z", "average": 3.0, "maximum": 6.0}])
        );
    }

    #[test]
    fn long_spans_are_widened_and_nonsense_is_refused() {
        assert_eq!(interval("PT1M", 60).unwrap().0, "PT1M");
        assert_eq!(interval("pt1m", 7 * 1440).unwrap().0, "PT15M");
        assert!(interval("PT7M", 60).is_err());
        assert!(timespan("2026-11-20T09:00:00Z/2026-11-20T08:00:00Z").is_none());
        assert!(timespan("2026-11-20T08:00:00+00:00/2026-11-20T09:00:00 00:00").is_some());
        assert!(defined("bananas").is_err());
    }
}
