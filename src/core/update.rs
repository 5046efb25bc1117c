//! The one door into the model: `update(&mut Model, Msg) -> Vec<Effect>`. Never waits, reads no clock, prints nothing.

use crossterm::event::{Event as Input, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};

use super::act;
use super::command;
use super::comparing;
use super::effect::Effect;
use super::follow::{self, News};
use super::keymap;
use super::layout::{self, inner};
use super::model::{About, Bookmark, Level, Model};
use super::msg::Msg;
use super::overlays;
use super::panes::{self, checklist};
use super::run::run;
use super::session::{self, Session};
use super::tunnel;
use crate::domain::{Phase, Update, Utc, clock, text};
use crate::incident::{Entry, Event, Mark};

/// After this long without a key the person counts as away.
const AWAY: chrono::Duration = chrono::Duration::seconds(60);

/// A clock that goes back less than this was only corrected.
const CLOCK_SLACK: chrono::Duration = chrono::Duration::seconds(5);

/// Takes in one message; says what is to be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    model.about = match &msg {
        Msg::Acted { action, .. } => About::action(action),
        Msg::Compare { .. } | Msg::Fetched { .. } | Msg::Queried { .. } => Some(About::Comparison),
        _ => None,
    };
    let effects = take(model, msg);
    model.about = None;
    effects
}

fn take(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Tick { now } => tick(model, now),
        Msg::Input { input } => on_input(model, input),
        Msg::News { update, at } => on_news(model, update, at),
        Msg::Looked { held } => {
            model.looking = false;
            // The header and the checklist say it for as long as it is so.
            model.held = held;
            Vec::new()
        }
        Msg::Opened { entries, resumed, notes } => opened(model, entries, resumed, notes),
        Msg::Journalled { entries } => journalled(model, entries),
        Msg::JournalFailed { why } => {
            act::on_journal_failed(model, &why);
            Vec::new()
        }
        Msg::Acted { id, action, outcome } => act::acted(model, id, action, outcome),
        Msg::Compare { run, news } => {
            comparing::on_news(model, run, news);
            Vec::new()
        }
        Msg::Fetched { id, news } => {
            comparing::fetch::on_news(model, id, news);
            Vec::new()
        }
        msg @ Msg::Queried { .. } => {
            comparing::answered(model, msg);
            Vec::new()
        }
        Msg::Copied { text } => {
            model.tell(Level::Info, format!("Sent to the terminal's clipboard: {}", text::fit(&text, 60)));
            Vec::new()
        }
        Msg::Trouble { what } => {
            model.tell(Level::Error, what);
            Vec::new()
        }
        Msg::Info { what } => {
            model.tell(Level::Info, what);
            Vec::new()
        }
    }
}

/// Brings selections and scrolling in line with the data. The runtime calls it before each drawing.
pub fn settle(model: &mut Model) {
    panes::settle(model);
    if let Some(checklist::Row::Section(_)) = &model.panes.checklist.selected
        && let Some(item) = checklist::current(model)
        && model.panes.checklist.filter.is_empty()
    {
        // A fresh checklist starts at the first open item and not at a title.
        model.panes.checklist.selected = Some(checklist::Row::Item(item.id.clone()));
        panes::settle(model);
    }
}

fn tick(model: &mut Model, now: Utc) -> Vec<Effect> {
    let back = model.now - now;
    model.now = now;
    tunnel::on_tick(model);
    if back > CLOCK_SLACK && model.is_armed() {
        return act::disarm(model, "the machine's clock was set back");
    }
    if model.armed_until.is_some_and(|until| until <= model.now) {
        return act::disarm(model, "the time is up");
    }
    Vec::new()
}

fn on_news(model: &mut Model, update: Update, at: Utc) -> Vec<Effect> {
    let news = match &update {
        Update::DeploymentChanged { deployment } => {
            News { deployment: Some(deployment.key.clone()), listed: None }
        }
        Update::Deployments { .. } => News { deployment: None, listed: Some(at) },
        _ => News::default(),
    };
    if let Update::Tunnel { tunnel } = &update
        && !model.world.tunnels.contains_key(&tunnel.id)
    {
        // What was asked for just now is what the next key is about.
        model.panes.tunnels.selected = Some(panes::tunnels::Row::Tunnel(tunnel.id));
    }
    tell_sign_in(model, &update);
    let changes = model.world.apply(update, at);
    follow::on_news(model, &changes, &news)
}

