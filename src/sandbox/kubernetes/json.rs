//! Small helpers to read and write JSON values by path without a chance to panic.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

/// The text at a JSON pointer, or "".
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a JSON pointer, or 0.
pub fn int(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// The elements at a JSON pointer, or none.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `value` as an object, made into one if it is anything else. Always there.
pub fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

/// The member of `value` called `name`, made (as null) if missing.
pub fn member<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    Some(object(value)?.entry(name).or_insert(Value::Null))
}

/// Sets the member at `path`, with objects made on the way.
pub fn set(value: &mut Value, path: &[&str], new: Value) {
    match path.split_first() {
        None => *value = new,
        Some((name, rest)) => {
            if let Some(member) = member(value, name) {
                set(member, rest, new);
            }
        }
    }
}

/// Removes the member at `path`.
pub fn remove(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, way) = path.split_last()?;
    let mut at = value;
    for name in way {
        at = at.get_mut(*name)?;
    }
    at.as_object_mut()?.remove(*last)
}

/// A count as the API server writes it: left out when zero.
pub fn count(map: &mut Map<String, Value>, name: &str, count: usize) {
    if count > 0 {
        map.insert(name.to_owned(), Value::from(count));
    }
}

/// Kubernetes time: RFC 3339, UTC, whole seconds.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Now, as Kubernetes writes it.
pub fn now() -> String {
    time(Utc::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn set_makes_the_way_and_remove_takes_it_back() {
        let mut value = json!({"a": 1});
        set(&mut value, &["a", "b", "c"], json!(2));
        assert_eq!(value, json!({"a": {"b": {"c": 2}}}));
        assert_eq!(int(&value, "/a/b/c"), 2);
        assert_eq!(remove(&mut value, &["a", "b", "c"]), Some(json!(2)));
        assert_eq!(remove(&mut value, &["a", "x", "c"]), None);
    }
}
