//! The status as text and as JSON. Pure.

use std::fmt::Write;

use serde_json::{Value, json};

use super::known::{all_well, sources};
use super::open::OpenIncident;
use crate::core::world::World;
use crate::domain::clock;
use crate::domain::{Deployment, Metrics, Phase, Sample, Server, Source, Target, Utc, text};

/// The status as JSON. Times are RFC 3339 in UTC; `*_london` is the wall clock with its zone.
pub fn json(target: &Target, known: &World, open: &[OpenIncident], now: Utc) -> Value {
    let told: serde_json::Map<String, Value> =
        sources(target).map(|s| (s.word().to_owned(), source(known, s))).collect();
    json!({
        "at": now,
        "service": target.service,
        "environment": target.environment,
        "production": target.production,
        "exercise": target.exercise,
        "well": all_well(known, target),
        "incidents": open,
        "sources": told,
        "deployments": known.deployments.value.as_ref().map(|all| all.values().collect::<Vec<_>>()),
        "servers": known.servers.value.as_ref().map(|all| all.iter().map(|s| server(s, now)).collect::<Vec<_>>()),
        "metrics": known.metrics.value.as_ref().map(|all| {
            all.iter().map(|(name, m)| (name.clone(), latest(m))).collect::<serde_json::Map<_, _>>()
        }),
        "health": known.health.value,
    })
}

fn source(known: &World, source: Source) -> Value {
    let (phase, as_of, since, next_try) = known.phase(source);
    let mut shown = serde_json::to_value(phase).unwrap_or_default();
    if let Some(object) = shown.as_object_mut() {
        object.insert("as_of".to_owned(), json!(as_of));
        object.insert("since".to_owned(), json!(since));
        object.insert("next_try".to_owned(), json!(next_try));
    }
    shown
}

fn server(server: &Server, told: Utc) -> Value {
    let mut shown = serde_json::to_value(server).unwrap_or_default();
    if let Some(object) = shown.as_object_mut() {
        let window = server.restore_window(told).map(|(from, to)| {
            json!({
                "from": from, "from_london": clock::london_full(from),
                "to": to, "to_london": clock::london_full(to),
            })
        });
        object.insert("restore_window".to_owned(), json!(window));
    }
    shown
}

/// The newest minute that has a value.
fn newest(samples: &[Sample]) -> Option<(Utc, f64)> {
    samples.iter().rev().find_map(|s| s.value.map(|v| (s.at, v)))
}

fn latest(metrics: &Metrics) -> Value {
    let one = |samples: &[Sample]| newest(samples).map(|(at, value)| json!({"at": at, "value": value}));
    json!({
        "cpu_percent": one(&metrics.cpu),
        "memory_percent": one(&metrics.memory),
        "active_connections": one(&metrics.connections),
        "storage_percent": one(&metrics.storage),
    })
}

/// The status as text for people and grep.
pub fn text(target: &Target, known: &World, open: &[OpenIncident], now: Utc) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_text(&mut out, target, known, open, now);
    out
}

fn write_text(
    out: &mut String,
    target: &Target,
    known: &World,
    open: &[OpenIncident],
    now: Utc,
) -> std::fmt::Result {
    let exercise = if target.exercise { "  EXERCISE" } else { "" };
    writeln!(out, "{} {}{exercise}  {}", target.service, target.environment, clock::both(now))?;
    for line in open.iter().flat_map(OpenIncident::lines) {
        writeln!(out, "{line}")?;
    }
    for source in sources(target) {
        writeln!(out, "{:<11} {}", source.word(), standing(known, source, now))?;
    }
    if let Some(all) = &known.deployments.value {
        writeln!(out, "\ndeployments in {}", target.namespace)?;
        all.values().try_for_each(|d| deployment(out, d))?;
    }
    if let Some(all) = &known.servers.value {
        writeln!(out, "\nservers in {}", target.resource_group)?;
        for server in all {
            server_text(out, server, known.servers.as_of.unwrap_or(now))?;
            if let Some(metrics) = known.metrics.value.as_ref().and_then(|m| m.get(&server.name)) {
                metrics_text(out, metrics)?;
            }
        }
    }
    if let Some(health) = &known.health.value {
        let status = health.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
        writeln!(out, "\nservice {status}  {}  {}", health.url, health.says)?;
    }
    Ok(())
}

