//! Opens a tunnel: credentials, local port, pod, and a first connection that proves all of it before anybody is told
//! that it is open.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::super::postgres::{Connect, DialError, Host, PostgresError, Tls, Url};
use super::super::words;
use super::api::Api;
use super::client::Client;
use super::own_pod::Made;
use super::place::{How, Place, Way};
use super::redis::RedisUrl;
use super::state::Board;
use super::wish::{UrlFrom, Wish};
use super::{credentials, own_pod, pods};
use crate::domain::{Backend, Fault, ServerClass};

/// The pod outlives the tunnel's own limit by this.
const SPARE: Duration = Duration::from_secs(300);
const PROBE: Duration = Duration::from_secs(20);

/// What answers at the far end, with the password.
#[derive(Debug, Clone)]
pub enum Far {
    Postgres { url: Url, tls: Tls },
    Redis(RedisUrl),
}

impl Far {
    pub fn host(&self) -> Option<&Host> {
        match self {
            Far::Postgres { url, .. } => url.hosts.first(),
            Far::Redis(url) => Some(&url.host),
        }
    }
}

/// All that an open tunnel is made of.
#[derive(Debug)]
pub struct Opened {
    pub far: Far,
    pub way: Way,
    pub client: Client,
    pub listener: TcpListener,
    /// Of the deployment, to find its next pod.
    pub selector: String,
    /// The pod was made for this tunnel.
    pub own_pod: bool,
}

/// Opens it; `board` is told the steps.
///
/// # Errors
/// What is missing or refused, and what to do. Nothing is left behind.
pub async fn open(api: &Api, wish: &Wish, board: &Board) -> Result<Opened, Fault> {
    board.step("reading where the database is");
    // Only what has to be known of the app: who may not read deployments may still make a pod for a URL of their own.
    let needs_app = !wish.own_pod || matches!(wish.url, UrlFrom::Deployment { .. });
    let app = match needs_app {
        true => api.get("deployments", &wish.app.namespace, &wish.app.name).await?,
        false => Value::Null,
    };
    let (far, own) = far(api, wish, &app).await?;
    board.far(&far, class(wish, &far, own));
    let listener = listen(wish.local_port).await?;
    let selector = pods::selector(&app);
    let own_pod = wish.own_pod || wish.port_forward;
    let relay = wish.port_forward;
    let mut attempt = Attempt { api, wish, board, far, selector, own_pod, relay, refused: None };
    let (way, far, made) = loop {
        if let Some(refused) = attempt.forbidden().await {
            attempt.fall_back(refused)?;
            continue;
        }
        let way = Way::new(api.clone());
        let (place, made) = attempt.place().await?;
        way.place.send_replace(Some(Arc::new(place)));
        board.via(&way, attempt.own_pod);
        board.step("asking the database");
        match attempt.probe(&way).await {
            Ok(far) => break (way, far, made),
            Err(failure) => {
                leave(&way, made).await;
                attempt.fall_back(failure)?;
            }
        }
    };
    let client = match client(&far, &listener, wish, board.now().which) {
        Ok(client) => client,
        Err(fault) => {
            leave(&way, made).await;
            return Err(fault);
        }
    };
    if let Some(made) = made {
        made.keep();
    }
    let (selector, own_pod) = (attempt.selector, attempt.own_pod);
    Ok(Opened { far, way, client, listener, selector, own_pod })
}

async fn leave(way: &Way, made: Option<Made>) {
    way.leave();
    if let Some(made) = made {
        made.delete().await;
    }
}

/// What the server is: a URL from elsewhere may lead to another than the app's.
fn class(wish: &Wish, far: &Far, own: bool) -> ServerClass {
    // Named or not: what the app itself writes to is live.
    if own {
        return ServerClass::Live;
    }
    let elsewhere = !matches!(wish.url, UrlFrom::Deployment { .. }) && wish.server.is_none();
    match (&wish.live, far) {
        (Some(live), Far::Postgres { url, .. }) if elsewhere && url.short_server() != live => {
            ServerClass::of(url.short_server(), live, &wish.side_copies)
        }
        _ => wish.which,
    }
}

fn client(far: &Far, listener: &TcpListener, wish: &Wish, which: ServerClass) -> Result<Client, Fault> {
    let port = listener.local_addr().map_err(|e| Fault::Setup { why: words::cause(&e) })?.port();
    match far {
        Far::Postgres { url, tls } => {
            Client::postgres(url, port, tls, which, &wish.label, &format!("drtui-{}", wish.id))
        }
        Far::Redis(url) => Client::redis(url, port, wish.ca_file.as_deref(), which, &wish.label),
    }
}

