//! Where a deployment's database is: its environment searched as Kubernetes would fill it, in whatever secret it lies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use secrecy::SecretString;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::super::{AzureSettings, program, words};
use super::api::Api;
use super::pods;
use crate::domain::{DeploymentKey, Fault};

const AZ_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
const EXEC_PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);
/// A variable is not longer.
const VALUE_MAX: usize = 64 << 10;

/// Where a variable may come from, strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Literal(String),
    /// `secrets` or `configmaps`, the object's name, its key.
    Key {
        kind: &'static str,
        name: String,
        key: String,
    },
}

/// The value of `variable` in a deployment's environment.
///
/// # Errors
/// Says which variable was looked for, in which secrets, and which right is missing.
pub async fn of_deployment(
    api: &Api,
    app: &DeploymentKey,
    deployment: &Value,
    variable: &str,
) -> Result<SecretString, Fault> {
    let sources = sources(deployment, variable);
    let (mut denied, mut gone) = (None, Vec::new());
    for source in &sources {
        match source {
            Source::Literal(value) => return Ok(value.clone().into()),
            Source::Key { kind, name, key } => match api.get(kind, &app.namespace, name).await {
                Ok(object) => {
                    if let Some(value) = value(kind, &object, key)? {
                        return Ok(value);
                    }
                }
                // It may be optional; another may have it.
                Err(Fault::NotFound { .. }) => gone.push(name.as_str()),
                Err(Fault::Denied { what }) => denied = Some(what),
                Err(fault) => return Err(fault),
            },
        }
    }
    match denied {
        Some(what) => Err(Fault::Denied { what }),
        None => Err(Fault::NotFound { what: absent(app, variable, &sources, &gone) }),
    }
}

fn absent(app: &DeploymentKey, variable: &str, sources: &[Source], gone: &[&str]) -> String {
    let mut names: Vec<String> = sources
        .iter()
        .filter_map(|s| match s {
            Source::Key { name, .. } if gone.contains(&name.as_str()) => {
                Some(format!("{name}, which does not exist"))
            }
            Source::Key { name, .. } => Some(name.clone()),
            Source::Literal(_) => None,
        })
        .collect();
    names.dedup();
    let looked = if names.is_empty() {
        "its containers have no such variable and no secret to look in".to_owned()
    } else {
        format!("looked in {}", names.join("; "))
    };
    format!(
        "{app} has no {variable}: {}. Name another variable (-p or -r, or \
         [environments.NAME.tunnel] of the configuration) or give the URL (-u)",
        words::plain(&looked)
    )
}

/// All places where `variable` may come from, as Kubernetes ranks them: `env` over `envFrom`, later over earlier.
fn sources(deployment: &Value, variable: &str) -> Vec<Source> {
    let list = |value: &Value, pointer: &str| -> Vec<Value> {
        value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let mut found = Vec::new();
    let containers = ["/spec/template/spec/containers", "/spec/template/spec/initContainers"];
    for container in containers.iter().flat_map(|pointer| list(deployment, pointer)) {
        for one in
            list(&container, "/env").iter().rev().filter(|e| text(e, "/name").as_deref() == Some(variable))
        {
            found.extend(text(one, "/value").map(Source::Literal));
            for (kind, pointer) in [("secrets", "secretKeyRef"), ("configmaps", "configMapKeyRef")] {
                let part = |key: &str| text(one, &format!("/valueFrom/{pointer}/{key}"));
                if let (Some(name), Some(key)) = (part("name"), part("key")) {
                    found.push(Source::Key { kind, name, key });
                }
            }
        }
        for one in list(&container, "/envFrom").iter().rev() {
            let prefix = text(one, "/prefix").unwrap_or_default();
            let Some(key) = variable.strip_prefix(prefix.as_str()).filter(|key| !key.is_empty()) else {
                continue;
            };
            for (kind, pointer) in [("secrets", "/secretRef/name"), ("configmaps", "/configMapRef/name")] {
                if let Some(name) = text(one, pointer) {
                    found.push(Source::Key { kind, name, key: key.to_owned() });
                }
            }
        }
    }
    found
}

fn value(kind: &str, object: &Value, key: &str) -> Result<Option<SecretString>, Fault> {
    let Some(text) = object.get("data").and_then(|data| data.get(key)).and_then(Value::as_str) else {
        return Ok(None);
    };
    if kind == "configmaps" {
        return Ok(Some(text.to_owned().into()));
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let bad = |_| Fault::Garbled { why: format!("{key} in secret {} is not text", words::plain(name)) };
    let bytes = STANDARD.decode(text).map_err(|_| bad(()))?;
    String::from_utf8(bytes).map(|text| Some(text.into())).map_err(|_| bad(()))
}

/// The value of `variable` as a running pod of the app has it: for those who may exec and not read secrets.
///
/// # Errors
/// No pod, no right, or no such variable.
pub async fn of_pod(
    api: &Api,
    app: &DeploymentKey,
    deployment: &Value,
    variable: &str,
) -> Result<SecretString, Fault> {
    let pod = pods::of_app(api, app, &pods::selector(deployment), None).await?;
    let command = ["printenv", variable];
    let connection = api.exec(&app.namespace, &pod.name, pod.container.as_deref(), &command, false).await?;
    let mut socket = connection.into_stream();
    let reading = async {
        let mut out = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                break;
            }
            let bytes = message.into_data();
            match bytes.split_first() {
                Some((1, data)) if out.len() + data.len() <= VALUE_MAX => out.extend_from_slice(data),
                Some((3, _)) => break,
                _ => {}
            }
        }
        out
    };
    let absent = || Fault::NotFound { what: format!("pod {} of {app} has no {variable}", pod.name) };
    let out = timeout(EXEC_PATIENCE, reading)
        .await
        .map_err(|_| Fault::TimedOut { after_s: EXEC_PATIENCE.as_secs() })?;
    let text = String::from_utf8(out).map_err(|_| absent())?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() { Err(absent()) } else { Ok(text.to_owned().into()) }
}

