//! From a kubeconfig to a client: one at a time, bounded in time, made anew when its credentials end or are refused.

use std::path::Path;
use std::sync::Mutex as SyncMutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::super::settings::KubernetesSettings;
use super::super::words;
use super::plugin;
use crate::domain::{Fault, Utc};

const CONNECT: Duration = Duration::from_secs(5);
/// For reading files and setting up TLS.
const BUILD: Duration = Duration::from_secs(10);
/// Credentials with less left than this are renewed first.
const SPARE: chrono::Duration = chrono::Duration::seconds(60);

/// A client with what to do when it is refused.
#[derive(Clone)]
pub struct Session {
    pub client: Client,
    /// The command that renews the credentials.
    pub fix: String,
    number: u64,
    expires: Option<Utc>,
}

/// Makes and keeps the session.
pub struct Link {
    settings: KubernetesSettings,
    state: Mutex<State>,
    /// Number of the last session that was refused.
    refused: SyncMutex<u64>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    made: u64,
    failed: Option<(Instant, Fault)>,
}

impl Link {
    pub fn new(settings: KubernetesSettings) -> Link {
        Link { settings, state: Mutex::default(), refused: SyncMutex::new(0) }
    }

    /// The session, made first if there is none or its credentials end. Whoever waited while an attempt failed
    /// shares its failure: a plugin is not run again for each.
    pub async fn session(&self) -> Result<Session, Fault> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let refused = *self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh =
            |s: &&Session| s.number > refused && s.expires.is_none_or(|e| chrono::Utc::now() + SPARE < e);
        if let Some(session) = state.session.as_ref().filter(fresh) {
            return Ok(session.clone());
        }
        if let Some((when, fault)) = &state.failed
            && *when >= asked
        {
            return Err(fault.clone());
        }
        state.session = None;
        match connect(&self.settings).await {
            Ok((client, expires, fix)) => {
                state.made += 1;
                let session = Session { client, fix, number: state.made, expires };
                state.session = Some(session.clone());
                state.failed = None;
                Ok(session)
            }
            Err(fault) => {
                state.failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    /// The server refused this session's credentials: the next one is made from scratch.
    pub fn refused(&self, session: &Session) {
        let mut refused = self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *refused = session.number.max(*refused);
    }
}

async fn connect(settings: &KubernetesSettings) -> Result<(Client, Option<Utc>, String), Fault> {
    let mut config = config(settings).await?;
    let mut fix = match &settings.kubeconfig {
        Some(path) => format!("renew the credentials in {}", path.display()),
        None => "renew the credentials in the kubeconfig".to_owned(),
    };
    let mut expires = None;
    if config.auth_info.token.is_none()
        && let Some(exec) = config.auth_info.exec.take()
    {
        fix = plugin::fix(&exec);
        let credential = plugin::run(&exec).await?;
        expires = credential.expires;
        install(&mut config.auth_info, credential);
    }
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = None;
    // A 429 is shown and honoured, not hidden.
    config.default_retry = false;
    // Reads files, and legacy providers may run programs.
    let made = tokio::task::spawn_blocking(move || Client::try_from(config));
    match timeout(BUILD, made).await {
        Err(_) => Err(Fault::AuthExpired { why: "signing in to the cluster hangs".to_owned(), fix }),
        Ok(Err(e)) => {
            Err(Fault::Setup { why: format!("cannot set up the cluster's client: {}", words::cause(&e)) })
        }
        Ok(Ok(Err(error @ kube::Error::Auth(_)))) => {
            Err(Fault::AuthExpired { why: words::cause(&error), fix })
        }
        Ok(Ok(Err(e))) => {
            Err(Fault::Setup { why: format!("cannot set up the cluster's client: {}", words::cause(&e)) })
        }
        Ok(Ok(Ok(client))) => Ok((client, expires, fix)),
    }
}

fn install(auth: &mut AuthInfo, credential: plugin::Credential) {
    use secrecy::ExposeSecret;
    auth.token = credential.token;
    if let Some((certificate, key)) = credential.identity {
        auth.client_certificate_data = Some(STANDARD.encode(certificate));
        auth.client_key_data = Some(STANDARD.encode(key.expose_secret()).into());
    }
}

async fn config(settings: &KubernetesSettings) -> Result<Config, Fault> {
    let path = settings.kubeconfig.clone();
    let read = tokio::task::spawn_blocking(move || match path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    });
    let shown = shown(settings.kubeconfig.as_deref());
    let setup = |why: String| Fault::Setup { why: format!("{shown} cannot be used: {why}") };
    let file = match timeout(BUILD, read).await {
        Err(_) => return Err(setup("reading it takes too long".to_owned())),
        Ok(Err(e)) => return Err(setup(words::cause(&e))),
        Ok(Ok(Ok(file))) => file,
        Ok(Ok(Err(error))) => {
            // In a pod there is no kubeconfig, and none is needed.
            if settings.kubeconfig.is_none()
                && let Ok(config) = Config::incluster()
            {
                return Ok(config);
            }
            return Err(setup(words::cause(&error)));
        }
    };
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &options).await.map_err(|e| {
        setup(format!("{}; name a context of it in the configuration", words::plain(&e.to_string())))
    })
}

fn shown(path: Option<&Path>) -> String {
    match path {
        Some(path) => format!("the kubeconfig {}", path.display()),
        None => "the kubeconfig ($KUBECONFIG or ~/.kube/config)".to_owned(),
    }
}
