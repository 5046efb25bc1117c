//! Label and field selectors: parsed as the API server does, refused with its words.

use serde_json::Value;

use super::json;
use super::kinds::Resource;
use super::refusal::Refusal;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// What a list or a watch is narrowed to. Empty takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Rule>,
    /// Field path, wanted value, and whether they must be equal.
    fields: Vec<(String, String, bool)>,
}

impl Selector {
    pub fn parse(resource: Resource, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels = split(labels).into_iter().map(rule).collect::<Result<_, _>>()?;
        let fields = split(fields).into_iter().map(|part| field(resource, part)).collect::<Result<_, _>>()?;
        Ok(Selector { labels, fields })
    }

    /// Narrows to one object.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.fields.push(("metadata.name".into(), name.into(), true));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn takes(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let labels_fit = self.labels.iter().all(|rule| match rule {
            Rule::In(key, values) => label(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Rule::NotIn(key, values) => label(key).is_none_or(|v| values.iter().all(|w| w != v)),
            Rule::Exists(key) => label(key).is_some(),
            Rule::Missing(key) => label(key).is_none(),
        });
        labels_fit
            && self.fields.iter().all(|(path, wanted, equal)| {
                let pointer = format!("/{}", path.replace('.', "/"));
                (json::text(object, &pointer) == wanted) == *equal
            })
    }
}

/// Splits at commas outside brackets.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_u32;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn rule(part: &str) -> Result<Rule, Refusal> {
    let bad = || {
        Refusal::bad_request(format!(
            "unable to parse requirement: found '{part}', expected a label selector"
        ))
    };
    let key = |text: &str| {
        let text = text.trim();
        let fine = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        fine.then(|| text.to_owned()).ok_or_else(bad)
    };
    if let Some(name) = part.strip_prefix('!') {
        return Ok(Rule::Missing(key(name)?));
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Rule::NotIn(key(name)?, vec![value.trim().to_owned()]));
    }
    if let Some((name, values)) = part.split_once('(') {
        let values = values.trim_end().strip_suffix(')').ok_or_else(bad)?;
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        let mut words = name.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(name), Some("in"), None) => Ok(Rule::In(key(name)?, values)),
            (Some(name), Some("notin"), None) => Ok(Rule::NotIn(key(name)?, values)),
            _ => Err(bad()),
        };
    }
    if let Some((name, value)) = part.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value).trim();
        return Ok(Rule::In(key(name)?, vec![value.to_owned()]));
    }
    Ok(Rule::Exists(key(part)?))
}

fn field(resource: Resource, part: &str) -> Result<(String, String, bool), Refusal> {
    let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = part.split_once('=') {
        (path, value.strip_prefix('=').unwrap_or(value), true)
    } else {
        let message = format!("invalid selector: '{part}'; can't understand '{part}'. Expected field=value");
        return Err(Refusal::bad_request(message));
    };
    let (path, value) = (path.trim(), value.trim());
    let known = path == "metadata.name"
        || (path == "metadata.namespace" && resource.namespaced())
        || resource.fields().contains(&path);
    if !known {
        return Err(Refusal::bad_request(format!("field label not supported: {path}")));
    }
    Ok((path.to_owned(), value.to_owned(), equal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn takes(labels: &str, fields: &str) -> bool {
        let object = json!({
            "metadata": {"name": "web-1", "namespace": "ns", "labels": {"app": "web", "tier": "front"}},
            "status": {"phase": "Running"},
        });
        Selector::parse(Resource::Pod, labels, fields).unwrap().takes(&object)
    }

    #[test]
    fn labels() {
        for yes in [
            "",
            "app=web",
            "app==web",
            "app!=worker",
            "missing!=x",
            "app in (web, worker)",
            "app notin (worker)",
            "tier",
            "!missing",
            "app=web,tier in (front,back),!x",
        ] {
            assert!(takes(yes, ""), "{yes}");
        }
        for no in ["app=worker", "app!=web", "app in (worker)", "app notin (web,x)", "missing", "!app"] {
            assert!(!takes(no, ""), "{no}");
        }
        for bad in ["app in web", "app on (x)", "a b", "=x", "app in (x"] {
            assert!(Selector::parse(Resource::Pod, bad, "").is_err(), "{bad}");
        }
    }

    #[test]
    fn fields() {
        assert!(takes("", "metadata.name=web-1,metadata.namespace==ns,status.phase!=Failed"));
        assert!(!takes("", "metadata.name=web-2"));
        let refusal = Selector::parse(Resource::Deployment, "", "spec.replicas=1").unwrap_err();
        assert_eq!(refusal.status["message"], "field label not supported: spec.replicas");
    }
}