/// The URL in key vault secret `<name>-database-url`: by Azure's API where the configuration says how to sign in, else
/// by `az` alone.
///
/// # Errors
/// The vault refuses or has none; `az` is missing, not signed in, or refused, in its words.
pub async fn of_key_vault(
    azure: Option<&AzureSettings>,
    vault: &str,
    name: &str,
) -> Result<SecretString, Fault> {
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !is_name(vault) || !is_name(name) {
        let why = "a key vault and a secret are named by letters, digits and - only".to_owned();
        return Err(Fault::Setup { why });
    }
    let secret = format!("{name}-database-url");
    if let Some(azure) = azure {
        return super::super::azure::vault::secret(azure, vault, &secret).await;
    }
    let mut command = Command::new("az");
    command.args(["keyvault", "secret", "show", "--vault-name", vault, "--name", &secret]);
    command.args(["--query", "value", "--output", "tsv", "--only-show-errors"]);
    match program::run("az", &mut command, AZ_PATIENCE).await {
        Ok(out) => {
            let text = String::from_utf8_lossy(&out).trim().to_owned();
            if text.is_empty() {
                return Err(Fault::NotFound {
                    what: format!("secret {secret} in key vault {vault} is empty"),
                });
            }
            Ok(text.into())
        }
        Err(program::Failure::NotInstalled) => {
            Err(Fault::Setup { why: "az, which reads key vaults, is not installed".to_owned() })
        }
        Err(program::Failure::Failed(why)) => Err(Fault::AuthExpired { why, fix: "az login".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn key(kind: &'static str, name: &str, key: &str) -> Source {
        Source::Key { kind, name: name.into(), key: key.into() }
    }

    #[test]
    fn every_place_is_searched_and_the_strongest_wins() {
        let deployment = json!({"spec": {"template": {"spec": {"containers": [
            {"env": [{"name": "OTHER", "value": "x"}],
             "envFrom": [{"configMapRef": {"name": "first"}}, {"secretRef": {"name": "second"}}]},
            {"env": [
                {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "third", "key": "url"}}},
                {"name": "DATABASE_URL", "value": "postgres://literal"}],
             "envFrom": [{"prefix": "DATABASE_", "secretRef": {"name": "fourth"}}, {"prefix": "NO_", "secretRef": {"name": "fifth"}}]},
        ]}}}});
        assert_eq!(
            sources(&deployment, "DATABASE_URL"),
            [
                key("secrets", "second", "DATABASE_URL"),
                key("configmaps", "first", "DATABASE_URL"),
                Source::Literal("postgres://literal".into()),
                key("secrets", "third", "url"),
                key("secrets", "fourth", "URL"),
            ]
        );
        let app = DeploymentKey { namespace: "ns".into(), name: "web".into() };
        let says = absent(&app, "X", &sources(&deployment, "DATABASE_URL"), &["first"]);
        assert!(says.contains("second; first, which does not exist; third; fourth"), "{says}");
    }

    #[test]
    fn a_secret_is_decoded_or_called_malformed_without_its_text() {
        let secret =
            json!({"metadata": {"name": "s"}, "data": {"URL": "cG9zdGdyZXM6Ly9h", "BAD": "%%%s3cret"}});
        assert_eq!(value("secrets", &secret, "URL").unwrap().unwrap().expose_secret(), "postgres://a");
        assert!(value("secrets", &secret, "NONE").unwrap().is_none());
        let says = value("secrets", &secret, "BAD").unwrap_err().to_string();
        assert!(says.contains("BAD in secret s is not text") && !says.contains("s3cret"), "{says}");
    }
}
