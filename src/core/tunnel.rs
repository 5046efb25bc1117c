//! Tunnels: which way a new one goes, what has to be asked before it is opened, and what is handed the terminal in it.
//! A look that cannot write needs an open incident and no arming; a pod of its own, and a session that can write, go
//! through the guard.

use chrono::Duration;

use super::act;
use super::command::Command;
use super::effect::Effect;
use super::model::{Level, Model};
use super::overlays::guard::{Guard, Step};
use super::overlays::prompt::{Kind, Prompt};
use super::overlays::tunnelling::Tunnelling;
use super::overlays::{Overlay, open as show};
use super::panes::tunnels::{self, Row};
use super::panes::{PaneId, postgres};
use super::pods;
use crate::domain::{
    Backend, DeploymentKey, HandOff, ServerClass, Tool, Tunnel, TunnelId, TunnelRequest, TunnelState, Utc,
    text,
};
use crate::incident::{Action, Event, Outcome};

/// A statement typed at a prompt is ended by the server after five minutes: nobody forgets a lock on live.
const STATEMENT_MS: u32 = 300_000;
/// A slow journal must not leave the keyboard dead for longer.
const JOURNAL_MAX: Duration = Duration::seconds(3);
/// How long the second `x` may take.
const SURE: Duration = Duration::seconds(6);

/// Runs one of the tunnels' commands.
pub fn run(model: &mut Model, command: Command, argument: &str) -> Vec<Effect> {
    match command {
        Command::OpenTunnel => ask(model, argument),
        Command::CloseTunnel => close(model),
        Command::Reconnect => reconnect(model),
        Command::DeletePod => delete_pod(model),
        Command::PsqlWrite => hand_off(model, Tool::Psql, argument, false),
        Command::PgDump => hand_off(model, Tool::PgDump, argument, true),
        Command::PgRestore => hand_off(model, Tool::PgRestore, argument, false),
        Command::RedisCli => hand_off(model, Tool::RedisCli, argument, false),
        Command::Shell => hand_off(model, Tool::Shell, "", true),
        _ => hand_off(model, Tool::Psql, argument, true),
    }
}

/// The servers that a tunnel can go to: live first, even where Azure does not list it.
pub fn servers(model: &Model) -> Vec<(String, ServerClass)> {
    let mut all: Vec<_> =
        model.world.servers.value.iter().flatten().map(|s| (s.name.clone(), s.class)).collect();
    if all.iter().all(|(_, class)| *class != ServerClass::Live) {
        all.push((model.target.server.clone(), ServerClass::Live));
    }
    all.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    all
}

/// The deployment whose credentials and pod are used: one with a ready pod, the web one first. The flag says whether it
/// has one; `None`: not known.
pub fn way(model: &Model) -> (DeploymentKey, Option<bool>) {
    let app = &model.target.app;
    let fallback = DeploymentKey { namespace: model.target.namespace.clone(), name: app.clone() };
    let Some(map) = &model.world.deployments.value else { return (fallback, None) };
    let rank = |name: &str| match name.strip_prefix(app.as_str()) {
        Some("") => 0,
        Some("-web") => 1,
        _ => 2,
    };
    let mut own: Vec<_> = map.values().filter(|d| model.target.owns(&d.key.name)).collect();
    own.sort_by_key(|d| (d.ready == 0, rank(&d.key.name)));
    own.first().map_or((fallback, Some(false)), |d| (d.key.clone(), Some(d.ready > 0)))
}

/// `t`, `:tunnel live|ptr|redis|SERVER [unverified]`: a named server is opened at once, else the dialog asks.
fn ask(model: &mut Model, argument: &str) -> Vec<Effect> {
    let (argument, unverified) = match argument.strip_suffix(" unverified") {
        Some(server) => (server.trim_end(), true),
        None => (argument, false),
    };
    let all = servers(model);
    let of = |class| all.iter().find(|(_, c)| *c == class).map(|(name, _)| name.clone());
    let named = match argument.to_ascii_lowercase().as_str() {
        "" => {
            let at =
                (model.focus == PaneId::Postgres).then(|| model.panes.postgres.selected.clone()).flatten();
            let server = at.filter(|s| postgres::server(model, s).is_some()).or(of(ServerClass::Live));
            let it = Tunnelling::new(model, server.unwrap_or_default());
            show(model, Overlay::Tunnelling(it));
            return Vec::new();
        }
        "redis" => {
            let request = redis(model);
            return open(model, request);
        }
        "live" => of(ServerClass::Live),
        "ptr" => of(ServerClass::Ptr),
        name => all.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(n, _)| n.clone()),
    };
    match named {
        Some(server) => match Tunnelling::new(model, server).request(model) {
            Ok(request) => open(model, TunnelRequest { unverified, ..request }),
            Err(why) => warn(model, why),
        },
        None => {
            warn(model, format!("No server here is called `{argument}`: 3 shows those that Azure lists."))
        }
    }
}

