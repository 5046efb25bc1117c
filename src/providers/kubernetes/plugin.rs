//! Runs a kubeconfig's exec plugin: silent, cut off by time, killed with its children. The client library would run it
//! three times, without an end and on the terminal.

use std::time::Duration;

use kube::config::ExecConfig;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::process::Command;

use super::super::{program, words};
use crate::domain::{Fault, Utc};

/// How long a plugin may take.
const PATIENCE: Duration = Duration::from_secs(10);
const API: &str = "client.authentication.k8s.io/v1";

/// What a plugin gave.
#[derive(Debug)]
pub struct Credential {
    pub token: Option<SecretString>,
    /// PEM certificate and key.
    pub identity: Option<(String, SecretString)>,
    pub expires: Option<Utc>,
}

#[derive(Deserialize)]
struct Answer {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Utc>,
    token: Option<SecretString>,
    client_certificate_data: Option<String>,
    client_key_data: Option<SecretString>,
}

/// Runs the plugin once.
///
/// # Errors
/// [`Fault::AuthExpired`] with what to run, whatever goes wrong: only a person can mend it.
pub async fn run(exec: &ExecConfig) -> Result<Credential, Fault> {
    run_within(exec, PATIENCE).await
}

async fn run_within(exec: &ExecConfig, patience: Duration) -> Result<Credential, Fault> {
    let name = name(exec);
    let expired = |why: String| Fault::AuthExpired { why, fix: fix(exec) };
    let out = program::run(&name, &mut command(exec)?, patience).await.map_err(|failure| match failure {
        program::Failure::NotInstalled => Fault::AuthExpired {
            why: format!("the sign-in program {name} is not installed"),
            fix: install(exec),
        },
        program::Failure::Failed(why) => expired(why),
    })?;
    // The parser's words could quote the token: only that it failed is told.
    let answer: Answer = serde_json::from_slice(&out)
        .map_err(|_| expired(format!("{name} did not print an ExecCredential")))?;
    let status = answer.status.ok_or_else(|| expired(format!("{name} gave no credential")))?;
    let identity = status.client_certificate_data.zip(status.client_key_data);
    if status.token.is_none() && identity.is_none() {
        return Err(expired(format!("{name} gave neither token nor certificate")));
    }
    Ok(Credential { token: status.token, identity, expires: status.expiration_timestamp })
}

fn command(exec: &ExecConfig) -> Result<Command, Fault> {
    let program = exec.command.as_deref().filter(|c| !c.is_empty()).ok_or_else(|| Fault::Setup {
        why: "the kubeconfig's exec plugin has no command: add `command:` to its user".to_owned(),
    })?;
    let api = exec.api_version.as_deref().unwrap_or(API);
    let mut spec = serde_json::json!({"interactive": false});
    if exec.provide_cluster_info
        && let (Some(object), Ok(cluster)) = (spec.as_object_mut(), serde_json::to_value(&exec.cluster))
    {
        object.insert("cluster".to_owned(), cluster);
    }
    let info = serde_json::json!({"apiVersion": api, "kind": "ExecCredential", "spec": spec});
    let mut command = Command::new(program);
    command
        .args(exec.args.iter().flatten())
        .envs(exec.env.iter().flatten().filter_map(|e| Some((e.get("name")?, e.get("value")?))))
        .env("KUBERNETES_EXEC_INFO", info.to_string());
    Ok(command)
}

fn name(exec: &ExecConfig) -> String {
    let command = exec.command.as_deref().unwrap_or_default();
    words::plain(command.rsplit('/').next().unwrap_or(command))
}

fn install(exec: &ExecConfig) -> String {
    match &exec.install_hint {
        Some(hint) => words::plain(hint),
        None if name(exec) == "kubelogin" => "az aks install-cli".to_owned(),
        None => format!("install {}", name(exec)),
    }
}

/// The command a person runs to sign in.
pub fn fix(exec: &ExecConfig) -> String {
    let args: Vec<&str> = exec.args.iter().flatten().map(String::as_str).collect();
    let by_az = args.windows(2).any(|w| matches!(w, ["-l" | "--login", "azurecli"]))
        || args.contains(&"--login=azurecli");
    if name(exec) == "kubelogin" && by_az {
        return "az login".to_owned();
    }
    let mut line = vec![words::plain(exec.command.as_deref().unwrap_or_default())];
    let mut hide = false;
    for arg in args {
        let secret = ["secret", "password", "token"].iter().any(|s| arg.to_lowercase().contains(s));
        line.push(match arg.split_once('=') {
            _ if hide => "…".to_owned(),
            Some((key, _)) if secret => format!("{}=…", words::plain(key)),
            _ => words::plain(arg),
        });
        hide = secret && arg.starts_with('-') && !arg.contains('=');
    }
    words::plain(&line.join(" "))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn exec(command: &str, args: &[&str]) -> ExecConfig {
        ExecConfig {
            command: Some(command.to_owned()),
            args: Some(args.iter().map(ToString::to_string).collect()),
            ..ExecConfig::default()
        }
    }

    fn sh(script: &str) -> ExecConfig {
        exec("sh", &["-c", script])
    }

    async fn why(exec: &ExecConfig) -> (String, String) {
        match run_within(exec, Duration::from_millis(300)).await {
            Err(Fault::AuthExpired { why, fix }) => (why, fix),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_credential_is_read_and_the_plugin_is_told_not_to_ask() {
        let sample = include_str!("../../../tests/fixtures/wire/exec_credential_kubelogin.json");
        let script =
            format!("case $KUBERNETES_EXEC_INFO in *'\"interactive\":false'*) echo '{sample}';; esac");
        let got = run_within(&sh(&script), Duration::from_secs(10)).await.unwrap();
        assert_eq!(got.token.unwrap().expose_secret(), "eyJ0...");
        assert_eq!(got.expires.unwrap().to_rfc3339(), "2026-11-20T10:30:00+00:00");
    }

    #[tokio::test]
    async fn a_hanging_plugin_is_a_sign_in_to_be_renewed() {
        let (why, fix) = why(&exec("sleep", &["1000"])).await;
        assert_eq!((why.as_str(), fix.as_str()), ("sleep did not finish within 0 s", "sleep 1000"));
    }

    #[tokio::test]
    async fn failures_say_what_to_do_and_hide_secrets() {
        let (why2, _) = why(&sh("echo s3cret")).await;
        assert_eq!(why2, "sh did not print an ExecCredential");
        let (why3, fix3) = why(&exec("/nonexistent/kubelogin", &[])).await;
        assert_eq!(
            (why3.as_str(), fix3.as_str()),
            ("the sign-in program kubelogin is not installed", "az aks install-cli")
        );
        assert_eq!(fix(&exec("kubelogin", &["get-token", "-l", "azurecli"])), "az login");
        let shown = fix(&exec("kubelogin", &["get-token", "--client-secret", "hush", "--token=hush", "-v"]));
        assert_eq!(shown, "kubelogin get-token --client-secret … --token=… -v");
    }
}
