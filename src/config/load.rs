//! Finds, reads and resolves a configuration file.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::de::DeTable;

use super::check::{self, Text};
use super::paths;
use super::schema::{Azure, Deployments, Environment, File, Tunnel};
use crate::domain::Target;
use crate::providers::{AzureSettings, KubernetesSettings, Settings, TunnelSettings, WebSettings};

/// Larger files are not configurations.
const MAX_BYTES: u64 = 1 << 20;

/// One thing wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    /// From 1.
    pub line: usize,
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Why there is no configuration to work with.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error(
        "no configuration file; looked for {}. Write one after config/drtui.example.toml, name one with \
         --config FILE, or try `drtui sandbox`",
        listed(.looked)
    )]
    Missing { looked: Vec<PathBuf> },
    #[error("cannot read the configuration file {}: {why}", .path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Problem>),
    #[error("{file} has no environment `{asked}`; it has {}. Name one with --env", .have.join(", "))]
    NoSuchEnvironment { file: String, asked: String, have: Vec<String> },
    #[error("{file} has several environments: {}. Name one with --env", .have.join(", "))]
    Ambiguous { file: String, have: Vec<String> },
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A configuration file, read and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it was read from.
    pub path: PathBuf,
    file: File,
}

impl Config {
    /// Finds the file and loads it: `explicit`, else `drtui.toml` here, else the user's configuration directory.
    ///
    /// # Errors
    /// When there is none, or it is wrong.
    pub fn find(explicit: Option<&Path>) -> Result<Config, ConfigError> {
        if let Some(path) = explicit {
            return Config::load(path);
        }
        let looked = paths::config_candidates();
        match looked.iter().find(|p| p.is_file()) {
            Some(path) => Config::load(path),
            None => Err(ConfigError::Missing { looked }),
        }
    }

    /// Reads and checks one file.
    ///
    /// # Errors
    /// When it cannot be read, or holds unknown keys, wrong types or too little: all with their lines.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let fail = |why: String| ConfigError::Unreadable { path: path.to_owned(), why };
        let size = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(fail(format!("{size} bytes are too many for a configuration")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        Config::parse(path, &text)
    }

    /// As [`Config::load`], from text already read; `path` names it and anchors relative paths.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let shown = path.display().to_string();
        let source = Text { file: &shown, text };
        let explain = |error: &toml::de::Error| {
            let at = error.span().map_or(0, |s| s.start);
            ConfigError::Wrong(vec![source.problem(at, type_words(&source, at, error.message()))])
        };
        let table = DeTable::parse(text).map_err(|e| explain(&e))?;
        let problems = check::keys(&source, &table);
        if !problems.is_empty() {
            return Err(ConfigError::Wrong(problems));
        }
        let mut file: File = toml::from_str(text).map_err(|e| explain(&e))?;
        let problems = values(&source, &file);
        if !problems.is_empty() {
            return Err(ConfigError::Wrong(problems));
        }
        anchor(&mut file, path.parent().unwrap_or(Path::new("")));
        Ok(Config { path: path.to_owned(), file })
    }

    pub fn service(&self) -> &str {
        &self.file.service
    }

    /// Names of the environments, sorted.
    pub fn environments(&self) -> Vec<&str> {
        self.file.environments.keys().map(String::as_str).collect()
    }

    /// Folder of the service's own runbooks.
    pub fn runbook_dir(&self) -> Option<&Path> {
        self.file.runbooks.as_deref()
    }

    /// What the cockpit is pointed at: environment `env`, or the only one.
    ///
    /// # Errors
    /// When there is no such environment, or several and none is named.
    pub fn target(&self, env: Option<&str>) -> Result<Target, ConfigError> {
        let (name, e) = self.environment(env)?;
        Ok(Target {
            service: self.file.service.clone(),
            environment: name.to_owned(),
            production: e.production,
            exercise: e.exercise,
            namespace: e.namespace.clone(),
            cluster: e.cluster.name.clone(),
            app: e.app.clone(),
            whole_namespace: e.deployments == Deployments::Namespace,
            resource_group: e.azure.resource_group.clone(),
            server: e.azure.server.clone(),
            health_url: e.health_url.clone(),
            sandbox: e.sandbox.clone(),
        })
    }

    /// What the providers need beyond the target.
    ///
    /// # Errors
    /// As [`Config::target`].
    pub fn settings(&self, env: Option<&str>) -> Result<Settings, ConfigError> {
        let (_, e) = self.environment(env)?;
        Ok(Settings {
            kubernetes: KubernetesSettings {
                kubeconfig: e.cluster.kubeconfig.clone(),
                context: e.cluster.context.clone(),
            },
            azure: azure(&e.azure),
            web: WebSettings { ca_file: e.health_ca_file.clone() },
            tunnel: tunnel(&e.tunnel),
        })
    }

