//! Which request is which. Azure's paths ignore case, so they are taken apart here and not by the web framework.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, finish};
use super::{Arm, RESOURCE_GROUP, metrics, servers, token};

/// Largest request body that is read: a token form.
const BODY_MAX: usize = 64 * 1024;
/// Oldest api-version of flexible servers that is understood.
const OLDEST_SERVERS: &str = "2024-08-01";
const OLDEST: &str = "2014-04-01";

/// Answers any request.
pub async fn answer(State(arm): State<Arc<Arm>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let header = parts.headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let answer = match open(&arm, &parts.method, &segments, &query, body).await {
        Some(answer) => answer,
        None => match token::check(&arm, header) {
            Err(refusal) => refusal,
            Ok(()) => managed(&arm, &parts.method, &segments, &query).await.unwrap_or_else(|refusal| refusal),
        },
    };
    finish(&arm, answer)
}

/// A query string; names ignore case.
#[derive(Debug, Default)]
pub struct Query(HashMap<String, String>);

impl Query {
    fn parse(text: &str) -> Query {
        let uri = format!("/?{text}");
        let pairs = uri.parse::<http::Uri>().ok().and_then(|uri| {
            axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok().map(|q| q.0)
        });
        Query(pairs.unwrap_or_default().into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// What may be asked without a token.
async fn open(arm: &Arm, method: &Method, path: &[&str], query: &Query, body: Body) -> Option<Answer> {
    Some(match path {
        [tenant, "oauth2", "v2.0", "token"] | [tenant, "oauth2", "token"] if method == Method::POST => {
            let bytes = to_bytes(body, BODY_MAX).await.unwrap_or_default();
            let form = Query::parse(&String::from_utf8_lossy(&bytes)).0;
            token::issue(arm, tenant, &form)
        }
        [tenant, "v2.0", ".well-known", "openid-configuration"]
        | [tenant, ".well-known", "openid-configuration"] => token::openid(arm, tenant),
        ["common", "discovery", "instance"] => Answer::ok(json!({
            "tenant_discovery_endpoint":
                format!("{}/{}/v2.0/.well-known/openid-configuration", arm.endpoint, arm.principal.tenant),
            "api-version": "1.1",
            "metadata": [],
        })),
        ["metadata", "endpoints"] => Answer::ok(endpoints(arm, query)),
        _ => return None,
    })
}

/// `/metadata/endpoints`: a list since 2019-05-01, one object before.
fn endpoints(arm: &Arm, query: &Query) -> Value {
    let endpoint = &arm.endpoint;
    if query.get("api-version").is_some_and(|v| v < "2019-05-01") {
        return json!({
            "galleryEndpoint": endpoint, "graphEndpoint": endpoint, "portalEndpoint": endpoint,
            "authentication": {"loginEndpoint": endpoint, "audiences": [endpoint]},
        });
    }
    json!([{
        "name": "DrtuiSandbox", "portal": endpoint, "resourceManager": endpoint, "gallery": endpoint, "graph": endpoint,
        "authentication": {
            "loginEndpoint": endpoint, "audiences": [endpoint, "https://management.azure.com"],
            "tenant": arm.principal.tenant, "identityProvider": "AAD",
        },
        "suffixes": {"postgresqlServerEndpoint": "postgres.database.azure.com"},
    }])
}

/// What needs a token.
async fn managed(arm: &Arm, method: &Method, path: &[&str], query: &Query) -> Result<Answer, Answer> {
    let [first, rest @ ..] = path else { return Err(unknown(path)) };
    check_version(path, query)?;
    match (*first, rest) {
        ("tenants", []) => Ok(Answer::ok(json!({"value": [{
            "id": format!("/tenants/{}", arm.principal.tenant), "tenantId": arm.principal.tenant,
            "displayName": "DfE Platform Identity", "tenantCategory": "Home",
        }]}))),
        ("subscriptions", []) => {
            Ok(Answer::ok(json!({"value": [subscription(arm)], "count": {"type": "Total", "value": 1}})))
        }
        ("subscriptions", [name, rest @ ..]) => {
            if !name.eq_ignore_ascii_case(&arm.principal.subscription) {
                let words = format!("The subscription '{name}' could not be found.");
                return Err(Answer::error(StatusCode::NOT_FOUND, "SubscriptionNotFound", &words));
            }
            in_subscription(arm, method, rest, query).await.ok_or_else(|| unknown(path))?
        }
        _ => Err(unknown(path)),
    }
}

async fn in_subscription(
    arm: &Arm,
    method: &Method,
    path: &[&str],
    query: &Query,
) -> Option<Result<Answer, Answer>> {
    Some(match path {
        [] => Ok(Answer::ok(subscription(arm))),
        ["resourcegroups"] => Ok(Answer::ok(json!({"value": [group(arm)]}))),
        ["providers", "microsoft.dbforpostgresql", "flexibleservers"] => {
            read_only(method, || servers::list(arm))
        }
        ["resourcegroups", name, rest @ ..] => {
            if !name.eq_ignore_ascii_case(RESOURCE_GROUP) {
                let words = format!("Resource group '{name}' could not be found.");
                return Some(Err(Answer::error(StatusCode::NOT_FOUND, "ResourceGroupNotFound", &words)));
            }
            in_group(arm, method, rest, query).await?
        }
        _ => return None,
    })
}

async fn in_group(
    arm: &Arm,
    method: &Method,
    path: &[&str],
    query: &Query,
) -> Option<Result<Answer, Answer>> {
    const SERVERS: &str = "flexibleservers";
    Some(match path {
        [] => Ok(Answer::ok(group(arm))),
        ["providers", "microsoft.authorization", "permissions"] => Ok(Answer::ok(json!({"value": [
            {"actions": ["*/read"], "notActions": [], "dataActions": [], "notDataActions": []}
        ]}))),
        ["providers", "microsoft.dbforpostgresql", SERVERS] => read_only(method, || servers::list(arm)),
        ["providers", "microsoft.dbforpostgresql", SERVERS, name, rest @ ..] => {
            let server = match servers::find(arm, name) {
                Ok(server) => server,
                Err(refusal) => return Some(Err(refusal)),
            };
            match rest {
                [] => read_only(method, || servers::get(arm, &server)),
                ["providers", "microsoft.insights", "metrics"] if method == Method::GET => {
                    metrics::get(arm, &server, query).await
                }
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn read_only(method: &Method, answer: impl FnOnce() -> Value) -> Result<Answer, Answer> {
    if method == Method::GET {
        return Ok(Answer::ok(answer()));
    }
    let words =
        format!("The sandbox does not do {method} here yet: it has no restore, start, stop or delete.");
    Err(Answer::error(StatusCode::NOT_IMPLEMENTED, "NotImplemented", &words))
}

fn unknown(path: &[&str]) -> Answer {
    let words = format!("The sandbox has no resource at '/{}'.", path.join("/"));
    Answer::error(StatusCode::NOT_FOUND, "InvalidResourceType", &words)
}

/// Every request names an api-version that its resource type knows.
fn check_version(path: &[&str], query: &Query) -> Result<(), Answer> {
    let Some(version) = query.get("api-version") else {
        let words = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(Answer::error(StatusCode::BAD_REQUEST, "MissingApiVersionParameter", words));
    };
    let is_server = path.contains(&"flexibleservers") && !path.contains(&"microsoft.insights");
    let oldest = if is_server { OLDEST_SERVERS } else { OLDEST };
    let date = version.strip_suffix("-preview").unwrap_or(version);
    if chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() && date.len() == 10 && date >= oldest {
        return Ok(());
    }
    let words = format!("The api-version '{version}' is invalid: it must be a date, {oldest} or later.");
    Err(Answer::error(StatusCode::BAD_REQUEST, "InvalidApiVersionParameter", &words))
}

fn subscription(arm: &Arm) -> Value {
    let id = &arm.principal.subscription;
    json!({
        "id": format!("/subscriptions/{id}"), "authorizationSource": "RoleBased", "managedByTenants": [],
        "subscriptionId": id, "tenantId": arm.principal.tenant,
        "displayName": "s189-teacher-services-cloud-production", "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01", "quotaId": "EnterpriseAgreement_2014-09-01", "spendingLimit": "Off",
        },
    })
}

fn group(arm: &Arm) -> Value {
    json!({
        "id": format!("/subscriptions/{}/resourceGroups/{RESOURCE_GROUP}", arm.principal.subscription),
        "name": RESOURCE_GROUP, "type": "Microsoft.Resources/resourceGroups", "location": "uksouth",
        "tags": {"Environment": "Prod", "Product": "Refer Serious Misconduct", "Service Offering": "Teacher Services"},
        "properties": {"provisioningState": "Succeeded"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(path: &[&str], query: &str) -> Result<(), String> {
        check_version(path, &Query::parse(query))
            .map_err(|a| a.body["error"]["code"].as_str().unwrap().to_owned())
    }

    #[test]
    fn api_versions_follow_the_resource_type() {
        let server = ["subscriptions", "s", "providers", "microsoft.dbforpostgresql", "flexibleservers"];
        for good in ["2024-08-01", "2025-08-01", "2026-04-01-preview", "2026-10-01"] {
            assert_eq!(version(&server, &format!("API-Version={good}")), Ok(()), "{good}");
        }
        for bad in ["2022-12-01", "banana", "2024-8-1", "2025-08-01-beta"] {
            let said = version(&server, &format!("api-version={bad}"));
            assert_eq!(said, Err("InvalidApiVersionParameter".into()), "{bad}");
        }
        assert_eq!(version(&server, ""), Err("MissingApiVersionParameter".into()));
        assert_eq!(version(&["subscriptions"], "api-version=2022-12-01"), Ok(()));
    }
}