/// The command that signs in, whole: no line of a pane may have room for it.
fn tell_sign_in(model: &mut Model, update: &Update) {
    let Update::Standing { source, phase: Phase::AuthExpired { why, fix }, .. } = update else { return };
    if !matches!(model.world.phase(*source).0, Phase::AuthExpired { .. }) {
        let who = source.word();
        model.tell(
            Level::Warning,
            format!("{who}: sign in again with `{fix}` (Ctrl-Z, fg), then r. It said: {why}"),
        );
    }
}

fn opened(model: &mut Model, entries: Vec<Entry>, resumed: bool, notes: Vec<String>) -> Vec<Effect> {
    let session = Session::new(entries, resumed);
    let id = session.state.facts.as_ref().map(|f| f.incident.clone()).unwrap_or_default();
    let uncertain = session.state.open_actions().count();
    model.session = Some(session);
    model.looking = false;
    model.armed_until = None;
    model.drift_told.clear();
    model.awaiting.clear();
    // What was compared in another incident says nothing in this one.
    (model.compare, model.earlier) = (None, None);
    model.panes.compare = panes::compare::View::default();
    select_current(model);
    if !resumed {
        model.tell(Level::Info, format!("Incident {id} is open and on record."));
        let plan = model.runbook().map(session::plan);
        return vec![Effect::Journal(plan.into_iter().chain([follow::at_opening(model)]).collect())];
    }
    model.tell(
        Level::Warning,
        format!("Resumed incident {id}. Read-only. What was said done is being sensed again."),
    );
    bookmark(model, model.session.as_ref().and_then(|s| s.state.last_at).unwrap_or(model.now));
    if let Some(mark) = model.away.bookmark.as_mut() {
        mark.resumed = true;
    }
    let mut notes = notes;
    if uncertain > 0 {
        notes.push(format!("{} without an outcome on record", text::counted(uncertain, "change")));
    }
    notes.extend(runbook_changed(model));
    let mut events = vec![Event::Resumed { notes }];
    events.extend(
        model.session.as_ref().filter(|s| s.state.plan.is_none()).and(model.runbook()).map(session::plan),
    );
    // Whoever takes it over late has heard the sources already: what can be sensed again is sensed now.
    let mut effects = vec![Effect::Journal(events)];
    effects.extend(follow::on_news(model, &[], &News::default()));
    effects
}

/// What to say if the incident's runbook is not the one it was opened with.
fn runbook_changed(model: &mut Model) -> Option<String> {
    let pinned = model.session.as_ref()?.state.facts.as_ref()?.runbook.clone();
    let what = match model.runbook() {
        Some(now) if now.sha256 == pinned.sha256 => return None,
        Some(now) => {
            format!("the runbook has changed since: version {} then, {} now", pinned.version, now.version)
        }
        None => format!("the runbook `{}` is not here any more", pinned.id),
    };
    model.tell(Level::Error, format!("Look out: {what}."));
    Some(what)
}

/// What a line on disk allows to be said.
fn tell_journalled(model: &mut Model, event: &Event) {
    match event {
        Event::Armed { until } => {
            model.armed_until = Some(*until);
            // Rounded up like the header: the line was on its way to disk for a moment.
            let minutes = ((*until - model.now).num_seconds().max(0) + 59) / 60;
            model.tell(
                Level::Warning,
                format!("ARMED for {minutes} minutes. :disarm goes back to read-only."),
            );
        }
        Event::Noted { text, .. } if text.starts_with(session::UPDATE_SENT) => {
            model.tell(Level::Info, format!("On record: {text}. :update-not-sent takes it back."));
        }
        Event::Noted { text, .. } if text.starts_with(session::UPDATE_NOT_SENT) => {
            model.tell(Level::Info, format!("On record: {text}."));
        }
        _ => {}
    }
}

fn journalled(model: &mut Model, entries: Vec<Entry>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for entry in entries {
        effects.extend(act::on_journalled(model, &entry));
        tell_journalled(model, &entry.event);
        let closed = matches!(entry.event, Event::Closed { .. });
        let answered = matches!(entry.event, Event::Answered { .. });
        let finished = matches!(entry.event, Event::Finished { .. });
        if let Some(session) = model.session.as_mut() {
            session.push(entry);
        }
        if finished {
            effects.extend(follow::on_finished(model));
        }
        if answered {
            model.away.bookmark = None;
            select_next(model);
        }
        if closed {
            let id = model.session.take().and_then(|s| s.state.facts).map(|f| f.incident).unwrap_or_default();
            model.armed_until = None;
            model.tell(Level::Info, format!("Incident {id} is closed. drtui report {id} writes the report."));
        }
    }
    effects
}

