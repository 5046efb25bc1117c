//! The running cockpit on a running sandbox: at rest, and under load.

use std::time::{Duration, Instant};

use chrono::Timelike;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use vt100::{Color, Screen};

use crate::harness::{Home, PATIENCE, Pty, Spawn};
use crate::numbers::{Line, Samples};
use crate::process;
use crate::world::World;

const SETTLE: Duration = Duration::from_secs(20);
const REST: Duration = Duration::from_secs(30);
const KEYS: usize = 600;
const CHANGES: usize = 60;
const PER_SECOND: u32 = 1000;

/// The cockpit on `world`, with the replicas pane on the whole screen and its rows loaded; in an open incident if asked.
fn cockpit(world: &World, home: &Home, incident: bool) -> Result<Pty, String> {
    let config = world.config()?.to_string_lossy().into_owned();
    let mut pty =
        Spawn::drtui(home, &["--config", &config]).env("COLORTERM", "truecolor").size(120, 40).start();
    let drawn = pty.try_wait(PATIENCE, |s| s.screen().alternate_screen().then_some(()));
    drawn.ok_or_else(|| format!("no frame came: {}", pty.text()))?;
    if incident {
        for (text, keys) in [("i opens one", "i"), ("Open an incident", "\r"), ("update due", "")] {
            let shown = pty.try_wait(PATIENCE, |s| s.screen().contents().contains(text).then_some(()));
            shown.ok_or_else(|| format!("no incident was opened: {}", pty.text()))?;
            pty.send(keys);
        }
    }
    pty.send("2z");
    let loaded = pty.try_wait(PATIENCE, |s| (selected_row(s.screen()).is_some()).then_some(()));
    loaded.ok_or_else(|| format!("no deployment came: {}", pty.text()))?;
    Ok(pty)
}

/// Wake-ups and bytes of a cockpit to which nothing happens.
pub fn at_rest(world: &World) -> Vec<Line> {
    let home = Home::new();
    let pty = match cockpit(world, &home, false) {
        Ok(pty) => pty,
        Err(why) => return vec![Line::failed("wake-ups and bytes at rest", "< 1 /s, 0", &why)],
    };
    // Threads that only the start needed are kept by the runtime for ten seconds.
    pty.try_wait(SETTLE.saturating_sub(pty.started.elapsed()), |_| None::<()>);
    quiet(&pty);
    // The clock in the header changes each minute, and must: measure between two changes.
    let second = chrono::Utc::now().second();
    if second > 25 {
        let next_minute = Duration::from_secs(u64::from(62 - second.min(60)));
        pty.try_wait(next_minute, |_| None::<()>);
    }
    let before = (process::voluntary_switches(pty.pid), pty.look(|s| s.bytes));
    pty.try_wait(REST, |_| None::<()>);
    let after = (process::voluntary_switches(pty.pid), pty.look(|s| s.bytes));
    if after.0.is_empty() {
        return vec![Line::failed("wake-ups and bytes at rest", "< 1 /s, 0", "the cockpit has ended")];
    }
    let wakes = process::wake_ups(&before.0, &after.0) as f64;
    vec![
        Line::below("wake-ups per second at rest over 30 s", wakes / REST.as_secs_f64(), 1.0, "/s"),
        Line::at_most("bytes written at rest over 30 s", (after.1 - before.1) as f64, 0.0, "bytes"),
    ]
}

/// Waits until nothing has been written for two seconds.
fn quiet(pty: &Pty) {
    pty.try_wait(Duration::from_secs(30), |s| (s.last.elapsed() > Duration::from_secs(2)).then_some(()));
    loop {
        let before = pty.look(|s| s.bytes);
        pty.try_wait(Duration::from_secs(2), |_| None::<()>);
        if pty.look(|s| s.bytes) == before {
            return;
        }
    }
}

