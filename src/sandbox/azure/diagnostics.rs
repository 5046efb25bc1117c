//! Diagnostic settings: kept by resource id, so they outlive the server that they belong to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use super::route::Ask;
use super::{Arm, activity, servers};

/// Settings that one resource may have.
const MOST: usize = 5;

/// One setting.
#[derive(Debug)]
struct Setting {
    /// As given.
    name: String,
    properties: Value,
    /// Terraform made it for the server that is there.
    managed: bool,
}

/// Settings by server and setting name, both in lower case.
type Settings = BTreeMap<(String, String), Setting>;

#[derive(Debug, Default)]
pub struct Diagnostics {
    all: Mutex<Settings>,
}

impl Diagnostics {
    /// Makes the setting that the platform's terraform gives every server.
    pub fn give(&self, server: &str) {
        let workspace = format!(
            "/subscriptions/00000000-0000-0000-0000-000000000189/resourceGroups/{}/providers/\
             Microsoft.OperationalInsights/workspaces/{server}-log",
            super::RESOURCE_GROUP
        );
        let properties = json!({
            "workspaceId": workspace,
            "logs": [{
                "category": "PostgreSQLLogs", "categoryGroup": null, "enabled": true,
                "retentionPolicy": {"enabled": false, "days": 0},
            }],
            "metrics": [{
                "category": "AllMetrics", "enabled": true, "retentionPolicy": {"enabled": false, "days": 0},
            }],
        });
        let name = module_name(server);
        let key = (server.to_ascii_lowercase(), name.to_ascii_lowercase());
        self.lock().insert(key, Setting { name, properties, managed: true });
    }

    /// The server is made anew: what is left of the one before it is nobody's.
    pub fn disown(&self, server: &str) {
        let server = server.to_ascii_lowercase();
        self.lock()
            .iter_mut()
            .filter(|((s, _), _)| *s == server)
            .for_each(|(_, found)| found.managed = false);
    }

    /// What terraform does about the server's setting: makes it when it is missing.
    ///
    /// # Errors
    /// One of that name is there that terraform did not make; gives its name.
    pub fn ensure(&self, server: &str) -> Result<(), String> {
        let name = module_name(server);
        let key = (server.to_ascii_lowercase(), name.to_ascii_lowercase());
        let managed = self.lock().get(&key).map(|found| found.managed);
        match managed {
            Some(true) => Ok(()),
            Some(false) => Err(name),
            None => {
                self.give(server);
                Ok(())
            }
        }
    }

    /// Removes all settings of a server.
    pub fn forget(&self, server: &str) {
        let server = server.to_ascii_lowercase();
        self.lock().retain(|(s, _), _| *s != server);
    }

