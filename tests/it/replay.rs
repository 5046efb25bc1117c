//! Recorded sessions are tests: what was recorded plays to the same screen, and holds no secret.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use drtui::core::Model;
use drtui::incident::Mark;
use drtui::runtime::replay;
use drtui::view;
use drtui::view::theme::Theme;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::pty::harness::{Home, Spawn};

/// The screen's lines without the clock and what depends on it.
fn drawn(model: &Model) -> String {
    let (width, height) = model.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let theme = Theme::named(&model.theme).unwrap();
    terminal.draw(|frame| view::draw(model, &theme, frame)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_session_plays_to_the_screen_it_had_and_holds_no_secret() {
    let home = Home::new();
    let config = home.unreachable_config();
    let file = std::env::var_os("DRTUI_KEEP_RECORDING").map_or_else(
        || std::env::temp_dir().join(format!("drtui-recording-{}.jsonl", std::process::id())),
        Into::into,
    );
    let args = ["--config", config.to_str().unwrap(), "--record", file.to_str().unwrap()];
    let mut pty = Spawn::drtui(&home, &args).size(120, 40).start();
    pty.wait_text("i opens one");
    for (keys, seen) in [
        ("i", "Open an incident"),
        ("\r", "declared 0 m ago"),
        ("n", "Note on this item"),
        ("asked with password=hunter2 at once\r", "asked with password=[hidden] at once"),
        ("j\r", "Nothing can be sensed"),
        ("s", "[~] Said done ═"),
        ("allegations\r", "[~] Name the tables"),
    ] {
        pty.send(keys);
        pty.wait_text(seen);
    }
    let checklist = |text: &str| {
        let rows = text.lines().filter(|l| l.contains("[ ]") || l.contains("[~]"));
        rows.map(|l| l.chars().take(53).collect::<String>()).collect::<Vec<_>>()
    };
    let last = pty.text();
    pty.send("q");
    pty.wait_exit();
    let model = replay::to_the_end(Path::new(&file)).unwrap();
    assert_eq!(checklist(&drawn(&model)), checklist(&last));
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("hunter2") && text.contains("[hidden]"));
    assert!(
        !text.contains("\"char\":\"h\"") && !text.contains("{\"Char\":\"h\"}"),
        "typed letters of a note are hidden"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    if std::env::var_os("DRTUI_KEEP_RECORDING").is_none() {
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_kept_recording_still_plays() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/opened-noted-said.jsonl");
    let model = replay::to_the_end(&file).unwrap();
    let state = &model.session.as_ref().expect("the incident is open").state;
    assert_eq!(state.notes.len(), 1);
    assert!(state.notes[0].text.contains("[hidden]"));
    assert_eq!(state.answers.values().filter(|a| a.mark == Mark::Said).count(), 1);
    assert!(drawn(&model).contains("[~] Name the tables"));
}
