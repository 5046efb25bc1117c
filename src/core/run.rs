//! What each command of the registry does.

use super::act;
use super::command::Command;
use super::comparing;
use super::effect::Effect;
use super::list::Move;
use super::model::{Level, Model};
use super::overlays::answer::Answer;
use super::overlays::ledger::Ledger;
use super::overlays::opening::Opening;
use super::overlays::palette::Palette;
use super::overlays::prompt::{Kind, Prompt};
use super::overlays::reader::{Page, Reader};
use super::overlays::{self, Overlay, ask, open};
use super::panes::{self, PaneId, checklist};
use super::sense;
use super::session;
use super::tunnel;
use crate::domain::{Source, clock, text};
use crate::incident::{Event, Mark};

/// What was heard that lately is not asked for again.
const FRESH: chrono::Duration = chrono::Duration::seconds(5);

/// Runs a command of the registry; `argument` is what was typed after its name.
pub fn run(model: &mut Model, command: Command, argument: &str) -> Vec<Effect> {
    match command {
        Command::Up | Command::Down | Command::First | Command::Last => moved(model, command),
        Command::HalfUp | Command::HalfDown | Command::PageUp | Command::PageDown => moved(model, command),
        Command::FocusNext => model.focus = model.focus.step(true),
        Command::FocusPrevious => model.focus = model.focus.step(false),
        Command::FocusChecklist => model.focus = PaneId::Checklist,
        Command::FocusReplicas => model.focus = PaneId::Replicas,
        Command::FocusPostgres => model.focus = PaneId::Postgres,
        Command::FocusTunnels => model.focus = PaneId::Tunnels,
        Command::FocusCompare => model.focus = PaneId::Compare,
        Command::FocusTimeline => model.focus = PaneId::Timeline,
        Command::Zoom => model.zoom = !model.zoom,
        Command::Help => open(model, Overlay::Reader(Reader::new(Page::Help))),
        Command::Messages => open(model, Overlay::Reader(Reader::new(Page::Messages))),
        Command::Palette => open(model, Overlay::Palette(Palette::default())),
        Command::Filter => filter(model, argument),
        Command::Ledger => open(model, Overlay::Ledger(Ledger::default())),
        Command::Theme => theme(model, argument),
        Command::Mark => model.panes.replicas.toggle_mark(),
        Command::MarkAll => mark_all(model),
        Command::Answer => return answer(model),
        Command::Details => {
            if let Some(id) = checklist::selected(model).map(|i| i.id.clone()) {
                overlays::reader::details(model, &id);
            }
        }
        Command::Reopen => reopen(model),
        Command::Do => {
            if let Some(item) = checklist::selected(model).cloned() {
                return act::item(model, &item);
            }
        }
        Command::ScaleToZero => scale(model, "0"),
        Command::Scale => scale(model, argument),
        Command::Restore => return restore(model),
        Command::OpenTunnel | Command::CloseTunnel | Command::Reconnect | Command::DeletePod => {
            return tunnel::run(model, command, argument);
        }
        Command::Psql | Command::PsqlWrite | Command::PgDump => return tunnel::run(model, command, argument),
        Command::PgRestore | Command::RedisCli | Command::Shell => {
            return tunnel::run(model, command, argument);
        }
        Command::Disaster => act::disaster(model, argument),
        Command::Incident => return incident(model),
        Command::Note => return note(model, argument),
        Command::UpdateSent => return update_sent(model),
        Command::UpdateNotSent => return update_not_sent(model),
        Command::Arm => return act::arm(model, argument),
        Command::Disarm => return act::disarm(model, "disarmed by hand"),
        Command::Close => close(model),
        Command::Retry => return ask_again(model),
        Command::Copy => return panes::copy_text(model, model.focus).map(Effect::Copy).into_iter().collect(),
        Command::Mouse => return mouse(model),
        Command::Redraw => return vec![Effect::Redraw],
        Command::Suspend => return vec![Effect::Suspend],
        Command::Quit => model.quit = true,
        Command::Panic => return if model.test_switches { vec![Effect::Panic] } else { Vec::new() },
        of_compare => return comparing::run(model, of_compare, argument),
    }
    Vec::new()
}

