//! What happened before the sandbox began: the service at work, a minute at a time on a clock that is set back, and, if
//! wanted, a disaster in the data that nobody noticed. PostgreSQL stamps and logs it all with the time that it then was.

use chrono::TimeDelta;

use super::Say;
use super::disaster::{self, Disaster, DisasterError};
use super::postgres::PostgresError;
use super::postgres::fleet::{Loaded, Servers};
use super::traffic;

/// The longest history: each minute of it takes a moment at the start.
pub const LONGEST: TimeDelta = TimeDelta::hours(24);

/// How long the database has lived when all is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// At least a minute, at most [`LONGEST`].
    pub length: TimeDelta,
    /// What happened to the data, and how long ago.
    pub struck: Option<(Disaster, TimeDelta)>,
}

/// Lets `loaded` live through its history; its base backup is from the beginning.
///
/// # Errors
/// libfaketime is missing, or the server refuses.
pub async fn live_through(
    history: History,
    servers: &Servers,
    loaded: &mut Loaded,
    say: &Say,
) -> Result<(), DisasterError> {
    let minutes = history.length.num_minutes();
    say(&format!("living through {minutes} minutes of the service"));
    let past = servers.begin_past(loaded, history.length).await?;
    let client = past.access.connect("refer-serious-misconduct-production").await?;
    let mut to_come = history.struck;
    for ago in (0..minutes).rev().map(TimeDelta::minutes) {
        if let Some((disaster, then)) = to_come.filter(|(_, then)| *then >= ago) {
            to_come = None;
            past.clock.set_back(then)?;
            say(&disaster::strike_data(disaster, &past.access).await?.words());
        }
        past.clock.set_back(ago)?;
        traffic::minute(&client)
            .await
            .map_err(|source| PostgresError::Sql { what: "live through its history".into(), source })?;
    }
    drop(client);
    Ok(servers.end_past(past).await?)
}
