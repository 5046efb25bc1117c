//! The three patches of the Kubernetes API: JSON merge, strategic merge (lists of named things merge by their key) and
//! JSON patch.

use serde_json::{Map, Value};

use super::json;
use super::refusal::Refusal;

/// How a patch is meant, from its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Merge,
    Strategic,
    Json,
}

impl Style {
    pub fn of(content_type: &str) -> Option<Style> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" => Some(Style::Merge),
            "application/strategic-merge-patch+json" => Some(Style::Strategic),
            "application/json-patch+json" => Some(Style::Json),
            _ => None,
        }
    }
}

/// Changes `target` as `patch` says.
pub fn apply(style: Style, target: &mut Value, patch: &Value) -> Result<(), Refusal> {
    match style {
        Style::Merge => merge(target, patch),
        Style::Strategic => strategic(target, patch),
        Style::Json => {
            let operations = patch
                .as_array()
                .ok_or_else(|| Refusal::bad_request("json: cannot unmarshal object into a json patch"))?;
            for operation in operations {
                json_patch(target, operation)?;
            }
        }
    }
    Ok(())
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    let Some(target) = json::object(target) else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// The key by which a list merges, by the list's name.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "ports" => Some("containerPort"),
        "conditions" => Some("type"),
        "ownerReferences" => Some("uid"),
        _ => None,
    }
}

fn strategic(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        let mut whole = patch.clone();
        whole.remove("$patch");
        *target = Value::Object(whole);
        return;
    }
    let Some(target) = json::object(target) else { return };
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        match (value, merge_key(name)) {
            (Value::Null, _) => {
                target.remove(name);
            }
            (Value::Array(items), Some(key)) => {
                let list = target.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
                merge_list(list, items, key);
            }
            _ => strategic(target.entry(name.as_str()).or_insert(Value::Null), value),
        }
    }
    for (name, order) in patch.iter().filter_map(|(n, v)| Some((n.strip_prefix("$retainKeys")?, v))) {
        retain_keys(target, name, order);
    }
}

/// `$retainKeys` keeps only the named members of the object it stands in (used for a deployment's strategy).
fn retain_keys(target: &mut Map<String, Value>, suffix: &str, keys: &Value) {
    if let (true, Some(keys)) = (suffix.is_empty(), keys.as_array()) {
        target.retain(|name, _| keys.iter().any(|key| key.as_str() == Some(name)));
    }
}

fn merge_list(list: &mut Value, items: &[Value], key: &str) {
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    let Some(list) = list.as_array_mut() else { return };
    for item in items {
        let place = list.iter().position(|old| old.get(key) == item.get(key));
        let deletes = item.get("$patch").and_then(Value::as_str) == Some("delete");
        match place {
            Some(place) if deletes => {
                list.remove(place);
            }
            Some(place) => {
                if let Some(old) = list.get_mut(place) {
                    strategic(old, item);
                }
            }
            None if deletes => {}
            None => {
                let mut new = Value::Null;
                strategic(&mut new, item);
                list.push(new);
            }
        }
    }
}

fn json_patch(target: &mut Value, operation: &Value) -> Result<(), Refusal> {
    let path = json::text(operation, "/path");
    let value = operation.get("value");
    let missing = |what: &str| Refusal::bad_request(format!("{what} operation does not apply: path {path}"));
    match (json::text(operation, "/op"), value) {
        ("add", Some(value)) => place(target, path, value.clone(), true),
        ("replace", Some(value)) => place(target, path, value.clone(), false),
        ("remove", _) => take(target, path).map(|_| ()),
        ("test", Some(value)) => {
            if target.pointer(path) == Some(value) {
                Ok(())
            } else {
                Err(Refusal::invalid(
                    "the server rejected our request due to an error in our request",
                    path,
                    "test",
                    "testing path failed",
                ))
            }
        }
        ("copy", _) => {
            let from = json::text(operation, "/from");
            let value = target.pointer(from).cloned().ok_or_else(|| missing("copy"))?;
            place(target, path, value, true)
        }
        ("move", _) => {
            let value = take(target, json::text(operation, "/from"))?;
            place(target, path, value, true)
        }
        (other, _) => Err(missing(other)),
    }
}

