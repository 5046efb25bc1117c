//! Waiting for live, and statements on it: each waits its turn, is counted, and is stopped on the server when live gets
//! busy meanwhile. Nobody waits long within a transaction on live: it holds back what VACUUM may remove.

use std::time::{Duration, Instant};

use futures::future::{Either, try_select};
use tokio::time::{sleep, timeout};

use super::CompareError;
use super::pace::{LOOK_EVERY, Resting};
use super::session::{STOPPED, stopped};
use super::table::Asking;
use crate::compare::link::Later;
use crate::compare::model::Side;

/// How often a statement over a whole table is stopped because live is busy.
const STOPS: u32 = 3;
/// Looks in a row that must find live busy before a statement is stopped: one moment is no load.
const LOOKS: u32 = 2;
/// How long a transaction on live waits for anything: for room, for the copy.
const HOLD: Duration = Duration::from_secs(3);

/// Waits until live has room for us; says why if it waits.
///
/// # Errors
/// The time allowed on live is used up, a failure of the connection, or we are told to stop. [`CompareError::NoRoom`] when
/// a transaction was open and was ended, because there is no room soon.
pub fn wait<'a>(asking: &'a Asking<'_>) -> Later<'a, Result<(), CompareError>> {
    Box::pin(waiting(asking))
}

async fn waiting(asking: &Asking<'_>) -> Result<(), CompareError> {
    asking.pace.within_budget()?;
    if asking.pace.is_quiet() {
        return Ok(());
    }
    let Some(mut why) = asking.pace.busy(asking.live).await? else { return Ok(()) };
    let (before, began) = (asking.tell.now(), Instant::now());
    asking.tell.pause(format!("waiting: {why}"));
    loop {
        if asking.live.is_within() && began.elapsed() >= HOLD {
            asking.live.end().await?;
            asking.tell.with(|p| p.now = before);
            return Err(CompareError::NoRoom { why });
        }
        pause(asking, LOOK_EVERY).await?;
        match asking.pace.busy(asking.live).await? {
            Some(still) => why = still,
            None => break,
        }
    }
    asking.tell.note("going on: live is quiet again".to_owned());
    asking.tell.with(|p| p.now = before);
    Ok(())
}

