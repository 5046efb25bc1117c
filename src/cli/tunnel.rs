//! `drtui tunnel`: konduit.sh's options with their meanings, over the Kubernetes API alone. Runs a program through a
//! tunnel and ends as that program ends, or keeps a local port open for other tools.

mod child;
mod input;
mod options;
mod orphans;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr};
use tokio::sync::watch;

pub use self::child::Signals;
use self::options::Plan;
pub use self::options::TunnelArgs;
use super::Global;
use crate::domain::{Fault, Tunnel, TunnelState};
use crate::providers::tunnel::{Open, Opener, Wish, clear_left_behind};

/// No tunnel: what was to be run was not run.
const NO_TUNNEL: u8 = 125;
/// The time of `-t` is up.
const TIME_UP: u8 = 124;
/// A URL with its password, for `-u`.
const URL_VARIABLE: &str = "DRTUI_TUNNEL_URL";
/// How long half-made clients may take to end.
const END: Duration = Duration::from_millis(200);

/// Runs it to its end.
///
/// # Errors
/// Only when the machine gives us no runtime; everything else is said and told by the exit code.
pub fn run(global: &Global, args: TunnelArgs) -> Result<ExitCode> {
    if let Some(url) = &args.url
        && let Some(error) = hide(url)
    {
        say(false, &format!("drtui: {error}"));
        return Ok(ExitCode::from(NO_TUNNEL));
    }
    clear_left_behind();
    let quiet = args.quiet;
    let plan = match options::plan(global, args) {
        Ok(plan) => plan,
        Err(why) => {
            say(false, &format!("drtui: {why}"));
            return Ok(ExitCode::from(NO_TUNNEL));
        }
    };
    let unusable = plan.input.as_deref().and_then(|file| input::usable(file, plan.compressed).err());
    if let Some(why) = unusable {
        say(false, &format!("drtui: {why}"));
        return Ok(ExitCode::from(NO_TUNNEL));
    }
    if let Some(program) = &plan.konduit {
        return child::konduit(program, &plan);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().wrap_err(
            "cannot start the runtime that the tunnel needs; try again, or check limits (ulimit -a)",
        )?;
    let code = runtime.block_on(work(&plan, quiet));
    runtime.shutdown_timeout(END);
    Ok(ExitCode::from(code))
}

/// Starts over with a URL of the command line in the environment instead, where process lists do not show it. Returns
/// only if there is nothing to hide (`None`), or it cannot be done.
fn hide(url: &str) -> Option<String> {
    use std::os::unix::process::CommandExt;
    let all: Vec<String> = std::env::args().collect();
    if !all.iter().any(|word| word.contains(url)) {
        return None;
    }
    let mut kept = Vec::new();
    let mut words = all.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-u" | "--url" => drop(words.next()),
            word if word == format!("-u{url}") || word == format!("--url={url}") => {}
            word => kept.push(word.to_owned()),
        }
    }
    if kept.iter().any(|word| word.contains(url)) {
        return Some(format!("give the URL as a word of its own after -u, or in {URL_VARIABLE}"));
    }
    let itself = match std::env::current_exe() {
        Ok(itself) => itself,
        Err(error) => {
            return Some(format!("cannot hide the URL from process lists: {error}; use {URL_VARIABLE}"));
        }
    };
    let error = std::process::Command::new(itself).args(kept).env(URL_VARIABLE, url).exec();
    Some(format!("cannot hide the URL from process lists: {error}; use {URL_VARIABLE}"))
}

