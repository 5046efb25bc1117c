//! What the screen looks like: text and style at the sizes people have, and never a panic at any other.

use std::fmt::Write;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::draw;
use super::theme::{Depth, Theme};
use crate::core::Model;
use crate::core::overlays::query::Reply;
use crate::core::testing::compared;
use crate::core::testing::{Kit, deployment, orphan, tunnel};
use crate::domain::{Backend, Metrics, Phase, Sample, ServerClass, Source, Traffic, TunnelState, Update};

/// Draws into a buffer of this size.
fn drawn(model: &Model, theme: &Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, theme, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The buffer's text, and below it its styles as runs per row: text alone cannot see a lost colour.
fn shown(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let line: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
        writeln!(out, "{}", line.trim_end()).unwrap();
    }
    out.push_str("-- styles\n");
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, Style)> = Vec::new();
        for x in 0..buffer.area.width {
            let style = buffer[(x, y)].style();
            if runs.last().is_none_or(|(_, s)| *s != style) {
                runs.push((x, style));
            }
        }
        let words: Vec<String> = runs.iter().map(|(x, s)| format!("{x}:{}", short(s))).collect();
        writeln!(out, "{y} {}", words.join(" ")).unwrap();
    }
    out
}

fn short(style: &Style) -> String {
    let colour = |c: Option<_>| c.map_or_else(|| "-".to_owned(), |c| format!("{c}").to_lowercase());
    format!("{}/{}/{:?}", colour(style.fg), colour(style.bg), style.add_modifier)
        .replace("Modifier(", "")
        .replace(')', "")
}

fn resized(kit: &mut Kit, width: u16, height: u16) {
    kit.send(crate::core::Msg::Input { input: crossterm::event::Event::Resize(width, height) });
}

/// Mid-incident: one item verified, one said, both deployments stopped, Azure unreachable.
fn busy() -> Kit {
    let mut kit = Kit::armed();
    let minutes = |n: i64| kit.model.now - chrono::Duration::minutes(n);
    let series = |top: f64| {
        (0..30).map(|n| Sample { at: minutes(30 - n), value: Some(top * n as f64 / 30.0) }).collect()
    };
    let metrics =
        Metrics { cpu: series(80.0), memory: series(40.0), connections: series(12.0), storage: series(9.0) };
    kit.news(Update::Metrics { server: "s189p01-rsm-pd-pg".into(), metrics });
    kit.keys("enter enter enter s 2 a s").text("production").keys("enter");
    kit.finish();
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production", 0, 0) });
    kit.news(Update::DeploymentChanged { deployment: deployment("rsm-production-worker", 0, 1) });
    kit.later(95);
    kit.standing(Source::Azure, Phase::Stale { why: "cannot reach it: connection refused".into() });
    kit.keys("1 esc");
    kit
}

fn check(name: &str, kit: &mut Kit, width: u16, height: u16) {
    resized(kit, width, height);
    crate::core::update::settle(&mut kit.model);
    let theme = Theme::named("dark").unwrap().with_depth(Depth::TrueColor);
    let text = shown(&drawn(&kit.model, &theme, width, height));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), text);
    });
}

#[test]
fn mid_incident_at_every_size() {
    let mut kit = busy();
    for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
        check("incident", &mut kit, width, height);
    }
}

#[test]
fn each_pane_alone() {
    let mut kit = busy();
    for (key, name) in [("2", "replicas"), ("3", "postgres"), ("7", "timeline")] {
        kit.keys(key);
        check(name, &mut kit, 80, 24);
    }
}

#[test]
fn the_first_screen_says_what_to_do() {
    check("start", &mut Kit::new(), 80, 24);
}

#[test]
fn an_incident_held_elsewhere_is_not_to_be_taken_for_calm() {
    let mut kit = Kit::held();
    for (width, height) in [(40, 12), (80, 24), (120, 40)] {
        check("held", &mut kit, width, height);
    }
}

#[test]
fn overlays() {
    let mut kit = busy();
    kit.keys("2 b");
    check("guard", &mut kit, 120, 40);
    check("guard", &mut kit, 80, 24);
    kit.keys("esc 1 enter");
    check("answer", &mut kit, 80, 24);
    kit.keys("esc L");
    check("ledger", &mut kit, 80, 24);
    kit.keys("esc ?");
    check("help", &mut kit, 80, 24);
    kit.keys("esc :").text("arm");
    check("palette", &mut kit, 80, 24);
}

