//! A cockpit without a runtime, for tests: keys go in, effects are answered the way the runtime would, the journal is
//! real entries in memory.

pub mod compared;

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};

use super::model::{Model, Start};
use super::msg::Held;
use super::{Effect, Msg, update};
use crate::domain::{
    Backend, Deployment, DeploymentKey, Health, Hpa, Method, Orphan, Phase, Server, ServerClass, Source,
    Target, Traffic, Tunnel, TunnelId, TunnelState, Update, Utc, Via,
};
use crate::incident::{Action, Entry, Event, Outcome, hash};
use crate::runbook;

/// A small loss-of-data runbook.
pub const RUNBOOK: &str = r#"---
runbook: loss-of-data
version: 1
condition: server is listed, rows are wrong
goal: restore a copy, compare, put back
rto: 4h
rpo: not-agreed
memory: STOP WRITES
memory: FREEZE MAIN
---
# Loss of data
## Confirm the condition
### Check that Azure lists the live server
```dr
sense: server.state(live)
verify: == Ready
```
### Note when rows went wrong
## Stop the service
### Scale every deployment to 0
```dr
role: tech
sense: replicas.ready(app)
verify: == 0
capture: replicas(app)
do: scale(app, 0)
undo: restart-applications
```
### Freeze main
## Reopen
### Restart applications
```dr
sense: replicas.ready(app)
verify: == captured
do: restore(app)
```
### Check that nothing is left to undo
```dr
sense: undo.open()
verify: == 0
```
"#;

pub fn at(text: &str) -> Utc {
    text.parse().unwrap()
}

pub fn start() -> Start {
    Start {
        now: at("2026-11-20T10:00:00Z"),
        size: (120, 40),
        target: Target { sandbox: Some("/run/sandbox.json".into()), ..Target::sample() },
        who: "ada@night".into(),
        runbooks: vec![runbook::parse("loss-of-data.md", RUNBOOK).unwrap()],
        theme: "dark".into(),
        themes: vec!["dark".into(), "light".into(), "mono".into()],
        test_switches: false,
    }
}

pub fn key_of(name: &str) -> DeploymentKey {
    DeploymentKey { namespace: "tra-production".into(), name: name.into() }
}

pub fn deployment(name: &str, wanted: i32, ready: i32) -> Deployment {
    Deployment {
        key: key_of(name),
        wanted,
        ready,
        updated: ready,
        available: ready,
        total: ready,
        hpa: (name == "rsm-production").then(|| Hpa { name: "rsm-production".into(), min: 2, max: 6 }),
        restarts: 0,
        waiting: Vec::new(),
    }
}

pub fn server(name: &str, class: ServerClass, state: &str) -> Server {
    Server {
        id: format!("/subscriptions/s/resourceGroups/rg/providers/x/{name}"),
        name: name.into(),
        class,
        state: state.into(),
        version: "15.4".into(),
        sku: "Standard_D2ds_v5".into(),
        tier: "GeneralPurpose".into(),
        storage_gb: Some(32),
        ha: "Disabled".into(),
        earliest_restore: Some(at("2026-11-13T10:00:00Z")),
        retention_days: Some(7),
        created: None,
        fqdn: format!("{name}.postgres.database.azure.com"),
    }
}

/// A tunnel to the live server or to a copy of it.
pub fn tunnel(id: u32, which: ServerClass, state: TunnelState) -> Tunnel {
    let server = match which {
        ServerClass::Live => "s189p01-rsm-pd-pg",
        ServerClass::Ptr => "s189p01-rsm-pd-pg-ptr",
        ServerClass::SideCopy => "s189p01-rsm-pd-pg-snapshot",
    };
    Tunnel {
        id: TunnelId(id),
        backend: Backend::Postgres,
        which,
        server: server.into(),
        host: format!("{server}.postgres.database.azure.com"),
        database: "rsm_production".into(),
        user: "uabc".into(),
        via: Via {
            app: key_of("rsm-production"),
            pod: Some("rsm-production-7d9f-x2x4z".into()),
            own_pod: which != ServerClass::Live,
            method: Method::Exec,
        },
        local_port: state.is_open().then_some(50_000 + id as u16),
        line: None,
        opened_at: at("2026-11-20T09:48:00Z"),
        state,
        traffic: Traffic { sent: 1_234, received: 56_789_012, open: 0, total: 3 },
        latency_ms: Some(4),
        idle_limit_s: Some(3_600),
        ends_at: Some(at("2026-11-20T13:00:00Z")),
        warning: None,
    }
}

