//! Header, strip, footer and toast.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::parts::{ends, hint, nth, put};
use super::theme::{Role, Theme};
use crate::core::command::{REGISTRY, Scope, label};
use crate::core::model::{Detail, Level};
use crate::core::msg::Held;
use crate::core::overlays::palette::available;
use crate::core::panes::{self, PaneId, checklist, replicas, tunnels};
use crate::core::{Command, Model, session};
use crate::domain::{Backend, Phase, Source, clock, text};
use crate::incident::fold::Facts;

/// A message over the footer takes no more; the rest is among the messages.
const TOAST_LINES: u16 = 4;

/// Columns in which a source says its standing and the beginning of a reason.
const REASON: usize = 64;

/// A service's name cut to less than this says nothing.
const SERVICE_LEAST: usize = 8;

/// The header: where we are, what is true, how fresh it is.
pub fn header(model: &Model, theme: &Theme, area: Rect, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    put(band(model, theme, area.width), nth(area, 0), buffer);
    if area.height >= 3 {
        put(incident(model, theme, area.width), nth(area, 1), buffer);
        put(sources(model, theme, area.width), nth(area, 2), buffer);
    } else if model.held.is_none() && Source::ALL.iter().any(|s| model.unwell(*s)) {
        put(sources(model, theme, area.width), nth(area, 1), buffer);
    } else {
        put(incident(model, theme, area.width), nth(area, 1), buffer);
    }
}

/// Environment, arming and the drill's stamp take their room first, then the clocks, the service, its place.
fn band<'a>(model: &Model, theme: &Theme, width: u16) -> Line<'a> {
    let target = &model.target;
    let style = theme.style(if target.production { Role::BandProduction } else { Role::BandOther });
    let environment = Span::styled(format!(" {} ", target.environment.to_uppercase()), style);
    let stamp = target.exercise.then(|| Span::styled(" EXERCISE ", theme.style(Role::Exercise)));
    let arming = arming(model, theme);
    let first = environment.width() + arming.width() + stamp.as_ref().map_or(0, Span::width);
    let room = usize::from(width).saturating_sub(first);
    // Whatever is too narrow for all of them cuts at the end: the environment is not there.
    let mut left = match stamp {
        Some(stamp) if first > usize::from(width) => vec![environment, stamp],
        stamp => stamp.into_iter().chain([environment]).collect(),
    };
    let (london, utc) = (clock::london_hm(model.now), clock::utc_hm(model.now));
    let clocks = [format!(" {london} {utc} "), format!(" {london} "), clock::utc_z(model.now)];
    let clocks = clocks.into_iter().find(|c| c.len() <= room).unwrap_or_default();
    let room = room - clocks.len();
    if room >= SERVICE_LEAST {
        left.push(Span::styled(format!("{} ", text::fit(&target.service, room - 1)), style));
    }
    if width >= 100 {
        left.push(Span::styled(format!("· {} · {} ", target.cluster, target.namespace), style));
    }
    ends(left, vec![arming, Span::styled(clocks, style)], width).style(style)
}

fn arming<'a>(model: &Model, theme: &Theme) -> Span<'a> {
    match model.armed_until.filter(|_| model.is_armed()) {
        Some(until) => {
            // Minutes round up: `ARMED 1 m` never outlasts the arming.
            let left = until - model.now;
            let left = if left.num_seconds() > 60 { left + chrono::Duration::seconds(59) } else { left };
            Span::styled(format!(" ARMED {} ", clock::span(left)), theme.style(Role::Armed))
        }
        None => Span::styled(" READ-ONLY ", theme.style(Role::ReadOnly)),
    }
}

