//! How the command gets to the two databases: straight to a URL, or with an environment's configuration through tunnels
//! of this process, which need no local port and end with the comparison.

use std::path::Path;

use color_eyre::eyre::{Result, WrapErr, bail, eyre};
use tokio::sync::watch;

use super::{CompareArgs, say};
use crate::cli::Global;
use crate::config::Config;
use crate::domain::{Backend, DeploymentKey, ServerClass, Target, TunnelId, TunnelRequest};
use crate::providers::postgres::{Connect, SslMode, Tls, Url};
use crate::providers::tunnel::{Open, Opener, Wish};
use crate::providers::{Database, Settings};

/// Both databases.
pub struct Ways {
    pub live: Way,
    pub restored: Way,
}

/// The way to one of them.
pub struct Way {
    pub connect: Connect,
    /// Where it leads, without a secret.
    pub at: String,
    tunnel: Option<Open>,
}

impl Ways {
    /// Opens both, unless we are told to stop; nothing is left behind when one cannot be opened.
    ///
    /// # Errors
    /// The addresses or the configuration cannot be used, or a tunnel cannot be opened.
    pub async fn open(global: &Global, args: &CompareArgs, mut stop: watch::Receiver<bool>) -> Result<Ways> {
        if let Some(env) = args.live.strip_prefix('@') {
            let around = Environment::read(global, env)?;
            let opened = tokio::select! {
                opened = around.both(args) => opened,
                _ = stop.wait_for(|stop| *stop) => {
                    Err(eyre!("cancelled while the ways to the databases were opened"))
                }
            };
            if opened.is_err() {
                around.opener.cleared().await;
            }
            return opened;
        }
        let live = url(&args.live, "DRTUI_LIVE_PASSWORD").wrap_err("--live")?;
        let restored = match args.restored.strip_prefix('@') {
            Some(server) => direct(live.clone().on_server(server), args).await?,
            None => {
                direct_to(&args.restored, "DRTUI_RESTORED_PASSWORD", args).await.wrap_err("--restored")?
            }
        };
        Ok(Ways { live: direct(live, args).await?, restored })
    }

    /// Refuses a condition that is not one expression, or that may change something: it runs for every row of every table.
    ///
    /// # Errors
    /// Why it is refused, or could not be checked, in words.
    pub async fn check(&self, condition: &str, mut stop: watch::Receiver<bool>) -> Result<(), String> {
        let [live, restored] = [&self.live, &self.restored].map(|way| Database::new(way.connect.clone()));
        let both =
            async { tokio::try_join!(live.check_condition(condition), restored.check_condition(condition)) };
        tokio::select! {
            done = both => done.map(|_| ()),
            _ = stop.wait_for(|stop| *stop) => Err("cancelled".to_owned()),
        }
    }

    /// Closes the tunnels, and deletes the pods that were made for them.
    pub async fn close(self) {
        tokio::join!(self.live.close(), self.restored.close());
    }
}

impl Way {
    async fn close(self) {
        if let Some(tunnel) = self.tunnel {
            tunnel.close("compared").await;
        }
    }
}

async fn direct_to(text: &str, password: &str, args: &CompareArgs) -> Result<Way> {
    direct(url(text, password)?, args).await
}

async fn direct(url: Url, args: &CompareArgs) -> Result<Way> {
    let tls = tls(&url, args.ca_file.as_deref()).await?;
    let at = url.to_string();
    Ok(Way { connect: Connect::direct(url, tls), at, tunnel: None })
}

fn url(text: &str, password: &str) -> Result<Url> {
    let mut url = Url::parse(text)?;
    if let (None, Ok(secret)) = (&url.password, std::env::var(password)) {
        url.password = Some(secret.into());
    }
    Ok(url)
}

async fn tls(url: &Url, ca_file: Option<&Path>) -> Result<Tls> {
    // libpq's `disable` to `prefer` ask for no certificate: whoever wants that writes it.
    if let Some(SslMode::Disable | SslMode::Allow | SslMode::Prefer) = url.ssl {
        return Ok(Tls::unverified()?);
    }
    let named = url.root.as_deref().filter(|root| *root != "system").map(Path::new);
    Ok(Tls::load(ca_file.or(named)).await?)
}

/// What the configuration says of an environment.
struct Environment {
    target: Target,
    settings: Settings,
    opener: Opener,
}

impl Environment {
    fn read(global: &Global, env: &str) -> Result<Environment> {
        if let Some(other) = global.env.as_deref().filter(|other| *other != env) {
            bail!("--live @{env} and --env {other} are two environments: give one of them");
        }
        let config = Config::find(global.config.as_deref())?;
        let (target, settings) = (config.target(Some(env))?, config.settings(Some(env))?);
        let opener = Opener::new(&settings.kubernetes);
        Ok(Environment { target, settings, opener })
    }

    async fn both(&self, args: &CompareArgs) -> Result<Ways> {
        let restored = async {
            match args.restored.strip_prefix('@') {
                Some(server) => self.tunnel(args, Some(server)).await,
                None => {
                    direct_to(&args.restored, "DRTUI_RESTORED_PASSWORD", args).await.wrap_err("--restored")
                }
            }
        };
        match tokio::join!(self.tunnel(args, None), restored) {
            (Ok(live), Ok(restored)) => Ok(Ways { live, restored }),
            (live, restored) => {
                let (failed, opened): (Vec<_>, Vec<_>) =
                    [live, restored].into_iter().partition(Result::is_err);
                for way in opened.into_iter().flatten() {
                    way.close().await;
                }
                let why = failed.into_iter().find_map(Result::err);
                Err(why.unwrap_or_else(|| eyre!("no way to the databases")))
            }
        }
    }

    /// A tunnel with the app's credentials: to the app's own server, or to another one.
    async fn tunnel(&self, args: &CompareArgs, server: Option<&str>) -> Result<Way> {
        let which = match server {
            None => ServerClass::Live,
            Some(name) => ServerClass::of(name, &self.target.server, &self.settings.azure.side_copies),
        };
        let request = TunnelRequest {
            id: TunnelId(if server.is_none() { 1 } else { 2 }),
            backend: Backend::Postgres,
            which,
            // By name: the app may have been led to another server since.
            server: Some(server.unwrap_or(&self.target.server).to_owned()),
            database: None,
            app: DeploymentKey { namespace: self.target.namespace.clone(), name: self.target.app.clone() },
            own_pod: args.separate_pod,
            local_port: None,
            incident: None,
            unverified: false,
        };
        let mut wish = Wish::of(&request, &self.settings.tunnel, &self.target.environment);
        // Whoever stopped the service cannot go through its pod; the command line has said what it wants.
        wish.may_make_pod = true;
        wish.measure = false;
        wish.idle = None;
        if args.ca_file.is_some() {
            wish.ca_file.clone_from(&args.ca_file);
        }
        let open = self.opener.open(&wish, drop).await?;
        let now = open.now();
        let at = format!("{}/{}", now.server, now.database);
        if !args.quiet {
            let pod = now.via.pod.unwrap_or_default();
            say(&format!("{} {at} through {pod}", now.which.word()));
        }
        let connect =
            open.connect().ok_or_else(|| eyre!("the tunnel to {at} does not lead to PostgreSQL"))?;
        Ok(Way { connect, at, tunnel: Some(open) })
    }
}
