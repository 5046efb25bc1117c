//! Runs a comparison and the questions of its query box: connections come from the providers, news go to the model in
//! batches in which later ones replace earlier ones of the same table.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::fetching;
use crate::compare::TableId;
use crate::compare::engine::{self, Job};
use crate::compare::model::{Event, Mode, Options};
use crate::core::Msg;
use crate::core::more::More;
use crate::core::overlays::query::Reply;
use crate::domain::{CompareOptions, ComparePath, CompareRequest, text};
use crate::incident::{Action, Outcome};
use crate::providers::{Answer, Pair, Providers};

/// News that may wait for the cockpit: then the comparison waits too.
pub(super) const NEWS: usize = 64;
/// News are handed over at most this often.
const BATCH: Duration = Duration::from_millis(50);
/// Bytes of a value that are fetched.
const VALUE_BYTES: usize = 4_000;

/// The comparison that runs, and the way to its two databases as long as it is open.
#[derive(Debug, Default)]
pub struct Comparing {
    stop: Option<(u32, watch::Sender<bool>)>,
    /// What is fetched after it, and how to stop that.
    fetching: Option<(u64, watch::Sender<bool>)>,
    way: Way,
    turn: Turn,
}

/// Whose turn it is on live, which gets two connections at most: a comparison's, a fetch's, or one of a question.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Why a question or a fetch has to wait.
pub(super) const NOT_NOW: &str = "something else is at work on live, which gets two connections at most: \
    ask again when it has ended (x stops it)";

/// The way to the databases that were compared last: the query box uses it too.
type Way = Arc<Mutex<Option<Arc<Pair>>>>;

impl Comparing {
    /// Begins a comparison; it ends as its action does.
    pub fn start(
        &mut self,
        providers: Arc<Providers>,
        id: String,
        request: CompareRequest,
        answers: mpsc::Sender<Msg>,
    ) {
        let (stop, stopped) = watch::channel(false);
        self.stop = Some((request.run, stop));
        let (way, turn) = (Arc::clone(&self.way), Arc::clone(&self.turn));
        tokio::spawn(async move {
            let mut waiting = stopped.clone();
            // A question takes seconds at most.
            let turn = tokio::select! {
                turn = turn.lock() => Some(turn),
                _ = waiting.wait_for(|stop| *stop) => None,
            };
            let outcome = match turn {
                Some(_turn) => compare(&providers, &request, &way, &answers, stopped).await,
                None => Outcome::Failed { why: "cancelled".to_owned() },
            };
            let action = Action::Compare { request: Box::new(request) };
            // Fails only while the cockpit ends; the journal then shows an intent without an end.
            let _ = answers.send(Msg::Acted { id, action, outcome }).await;
        });
    }

    /// Stops the comparison with this number.
    pub fn cancel(&self, run: u32) {
        if let Some((_, stop)) = self.stop.as_ref().filter(|(n, _)| *n == run) {
            stop.send_replace(true);
        }
    }

    /// Fetches more of what was compared; news are `Msg::Fetched`.
    pub fn fetch(&mut self, id: u64, request: CompareRequest, more: More, answers: mpsc::Sender<Msg>) {
        let (stop, stopped) = watch::channel(false);
        self.fetching = Some((id, stop));
        let pair = self.way.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let turn = Arc::clone(&self.turn).try_lock_owned().ok();
        tokio::spawn(fetching::run((pair, turn), id, request, more, answers, stopped));
    }

    /// Stops fetching what has this number.
    pub fn cancel_fetch(&self, id: u64) {
        if let Some((_, stop)) = self.fetching.as_ref().filter(|(n, _)| *n == id) {
            stop.send_replace(true);
        }
    }

    /// Asks both databases at once; the answer is `Msg::Queried`.
    pub fn ask(&self, id: u64, sql: String, answers: mpsc::Sender<Msg>) {
        let pair = self.way.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let turn = Arc::clone(&self.turn).try_lock_owned();
        tokio::spawn(async move {
            let refused = |why: &str| (Err(why.to_owned()), Err(why.to_owned()));
            let (live, restored) = match (pair, &turn) {
                (_, Err(_)) => refused(NOT_NOW),
                (None, _) => refused("the way to the databases is closed: compare again (c) and ask then"),
                (Some(pair), Ok(_)) => tokio::join!(pair.live.select(&sql), pair.restored.select(&sql)),
            };
            let _ = answers.send(Msg::Queried { id, live: reply(live), restored: reply(restored) }).await;
        });
    }
}

/// What the engine is to do.
pub(super) fn options(wanted: &CompareOptions) -> Options {
    Options {
        mode: match wanted.path {
            ComparePath::Auto => Mode::Auto,
            ComparePath::Physical => Mode::Physical,
            ComparePath::Logical => Mode::Logical,
        },
        tables: wanted.tables.clone(),
        exclude: wanted.exclude.clone(),
        filter: wanted.filter.as_ref().and_then(|c| c.sql()).map(str::to_owned),
        rows: usize::try_from(wanted.rows).unwrap_or(usize::MAX),
        max_load: wanted.max_load,
        value_bytes: VALUE_BYTES,
        ..Options::default()
    }
}

