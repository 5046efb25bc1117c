//! Everything that can happen to the cockpit, as plain data: logged, compared, recorded and replayed.

use crossterm::event::{Event as Input, KeyCode};
use serde::{Deserialize, Serialize};

use super::model::Model;
use super::more::Fetched;
use super::overlays::Overlay;
use super::overlays::prompt::Kind;
use super::overlays::query::Reply;
use crate::compare::Verdict;
use crate::domain::{Update, Utc};
use crate::incident::{Action, Entry, Outcome};

/// An open incident that is not this cockpit's to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its id.
    pub incident: String,
    /// In few words: `held by ada@night pid 4711 since 09:41 GMT`, or what is wrong with its journal.
    pub state: String,
    /// What to do about it.
    pub advice: String,
}

/// One happening. Time enters only as [`Msg::Tick`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "msg", rename_all = "snake_case")]
pub enum Msg {
    /// The time it is now (UTC). Sent before every batch of messages and when [`crate::core::Model::next_wake`] is due.
    Tick { now: Utc },
    /// Keys, mouse, paste, resize, focus.
    Input { input: Input },
    /// News from a provider, with the time at which it was true.
    News { update: Update, at: Utc },
    /// An incident's journal is open: new, or read again after a stop. `notes` tells what was mended while reading.
    Opened { entries: Vec<Entry>, resumed: bool, notes: Vec<String> },
    /// The journals have been looked through for an open incident of this target. `held`: there is one, and another
    /// cockpit writes it, or it cannot be read.
    Looked { held: Option<Held> },
    /// These entries are on disk (fsynced).
    Journalled { entries: Vec<Entry> },
    /// The journal could not take what was asked; nothing that depended on it was done.
    JournalFailed { why: String },
    /// A change ended. `id` is the action's.
    Acted { id: String, action: Action, outcome: Outcome },
    /// News of a comparison, as far as they have not replaced each other. `run`: of which one.
    Compare { run: u32, news: Vec<crate::compare::Event> },
    /// Both databases answered the question with this number.
    Queried { id: u64, live: Reply, restored: Reply },
    /// News of more that is fetched, with its number.
    Fetched { id: u64, news: Fetched },
    /// Text went to the terminal for its clipboard; whether the terminal takes it cannot be known.
    Copied { text: String },
    /// Something the runtime was asked for did not work.
    Trouble { what: String },
    /// A plain message for the person.
    Info { what: String },
}

impl Msg {
    /// The message as it may be recorded: what is typed into a note or a reason may be a secret, so its letters are
    /// hidden. What was kept of it follows, without secrets, when the journal has it.
    pub fn for_recording(&self, model: &Model) -> Msg {
        let free_text = match model.overlays.last() {
            // What is looked for in rows may be a person's data, as what is asked of a database.
            Some(Overlay::Prompt(prompt)) => {
                !matches!(prompt.kind, Kind::Filter(pane) if pane != super::panes::PaneId::Compare)
            }
            Some(Overlay::Query(_) | Overlay::Comparing(_)) => true,
            // A paste may bring the command along with its words.
            Some(Overlay::Palette(palette)) => {
                let pasted = matches!(self, Msg::Input { input: Input::Paste(_) });
                pasted || palette.takes_free_text()
            }
            _ => false,
        };
        // What a server says of a condition quotes it.
        let quoted = model.compare.as_ref().is_some_and(|c| c.request.options.filter.is_some());
        let mut msg = self.clone();
        match &mut msg {
            Msg::Compare { news, .. } => news.iter_mut().for_each(|event| hide_rows(event, quoted)),
            Msg::Fetched { news: Fetched::Rows { result }, .. } => hide_table(result, quoted),
            Msg::Fetched { news: Fetched::Ended { why: Some(why) }, .. } if quoted => *why = "•".into(),
            Msg::Fetched { news: Fetched::Value { value: Some(Some(value)), .. }, .. } => {
                value.text = "•".into();
            }
            Msg::Queried { live, restored, .. } => {
                live.hide();
                restored.hide();
            }
            _ => {}
        }
        if let (true, Msg::Input { input }) = (free_text, &mut msg) {
            match input {
                Input::Key(key) if matches!(key.code, KeyCode::Char(_)) => key.code = KeyCode::Char('•'),
                Input::Paste(text) => *text = "•".repeat(text.chars().count().min(200)),
                _ => {}
            }
        }
        msg
    }
}

/// Replaces every value of a row by its number: a recording holds nobody's data.
fn hide_rows(event: &mut crate::compare::model::Event, quoted: bool) {
    if let crate::compare::model::Event::Table { table } = event {
        hide_table(table, quoted);
    }
}

fn hide_table(table: &mut crate::compare::TableResult, quoted: bool) {
    if let (true, Verdict::NotComparable { why }) = (quoted, &mut table.verdict) {
        *why = "•".into();
    }
    table.notes.iter_mut().for_each(|note| *note = "•".into());
    let mut n = 0;
    for row in &mut table.rows {
        let versions = row.live.iter_mut().chain(row.restored.iter_mut()).flat_map(|v| v.values.iter_mut());
        for value in row.key.iter_mut().chain(versions).flatten() {
            n += 1;
            value.text = format!("•{n}");
        }
    }
}
