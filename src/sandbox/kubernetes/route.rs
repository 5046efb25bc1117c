//! What a request is about: its path and query, read.

use std::collections::HashMap;

use axum::extract::Query;
use http::Uri;

use super::kinds::Resource;
use super::refusal::Refusal;
use super::selector::Selector;

/// Path of a resource request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

impl Route {
    /// Reads the segments of a path under `/api` or `/apis`.
    pub fn parse(segments: &[&str]) -> Option<Route> {
        let (group, version, rest) = match segments {
            ["api", version, rest @ ..] => ("", version, rest),
            ["apis", group, version, rest @ ..] => (*group, version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // `/namespaces/x` alone is the namespace itself, and so is its status.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(name), None),
            [plural, name, subresource] => (plural, Some(name), Some(subresource)),
            _ => return None,
        };
        Some(Route {
            group: group.to_owned(),
            version: (*version).to_owned(),
            plural: (*plural).to_owned(),
            namespace: namespace.map(decode),
            name: name.map(|name| decode(name)),
            subresource: subresource.map(|s| (*s).to_owned()),
        })
    }

    pub fn resource(&self) -> Option<Resource> {
        let resource = Resource::find(&self.group, &self.version, &self.plural)?;
        (resource.namespaced() || self.namespace.is_none()).then_some(resource)
    }

    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

/// Undoes percent-encoding; what is not well encoded stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The query of a request.
#[derive(Debug, Clone, Default)]
pub struct Options(HashMap<String, String>);

impl Options {
    pub fn parse(uri: &Uri) -> Result<Self, Refusal> {
        Query::try_from_uri(uri)
            .map(|Query(options)| Options(options))
            .map_err(|error| Refusal::bad_request(format!("the query could not be read: {error}")))
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn is(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Refusal::bad_request(format!("invalid value for {name}: {text:?} is not a number"))
            }),
        }
    }

    pub fn selector(&self, resource: Resource) -> Result<Selector, Refusal> {
        Selector::parse(resource, self.get("labelSelector"), self.get("fieldSelector"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<Route> {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        Route::parse(&segments)
    }

    #[test]
    fn paths() {
        let scale = parse("/apis/apps/v1/namespaces/ns/deployments/web/scale").unwrap();
        assert_eq!(scale.resource(), Some(Resource::Deployment));
        assert_eq!((scale.namespace(), scale.name()), ("ns", "web"));
        assert_eq!(scale.subresource.as_deref(), Some("scale"));
        let namespace = parse("/api/v1/namespaces/ns").unwrap();
        assert_eq!((namespace.resource(), namespace.name()), (Some(Resource::Namespace), "ns"));
        assert_eq!(parse("/api/v1/namespaces").unwrap().resource(), Some(Resource::Namespace));
        let pods = parse("/api/v1/pods").unwrap();
        assert_eq!((pods.resource(), pods.namespace.is_none()), (Some(Resource::Pod), true));
        assert_eq!(parse("/apis/apps/v1/widgets").unwrap().resource(), None);
        assert!(parse("/apis/apps").is_none());
    }

    #[test]
    fn names_are_decoded() {
        assert_eq!(decode("a%2Fb%zz%"), "a/b%zz%");
        assert_eq!(decode("%E6%BC%A2"), "漢");
    }
}
