//! Which request is which. Azure's paths ignore case, so they are taken apart here and not by the web framework.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, finish};
use super::{
    Arm, RESOURCE_GROUP, activity, diagnostics, locks, metrics, operations, servers, token, vault, writes,
};
use crate::sandbox::address::pairs;

/// Largest request body that is read.
const BODY_MAX: usize = 64 * 1024;
/// Oldest api-version of flexible servers that is understood.
const OLDEST_SERVERS: &str = "2024-08-01";
const OLDEST: &str = "2014-04-01";

/// Answers any request.
pub async fn answer(State(arm): State<Arc<Arm>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let header = parts.headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let body = to_bytes(body, BODY_MAX).await.unwrap_or_default();
    let query = Query::parse(&raw_query);
    let ask = Ask { method: parts.method, path: segments(parts.uri.path()), query, raw_query, body };
    let lower: Vec<String> = ask.path.iter().map(|s| s.to_ascii_lowercase()).collect();
    let path: Vec<&str> = lower.iter().map(String::as_str).collect();
    let answer = match open(&arm, &ask, &path).or_else(|| vault::answer(&arm, header, &ask, &path)) {
        Some(answer) => answer,
        None => match token::check(&arm, header) {
            Err(refusal) => refusal,
            Ok(()) => managed(&arm, &ask, &path).await.unwrap_or_else(|refusal| refusal),
        },
    };
    finish(&arm, &ask.method, answer)
}

/// A path's parts, decoded.
fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|s| !s.is_empty()).map(|s| s.replace("%20", " ")).collect()
}

/// A request as the handlers read it.
#[derive(Debug)]
pub struct Ask {
    pub method: Method,
    /// As written; the handlers are chosen by what it is in lower case.
    pub path: Vec<String>,
    pub query: Query,
    pub raw_query: String,
    body: Bytes,
}