/// Both sides of a comparison open, one way lost, one refused, and a pod left by somebody else.
fn tunnelled() -> Kit {
    let mut kit = busy();
    let reconnecting = TunnelState::Reconnecting {
        why: "pod rsm-production-7d9f-x2x4z is gone".into(),
        next_try: Some(kit.model.now + chrono::Duration::seconds(3)),
    };
    let failed = TunnelState::Failed {
        why: "the server's name does not match its certificate".into(),
        fix: "Check the name: 3 shows the servers".into(),
    };
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Open));
    kit.tunnel(tunnel(2, ServerClass::Ptr, TunnelState::Open));
    kit.tunnel(tunnel(3, ServerClass::SideCopy, reconnecting));
    kit.tunnel(tunnel(4, ServerClass::Ptr, failed));
    kit.news(Update::Orphans { all: vec![orphan("drtui-tunnel-8kq2p")] });
    kit.keys("5 g");
    kit
}

#[test]
fn tunnels_at_every_size() {
    let mut kit = tunnelled();
    for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
        check("tunnels", &mut kit, width, height);
    }
    kit.keys("z");
    check("tunnels_zoomed", &mut kit, 120, 40);
}

/// A tunnel to a redis that failed before its server was known, and one through a pod of its own.
fn failed_and_made() -> Kit {
    let mut kit = busy();
    let why = "tra-production/rsm-production has no REDIS_URL: its secrets web-secret and web-shared were looked \
               through, and so were its variables";
    let failed = TunnelState::Failed { why: why.into(), fix: String::new() };
    let mut redis = tunnel(2, ServerClass::Live, failed);
    (redis.backend, redis.server, redis.host) = (Backend::Redis, String::new(), String::new());
    (redis.database, redis.user, redis.latency_ms) = (String::new(), String::new(), None);
    (redis.via.pod, redis.traffic) = (None, Traffic::default());
    kit.tunnel(redis);
    let mut made = tunnel(1, ServerClass::Live, TunnelState::Open);
    (made.via.pod, made.via.own_pod) = (Some("drtui-tunnel-0badc0de".into()), true);
    kit.tunnel(made);
    kit
}

/// Without blanks and borders: lines may be broken anywhere.
fn unspaced(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '┃').collect()
}

#[test]
fn a_deadline_stands_in_one_piece_at_every_width_and_a_failure_says_all_of_itself() {
    let mut kit = failed_and_made();
    kit.news(Update::Orphans { all: vec![orphan("drtui-tunnel-8kq2p")] });
    for width in 40..=200 {
        let mut seen = |keys: &str| {
            resized(&mut kit, width, 24);
            kit.keys(keys);
            if !kit.model.zoom {
                kit.keys("z");
            }
            shown(&drawn(&kit.model, &Theme::named("dark").unwrap(), width, 24))
        };
        let made = seen("5 g");
        assert!(
            made.contains("20 Nov 13:00 GMT whatever") || made.contains("20 Nov 13:00 GMT / 13:00 UTC"),
            "{made}"
        );
        let failed = unspaced(&seen("j"));
        let all = "FAILED: tra-production/rsm-production has no REDIS_URL: its secrets web-secret and web-shared were \
                   looked through, and so were its variables";
        assert!(failed.contains(&unspaced(all)), "{width}: {failed}");
        let left = seen("j");
        assert!(left.contains("12:10 GMT"), "{width}: {left}");
    }
}

#[test]
fn a_failed_tunnel_says_what_it_was_for() {
    let mut kit = failed_and_made();
    kit.keys("5 G");
    check("tunnel_failed", &mut kit, 80, 24);
    kit.keys("g");
    check("tunnel_made", &mut kit, 80, 24);
}

#[test]
fn what_is_typed_for_a_time_is_echoed_in_both_zones_before_it_goes_on_record() {
    let mut kit = Kit::incident();
    let book = crate::core::testing::RUNBOOK.replace(
        "### Note when rows went wrong\n",
        "### Record when rows went wrong\n```dr\nrecord: time\n```\n",
    );
    kit.model.runbooks = vec![crate::runbook::parse("loss-of-data.md", &book).unwrap()];
    kit.keys("down enter s").text("09:41");
    check("record_time", &mut kit, 80, 24);
    kit.text(" or so").keys("enter");
    check("record_no_time", &mut kit, 80, 24);
}