fn incident<'a>(model: &Model, theme: &Theme, width: u16) -> Line<'a> {
    let Some(facts) = model.session.as_ref().and_then(|s| s.state.facts.as_ref()) else {
        if let Some(held) = &model.held {
            return not_ours(held, theme, width);
        }
        let words = if model.looking {
            " looking for an open incident…"
        } else {
            " no incident open · i opens one"
        };
        return Line::styled(words, theme.style(Role::Dim));
    };
    // As promised when the incident opened, whatever the runbook says today.
    let plan = model.session.as_ref().and_then(|s| s.state.plan.as_ref());
    let rto = plan.map_or_else(|| model.runbook().and_then(|r| r.rto_minutes), |p| p.rto_minutes);
    let origin = facts.disrupted_at.or(facts.detected_at).unwrap_or(facts.opened_at);
    let (rto_text, late) = match rto {
        Some(minutes) => {
            let left = origin + chrono::Duration::minutes(i64::from(minutes)) - model.now;
            let late = left < chrono::Duration::zero();
            (
                if late {
                    format!("RTO MISSED by {}", clock::span(-left))
                } else {
                    format!("RTO in {}", clock::span(left))
                },
                late,
            )
        }
        None => ("RTO not agreed".into(), false),
    };
    let title = facts.runbook.title.to_uppercase();
    let right = update_due(model, theme, width);
    let open = model.session.as_ref().map_or(0, |s| s.state.open_undo().count());
    let counted = |n: usize, what: &str| if n > 0 { format!("{n} {what} ") } else { String::new() };
    let undo = counted(open, "UNDO OPEN");
    let moved =
        counted(session::to_look_at_again(model), "LOOK AGAIN") + &counted(replicas::drifted(model), "DRIFT");
    let taken = right.iter().map(Span::width).sum::<usize>() + moved.len() + undo.len() + rto_text.len();
    let room = usize::from(width).saturating_sub(taken);
    // The checklist says it whole.
    let title = format!(" {} ", text::fit(&title, room.saturating_sub(4)));
    let room = room.saturating_sub(title.width());
    let mut left =
        vec![Span::styled(title, theme.style(Role::Title)), Span::styled(moved, theme.style(Role::Danger))];
    left.push(Span::styled(undo, theme.style(Role::Warn)));
    left.push(Span::styled(elapsed(model, facts, room), theme.style(Role::Text)));
    left.push(Span::styled(rto_text, theme.style(if late { Role::Danger } else { Role::Text })));
    ends(left, right, width)
}

/// An incident goes on that is written elsewhere: never to be taken for calm.
fn not_ours<'a>(held: &Held, theme: &Theme, width: u16) -> Line<'a> {
    let right = vec![
        Span::styled(" read-only ", theme.style(Role::Warn)),
        Span::styled(" i ", theme.style(Role::Key)),
        Span::styled(" again ", theme.style(Role::Dim)),
    ];
    let words = format!(" INCIDENT {} · {}", held.state, held.incident);
    ends(vec![Span::styled(words, theme.style(Role::Danger))], right, width)
}

/// How long ago it was declared, noticed and began: as many of them as fit, what is known before what is not.
fn elapsed(model: &Model, facts: &Facts, room: usize) -> String {
    let since = |at| clock::minutes(model.now - at);
    let declared = format!("declared {} ago", since(facts.opened_at));
    let noticed = facts.detected_at.map(|at| format!("noticed {} ago", since(at)));
    let began = facts.disrupted_at.map(|at| format!("began {} ago", since(at)));
    let not_known = began.is_none().then(|| "began: not known".to_owned());
    let oldest = began.clone().or_else(|| noticed.clone()).unwrap_or_else(|| declared.clone());
    let choices: [Vec<String>; 3] = [
        [Some(declared), noticed.clone(), began.clone(), not_known.clone()].into_iter().flatten().collect(),
        [noticed, began, not_known].into_iter().flatten().collect(),
        vec![oldest],
    ];
    let texts = choices.iter().map(|parts| format!("· {} · ", parts.join(" · ")));
    texts.into_iter().find(|text| text.width() <= room).unwrap_or_else(|| "· ".into())
}

fn update_due<'a>(model: &Model, theme: &Theme, width: u16) -> Vec<Span<'a>> {
    let Some(due) = model.session.as_ref().and_then(|s| s.update_due()) else { return Vec::new() };
    let late = due <= model.now;
    let at = clock::london_hm(due);
    let words = match (late, width < 56) {
        (true, false) => format!(" UPDATE OVERDUE since {at} "),
        (false, false) => format!(" update due {at} "),
        (true, true) => format!(" OVERDUE {at}"),
        (false, true) => format!(" due {at}"),
    };
    vec![Span::styled(words, theme.style(if late { Role::Warn } else { Role::Dim }))]
}

/// How many words the sources get. What is in trouble has its reason longest; what is well gives way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Words {
    All,
    /// What is well: only its name.
    Names,
    /// Short names, the kind of trouble, its age and the next try.
    Short,
    /// The same without the next try.
    Kind,
    /// Shortest names, the kind of trouble and its age.
    Tight,
    /// Shortest names and the kind of trouble.
    Least,
}

