//! Fetches more of what was compared: one table again with more rows, or whole values. One at a time; it can be stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, mpsc, watch};

use super::comparing::{self, NEWS};
use crate::compare::engine::{self, Job, Wanted};
use crate::compare::model::Event;
use crate::compare::{Side, TableName};
use crate::core::Msg;
use crate::core::more::{Fetched, More};
use crate::domain::{CompareRequest, text};
use crate::providers::Pair;

/// Characters of a value that are fetched: more than a person reads, and what a terminal's clipboard takes many times.
const VALUE_MAX: usize = 1_000_000;
/// How long a value may be waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// Fetches, and says at the end why not all of it came.
pub async fn run(
    (pair, turn): (Option<Arc<Pair>>, Option<OwnedMutexGuard<()>>),
    id: u64,
    request: CompareRequest,
    more: More,
    answers: mpsc::Sender<Msg>,
    stop: watch::Receiver<bool>,
) {
    let why = match (pair.filter(|_| turn.is_some()), more) {
        (None, _) if turn.is_none() => Some(comparing::NOT_NOW.to_owned()),
        (None, _) => Some("the way to the databases is closed: compare again (c)".to_owned()),
        (Some(pair), More::Rows { table, rows }) => {
            again(&pair, id, &request, (table, rows), &answers, stop).await.err()
        }
        (Some(pair), More::Values(wanted)) => values(&pair, id, wanted, &answers, stop).await.err(),
    };
    let why = why.map(|w| text::redact(&text::clean(&w)));
    // Fails only while the cockpit ends.
    let _ = answers.send(Msg::Fetched { id, news: Fetched::Ended { why } }).await;
}

/// Compares one table again.
async fn again(
    pair: &Pair,
    id: u64,
    request: &CompareRequest,
    (table, rows): (TableName, u32),
    answers: &mpsc::Sender<Msg>,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut options = comparing::options(&request.options);
    (options.tables, options.exclude) = (vec![table.to_string()], Vec::new());
    options.rows = usize::try_from(rows).unwrap_or(options.rows);
    let _room = pair.make_room();
    let (events, mut news) = mpsc::channel(NEWS);
    let (live, restored) = (pair.live.connect(), pair.restored.connect());
    let job = Job { live, restored, options, events, stop };
    let hand_over = async {
        let mut came = false;
        while let Some(event) = news.recv().await {
            let news = match event {
                Event::Progress { progress } => Fetched::Progress { progress },
                Event::Note { text } => Fetched::Note { text },
                Event::Table { table: result } if result.table == table => {
                    came = true;
                    Fetched::Rows { result }
                }
                _ => continue,
            };
            if answers.send(Msg::Fetched { id, news }).await.is_err() {
                break;
            }
        }
        came
    };
    let (outcome, came) = tokio::join!(engine::run(job), hand_over);
    outcome.map_err(|e| e.to_string())?;
    if came { Ok(()) } else { Err(format!("{table} is not there any more: compare again (c)")) }
}

async fn values(
    pair: &Pair,
    id: u64,
    wanted: Vec<Wanted>,
    answers: &mpsc::Sender<Msg>,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    for one in wanted {
        let side = one.side;
        let database = if side == Side::Live { &pair.live } else { &pair.restored };
        let connect = database.connect();
        let asked = engine::whole(connect.as_ref(), &one, VALUE_MAX, &stop);
        let value = tokio::time::timeout(PATIENCE, asked)
            .await
            .map_err(|_| format!("the {side} database did not answer within {} s", PATIENCE.as_secs()))?
            .map_err(|e| e.to_string())?;
        let news = Fetched::Value { side, value };
        if answers.send(Msg::Fetched { id, news }).await.is_err() {
            break;
        }
    }
    Ok(())
}