fn ask_again(model: &mut Model) -> Vec<Effect> {
    model.tell(Level::Info, "Asking every source again…");
    Source::ALL.into_iter().map(Effect::RetryNow).collect()
}

fn moved(model: &mut Model, command: Command) {
    let to = match command {
        Command::Up => Move::Up,
        Command::First => Move::First,
        Command::Last => Move::Last,
        Command::HalfUp => Move::HalfUp,
        Command::HalfDown => Move::HalfDown,
        Command::PageUp => Move::PageUp,
        Command::PageDown => Move::PageDown,
        _ => Move::Down,
    };
    let focus = model.focus;
    panes::go(model, focus, to);
    if focus == PaneId::Checklist
        && matches!(model.panes.checklist.selected, Some(checklist::Row::Section(_)))
    {
        // Titles are stepped over, in the direction of the move.
        let on = if matches!(to, Move::Up | Move::HalfUp | Move::PageUp) { Move::Up } else { Move::Down };
        panes::go(model, focus, on);
        if matches!(model.panes.checklist.selected, Some(checklist::Row::Section(_))) {
            panes::go(model, focus, Move::Down);
        }
    }
}

fn filter(model: &mut Model, argument: &str) {
    let pane = model.focus;
    if argument.is_empty() {
        let now = panes::filter(model, pane).to_owned();
        open(model, Overlay::Prompt(Prompt::with(Kind::Filter(pane), &now)));
    } else {
        panes::set_filter(model, pane, argument.to_owned());
    }
}

fn theme(model: &mut Model, argument: &str) {
    if argument.is_empty() {
        let here = model.themes.iter().position(|t| *t == model.theme).unwrap_or(0);
        let next = model.themes.get(here + 1).or(model.themes.first());
        model.theme = next.cloned().unwrap_or_else(|| model.theme.clone());
    } else if model.themes.iter().any(|t| t == argument) {
        model.theme = argument.to_owned();
    } else {
        let names = model.themes.join(", ");
        model.tell(Level::Warning, format!("No theme is called `{argument}`: there are {names}."));
        return;
    }
    let text = format!("Theme {}.", model.theme);
    model.tell(Level::Info, text);
}

fn mark_all(model: &mut Model) {
    let rows = panes::replicas::rows(model);
    let marked = &mut model.panes.replicas.marked;
    if rows.iter().all(|r| marked.contains(r)) {
        marked.clear();
    } else {
        marked.extend(rows);
    }
}

/// An answer rests on what its source says now: it is asked again if it was not heard for a few seconds.
fn answer(model: &mut Model) -> Vec<Effect> {
    let Some(item) = checklist::selected(model).cloned() else { return Vec::new() };
    if model.session.is_none() {
        let text = session::missing(model, "Answers go on record");
        model.tell(Level::Warning, text);
    } else if checklist::mark(model, &item.id) == Mark::Open {
        let old = sense::source(model, &item).filter(|source| {
            let (phase, as_of, ..) = model.world.phase(*source);
            phase.is_healthy() && as_of.is_some_and(|at| model.now - at > FRESH)
        });
        open(model, Overlay::Answer(Answer { item: item.id }));
        return old.map(Effect::RetryNow).into_iter().collect();
    } else {
        model.tell(Level::Info, "Already answered: v shows the evidence, x opens it again.");
    }
    Vec::new()
}

fn reopen(model: &mut Model) {
    let Some(item) = checklist::selected(model).cloned() else { return };
    if checklist::mark(model, &item.id) == Mark::Open {
        model.tell(Level::Info, "This item is open.");
    } else {
        ask(model, Kind::Reopen { item: item.id, title: item.title });
    }
}

fn scale(model: &mut Model, argument: &str) {
    match argument.parse::<i32>() {
        Ok(to) if (0..=100).contains(&to) => {
            // What is marked stays marked under a filter that hides it.
            let all: Vec<_> =
                model.world.deployments.value.iter().flat_map(|map| map.keys().cloned()).collect();
            let keys = model.panes.replicas.chosen(&all);
            act::scale(model, &keys, to);
        }
        _ => model.tell(
            Level::Warning,
            format!("`{argument}` is not a replica count: say 0 to 100, e.g. :scale 2."),
        ),
    }
}

