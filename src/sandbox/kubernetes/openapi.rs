//! The API's description of itself, as far as kubectl needs it: which kinds there are, and that the server itself checks
//! fields and dry runs. Clients that would check by schema find none and skip that.

use axum::body::Body;
use http::{HeaderValue, Response, header};
use serde_json::{Map, Value, json};

use super::api::reply;
use super::kinds::{Resource, group_versions};

/// The document at `path`, if it is one.
pub fn answer(path: &[&str]) -> Option<Response<Body>> {
    match path {
        ["openapi", "v2"] => Some(version_2()),
        ["openapi", "v3"] => {
            let paths: Map<String, Value> = group_versions()
                .map(|(group, version)| {
                    let path = path_of(group, version);
                    let url = format!("/openapi/v3/{path}?hash=1");
                    (path, json!({"serverRelativeURL": url}))
                })
                .collect();
            Some(reply(http::StatusCode::OK, json!({"paths": paths}).to_string()))
        }
        ["openapi", "v3", "api", version] => describe("", version),
        ["openapi", "v3", "apis", group, version] => describe(group, version),
        _ => None,
    }
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// Version 2 in protobuf: `swagger` and the `info`, without definitions.
fn version_2() -> Response<Body> {
    const DOCUMENT: &[u8] = b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.33.5";
    let mut response = Response::new(Body::from(DOCUMENT));
    let kind = HeaderValue::from_static("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn describe(group: &str, version: &str) -> Option<Response<Body>> {
    group_versions().find(|known| *known == (group, version))?;
    let base = format!("/{}", path_of(group, version));
    let parameter =
        |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let parameters = ["dryRun", "fieldManager", "fieldValidation"].map(parameter);
    let mut paths = Map::new();
    for resource in Resource::ALL.into_iter().filter(|r| r.group() == group && r.served(version)) {
        let place = if resource.namespaced() { "/namespaces/{namespace}" } else { "" };
        let kind = json!({"group": group, "version": version, "kind": resource.kind()});
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
            })
        };
        let plural = resource.plural();
        paths.insert(format!("{base}{place}/{plural}"), json!({"post": operation("post")}));
        let one = json!({"patch": operation("patch"), "put": operation("put")});
        paths.insert(format!("{base}{place}/{plural}/{{name}}"), one);
    }
    let document = json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.33.5"}, "paths": paths,
        "components": {"schemas": {}},
    });
    Some(reply(http::StatusCode::OK, document.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_described() {
        for (group, version) in group_versions() {
            let path = path_of(group, version);
            let mut segments = vec!["openapi", "v3"];
            segments.extend(path.split('/'));
            assert!(answer(&segments).is_some(), "{path}");
        }
        assert!(answer(&["openapi", "v3", "apis", "apps", "v2"]).is_none());
    }
}