/// To the app's own redis: the app's variable says where that is.
fn redis(model: &Model) -> TunnelRequest {
    let (app, ready) = way(model);
    TunnelRequest {
        id: next_id(model),
        backend: Backend::Redis,
        which: ServerClass::Live,
        server: None,
        database: None,
        app,
        own_pod: ready == Some(false),
        local_port: None,
        incident: incident(model),
        unverified: false,
    }
}

fn warn(model: &mut Model, text: impl Into<String>) -> Vec<Effect> {
    model.tell(Level::Warning, text);
    Vec::new()
}

/// The number of the next tunnel: one that neither this run nor the incident's record has used.
pub fn next_id(model: &Model) -> TunnelId {
    let asked = |action: &Action| match action {
        Action::OpenTunnel { request } => Some(request.id),
        Action::Compare { request } => Some(request.live_tunnel.max(request.restored_tunnel)),
        _ => None,
    };
    let recorded = model.session.iter().flat_map(|s| &s.state.actions).filter_map(|a| asked(&a.action));
    let pending = model.pending.values().filter_map(|p| asked(&p.action));
    let used = recorded.chain(pending).chain(model.world.tunnels.keys().copied()).max();
    TunnelId(used.map_or(1, |id| id.0.saturating_add(1)))
}

/// Opens a tunnel: at once through the app's own pod, by the guard through a pod made for it.
pub fn open(model: &mut Model, request: TunnelRequest) -> Vec<Effect> {
    model.focus = PaneId::Tunnels;
    let same = |t: &&Tunnel| {
        // A pod of its own outlives the app's, which may be about to be stopped.
        let serves = t.via.own_pod || !request.own_pod;
        t.state.is_alive()
            && serves
            && t.backend == request.backend
            && request.server.as_ref().is_none_or(|server| *server == t.server)
            && request.database.as_ref().is_none_or(|d| *d == t.database)
            && request.local_port.is_none_or(|p| t.local_port == Some(p))
    };
    if let Some(id) = model.world.tunnels.values().find(same).map(|t| t.id) {
        model.panes.tunnels.selected = Some(Row::Tunnel(id));
        let what = if request.backend == Backend::Redis { ":redis-cli runs" } else { "p opens psql" };
        return warn(
            model,
            format!("Tunnel {id} goes there already: {what} in it; for another, x closes it."),
        );
    }
    let action = Action::OpenTunnel { request: Box::new(request.clone()) };
    if !action.is_change() {
        return act::intend(model, action);
    }
    if !act::allowed(model) {
        return Vec::new();
    }
    let word = request.which.word();
    if request.unverified {
        let typed = request.server.clone();
        let title = format!("Open a tunnel to {word} without verifying who answers");
        show(model, Overlay::Guard(Guard::new(title, vec![unverified(request, action)], typed)));
    } else {
        act::ask(model, format!("Open a tunnel to {word} through a new pod"), vec![own_pod(request, action)]);
    }
    Vec::new()
}

fn own_pod(request: TunnelRequest, action: Action) -> Step {
    let server = request.target();
    Step {
        target: format!("{}: a pod for tunnel {}", request.app.namespace, request.id),
        old: "no such pod".into(),
        new: format!("one small pod, through which {server} is reached"),
        command: action.command_line(),
        note: Some("it is deleted when the tunnel closes, and ends by itself if drtui is killed".into()),
        action,
        capture: Some(pods::capture(&request.app.namespace, &[request.id], server)),
        undoes: None,
        due: None,
    }
}

