//! `drtui sandbox restore`: what the recovery workflow asks of Azure, asked of the sandbox's: a copy of live as it was.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use color_eyre::eyre::{Result, WrapErr, bail, eyre};
use serde_json::{Value, json};

use crate::sandbox::postgres::fleet::LIVE;
use crate::sandbox::state::{Azure, State};

/// For one request.
const PATIENCE: Duration = Duration::from_secs(60);
/// A realistic sandbox takes ten minutes, as Azure does.
const READY_WITHIN: Duration = Duration::from_secs(900);
const BEAT: Duration = Duration::from_millis(500);
const API: &str = "2025-08-01";

/// Restores live as it was at `at` to the server `name`, and waits until Azure lists it as Ready.
///
/// # Errors
/// No sandbox runs, Azure refuses (with its words), or the copy is not Ready in time.
pub fn run(state_file: &Path, at: DateTime<Utc>, name: Option<String>) -> Result<ExitCode> {
    let state = State::of_running(state_file)?;
    let name = name.unwrap_or_else(|| format!("{LIVE}-ptr"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let arm = Arm::sign_in(&state).await?;
        arm.restore(&name, at).await?;
        println!("{name} is being restored to {}…", at.format("%Y-%m-%d %H:%M:%S%.3f UTC"));
        let ready = async {
            while arm.state_of(&name).await? != "Ready" {
                tokio::time::sleep(BEAT).await;
            }
            Ok::<(), color_eyre::Report>(())
        };
        let ended = tokio::time::timeout(READY_WITHIN, ready).await;
        ended.map_err(|_| {
            eyre!("{name} is not Ready after {} s: look at it in pane 3", READY_WITHIN.as_secs())
        })??;
        println!("{name} is Ready.");
        Ok(ExitCode::SUCCESS)
    })
}

/// The sandbox's Azure Resource Manager.
struct Arm<'a> {
    web: reqwest::Client,
    azure: &'a Azure,
    token: String,
}

impl Arm<'_> {
    async fn sign_in(state: &State) -> Result<Arm<'_>> {
        let azure = &state.azure;
        let pem = std::fs::read(&state.ca_file)
            .wrap_err_with(|| format!("cannot read the sandbox's authority {}", state.ca_file.display()))?;
        let ca = reqwest::Certificate::from_pem(&pem)?;
        // Loopback: no proxy of the environment may come between.
        let web = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().timeout(PATIENCE).build()?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &azure.client_id),
            ("client_secret", &azure.client_secret),
            ("scope", "https://management.azure.com/.default"),
        ];
        let url = format!("{}/{}/oauth2/v2.0/token", azure.endpoint, azure.tenant);
        let told = told(web.post(url).form(&form)).await?;
        let token = told.get("access_token").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Arm { web, azure, token })
    }

    fn id(&self, name: &str) -> String {
        let (subscription, group) = (&self.azure.subscription, &self.azure.resource_group);
        format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}"
        )
    }

    fn ask(&self, method: reqwest::Method, name: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{}?api-version={API}", self.azure.endpoint, self.id(name));
        self.web.request(method, url).bearer_auth(&self.token)
    }

    async fn restore(&self, name: &str, at: DateTime<Utc>) -> Result<()> {
        let body = json!({"location": "uksouth", "properties": {
            "createMode": "PointInTimeRestore",
            "sourceServerResourceId": self.id(LIVE),
            "pointInTimeUTC": at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }});
        told(self.ask(reqwest::Method::PUT, name).json(&body)).await.map(drop)
    }

    /// Azure's word for the server's state; nothing while it does not list it.
    async fn state_of(&self, name: &str) -> Result<String> {
        let answer = self.ask(reqwest::Method::GET, name).send().await?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(String::new());
        }
        let server: Value = answer.json().await.wrap_err("the sandbox's Azure is not understood")?;
        Ok(server.pointer("/properties/state").and_then(Value::as_str).unwrap_or_default().to_owned())
    }
}

/// The answer to a request, or Azure's reason against it.
async fn told(request: reqwest::RequestBuilder) -> Result<Value> {
    let answer = request.send().await.wrap_err("the sandbox's Azure does not answer")?;
    let status = answer.status();
    let value: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
    if !status.is_success() {
        let why = value.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason given");
        bail!("the sandbox's Azure refused ({}): {why}", status.as_u16());
    }
    Ok(value)
}

/// `2026-11-20 13:41:07.123 UTC` as a disaster tells it, or `2026-11-20T13:41:07Z`.
pub fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let bare = text.trim().trim_end_matches("UTC").trim_end_matches('Z').trim_end();
    format!("{}Z", bare.replacen(' ', "T", 1))
        .parse()
        .map_err(|_| format!("{text:?} is not a time in UTC like \"2026-11-20 13:41:07 UTC\""))
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn a_time_is_taken_as_the_disaster_tells_it() {
        let at = time("2026-11-20 13:41:07.123 UTC").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-20T13:41:07.123+00:00");
        assert_eq!(time("2026-11-20T13:41:07.123Z"), Ok(at));
        for wrong in ["", "13:41", "2026-11-20 13:41 BST", "yesterday"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
