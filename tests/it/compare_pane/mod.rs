//! From the checklist's *Validate data* into Compare on real servers, to a lost row, its columns, and back: the item is
//! verified by what was compared, and the record holds no row.

mod stops;

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use super::incident::ground::{SOON, hides, shows};
use super::pty::handoff::{holders, told_on_a_command_line};
use super::pty::harness::{Home, Pty, Spawn};
use super::sandbox_world::{Ground, Sandbox, until};

const LIVE: &str = "s189p01-rsm-pd-pg";
const COPY: &str = "s189p01-rsm-pd-pg-ptr";

/// Azure's own interface.
struct Arm<'a> {
    sandbox: &'a Sandbox,
    web: reqwest::Client,
    token: String,
}

impl Arm<'_> {
    fn server(&self, name: &str) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}",
            self.sandbox.word("/azure/subscription"),
            self.sandbox.word("/azure/resource_group")
        )
    }

    fn ask(&self, method: reqwest::Method, name: &str) -> reqwest::RequestBuilder {
        let url =
            format!("{}{}?api-version=2025-08-01", self.sandbox.word("/azure/endpoint"), self.server(name));
        self.web.request(method, url).bearer_auth(&self.token)
    }

    async fn told(&self, name: &str) -> Value {
        let answer = self.ask(reqwest::Method::GET, name).send().await.unwrap();
        answer.json().await.unwrap_or_default()
    }

    /// `stop` or `start` a server, and wait until it is so.
    async fn turn(&self, name: &str, action: &str, state: &str) {
        let path = format!("{}/{action}", self.server(name));
        let url = format!("{}{path}?api-version=2025-08-01", self.sandbox.word("/azure/endpoint"));
        let asked =
            self.web.post(url).bearer_auth(&self.token).header("content-length", "0").send().await.unwrap();
        assert_eq!(asked.status(), 202, "{}", asked.text().await.unwrap());
        until(state, async || self.told(name).await["properties"]["state"] == state).await;
    }

    /// Restores live as it was at `time` to the copy, and waits until it is Ready.
    async fn restore(&self, time: &str) {
        let body = json!({"location": "uksouth", "properties": {
            "createMode": "PointInTimeRestore", "sourceServerResourceId": self.server(LIVE), "pointInTimeUTC": time,
        }});
        let asked = self.ask(reqwest::Method::PUT, COPY).json(&body).send().await.unwrap();
        assert_eq!(asked.status(), 202, "{}", asked.text().await.unwrap());
        until("the copy is Ready", async || self.told(COPY).await["properties"]["state"] == "Ready").await;
    }
}

/// Rows go, and a copy from just before is restored.
async fn lost_and_restored(ground: &Ground, sandbox: &Sandbox) {
    let arm = Arm { web: sandbox.web(), token: sandbox.token().await, sandbox };
    let backed_up = async || arm.told(LIVE).await["properties"]["backup"]["earliestRestoreDate"].is_string();
    until("the first backup is complete", backed_up).await;
    let struck = ground.run(&["disaster", "rows-deleted", "--json"]);
    assert!(struck.status.success(), "{}", String::from_utf8_lossy(&struck.stderr));
    let struck: Value = serde_json::from_slice(&struck.stdout).unwrap();
    let lost: chrono::DateTime<chrono::Utc> = struck["at"].as_str().unwrap().parse().unwrap();
    until("that time can be restored", async || {
        chrono::Utc::now() > lost + chrono::TimeDelta::milliseconds(300)
    })
    .await;
    arm.restore(struck["at"].as_str().unwrap()).await;
}

fn to_the_item(pty: &mut Pty) {
    shows(pty, "● kubernetes live");
    shows(pty, "● azure every");
    pty.send("i");
    shows(pty, "Open an incident");
    pty.send("\r");
    shows(pty, "declared");
    pty.send("/validate data\r");
    shows(pty, "/validate data");
    // The first row is a section's title: it is stepped over.
    pty.send("g");
    shows(pty, "[ ] Validate data ");
}

fn into_a_lost_row(pty: &mut Pty) -> String {
    pty.send("\r");
    shows(pty, "must be  at least 1");
    shows(pty, "nothing is compared yet");
    pty.send("c");
    shows(pty, "All tables, all rows. Changes nothing");
    pty.send("\r");
    hides(pty, "must be  at least 1");
    shows(pty, "FINISHED");
    shows(pty, "rows lost");
    let said = pty.text();
    assert!(said.contains("REPAIR SOME") || said.contains("RESTORE ALL"), "{said}");
    // What lost most stands on top; the first row of it is a lost one.
    pty.send("g\r");
    shows(pty, "- lost");
    for words in [" LIVE ", " PTR ", "no such row in LIVE", "KIND"] {
        shows(pty, words);
    }
    pty.send(" ");
    shows(pty, "1 row is marked for repair");
    pty.send("g\r");
    shows(pty, "- lost  ");
    shows(pty, "│  LIVE   — no such row");
    let columns = pty.text();
    pty.send("\r");
    shows(pty, "LIVE: no such row");
    pty.send("\x1b");
    hides(pty, "LIVE: no such row");
    pty.send("\x7f\x7f");
    shows(pty, "VERDICT");
    columns
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_item_to_a_lost_row_and_back_with_evidence() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ground = Ground::new("comparepane");
    let sandbox = ground.start_with(&["--fast", "--restore-lag", "100ms"]);
    lost_and_restored(&ground, &sandbox).await;
    let config = sandbox.word("/config").to_owned();
    let password = sandbox.word("/postgres/live_url").split(['@', ':']).nth(2).unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        the_command_goes_through_tunnels(&config, &password);
        a_person_compares(&config, &password);
    })
    .await
    .unwrap();
}