fn sources<'a>(model: &Model, theme: &Theme, width: u16) -> Line<'a> {
    // What is wrong comes first.
    let (bad, good): (Vec<_>, Vec<_>) = Source::ALL.into_iter().partition(|s| model.unwell(*s));
    let wide = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
    let most = usize::from(width);
    for words in [Words::All, Words::Names, Words::Short, Words::Kind, Words::Tight, Words::Least] {
        let good: Vec<_> = good.iter().flat_map(|s| well(model, theme, *s, words)).collect();
        // One alone keeps the beginning of its reason, where there is room for it.
        let left = most.saturating_sub(wide(&good));
        let room = if words == Words::Names && bad.len() == 1 && left >= REASON { left } else { usize::MAX };
        let troubles = bad.iter().flat_map(|s| trouble(model, theme, *s, words, room));
        let spans: Vec<_> = troubles.chain(good).collect();
        if (words > Words::All || width >= 100) && wide(&spans) <= most {
            return ends(spans, Vec::new(), width);
        }
    }
    // Every source keeps its state; the reasons share what is left.
    let good: Vec<_> = good.iter().flat_map(|s| well(model, theme, *s, Words::Least)).collect();
    let mut room = most.saturating_sub(wide(&good));
    let mut spans = Vec::new();
    for (n, source) in bad.iter().enumerate() {
        let shown = trouble(model, theme, *source, Words::Least, room / (bad.len() - n));
        room = room.saturating_sub(wide(&shown));
        spans.extend(shown);
    }
    spans.extend(good);
    ends(spans, Vec::new(), width)
}

/// A source that fails, in at most `width` columns.
fn trouble<'a>(model: &Model, theme: &Theme, source: Source, words: Words, width: usize) -> Vec<Span<'a>> {
    let (name, standing) = match words {
        Words::All | Words::Names => (format!(" ! {} ", source.word()), model.standing(source)),
        Words::Short => (format!(" ! {} ", source.short()), model.standing_short(source, Detail::Next)),
        Words::Kind => (format!(" ! {} ", source.short()), model.standing_short(source, Detail::Age)),
        Words::Tight => (format!(" !{} ", source.shortest()), model.standing_short(source, Detail::Age)),
        Words::Least => (format!(" !{} ", source.shortest()), model.standing_short(source, Detail::Kind)),
    };
    // What the service said last is still the last that is known of it.
    let last = model.world.health.value.as_ref().filter(|_| source == Source::Web);
    let standing = match last {
        Some(health) if words <= Words::Names => {
            let status = health.status.map_or_else(|| "no answer".into(), |s| s.to_string());
            format!("was {} ({status}), {standing}", health.word().to_uppercase())
        }
        Some(health) if words == Words::Least => format!("was {}, {standing}", health.word().to_uppercase()),
        Some(health) => format!("{standing}, was {}", health.word().to_uppercase()),
        None => standing,
    };
    let room = width.saturating_sub(name.len() + 1);
    let standing = text::fit(&standing, room);
    vec![
        Span::styled(name, theme.style(Role::Warn)),
        Span::styled(format!("{standing} "), theme.style(Role::Stale)),
    ]
}

/// A source that answers, or has not answered yet.
fn well<'a>(model: &Model, theme: &Theme, source: Source, words: Words) -> Vec<Span<'a>> {
    let (sign, role) = match model.world.phase(source).0 {
        Phase::Loading => ("…", Role::Dim),
        _ => ("●", Role::Ok),
    };
    let health = model.world.health.value.as_ref().filter(|_| source == Source::Web);
    let down = health.is_some_and(|h| !h.is_up());
    let name = match words {
        Words::All | Words::Names => source.word(),
        Words::Short | Words::Kind => source.short(),
        Words::Tight | Words::Least => source.shortest(),
    };
    let shown = match health {
        Some(health) => {
            let state = health.word().to_uppercase();
            let status = health.status.map_or_else(|| "no answer".into(), |s| s.to_string());
            if words < Words::Short || (down && words < Words::Least) {
                format!("{name} {state} ({status})")
            } else {
                format!("{name} {state}")
            }
        }
        None if words == Words::All => format!("{name} {}", model.standing(source)),
        None => name.to_owned(),
    };
    let blank = if words >= Words::Tight { "" } else { " " };
    vec![
        Span::styled(format!(" {sign}{blank}"), theme.style(if down { Role::Warn } else { role })),
        Span::styled(format!("{shown}{blank}"), theme.style(if down { Role::Warn } else { Role::Dim })),
    ]
}