    fn environment(&self, env: Option<&str>) -> Result<(&str, &Environment), ConfigError> {
        let file = self.path.display().to_string();
        let have = || self.file.environments.keys().cloned().collect::<Vec<_>>();
        match env {
            Some(asked) => {
                self.file.environments.get_key_value(asked).map(|(n, e)| (n.as_str(), e)).ok_or_else(|| {
                    ConfigError::NoSuchEnvironment { file, asked: asked.to_owned(), have: have() }
                })
            }
            None => match self.file.environments.iter().next() {
                Some((name, e)) if self.file.environments.len() == 1 => Ok((name, e)),
                _ => Err(ConfigError::Ambiguous { file, have: have() }),
            },
        }
    }
}

fn tunnel(t: &Tunnel) -> TunnelSettings {
    let or = |given: &Option<String>, default: String| given.clone().unwrap_or(default);
    let default = TunnelSettings::default();
    TunnelSettings {
        variable: or(&t.variable, default.variable),
        redis_variable: or(&t.redis_variable, default.redis_variable),
        image: or(&t.image, default.image),
        ca_file: t.ca_file.clone(),
    }
}

fn azure(a: &Azure) -> AzureSettings {
    let or = |given: &Option<String>, default: &str| {
        given.as_deref().unwrap_or(default).trim_end_matches('/').to_owned()
    };
    AzureSettings {
        subscription: a.subscription.clone(),
        side_copies: a.side_copies.clone(),
        tenant: a.tenant.clone(),
        client_id: a.client_id.clone(),
        client_secret_file: a.client_secret_file.clone(),
        endpoint: or(&a.endpoint, "https://management.azure.com"),
        authority: or(&a.authority, "https://login.microsoftonline.com"),
        key_vaults: or(&a.key_vaults, "https://{vault}.vault.azure.net"),
        ca_file: a.ca_file.clone(),
    }
}

/// serde's words with the key in front: `` `production`: invalid type: … ``.
fn type_words(source: &Text<'_>, at: usize, message: &str) -> String {
    let line = source.text.lines().nth(source.line(at).saturating_sub(1)).unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) if message.starts_with("invalid") || message.starts_with("unknown variant") => {
            format!("`{}`: {message}", key.trim())
        }
        _ => message.to_owned(),
    }
}

/// Values that have the right type and still cannot be used.
fn values(source: &Text<'_>, file: &File) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut bad = |value: &str, text: String| {
        let at = source.text.find(&format!("\"{value}\"")).unwrap_or(0);
        found.push(source.problem(at, text));
    };
    for (name, e) in &file.environments {
        let place = format!("[environments.{name}]");
        for (key, value) in [
            ("namespace", &e.namespace),
            ("app", &e.app),
            ("subscription", &e.azure.subscription),
            ("resource_group", &e.azure.resource_group),
            ("server", &e.azure.server),
        ] {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')');
            if value.is_empty() || !value.chars().all(plain) {
                bad(value, format!("`{key}` in {place} is not a name: letters, digits and - only"));
            }
        }
        for (key, value) in [
            ("health_url", &e.health_url),
            ("endpoint", &e.azure.endpoint),
            ("authority", &e.azure.authority),
        ] {
            if let Some(url) = value
                && !is_url(url)
            {
                bad(url, format!("`{key}` in {place} is not an https:// address"));
            }
        }
        if e.azure.client_id.is_some() != e.azure.client_secret_file.is_some()
            || e.azure.client_id.is_some() != e.azure.tenant.is_some()
        {
            let at = source.text.find("client_id").or_else(|| source.text.find("tenant")).unwrap_or(0);
            found.push(source.problem(
                at,
                format!("a service principal in {place} needs all of tenant, client_id, client_secret_file"),
            ));
            return found;
        }
    }
    found
}

/// https anywhere; plain http on this machine only.
fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    let local = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match uri.scheme_str() {
        Some("https") => uri.host().is_some(),
        Some("http") => local,
        _ => false,
    }
}