/// With the environment's configuration alone, through the app's pod, and through pods of its own. The password is nowhere
/// while it runs, nor afterwards.
fn the_command_goes_through_tunnels(config: &str, password: &str) {
    let copy = format!("@{COPY}");
    let home = Home::new();
    let run = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_drtui"));
        command.args(["--config", config, "compare", "--restored", &copy, "--format", "json"]).args(more);
        command.env("XDG_STATE_HOME", home.path()).env("TMPDIR", home.path()).env("DRTUI_LOG", "debug");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let ends = std::thread::spawn(move || child.wait_with_output().unwrap());
        while !ends.is_finished() {
            assert_eq!(told_on_a_command_line(password), Vec::<String>::new());
        }
        ends.join().unwrap()
    };
    for more in [["--live", "@production"].as_slice(), &["--live", "@production", "-x"]] {
        let output = run(more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            document["live"]["at"].as_str().is_some_and(|at| at.starts_with(LIVE)),
            "{}",
            document["live"]
        );
        let lost = document["tables"].as_array().unwrap().iter().map(|t| t["lost"].as_u64().unwrap());
        assert!(lost.sum::<u64>() > 0, "{document}");
        assert!(said.contains("LIVE ") && said.contains("PTR ") && said.contains(" through "), "{said}");
        assert!(!said.contains(password) && !document.to_string().contains(password), "it is printed");
        let mut found = Vec::new();
        holders(home.path(), password, &mut found);
        assert_eq!(found, Vec::<PathBuf>::new(), "{more:?}");
    }
    let wrong = run(&["--live", "@nowhere"]);
    assert!(wrong.status.code() != Some(0) && String::from_utf8_lossy(&wrong.stderr).contains("nowhere"));
}

fn a_person_compares(config: &str, password: &str) {
    let home = Home::new();
    let mut pty = Spawn::drtui(&home, &["--config", config]).env("DRTUI_LOG", "debug").size(120, 40).start();
    to_the_item(&mut pty);
    let columns = into_a_lost_row(&mut pty);

    pty.send("1\r");
    shows(&pty, "as it must be");
    // Nothing of it is cut: it goes on in the next line.
    shows(&pty, "comparison of LIVE");
    shows(&pty, "s189p01-rsm-pd-pg with PTR s189p01-rsm-pd-pg-ptr");
    pty.send("\r");
    shows(&pty, "[x] Validate data");

    the_query_box_asks_both(&mut pty);
    assert_eq!(told_on_a_command_line(password), Vec::<String>::new());
    pty.send("q");
    pty.wait_exit();
    the_record_has_counts_and_no_row(&home, &columns);
    let mut found = Vec::new();
    holders(home.path(), password, &mut found);
    assert_eq!(found, Vec::<PathBuf>::new(), "the password of the tunnels that it went through");
}

fn the_query_box_asks_both(pty: &mut Pty) {
    pty.send("6s");
    shows(pty, "SELECT>");
    pty.send("select count(*) from pg_class\r");
    pty.wait("both answers", SOON, |s| {
        (s.screen().contents().matches("1 row in ").count() == 2).then_some(())
    });
    pty.send("\x1b");
    hides(pty, "SELECT>");
    pty.send("s");
    for _ in 0..40 {
        pty.send("\x7f");
    }
    pty.send("delete from users\r");
    shows(pty, "NOT asked: Only one SELECT can be asked, and this begins with DELETE");
    for _ in 0..40 {
        pty.send("\x7f");
    }
    pty.send("select pg_terminate_backend(1)\r");
    pty.wait("both refusals", SOON, |s| {
        (s.screen().contents().matches("NOT asked: pg_terminate_backend()").count() == 2).then_some(())
    });
    pty.send("\x1b");
    hides(pty, "SELECT>");
}

fn the_record_has_counts_and_no_row(home: &Home, columns: &str) {
    let folder = home.path().join("state/drtui/incidents");
    let journal = std::fs::read_dir(folder).unwrap().flatten().map(|e| e.path());
    let journal = journal.into_iter().find(|p| p.extension().is_some_and(|e| e == "jsonl")).unwrap();
    let text = std::fs::read_to_string(journal).unwrap();
    let entries: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let answered = entries.iter().find(|e| e["event"]["item"] == "validate-data").unwrap();
    let sensed = &answered["event"]["sensed"];
    assert_eq!((&answered["event"]["mark"], &sensed["verdict"]), (&json!("verified"), &json!("pass")));
    assert!(sensed["value"].as_str().unwrap().contains("rows lost"), "{sensed}");
    let finished = entries.iter().any(|e| {
        e["event"]["kind"] == "finished"
            && e["event"]["outcome"]["result"].as_str().is_some_and(|r| r.contains("rows lost"))
    });
    assert!(finished, "the comparison's outcome is not on record: {text}");
    // Long enough words of the row that was on the screen.
    let values =
        columns.lines().filter_map(|l| l.rsplit_once('│')).map(|(_, v)| v.trim().trim_matches('┃').trim());
    let values: Vec<&str> = values.filter(|v| v.chars().count() > 9 && !v.contains("PTR")).collect();
    assert!(!values.is_empty(), "no value was seen in\n{columns}");
    for value in values {
        assert!(!text.contains(value), "{value:?} of a row is on record");
    }
}
