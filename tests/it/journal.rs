//! The journal on a real disk: killed writers, full disks, two writers, tampering, and the program's own commands.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use chrono::Utc;
use drtui::incident::{
    Entry, Event, Journal, JournalError, Mark, PlannedItem, RunbookRef, Undo, UndoKind, hash, store,
};
use rand::Rng;

use crate::pty::harness::{Home, Spawn};

const CHILD: &str = "DRTUI_TEST_JOURNAL";

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("drtui-journal-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn opened() -> Event {
    Event::Opened {
        incident: String::new(),
        runbook: RunbookRef {
            id: "loss-of-data".into(),
            title: "Loss of data".into(),
            version: 1,
            sha256: "0".repeat(64),
        },
        service: "rsm".into(),
        environment: "test".into(),
        production: false,
        exercise: true,
        disrupted_at: None,
        detected_at: None,
        place: None,
    }
}

fn note(text: &str) -> Event {
    Event::Noted { text: text.into(), item: None }
}

fn fresh(folder: &Folder) -> Journal {
    Journal::create(&folder.0, opened(), Utc::now(), "ann@bastion").unwrap().0
}

fn drtui(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_drtui")).args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Not a test of its own: what the tests below start and kill. Appends for ever and acknowledges on standard error.
#[test]
#[ignore = "started by the other tests"]
fn child() {
    let path = PathBuf::from(std::env::var_os(CHILD).expect("started by the other tests"));
    let (mut journal, _) = reopened(&path);
    let mut acknowledge = std::io::stderr();
    for n in 0_usize.. {
        // Mostly lines as they are in life, now and then a long one.
        let long = if n % 7 == 3 { 40_000 } else { 60 };
        match journal.append(note(&"x".repeat(long + n % 90)), Utc::now(), "child@test") {
            Ok(entry) => writeln!(acknowledge, "ack {} {}", entry.seq, entry.hash).unwrap(),
            Err(error) => {
                let length = fs::metadata(&path).unwrap().len();
                let good = store::verify(&path).unwrap().entries.len();
                writeln!(acknowledge, "refused {length} {good} {error}").unwrap();
                return;
            }
        }
    }
}

fn child_command(path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["journal::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, path);
    command
}

/// `ack SEQ HASH` of a line, if it is one.
fn acknowledged(line: &str) -> Option<(u64, String)> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    let (seq, hash) = (words.next()?.parse().ok()?, words.next()?);
    // The kill may cut an acknowledgement itself: half of one acknowledges nothing.
    (hash.len() == 64).then(|| (seq, hash.to_owned()))
}

/// Starts a writer, kills it at a random moment, and gives back what it acknowledged.
fn kill_a_writer(path: &Path) -> Vec<(u64, String)> {
    let mut rng = rand::rng();
    let mut child = child_command(path).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let wanted = rng.random_range(0..16);
    let mut seen: Vec<(u64, String)> = lines.by_ref().filter_map(|l| acknowledged(&l)).take(wanted).collect();
    for _ in 0..rng.random_range(0..400_000_u32) {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    seen.extend(lines.filter_map(|l| acknowledged(&l)));
    child.wait().unwrap();
    seen
}

#[test]
fn two_hundred_kills_lose_no_acknowledged_entry() {
    let folder = Folder::new("kills");
    let (mut acknowledgements, mut mended, mut unacknowledged) = (0, 0, 0);
    for _ in 0..10 {
        let journal = fresh(&folder);
        let path = journal.path().to_owned();
        drop(journal);
        let mut known: Vec<Entry> = Vec::new();
        for _ in 0..20 {
            let seen = kill_a_writer(&path);
            let (mut journal, entries) = reopened(&path);
            assert_eq!(entries.get(..known.len()), Some(known.as_slice()), "what was there has changed");
            for (seq, hash) in &seen {
                let entry = entries.get(*seq as usize - 1).expect("an acknowledged entry is lost");
                assert_eq!((entry.seq, &entry.hash), (*seq, hash));
            }
            acknowledgements += seen.len();
            unacknowledged += entries.len() - known.len().max(1) - seen.len();
            mended += usize::from(journal.mended().is_some());
            known = entries;
            known.push(journal.append(note("after the kill"), Utc::now(), "ann@bastion").unwrap());
        }
        let verified = store::verify(&path).unwrap();
        assert_eq!(verified.entries, known);
    }
    assert!(acknowledgements > 500, "only {acknowledgements} acknowledgements: the kills came too early");
    println!("{acknowledgements} acknowledged, {unacknowledged} more on disk, {mended} torn ends mended");
}

#[test]
fn a_full_disk_refuses_the_entry_and_leaves_the_journal_whole() {
    let folder = Folder::new("full");
    let path = fresh(&folder).path().to_owned();
    // A file size limit fails like a full disk: after part of the line is written.
    let child = child_command(&path);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\""]).arg(child.get_program());
    limited.args(child.get_args()).env(CHILD, &path);
    let output = limited.output().unwrap();
    let said = text(&output);
    let refused = said.lines().find_map(|l| l.strip_prefix("refused ")).unwrap_or_else(|| panic!("{said}"));
    let acknowledged = said.lines().filter_map(acknowledged).count();
    let mut words = refused.split(' ');
    let (length, good): (u64, usize) =
        (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
    assert_eq!(good, acknowledged + 1, "{said}");
    assert!(length < 40 * 1024 && refused.contains("cannot write to"), "{said}");
    let (mut journal, entries) = reopened(&path);
    assert_eq!((entries.len(), journal.mended()), (good, None));
    journal.append(note("there is room again"), Utc::now(), "ann@bastion").unwrap();
}

/// Opens a journal that was just let go. A process that another test starts at this moment holds the lock with the
/// parent's files until it runs its own program.
fn reopened(path: &Path) -> (Journal, Vec<Entry>) {
    let begun = std::time::Instant::now();
    loop {
        match Journal::open(path) {
            Err(JournalError::Held { .. }) if begun.elapsed().as_secs() < 10 => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

#[test]
fn a_torn_end_is_taken_away_and_said() {
    let folder = Folder::new("torn");
    let mut journal = fresh(&folder);
    journal.append(note("kept"), Utc::now(), "ann@bastion").unwrap();
    let path = journal.path().to_owned();
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let mut torn = whole.clone();
    torn.extend_from_slice(&whole[..whole.len() / 4]);
    fs::write(&path, &torn).unwrap();
    assert_eq!(store::read(&path).unwrap().len(), 2);
    assert!(matches!(store::verify(&path), Err(JournalError::Damaged { line: 3, .. })));
    let (journal, entries) = reopened(&path);
    assert_eq!(entries.len(), 2);
    assert!(journal.mended().unwrap().contains("never acknowledged"));
    drop(journal);
    assert_eq!(fs::read(&path).unwrap(), whole);
    // A lost newline alone costs nothing.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let (journal, entries) = reopened(&path);
    assert!(entries.len() == 2 && journal.mended().is_some());
    drop(journal);
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn one_journal_has_one_writer() {
    let folder = Folder::new("lock");
    let mut journal = fresh(&folder);
    journal.append(note("first"), Utc::now(), "ann@bastion").unwrap();
    match Journal::open(journal.path()) {
        Err(JournalError::Held { holder, entries, .. }) => {
            assert!(holder.unwrap().starts_with("ann@bastion pid "));
            assert_eq!(entries.len(), 2, "a second cockpit can read");
        }
        other => panic!("{other:?}"),
    }
    let path = journal.path().to_owned();
    drop(journal);
    // Another test's child holds a copy of the lock between its fork and its exec.
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while let Err(e) = Journal::open(&path) {
        assert!(std::time::Instant::now() < patience, "{e}");
        std::thread::yield_now();
    }
}

#[test]
fn a_journal_that_is_not_ours_any_more_is_not_written() {
    let folder = Folder::new("changed");
    let mut journal = fresh(&folder);
    journal.append(note("kept"), Utc::now(), "ann@bastion").unwrap();
    let path = journal.path().to_owned();
    let whole = fs::read(&path).unwrap();
    let mut refused = |why: &str| match journal.append(note("no"), Utc::now(), "ann@bastion") {
        Err(JournalError::Changed { what, .. }) => assert!(what.contains(why), "{what}"),
        other => panic!("{why}: {other:?}"),
    };
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{}\n").unwrap();
    refused("something else wrote");
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10).unwrap();
    refused("shorter");
    let other = folder.0.join("other");
    fs::write(&other, &whole).unwrap();
    fs::rename(&other, &path).unwrap();
    refused("replaced");
    fs::remove_file(&path).unwrap();
    refused("removed");
}

#[test]
fn journals_are_private_and_names_are_never_taken_twice() {
    let folder = Folder::new("modes");
    let at = "2026-11-20T11:34:05Z".parse().unwrap();
    let (first, entry) = Journal::create(&folder.0, opened(), at, "ann@bastion").unwrap();
    let (second, again) = Journal::create(&folder.0, opened(), at, "ann@bastion").unwrap();
    assert_eq!(
        (first.id(), second.id()),
        ("2026-11-20-1134-rsm-test-loss-of-data", "2026-11-20-1134-rsm-test-loss-of-data-2")
    );
    for (journal, entry) in [(&first, entry), (&second, again)] {
        assert!(matches!(entry.event, Event::Opened { incident, .. } if incident == journal.id()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(journal.path()), mode(&folder.0)), (0o600, 0o700));
    }
    assert!(matches!(Journal::create(&folder.0, note("x"), at, "a"), Err(JournalError::NotOpening)));
    let long =
        Journal::create(&folder.0, opened(), at, "a").unwrap().0.append(note(&"x".repeat(300_000)), at, "a");
    assert!(matches!(long, Err(JournalError::TooLong { .. })));
}

/// An incident with one answer and something to put back.
fn story(folder: &Folder) -> (PathBuf, String) {
    let mut journal = fresh(folder);
    let mut say = |event| journal.append(event, Utc::now(), "ann@bastion").unwrap();
    say(Event::Captured {
        undo: Undo {
            id: "u1".into(),
            kind: UndoKind::Replicas {
                deployment: drtui::domain::DeploymentKey {
                    namespace: "tra-test".into(),
                    name: "rsm-test".into(),
                },
                replicas: 2,
                hpa: None,
            },
            due: None,
        },
    });
    say(Event::Answered {
        item: "open-the-thread".into(),
        title: "Open the thread".into(),
        mark: Mark::Said,
        sensed: None,
        reason: None,
    });
    (journal.path().to_owned(), journal.id().to_owned())
}

#[test]
fn the_program_verifies_names_the_line_and_offers_the_readable_part() {
    let folder = Folder::new("verify");
    let (path, id) = story(&folder);
    let (dir, file) = (folder.0.to_str().unwrap(), path.to_str().unwrap());
    let good = drtui(&["incident", "--dir", dir, "verify", &id]);
    assert!(good.status.success() && text(&good).contains("good, 3 entries"), "{}", text(&good));
    let head = store::read(&path).unwrap()[1].hash.clone();
    assert!(drtui(&["incident", "verify", file, "--head", &head]).status.success());
    let other = drtui(&["incident", "verify", file, "--head", &"1".repeat(64)]);
    assert!(other.status.code() == Some(1) && text(&other).contains("rolled back"), "{}", text(&other));

    let mut bytes = fs::read(&path).unwrap();
    let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 40;
    bytes[second] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let bad = drtui(&["incident", "verify", file]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad).contains(".jsonl:2: ") && text(&bad).contains("1 entries"), "{}", text(&bad));
    let refused = drtui(&["report", file]);
    assert!(!refused.status.success() && text(&refused).contains("--readable-part"), "{}", text(&refused));
    let part = drtui(&["report", file, "--readable-part"]);
    assert!(part.status.success() && text(&part).contains("READABLE PART ONLY"), "{}", text(&part));
    assert!(text(&drtui(&["incident", "--dir", dir, "list"])).contains("DAMAGED"));
    match Journal::open(&path) {
        Err(JournalError::Damaged { line: 2, readable, .. }) => assert_eq!(readable.len(), 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(&path).unwrap(), bytes, "a damaged journal is never touched");
}

#[test]
fn the_program_closes_only_what_is_put_back_or_overridden_by_name() {
    let folder = Folder::new("close");
    let (path, id) = story(&folder);
    let dir = folder.0.to_str().unwrap();
    let refused = drtui(&["incident", "--dir", dir, "close", &id]);
    assert!(
        !refused.status.success() && text(&refused).contains("rsm-test had 2 replicas"),
        "{}",
        text(&refused)
    );
    assert_eq!(store::read(&path).unwrap().len(), 3, "a refusal writes nothing");
    let unasked = drtui(&["incident", "--dir", dir, "close", &id, "--override", "moved to another cluster"]);
    assert!(!unasked.status.success() && text(&unasked).contains("--yes"), "{}", text(&unasked));
    assert_eq!(store::read(&path).unwrap().len(), 3, "nobody was asked");
    let override_it = ["--yes", "--override", "moved to another cluster"];
    let closed = drtui(&[&["incident", "--dir", dir, "close", &id], &override_it[..]].concat());
    assert!(closed.status.success(), "{}", text(&closed));
    let report = text(&drtui(&["report", "--dir", dir, &id]));
    assert!(report.contains("waived") && report.contains("moved to another cluster"), "{report}");
    let json: serde_json::Value =
        serde_json::from_slice(&drtui(&["report", "--dir", dir, &id, "--format", "json"]).stdout).unwrap();
    assert_eq!(
        (json["scorecard"]["undo_waived"].as_i64(), json["exercise"].as_bool()),
        (Some(1), Some(true))
    );
    let list: serde_json::Value =
        serde_json::from_slice(&drtui(&["incident", "--dir", dir, "list", "--json"]).stdout).unwrap();
    assert_eq!((list[0]["id"].as_str(), list[0]["closed"].as_bool()), (Some(id.as_str()), Some(true)));
    assert!(drtui(&["incident", "--dir", dir, "verify", &id]).status.success());
}

#[test]
fn closing_at_a_terminal_shows_what_is_left_and_asks_for_the_name() {
    let folder = Folder::new("ask");
    let mut journal = fresh(&folder);
    let item = |id: &str, title: &str| PlannedItem {
        id: id.into(),
        title: title.into(),
        section: "Close".into(),
        role: None,
        estimate: None,
    };
    let items = vec![item("one", "Tell the users"), item("two", "Unfreeze main")];
    let (goal, condition) = (String::new(), String::new());
    let planned = Event::Planned { goal, condition, rto_minutes: None, rpo_minutes: None, items };
    journal.append(planned, Utc::now(), "ann@bastion").unwrap();
    let (path, id) = (journal.path().to_owned(), journal.id().to_owned());
    drop(journal);
    let home = Home::new();
    for (typed, code, entries) in [("yes".to_owned(), 2, 2), (id.clone(), 0, 3)] {
        let dir = folder.0.to_str().unwrap();
        let mut pty = Spawn::drtui(&home, &["incident", "--dir", dir, "close", &id]).size(120, 40).start();
        pty.wait_text("of 2 items 0 verified, 0 only said done, 0 overridden, 2 open:");
        pty.wait_text("[ ] Unfreeze main");
        pty.wait_text("Type its name to close it:");
        pty.send(&format!("{typed}\r"));
        assert_eq!(pty.wait_exit().code, code, "{typed}");
        assert_eq!(store::read(&path).unwrap().len(), entries, "{typed}");
    }
}

#[test]
fn the_beginning_of_a_name_is_enough_if_only_one_has_it() {
    let folder = Folder::new("begin");
    let dir = folder.0.to_str().unwrap();
    let (_, first) = story(&folder);
    let show = |name: &str| drtui(&["incident", "--dir", dir, "show", name]);
    let shown = show(&first[..12]);
    assert!(shown.status.success() && text(&shown).contains(&first), "{}", text(&shown));
    let (_, second) = story(&folder);
    assert_ne!(first, second);
    let unclear = show(&first[..12]);
    assert!(!unclear.status.success() && text(&unclear).contains(&second), "{}", text(&unclear));
    assert!(!show("1999").status.success());
    assert!(show(&first).status.success(), "a whole name is never unclear");
}

#[test]
fn anyone_can_check_a_journal_with_a_shell() {
    let folder = Folder::new("recipe");
    let (path, _) = story(&folder);
    let check = || Command::new("sh").args(["-c", hash::RECIPE, "sh"]).arg(&path).output().unwrap();
    let good = check();
    let head = store::verify(&path).unwrap().head_hash;
    assert_eq!(text(&good).trim(), format!("3 entries, head {head}"));
    let tampered = fs::read_to_string(&path).unwrap().replace("Open the thread", "Open the threat");
    fs::write(&path, tampered).unwrap();
    let bad = check();
    assert_eq!((bad.status.code(), text(&bad).trim()), (Some(1), "line 3: changed"));
}