#[test]
fn a_low_pane_says_the_local_port_where_it_has_no_rows() {
    let mut kit = busy();
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Open));
    kit.keys("5 g");
    resized(&mut kit, 120, 40);
    let screen = shown(&drawn(&kit.model, &Theme::named("dark").unwrap(), 120, 40));
    assert!(screen.contains("into     rsm_production as uabc · 127.0.0.1:50001"), "{screen}");
}

#[test]
fn the_footer_offers_only_keys_that_do_something() {
    let theme = Theme::named("dark").unwrap();
    let foot = |kit: &mut Kit, keys: &str| {
        kit.keys(keys);
        kit.later(10);
        resized(kit, 120, 40);
        shown(&drawn(&kit.model, &theme, 120, 40)).lines().nth(39).unwrap().to_owned()
    };
    let mut kit = Kit::incident();
    let line = foot(&mut kit, "5");
    assert!(line.contains("t  tunnel") && !line.contains("psql") && !line.contains("close"), "{line}");
    kit.news(Update::Orphans { all: vec![orphan("drtui-tunnel-8kq2p")] });
    let line = foot(&mut kit, "5 g");
    assert!(line.contains("X  delete pod") && !line.contains("psql") && !line.contains("shell"), "{line}");
    kit.tunnel(tunnel(1, ServerClass::Live, TunnelState::Open));
    let line = foot(&mut kit, "5 g");
    assert!(line.contains("p  psql") && line.contains("x  close") && !line.contains("delete pod"), "{line}");
    assert!(!foot(&mut kit, "2").contains("put back"));
    let mut kit = busy();
    assert!(foot(&mut kit, "2").contains("b  put back"));
    assert!(!foot(&mut kit, "1").contains("put back"));
}

#[test]
fn a_tunnel_says_live_or_copy_before_it_is_opened_and_before_it_can_write() {
    let mut kit = tunnelled();
    kit.keys("t");
    check("tunnel_form", &mut kit, 80, 24);
    kit.keys("esc 5 g P");
    check("write_guard", &mut kit, 80, 24);
}

#[test]
fn no_theme_and_no_depth_makes_live_look_like_a_copy() {
    let mut kit = tunnelled();
    resized(&mut kit, 120, 40);
    kit.keys("z G");
    for name in Theme::names() {
        for depth in [Depth::None, Depth::Ansi16, Depth::Ansi256, Depth::TrueColor] {
            let theme = Theme::named(name).unwrap().with_depth(depth);
            let buffer = drawn(&kit.model, &theme, 120, 40);
            let style = |id: &str, word: &str| {
                let row = (0..40u16).find_map(|y| {
                    let line: String = (0..120u16).map(|x| buffer[(x, y)].symbol()).collect();
                    let at = line.find(&format!("{id}  {word}"))?;
                    Some(buffer[(line[..at].chars().count() as u16 + 4, y)].style())
                });
                row.unwrap_or_else(|| panic!("{word} is not drawn"))
            };
            assert_ne!(style("t1", "LIVE"), style("t2", "PTR"), "{name} {depth:?}");
        }
    }
}

fn top(kit: &Kit, width: u16, line: usize) -> String {
    let buffer = drawn(&kit.model, &Theme::named("dark").unwrap(), width, 24);
    shown(&buffer).lines().nth(line).unwrap().to_owned()
}

#[test]
fn the_environment_is_whole_at_every_width() {
    let mut kit = Kit::armed();
    for width in 40..=120 {
        resized(&mut kit, width, 24);
        let band = top(&kit, width, 0);
        for said in [" PRODUCTION ", "EXERCISE", "ARMED 15 m", "10:00"] {
            assert!(band.contains(said), "{said} at {width}: {band}");
        }
    }
    assert!(top(&kit, 45, 0).contains("10:00 GMT"), "{}", top(&kit, 45, 0));
    for width in 40..=120 {
        let line = top(&kit, width, 1);
        assert!(line.contains("RTO in 4 h") && line.contains("due 10:30 GMT"), "at {width}: {line}");
    }
}