/// The way out where a certificate cannot be verified; who takes it types the server's name.
fn unverified(request: TunnelRequest, action: Action) -> Step {
    let server = request.target();
    let capture = pods::capture(&request.app.namespace, &[request.id], server);
    Step {
        target: format!("{}: {}", request.which.word(), server),
        old: "its certificate is verified against its name".into(),
        new: "whoever answers in its place gets the app's password".into(),
        command: action.command_line(),
        note: Some("only if you know why its certificate cannot be verified".into()),
        action,
        capture: Some(capture).filter(|_| request.own_pod),
        undoes: None,
        due: None,
    }
}

/// True while a tunnel is open.
pub fn is_open(model: &Model, id: TunnelId) -> bool {
    model.world.tunnels.get(&id).is_some_and(|t| t.state.is_open())
}

/// Gives the terminal to a program in the selected tunnel.
pub fn hand_off(model: &mut Model, tool: Tool, argument: &str, read_only: bool) -> Vec<Effect> {
    let Some(tunnel) = tunnels::selected(model).cloned() else {
        return warn(model, "Select an open tunnel first (5); t opens one.");
    };
    if let Some(why) = unfit(model, &tunnel, tool) {
        return warn(model, why);
    }
    if matches!(tool, Tool::PgDump | Tool::PgRestore) && argument.is_empty() {
        let text = if tool == Tool::PgDump { dump_arguments(model, &tunnel) } else { "--no-owner ".into() };
        show(model, Overlay::Prompt(Prompt::with(Kind::Arguments { tool, read_only }, &text)));
        return Vec::new();
    }
    let args = match arguments(argument) {
        Ok(args) => args,
        Err(why) => return warn(model, why),
    };
    let asked_at_a_prompt = matches!(tool, Tool::Psql | Tool::Shell);
    let statement_timeout_ms = if asked_at_a_prompt { STATEMENT_MS } else { 0 };
    let hand_off = HandOff { tunnel: tunnel.id, tool, args, read_only, statement_timeout_ms };
    let action = Action::HandOff {
        hand_off: Box::new(hand_off),
        which: tunnel.which,
        server: tunnel.server.clone(),
        database: tunnel.database.clone(),
    };
    if read_only {
        return act::intend(model, action);
    }
    if act::allowed(model) {
        ask_to_write(model, &tunnel, tool, action);
    }
    Vec::new()
}

/// Why `tool` cannot run in a tunnel now.
fn unfit(model: &Model, tunnel: &Tunnel, tool: Tool) -> Option<String> {
    let redis = tunnel.backend == Backend::Redis;
    if !tunnel.state.is_open() {
        let state = tunnels::status(model, tunnel);
        return Some(format!("Tunnel {} is not open ({state}): c looks for its way again.", tunnel.id));
    }
    if redis != (tool == Tool::RedisCli) && tool != Tool::Shell {
        let what = if redis { "a Redis" } else { "a Postgres server" };
        return Some(format!("Tunnel {} goes to {what}: {} cannot talk to it.", tunnel.id, tool.word()));
    }
    None
}

/// `-Fc -f rsm-live-20261121T1145Z.dump`: a name that no second dump has.
fn dump_arguments(model: &Model, tunnel: &Tunnel) -> String {
    let at = model.now.format("%Y%m%dT%H%M%SZ");
    format!("-Fc --no-owner -f {}-{}-{at}.dump", tunnel.server, tunnel.database)
}

/// The words of a command line, as a shell would split them. A password among them is refused: it would be in the
/// process list and on record.
fn arguments(text: &str) -> Result<Vec<String>, String> {
    let words = shell_words::split(text).map_err(|_| format!("A quote is not closed in `{text}`."))?;
    if words.iter().any(|w| text::redact(w) != *w) {
        return Err("A password does not belong on a command line: the tunnel knows it already.".into());
    }
    Ok(words)
}

fn ask_to_write(model: &mut Model, tunnel: &Tunnel, tool: Tool, action: Action) {
    let word = tunnel.which.word();
    let step = Step {
        target: format!("{word}: {} / {}", tunnel.server, tunnel.database),
        old: "sessions of this tunnel are read-only".into(),
        new: format!("{} CAN WRITE to {word}", tool.word()),
        command: action.command_line(),
        note: Some("what it changes is not captured and not in the undo ledger".into()),
        action,
        capture: None,
        undoes: None,
        due: None,
    };
    // `production` would be the same word for live and for its copy.
    let name = word.to_ascii_lowercase();
    act::ask_for(model, format!("{} that can WRITE, on {word}", tool.word()), vec![step], name);
}