/// Memory, changes and keys with 2,000 deployments, in an open incident.
pub fn under_load(world: &World) -> Vec<Line> {
    let home = Home::new();
    let mut pty = match cockpit(world, &home, true) {
        Ok(pty) => pty,
        Err(why) => return vec![Line::failed("under load", "", &why)],
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return vec![Line::failed("under load", "", "no tokio runtime")];
    };
    quiet(&pty);
    let mut lines = vec![Line::at_most(
        "resident memory with 2,000 deployments",
        process::resident_mib(pty.pid).unwrap_or(f64::INFINITY),
        60.0,
        "MiB",
    )];
    lines.extend(
        runtime
            .block_on(changes(world, &pty))
            .unwrap_or_else(|why| vec![Line::failed("replica change to cell", "p99 ≤ 100 ms", &why)]),
    );
    lines.extend(
        runtime
            .block_on(keys(world, &mut pty))
            .unwrap_or_else(|why| vec![Line::failed("key to screen under load", "p99 ≤ 16 ms", &why)]),
    );
    lines
}

async fn client(world: &World) -> Result<kube::Client, String> {
    let kubeconfig = Kubeconfig::read_from(world.text("/kubeconfig")?).map_err(|e| e.to_string())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    kube::Client::try_from(config.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

/// From asking the API for another replica count to its cell on the screen: the answer's own time is inside.
async fn changes(world: &World, pty: &Pty) -> Result<Vec<Line>, String> {
    let client = client(world).await?;
    let (row, name) = pty
        .look(|s| selected_row(s.screen()).and_then(|row| Some((row, name_at(s.screen(), row)?))))
        .ok_or("no deployment is selected")?;
    let all: Api<Deployment> = Api::all(client.clone());
    let found = all.list(&ListParams::default()).await.map_err(|e| e.to_string())?.items;
    let found = found.iter().find(|d| d.metadata.name.as_deref() == Some(name.as_str()));
    let namespace =
        found.and_then(|d| d.metadata.namespace.clone()).ok_or(format!("{name} is not in the cluster"))?;
    let one: Api<Deployment> = Api::namespaced(client, &namespace);
    let column = pty.find("WANT").ok_or("no WANT column")?.0;
    let (mut sent_to_cell, mut answer_to_cell) = (Samples::default(), Samples::default());
    for n in 0..CHANGES {
        let wanted = if n % 2 == 0 { 3 } else { 2 };
        let patch = Patch::Merge(json!({ "spec": { "replicas": wanted } }));
        let sent = Instant::now();
        one.patch_scale(&name, &PatchParams::default(), &patch).await.map_err(|e| e.to_string())?;
        let answered = Instant::now();
        let shown = pty
            .try_wait(PATIENCE, |s| (number_at(s.screen(), row, column) == Some(wanted)).then_some(s.last))
            .ok_or_else(|| format!("{name} was never shown at {wanted}: {}", pty.text()))?;
        sent_to_cell.push(shown.saturating_duration_since(sent));
        answer_to_cell.push(shown.saturating_duration_since(answered));
        tokio::time::sleep(Duration::from_millis(97 + (n as u64 * 37) % 211)).await;
    }
    let name = format!("replica change accepted by the API to its cell, p99 of {}", answer_to_cell.len());
    Ok(vec![
        Line::at_most(&name, answer_to_cell.quantile(0.99), 100.0, "ms"),
        Line::shown("  the same from sending the request, p50", sent_to_cell.quantile(0.5), "ms"),
        Line::shown("  the same from sending the request, p99", sent_to_cell.quantile(0.99), "ms"),
    ])
}

/// From a key to the cell that it changes, while the cluster changes all the time.
async fn keys(world: &World, pty: &mut Pty) -> Result<Vec<Line>, String> {
    churn(world, PER_SECOND).await?;
    let arriving = events_per_second(world).await?;
    let mut took = Samples::default();
    let mut seed = 12_345_u64;
    for n in 0..KEYS {
        let row = pty.look(|s| selected_row(s.screen())).ok_or("no row is selected")?;
        let down = (n / 20) % 2 == 0;
        let expected = if down { row + 1 } else { row - 1 };
        let sent = Instant::now();
        pty.send(if down { "j" } else { "k" });
        let shown = pty
            .try_wait(PATIENCE, |s| (selected_row(s.screen()) == Some(expected)).then_some(s.last))
            .ok_or_else(|| format!("key {n} did not move the cursor: {}", pty.text()))?;
        took.push(shown.saturating_duration_since(sent));
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(5 + (seed >> 33) % 45)).await;
    }
    churn(world, 0).await?;
    Ok(vec![
        Line::at_most(
            &format!("key to screen under load, p99 of {}", took.len()),
            took.quantile(0.99),
            16.0,
            "ms",
        ),
        Line::shown("  the same, p50", took.quantile(0.5), "ms"),
        Line::shown("  changes that the API sent meanwhile", arriving, "/s"),
    ])
}

/// Lets the cluster change `per_second` times a second; 0 ends it.
async fn churn(world: &World, per_second: u32) -> Result<(), String> {
    let url = format!("{}/churn", world.text("/control/endpoint")?);
    let mut http = reqwest::Client::builder();
    if let Ok(pem) = std::fs::read(world.text("/ca_file")?) {
        let ca = reqwest::Certificate::from_pem(&pem).map_err(|e| e.to_string())?;
        http = http.tls_certs_merge([ca]);
    }
    let http = http.build().map_err(|e| e.to_string())?;
    let asked =
        http.post(url).bearer_auth(world.text("/control/token")?).json(&json!({ "per_second": per_second }));
    asked.send().await.and_then(reqwest::Response::error_for_status).map_err(|e| format!("churn: {e}"))?;
    Ok(())
}

/// Counts what a watch of the deployments gets in two seconds.
async fn events_per_second(world: &World) -> Result<f64, String> {
    use futures::{StreamExt, TryStreamExt};
    let client = client(world).await?;
    let all: Api<Deployment> = Api::all(client);
    let listed = all.list(&ListParams::default().limit(1)).await.map_err(|e| e.to_string())?;
    let version = listed.metadata.resource_version.unwrap_or_default();
    let watch = all.watch(&kube::api::WatchParams::default(), &version).await.map_err(|e| e.to_string())?;
    let mut events = Box::pin(watch.into_stream());
    let (begun, window) = (Instant::now(), Duration::from_secs(2));
    let mut count = 0_u32;
    while let Ok(Some(event)) =
        tokio::time::timeout(window.saturating_sub(begun.elapsed()), events.next()).await
    {
        event.map_err(|e| e.to_string())?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

/// The row of the body whose cells have a background: the cursor's.
fn selected_row(screen: &Screen) -> Option<u16> {
    let rows = screen.size().0.get();
    (4..rows.saturating_sub(2))
        .find(|row| screen.cell(*row, 4).is_some_and(|c| c.bgcolor() != Color::Default))
}

fn row_text(screen: &Screen, row: u16) -> String {
    let columns = screen.size().1.get();
    (0..columns)
        .filter_map(|c| screen.cell(row, c))
        .map(|c| if c.has_contents() { c.contents() } else { " " })
        .collect()
}

/// The first word of a row, inside its border and mark.
fn name_at(screen: &Screen, row: u16) -> Option<String> {
    row_text(screen, row).split(['│', '┃', '║', '▌', ' ']).find(|w| w.len() > 1).map(str::to_owned)
}

/// The number that ends under the end of the four-letter heading at `column`.
fn number_at(screen: &Screen, row: u16, column: u16) -> Option<i64> {
    let digits: String = (column.saturating_sub(1)..column + 4)
        .filter_map(|c| screen.cell(row, c))
        .map(vt100::Cell::contents)
        .collect();
    digits.trim().parse().ok()
}
