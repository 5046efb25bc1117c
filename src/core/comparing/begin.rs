//! Beginning a comparison: the form that asks how, the copy that it offers, and the request that goes on record.

use crate::core::act;
use crate::core::comparison::{Comparison, RowKey};
use crate::core::effect::Effect;
use crate::core::model::{Level as Tone, Model};
use crate::core::overlays::comparing::Form;
use crate::core::overlays::guard::Step;
use crate::core::overlays::{Overlay, open};
use crate::core::panes::PaneId;
use crate::core::panes::compare::Level;
use crate::core::{pods, tunnel};
use crate::domain::{CompareOptions, CompareRequest, Server, ServerClass, TunnelId};
use crate::incident::Action;

/// What live can be compared with: PTR copies before others.
pub fn copies(model: &Model) -> Vec<&Server> {
    let all = model.world.servers.value.iter().flatten();
    let mut copies: Vec<&Server> = all.filter(|s| s.class != ServerClass::Live).collect();
    copies.sort_by_key(|s| (s.class, &s.name));
    copies
}

/// The copy to offer: the named one, the one selected in Postgres, or the first PTR copy.
fn choose(model: &Model, argument: &str) -> Result<String, String> {
    let copies = copies(model);
    let named =
        |name: &str| copies.iter().find(|s| s.name.eq_ignore_ascii_case(name)).map(|s| s.name.clone());
    if !argument.is_empty() {
        return named(argument)
            .ok_or_else(|| format!("No copy here is called `{argument}`: 3 shows what Azure lists."));
    }
    let selected = model.panes.postgres.selected.as_deref().and_then(named);
    let ptr = copies.iter().find(|s| s.class == ServerClass::Ptr).map(|s| s.name.clone());
    selected
        .filter(|_| model.focus == PaneId::Postgres)
        .or(ptr)
        .ok_or_else(|| "No PTR copy is listed: restore one first. 3 shows what Azure lists.".into())
}

/// `c`, `:compare [SERVER]`: the form, filled in so that Enter is enough.
pub fn form(model: &mut Model, argument: &str) {
    let copy = choose(model, argument);
    model.focus = PaneId::Compare;
    match busy(model).map_or(copy, |why| Err(why.to_owned())) {
        Ok(copy) => open(model, Overlay::Comparing(Box::new(Form::new(copy)))),
        Err(why) => model.tell(Tone::Warning, why),
    }
}

/// Why these two cannot be compared now.
pub fn hindrance(model: &Model, copy: &str) -> Option<String> {
    if let Some(why) = busy(model) {
        return Some(why.into());
    }
    let server = copies(model).into_iter().find(|s| s.name == copy);
    match server {
        None => Some(format!("{copy} is not listed any more: 3 shows what Azure lists.")),
        Some(s) if !s.state.eq_ignore_ascii_case("ready") => {
            Some(format!("{copy} is {}: wait until it is Ready.", s.state))
        }
        Some(_) => None,
    }
}

/// Live gets one comparison at a time.
fn busy(model: &Model) -> Option<&'static str> {
    if model.compare.as_ref().is_some_and(Comparison::is_running) || is_asked(model) {
        return Some("A comparison is running: x stops it.");
    }
    let fetching = model.compare.as_ref().is_some_and(|c| c.fetch.is_some());
    fetching.then_some("More of the last comparison is being fetched: x stops it.")
}

/// True from the request for a comparison to its end, also while its intent is not on disk yet.
pub fn is_asked(model: &Model) -> bool {
    model.pending.values().any(|p| matches!(p.action, Action::Compare { .. }) && !p.ended)
}

/// Asks for the comparison; through pods of its own, by the guard, while the service has none.
pub fn start(model: &mut Model, copy: String, options: CompareOptions) -> Vec<Effect> {
    let live = tunnel::servers(model).into_iter().find(|(_, class)| *class == ServerClass::Live);
    let (app, ready) = tunnel::way(model);
    let next = tunnel::next_id(model);
    let request = CompareRequest {
        run: model.compare.as_ref().map_or(1, |c| c.request.run.saturating_add(1)),
        live: live.map_or_else(|| model.target.server.clone(), |(name, _)| name),
        restored: copy,
        app,
        own_pod: ready == Some(false),
        live_tunnel: next,
        restored_tunnel: TunnelId(next.0.saturating_add(1)),
        incident: tunnel::incident(model),
        options,
    };
    let action = Action::Compare { request: Box::new(request.clone()) };
    if !request.own_pod {
        return act::intend(model, action);
    }
    if !act::allowed(model) {
        return Vec::new();
    }
    let step = Step {
        target: format!("{}: pods for the way to both databases", request.app.namespace),
        old: "no pod of the service runs".into(),
        new: format!("small pods, through which {} and {} are read", request.live, request.restored),
        command: action.command_line(),
        note: Some("reading only; closing their tunnels (5) deletes the pods, as leaving drtui does".into()),
        action,
        capture: Some(pods::capture(
            &request.app.namespace,
            &[request.live_tunnel, request.restored_tunnel],
            &format!("{} and {}", request.live, request.restored),
        )),
        undoes: None,
        due: None,
    };
    act::ask(model, "Compare through pods made for it".into(), vec![step]);
    Vec::new()
}

/// Its intent is on disk: the comparison begins now.
pub fn began(model: &mut Model, request: &CompareRequest) {
    let view = &mut model.panes.compare;
    view.level = Level::Tables;
    (view.table, view.row, view.held) = (None, None::<RowKey>, false);
    if let Some(last) = model.compare.take().filter(Comparison::is_whole) {
        model.earlier = Some(Box::new(last));
    }
    // Of another copy it says nothing about this one, and more of it would be fetched from the wrong server.
    let same = |e: &Comparison| (&e.request.live, &e.request.restored) == (&request.live, &request.restored);
    model.earlier = model.earlier.take().filter(|e| same(e));
    model.compare = Some(Comparison::new(request.clone(), model.now));
}