#[test]
fn every_source_keeps_its_state_on_the_header() {
    let mut kit = Kit::live();
    let refused = || Phase::Stale { why: "cannot reach it: Connection refused".into() };
    kit.later(20);
    kit.standing(Source::Azure, refused());
    assert_eq!(
        top(&kit, 80, 2),
        " ! azure refused, 20 s old  ● k8s  ● metrics  ● service UP",
        "the reason in short, every other source by name"
    );
    kit.standing(Source::Kubernetes, Phase::Stale { why: "server error 503: try later".into() });
    let line = top(&kit, 80, 2);
    for said in ["! k8s error 503, 20 s old", "! azure refused, 20 s old", "● metrics", "● service UP"] {
        assert!(line.contains(said), "{said}: {line}");
    }
    kit.standing(Source::Monitor, refused());
    for width in 40..=200 {
        let line = top(&kit, width, 2);
        assert_eq!(line.matches('!').count(), 3, "three are in trouble at {width}: {line}");
        for (short, long) in [("k8s", "kubernetes"), ("az", "azure"), ("met", "metrics"), ("UP", "UP")] {
            assert!(line.contains(short) || line.contains(long), "{short} at {width}: {line}");
        }
    }
}

#[test]
fn what_the_service_said_last_stays_on_the_header_when_its_page_is_silent() {
    let mut kit = Kit::live();
    kit.health(503);
    kit.later(20);
    kit.standing(Source::Web, Phase::Stale { why: "no answer within 5 s".into() });
    for width in [40, 80, 120, 200] {
        resized(&mut kit, width, 24);
        let line = top(&kit, width, 2);
        assert!(line.contains("was DOWN"), "at {width}: {line}");
    }
    let why = "cannot reach it: connection closed before the message was complete, again and again";
    kit.standing(Source::Web, Phase::Stale { why: why.into() });
    resized(&mut kit, 120, 24);
    let line = top(&kit, 120, 2);
    assert!(line.contains("was DOWN (503), 20 s old: cannot reach it: conn"), "{line}");
}

#[test]
fn the_restore_window_ends_where_azure_last_said() {
    let mut kit = Kit::live();
    kit.keys("3 z");
    let screen = |kit: &Kit| shown(&drawn(&kit.model, &Theme::named("dark").unwrap(), 120, 40));
    kit.later(600);
    kit.standing(Source::Azure, Phase::Stale { why: "no answer".into() });
    let said = screen(&kit);
    assert!(said.contains("to 20 Nov 09:55:00 GMT"), "{said}");
    assert!(said.contains("to 20 Nov 09:55:00 UTC · 10 m old"), "{said}");
}

#[test]
fn what_must_be_is_whole_beside_the_other_panes() {
    let mut kit = Kit::incident();
    kit.keys("down down");
    resized(&mut kit, 120, 40);
    let screen = shown(&drawn(&kit.model, &Theme::named("dark").unwrap(), 120, 40));
    assert!(screen.contains("must be 0 · kubernetes"), "{screen}");
}

#[test]
fn long_names_get_the_room_that_is_there_and_keep_their_ends() {
    let mut kit = Kit::live();
    let names = ["rsm-production-serious-misconduct-web", "rsm-production-serious-misconduct-worker"];
    let all = names.iter().map(|n| deployment(n, 1, 1)).collect();
    kit.news(Update::Deployments { all });
    resized(&mut kit, 200, 60);
    let screen = |kit: &Kit, w, h| shown(&drawn(&kit.model, &Theme::named("dark").unwrap(), w, h));
    let wide = screen(&kit, 200, 60);
    assert!(wide.contains(names[0]), "{wide}");
    kit.keys("2");
    resized(&mut kit, 60, 24);
    let narrow = screen(&kit, 60, 24);
    assert!(narrow.contains("-web ") && narrow.contains("-worker "), "{narrow}");
}

#[test]
fn what_a_deployment_is_doing_moves_no_column() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut kit = Kit::live();
        kit.keys("2");
        resized(&mut kit, width, height);
        let head = |kit: &Kit| {
            let screen = shown(&drawn(&kit.model, &Theme::named("dark").unwrap(), width, height));
            screen.lines().find_map(|line| line.find("WANT")).unwrap()
        };
        let mut busy = deployment("rsm-production", 3, 2);
        let calm = head(&kit);
        busy.waiting = vec!["ContainerCreating: the image is pulled for the first time".into()];
        kit.news(Update::DeploymentChanged { deployment: busy });
        assert_eq!(head(&kit), calm, "at {width}x{height}");
    }
}