/// After an answer: the next open item below it, else the first open one.
fn select_next(model: &mut Model) {
    let answered = model.session.as_ref().and_then(|s| s.state.last_answered.clone());
    let next = model.runbook().and_then(|r| {
        let after = r.items().skip_while(|i| answered.as_ref() != Some(&i.id)).skip(1);
        after.into_iter().find(|i| checklist::mark(model, &i.id) == Mark::Open).map(|i| i.id.clone())
    });
    match next {
        Some(id) => model.panes.checklist.selected = Some(checklist::Row::Item(id)),
        None => select_current(model),
    }
}

fn select_current(model: &mut Model) {
    if let Some(item) = checklist::current(model) {
        model.panes.checklist.selected = Some(checklist::Row::Item(item.id.clone()));
    }
}

fn on_input(model: &mut Model, input: Input) -> Vec<Effect> {
    match input {
        Input::Resize(width, height) => {
            model.size = (width, height);
            settle(model);
            Vec::new()
        }
        Input::FocusLost => {
            model.away.unfocused = Some(model.now);
            Vec::new()
        }
        Input::FocusGained => {
            if let Some(since) = model.away.unfocused.take().filter(|s| model.now - *s >= AWAY) {
                bookmark(model, since.min(model.away.last_input));
                model.away.last_input = model.now;
            }
            Vec::new()
        }
        // What cannot be seen must not be acted on.
        Input::Key(_) | Input::Mouse(_) | Input::Paste(_)
            if layout::too_small(model.size.0, model.size.1) =>
        {
            Vec::new()
        }
        Input::Paste(text) => {
            here(model);
            overlays::paste(model, &text);
            Vec::new()
        }
        Input::Mouse(mouse) => on_mouse(model, mouse),
        Input::Key(key) if key.kind != KeyEventKind::Release => on_key(model, &key),
        Input::Key(_) => Vec::new(),
    }
}

/// The person is here; after a while away they are told what they missed.
fn here(model: &mut Model) {
    let since = model.away.last_input;
    if model.now - since >= AWAY && model.session.is_some() {
        bookmark(model, since);
    }
    model.away.last_input = model.now;
}

fn bookmark(model: &mut Model, since: Utc) {
    let Some(session) = &model.session else { return };
    // What nobody has put away yet was not read: it goes on and does not begin anew.
    let before = model.away.bookmark.take();
    let since = before.as_ref().map_or(since, |b| b.since.min(since));
    let title = |id: &String| session.state.answers.get(id).map(|a| format!("{} {}", a.mark.sign(), a.title));
    let changed = model.world.changes.iter().filter(|c| c.at >= since);
    model.away.bookmark = Some(Bookmark {
        since,
        until: model.now,
        resumed: before.as_ref().is_some_and(|b| b.resumed),
        sensing: session.resense,
        sensed: before.and_then(|b| b.sensed),
        last_done: session.state.last_answered.as_ref().and_then(title),
        current: checklist::current(model).map(|i| i.title.clone()),
        changed: changed
            .map(|c| format!("{} {}: {}", clock::london_hm(c.at), c.source.word(), c.what))
            .collect(),
    });
}

fn on_key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    here(model);
    settle(model);
    if !model.overlays.is_empty() {
        let effects = overlays::key(model, key);
        settle(model);
        return effects;
    }
    if keymap::name(key).as_deref() == Some("esc") {
        // A word of good news is in nobody's way: the same key goes back too.
        let news = model.toast().is_some_and(|m| m.level == Level::Info);
        if !model.dismiss() || news {
            let focus = model.focus;
            let filtered = !panes::filter(model, focus).is_empty();
            panes::set_filter(model, focus, String::new());
            if !filtered && focus == panes::PaneId::Compare {
                comparing::step_out(model);
            }
        }
        return Vec::new();
    }
    let effects = match keymap::command(key, model.focus) {
        Some(command) => run(model, command, ""),
        None => {
            if let Some(name) = keymap::name(key) {
                model.hint(format!("{} means nothing here: ? shows the keys.", command::label(&name)));
            }
            Vec::new()
        }
    };
    settle(model);
    effects
}

fn on_mouse(model: &mut Model, mouse: MouseEvent) -> Vec<Effect> {
    here(model);
    if !model.overlays.is_empty() {
        return Vec::new();
    }
    let Some((pane, rect)) = model.layout().pane_at(mouse.column, mouse.row) else { return Vec::new() };
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => {
            model.focus = pane;
            let top = inner(rect).y + panes::head_lines(model, pane);
            let line = usize::from(mouse.row.saturating_sub(top));
            if mouse.row >= top && line < panes::height(model, pane) {
                panes::click(model, pane, line);
            }
        }
        MouseEventKind::ScrollDown => panes::wheel(model, pane, true),
        MouseEventKind::ScrollUp => panes::wheel(model, pane, false),
        _ => {}
    }
    Vec::new()
}