impl Ask {
    pub fn api_version(&self) -> &str {
        self.query.get("api-version").unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, Answer> {
        serde_json::from_slice(&self.body).map_err(|why| {
            let words = format!("The request content was invalid and could not be deserialized: '{why}'.");
            Answer::error(StatusCode::BAD_REQUEST, "InvalidRequestContent", &words)
        })
    }

    /// The last part of the path, as written.
    fn last(&self) -> &str {
        self.path.last().map(String::as_str).unwrap_or_default()
    }
}

/// A query string; names ignore case.
#[derive(Debug, Default)]
pub struct Query(HashMap<String, String>);

impl Query {
    fn parse(text: &str) -> Query {
        Query(pairs(text).into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// What may be asked without a token.
fn open(arm: &Arm, ask: &Ask, path: &[&str]) -> Option<Answer> {
    Some(match path {
        [tenant, "oauth2", "v2.0", "token"] | [tenant, "oauth2", "token"] if ask.method == Method::POST => {
            let form = Query::parse(&String::from_utf8_lossy(&ask.body)).0;
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
        ["metadata", "endpoints"] => Answer::ok(endpoints(arm, &ask.query)),
        _ => return None,
    })
}

/// `/metadata/endpoints`: one small object until 2019-05-01, then a list, and one object again since 2022-09-01.
fn endpoints(arm: &Arm, query: &Query) -> Value {
    let endpoint = &arm.endpoint;
    if query.get("api-version").is_some_and(|v| v < "2019-05-01") {
        return json!({
            "galleryEndpoint": endpoint, "graphEndpoint": endpoint, "portalEndpoint": endpoint,
            "authentication": {"loginEndpoint": endpoint, "audiences": [endpoint]},
        });
    }
    let cloud = json!({
        "name": "DrtuiSandbox", "portal": endpoint, "resourceManager": endpoint, "gallery": endpoint, "graph": endpoint,
        "authentication": {
            "loginEndpoint": endpoint, "audiences": [endpoint, "https://management.azure.com"],
            "tenant": arm.principal.tenant, "identityProvider": "AAD",
        },
        "suffixes": {"postgresqlServerEndpoint": "postgres.database.azure.com"},
    });
    if query.get("api-version").is_some_and(|v| v >= "2022-09-01") { cloud } else { json!([cloud]) }
}

/// What needs a token.
async fn managed(arm: &Arm, ask: &Ask, path: &[&str]) -> Result<Answer, Answer> {
    let [first, rest @ ..] = path else { return Err(unknown(path)) };
    check_version(path, &ask.query)?;
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
            check_rights(arm, ask, rest)?;
            in_subscription(arm, ask, rest).await.unwrap_or_else(|| Err(unknown(path)))
        }
        _ => Err(unknown(path)),
    }
}

/// Without an activated role the principal may only look.
fn check_rights(arm: &Arm, ask: &Ask, path: &[&str]) -> Result<(), Answer> {
    let looks = ask.method == Method::GET || path.last() == Some(&"checknameavailability");
    if looks || !arm.reads_only.load(Ordering::Relaxed) {
        return Ok(());
    }
    let verb = match ask.method {
        Method::DELETE => "delete",
        Method::POST => "action",
        _ => "write",
    };
    let client = &arm.principal.client_id;
    let words = format!(
        "The client '{client}' with object id '{client}' does not have authorization to perform action \
         'Microsoft.DBforPostgreSQL/flexibleServers/{verb}' over scope '/{}' or the scope is invalid. If access was \
         recently granted, please refresh your credentials.",
        ask.path.join("/")
    );
    Err(Answer::error(StatusCode::FORBIDDEN, "AuthorizationFailed", &words))
}

type Found = Option<Result<Answer, Answer>>;

/// Answers a question; there is nothing to change here.
fn only_get(ask: &Ask, answer: impl FnOnce() -> Value) -> Found {
    (ask.method == Method::GET).then(|| Ok(Answer::ok(answer())))
}

async fn in_subscription(arm: &Arm, ask: &Ask, path: &[&str]) -> Found {
    match path {
        [] => only_get(ask, || subscription(arm)),
        ["resourcegroups"] => only_get(ask, || json!({"value": [group(arm)]})),
        ["providers", "microsoft.dbforpostgresql", SERVERS] => only_get(ask, || servers::list(arm)),
        ["providers", "microsoft.dbforpostgresql", "locations", _, "azureasyncoperation", id] => {
            Some(operations::status(arm, id, &ask.raw_query))
        }
        ["providers", "microsoft.dbforpostgresql", "locations", _, "operationresults", id] => {
            Some(operations::result(arm, id, &ask.raw_query))
        }
        ["providers", "microsoft.dbforpostgresql", "locations", _, "checknameavailability"]
        | ["providers", "microsoft.dbforpostgresql", "checknameavailability"]
            if ask.method == Method::POST =>
        {
            Some(writes::check_name(arm, ask))
        }
        ["providers", "microsoft.insights", "eventtypes", "management", "values"]
            if ask.method == Method::GET =>
        {
            Some(activity::list(arm, &ask.query))
        }
        ["resourcegroups", name, rest @ ..] => {
            if !name.eq_ignore_ascii_case(RESOURCE_GROUP) {
                let words = format!("Resource group '{name}' could not be found.");
                return Some(Err(Answer::error(StatusCode::NOT_FOUND, "ResourceGroupNotFound", &words)));
            }
            in_group(arm, ask, rest).await
        }
        _ => None,
    }
}

const SERVERS: &str = "flexibleservers";

async fn in_group(arm: &Arm, ask: &Ask, path: &[&str]) -> Found {
    match path {
        [] => only_get(ask, || group(arm)),
        ["providers", "microsoft.authorization", "permissions"] => only_get(ask, || permissions(arm)),
        ["providers", "microsoft.authorization", "locks"] => locks::answer(arm, ask, "", None),
        ["providers", "microsoft.authorization", "locks", _] => locks::answer(arm, ask, "", Some(ask.last())),
        ["providers", "microsoft.dbforpostgresql", SERVERS] => only_get(ask, || servers::list(arm)),
        ["providers", "microsoft.dbforpostgresql", SERVERS, name] => server(arm, ask, name),
        ["providers", "microsoft.dbforpostgresql", SERVERS, name, rest @ ..] => {
            of_server(arm, ask, name, rest).await
        }
        _ => None,
    }
}

fn server(arm: &Arm, ask: &Ask, name: &str) -> Found {
    // As written, so that a name in capitals is refused and not mended.
    let written = ask.last();
    Some(match ask.method {
        Method::GET => servers::find(arm, name).map(|server| Answer::ok(servers::get(arm, &server))),
        Method::PUT => writes::put(arm, ask, written),
        Method::PATCH => writes::patch(arm, ask, name),
        Method::DELETE => writes::delete(arm, ask, name),
        _ => return None,
    })
}

async fn of_server(arm: &Arm, ask: &Ask, name: &str, path: &[&str]) -> Found {
    match path {
        // These live on without their server.
        ["providers", "microsoft.insights", "diagnosticsettings"] => {
            return diagnostics::answer(arm, ask, name, None);
        }
        ["providers", "microsoft.insights", "diagnosticsettings", _] => {
            return diagnostics::answer(arm, ask, name, Some(ask.last()));
        }
        ["providers", "microsoft.authorization", "permissions"] => return only_get(ask, || permissions(arm)),
        _ => {}
    }
    let server = match servers::find(arm, name) {
        Ok(server) => server,
        Err(refusal) => return Some(Err(refusal)),
    };
    match path {
        ["providers", "microsoft.insights", "metrics"] if ask.method == Method::GET => {
            Some(metrics::get(arm, &server, &ask.query).await)
        }
        ["providers", "microsoft.authorization", "locks"] => locks::answer(arm, ask, name, None),
        ["providers", "microsoft.authorization", "locks", _] => {
            locks::answer(arm, ask, name, Some(ask.last()))
        }
        ["backups"] => writes::backup(arm, ask, &server, None),
        ["backups", _] => writes::backup(arm, ask, &server, Some(ask.last())),
        ["replicas"] => only_get(ask, || json!({"value": []})),
        [action] if ask.method == Method::POST => writes::action(arm, ask, name, action),
        _ => None,
    }
}

fn permissions(arm: &Arm) -> Value {
    let actions = if arm.reads_only.load(Ordering::Relaxed) { "*/read" } else { "*" };
    json!({"value": [{"actions": [actions], "notActions": [], "dataActions": [], "notDataActions": []}]})
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
    // What hangs on a server is another provider's, with its own versions.
    let others = ["microsoft.insights", "microsoft.authorization"];
    let is_server = path.contains(&"flexibleservers") && !path.iter().any(|part| others.contains(part));
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
        let lock = [&server[..], &["s", "providers", "microsoft.authorization", "locks"]].concat();
        assert_eq!(version(&lock, "api-version=2020-05-01"), Ok(()));
    }
}