#[test]
fn a_message_that_is_too_long_says_where_the_rest_is() {
    let mut kit = Kit::live();
    kit.send(crate::core::Msg::Trouble { what: "rows of allegations deleted; ".repeat(20) });
    let screen = shown(&drawn(&kit.model, &Theme::named("dark").unwrap(), 80, 24));
    assert!(screen.contains("… M shows all  (Esc)"), "{screen}");
}

#[test]
fn a_comparison_at_every_size() {
    let mut kit = compared::done();
    kit.keys("esc z");
    for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
        check("compare_tables", &mut kit, width, height);
    }
    kit.keys("z g enter");
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        check("compare_rows", &mut kit, width, height);
    }
    kit.keys("] enter");
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        check("compare_columns", &mut kit, width, height);
    }
    kit.keys("enter");
    check("compare_value", &mut kit, 80, 24);
    kit.keys("esc backspace j j enter ] enter");
    check("compare_json", &mut kit, 80, 24);
}

#[test]
fn a_comparison_under_way_beside_the_others() {
    let mut kit = compared::begun();
    check("compare_running", &mut kit, 120, 40);
    check("compare_running", &mut kit, 80, 24);
}

#[test]
fn how_to_compare_is_asked() {
    let mut kit = compared::kit();
    kit.keys("6 c");
    for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
        check("compare_form", &mut kit, width, height);
    }
    kit.keys("tab").text("users").keys("tab tab").text("id > 7");
    check("compare_form_part", &mut kit, 80, 24);
}

#[test]
fn what_is_on_record_is_shown_after_a_restart() {
    let before = compared::done();
    let entries = before.model.session.as_ref().unwrap().entries.clone();
    let mut kit = Kit::live();
    kit.send(crate::core::Msg::Opened { entries, resumed: true, notes: vec![] });
    kit.later(7_200);
    kit.keys("esc 6 z");
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        check("compare_past", &mut kit, width, height);
    }
}

#[test]
fn more_is_fetched_in_sight() {
    let mut kit = compared::done();
    kit.keys("g enter f");
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        check("compare_fetching", &mut kit, width, height);
    }
    kit.keys("x");
    let why = Some("the connection to the live database was cut".to_owned());
    kit.send(crate::core::Msg::Fetched { id: 1, news: crate::core::more::Fetched::Ended { why } });
    kit.keys("esc");
    check("compare_not_fetched", &mut kit, 80, 24);
}

#[test]
fn both_databases_answer_a_question() {
    let mut kit = compared::done();
    kit.keys("s").text("select count(*) from orders").keys("enter");
    let rows = |n: &str| Reply::Rows {
        columns: vec!["count".into(), "max".into()],
        rows: vec![vec![Some(n.into()), None], vec![Some("NULL".into()), Some(String::new())]],
        more: false,
        cut: false,
        took_ms: 12,
    };
    kit.send(crate::core::Msg::Queried { id: 1, live: rows("7005"), restored: rows("8003") });
    check("compare_query", &mut kit, 80, 24);
    let failed = Reply::Failed { why: "relation \"ordres\" does not exist (42P01)".into() };
    kit.keys("enter");
    kit.send(crate::core::Msg::Queried { id: 2, live: failed.clone(), restored: failed });
    check("compare_query_failed", &mut kit, 80, 24);
    kit.text("; drop table orders").keys("enter");
    check("compare_query_refused", &mut kit, 80, 24);
}

/// What differs is told by a sign where there is no colour, and no escape sequence of a row gets to the screen.
#[test]
fn differences_are_seen_without_colour_and_rows_are_never_raw() {
    let mut kit = compared::done();
    resized(&mut kit, 120, 40);
    kit.keys("g enter");
    crate::core::update::settle(&mut kit.model);
    for name in Theme::names() {
        let theme = Theme::named(name).unwrap().with_depth(Depth::None);
        let buffer = drawn(&kit.model, &theme, 120, 40);
        let text: String = buffer.content().iter().map(|c| c.symbol()).collect();
        for words in
            ["≠", " LIVE ", " PTR ", "- lost", "+ new", "no such row in LIVE", "\\u{1b}[31mred", "'NULL'"]
        {
            assert!(text.contains(words), "{words} is not drawn in {name}");
        }
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
    }
}

#[test]
fn too_small_is_said_and_not_drawn() {
    let kit = busy();
    let theme = Theme::named("dark").unwrap();
    assert!(shown(&drawn(&kit.model, &theme, 39, 12)).starts_with("drtui\nneeds 40x12\nhas 39x12"));
}

