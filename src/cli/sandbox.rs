//! `drtui sandbox`: the world on loopback, with the cockpit on it or headless, and its remote control.

mod headless;
mod parent;
mod remote;
mod restore;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, Subcommand};
use color_eyre::eyre::{Result, WrapErr, bail};

use super::Global;
use super::cockpit::ScreenArgs;
use crate::sandbox::disaster::Disaster;
use crate::sandbox::faults::{Kind, Provider};
use crate::sandbox::history::{History, LONGEST};
use crate::sandbox::postgres::seed::Recipe;
use crate::sandbox::{Options, Scale, state};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SandboxArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    start: Start,
}

/// How to start a sandbox.
#[derive(Debug, Args)]
pub struct Start {
    /// No cockpit: run until SIGTERM or Ctrl-C
    #[arg(long)]
    headless: bool,
    #[command(flatten)]
    state: StateArg,
    /// The database's content follows from the seed, the scale and the day
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u32,
    /// small: 300,000 rows; medium: 1 million rows, 300 deployments; large: 2 million rows, 2,000 deployments
    #[arg(long, default_value = "small", value_name = "SCALE")]
    scale: Scale,
    /// No generated row is newer than the start of this day (UTC) [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<NaiveDate>,
    /// What takes minutes on the platform (restores, workflow runs) takes moments
    #[arg(long)]
    fast: bool,
    /// Operations on servers take minutes, as in Azure
    #[arg(long, conflicts_with = "fast")]
    realistic: bool,
    /// The newest time that can be restored is this long ago [default: 5s, with --realistic 5m as in Azure]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    restore_lag: Option<Duration>,
    /// Length of a sandbox-day: a deleted server can be revived for five of them
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    sandbox_day: Duration,
    /// Let this disaster happen as soon as all is ready; `drtui sandbox disaster` lists them
    #[arg(long, value_name = "NAME")]
    disaster: Option<Disaster>,
    /// The database has lived this long when all is ready, a minute of the service's work at a time: so far back it can
    /// be restored (at most 24h). Needs libfaketime (Debian: apt-get install faketime)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    history: Option<Duration>,
    /// The disaster, one in the data, struck this long ago in that history
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "history", requires = "disaster")]
    disaster_ago: Option<Duration>,
    /// Stop when standard input ends, too
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
    #[command(flatten)]
    screen: ScreenArgs,
}

#[derive(Debug, Args)]
pub struct StateArg {
    /// Where the running sandbox says where everything is [default: drtui-sandbox.json in $XDG_RUNTIME_DIR, or one with
    /// the user's id in the temporary folder]
    #[arg(long, value_name = "FILE")]
    state_file: Option<PathBuf>,
}

impl StateArg {
    /// The absolute path: it is written into files that are read from elsewhere.
    fn path(&self) -> Result<PathBuf> {
        let path = self.state_file.clone().unwrap_or_else(state::default_path);
        std::path::absolute(&path).wrap_err_with(|| format!("cannot use the state file {}", path.display()))
    }
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Let a disaster happen in the running sandbox
    Disaster {
        /// Which one; left out, they are listed
        name: Option<String>,
        #[command(flatten)]
        state: StateArg,
        /// Print what the sandbox answers
        #[arg(long)]
        json: bool,
    },
    /// Restore the running sandbox's live server to a copy, as the recovery workflow does, and wait until it is Ready
    Restore {
        /// To what time (UTC), e.g. the one until which the data was whole: "2026-11-20 13:41:07.123 UTC"
        #[arg(value_name = "TIME", value_parser = restore::time)]
        at: DateTime<Utc>,
        /// Name of the copy [default: s189p01-rsm-pd-pg-ptr]
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        #[command(flatten)]
        state: StateArg,
    },
    /// Spoil the answers of a provider for a while
    Fault {
        /// refused, reset, 401, 403, 410, 429, 500, stall, garbage, huge, hostile-names; `none` ends it
        kind: String,
        /// kubernetes, azure, service, github or blobs
        #[arg(long, value_name = "PROVIDER")]
        on: Provider,
        /// How long, e.g. 30s, 5m
        #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = duration)]
        lasts: Duration,
        #[command(flatten)]
        state: StateArg,
    },
}

pub fn run(global: &Global, args: SandboxArgs) -> Result<ExitCode> {
    match args.action {
        Some(Action::Disaster { name: Some(name), state, json }) => {
            remote::disaster(&state.path()?, &name, json)
        }
        Some(Action::Restore { at, to, state }) => restore::run(&state.path()?, at, to),
        Some(Action::Disaster { name: None, .. }) => Ok(remote::disasters()),
        Some(Action::Fault { kind, on, lasts, state }) if kind == "none" => {
            let _ = lasts;
            remote::end_fault(&state.path()?, on)
        }
        Some(Action::Fault { kind, on, lasts, state }) => {
            let kind: Kind = kind.parse().map_err(|why: String| color_eyre::eyre::eyre!(why))?;
            remote::fault(&state.path()?, kind, on, lasts)
        }
        None if args.start.headless => headless::run(&args.start.options()?, args.start.stop_with_stdin),
        None => parent::run(global, &args.start.screen, &args.start.options()?),
    }
}

impl Start {
    fn options(&self) -> Result<Options> {
        let as_of = self.as_of.unwrap_or_else(|| Utc::now().date_naive());
        let recipe = Recipe { seed: self.seed, scale: self.scale, as_of };
        let usual = Duration::from_secs(if self.realistic { 300 } else { 5 });
        Ok(Options {
            state_file: self.state.path()?,
            recipe,
            fast: self.fast,
            realistic: self.realistic,
            restore_lag: self.restore_lag.unwrap_or(usual),
            day: self.sandbox_day,
            history: self.history()?,
            // One that struck in the history does not strike again.
            disaster: self.disaster.filter(|_| self.disaster_ago.is_none()),
        })
    }

    fn history(&self) -> Result<Option<History>> {
        let Some(length) = self.history else { return Ok(None) };
        let delta = |time| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        let length = delta(length);
        if !(TimeDelta::minutes(1)..=LONGEST).contains(&length) {
            bail!("--history takes from 1m to {}h", LONGEST.num_hours());
        }
        let struck = self.disaster.zip(self.disaster_ago.map(delta));
        if let Some((disaster, ago)) = struck {
            if !disaster.is_in_data() {
                bail!("--disaster-ago is for disasters in the data; {} is none", disaster.name());
            }
            if ago >= length {
                bail!("--disaster-ago must lie within --history: give a longer history");
            }
        }
        Ok(Some(History { length, struck }))
    }
}

/// `500ms`, `30s`, `5m`, `1h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("{text:?} is not a time like 30s or 5m");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "s", "0s", "1.5s", "3 weeks", "99999999999999999999s", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
