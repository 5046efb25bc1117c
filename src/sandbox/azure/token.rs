//! The token authority: client credentials in, a bearer token out, errors as Entra words them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::answer::{Answer, guid};
use super::{Arm, plain};

const LIFETIME_S: i64 = 3_599;
/// Tokens that are remembered at once; the oldest are forgotten first.
const MOST_TOKENS: usize = 10_000;
const AUDIENCES: [&str; 2] = ["https://management.azure.com", "https://management.core.windows.net"];
/// The audience of blob storage.
pub const STORAGE: &str = "https://storage.azure.com";

/// The audience of key vaults.
pub const VAULTS: &str = "https://vault.azure.net";

/// A token that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Unix seconds.
    pub expires: i64,
    /// Without a slash at its end.
    pub audience: String,
}

/// The tokens that were given out; clones share them.
#[derive(Clone, Default)]
pub struct Tokens {
    given: Arc<Mutex<HashMap<String, Given>>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    fn remember(&self, token: String, new: Given) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Utc::now().timestamp();
        given.retain(|_, g| g.expires > now - LIFETIME_S);
        if given.len() >= MOST_TOKENS {
            let oldest = given.iter().min_by_key(|(_, g)| g.expires).map(|(t, _)| t.clone());
            oldest.map(|t| given.remove(&t));
        }
        given.insert(token, new);
    }

    /// What is known of a token; `None` if it was never given out.
    pub fn given(&self, token: &str) -> Option<Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// Checks the `Authorization` header of a request to the resource manager.
pub fn check(arm: &Arm, header: Option<&str>) -> Result<(), Answer> {
    let Some(header) = header else {
        let message = "Authentication failed. The 'Authorization' header is missing.";
        return Err(Answer::unauthorized(arm, "AuthenticationFailed", message));
    };
    let token = header.strip_prefix("Bearer ").unwrap_or_default().trim();
    let now = Utc::now();
    match arm.tokens.given(token) {
        Some(Given { audience, .. }) if [STORAGE, VAULTS].contains(&audience.as_str()) => {
            let message = format!(
                "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match \
                 with one of the allowed audiences 'https://management.core.windows.net/','https://management.azure.com/'."
            );
            Err(Answer::unauthorized(arm, "InvalidAuthenticationTokenAudience", &message))
        }
        Some(Given { expires, .. }) if expires > now.timestamp() => Ok(()),
        Some(Given { expires, .. }) => {
            let expires = chrono::DateTime::from_timestamp(expires, 0).unwrap_or_default();
            let format = "%-m/%-d/%Y %-I:%M:%S %p";
            let message = format!(
                "The access token expiry UTC time '{}' is earlier than current UTC time '{}'.",
                expires.format(format),
                now.format(format)
            );
            Err(Answer::unauthorized(arm, "ExpiredAuthenticationToken", &message))
        }
        None => Err(Answer::unauthorized(arm, "InvalidAuthenticationToken", "The access token is invalid.")),
    }
}

/// `POST /{tenant}/oauth2/v2.0/token` with the form's fields.
pub fn issue(arm: &Arm, tenant: &str, form: &HashMap<String, String>) -> Answer {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let principal = &arm.principal;
    let client = field("client_id");
    if !tenant.eq_ignore_ascii_case(&principal.tenant) {
        let words = format!(
            "AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
        );
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", 90_002, &words);
    }
    if field("grant_type") != "client_credentials" {
        let words =
            format!("AADSTS70003: The app requested an unsupported grant type '{}'.", field("grant_type"));
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type", 70_003, &words);
    }
    if !client.eq_ignore_ascii_case(&principal.client_id) {
        let words =
            format!("AADSTS700016: Application with identifier '{client}' was not found in the directory.");
        return refuse(StatusCode::BAD_REQUEST, "unauthorized_client", 700_016, &words);
    }
    if field("client_secret") != principal.client_secret.expose_secret() {
        let words = format!(
            "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client \
             secret value, not the client secret ID, for a secret added to app '{client}'."
        );
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client", 7_000_215, &words);
    }
    let asked = if field("scope").is_empty() { field("resource") } else { field("scope") };
    match audience(arm, asked) {
        Some(audience) => give(arm, audience),
        None => {
            let words =
                format!("AADSTS500011: The resource principal named {asked} was not found in the tenant.");
            refuse(StatusCode::BAD_REQUEST, "invalid_resource", 500_011, &words)
        }
    }
}

/// The audience that a scope asks for, if it is the resource manager's, blob storage's or key vaults'.
fn audience(arm: &Arm, scope: &str) -> Option<String> {
    let wanted = scope.split_whitespace().find(|s| s.starts_with("https://"))?;
    let wanted = wanted.trim_end_matches(".default").trim_end_matches('/');
    let other = [STORAGE, VAULTS, arm.endpoint.as_str()].contains(&wanted);
    (AUDIENCES.contains(&wanted) || other).then(|| wanted.to_owned())
}

fn give(arm: &Arm, audience: String) -> Answer {
    let now = Utc::now().timestamp();
    let principal = &arm.principal;
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "sandbox"});
    let claims = json!({
        "aud": &audience, "iss": format!("https://sts.windows.net/{}/", principal.tenant),
        "iat": now, "nbf": now, "exp": now + LIFETIME_S,
        "appid": principal.client_id, "appidacr": "1", "idtyp": "app", "oid": principal.client_id,
        "sub": principal.client_id, "tid": principal.tenant, "uti": plain(22), "ver": "1.0",
    });
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    // Nobody can check a signature here; the sandbox knows its tokens by heart.
    let token = format!("{}.{}.{}", encoded(&header), encoded(&claims), plain(342));
    arm.tokens.remember(token.clone(), Given { expires: now + LIFETIME_S, audience });
    Answer::ok(json!({
        "token_type": "Bearer", "expires_in": LIFETIME_S, "ext_expires_in": LIFETIME_S, "access_token": token,
    }))
}

fn refuse(status: StatusCode, error: &str, code: u32, words: &str) -> Answer {
    let (trace, correlation) = (guid(), guid());
    let at = Utc::now().format("%Y-%m-%d %H:%M:%SZ").to_string();
    let description = format!("{words} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}");
    let body = json!({
        "error": error, "error_description": description, "error_codes": [code], "timestamp": at,
        "trace_id": trace, "correlation_id": correlation,
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    Answer { status, ..Answer::ok(body) }
}

/// What a client reads before it signs in.
pub fn openid(arm: &Arm, tenant: &str) -> Answer {
    let base = format!("{}/{tenant}", arm.endpoint);
    Answer::ok(json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "issuer": format!("{base}/v2.0"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "response_types_supported": ["code", "id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}
