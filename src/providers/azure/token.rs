//! Tokens for Azure Resource Manager, from a service principal or from `az`. Kept until shortly before they end; never
//! shown, logged or passed on a command line.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::settings::AzureSettings;
use super::super::{fetch, program, words};
use crate::domain::{Fault, Utc};

/// Of Azure Resource Manager.
const SCOPE: &str = "https://management.azure.com/.default";
const PATIENCE: Duration = Duration::from_secs(10);
const AZ_PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_MAX: usize = 256 << 10;
/// A token is replaced when it has less left than this.
const SPARE: chrono::Duration = chrono::Duration::minutes(5);
/// `az` may hand out a token that is about to end: it is not asked more often than this.
const LEAST: chrono::Duration = chrono::Duration::seconds(60);

/// A token and how long to use it.
#[derive(Debug, Clone)]
pub struct Token {
    pub secret: SecretString,
    until: Utc,
}

impl Token {
    fn new(secret: SecretString, expires: Utc, now: Utc) -> Token {
        Token { secret, until: (expires - SPARE).max((now + LEAST).min(expires)) }
    }
}

/// Gets tokens and keeps the last.
#[derive(Debug, Default)]
pub struct Tokens {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    failed: Option<(Instant, Fault)>,
}

impl Tokens {
    /// A token that is good for now. `refused` is one that Azure did not accept: it is not given again.
    pub async fn get(&self, settings: &AzureSettings, refused: Option<&Token>) -> Result<Token, Fault> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let is_refused =
            |t: &Token| refused.is_some_and(|r| r.secret.expose_secret() == t.secret.expose_secret());
        if let Some(token) = state.token.as_ref().filter(|t| chrono::Utc::now() < t.until && !is_refused(t)) {
            return Ok(token.clone());
        }
        // Whoever waited while an attempt failed shares its failure.
        if let Some((when, fault)) = &state.failed
            && *when >= asked
        {
            return Err(fault.clone());
        }
        state.token = None;
        match once(settings, SCOPE).await {
            Ok(token) => {
                state.failed = None;
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(fault) => {
                state.failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }
}

/// A token for `scope`, asked for anew.
///
/// # Errors
/// Nobody is signed in, or may not be.
pub async fn once(settings: &AzureSettings, scope: &str) -> Result<Token, Fault> {
    match principal(settings) {
        Some(principal) => by_principal(settings, &principal, scope).await,
        None => by_az(settings, scope).await,
    }
}

/// What to run when Azure refuses us.
pub fn fix(settings: &AzureSettings) -> String {
    match &settings.client_secret_file {
        Some(path) => format!("renew the client secret in {}", path.display()),
        None => "az login".to_owned(),
    }
}

struct Principal<'a> {
    tenant: &'a str,
    client_id: &'a str,
    secret_file: &'a Path,
}

fn principal(settings: &AzureSettings) -> Option<Principal<'_>> {
    Some(Principal {
        tenant: settings.tenant.as_deref()?,
        client_id: settings.client_id.as_deref()?,
        secret_file: settings.client_secret_file.as_deref()?,
    })
}

async fn by_principal(
    settings: &AzureSettings,
    principal: &Principal<'_>,
    scope: &str,
) -> Result<Token, Fault> {
    let secret = read_secret(principal.secret_file).await?;
    let client = client(settings).await?;
    let url = format!("{}/{}/oauth2/v2.0/token", settings.authority, principal.tenant);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", principal.client_id),
        ("client_secret", secret.expose_secret()),
        ("scope", scope),
    ];
    let answer = fetch::fetch(client.post(url).form(&form), ANSWER_MAX, PATIENCE).await?;
    let now = chrono::Utc::now();
    match answer.status {
        200 => issued(&answer.body, now),
        429 => Err(Fault::Throttled { retry_after_s: words::retry_after(&answer.headers, now) }),
        400 | 401 | 403 => Err(Fault::AuthExpired { why: refusal(&answer.body), fix: fix(settings) }),
        status => Err(Fault::Server { status, why: format!("sign-in: {}", refusal(&answer.body)) }),
    }
}

async fn client(settings: &AzureSettings) -> Result<Client, Fault> {
    fetch::client(&settings.authority, settings.ca_file.as_deref(), PATIENCE).await
}

