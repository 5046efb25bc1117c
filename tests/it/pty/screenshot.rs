//! The picture in the README, from the real screen (`scripts/screenshot`).

use std::path::Path;
use std::time::Duration;

use super::harness::{Home, Pty, Spawn};
use super::picture;

/// A sandbox writes its database first.
const WORLD: Duration = Duration::from_secs(60);

/// A minute of metrics has to pass before a sparkline has a shape.
const METRICS: Duration = Duration::from_secs(240);

#[test]
#[ignore = "draws docs/cockpit.svg: run by scripts/screenshot"]
fn cockpit() {
    let home = Home::new();
    let state = home.path().join("state.json");
    let args = ["sandbox", "--state-file", &state.to_string_lossy()];
    let mut pty = Spawn::drtui(&home, &args).env("COLORTERM", "truecolor").size(120, 40).start();
    shows(&pty, WORLD, "● kubernetes");
    shows(&pty, WORLD, "ready to verify");
    // An incident, its first step verified, the service stopped, somebody on it.
    pty.send("i\r");
    shows(&pty, WORLD, "Incident");
    pty.send("1g\r");
    shows(&pty, WORLD, "Enter accepts");
    pty.send("\r");
    shows(&pty, WORLD, "[x]");
    pty.send(":arm 15m\r");
    shows(&pty, WORLD, "ARMED");
    pty.send("2as");
    shows(&pty, WORLD, "kubectl");
    pty.send("production\r");
    shows(&pty, WORLD, "stopped");
    pty.send("nDeployments at 0, starting with the comparison\r");
    shows(&pty, WORLD, "starting with the comparison");
    pty.send("1");
    pty.try_wait(METRICS, |s| (!s.screen().contents().contains("no data")).then_some(()));
    pty.try_wait(Duration::from_secs(8), |_| None::<()>);
    draw(&pty, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cockpit.svg")));
    pty.send("q");
    pty.wait_exit();
}

fn shows(pty: &Pty, patience: Duration, text: &str) {
    pty.wait(text, patience, |s| s.screen().contents().contains(text).then_some(()));
}

fn draw(pty: &Pty, to: &Path) {
    let picture = pty.look(|s| picture::svg(s.screen(), &s.modes().title));
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::write(to, picture).unwrap();
}