/// Where the tunnel leads, and whether that is the app's own database server.
async fn far(api: &Api, wish: &Wish, app: &Value) -> Result<(Far, bool), Fault> {
    let secret = match &wish.url {
        UrlFrom::Given(url) => url.clone(),
        UrlFrom::KeyVault { vault, name, azure } => {
            credentials::of_key_vault(azure.as_deref(), vault, name).await?
        }
        UrlFrom::Deployment { variable } => {
            match credentials::of_deployment(api, &wish.app, app, variable).await {
                // konduit.sh asks the app itself, for which other rights are enough.
                Err(denied @ Fault::Denied { .. }) if !wish.own_pod => {
                    let asked = credentials::of_pod(api, &wish.app, app, variable).await;
                    asked
                        .map_err(|fault| if matches!(fault, Fault::Denied { .. }) { denied } else { fault })?
                }
                other => other?,
            }
        }
    };
    let whose = match &wish.url {
        UrlFrom::Deployment { variable } => format!("{variable} of {}", wish.app),
        UrlFrom::Given(_) => "the URL given".to_owned(),
        UrlFrom::KeyVault { vault, name, .. } => format!("{name}-database-url in key vault {vault}"),
    };
    let malformed = |e: super::super::postgres::UrlError| Fault::Garbled { why: format!("{whose}: {e}") };
    if wish.backend == Backend::Redis {
        let mut url = RedisUrl::parse(secret.expose_secret()).map_err(malformed)?;
        if let Some(index) = &wish.database {
            let bad =
                |_| Fault::Setup { why: format!("{} is no redis database: a number", words::plain(index)) };
            url.database = index.parse().map_err(bad)?;
        }
        url.tls &= !wish.in_cluster;
        return Ok((Far::Redis(url), false));
    }
    let mut url = Url::parse(secret.expose_secret()).map_err(malformed)?;
    let apps = url.server().to_owned();
    if let Some(server) = &wish.server {
        url = url.on_server(server);
        // The name is somebody's typing: it is held to the same rules as one in a URL.
        url = Url::parse(&format!("postgres://x@{}", url.server())).map_err(malformed).map(|_| url)?;
    }
    if let Some(database) = &wish.database {
        url = url.in_database(database);
    }
    let tls = tls(wish, &url).await?;
    let own = matches!(wish.url, UrlFrom::Deployment { .. }) && wish.server.is_some() && url.server() == apps;
    Ok((Far::Postgres { url, tls }, own))
}

async fn tls(wish: &Wish, url: &Url) -> Result<Tls, Fault> {
    let setup = |e: PostgresError| Fault::Setup { why: e.to_string() };
    if let Some(named) = &wish.unverified {
        if named != url.server() {
            let why = format!(
                "{} was named as the server not to verify, and the tunnel leads to {}",
                words::plain(named),
                url.server()
            );
            return Err(Fault::Setup { why });
        }
        return Tls::unverified().map_err(setup);
    }
    // A file in a URL means something where the URL was written: on this machine only if it was given here.
    let own = url.root.as_deref().filter(|root| matches!(wish.url, UrlFrom::Given(_)) && *root != "system");
    Tls::load(wish.ca_file.as_deref().or(own.map(Path::new))).await.map_err(setup)
}

async fn listen(port: Option<u16>) -> Result<TcpListener, Fault> {
    TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await.map_err(|e| Fault::Setup {
        why: match (e.kind(), port) {
            (std::io::ErrorKind::AddrInUse, Some(port)) => {
                format!("local port {port} is taken: name another, or none to get a free one")
            }
            _ => format!("cannot listen on 127.0.0.1: {}", words::cause(&e)),
        },
    })
}

struct Attempt<'a> {
    api: &'a Api,
    wish: &'a Wish,
    board: &'a Board,
    far: Far,
    selector: String,
    own_pod: bool,
    /// exec is refused: a pod that relays, reached by port-forward.
    relay: bool,
    /// The right that exec lacks, in the cluster's words.
    refused: Option<String>,
}

/// Why the first connection failed.
struct Failure {
    fault: Fault,
    /// What the way had to do with it.
    dial: Option<DialError>,
}