/// The token endpoint's answer. Its text is never quoted: it is a secret.
fn issued(body: &[u8], now: Utc) -> Result<Token, Fault> {
    #[derive(Deserialize)]
    struct Issued {
        access_token: SecretString,
        expires_in: i64,
    }
    let issued: Issued = serde_json::from_slice(body)
        .map_err(|_| Fault::Garbled { why: "the sign-in server gave no token".to_owned() })?;
    let seconds = issued.expires_in.clamp(0, 7 * 86_400);
    Ok(Token::new(issued.access_token, now + chrono::Duration::seconds(seconds), now))
}

/// First sentence of an OAuth error.
fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(r) => {
            let text = r.error_description.unwrap_or(r.error);
            words::plain(text.lines().next().unwrap_or_default())
        }
        Err(_) => "the sign-in server refused without a reason".to_owned(),
    }
}

async fn read_secret(path: &Path) -> Result<SecretString, Fault> {
    let setup = |why: String| Fault::Setup {
        why: format!("cannot use the client secret file {}: {why}", path.display()),
    };
    let meta = tokio::fs::metadata(path).await.map_err(|e| setup(words::cause(&e)))?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(setup("others may read it; run chmod 600 on it".to_owned()));
    }
    if meta.len() > 64 << 10 {
        return Err(setup("it is too large".to_owned()));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|e| setup(words::cause(&e)))?;
    match text.trim() {
        "" => Err(setup("it is empty".to_owned())),
        secret => Ok(SecretString::from(secret)),
    }
}

async fn by_az(settings: &AzureSettings, scope: &str) -> Result<Token, Fault> {
    let mut command = Command::new("az");
    command.args(["account", "get-access-token", "-o", "json", "--scope", scope]);
    command.args(["--subscription", &settings.subscription]);
    let out = program::run("az", &mut command, AZ_PATIENCE).await.map_err(|failure| match failure {
        program::Failure::NotInstalled => Fault::AuthExpired {
            why: "the Azure command line, az, is not installed".to_owned(),
            fix: "install azure-cli, then az login".to_owned(),
        },
        program::Failure::Failed(why) => Fault::AuthExpired { why, fix: fix(settings) },
    })?;
    from_az(&out, chrono::Utc::now())
}

/// What `az account get-access-token` prints. `expiresOn` is local time without a zone and is ignored.
fn from_az(out: &[u8], now: Utc) -> Result<Token, Fault> {
    #[derive(Deserialize)]
    struct Printed {
        #[serde(rename = "accessToken")]
        access_token: SecretString,
        expires_on: Option<i64>,
    }
    let printed: Printed =
        serde_json::from_slice(out).map_err(|_| Fault::Garbled { why: "az printed no token".to_owned() })?;
    let expires = printed.expires_on.and_then(|s| chrono::DateTime::from_timestamp(s, 0));
    // az before 2.54 does not say; its tokens have at least five minutes left.
    Ok(Token::new(printed.access_token, expires.unwrap_or(now + SPARE), now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix: i64) -> Utc {
        chrono::DateTime::from_timestamp(unix, 0).unwrap()
    }

    #[test]
    fn what_az_prints_is_kept_until_five_minutes_before_its_end() {
        let sample = include_bytes!("../../../tests/fixtures/wire/az_account_get_access_token.json");
        let end = 1_795_170_762;
        let token = from_az(sample, at(end - 3600)).unwrap();
        assert_eq!((token.secret.expose_secret(), token.until), ("eyJ0...", at(end - 300)));
        // One that az gives out shortly before its end is used for a minute, not asked for again each time.
        assert_eq!(from_az(sample, at(end - 200)).unwrap().until, at(end - 140));
        assert_eq!(from_az(sample, at(end - 20)).unwrap().until, at(end));
        assert!(!format!("{token:?}").contains("eyJ0"));
    }

    #[test]
    fn garbage_is_never_quoted() {
        let fault = issued(b"{\"access_token\":\"s3cret\"}", at(0)).unwrap_err();
        assert!(!format!("{fault:?}").contains("s3cret"));
        assert_eq!(
            refusal(b"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000222: expired.\\r\\nTrace ID: x\"}"),
            "AADSTS7000222: expired."
        );
    }

    #[tokio::test]
    async fn a_secret_file_that_others_may_read_is_refused() {
        let path = std::env::temp_dir().join(format!("drtui-secret-{}", std::process::id()));
        std::fs::write(&path, "hush\n").unwrap();
        let mode = |m| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(m)).unwrap();
        mode(0o644);
        let open = read_secret(&path).await.unwrap_err().to_string();
        mode(0o600);
        let closed = read_secret(&path).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(open.contains("chmod 600"), "{open}");
        assert_eq!(closed.expose_secret(), "hush");
    }
}