/// The parent of `path` and the unescaped last part.
fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Refusal> {
    let (way, last) = path.rsplit_once('/').ok_or_else(|| {
        Refusal::bad_request(format!("a json patch path must begin with a slash: {path:?}"))
    })?;
    let place = target
        .pointer_mut(way)
        .ok_or_else(|| Refusal::bad_request(format!("json patch path does not exist: {path}")))?;
    Ok((place, last.replace("~1", "/").replace("~0", "~")))
}

fn place(target: &mut Value, path: &str, value: Value, add: bool) -> Result<(), Refusal> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let missing =
        || Refusal::bad_request(format!("replace operation does not apply: path {path} is missing"));
    let (parent, last) = parent(target, path)?;
    match parent {
        Value::Object(map) => {
            if !add && !map.contains_key(&last) {
                return Err(missing());
            }
            map.insert(last, value);
            Ok(())
        }
        Value::Array(items) => {
            let at = if last == "-" { items.len() } else { last.parse().map_err(|_| missing())? };
            if add && at <= items.len() {
                items.insert(at, value);
                return Ok(());
            }
            *items.get_mut(at).ok_or_else(missing)? = value;
            Ok(())
        }
        _ => Err(missing()),
    }
}

fn take(target: &mut Value, path: &str) -> Result<Value, Refusal> {
    let missing = || Refusal::bad_request(format!("remove operation does not apply: path {path} is missing"));
    let (parent, last) = parent(target, path)?;
    match parent {
        Value::Object(map) => map.remove(&last).ok_or_else(missing),
        Value::Array(items) => {
            let at: usize = last.parse().map_err(|_| missing())?;
            if at < items.len() { Ok(items.remove(at)) } else { Err(missing()) }
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(style: Style, target: Value, patch: Value) -> Value {
        let mut target = target;
        apply(style, &mut target, &patch).unwrap();
        target
    }

    #[test]
    fn merge_sets_and_removes() {
        let got = patched(
            Style::Merge,
            json!({"spec": {"replicas": 2, "paused": true}, "l": [1]}),
            json!({"spec": {"replicas": 0, "paused": null}, "l": [2, 3]}),
        );
        assert_eq!(got, json!({"spec": {"replicas": 0}, "l": [2, 3]}));
    }

    #[test]
    fn strategic_merges_containers_by_name() {
        let got = patched(
            Style::Strategic,
            json!({"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]}),
            json!({"containers": [{"name": "a", "image": "2", "env": [{"name": "Y", "value": "2"}]},
                                  {"name": "b", "$patch": "delete"}, {"name": "c"}],
                   "$setElementOrder/containers": [{"name": "a"}]}),
        );
        assert_eq!(
            got,
            json!({"containers": [
                {"name": "a", "image": "2", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]},
                {"name": "c"}]})
        );
    }

    #[test]
    fn json_patch_tests_and_replaces() {
        let before = json!({"spec": {"replicas": 2}, "metadata": {"labels": {"a/b": "x"}}, "l": [1, 3]});
        let got = patched(
            Style::Json,
            before.clone(),
            json!([
                {"op": "test", "path": "/spec/replicas", "value": 2},
                {"op": "replace", "path": "/spec/replicas", "value": 0},
                {"op": "remove", "path": "/metadata/labels/a~1b"},
                {"op": "add", "path": "/l/1", "value": 2},
            ]),
        );
        assert_eq!(got, json!({"spec": {"replicas": 0}, "metadata": {"labels": {}}, "l": [1, 2, 3]}));
        for bad in [
            json!([{"op": "test", "path": "/spec/replicas", "value": 9}]),
            json!([{"op": "replace", "path": "/spec/missing", "value": 9}]),
            json!([{"op": "remove", "path": "/l/9"}]),
            json!([{"op": "invent", "path": "/l"}]),
            json!({"op": "add"}),
        ] {
            assert!(apply(Style::Json, &mut before.clone(), &bad).is_err(), "{bad}");
        }
    }
}
