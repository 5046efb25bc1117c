//! Remote control of a running sandbox, through what its state file says.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr, bail};
use serde_json::{Value, json};

use crate::sandbox::disaster::{Disaster, Struck};
use crate::sandbox::faults::{Kind, Provider};
use crate::sandbox::state::State;

const PATIENCE: Duration = Duration::from_secs(60);
/// A realistic sandbox takes a minute to delete a server, and ten to restore one, as Azure does.
const DISASTER_PATIENCE: Duration = Duration::from_secs(900);

/// `drtui sandbox disaster NAME`.
pub fn disaster(state_file: &Path, name: &str, as_json: bool) -> Result<ExitCode> {
    let answer =
        ask(state_file, reqwest::Method::POST, &format!("/disaster/{name}"), None, DISASTER_PATIENCE)?;
    if as_json {
        println!("{answer}");
    } else {
        let struck: Struck =
            serde_json::from_value(answer).wrap_err("the sandbox's answer is not understood")?;
        println!("{}", struck.words());
    }
    Ok(ExitCode::SUCCESS)
}

/// `drtui sandbox disaster`: what there is; no sandbox need run for that.
pub fn disasters() -> ExitCode {
    for disaster in Disaster::ALL {
        println!("{:24} {}", disaster.name(), disaster.says());
    }
    ExitCode::SUCCESS
}

/// `drtui sandbox fault KIND --on PROVIDER --for TIME`.
pub fn fault(state_file: &Path, kind: Kind, on: Provider, lasts: Duration) -> Result<ExitCode> {
    let body = json!({"kind": kind.name(), "on": on.name(), "for_s": lasts.as_secs_f64()});
    ask(state_file, reqwest::Method::POST, "/fault", Some(body), PATIENCE)?;
    println!("{} answers with the fault {} for {:.1} s", on.name(), kind.name(), lasts.as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// `drtui sandbox fault none --on PROVIDER`.
pub fn end_fault(state_file: &Path, on: Provider) -> Result<ExitCode> {
    ask(state_file, reqwest::Method::DELETE, &format!("/fault/{}", on.name()), None, PATIENCE)?;
    println!("{} answers again", on.name());
    Ok(ExitCode::SUCCESS)
}

fn ask(
    state_file: &Path,
    method: reqwest::Method,
    path: &str,
    body: Option<Value>,
    patience: Duration,
) -> Result<Value> {
    let control = State::of_running(state_file)?.control;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Loopback: no proxy of the environment may come between.
        let client = reqwest::Client::builder().no_proxy().timeout(patience).build()?;
        let mut request =
            client.request(method, format!("{}{path}", control.endpoint)).bearer_auth(control.token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.wrap_err("the sandbox's control does not answer")?;
        let (status, text) =
            (answer.status(), answer.text().await.wrap_err("the sandbox's answer broke off")?);
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if !status.is_success() {
            let why = value.get("error").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
            bail!("the sandbox refused: {why}");
        }
        Ok(value)
    })
}
