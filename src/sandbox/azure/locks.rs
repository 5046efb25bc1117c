//! Management locks on the resource group and its servers: what is locked cannot be deleted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use super::route::Ask;
use super::{Arm, RESOURCE_GROUP, activity, servers};

const MOST: usize = 100;

/// Locks by scope (a server's name in lower case, or nothing for the group) and name in lower case.
#[derive(Debug, Default)]
pub struct Locks {
    all: Mutex<BTreeMap<(String, String), Lock>>,
}

#[derive(Debug, Clone)]
struct Lock {
    name: String,
    level: String,
    notes: String,
}

impl Locks {
    /// Locks a server against deletion.
    pub fn protect(&self, server: &str, name: &str) {
        let lock = Lock {
            name: name.to_owned(),
            level: "CanNotDelete".into(),
            notes: "Production database: ask the infrastructure team".into(),
        };
        self.lock().insert((server.to_ascii_lowercase(), name.to_ascii_lowercase()), lock);
    }

    /// Removes every lock that protects a server, those of the group included; gives their names.
    pub fn release(&self, server: &str) -> Vec<String> {
        let mut all = self.lock();
        let server = server.to_ascii_lowercase();
        let (gone, left) = std::mem::take(&mut *all)
            .into_iter()
            .partition(|((scope, _), _)| scope.is_empty() || *scope == server);
        *all = left;
        let gone: BTreeMap<(String, String), Lock> = gone;
        gone.into_values().map(|lock| lock.name).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Lock>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scope_id(arm: &Arm, scope: &str) -> String {
    if scope.is_empty() {
        return format!("/subscriptions/{}/resourceGroups/{RESOURCE_GROUP}", arm.principal.subscription);
    }
    servers::id(arm, scope)
}

fn shown(arm: &Arm, scope: &str, lock: &Lock) -> Value {
    json!({
        "properties": {"level": lock.level, "notes": lock.notes},
        "id": format!("{}/providers/Microsoft.Authorization/locks/{}", scope_id(arm, scope), lock.name),
        "type": "Microsoft.Authorization/locks",
        "name": lock.name,
    })
}

/// Refuses the deletion of a locked server.
pub fn check_delete(arm: &Arm, server: &str) -> Result<(), Answer> {
    let server = server.to_ascii_lowercase();
    let all = arm.locks.lock();
    let Some((scope, _)) = all.keys().find(|(scope, _)| scope.is_empty() || *scope == server) else {
        return Ok(());
    };
    let words = format!(
        "The scope '{}' cannot perform delete operation because following scope(s) are locked: '{}'. Please remove the \
         lock and try again.",
        servers::id(arm, &server),
        scope_id(arm, scope)
    );
    Err(Answer::error(StatusCode::CONFLICT, "ScopeLocked", &words))
}

/// `{scope}/providers/Microsoft.Authorization/locks[/{name}]`; a list on the group holds its servers' locks too.
pub fn answer(arm: &Arm, ask: &Ask, scope: &str, name: Option<&str>) -> Option<Result<Answer, Answer>> {
    if !scope.is_empty() && arm.servers.get(scope).is_none() {
        return Some(Err(servers::not_found(scope)));
    }
    let mut all = arm.locks.lock();
    let key = |name: &str| (scope.to_ascii_lowercase(), name.to_ascii_lowercase());
    Some(match (ask.method.as_str(), name) {
        ("GET", None) => {
            let seen = all.iter().filter(|((s, _), _)| scope.is_empty() || s.is_empty() || s == scope);
            let value: Vec<Value> = seen.map(|((s, _), lock)| shown(arm, s, lock)).collect();
            Ok(Answer::ok(json!({ "value": value })))
        }
        ("GET", Some(name)) => {
            all.get(&key(name)).map(|l| Answer::ok(shown(arm, scope, l))).ok_or_else(|| {
                let words = format!("The lock '{name}' could not be found.");
                Answer::error(StatusCode::NOT_FOUND, "LockNotFound", &words)
            })
        }
        ("PUT", Some(name)) => {
            let body = match ask.json() {
                Ok(body) => body,
                Err(refusal) => return Some(Err(refusal)),
            };
            let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let level = word("/properties/level");
            if !["CanNotDelete", "ReadOnly"].contains(&level) || all.len() >= MOST {
                let words = "The lock level is invalid: it must be CanNotDelete or ReadOnly.";
                return Some(Err(Answer::error(StatusCode::BAD_REQUEST, "InvalidLockLevel", words)));
            }
            let lock =
                Lock { name: name.into(), level: level.into(), notes: word("/properties/notes").into() };
            let answer = shown(arm, scope, &lock);
            let status =
                if all.insert(key(name), lock).is_some() { StatusCode::OK } else { StatusCode::CREATED };
            activity::record(
                arm,
                "Microsoft.Authorization/locks/write",
                "Add management locks",
                &scope_id(arm, scope),
            );
            Ok(Answer { status, ..Answer::ok(answer) })
        }
        ("DELETE", Some(name)) => {
            if all.remove(&key(name)).is_none() {
                return Some(Ok(Answer::empty(StatusCode::NO_CONTENT)));
            }
            let what = "Microsoft.Authorization/locks/delete";
            activity::record(arm, what, "Delete management locks", &scope_id(arm, scope));
            Ok(Answer::empty(StatusCode::OK))
        }
        _ => return None,
    })
}
