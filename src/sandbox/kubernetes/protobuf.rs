//! Reads the one kind of protobuf body that kubectl sends here: self-reviews. kubectl 1.32 and later post them in the
//! Kubernetes protobuf envelope (`k8s\0`, then `runtime.Unknown`); the answer may be JSON.

use serde_json::{Map, Value};

/// What the envelope begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Length-delimited fields of a message, by number; other kinds of fields are skipped.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes)?;
        match tag & 7 {
            0 => {
                number(&mut bytes)?;
            }
            1 => bytes = bytes.get(8..)?,
            2 => {
                let length = usize::try_from(number(&mut bytes)?).ok()?;
                found.push((tag >> 3, bytes.get(..length)?));
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

fn message(bytes: &[u8], wanted: u64) -> Option<&[u8]> {
    fields(bytes)?.into_iter().find(|(number, _)| *number == wanted).map(|(_, bytes)| bytes)
}

/// Texts of a message under the names of their field numbers (from 1 on).
fn texts(bytes: &[u8], names: &[&str]) -> Option<Value> {
    let mut map = Map::new();
    for (number, bytes) in fields(bytes)? {
        let name = usize::try_from(number).ok().and_then(|n| names.get(n.checked_sub(1)?));
        if let Some(name) = name {
            map.insert((*name).to_owned(), std::str::from_utf8(bytes).ok()?.into());
        }
    }
    Some(Value::Object(map))
}

/// A self-review in the envelope, as the JSON it stands for; `None` when it is anything else.
pub fn self_review(body: &[u8]) -> Option<Value> {
    let unknown = body.strip_prefix(MAGIC)?;
    let kind = texts(message(unknown, 1)?, &["apiVersion", "kind"])?;
    let spec = message(message(unknown, 2)?, 2).unwrap_or_default();
    let mut answer = kind.clone();
    match super::json::text(&kind, "/kind") {
        "SelfSubjectAccessReview" => {
            let resource = ["namespace", "verb", "group", "version", "resource", "subresource", "name"];
            for (number, name, names) in [
                (1, "resourceAttributes", &resource[..]),
                (2, "nonResourceAttributes", &["path", "verb"][..]),
            ] {
                if let Some(bytes) = message(spec, number) {
                    super::json::set(&mut answer, &["spec", name], texts(bytes, names)?);
                }
            }
        }
        "SelfSubjectRulesReview" => {
            super::json::set(&mut answer, &["spec"], texts(spec, &["namespace"])?);
        }
        "SelfSubjectReview" => {}
        _ => return None,
    }
    Some(answer)
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
        let review = self_review(CAPTURED).unwrap();
        assert_eq!(
            review["spec"]["resourceAttributes"],
            json!({"namespace": "tra", "verb": "patch", "group": "", "version": "", "resource": "deployments",
                   "subresource": "scale", "name": ""})
        );
    }

    #[test]
    fn damaged_bodies_are_no_review() {
        for length in 0..CAPTURED.len() - 20 {
            assert_eq!(self_review(&CAPTURED[..length]), None, "cut at {length}");
        }
        assert_eq!(self_review(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
