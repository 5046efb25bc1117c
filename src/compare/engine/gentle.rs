//! Waiting for live, and statements on it that cannot be divided: they are stopped on the server when live gets busy
//! meanwhile, and begin again when it is quiet.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::CompareError;
use super::pace::LOOK_EVERY;
use super::session::stopped;
use super::table::Asking;
use crate::compare::link::Later;

/// How often a statement is stopped because live is busy.
const STOPS: u32 = 3;
/// Looks in a row that must find live busy before a statement is stopped: one moment is no load.
const LOOKS: u32 = 2;

/// Waits until live has room for us; says why if it waits.
///
/// # Errors
/// The time allowed on live is used up, a failure of the connection, or we are told to stop.
pub fn wait<'a>(asking: &'a Asking<'_>) -> Later<'a, Result<(), CompareError>> {
    Box::pin(waiting(asking))
}

async fn waiting(asking: &Asking<'_>) -> Result<(), CompareError> {
    asking.pace.within_budget()?;
    if asking.pace.is_quiet() {
        return Ok(());
    }
    let Some(why) = asking.pace.busy(asking.live).await? else { return Ok(()) };
    let before = asking.tell.now();
    asking.tell.pause(format!("waiting: {why}"));
    loop {
        pause(asking, LOOK_EVERY).await?;
        if asking.pace.busy(asking.live).await?.is_none() {
            asking.tell.note("going on: live is quiet again".to_owned());
            asking.tell.with(|p| p.now = before);
            return Ok(());
        }
    }
}

/// Does `work`, which begins a transaction on live and asks one long question, and counts its time. `None` if live got
/// busy again and again.
///
/// # Errors
/// Those of the work; the time allowed on live is used up.
pub async fn undivided<'w, T>(
    asking: &Asking<'_>,
    work: impl Fn() -> Later<'w, Result<T, CompareError>>,
) -> Result<Option<T>, CompareError> {
    for _ in 0..STOPS {
        // Nobody waits within a transaction: it would hold back what VACUUM may remove.
        asking.live.end().await?;
        wait(asking).await?;
        let began = Instant::now();
        let mut working = work();
        let why = tokio::select! {
            biased;
            done = &mut working => {
                asking.pace.spent(began.elapsed());
                return done.map(Some);
            }
            why = trouble(asking) => why,
        };
        asking.live.cancel().await;
        // It has an answer all the same: that it was stopped, or that it was done before.
        let done = working.await;
        asking.pace.spent(began.elapsed());
        match done {
            Ok(done) => return Ok(Some(done)),
            Err(CompareError::Refused { code, .. }) if code == STOPPED => asking.live.end().await?,
            Err(e) => return Err(e),
        }
        asking.pace.within_budget()?;
        asking.tell.pause(format!("{why}: stopped reading there, and beginning again when there is room"));
    }
    Ok(None)
}

/// SQLSTATE of a statement that was cancelled.
const STOPPED: &str = "57014";

/// Ends when a statement on live should be stopped; with the reason in words.
fn trouble<'a>(asking: &'a Asking<'_>) -> Later<'a, String> {
    Box::pin(troubled(asking))
}

async fn troubled(asking: &Asking<'_>) -> String {
    let over = async {
        match asking.pace.left() {
            Some(left) => sleep(left).await,
            None => std::future::pending().await,
        }
    };
    let busy = async {
        if asking.pace.watches()
            && let Some(watcher) = asking.sides.watcher().await
        {
            let (mut looks, resting) = (0, asking.pace.rest().is_some());
            loop {
                sleep(LOOK_EVERY).await;
                match asking.pace.busy(watcher).await {
                    Ok(Some(why)) if looks + 1 >= LOOKS => return why,
                    Ok(Some(_)) => looks += 1,
                    // It was begun at full speed: that was before others came.
                    Ok(None) if !resting && asking.pace.rest().is_some() => {
                        return "others are at work on live".to_owned();
                    }
                    Ok(None) => looks = 0,
                    // Then nobody watches; the statement's own connection tells what is wrong.
                    Err(_) => break,
                }
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        () = over => "the time allowed on live is used up".to_owned(),
        why = busy => why,
    }
}

/// Waits for live, does `work`, counts its time, and rests if others are at work; `blocks` if it is a chunk by which the
/// next is sized.
///
/// # Errors
/// Those of the work; the time allowed on live is used up.
pub async fn chunk<T>(
    asking: &Asking<'_>,
    blocks: Option<u64>,
    work: impl Future<Output = Result<T, CompareError>>,
) -> Result<T, CompareError> {
    wait(asking).await?;
    let began = Instant::now();
    let done = work.await?;
    let took = began.elapsed();
    match blocks {
        Some(blocks) => asking.pace.took(blocks, took),
        None => asking.pace.spent(took),
    }
    pause(asking, asking.pace.rest_after(took)).await?;
    Ok(done)
}

/// Does nothing for so long, unless we are told to stop.
pub async fn pause(asking: &Asking<'_>, time: Duration) -> Result<(), CompareError> {
    let mut stop = asking.stop.clone();
    tokio::select! {
        () = sleep(time) => Ok(()),
        () = stopped(&mut stop) => Err(CompareError::Cancelled),
    }
}