/// Relative paths are relative to the file.
fn anchor(file: &mut File, base: &Path) {
    let fix = |path: &mut Option<PathBuf>| {
        if let Some(p) = path {
            *p = base.join(&p);
        }
    };
    fix(&mut file.runbooks);
    for e in file.environments.values_mut() {
        fix(&mut e.health_ca_file);
        fix(&mut e.sandbox);
        fix(&mut e.cluster.kubeconfig);
        fix(&mut e.azure.client_secret_file);
        fix(&mut e.azure.ca_file);
        fix(&mut e.tunnel.ca_file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config/drtui.example.toml");

    fn load(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("etc/drtui.toml"), text)
    }

    fn error(text: &str) -> String {
        load(text).unwrap_err().to_string()
    }

    /// The example with its commented keys switched on: every key that exists.
    fn everything() -> String {
        let on = |line: &str| line.starts_with("# ") && line.contains(" = \"");
        EXAMPLE
            .lines()
            .map(|l| if on(l) { l.trim_start_matches("# ") } else { l })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_example_loads_and_resolves() {
        let config = load(EXAMPLE).unwrap();
        let target = config.target(None).unwrap();
        assert_eq!((target.environment.as_str(), target.production), ("production", true));
        assert_eq!(target.namespace, "tra-production");
        assert!(!target.whole_namespace);
        assert_eq!(config.runbook_dir(), Some(Path::new("etc/runbooks")));
        let settings = config.settings(Some("production")).unwrap();
        assert_eq!(settings.azure.endpoint, "https://management.azure.com");
        assert_eq!(settings.azure.side_copies, ["s189p01-rsm-pd-pg-snapshot"]);
    }

    #[test]
    fn every_documented_key_is_known() {
        let settings = load(&everything()).unwrap().settings(None).unwrap();
        assert_eq!(settings.azure.client_secret_file.as_deref(), Some(Path::new("etc/secret")));
        assert_eq!(settings.kubernetes.kubeconfig.as_deref(), Some(Path::new("etc/kubeconfig")));
        assert_eq!(settings.web.ca_file.as_deref(), Some(Path::new("etc/ca.pem")));
    }

    #[test]
    fn an_unknown_key_names_file_line_and_nearest() {
        let text = EXAMPLE.replace("namespace = \"tra", "namespce = \"tra");
        let line = text.lines().position(|l| l.starts_with("namespce")).unwrap() + 1;
        let says = error(&text);
        assert!(
            says.contains(&format!(
                "etc/drtui.toml:{line}: unknown key `namespce` in [environments.production]; \
                 did you mean `namespace`?"
            )),
            "{says}"
        );
        assert!(says.contains("missing key `namespace`") && says.contains("add `namespace = "), "{says}");
        assert!(error(&format!("sevice = 1\n{EXAMPLE}")).contains("did you mean `service`?"));
        assert!(error(&format!("zzzzzzzzzz = 1\n{EXAMPLE}")).contains("known are service, runbooks"));
    }

    #[test]
    fn a_wrong_type_names_key_and_line() {
        let text = EXAMPLE.replace("production = true", "production = \"yes\"");
        let line = text.lines().position(|l| l.starts_with("production")).unwrap() + 1;
        let says = error(&text);
        assert!(says.starts_with(&format!("etc/drtui.toml:{line}: `production`: invalid type")), "{says}");
        let says = error(&EXAMPLE.replace("deployments = \"service\"", "deployments = \"all\""));
        assert!(says.contains("`deployments`: unknown variant `all`"), "{says}");
        assert!(error("service = \"x\"\nenvironments = 3\n").contains("2: `environments` must be a table"));
        assert!(error("service = \n").starts_with("etc/drtui.toml:1: "));
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        let says = error(&EXAMPLE.replace("https://refer", "ftp://refer"));
        assert!(
            says.contains("`health_url` in [environments.production] is not an https:// address"),
            "{says}"
        );
        assert!(error(&EXAMPLE.replace("\"tra-production\"", "\"a/../b\"")).contains("is not a name"));
        let half = format!("{EXAMPLE}\ntenant = \"t\"\n");
        assert!(error(&half).contains("needs all of tenant, client_id, client_secret_file"));
    }

    #[test]
    fn the_environment_is_chosen_or_asked_for() {
        let second = EXAMPLE[EXAMPLE.find("[environments").unwrap()..]
            .replace("[environments.production", "[environments.test");
        let both = load(&format!("{EXAMPLE}\n{second}")).unwrap();
        assert_eq!(both.target(Some("test")).unwrap().environment, "test");
        let says = both.target(None).unwrap_err().to_string();
        assert!(says.contains("production, test") && says.contains("--env"), "{says}");
        let says = both.target(Some("prod")).unwrap_err().to_string();
        assert!(says.contains("no environment `prod`") && says.contains("production, test"), "{says}");
    }

    #[test]
    fn a_missing_or_huge_file_says_what_to_do() {
        let says = Config::load(Path::new("/nonexistent/drtui.toml")).unwrap_err().to_string();
        assert!(says.contains("/nonexistent/drtui.toml"), "{says}");
    }
}