fn restore(model: &mut Model) -> Vec<Effect> {
    // Also those that a filter hides, or no mark in sight would mean everything.
    let marked: Vec<_> = model.panes.replicas.marked.iter().cloned().collect();
    act::restore(model, (!marked.is_empty()).then_some(marked.as_slice()))
}

fn incident(model: &mut Model) -> Vec<Effect> {
    match &model.session {
        Some(session) => {
            let id = session.state.facts.as_ref().map(|f| f.incident.clone()).unwrap_or_default();
            model.tell(Level::Info, format!("Incident {id} is open. :close ends it."));
        }
        None if model.looking => model.tell(Level::Warning, "Still looking for an open incident: a moment."),
        None if model.held.is_some() => {
            // Never a second incident beside it; it may be free by now.
            model.looking = true;
            model.tell(Level::Info, "Looking whether the incident is still held elsewhere…");
            return vec![Effect::LookAgain];
        }
        None => open(model, Overlay::Opening(Opening { field: 1, ..Opening::default() })),
    }
    Vec::new()
}

fn note(model: &mut Model, argument: &str) -> Vec<Effect> {
    if model.session.is_none() {
        let text = session::missing(model, "Notes go on record");
        model.tell(Level::Warning, text);
        return Vec::new();
    }
    let item = (model.focus == PaneId::Checklist)
        .then(|| checklist::selected(model).map(|i| i.id.clone()))
        .flatten();
    if argument.is_empty() {
        ask(model, Kind::Note(item));
        return Vec::new();
    }
    vec![Effect::Journal(vec![Event::Noted { text: text::redact(&text::clean(argument)), item: None }])]
}

fn update_sent(model: &mut Model) -> Vec<Effect> {
    if model.session.is_none() {
        let text = session::missing(model, "Updates go on record");
        model.tell(Level::Warning, text);
        return Vec::new();
    }
    let next = clock::both(model.now + session::UPDATE_EVERY);
    vec![Effect::Journal(vec![Event::Noted {
        text: format!("{}; next due {next}", session::UPDATE_SENT),
        item: None,
    }])]
}

fn update_not_sent(model: &mut Model) -> Vec<Effect> {
    if model.session.as_ref().and_then(|s| s.last_update()).is_none() {
        model.tell(Level::Info, "No update is on record: there is nothing to take back.");
        return Vec::new();
    }
    vec![Effect::Journal(vec![Event::Noted { text: session::UPDATE_NOT_SENT.into(), item: None }])]
}

fn close(model: &mut Model) {
    let open_undo = model.session.as_ref().map(|s| s.state.open_undo().count());
    match open_undo {
        None => model.tell(Level::Info, "No incident is open."),
        Some(0) if model.pending.is_empty() => {
            let left = left_undone(model);
            ask(model, Kind::Close { left });
        }
        Some(0) => model.tell(Level::Warning, "A change is still on its way: wait for it."),
        Some(n) => {
            model.tell(
                Level::Warning,
                format!(
                    "{} not put back: b puts one back, w waives it with a reason.",
                    text::counted(n, "change")
                ),
            );
            open(model, Overlay::Ledger(Ledger::default()));
        }
    }
}

fn mouse(model: &mut Model) -> Vec<Effect> {
    model.mouse = !model.mouse;
    let text = if model.mouse {
        "The cockpit has the mouse again."
    } else {
        "The mouse is the terminal's: select text as usual; m takes it back."
    };
    model.tell(Level::Info, text);
    vec![Effect::Mouse(model.mouse)]
}

/// What a person who closes the incident leaves behind, in words.
fn left_undone(model: &Model) -> String {
    let (Some(session), Some(runbook)) = (&model.session, model.runbook()) else { return String::new() };
    let [_, said, overridden, open] = session.tally(runbook);
    let waived =
        session.state.ledger.iter().filter(|l| l.ended.as_ref().is_some_and(|e| !e.put_back)).count();
    let total = runbook.items().count();
    format!(
        "{open} of {} open, {said} only said done, {overridden} overridden, {} not put back",
        text::counted(total, "item"),
        text::counted(waived, "change")
    )
}
