//! The picture in the README, from the real screen (`scripts/screenshot`).

use std::path::Path;
use std::time::Duration;

use super::harness::{Home, Pty, Spawn};
use super::picture;

/// A sandbox writes its database first.
const WORLD: Duration = Duration::from_secs(60);

#[test]
#[ignore = "draws docs/cockpit.svg: run by scripts/screenshot"]
fn cockpit() {
    let home = Home::new();
    let mut pty = Spawn::drtui(&home, &["sandbox"]).env("COLORTERM", "truecolor").size(120, 40).start();
    let loaded = |s: &super::harness::Seen| {
        let text = s.screen().contents();
        (s.screen().alternate_screen() && text.contains("LIVE") && text.contains(" ready")).then_some(())
    };
    pty.wait("the sandbox's cockpit", WORLD, loaded);
    // Into the middle of an incident: one item verified, one said, the service stopped.
    let steps = [
        ("i", "Open an incident"),
        ("\r", "declared 0 m ago"),
        ("\r", "[x] verified"),
        ("\r", "> [ ] Name the tables"),
        ("\r", "[~] said"),
        ("s", "> [ ] Record the last time"),
        (":arm 15m\r", "ARMED"),
        ("2as", "Type production"),
        ("production\r", "UNDO OPEN"),
    ];
    for (keys, seen) in steps {
        pty.send(keys);
        pty.wait_text(seen);
    }
    pty.wait_text("DOWN (503)");
    pty.send("1\x1b");
    pty.wait("the message is put away", WORLD, |s| {
        (!s.screen().contents().contains(" i Done")).then_some(())
    });
    draw(&pty, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cockpit.svg")));
}

fn draw(pty: &Pty, to: &Path) {
    let picture = pty.look(|s| picture::svg(s.screen(), &s.modes().title));
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::write(to, picture).unwrap();
}