/// `x`: closes the selected tunnel; one with connections only when asked twice. An ended one leaves the list.
pub fn close(model: &mut Model) -> Vec<Effect> {
    let Some(tunnel) = tunnels::selected(model).cloned() else {
        return warn(model, "Select a tunnel first (5).");
    };
    let id = tunnel.id;
    if !tunnel.state.is_alive() {
        model.world.tunnels.remove(&id);
        return Vec::new();
    }
    let asked = model.panes.closing.take().filter(|(i, at)| *i == id && model.now - *at <= SURE);
    if tunnel.traffic.open > 0 && asked.is_none() {
        model.panes.closing = Some((id, model.now));
        let open = text::counted(tunnel.traffic.open, "connection");
        return warn(model, format!("Tunnel {id} has {open} open, which would break: x again closes it."));
    }
    vec![Effect::CloseTunnel(id)]
}

/// `c`: looks for the way again; an ended tunnel is asked for anew, as it was.
fn reconnect(model: &mut Model) -> Vec<Effect> {
    let Some(tunnel) = tunnels::selected(model).cloned() else {
        return warn(model, "Select a tunnel first (5).");
    };
    if tunnel.state.is_alive() {
        return vec![Effect::ReconnectTunnel(tunnel.id)];
    }
    let request = TunnelRequest {
        id: next_id(model),
        backend: tunnel.backend,
        which: tunnel.which,
        server: Some(tunnel.server).filter(|_| tunnel.backend == Backend::Postgres),
        database: Some(tunnel.database).filter(|d| !d.is_empty()),
        app: tunnel.via.app,
        own_pod: tunnel.via.own_pod,
        local_port: tunnel.local_port,
        incident: incident(model),
        unverified: false,
    };
    open(model, request)
}

/// Id of the open incident.
pub fn incident(model: &Model) -> Option<String> {
    model.session.as_ref()?.state.facts.as_ref().map(|f| f.incident.clone())
}

/// `X`: deletes a pod that was left behind, through the guard.
fn delete_pod(model: &mut Model) -> Vec<Effect> {
    let Some(orphan) = tunnels::selected_orphan(model).cloned() else {
        return warn(model, "Select a pod that was left behind: they stand below the tunnels (5).");
    };
    if !act::allowed(model) {
        return Vec::new();
    }
    let action = Action::DeletePod { namespace: orphan.namespace.clone(), pod: orphan.pod.clone() };
    let step = Step {
        target: format!("pod {}/{}", orphan.namespace, orphan.pod),
        old: tunnels::orphan_words(model, &orphan),
        new: "deleted".into(),
        command: action.command_line(),
        note: Some(format!("made by {}: a tunnel that is still theirs would break", orphan.owner)),
        action,
        capture: None,
        undoes: None,
        due: None,
    };
    act::ask(model, "Delete a pod that a tunnel left behind".into(), vec![step]);
    Vec::new()
}

/// Time passed: a hand-off whose intent is not on disk soon is dropped, for no key is the cockpit's until then.
pub fn on_tick(model: &mut Model) {
    if model.handing_since.is_none_or(|since| model.now - since < JOURNAL_MAX) {
        return;
    }
    model.handing_since = None;
    let waits = |p: &super::model::Pending| matches!(p.action, Action::HandOff { .. }) && !p.running;
    let before = model.pending.len();
    model.pending.retain(|_, p| !waits(p));
    if model.pending.len() < before {
        model.tell(
            Level::Error,
            "Not started: its intent is not on disk after 3 s. Is the disk full or slow?",
        );
    }
}

/// The intent of a hand-off that was dropped is on disk after all.
pub fn came_late(id: &str) -> Effect {
    let outcome = Outcome::Failed { why: "not started: its intent came to disk too late".into() };
    Effect::Journal(vec![Event::Finished { id: id.to_owned(), outcome }])
}

/// True while something about a tunnel changes by the second.
pub fn needs_a_second(model: &Model) -> bool {
    let counts = |t: &Tunnel| matches!(&t.state, TunnelState::Reconnecting { next_try: Some(at), .. } if *at > model.now);
    model.handing_since.is_some() || model.world.tunnels.values().any(counts)
}

/// When a tunnel closes by itself at the latest (UTC).
pub fn ends_at(tunnel: &Tunnel) -> Option<Utc> {
    tunnel.ends_at.filter(|_| tunnel.state.is_alive())
}