/// On small screens: the panes that do not show, each in a few words.
pub fn strip(model: &Model, theme: &Theme, area: Rect, frame: &mut Frame<'_>) {
    if area.height == 0 {
        return;
    }
    let mut spans = Vec::new();
    for pane in PaneId::ALL {
        let here = pane == model.focus;
        let style = theme.style(if here { Role::Title } else { Role::Dim });
        spans.push(Span::styled(
            format!(" {}", pane.number()),
            theme.style(if here { Role::Title } else { Role::Key }),
        ));
        spans.push(Span::styled(
            format!(" {} ", if here { pane.title().to_owned() } else { panes::summary(model, pane) }),
            style,
        ));
    }
    put(ends(spans, Vec::new(), area.width), area, frame.buffer_mut());
}

/// The footer: the keys that matter where the focus is.
pub fn footer(model: &Model, theme: &Theme, area: Rect, frame: &mut Frame<'_>) {
    let right = [hint(theme, ":", "commands"), hint(theme, "?", "help")].concat();
    let mut room = usize::from(area.width).saturating_sub(right.iter().map(Span::width).sum());
    let mut spans = Vec::new();
    let hinted = |scope: Scope| {
        REGISTRY.iter().filter(move |s| s.scope == scope && !s.hint.is_empty() && !s.keys.is_empty())
    };
    for spec in hinted(Scope::Pane(model.focus)).chain(hinted(Scope::Everywhere)) {
        let cap = hint(theme, &spec.keys.first().map(|k| label(k)).unwrap_or_default(), spec.hint);
        let wide: usize = cap.iter().map(Span::width).sum();
        if !is_useless(model, spec.command) && available(model, spec) && wide <= room {
            room -= wide;
            spans.extend(cap);
        }
    }
    put(ends(spans, right, area.width), area, frame.buffer_mut());
}

/// True for a command that would do nothing here and now: its key is not offered.
fn is_useless(model: &Model, command: Command) -> bool {
    let running = || model.compare.as_ref().is_some_and(|c| c.is_running());
    let tunnel = tunnels::selected(model);
    let open_to = |backend: Option<Backend>| {
        tunnel.is_some_and(|t| t.state.is_open() && backend.is_none_or(|backend| t.backend == backend))
    };
    match command {
        Command::Incident => model.session.is_some(),
        Command::Note | Command::Ledger => model.session.is_none(),
        Command::CancelCompare => !running(),
        Command::Compare => running(),
        Command::ColumnsRight | Command::MarkRepair => {
            model.panes.compare.level == panes::compare::Level::Tables
        }
        Command::OpenTunnel => !matches!(model.focus, PaneId::Postgres | PaneId::Tunnels),
        Command::Psql | Command::PgDump => !open_to(Some(Backend::Postgres)),
        Command::Shell => !open_to(None),
        Command::CloseTunnel => tunnel.is_none(),
        Command::DeletePod => tunnels::selected_orphan(model).is_none(),
        Command::Restore => {
            let open = model.session.iter().flat_map(|s| s.state.open_undo());
            model.focus != PaneId::Replicas || open.filter(|l| l.undo.kind.replicas().is_some()).count() == 0
        }
        Command::Do => checklist::selected(model).is_none_or(|i| i.action.is_none()),
        _ => false,
    }
}

/// The message in sight, in the footer's place.
pub fn toast(model: &Model, theme: &Theme, footer: Rect, frame: &mut Frame<'_>) {
    let Some(message) = model.toast() else { return };
    let (sign, role) = match message.level {
        Level::Info => ("i", Role::Info),
        Level::Warning => ("!", Role::Warn),
        Level::Error => ("✗", Role::Danger),
    };
    let tail = match (message.level, model.errors_waiting()) {
        (Level::Error, n) if n > 1 => format!("  (Esc; {} more)", n - 1),
        (Level::Error, _) => "  (Esc)".to_owned(),
        _ => String::new(),
    };
    let lines = super::parts::wrap(&format!("{sign} {}{tail}", message.text), footer.width.saturating_sub(2));
    let height = (lines.len() as u16).clamp(1, TOAST_LINES);
    let cut = lines.len() > usize::from(TOAST_LINES);
    let y = (footer.y + 1).saturating_sub(height);
    let area = Rect::new(footer.x, y, footer.width, height);
    frame.render_widget(ratatui::widgets::Clear, area);
    for (n, line) in lines.iter().take(usize::from(height)).enumerate() {
        let mut shown = format!(" {}", text::clean(line));
        if cut && n + 1 == usize::from(height) {
            let more = format!("… M shows all{tail}");
            shown =
                format!("{}{more}", text::fit(&shown, usize::from(area.width).saturating_sub(more.width())));
        }
        put(
            Line::styled(super::parts::cell(&shown, usize::from(area.width)), theme.style(role)),
            nth(area, n as u16),
            frame.buffer_mut(),
        );
    }
}