    /// The settings of a server, there or not.
    pub fn of(&self, server: &str) -> Vec<String> {
        let server = server.to_ascii_lowercase();
        self.lock().iter().filter(|((s, _), _)| *s == server).map(|(_, found)| found.name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the platform's module calls a server's setting; the typing error is its own.
fn module_name(server: &str) -> String {
    format!("{server}-diagnotics")
}

fn shown(arm: &Arm, server: &str, name: &str, properties: &Value) -> Value {
    json!({
        "id": format!(
            "{}/providers/microsoft.insights/diagnosticSettings/{name}",
            servers::id(arm, server).to_ascii_lowercase()
        ),
        "type": "Microsoft.Insights/diagnosticSettings",
        "name": name,
        "location": null, "kind": null, "tags": null, "identity": null,
        "properties": properties,
    })
}

/// `{server}/providers/Microsoft.Insights/diagnosticSettings[/{name}]`.
pub fn answer(arm: &Arm, ask: &Ask, server: &str, name: Option<&str>) -> Option<Result<Answer, Answer>> {
    let key = |name: &str| (server.to_ascii_lowercase(), name.to_ascii_lowercase());
    Some(match (ask.method.as_str(), name) {
        ("GET", None) => {
            let all = arm.diagnostics.lock();
            let here = all.iter().filter(|((s, _), _)| *s == server.to_ascii_lowercase());
            let value: Vec<Value> =
                here.map(|(_, found)| shown(arm, server, &found.name, &found.properties)).collect();
            Ok(Answer::ok(json!({ "value": value })))
        }
        ("GET", Some(name)) => {
            let all = arm.diagnostics.lock();
            let found = all.get(&key(name));
            found.map(|f| Answer::ok(shown(arm, server, &f.name, &f.properties))).ok_or_else(|| {
                let words = format!("The diagnostic setting '{name}' doesn't exist.");
                Answer::error(StatusCode::NOT_FOUND, "ResourceNotFound", &words)
            })
        }
        ("PUT", Some(name)) => put(arm, ask, server, name),
        ("DELETE", Some(name)) => {
            let was_there = arm.diagnostics.lock().remove(&key(name)).is_some();
            if was_there {
                let what = "Microsoft.Insights/diagnosticSettings/delete";
                activity::record(arm, what, "Delete diagnostic setting", &servers::id(arm, server));
            }
            Ok(Answer::empty(if was_there { StatusCode::OK } else { StatusCode::NO_CONTENT }))
        }
        _ => return None,
    })
}

fn put(arm: &Arm, ask: &Ask, server: &str, name: &str) -> Result<Answer, Answer> {
    servers::find(arm, server)?;
    let body = ask.json()?;
    let properties = body.get("properties").cloned().unwrap_or_default();
    let bad = |words: &str| Err(Answer::error(StatusCode::BAD_REQUEST, "BadRequest", words));
    let has_sink = SINKS.iter().any(|sink| properties.get(sink).is_some_and(Value::is_string));
    if !has_sink {
        return bad("At least one data sink needs to be specified.");
    }
    let key = (server.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut all = arm.diagnostics.lock();
    let others: Vec<_> = all.iter().filter(|((s, n), _)| *s == key.0 && *n != key.1).collect();
    if others.len() >= MOST {
        return bad(
            "The limit of 5 diagnostic settings was reached. To create a new setting, delete an existing one.",
        );
    }
    for (_, other) in others {
        if let Some((sink, category)) = clash(&properties, &other.properties) {
            let other = &other.name;
            let words = format!(
                "Data sink '{sink}' is already used in diagnostic setting '{other}' for category '{category}'. Data \
                 sinks can't be reused in different settings on the same category for the same resource."
            );
            return Err(Answer::error(StatusCode::CONFLICT, "Conflict", &words));
        }
    }
    let managed = all.get(&key).is_some_and(|found| found.managed);
    all.insert(key, Setting { name: name.to_owned(), properties: properties.clone(), managed });
    drop(all);
    let what = "Microsoft.Insights/diagnosticSettings/write";
    activity::record(arm, what, "Create or update diagnostic setting", &servers::id(arm, server));
    Ok(Answer::ok(shown(arm, server, name, &properties)))
}

const SINKS: [&str; 3] = ["workspaceId", "storageAccountId", "eventHubAuthorizationRuleId"];

/// A data sink and a category that both settings use.
fn clash(mine: &Value, theirs: &Value) -> Option<(String, String)> {
    let sink = SINKS.iter().find_map(|sink| {
        let word = |of: &Value| of.get(sink)?.as_str().map(str::to_ascii_lowercase);
        word(mine).filter(|mine| word(theirs).as_ref() == Some(mine)).map(|_| mine[sink].clone())
    })?;
    let category = ["logs", "metrics"].iter().find_map(|kind| {
        let theirs = enabled(theirs, kind);
        enabled(mine, kind).into_iter().find(|category| theirs.contains(category))
    })?;
    Some((sink.as_str().unwrap_or_default().to_owned(), category))
}

fn enabled(properties: &Value, kind: &str) -> Vec<String> {
    let all = properties.get(kind).and_then(Value::as_array).into_iter().flatten();
    all.filter(|c| c["enabled"] == true).filter_map(|c| c["category"].as_str().map(Into::into)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_sink_for_the_same_category_is_a_clash() {
        let setting = |sink: &str, category: &str| json!({"workspaceId": sink, "logs": [{"category": category, "enabled": true}]});
        let mine = setting("/W", "PostgreSQLLogs");
        assert!(clash(&mine, &setting("/w", "PostgreSQLLogs")).is_some());
        assert!(clash(&mine, &setting("/other", "PostgreSQLLogs")).is_none());
        assert!(clash(&mine, &setting("/w", "PostgreSQLFlexSessions")).is_none());
    }

    #[test]
    fn a_setting_is_the_servers_whether_it_is_there_or_not() {
        let all = Diagnostics::default();
        all.give("a-pg");
        assert_eq!(all.of("A-PG"), ["a-pg-diagnotics"]);
        assert!(all.of("b-pg").is_empty());
    }

    #[test]
    fn what_is_left_of_a_server_before_is_in_terraforms_way() {
        let all = Diagnostics::default();
        assert_eq!((all.ensure("a-pg"), all.ensure("a-pg")), (Ok(()), Ok(())));
        all.disown("a-pg");
        assert_eq!(all.ensure("A-pg"), Err("A-pg-diagnotics".into()));
        all.forget("a-pg");
        assert_eq!(all.ensure("a-pg"), Ok(()));
    }
}
