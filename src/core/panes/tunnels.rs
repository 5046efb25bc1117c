//! Tunnels: those of this run, and the pods that earlier runs left behind.

use crate::core::filter::Filter;
use crate::core::model::Model;
use crate::domain::{Orphan, ServerClass, Tunnel, TunnelId, TunnelState, clock, text};

/// A row is a tunnel, or a pod left behind by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    Tunnel(TunnelId),
    Orphan(String, String),
}

/// Fields of a row that a filter may name.
pub const FIELDS: [&str; 3] = ["name", "class", "status"];

/// Rows that pass the filter: tunnels that stand, live first; those that ended; pods left behind.
pub fn rows(model: &Model) -> Vec<Row> {
    let mut filter = Filter::new(&model.panes.tunnels.filter);
    let mut found: Vec<&Tunnel> = model
        .world
        .tunnels
        .values()
        .filter(|t| {
            let class = t.which.word();
            filter.admits(&[("name", &t.target()), ("class", class), ("status", &status(model, t))])
        })
        .collect();
    found.sort_by_key(|t| (!t.state.is_alive(), t.which, t.id));
    let mut rows: Vec<Row> = found.into_iter().map(|t| Row::Tunnel(t.id)).collect();
    let left = model.world.orphans.iter();
    let left =
        left.filter(|o| filter.admits(&[("name", &o.pod), ("class", "pod"), ("status", "left behind")]));
    rows.extend(left.map(|o| Row::Orphan(o.namespace.clone(), o.pod.clone())));
    rows
}

/// Rows before the filter.
pub fn total(model: &Model) -> usize {
    model.world.tunnels.len() + model.world.orphans.len()
}

/// The table's head, where there is a table.
pub fn head_lines(model: &Model) -> u16 {
    u16::from(total(model) > 0)
}

/// Lines below the rows for the selected one's particulars, out of `lines` in all.
pub fn detail_lines(lines: u16) -> u16 {
    match lines {
        0..=6 => 0,
        7..=11 => 4,
        12..=15 => 6,
        _ => 8,
    }
}

pub fn tunnel(model: &Model, id: TunnelId) -> Option<&Tunnel> {
    model.world.tunnels.get(&id)
}

pub fn orphan<'a>(model: &'a Model, namespace: &str, pod: &str) -> Option<&'a Orphan> {
    model.world.orphans.iter().find(|o| o.namespace == namespace && o.pod == pod)
}

/// The selected tunnel.
pub fn selected(model: &Model) -> Option<&Tunnel> {
    match model.panes.tunnels.selected.as_ref()? {
        Row::Tunnel(id) => tunnel(model, *id),
        Row::Orphan(..) => None,
    }
}

/// The selected pod that was left behind.
pub fn selected_orphan(model: &Model) -> Option<&Orphan> {
    match model.panes.tunnels.selected.as_ref()? {
        Row::Tunnel(_) => None,
        Row::Orphan(namespace, pod) => orphan(model, namespace, pod),
    }
}

/// A tunnel's state in words.
pub fn status(model: &Model, tunnel: &Tunnel) -> String {
    match &tunnel.state {
        TunnelState::Opening { step } => format!("opening: {step}"),
        TunnelState::Open if tunnel.via.own_pod => "open (own pod)".into(),
        TunnelState::Open => "open".into(),
        TunnelState::Reconnecting { why, next_try } => {
            let wait = next_try.map(|at| at - model.now).filter(|left| left.num_milliseconds() > 0);
            let left = wait.map(|w| w + chrono::Duration::milliseconds(999));
            let when = left.map_or_else(|| "now".into(), |l| format!("in {}", clock::span(l)));
            format!("RECONNECTING {when}: {why}")
        }
        TunnelState::Closed { why } if why == "closed" => "closed".into(),
        TunnelState::Closed { why } => format!("closed: {why}"),
        TunnelState::Failed { why, fix } if fix.is_empty() => format!("FAILED: {why}"),
        TunnelState::Failed { why, fix } => format!("FAILED: {why}. {fix}"),
    }
}

/// Until when a pod that was left behind lives, and who left it.
pub fn orphan_words(model: &Model, orphan: &Orphan) -> String {
    let age =
        orphan.created.map_or_else(String::new, |at| format!(" {} ago", clock::minutes(model.now - at)));
    let end = orphan.ends_at.map_or_else(
        || "never ends by itself".into(),
        |at| {
            if at > model.now {
                format!("ends by itself at {}", clock::london_hm(at))
            } else {
                "is over".into()
            }
        },
    );
    format!("{end}, left behind by {}{age}", orphan.owner)
}

/// `1.4 MB`: bytes in the unit that leaves one to three digits.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let word = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 || value >= 9.95 { format!("{value:.0} {word}") } else { format!("{value:.1} {word}") }
}

/// The line that connects from another terminal, without a password; a pod's command for one left behind.
pub fn copy_text(model: &Model) -> Option<String> {
    if let Some(orphan) = selected_orphan(model) {
        return Some(format!("kubectl -n {} delete pod {}", orphan.namespace, orphan.pod));
    }
    selected(model).and_then(line)
}

/// How to connect through a tunnel from another terminal.
pub fn line(tunnel: &Tunnel) -> Option<String> {
    let port = tunnel.local_port.filter(|_| tunnel.state.is_alive())?;
    let plain = || match tunnel.backend {
        // `hostaddr` goes through the tunnel, `host` is what TLS is verified against.
        crate::domain::Backend::Postgres => format!(
            "psql 'host={} hostaddr=127.0.0.1 port={port} dbname={} user={} sslmode=verify-full'",
            tunnel.host, tunnel.database, tunnel.user
        ),
        crate::domain::Backend::Redis => format!("redis-cli -h 127.0.0.1 -p {port}"),
    };
    Some(tunnel.line.clone().unwrap_or_else(plain))
}

/// One line for the strip: where open tunnels lead, and what is wrong.
pub fn summary(model: &Model) -> String {
    let alive = || model.world.tunnels.values().filter(|t| t.state.is_alive());
    let mut parts = Vec::new();
    for class in [ServerClass::Live, ServerClass::Ptr, ServerClass::SideCopy] {
        match alive().filter(|t| t.which == class && t.state.is_open()).count() {
            0 => {}
            1 => parts.push(class.word().to_owned()),
            n => parts.push(format!("{n} {}", class.word())),
        }
    }
    let waiting = alive().filter(|t| !t.state.is_open()).count();
    if waiting > 0 {
        parts.push(format!("{waiting} waiting"));
    }
    let failed =
        model.world.tunnels.values().filter(|t| matches!(t.state, TunnelState::Failed { .. })).count();
    if failed > 0 {
        parts.push(format!("!{failed} failed"));
    }
    if !model.world.orphans.is_empty() {
        parts.push(format!("!{} left", text::counted(model.world.orphans.len(), "pod")));
    }
    if parts.is_empty() { "no tunnel".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_short_and_never_a_thousand() {
        for (count, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_950, "10 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (200_000_000, "200 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(bytes(count), words, "{count}");
        }
    }
}
