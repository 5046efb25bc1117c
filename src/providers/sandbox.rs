//! The running sandbox's control endpoint, from its state file.

use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{fetch, words};
use crate::domain::Fault;

/// A realistic sandbox takes a minute to delete a server, and ten to restore one, as Azure does.
const PATIENCE: Duration = Duration::from_secs(900);
const BODY_MAX: usize = 64 << 10;
const STATE_MAX: u64 = 1 << 20;

#[derive(Deserialize)]
struct State {
    control: Control,
}

#[derive(Deserialize)]
struct Control {
    endpoint: String,
    token: SecretString,
}

/// Injects a disaster and returns the sandbox's words for it.
pub async fn disaster(state_file: &Path, name: &str) -> Result<String, Fault> {
    let setup = |why: String| Fault::Setup {
        why: format!(
            "the sandbox's state file {} cannot be used: {why}; is it running?",
            state_file.display()
        ),
    };
    let size = tokio::fs::metadata(state_file).await.map_err(|e| setup(words::cause(&e)))?.len();
    if size > STATE_MAX {
        return Err(setup("it is too large".to_owned()));
    }
    let text = tokio::fs::read(state_file).await.map_err(|e| setup(words::cause(&e)))?;
    // The parser's words could quote a secret of the file.
    let state: State = serde_json::from_slice(&text)
        .map_err(|_| setup("it has no `control` with endpoint and token".to_owned()))?;
    let mut url = fetch::parse(&state.control.endpoint)?;
    if !matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        return Err(setup("its control endpoint is not on this machine".to_owned()));
    }
    url.set_path("/disaster");
    let client = fetch::client(url.as_str(), None, PATIENCE).await?;
    let request = client
        .post(url)
        .bearer_auth(state.control.token.expose_secret())
        .json(&serde_json::json!({"name": name}));
    let answer = fetch::fetch(request, BODY_MAX, PATIENCE).await?;
    // What a disaster did is worth every word: it says until when the data was whole.
    let says = words::line(&String::from_utf8_lossy(&answer.body));
    match answer.status {
        200..300 => Ok(says),
        404 => Err(Fault::NotFound {
            what: format!("the sandbox knows no disaster {}: {says}", words::plain(name)),
        }),
        status => Err(Fault::Server { status, why: says }),
    }
}
