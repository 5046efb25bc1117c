//! Who may come in: a bearer token for storage, in a version of the service that knows them.

use chrono::{NaiveDate, Utc};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

use super::Desk;
use super::answer::Refused;
use crate::sandbox::azure::STORAGE;

const VERSION: &str = "x-ms-version";
/// Bearer tokens are understood since this version.
const BEARER_SINCE: &str = "2017-11-09";
/// No version after this one exists.
const NEWEST: &str = "2026-12-06";
const SEE_HEADER: &str = "Server failed to authenticate the request. Please refer to the information in the \
                          www-authenticate header.";

/// Checks version and token.
pub fn check(desk: &Desk, headers: &HeaderMap) -> Result<(), Refused> {
    let version = version(headers)?;
    let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(header) = header else {
        return Err(challenge(desk, "NoAuthenticationInformation", None));
    };
    let Some(token) = header.strip_prefix("Bearer ") else {
        let message = "Key based authentication is not permitted on this storage account.";
        return Err(Refused::new(StatusCode::FORBIDDEN, "KeyBasedAuthenticationNotPermitted", message));
    };
    if version.is_none_or(|v| v < BEARER_SINCE) {
        let message = "Server failed to authenticate the request. Make sure the value of the Authorization header is \
                       formed correctly including the signature.";
        return Err(Refused::new(StatusCode::FORBIDDEN, "AuthenticationFailed", message).with(
            "AuthenticationErrorDetail",
            "Authentication scheme Bearer is not supported in this version.",
        ));
    }
    let why = match desk.tokens.given(token.trim()) {
        None => "Issuer validation failed. Issuer did not match.",
        Some(given) if given.audience != STORAGE => "Audience validation failed. Audience did not match.",
        Some(given) if given.expires <= Utc::now().timestamp() => {
            "Lifetime validation failed. The token is expired."
        }
        Some(_) => return Ok(()),
    };
    Err(challenge(desk, "InvalidAuthenticationInfo", Some(why)))
}

/// The version asked for, if any.
fn version(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let Some(value) = headers.get(VERSION) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err() || text.len() != 10 || text > NEWEST {
        return Err(Refused::header(VERSION, text));
    }
    Ok(Some(text))
}

fn challenge(desk: &Desk, code: &'static str, detail: Option<&str>) -> Refused {
    let mut refused = Refused::new(StatusCode::UNAUTHORIZED, code, SEE_HEADER);
    if let Some(detail) = detail {
        refused = refused.with("AuthenticationErrorDetail", detail);
    }
    let sign_in = &desk.sign_in;
    refused.challenge = Some(format!(
        "Bearer authorization_uri={}/{}/oauth2/authorize resource_id={STORAGE}",
        sign_in.authority, sign_in.tenant
    ));
    refused
}
