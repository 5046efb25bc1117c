//! What is told of a tunnel: one value, changed in place, seen by whoever watches.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;

use super::super::postgres::AZURE_SUFFIX;
use super::super::words;
use super::open::Far;
use super::place::{How, Way};
use super::wish::Wish;
use crate::domain::{Method, ServerClass, Traffic, Tunnel, TunnelState, Utc, Via};

/// Writes to the value.
#[derive(Debug, Clone)]
pub struct Board {
    value: watch::Sender<Tunnel>,
    /// Whether the server's certificate is verified against its name.
    pub verified: bool,
}

impl Board {
    pub fn new(wish: &Wish) -> Board {
        let now = chrono::Utc::now();
        let server = wish.server.clone().unwrap_or_default();
        let tunnel = Tunnel {
            id: wish.id,
            backend: wish.backend,
            which: wish.which,
            server: server.strip_suffix(AZURE_SUFFIX).unwrap_or(&server).to_owned(),
            host: String::new(),
            database: wish.database.clone().unwrap_or_default(),
            user: String::new(),
            via: Via { app: wish.app.clone(), pod: None, own_pod: wish.own_pod, method: Method::Exec },
            local_port: None,
            line: None,
            opened_at: now,
            state: TunnelState::Opening { step: "starting".to_owned() },
            traffic: Traffic::default(),
            latency_ms: None,
            idle_limit_s: wish.idle.and_then(|idle| u32::try_from(idle.as_secs()).ok()),
            ends_at: TimeDelta::from_std(wish.limit).ok().and_then(|limit| now.checked_add_signed(limit)),
            warning: wish.unverified.as_ref().map(|_| "the server's certificate is not verified".to_owned()),
        };
        Board { value: watch::Sender::new(tunnel), verified: wish.unverified.is_none() }
    }

    pub fn subscribe(&self) -> watch::Receiver<Tunnel> {
        self.value.subscribe()
    }

    pub fn now(&self) -> Tunnel {
        self.value.borrow().clone()
    }

    pub fn step(&self, step: &str) {
        self.state(TunnelState::Opening { step: words::plain(step) });
    }

    /// What a person should know and is no state, e.g. a fallback.
    pub fn note(&self, text: &str) {
        let text = words::plain(text);
        self.value.send_modify(|tunnel| {
            tunnel.warning = Some(match tunnel.warning.take() {
                Some(before) => format!("{before}; {text}"),
                None => text,
            });
        });
    }

    pub fn state(&self, state: TunnelState) {
        self.value.send_if_modified(|tunnel| {
            let new = tunnel.state != state;
            tunnel.state = state;
            new
        });
    }

    pub fn far(&self, far: &Far, which: ServerClass) {
        self.value.send_modify(|tunnel| tunnel.which = which);
        self.value.send_modify(|tunnel| match far {
            Far::Postgres { url, .. } => {
                tunnel.server = words::plain(url.short_server());
                tunnel.host = words::plain(url.server());
                tunnel.database = words::plain(&url.database);
                tunnel.user = words::plain(&url.user);
            }
            Far::Redis(url) => {
                tunnel.server = words::plain(&url.host.name);
                tunnel.host.clone_from(&tunnel.server);
                tunnel.database = url.database.to_string();
                tunnel.user = words::plain(&url.user);
            }
        });
    }

    pub fn via(&self, way: &Way, own_pod: bool) {
        let place = way.here();
        self.value.send_modify(|tunnel| {
            tunnel.via.own_pod = own_pod;
            tunnel.via.pod = place.as_ref().map(|p| words::plain(&p.pod));
            if let Some(place) = place {
                tunnel.via.method = match place.how {
                    How::Exec => Method::Exec,
                    How::Forward { .. } => Method::PortForward,
                };
            }
        });
    }

    pub fn listening(&self, port: u16, line: String) {
        self.value.send_modify(|tunnel| {
            tunnel.local_port = Some(port);
            tunnel.line = Some(line);
        });
    }

    pub fn latency(&self, took: Duration) {
        let ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        self.value.send_if_modified(|tunnel| tunnel.latency_ms.replace(ms) != Some(ms));
    }

    /// True if the numbers changed.
    pub fn traffic(&self, traffic: Traffic) -> bool {
        self.value.send_if_modified(|tunnel| std::mem::replace(&mut tunnel.traffic, traffic) != traffic)
    }

    pub fn reconnecting(&self, why: String, next_try: Option<Utc>) {
        self.value.send_modify(|tunnel| tunnel.latency_ms = None);
        self.state(TunnelState::Reconnecting { why: words::plain(&why), next_try });
    }
}