/// A pod that somebody's killed drtui left behind.
pub fn orphan(pod: &str) -> Orphan {
    Orphan {
        namespace: "tra-production".into(),
        pod: pod.into(),
        owner: "bob@laptop".into(),
        incident: None,
        created: Some(at("2026-11-20T09:10:00Z")),
        ends_at: Some(at("2026-11-20T12:10:00Z")),
    }
}

/// A key by its registry name, e.g. `ctrl-d`, `enter`, `G`.
pub fn key(name: &str) -> KeyEvent {
    let (modifiers, base) = match name.strip_prefix("ctrl-") {
        Some(rest) => (KeyModifiers::CONTROL, rest),
        None => (KeyModifiers::NONE, name),
    };
    let code = match base {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "space" => KeyCode::Char(' '),
        "tab" => KeyCode::Tab,
        "backtab" => KeyCode::BackTab,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pageup" => KeyCode::PageUp,
        "pagedown" => KeyCode::PageDown,
        "backspace" => KeyCode::Backspace,
        other => KeyCode::Char(other.chars().next().unwrap()),
    };
    KeyEvent::new(code, modifiers)
}

/// The cockpit under test.
#[derive(Debug)]
pub struct Kit {
    pub model: Model,
    /// Effects that were not answered by the kit: changes, copies.
    pub effects: Vec<Effect>,
    /// Sources that were to be asked at once.
    pub asked: Vec<Source>,
    /// False: the journal refuses.
    pub journal_works: bool,
    /// True: the journal is slow, and what it says waits for [`Kit::journal_says`].
    pub journal_waits: bool,
    waiting: Vec<Msg>,
    head: String,
    seq: u64,
}

impl Kit {
    #[allow(clippy::new_without_default)] // A test kit: `Kit::new()` reads best.
    pub fn new() -> Kit {
        Kit {
            model: Model::new(start()),
            effects: Vec::new(),
            asked: Vec::new(),
            journal_works: true,
            journal_waits: false,
            waiting: Vec::new(),
            head: hash::ZERO.to_owned(),
            seq: 0,
        }
    }

    /// With a live world: web 2, worker 1, a Ready server, a healthy service.
    pub fn live() -> Kit {
        let mut kit = Kit::new();
        kit.send(Msg::Looked { held: None });
        kit.standing(Source::Kubernetes, Phase::Live);
        kit.standing(Source::Azure, Phase::Polling { every_s: 30 });
        kit.standing(Source::Monitor, Phase::Polling { every_s: 60 });
        kit.standing(Source::Web, Phase::Polling { every_s: 10 });
        kit.news(Update::Deployments {
            all: vec![deployment("rsm-production", 2, 2), deployment("rsm-production-worker", 1, 1)],
        });
        kit.news(Update::Servers { all: vec![server("s189p01-rsm-pd-pg", ServerClass::Live, "Ready")] });
        kit.health(200);
        kit
    }

    /// A second cockpit, while another has the incident.
    pub fn held() -> Kit {
        let mut kit = Kit::live();
        let held = Held {
            incident: "2026-11-20-0941-rsm-production-loss-of-data".into(),
            state: "held by bea@bastion pid 4711 since 09:41 GMT".into(),
            advice: "Its marks are there. Work there, or end that cockpit: i then takes it over here.".into(),
        };
        kit.send(Msg::Looked { held: Some(held) });
        kit
    }

