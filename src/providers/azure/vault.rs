//! One secret of a key vault, by its data plane's REST API, as whoever Azure Resource Manager is asked as.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::super::settings::AzureSettings;
use super::super::{fetch, words};
use super::{parse, token};
use crate::domain::Fault;

const SCOPE: &str = "https://vault.azure.net/.default";
const VERSION: &str = "7.4";
const PATIENCE: Duration = Duration::from_secs(10);
/// A secret has 25 kB at most.
const ANSWER_MAX: usize = 64 << 10;

/// The newest version of secret `name` in key vault `vault`; both hold letters, digits and `-` only.
///
/// # Errors
/// Names the vault, the secret and the right that is missing; never quotes the answer.
pub async fn secret(settings: &AzureSettings, vault: &str, name: &str) -> Result<SecretString, Fault> {
    let base = settings.key_vaults.replace("{vault}", vault);
    let client = fetch::client(&base, settings.ca_file.as_deref(), PATIENCE).await?;
    let url = fetch::parse(&format!("{base}/secrets/{name}?api-version={VERSION}"))?;
    let token = token::once(settings, SCOPE).await?;
    let request = client.get(url).bearer_auth(token.secret.expose_secret());
    let answer = fetch::fetch(request, ANSWER_MAX, PATIENCE).await?;
    let what = format!("secret {name} of key vault {vault}");
    if answer.status == 200 {
        return value(&answer.body)
            .ok_or_else(|| Fault::Garbled { why: format!("the answer about {what} holds no value") });
    }
    let (code, message) = parse::error(&answer.body);
    let said = words::plain(&format!("{code}: {}", message.lines().next().unwrap_or_default()));
    Err(match answer.status {
        401 => Fault::AuthExpired { why: format!("{what}: {said}"), fix: token::fix(settings) },
        403 => Fault::Denied { what: format!("get {what}: {said}. Key Vault Secrets User may") },
        404 => Fault::NotFound { what: format!("{what}: {said}") },
        429 => Fault::Throttled { retry_after_s: words::retry_after(&answer.headers, chrono::Utc::now()) },
        status => Fault::Server { status, why: format!("{what}: {said}") },
    })
}

fn value(body: &[u8]) -> Option<SecretString> {
    #[derive(Deserialize)]
    struct Bundle {
        value: SecretString,
    }
    serde_json::from_slice::<Bundle>(body).ok().map(|bundle| bundle.value)
}
