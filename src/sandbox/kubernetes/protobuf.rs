//! Reads objects in the Kubernetes protobuf encoding (`k8s\0`, then `runtime.Unknown`), in which kubectl 1.32 and later
//! write what they know by type. What is answered may be JSON.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

/// Messages in messages that are followed.
const DEEPEST: usize = 32;
/// What the envelope begins with.
pub const MAGIC: &[u8] = b"k8s\0";

/// A field's value, undecoded.
#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, by number; those of fixed width are skipped.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes)?;
        match tag & 7 {
            0 => found.push((tag >> 3, Field::Number(number(&mut bytes)?))),
            1 => bytes = bytes.get(8..)?,
            2 => {
                let length = usize::try_from(number(&mut bytes)?).ok()?;
                found.push((tag >> 3, Field::Bytes(bytes.get(..length)?)));
                bytes = bytes.get(length..)?;
            }
            5 => bytes = bytes.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

/// A varint.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Field number, name and type of a message, from the schema file.
type Fields = HashMap<u64, (&'static str, &'static str)>;

/// The messages that clients send, by name (`apps.v1.Deployment`).
fn schema() -> &'static HashMap<&'static str, Fields> {
    static SCHEMA: OnceLock<HashMap<&'static str, Fields>> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut messages: HashMap<&'static str, Fields> = HashMap::new();
        let mut current = "";
        for line in include_str!("protobuf.schema").lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            match (line.starts_with(' '), words.next(), words.next(), words.next()) {
                (false, Some(name), ..) => {
                    current = name;
                    messages.entry(name).or_default();
                }
                (true, Some(number), Some(name), Some(kind)) => {
                    if let Ok(number) = number.parse() {
                        messages.entry(current).or_default().insert(number, (name, kind));
                    }
                }
                _ => {}
            }
        }
        messages
    })
}

/// The object in an envelope as the JSON it stands for; `None` when it cannot be read or its kind is not known.
pub fn object(body: &[u8]) -> Option<Value> {
    let unknown = fields(body.strip_prefix(MAGIC)?)?;
    let part = |wanted| unknown.iter().find(|(number, _)| *number == wanted).map(|(_, field)| field);
    let Some(Field::Bytes(type_meta)) = part(1) else { return None };
    let mut texts = fields(type_meta)?.into_iter().filter_map(|(number, field)| match field {
        Field::Bytes(bytes) => Some((number, std::str::from_utf8(bytes).ok()?)),
        Field::Number(_) => None,
    });
    let (mut version, mut kind) = ("", "");
    for (number, text) in texts.by_ref() {
        match number {
            1 => version = text,
            2 => kind = text,
            _ => {}
        }
    }
    let name = match (kind, version.split_once('/')) {
        ("DeleteOptions", _) => "meta.v1.DeleteOptions".to_owned(),
        (_, None) => format!("core.{version}.{kind}"),
        (_, Some((group, version))) => {
            format!("{}.{version}.{kind}", group.split('.').next().unwrap_or_default())
        }
    };
    let Some(Field::Bytes(raw)) = part(2) else { return None };
    let mut value = Value::Object(message(schema().get(name.as_str())?, raw, 0)?);
    super::json::set(&mut value, &["apiVersion"], version.into());
    super::json::set(&mut value, &["kind"], kind.into());
    Some(value)
}

/// A message with these fields. Texts and times that are empty say nothing and are left out.
fn message(known: &Fields, bytes: &[u8], depth: usize) -> Option<Map<String, Value>> {
    if depth > DEEPEST {
        return None;
    }
    let mut map = Map::new();
    for (number, field) in fields(bytes)? {
        let Some((name, kind)) = known.get(&number) else { continue };
        if let Some(kind) = kind.strip_prefix("inline:") {
            let Value::Object(members) = value(kind, &field, depth)? else { continue };
            map.extend(members);
        } else if let Some(kind) = kind.strip_prefix("list:") {
            let list = map.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value(kind, &field, depth)?);
            }
        } else if let Some(kind) = kind.strip_prefix("map:") {
            let Field::Bytes(bytes) = field else { return None };
            let (mut key, mut member) = (String::new(), Value::Null);
            for (number, field) in fields(bytes)? {
                match number {
                    1 => key = value("text", &field, depth)?.as_str()?.to_owned(),
                    _ => member = value(kind, &field, depth)?,
                }
            }
            let member = if member.is_null() { "".into() } else { member };
            if let Some(place) = super::json::member(map.entry(*name).or_insert(Value::Null), &key) {
                *place = member;
            }
        } else {
            let value = value(kind, &field, depth)?;
            if !value.is_null() && value != "" {
                map.insert((*name).to_owned(), value);
            }
        }
    }
    Some(map)
}

fn value(kind: &str, field: &Field<'_>, depth: usize) -> Option<Value> {
    use base64::Engine;
    let bytes = match field {
        Field::Number(number) => {
            // Negative numbers are sent in two's complement.
            return Some(if kind == "bool" { (*number != 0).into() } else { number.cast_signed().into() });
        }
        Field::Bytes(bytes) => *bytes,
    };
    Some(match kind {
        "text" => std::str::from_utf8(bytes).ok()?.into(),
        "bytes" => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
        "quantity" => first_text(bytes)?.into(),
        "time" => {
            let seconds = fields(bytes)?.into_iter().find_map(|(number, field)| match field {
                Field::Number(seconds) if number == 1 => Some(seconds.cast_signed()),
                _ => None,
            });
            match seconds.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0)) {
                Some(at) => super::json::time(at).into(),
                None => Value::Null,
            }
        }
        "intorstr" => {
            let found = fields(bytes)?;
            let number = |wanted| {
                found.iter().find_map(|(number, field)| match field {
                    Field::Number(value) if *number == wanted => Some(value.cast_signed()),
                    _ => None,
                })
            };
            if number(1) == Some(1) {
                first_text(bytes)?.into()
            } else {
                number(2).unwrap_or_default().into()
            }
        }
        name => Value::Object(message(schema().get(name)?, bytes, depth + 1)?),
    })
}

/// The first text in a message.
fn first_text(bytes: &[u8]) -> Option<&str> {
    fields(bytes)?.into_iter().find_map(|(_, field)| match field {
        Field::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        Field::Number(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Captured from kubectl 1.32: `auth can-i patch deployments --subresource=scale -n tra`.
    const CAPTURED: &[u8] = b"k8s\x00\n2\n\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview\x12F\n\x10\n\x00\
        \x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x12(\n&\n\x03tra\x12\x05patch\x1a\x00\"\x00*\x0bdeployments2\x05scale\
        :\x00\x1a\x08\x08\x00\x12\x00\x1a\x00 \x00\x1a\x00\"\x00";

    #[test]
    fn what_kubectl_sends_is_read() {
        let review = object(CAPTURED).unwrap();
        assert_eq!(
            review["spec"]["resourceAttributes"],
            json!({"namespace": "tra", "verb": "patch", "resource": "deployments", "subresource": "scale"})
        );
    }

    #[test]
    fn damaged_bodies_are_refused() {
        for length in 0..CAPTURED.len() - 20 {
            assert_eq!(object(&CAPTURED[..length]), None, "cut at {length}");
        }
        assert_eq!(object(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
