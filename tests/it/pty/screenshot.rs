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
    let pty = Spawn::drtui(&home, &["sandbox"]).env("COLORTERM", "truecolor").size(120, 40).start();
    let loaded = |s: &super::harness::Seen| {
        let text = s.screen().contents();
        (s.screen().alternate_screen() && text.contains("LIVE") && text.contains(" ready")).then_some(())
    };
    pty.wait("the sandbox's cockpit", WORLD, loaded);
    draw(&pty, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cockpit.svg")));
}

fn draw(pty: &Pty, to: &Path) {
    let picture = pty.look(|s| picture::svg(s.screen(), &s.modes().title));
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::write(to, picture).unwrap();
}