/// One line for a person; never on standard output, which is the program's.
fn say(quiet: bool, line: &str) {
    if !quiet {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

async fn work(plan: &Plan, quiet: bool) -> u8 {
    let opener = Opener::new(&plan.kubernetes);
    let code = match plan.orphans {
        true => orphans::run(&opener, plan).await,
        false => through(&opener, plan, quiet).await,
    };
    // However it ended: a pod of ours is deleted before the program goes.
    opener.cleared().await;
    code
}

/// Opens what is wanted, does what is to be done through it, and closes it.
async fn through(opener: &Opener, plan: &Plan, quiet: bool) -> u8 {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            say(false, &format!("drtui: cannot listen for signals: {error}"));
            return NO_TUNNEL;
        }
    };
    let opening = async { tokio::join!(open_all(opener, plan, quiet), orphans::hint(opener, plan, quiet)).0 };
    let opened = tokio::select! {
        opened = opening => Ok(opened),
        code = signals.ended() => Err(code),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let open = match opened {
        Ok(open) => open,
        Err(fault) => {
            say(false, &format!("drtui: {fault}"));
            options::konduit_hint(&fault);
            return NO_TUNNEL;
        }
    };
    let code = match &plan.program {
        Some(program) => {
            let mut code = 0;
            for open in &open {
                if plan.wishes.len() > 1 {
                    say(quiet, &format!("-- {}", words(&open.now())));
                }
                code = child::run(plan, program, open, &mut signals, quiet).await;
                if code != 0 {
                    break;
                }
            }
            code
        }
        None => listen(&open, &mut signals, quiet).await,
    };
    futures::future::join_all(open.iter().map(|open| open.close("done"))).await;
    code
}

async fn open_all(opener: &Opener, plan: &Plan, quiet: bool) -> Result<Vec<Open>, Fault> {
    let opening = plan.wishes.iter().map(|wish| open_one(opener, wish, quiet));
    let mut open = Vec::new();
    let mut failed = None;
    for one in futures::future::join_all(opening).await {
        match one {
            Ok(one) => open.push(one),
            Err(fault) => failed = Some(fault),
        }
    }
    match failed {
        None => Ok(open),
        Some(fault) => {
            futures::future::join_all(open.iter().map(|open| open.close("the other could not be opened")))
                .await;
            Err(fault)
        }
    }
}

async fn open_one(opener: &Opener, wish: &Wish, quiet: bool) -> Result<Open, Fault> {
    let began = std::time::Instant::now();
    let open = opener.open(wish, |news| drop(tokio::spawn(narrate(news, quiet)))).await?;
    let now = open.now();
    let pod = now.via.pod.clone().unwrap_or_default();
    let took = began.elapsed().as_millis();
    say(quiet, &format!("{} through {pod} ({}), open after {took} ms", words(&now), now.via.method.word()));
    if let Some(warning) = &now.warning {
        say(quiet, &format!("note: {warning}"));
    }
    Ok(open)
}

/// `LIVE s189p01-rsm-pd-pg/rsm_production as u3f`.
fn words(tunnel: &Tunnel) -> String {
    let who = if tunnel.user.is_empty() { String::new() } else { format!(" as {}", tunnel.user) };
    format!("{} {}/{}{who}", tunnel.which.word(), tunnel.server, tunnel.database)
}

/// Says what takes long while a person waits, and what happens to an open tunnel.
async fn narrate(mut news: watch::Receiver<Tunnel>, quiet: bool) {
    let mut said = String::new();
    let wordy = std::io::stderr().is_terminal();
    loop {
        let now = news.borrow_and_update().state.clone();
        let line = match &now {
            // What is over at once is not worth a line.
            TunnelState::Opening { step } if wordy && step.contains("pod drtui-tunnel") => step.clone(),
            TunnelState::Reconnecting { why, .. } => format!("reconnecting: {why}"),
            TunnelState::Open if said.starts_with("reconnecting") => "connected again".to_owned(),
            _ => String::new(),
        };
        if !line.is_empty() && line != said {
            say(quiet, &format!("drtui: {line}"));
            said = line;
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps local ports open until told to end, or until a tunnel ends by itself.
async fn listen(open: &[Open], signals: &mut Signals, quiet: bool) -> u8 {
    for one in open {
        let now = one.now();
        let port = now.local_port.unwrap_or_default();
        // What scripts wait for and read: one line a tunnel.
        let line = format!("{} 127.0.0.1:{port} {}", now.which.word(), one.client().line());
        if super::out::text(&line).is_err() {
            return NO_TUNNEL;
        }
    }
    say(quiet, "Ctrl-C closes it.");
    let ended = futures::future::select_all(open.iter().map(|one| {
        Box::pin(async move {
            let mut news = one.watch();
            let over = news.wait_for(|now| !now.state.is_alive()).await;
            over.map(|now| now.state.clone()).ok()
        })
    }));
    tokio::select! {
        code = signals.ended() => if code == 130 { 0 } else { code },
        (state, ..) = ended => {
            if let Some(TunnelState::Closed { why } | TunnelState::Failed { why, .. }) = state {
                say(false, &format!("drtui: the tunnel is closed: {why}"));
            }
            TIME_UP
        }
    }
}
