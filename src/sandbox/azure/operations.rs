//! Asynchronous operations as Azure shows them: 202 with two long signed addresses, which are followed as they are or
//! not at all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use http::StatusCode;
use rand::RngCore;
use serde_json::{Value, json};

use super::answer::Answer;
use super::{Arm, servers};
use crate::sandbox::postgres::fleet::{Kind, Operation, OperationId, Tempo};

/// .NET counts its ticks, tenths of microseconds, from the year 1.
const TICKS_OF_1970: i64 = 621_355_968_000_000_000;
/// Signatures that are remembered; the fleet forgets operations at the same number.
const MOST: usize = 1_000;

/// The query strings that belong to operations: nobody can make one up.
#[derive(Debug, Default)]
pub struct Tickets {
    given: Mutex<HashMap<OperationId, String>>,
}

impl Tickets {
    fn give(&self, id: &str, api_version: &str) -> String {
        let ticks = TICKS_OF_1970 + Utc::now().timestamp_micros() * 10;
        let random = |bytes: usize| {
            let mut some = vec![0; bytes];
            rand::rng().fill_bytes(&mut some);
            URL_SAFE_NO_PAD.encode(some)
        };
        let query = format!(
            "api-version={api_version}&t={ticks}&c={}&s={}&h={}",
            random(1_950),
            random(256),
            random(32)
        );
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() >= MOST {
            given.clear();
        }
        given.insert(id.to_owned(), query.clone());
        query
    }

    fn is_right(&self, id: &str, query: &str) -> bool {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.get(id).is_some_and(|right| right == query)
    }
}

/// The 202 of an operation that has begun.
pub fn accepted(arm: &Arm, id: &OperationId, api_version: &str) -> Answer {
    let Some(operation) = arm.servers.operation(id) else { return Answer::empty(StatusCode::ACCEPTED) };
    let query = arm.tickets.give(id, api_version);
    // As recorded: the display name for deletions, the plain name otherwise.
    let location = if operation.kind == Kind::Drop { "UK%20South" } else { "uksouth" };
    let base = format!(
        "{}/subscriptions/{}/providers/Microsoft.DBforPostgreSQL/locations/{location}",
        arm.endpoint, arm.principal.subscription
    );
    let body = match operation.kind {
        // Backups answer without a body.
        Kind::Backup => Value::Null,
        kind => json!({"operation": operation_name(kind), "startTime": start_time(arm, operation.started)}),
    };
    Answer { body, ..Answer::empty(StatusCode::ACCEPTED) }
        .with("azure-asyncoperation", format!("{base}/azureAsyncOperation/{id}?{query}"))
        .with("location", format!("{base}/operationResults/{id}?{query}"))
        .with("retry-after", retry_after(arm, operation.kind).to_string())
        .with(
            "x-ms-operation-identifier",
            format!(
                "tenantId={},objectId={}/uksouth/{}",
                arm.principal.tenant,
                arm.principal.client_id,
                super::guid()
            ),
        )
}

/// Azure's own name of what is done. Recorded: create, restore, drop. The others follow the same pattern.
fn operation_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Create | Kind::Update => "UpsertServerManagementOperationV2",
        Kind::PointInTimeRestore | Kind::Revive => "RestoreSnapshotManagementOperation",
        Kind::Drop => "DropServerManagementOperation",
        Kind::Start => "StartServerManagementOperation",
        Kind::Stop => "StopServerManagementOperation",
        Kind::Restart => "RestartServerManagementOperation",
        Kind::Backup => "CreateBackupManagementOperation",
    }
}

/// Seconds until the next question: what the recordings show, or one second where all goes fast.
fn retry_after(arm: &Arm, kind: Kind) -> u32 {
    match (arm.servers.rules().tempo, kind) {
        (Tempo::Fast, _) => 1,
        (_, Kind::Create | Kind::PointInTimeRestore | Kind::Revive) => 60,
        _ => 15,
    }
}

fn start_time(arm: &Arm, real: DateTime<Utc>) -> String {
    arm.clock.shown(real).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The operation that an address names, if its query string is the one that was given out.
fn find(arm: &Arm, id: &str, query: &str) -> Result<Operation, Answer> {
    let Some(operation) = arm.servers.operation(id) else {
        let words = format!("The operation '{id}' was not found.");
        return Err(Answer::error(StatusCode::NOT_FOUND, "OperationNotFound", &words));
    };
    if !arm.tickets.is_right(id, query) {
        let words = "The signature of the operation's address is not valid. Follow it as it was given.";
        return Err(Answer::error(StatusCode::FORBIDDEN, "InvalidSignature", words));
    }
    Ok(operation)
}

/// `GET …/azureAsyncOperation/{id}`.
pub fn status(arm: &Arm, id: &str, query: &str) -> Result<Answer, Answer> {
    let operation = find(arm, id, query)?;
    let mut body = json!({
        "name": operation.id, "status": "InProgress", "startTime": start_time(arm, operation.started),
    });
    let mut answer = Answer::ok(Value::Null);
    if let Some(fields) = body.as_object_mut() {
        match &operation.ended {
            None => answer = answer.with("retry-after", retry_after(arm, operation.kind).to_string()),
            Some((_, Ok(()))) => {
                fields.insert("status".into(), "Succeeded".into());
            }
            Some((_, Err(failure))) => {
                fields.insert("status".into(), "Failed".into());
                let error = json!({"code": failure.code, "message": failure.message});
                fields.insert("error".into(), error);
            }
        }
    }
    Ok(Answer { body, ..answer })
}

/// `GET …/operationResults/{id}`: 202 until it has ended, then what came of it.
pub fn result(arm: &Arm, id: &str, query: &str) -> Result<Answer, Answer> {
    let operation = find(arm, id, query)?;
    match &operation.ended {
        None => {
            let (base, kind) = (&arm.endpoint, operation.kind);
            let here = format!(
                "{base}/subscriptions/{}/providers/Microsoft.DBforPostgreSQL/locations/uksouth/operationResults/{id}?{query}",
                arm.principal.subscription
            );
            let answer = Answer::empty(StatusCode::ACCEPTED).with("location", here);
            Ok(answer.with("retry-after", retry_after(arm, kind).to_string()))
        }
        Some((_, Err(failure))) => {
            Err(Answer::error(StatusCode::INTERNAL_SERVER_ERROR, failure.code, &failure.message))
        }
        Some((_, Ok(()))) => match operation.kind {
            Kind::Drop | Kind::Start | Kind::Stop | Kind::Restart | Kind::Backup => {
                Ok(Answer::empty(StatusCode::NO_CONTENT))
            }
            _ => Ok(Answer::ok(servers::get(arm, &servers::find(arm, &operation.server)?))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_about_three_kilobytes_and_known_by_heart() {
        let tickets = Tickets::default();
        let query = tickets.give("op", "2025-08-01");
        assert!((2_900..3_400).contains(&query.len()), "{}", query.len());
        assert!(query.starts_with("api-version=2025-08-01&t=63") && tickets.is_right("op", &query));
        let cut: String = query.chars().take(3_000).collect();
        assert!(!tickets.is_right("op", &cut) && !tickets.is_right("other", &query));
    }
}