fn reply(answer: Result<Answer, String>) -> Reply {
    match answer {
        Ok(Answer { columns, rows, more, cut, took }) => {
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            Reply::Rows { columns, rows, more, cut, took_ms }
        }
        Err(why) => Reply::Failed { why: text::redact(&text::clean(&why)) },
    }
}

async fn compare(
    providers: &Providers,
    request: &CompareRequest,
    way: &Way,
    answers: &mpsc::Sender<Msg>,
    mut stopped: watch::Receiver<bool>,
) -> Outcome {
    // The old way's pods go before new ones come.
    let old = way.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(old);
    let opened = tokio::select! {
        opened = providers.open_pair(request) => opened,
        // Pods that are being made are waited for: somebody must delete them.
        _ = stopped.wait_for(|stop| *stop), if !request.own_pod => return Outcome::Failed { why: "cancelled".to_owned() },
    };
    let pair = match opened {
        Ok(pair) => Arc::new(pair),
        Err(fault) => return Outcome::Failed { why: fault.to_string() },
    };
    *way.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&pair));
    let _room = pair.make_room();
    let options = options(&request.options);
    if options.filter.is_none() && request.options.filter.is_some() {
        return Outcome::Failed { why: "the condition is not known any more: write it again".to_owned() };
    }
    if let Some(filter) = &options.filter
        && let Err(why) =
            tokio::try_join!(pair.live.check_condition(filter), pair.restored.check_condition(filter))
    {
        return Outcome::Failed { why: text::redact(&text::clean(&why)) };
    }
    let (events, news) = mpsc::channel(NEWS);
    let (live, restored) = (pair.live.connect(), pair.restored.connect());
    let job = Job { live, restored, options, events, stop: stopped };
    let (outcome, ()) = tokio::join!(engine::run(job), hand_over(request.run, news, answers));
    match outcome {
        // The model says it in its own words.
        Ok(_) => Outcome::Done { result: "compared".to_owned() },
        Err(error) => Outcome::Failed { why: text::redact(&text::clean(&error.to_string())) },
    }
}

/// Hands news over in batches until there are no more.
async fn hand_over(run: u32, mut news: mpsc::Receiver<Event>, answers: &mpsc::Sender<Msg>) {
    while let Some(first) = news.recv().await {
        let mut batch = vec![first];
        let until = Instant::now() + BATCH;
        let mut open = true;
        while open {
            match timeout_at(until, news.recv()).await {
                Ok(Some(event)) => put(&mut batch, event),
                Ok(None) => open = false,
                Err(_) => break,
            }
        }
        if answers.send(Msg::Compare { run, news: batch }).await.is_err() {
            return;
        }
    }
}

/// What a later event makes superfluous.
#[derive(Debug, PartialEq)]
enum Slot {
    Table(TableId),
    Progress,
    /// Never replaced.
    Own,
}

fn slot(event: &Event) -> Slot {
    match event {
        Event::Table { table } => Slot::Table(table.id),
        Event::Glimpse { id, .. } => Slot::Table(*id),
        Event::Progress { .. } => Slot::Progress,
        Event::Opened { .. }
        | Event::Listed { .. }
        | Event::Schema { .. }
        | Event::Note { .. }
        | Event::Done { .. } => Slot::Own,
    }
}

/// Adds an event; an earlier one of the same table gives its place to it.
fn put(batch: &mut Vec<Event>, event: Event) {
    let new = slot(&event);
    match batch.iter_mut().find(|e| new != Slot::Own && slot(e) == new) {
        Some(place) => *place = event,
        None => batch.push(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::Progress;

    #[tokio::test]
    async fn later_news_replace_earlier_ones_of_the_same_table() {
        let (events, news) = mpsc::channel(NEWS);
        let (answers, mut inbox) = mpsc::channel(4);
        let glimpse = |id, rows_live| Event::Glimpse { id, differs: true, rows_live, rows_restored: 0 };
        let progress = |done| Event::Progress { progress: Progress { done, ..Progress::default() } };
        for event in [glimpse(1, 1), progress(1), glimpse(2, 1), glimpse(1, 2), progress(2)] {
            events.send(event).await.unwrap();
        }
        events.send(Event::Note { text: "a".into() }).await.unwrap();
        events.send(Event::Note { text: "b".into() }).await.unwrap();
        drop(events);
        hand_over(7, news, &answers).await;
        let Some(Msg::Compare { run, news }) = inbox.recv().await else { panic!("no batch") };
        let notes = ["a", "b"].map(|text| Event::Note { text: text.into() });
        let want: Vec<Event> = [glimpse(1, 2), progress(2), glimpse(2, 1)].into_iter().chain(notes).collect();
        assert_eq!((run, news), (7, want));
    }
}
