//! The API server: reads a request, checks who asks, and answers from the store.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use http::{HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::super::faults::{Faults, Provider};
use super::super::serve::Stop;
use super::access::{Access, Role, Wish};
use super::json::text;
use super::kinds::{self, Resource};
use super::refusal::Refusal;
use super::remote::{self, Wanted};
use super::route::{Options, Route};
use super::runtime::Runtime;
use super::store::Store;
use super::{list, logs, openapi, protobuf, table, watch, write};

/// Bodies larger than the API server takes.
const LARGEST_BODY: usize = 3 << 20;
/// What every request needs.
#[derive(Debug)]
pub struct Api {
    pub store: Arc<Store>,
    pub access: Arc<Access>,
    pub runtime: Arc<Runtime>,
    pub faults: Faults,
    pub stop: Stop,
}

/// Answers one request.
pub async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response<Body> {
    match answer(&api, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    }
}

/// A JSON answer.
pub fn reply(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn answer(api: &Api, request: Request) -> Result<Response<Body>, Refusal> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["healthz" | "readyz" | "livez", ..] => return Ok(Response::new(Body::from("ok"))),
        ["version"] => return Ok(reply(StatusCode::OK, version().to_string())),
        _ => {}
    }
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let role = api.access.authenticate(authorization).ok_or_else(Refusal::unauthorized)?;
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if let Some(document) = kinds::discovery(&segments, host) {
        return Ok(reply(StatusCode::OK, document.to_string()));
    }
    if let Some(document) = openapi::answer(&segments) {
        return Ok(document);
    }
    let route = Route::parse(&segments).ok_or_else(Refusal::no_such_path)?;
    if request.method() == Method::POST && route.plural.starts_with("selfsubject") {
        return review(api, role, &route, request).await;
    }
    let resource = route.resource().ok_or_else(Refusal::no_such_path)?;
    serve(api, role, resource, &route, request).await
}

async fn serve(
    api: &Api,
    role: Role,
    resource: Resource,
    route: &Route,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let options = Options::parse(request.uri())?;
    let verb = verb_of(request.method(), route, &options).ok_or_else(Refusal::method_not_allowed)?;
    let wish = Wish {
        verb,
        group: &route.group,
        resource: &route.plural,
        subresource: route.subresource.as_deref().unwrap_or_default(),
        namespace: route.namespace(),
        name: route.name(),
    };
    api.access.check(role, Some(resource), &wish)?;
    let scale = match route.subresource.as_deref() {
        None => false,
        Some("scale") if resource == Resource::Deployment => true,
        Some("status") if verb == "get" => false,
        Some(part) if resource == Resource::Pod => return streams(api, part, route, &options, request),
        Some(_) => return Err(Refusal::no_such_path()),
    };
    let format = table::Format::of(request.headers(), resource, route, &options);
    match verb {
        "watch" => watch::start(api, resource, route, &options, format),
        "list" => list::answer(&api.store, resource, route, &options, &format),
        "get" if scale => {
            let object = list::one(&api.store, resource, route)?;
            Ok(reply(StatusCode::OK, write::scale_of(&object.value).to_string()))
        }
        "get" => {
            let object = list::one(&api.store, resource, route)?;
            Ok(reply(StatusCode::OK, format.object(&object)))
        }
        // A deployment's scale is written even where the rest of a resource is not.
        verb if resource.verbs().contains(&verb) => {
            let content_type = content_type(&request);
            let body = read(request).await?;
            let change = write::Change { resource, route, options: &options, scale, content_type, body };
            let (status, body) = api.store.write(|inner| change.apply(inner, verb))?;
            Ok(reply(status, body.to_string()))
        }
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// Logs, and requests that become streams.
fn streams(
    api: &Api,
    part: &str,
    route: &Route,
    options: &Options,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let pod = list::one(&api.store, Resource::Pod, route)?;
    let name = text(&pod.value, "/metadata/name");
    if part == "log" {
        let wanted = options.get("container");
        let containers = super::json::list(&pod.value, "/spec/containers");
        if !wanted.is_empty() && containers.iter().all(|container| text(container, "/name") != wanted) {
            return Err(Refusal::bad_request(format!("container {wanted} is not valid for pod {name}")));
        }
        if options.is("previous") {
            let container = text(&pod.value, "/spec/containers/0/name");
            return Err(Refusal::bad_request(format!(
                "previous terminated container \"{container}\" in pod \"{name}\" not found"
            )));
        }
        return match api.runtime.logs(&pod.value) {
            Some(logs) => logs::answer(logs, options),
            None => {
                let container = text(&pod.value, "/spec/containers/0/name");
                let why = match text(&pod.value, "/status/containerStatuses/0/state/waiting/reason") {
                    "" => "PodInitializing",
                    reason => reason,
                };
                Err(Refusal::bad_request(format!(
                    "container \"{container}\" in pod \"{name}\" is waiting to start: {why}"
                )))
            }
        };
    }
    let wanted = Wanted::of(part).ok_or_else(Refusal::no_such_path)?;
    let faults = api.faults.follow(Provider::Kubernetes);
    remote::answer(&api.runtime, &pod.value, wanted, request, api.stop.clone(), faults)
}

/// The verb of a request, as RBAC names it.
fn verb_of(method: &Method, route: &Route, options: &Options) -> Option<&'static str> {
    let one = route.name.is_some();
    let streams = matches!(route.subresource.as_deref(), Some("exec" | "attach" | "portforward"));
    match *method {
        Method::GET if streams => Some("get"),
        Method::POST if streams => Some("create"),
        Method::GET if options.is("watch") => Some("watch"),
        Method::GET => Some(if one { "get" } else { "list" }),
        Method::POST if !one => Some("create"),
        Method::PUT if one => Some("update"),
        Method::PATCH if one => Some("patch"),
        Method::DELETE if one => Some("delete"),
        Method::DELETE if route.namespace.is_some() => Some("deletecollection"),
        _ => None,
    }
}

async fn review(api: &Api, role: Role, route: &Route, request: Request) -> Result<Response<Body>, Refusal> {
    let known = matches!(
        (route.group.as_str(), route.plural.as_str()),
        ("authorization.k8s.io", "selfsubjectaccessreviews" | "selfsubjectrulesreviews")
            | ("authentication.k8s.io", "selfsubjectreviews")
    );
    if !known || route.version != "v1" {
        return Err(Refusal::no_such_path());
    }
    let body = read(request).await?;
    let body = if body.starts_with(protobuf::MAGIC) {
        protobuf::object(&body).ok_or_else(|| Refusal::bad_request("the review could not be decoded"))?
    } else {
        parse(&body)?
    };
    let answer = api.access.review(role, &route.plural, body).ok_or_else(Refusal::no_such_path)?;
    Ok(reply(StatusCode::CREATED, answer.to_string()))
}

fn content_type(request: &Request) -> String {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

async fn read(request: Request) -> Result<Bytes, Refusal> {
    axum::body::to_bytes(request.into_body(), LARGEST_BODY)
        .await
        .map_err(|error| Refusal::bad_request(format!("the request's body could not be read: {error}")))
}

/// A JSON body.
pub fn parse(body: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::bad_request(format!("the object provided is unrecognized (must be JSON): {error}"))
    })
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.5", "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24.6", "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// True if a namespace of this name exists.
pub fn has_namespace(inner: &super::store::Inner, name: &str) -> bool {
    inner.get(Resource::Namespace, "", name).is_some_and(|n| text(&n.value, "/metadata/name") == name)
}