    /// With an open incident besides.
    pub fn incident() -> Kit {
        let mut kit = Kit::live();
        kit.keys("i enter");
        assert!(kit.model.session.is_some());
        kit
    }

    /// Armed besides.
    pub fn armed() -> Kit {
        let mut kit = Kit::incident();
        kit.command("arm 15m");
        assert!(kit.model.is_armed());
        kit
    }

    pub fn send(&mut self, msg: Msg) {
        let effects = update(&mut self.model, msg);
        for effect in effects {
            self.answer(effect);
        }
    }

    fn answer(&mut self, effect: Effect) {
        match effect {
            Effect::OpenIncident(event) => {
                let entry = self.seal(event);
                self.send(Msg::Opened { entries: vec![entry], resumed: false, notes: Vec::new() });
            }
            Effect::Journal(_) if !self.journal_works => {
                self.send(Msg::JournalFailed { why: "disk full".into() })
            }
            Effect::Journal(events) => {
                let entries = events.into_iter().map(|e| self.seal(e)).collect();
                let said = Msg::Journalled { entries };
                if self.journal_waits { self.waiting.push(said) } else { self.send(said) }
            }
            Effect::RetryNow(source) => self.asked.push(source),
            other => self.effects.push(other),
        }
    }

    /// A slow journal has written everything.
    pub fn journal_says(&mut self) {
        self.journal_waits = false;
        for msg in std::mem::take(&mut self.waiting) {
            self.send(msg);
        }
    }

    pub fn seal(&mut self, event: Event) -> Entry {
        self.seq += 1;
        let (entry, _) = hash::seal(self.seq, &self.head, event, self.model.now, "ada@night").unwrap();
        self.head.clone_from(&entry.hash);
        entry
    }

    /// Presses keys, separated by blanks.
    pub fn keys(&mut self, names: &str) -> &mut Kit {
        for name in names.split_whitespace() {
            self.send(Msg::Input { input: Input::Key(key(name)) });
        }
        self
    }

    /// Types text, letter by letter.
    pub fn text(&mut self, text: &str) -> &mut Kit {
        for c in text.chars() {
            self.send(Msg::Input { input: Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)) });
        }
        self
    }

    /// Runs a palette command.
    pub fn command(&mut self, text: &str) -> &mut Kit {
        self.keys(":").text(text).keys("enter")
    }

    pub fn news(&mut self, update: Update) {
        let at = self.model.now;
        self.send(Msg::News { update, at });
    }

    pub fn tunnel(&mut self, tunnel: Tunnel) {
        self.news(Update::Tunnel { tunnel: Box::new(tunnel) });
    }

    pub fn standing(&mut self, source: Source, phase: Phase) {
        self.news(Update::Standing { source, phase, next_try: None });
    }

    pub fn health(&mut self, status: u16) {
        let health =
            Health { url: "https://rsm.example/health".into(), status: Some(status), says: "ok".into() };
        self.news(Update::Health { health });
    }

    pub fn later(&mut self, seconds: i64) -> &mut Kit {
        let now = self.model.now + chrono::Duration::seconds(seconds);
        self.send(Msg::Tick { now });
        self
    }

    /// Lets every change that was asked for succeed; returns them.
    pub fn finish(&mut self) -> Vec<Action> {
        let mut done = Vec::new();
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Run { id, action } => {
                    done.push(action.clone());
                    self.send(Msg::Acted { id, action, outcome: Outcome::Done { result: "ok".into() } });
                }
                other => self.effects.push(other),
            }
        }
        done
    }

    /// Kinds of the journal's events, for short assertions.
    pub fn journal(&self) -> Vec<String> {
        let kind = |e: &Entry| {
            let value = serde_json::to_value(&e.event).unwrap();
            value["kind"].as_str().unwrap().to_owned()
        };
        self.model.session.iter().flat_map(|s| s.entries.iter().map(kind)).collect()
    }

    pub fn toast(&self) -> String {
        self.model.toast().map(|t| t.text.clone()).unwrap_or_default()
    }
}