/// Does `work`, which begins a transaction on live and asks one long question there, and counts its time. The inner error
/// says why it did not come to its end: live is busy again and again, or it takes too long for one statement. `blocks`: of
/// the table, if it can rest at some of them.
///
/// # Errors
/// Those of the work; the time allowed on live is used up.
pub async fn undivided<'w, T>(
    asking: &Asking<'_>,
    blocks: Option<u64>,
    work: impl Fn(Resting) -> Later<'w, Result<T, CompareError>>,
) -> Result<Result<T, String>, CompareError> {
    let before = asking.tell.now();
    for _ in 0..STOPS {
        asking.live.end().await?;
        wait(asking).await?;
        asking.tell.with(|p| p.now.clone_from(&before));
        let resting = asking.pace.resting(blocks);
        match stoppable(asking, resting, work(resting)).await {
            Ok(Ok(done)) => return Ok(Ok(done)),
            Ok(Err(why)) => asking
                .tell
                .pause(format!("{why}: stopped reading there, and beginning again when there is room")),
            Err(CompareError::TooLong { side: Side::Live, seconds, .. }) => {
                asking.live.end().await?;
                return Ok(Err(format!("it takes longer than {seconds} s in one statement")));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(Err("live is busy again and again".to_owned()))
}

/// Waits for live, does `work`, counts its time, and rests if others are at work; how long the work took, without the way
/// to live and back. `blocks` if it is a chunk by which the next is sized.
///
/// # Errors
/// Those of the work; the time allowed on live is used up; [`CompareError::NoRoom`].
pub async fn chunk<T>(
    asking: &Asking<'_>,
    blocks: Option<u64>,
    work: Later<'_, Result<T, CompareError>>,
) -> Result<(T, Duration), CompareError> {
    wait(asking).await?;
    let began = Instant::now();
    let done = match stoppable(asking, Resting::default(), work).await? {
        Ok(done) => done,
        Err(why) => return Err(CompareError::NoRoom { why }),
    };
    let took = began.elapsed();
    // On a busy server an answer without work is slow, too: at least half of it counts.
    let took = took - asking.pace.way().min(took / 2);
    if let Some(blocks) = blocks {
        asking.pace.size(blocks, took);
    }
    pause(asking, asking.pace.rest_after(took, asking.live.is_within())).await?;
    Ok((done, took))
}

/// The same on live; the copy is asked at once.
///
/// # Errors
/// As [`chunk`].
pub async fn ask<T>(
    asking: &Asking<'_>,
    side: Side,
    work: Later<'_, Result<T, CompareError>>,
) -> Result<T, CompareError> {
    match side {
        Side::Live => Ok(chunk(asking, None, work).await?.0),
        Side::Restored => work.await,
    }
}

/// Does `work` on live and counts its time, unless it must be stopped on the server: then its transaction is ended, and
/// the inner error says why.
async fn stoppable<T>(
    asking: &Asking<'_>,
    resting: Resting,
    mut work: Later<'_, Result<T, CompareError>>,
) -> Result<Result<T, String>, CompareError> {
    let began = Instant::now();
    let why = tokio::select! {
        biased;
        done = &mut work => {
            asking.pace.spent(resting.worked(began.elapsed()));
            return done.map(Ok);
        }
        why = trouble(asking, resting) => why,
    };
    asking.live.cancel().await;
    // It has an answer all the same: that it was stopped, or that it was done before.
    let done = work.await;
    asking.pace.spent(resting.worked(began.elapsed()));
    match done {
        Ok(done) if !asking.live.absorb().await? => return Ok(Ok(done)),
        Ok(_) => {}
        Err(CompareError::Refused { code, .. }) if code == STOPPED => {}
        Err(e) => return Err(e),
    }
    asking.live.end().await?;
    asking.pace.within_budget()?;
    Ok(Err(why))
}

/// Ends when a statement on live should be stopped; with the reason in words.
fn trouble<'a>(asking: &'a Asking<'_>, resting: Resting) -> Later<'a, String> {
    Box::pin(troubled(asking, resting))
}

async fn troubled(asking: &Asking<'_>, resting: Resting) -> String {
    let over = async {
        match asking.pace.left() {
            Some(left) => sleep(resting.lasts(left)).await,
            None => std::future::pending().await,
        }
    };
    let busy = async {
        // What is done by then needs no watcher.
        sleep(LOOK_EVERY).await;
        if asking.pace.watches()
            && let Some(watcher) = asking.sides.watcher().await
        {
            let mut looks = 0;
            loop {
                match asking.pace.busy(watcher).await {
                    Ok(Some(why)) if looks + 1 >= LOOKS => return why,
                    Ok(Some(_)) => looks += 1,
                    // It was begun at full speed: that was before others came.
                    Ok(None) if !resting.rests() && resting.could && asking.pace.rests() => {
                        return "others are at work on live".to_owned();
                    }
                    Ok(None) => looks = 0,
                    // Then nobody watches; the statement's own connection tells what is wrong.
                    Err(_) => break,
                }
                sleep(LOOK_EVERY).await;
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        () = over => "the time allowed on live is used up".to_owned(),
        why = busy => why,
    }
}

/// Reads live and the copy at once. Live's transaction does not wait for a copy that takes longer: it is ended, and live
/// is read again when the copy is done.
///
/// # Errors
/// Those of the two.
pub async fn beside<'w, L, C>(
    asking: &Asking<'_>,
    live: impl Fn() -> Later<'w, Result<L, CompareError>>,
    copy: Later<'w, Result<C, CompareError>>,
) -> Result<(L, C), CompareError> {
    match try_select(live(), copy).await {
        Err(Either::Left((e, _)) | Either::Right((e, _))) => Err(e),
        Ok(Either::Right((copy, live))) => Ok((live.await?, copy)),
        // What is held by no transaction can wait.
        Ok(Either::Left((found, copy))) if !asking.live.is_within() => Ok((found, copy.await?)),
        Ok(Either::Left((found, mut copy))) => {
            if let Ok(copy) = timeout(HOLD, &mut copy).await {
                return Ok((found, copy?));
            }
            asking.live.end().await?;
            asking
                .tell
                .note("the copy takes longer than live: live is read again when it is done".to_owned());
            let copy = copy.await?;
            Ok((live().await?, copy))
        }
    }
}

/// Does nothing for so long, unless we are told to stop.
pub async fn pause(asking: &Asking<'_>, time: Duration) -> Result<(), CompareError> {
    let mut stop = asking.stop.clone();
    tokio::select! {
        () = sleep(time) => Ok(()),
        () = stopped(&mut stop) => Err(CompareError::Cancelled),
    }
}