fn standing(known: &World, source: Source, now: Utc) -> String {
    let (phase, as_of, since, next_try) = known.phase(source);
    let mut words = match phase {
        Phase::Loading => "no answer yet".to_owned(),
        Phase::Live => "live".to_owned(),
        Phase::Polling { every_s } => format!("polled every {every_s} s"),
        Phase::Stale { why } => format!("stale: {why}"),
        Phase::AuthExpired { why, fix } => format!("sign in: {why}; run: {fix}"),
        Phase::Denied { what } => format!("denied: {what}"),
    };
    if let Some(at) = as_of {
        let _ = write!(words, "; as of {} ({} ago)", clock::both(at), clock::span(now - at));
    }
    if let Some(at) = since {
        let _ = write!(words, "; since {}", clock::both(at));
    }
    if let Some(at) = next_try {
        let _ = write!(words, "; next try in {}", clock::span(at - now));
    }
    words
}

fn deployment(out: &mut String, d: &Deployment) -> std::fmt::Result {
    let name = text::fit(&d.key.name, 52);
    write!(
        out,
        "  {name:<52} {}/{} ready  {} updated  {} available",
        d.ready, d.wanted, d.updated, d.available
    )?;
    if let Some(hpa) = &d.hpa {
        write!(out, "  hpa {}-{}", hpa.min, hpa.max)?;
    }
    if d.restarts > 0 {
        write!(out, "  {} restarts", d.restarts)?;
    }
    if !d.waiting.is_empty() {
        write!(out, "  {}", d.waiting.join(", "))?;
    }
    writeln!(out)
}

fn server_text(out: &mut String, s: &Server, told: Utc) -> std::fmt::Result {
    let storage = s.storage_gb.map_or_else(String::new, |gb| format!("  {gb} GB"));
    writeln!(
        out,
        "  {:<9} {}  {}  PostgreSQL {}  {}{storage}  HA {}",
        s.class.word(),
        s.name,
        s.state,
        s.version,
        s.sku,
        s.ha
    )?;
    match s.restore_window(told) {
        Some((from, to)) => {
            writeln!(out, "            restorable from {} to {}", clock::both(from), clock::both(to))
        }
        None => writeln!(out, "            not restorable yet"),
    }
}

fn metrics_text(out: &mut String, m: &Metrics) -> std::fmt::Result {
    let one = |samples: &[Sample], unit: &str| {
        newest(samples).map_or_else(|| "no data".to_owned(), |(_, v)| format!("{v:.0}{unit}"))
    };
    writeln!(
        out,
        "            cpu {}  memory {}  connections {}  storage {}",
        one(&m.cpu, " %"),
        one(&m.memory, " %"),
        one(&m.connections, ""),
        one(&m.storage, " %")
    )
}

#[cfg(test)]
mod tests {
    use super::super::known::settled;
    use super::*;
    use crate::domain::{DeploymentKey, Health, ServerClass, Update};

    fn target() -> Target {
        Target {
            service: "rsm".into(),
            environment: "test".into(),
            production: false,
            app: "rsm-test".into(),
            namespace: "tra-test".into(),
            ..Target::sample()
        }
    }

    fn now() -> Utc {
        "2026-07-01T12:00:00Z".parse().unwrap()
    }

    fn stand(source: Source, phase: Phase) -> Update {
        Update::Standing { source, phase, next_try: None }
    }

    fn known(status: u16) -> World {
        let deployment = Deployment {
            key: DeploymentKey { namespace: "tra-test".into(), name: "rsm-test".into() },
            wanted: 2,
            ready: 1,
            updated: 2,
            available: 1,
            total: 2,
            hpa: None,
            restarts: 4,
            waiting: vec!["CrashLoopBackOff".into()],
        };
        let server = Server {
            id: "/x".into(),
            name: "pg".into(),
            class: ServerClass::Live,
            state: "Ready".into(),
            version: "17.5".into(),
            sku: "Standard_D4ds_v5".into(),
            tier: "GeneralPurpose".into(),
            storage_gb: Some(128),
            ha: "Disabled".into(),
            earliest_restore: Some("2026-06-24T10:00:00Z".parse().unwrap()),
            retention_days: Some(7),
            created: None,
            fqdn: "pg.example".into(),
        };
        let cpu = [Some(7.0), None].map(|value| Sample { at: now(), value }).to_vec();
        let metrics = Metrics { cpu, ..Metrics::default() };
        let health =
            Health { url: "https://rsm.example/health".into(), status: Some(status), says: "ok".into() };
        let mut known = World::default();
        for update in [
            Update::Deployments { all: vec![deployment] },
            Update::Servers { all: vec![server] },
            Update::Metrics { server: "pg".into(), metrics },
            Update::Health { health },
            stand(Source::Kubernetes, Phase::Live),
            stand(Source::Azure, Phase::Polling { every_s: 30 }),
            stand(Source::Web, Phase::Polling { every_s: 10 }),
        ] {
            known.apply(update, now());
        }
        assert!(!settled(&known, &target()), "metrics are to come");
        known.apply(stand(Source::Monitor, Phase::Polling { every_s: 60 }), now());
        assert!(settled(&known, &target()));
        known
    }

