//! The service's key vault by its data plane: `GET /secrets/NAME?api-version=7.4`. Its secrets are what terraform puts
//! there, the URLs of copies: `<purpose>-database-url`, or with a server's whole name in the purpose's place.

use std::sync::atomic::Ordering;

use chrono::Utc;
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::answer::Answer;
use super::route::Ask;
use super::token::VAULTS;
use super::{Arm, SERVER};
use crate::sandbox::postgres::DATABASE;

/// Answers a request to the vault; `None`: it is to something else.
pub fn answer(arm: &Arm, header: Option<&str>, ask: &Ask, path: &[&str]) -> Option<Answer> {
    let ["secrets", name] = path else { return None };
    let answer = check(arm, header).and_then(|()| match ask.method {
        Method::GET if ask.api_version().starts_with("7.") => secret(arm, name),
        Method::GET => {
            Err(error(StatusCode::BAD_REQUEST, "BadParameter", "api-version must be specified", None))
        }
        _ => {
            let words = format!("Method {} does not allow operation", ask.method);
            Err(error(StatusCode::METHOD_NOT_ALLOWED, "BadParameter", &words, None))
        }
    });
    Some(answer.unwrap_or_else(|refusal| refusal))
}

fn error(status: StatusCode, code: &str, message: &str, inner: Option<&str>) -> Answer {
    let mut body = json!({"code": code, "message": message});
    if let (Some(inner), Some(body)) = (inner, body.as_object_mut()) {
        body.insert("innererror".to_owned(), json!({"code": inner}));
    }
    Answer { status, ..Answer::ok(json!({"error": body})) }
}

fn check(arm: &Arm, header: Option<&str>) -> Result<(), Answer> {
    let refused = |words: &str| {
        let challenge = format!(
            "Bearer authorization=\"{}/{}\", resource=\"{VAULTS}\"",
            arm.endpoint, arm.principal.tenant
        );
        let answer = error(StatusCode::UNAUTHORIZED, "Unauthorized", words, None);
        Err(Answer { challenge: Some(challenge), ..answer })
    };
    let Some(token) = header.and_then(|h| h.strip_prefix("Bearer ")) else {
        return refused("AKV10000: Request is missing a Bearer or PoP token.");
    };
    match arm.tokens.given(token.trim()) {
        None => refused("AKV10001: Unable to parse JWT token: invalid token."),
        Some(given) if given.audience != VAULTS => {
            refused(&format!("AKV10022: Invalid audience. Expected {VAULTS}, found: {}.", given.audience))
        }
        Some(given) if given.expires <= Utc::now().timestamp() => {
            refused("AKV10023: Error validating token: token expired.")
        }
        Some(_) if arm.reads_only.load(Ordering::Relaxed) => {
            let client = &arm.principal.client_id;
            let words = format!(
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or \
                 role definitions were changed recently, please observe propagation time.\r\nCaller: \
                 appid={client};oid={client}\r\nAction: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'"
            );
            Err(error(StatusCode::FORBIDDEN, "Forbidden", &words, Some("ForbiddenByRbac")))
        }
        Some(_) => Ok(()),
    }
}

fn secret(arm: &Arm, name: &str) -> Result<Answer, Answer> {
    let missing = || {
        let words = format!(
            "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you \
             may be able to recover it using the correct recovery command. For help resolving this issue, please see \
             https://go.microsoft.com/fwlink/?linkid=2125182"
        );
        error(StatusCode::NOT_FOUND, "SecretNotFound", &words, None)
    };
    let purpose = name.strip_suffix("-database-url").ok_or_else(missing)?;
    let copy = format!("{SERVER}-{purpose}");
    let server = arm.servers.get(&copy).or_else(|| arm.servers.get(purpose)).ok_or_else(missing)?;
    let credentials = arm.servers.credentials();
    let value = format!(
        "postgres://{}:{}@{}.postgres.database.azure.com:5432/{DATABASE}?sslmode=require",
        credentials.user,
        credentials.password.expose_secret(),
        server.name
    );
    Ok(Answer::ok(bundle(name, &value)))
}

fn bundle(name: &str, value: &str) -> Value {
    json!({
        "value": value,
        "id": format!("https://s189p01-rsm-pd-app-kv.vault.azure.net/secrets/{name}/0123456789abcdef0123456789abcdef"),
        "attributes": {
            "enabled": true, "created": 1_700_000_000, "updated": 1_700_000_000,
            "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
        },
        "tags": {},
    })
}
