//! Pods that were made for tunnels, as the undo ledger has them: captured before they are made, off the ledger when a
//! list of what stands shows none.

use super::act;
use super::effect::Effect;
use super::model::{Level, Model};
use super::overlays::guard::Step;
use super::panes::PaneId;
use super::panes::tunnels::Row;
use super::tunnel;
use crate::domain::{TunnelId, TunnelPod};
use crate::incident::{Action, Event, UndoKind};

/// What stands before pods are made for these tunnels: none.
pub fn capture(namespace: &str, tunnels: &[TunnelId], server: &str) -> UndoKind {
    let (namespace, tunnels, server) = (namespace.to_owned(), tunnels.to_vec(), server.to_owned());
    UndoKind::TunnelPods { namespace, tunnels, server }
}

/// Pods of this incident that stand for one of `tunnels`.
fn standing(model: &Model, tunnels: &[TunnelId]) -> Vec<TunnelPod> {
    let incident = tunnel::incident(model);
    let of = |p: &&TunnelPod| p.incident == incident && p.tunnel.is_some_and(|id| tunnels.contains(&id));
    model.world.tunnel_pods.iter().flat_map(|(_, all)| all).filter(of).cloned().collect()
}

/// True while one of `tunnels` may still make a pod, or uses one.
fn in_use(model: &Model, tunnels: &[TunnelId]) -> bool {
    let asked = |action: &Action| match action {
        Action::OpenTunnel { request } => tunnels.contains(&request.id),
        Action::Compare { request } => {
            tunnels.contains(&request.live_tunnel) || tunnels.contains(&request.restored_tunnel)
        }
        _ => false,
    };
    let alive = |id: &TunnelId| model.world.tunnels.get(id).is_some_and(|t| t.state.is_alive());
    tunnels.iter().any(alive) || model.pending.values().any(|p| asked(&p.action))
}

/// A comparison goes through open tunnels where there are some: the pods that it was captured for may never be made, and
/// no tunnel ends that would say so.
pub fn look(ended: &Action) -> Option<Effect> {
    let through_pods = matches!(ended, Action::Compare { request } if request.own_pod);
    through_pods.then_some(Effect::LookForPods)
}

/// Undos whose pods are gone, as a list made after the capture shows.
pub fn deleted(model: &mut Model) -> Vec<Event> {
    let (Some(session), Some((listed, _))) = (&model.session, &model.world.tunnel_pods) else {
        return Vec::new();
    };
    let mut done = Vec::new();
    for record in session.state.open_undo().filter(|r| r.at < *listed) {
        let UndoKind::TunnelPods { namespace, tunnels, .. } = &record.undo.kind else { continue };
        if !in_use(model, tunnels) && standing(model, tunnels).is_empty() {
            let ids: Vec<String> = tunnels.iter().map(ToString::to_string).collect();
            let how = format!("no pod for tunnel {} is in {namespace}, as listed", ids.join(" and "));
            done.push((record.undo.id.clone(), how));
        }
    }
    if let Some(session) = model.session.as_mut() {
        done.retain(|(id, _)| session.end_undo(id));
    }
    done.into_iter().map(|(undo, how)| Event::Undone { undo, how }).collect()
}

/// Puts undo `id` back: closes its tunnels, or deletes by the guard what a crash has left of them.
pub fn put_back(model: &mut Model, id: &str, tunnels: &[TunnelId]) -> Vec<Effect> {
    let alive = |id: &&TunnelId| model.world.tunnels.get(id).is_some_and(|t| t.state.is_alive());
    if let Some(open) = tunnels.iter().find(alive).copied() {
        model.focus = PaneId::Tunnels;
        model.panes.tunnels.selected = Some(Row::Tunnel(open));
        let effects = tunnel::close(model);
        // One with connections is asked about once more.
        if !effects.is_empty() {
            model.tell(Level::Info, format!("Tunnel {open} is closed: its pod goes with it."));
        }
        return effects;
    }
    let left = standing(model, tunnels);
    if left.is_empty() {
        model.tell(Level::Info, "Looking whether a pod is left: if there is none, this is put back.");
        return vec![Effect::LookForPods];
    }
    if !act::allowed(model) {
        return Vec::new();
    }
    let steps = left.into_iter().map(|pod| delete(id, pod)).collect();
    act::ask(model, "Delete what a tunnel left behind".into(), steps);
    Vec::new()
}

fn delete(undo: &str, pod: TunnelPod) -> Step {
    let action = Action::DeletePod { namespace: pod.namespace.clone(), pod: pod.pod.clone() };
    Step {
        target: format!("pod {}/{}", pod.namespace, pod.pod),
        old: "it stands for a tunnel that has ended".into(),
        new: "deleted".into(),
        command: action.command_line(),
        note: None,
        action,
        capture: None,
        undoes: Some(undo.to_owned()),
        due: None,
    }
}