#[test]
fn every_theme_and_depth_tells_focus_selection_and_production_apart() {
    let mut kit = busy();
    resized(&mut kit, 120, 40);
    for name in Theme::names() {
        for depth in [Depth::None, Depth::Ansi16, Depth::Ansi256, Depth::TrueColor] {
            let theme = Theme::named(name).unwrap().with_depth(depth);
            let buffer = drawn(&kit.model, &theme, 120, 40);
            let find = |needle: &str| {
                (0..40u16)
                    .find_map(|y| {
                        let line: String = (0..120u16).map(|x| buffer[(x, y)].symbol()).collect();
                        line.find(needle).map(|b| (line[..b].chars().count() as u16, y))
                    })
                    .unwrap_or_else(|| panic!("{needle} is not drawn"))
            };
            let plain = Style::reset();
            assert_ne!(buffer[find("PRODUCTION")].style(), plain, "{name} {depth:?}: the band");
            let (x, y) = find("> [ ]");
            assert_ne!(
                buffer[(x + 8, y)].style(),
                buffer[(x + 8, y + 1)].style(),
                "{name} {depth:?}: the selection"
            );
        }
    }
}

#[test]
fn hostile_names_draw_nothing_but_themselves() {
    let mut kit = Kit::live();
    let mut evil = deployment("rsm-production-x", 1, 1);
    evil.key.name = format!("rsm-production-{}", "ワ".repeat(300));
    evil.waiting = vec![crate::domain::text::clean("\u{1b}[31mCrash\u{1b}]0;title\u{7}LoopBackOff")];
    kit.news(Update::DeploymentChanged { deployment: evil });
    kit.keys("2");
    resized(&mut kit, 80, 24);
    let buffer = drawn(&kit.model, &Theme::named("dark").unwrap(), 80, 24);
    let text = shown(&buffer);
    assert!(!text.contains('\u{1b}') && text.contains("CrashLoop"), "{text}");
}

#[test]
fn two_thousand_deployments_cost_no_more_than_the_rows_that_show() {
    let mut kit = Kit::live();
    let all = (0..2000).map(|i| deployment(&format!("rsm-production-{i:04}"), 2, 2)).collect();
    kit.news(Update::Deployments { all });
    kit.keys("2 G z");
    resized(&mut kit, 200, 60);
    let text = shown(&drawn(&kit.model, &Theme::named("dark").unwrap(), 200, 60));
    assert!(text.contains("rsm-production-1999") && !text.contains("rsm-production-0001"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any value of any row at any size, at every depth of the pane.
    #[test]
    fn any_value_is_survived(
        width in 1u16..300, height in 1u16..100,
        a in prop::option::of(".{0,40}|(データ){0,100}"), b in prop::option::of(".{0,40}|NULL|"),
        keys in "[jk\\]\\[elh/ Gzv]{0,12}",
    ) {
        let mut kit = compared::done();
        let (a, b) = (a.as_deref(), b.as_deref());
        let row = compared::row(crate::compare::RowKind::Changed, &[a, b, a, b], &[b, a, b, a]);
        let table = Box::new(compared::table(1, "orders", &[row]));
        kit.send(crate::core::Msg::Compare { run: 1, news: vec![crate::compare::Event::Table { table }] });
        kit.keys("g enter");
        for key in keys.chars() {
            let key = match key { 'e' => "enter".into(), ' ' => "space".into(), c => c.to_string() };
            kit.keys(&key);
        }
        resized(&mut kit, width, height);
        crate::core::update::settle(&mut kit.model);
        let buffer = drawn(&kit.model, &Theme::named("dark").unwrap(), width, height);
        prop_assert!(buffer.content().iter().all(|c| !c.symbol().chars().any(char::is_control)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_size_is_survived(width in 1u16..300, height in 1u16..100, keys in "[1-7zisbtpxLMn?:/ea]{0,6}") {
        let mut kit = busy();
        for key in keys.chars() {
            kit.keys(if key == 'e' { "enter".into() } else { key.to_string() }.as_str());
        }
        resized(&mut kit, width, height);
        crate::core::update::settle(&mut kit.model);
        let _ = drawn(&kit.model, &Theme::named("dark").unwrap(), width, height);
        // A resize that the model has not heard of yet.
        let _ = drawn(&kit.model, &Theme::named("mono").unwrap(), height, width);
    }
}