    #[test]
    fn text_tells_all_in_both_clocks() {
        let shown = text(&target(), &known(200), &[], now());
        for expected in [
            "rsm test  EXERCISE  01 Jul 13:00 BST / 12:00 UTC",
            "kubernetes  live; as of 01 Jul 13:00 BST / 12:00 UTC (0 s ago)",
            "1/2 ready  2 updated  1 available  4 restarts  CrashLoopBackOff",
            "LIVE      pg  Ready  PostgreSQL 17.5  Standard_D4ds_v5  128 GB  HA Disabled",
            "restorable from 24 Jun 11:00 BST / 10:00 UTC to 01 Jul 12:55 BST / 11:55 UTC",
            "cpu 7 %  memory no data",
            "service 200  https://rsm.example/health  ok",
        ] {
            assert!(shown.contains(expected), "{expected}\n{shown}");
        }
    }

    #[test]
    fn json_has_what_scripts_need_and_says_whether_all_is_well() {
        let shown = json(&target(), &known(200), &[], now());
        assert_eq!(shown["well"], true);
        assert_eq!(shown["sources"]["kubernetes"]["phase"], "live");
        assert_eq!(shown["deployments"][0]["ready"], 1);
        assert_eq!(shown["servers"][0]["restore_window"]["to_london"], "2026-07-01 12:55:00 BST");
        assert_eq!(shown["metrics"]["pg"]["cpu_percent"]["value"], 7.0);
        assert_eq!(
            json(&target(), &known(503), &[], now())["well"],
            false,
            "a service that is down is not well"
        );
        let mut stale = known(200);
        let fault = Phase::Stale { why: "cannot reach it: Connection refused".into() };
        stale.apply(stand(Source::Azure, fault), now());
        let shown = json(&target(), &stale, &[], now());
        assert_eq!(shown["well"], false);
        assert_eq!(shown["sources"]["azure"]["why"], "cannot reach it: Connection refused");
        assert_eq!(shown["servers"][0]["name"], "pg", "the value stays");
    }

    #[test]
    fn an_open_incident_and_what_it_must_put_back_come_first() {
        let open = OpenIncident {
            id: "20260701-1100-rsm-test".into(),
            title: "Loss of data".into(),
            exercise: true,
            opened_at: Some(now()),
            opened_by: "ada@night".into(),
            last_at: Some(now()),
            undo_open: vec![super::super::open::UndoOpen {
                id: "u1".into(),
                captured: "tra-test/rsm-test had 2 replicas".into(),
                since: now(),
            }],
            damage: None,
        };
        let shown = text(&target(), &known(200), std::slice::from_ref(&open), now());
        let incident = "EXERCISE 20260701-1100-rsm-test open: Loss of data, since 01 Jul 13:00 BST / 12:00 UTC by ada@night; 1 to put back";
        let undo = "  u1 tra-test/rsm-test had 2 replicas, since 01 Jul 13:00 BST / 12:00 UTC";
        assert!(shown.contains(&format!("{incident}\n{undo}\nkubernetes")), "{shown}");
        let shown = json(&target(), &known(200), &[open], now());
        assert_eq!(shown["incidents"][0]["undo_open"][0]["id"], "u1");
        assert_eq!(shown["well"], true, "an open incident is no failing source");
    }

    #[test]
    fn nothing_to_wait_for_after_azure_failed() {
        let mut known = World::default();
        for (source, phase) in [
            (Source::Kubernetes, Phase::Denied { what: "x".into() }),
            (Source::Azure, Phase::AuthExpired { why: "x".into(), fix: "az login".into() }),
            (Source::Web, Phase::Polling { every_s: 10 }),
        ] {
            assert!(!settled(&known, &target()));
            known.apply(stand(source, phase), now());
        }
        assert!(settled(&known, &target()) && !all_well(&known, &target()));
        assert!(text(&target(), &known, &[], now()).contains("azure       sign in: x; run: az login"));
    }
}