impl Attempt<'_> {
    /// The refusal of what a pod of its own is reached by, before one is made for nothing: rights are looked at before
    /// the pod is looked for.
    async fn forbidden(&self) -> Option<Failure> {
        if !self.own_pod {
            return None;
        }
        let namespace = &self.wish.app.namespace;
        let asked = match self.relay {
            true => self.api.port_forward(namespace, NO_POD, 1).await,
            false => self.api.exec(namespace, NO_POD, None, &["true"], false).await,
        };
        match asked {
            Err(fault @ Fault::Denied { .. }) => {
                let Fault::Denied { what } = &fault else { return None };
                let dial = Some(DialError::Denied { what: what.clone() });
                Some(Failure { fault, dial })
            }
            _ => None,
        }
    }

    async fn place(&self) -> Result<(Place, Option<Made>), Fault> {
        if self.own_pod {
            let how = match self.far.host() {
                Some(to) if self.relay => own_pod::relay(to),
                _ => How::Exec,
            };
            let (place, made) = make(self.api, self.wish, how, self.board).await?;
            return Ok((place, Some(made)));
        }
        self.board.step("looking for a pod");
        Ok((of_app(self.api, self.wish, &self.selector, None).await?, None))
    }

    /// The first connection, over each of the URL's hosts until one answers: that one it is then.
    async fn probe(&self, way: &Way) -> Result<Far, Failure> {
        let way = way.uncounted();
        let Far::Postgres { url, tls } = &self.far else { return Ok(self.far.clone()) };
        let mut last =
            Failure { fault: Fault::Setup { why: "the URL names no host".to_owned() }, dial: None };
        for host in &url.hosts {
            let one = Url { hosts: vec![host.clone()], ..url.clone() };
            let connect = Connect::through(one.clone(), tls.clone(), Arc::new(way.clone())).patience(PROBE);
            match ask(&connect).await {
                Ok(took) => {
                    self.board.latency(took);
                    return Ok(Far::Postgres { url: one, tls: tls.clone() });
                }
                Err(error) => last = Failure { fault: fault(&error), dial: way.report.take_failure() },
            }
        }
        Err(last)
    }

    /// The next best way, or the failure if there is none.
    fn fall_back(&mut self, failure: Failure) -> Result<(), Fault> {
        let may = self.wish.may_make_pod || self.own_pod;
        match failure.dial {
            Some(DialError::NoNc { pod }) if !self.own_pod && may => {
                self.own_pod = true;
                self.board.note(&format!("pod {pod} has no nc: a pod of its own is made"));
            }
            Some(DialError::Denied { what }) if !self.relay && may => {
                (self.own_pod, self.relay) = (true, true);
                self.board.note(&format!(
                    "{} is not allowed: it goes by port-forward to a pod of its own",
                    right(&what)
                ));
                self.refused = Some(what);
            }
            Some(DialError::Denied { what }) => return Err(Fault::Denied { what: self.no_way(&what) }),
            _ => return Err(failure.fault),
        }
        Ok(())
    }

    /// What is said when a right is missing and no way is left: which right, whose, and what else there is.
    fn no_way(&self, what: &str) -> String {
        match &self.refused {
            Some(exec) => format!(
                "neither {} nor {}, and a tunnel needs one of them. Ask for one, or go the third way, konduit.sh \
                 (drtui tunnel --konduit), which signs in by kubectl. The cluster says: {exec}",
                right(exec),
                right(what)
            ),
            None if self.own_pod || self.relay => what.to_owned(),
            None => format!(
                "{}. A pod of its own (-x, or `through` in the form) is reached by port-forward instead. \
                 The cluster says: {what}",
                right(what)
            ),
        }
    }
}

/// A name that no pod has: a request about it is refused for want of rights, or finds nothing.
const NO_POD: &str = "drtui-tunnel-none";

/// `create pods/exec` of `create pods/exec on tra-test/web-1: pods "web-1" is forbidden: …`.
fn right(what: &str) -> &str {
    what.split(" on ").next().unwrap_or(what)
}

/// A pod of the app to go through, other than `but` if possible.
pub async fn of_app(api: &Api, wish: &Wish, selector: &str, but: Option<&str>) -> Result<Place, Fault> {
    let pod = pods::of_app(api, &wish.app, selector, but).await?;
    Ok(Place::new(&wish.app.namespace, &pod.name, pod.container, How::Exec))
}

/// A pod made for this tunnel.
pub async fn make(api: &Api, wish: &Wish, how: How, board: &Board) -> Result<(Place, Made), Fault> {
    let wanted = own_pod::Wanted {
        namespace: wish.app.namespace.clone(),
        image: wish.image.clone(),
        app: wish.app.name.clone(),
        incident: wish.incident.clone(),
        tunnel: wish.id,
        deadline: wish.limit + SPARE,
        how,
    };
    own_pod::make(api, &wanted, &|step| board.step(&step)).await
}

/// Connects and times a `SELECT 1`.
///
/// # Errors
/// As [`Connect::client`].
pub async fn ask(connect: &Connect) -> Result<Duration, PostgresError> {
    let client = connect.client().await?;
    let began = Instant::now();
    let asked = timeout(PROBE, client.simple_query("SELECT 1")).await;
    let server = connect.url().server().to_owned();
    match asked {
        Ok(Ok(_)) => Ok(began.elapsed()),
        Ok(Err(error)) => Err(PostgresError::Lost { server, why: words::cause(&error) }),
        Err(_) => Err(PostgresError::TimedOut { server, after_s: PROBE.as_secs() }),
    }
}

/// A database's refusal as a source's fault.
fn fault(error: &PostgresError) -> Fault {
    let why = words::plain(&error.to_string());
    match error {
        PostgresError::UnknownServer { .. } | PostgresError::UnknownDatabase { .. } => {
            Fault::NotFound { what: error.to_string() }
        }
        PostgresError::Password { .. } => Fault::Denied { what: why },
        _ => Fault::Setup { why: error.to_string() },
    }
}
