//! Tunnels: ways into a database through a pod, over the Kubernetes API alone. For each connection one `exec` of `nc` in
//! the pod; no port is opened there, and in-process connections need none here either.

mod api;
mod channel;
pub mod client;
mod credentials;
mod keep;
mod life;
mod looking;
mod open;
mod openings;
mod own_pod;
mod place;
mod pods;
mod private;
mod redis;
mod report;
mod state;
mod wish;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use self::api::Api;
use self::client::{Client, Run};
use self::keep::{Keeper, Order};
use self::open::Far;
use self::openings::Openings;
use self::place::Way;
pub use self::private::clear_left_behind;
use self::state::Board;
pub use self::wish::{UrlFrom, Wish};
use super::kubernetes::connect::Link;
use super::postgres::{Connect, DialError};
use super::settings::{KubernetesSettings, TunnelSettings};
use crate::domain::feed::{Sink, Update};
use crate::domain::{Fault, HandOff, Orphan, Target, Tool, Tunnel, TunnelId, TunnelRequest, TunnelState};

/// For deleting pods at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// How an opening ends that somebody ends, or that takes too long.
const GIVEN_UP: &str = "given up before it was open";

/// The running side of a tunnel: it ends when nobody can give it orders any more.
#[derive(Debug)]
struct Kept {
    orders: mpsc::Sender<Order>,
    way: Way,
    far: Far,
}

/// An open tunnel. Dropped, it closes in the background, and [`Opener::cleared`] waits until it has.
#[derive(Debug)]
pub struct Open {
    kept: Kept,
    client: Client,
    board: Board,
}

impl Open {
    /// What is known of it now, and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<Tunnel> {
        self.board.subscribe()
    }

    pub fn now(&self) -> Tunnel {
        self.board.now()
    }

    /// For programs at this end.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// For connections of this process: they ride the pod's streams, without a local port. `None` for redis.
    pub fn connect(&self) -> Option<Connect> {
        match &self.kept.far {
            Far::Postgres { url, tls } => {
                Some(Connect::through(url.clone(), tls.clone(), Arc::new(self.kept.way.clone())))
            }
            Far::Redis(_) => None,
        }
    }

    /// Why the last connection through it failed, once.
    pub fn take_failure(&self) -> Option<DialError> {
        self.kept.way.report.take_failure()
    }

    /// Looks for a pod again now.
    pub fn reconnect(&self) {
        let _ = self.kept.orders.try_send(Order::Reconnect);
    }

    /// Ends its connections, deletes its pod, and returns when that is done.
    pub async fn close(&self, why: &str) {
        let (done, ended) = oneshot::channel();
        if self.kept.orders.send(Order::Close { why: why.to_owned(), done }).await.is_ok() {
            let _ = ended.await;
        }
    }
}

/// Opens tunnels in one cluster.
#[derive(Debug, Clone)]
pub struct Opener {
    api: Api,
}

impl Opener {
    pub fn new(settings: &KubernetesSettings) -> Opener {
        Opener { api: Api::new(Arc::new(Link::new(settings.clone()))) }
    }

    /// Opens a tunnel; `watcher` is told every change from the first on.
    ///
    /// # Errors
    /// What is missing or refused, and what to do. Nothing is left behind.
    pub async fn open(
        &self,
        wish: &Wish,
        watcher: impl FnOnce(watch::Receiver<Tunnel>),
    ) -> Result<Open, Fault> {
        let board = Board::new(wish);
        watcher(board.subscribe());
        match open::open(&self.api, wish, &board).await {
            Ok(opened) => {
                let (kept, client) = Keeper::start(&self.api, wish, &board, opened);
                Ok(Open { kept, client, board })
            }
            Err(fault) => {
                let fix = match &fault {
                    Fault::AuthExpired { fix, .. } => fix.clone(),
                    _ => String::new(),
                };
                board.state(TunnelState::Failed { why: fault.to_string(), fix });
                Err(fault)
            }
        }
    }

    /// Waits, not for long, until the pods of what was closed, dropped or given up are deleted. A tunnel that is still
    /// open is waited for, too: close it first.
    pub async fn cleared(&self) {
        // Their deadline ends them otherwise.
        let _ = timeout(FAREWELL, self.api.cleared()).await;
    }

    /// Pods that a drtui of this user on this machine made and did not live to delete.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn orphans(&self, namespace: &str) -> Result<Vec<Orphan>, Fault> {
        Ok(own_pod::standing(&self.api, namespace).await?.orphans)
    }

    /// Deletes a pod; one that is gone is fine.
    ///
    /// # Errors
    /// It may not be deleted.
    pub async fn delete_pod(&self, namespace: &str, pod: &str) -> Result<(), Fault> {
        self.api.delete_pod(namespace, pod).await
    }
}

type AllOpen = Arc<Mutex<BTreeMap<TunnelId, Arc<Open>>>>;

/// The cockpit's tunnels, by their ids.
#[derive(Clone)]
pub struct Tunnels {
    opener: Opener,
    settings: TunnelSettings,
    label: String,
    namespace: String,
    sink: Sink,
    open: AllOpen,
    openings: Openings,
    look: mpsc::Sender<()>,
}

impl std::fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnels").finish_non_exhaustive()
    }
}

impl Tunnels {
    /// Starts looking for pods; returns at once.
    pub fn start(
        kubernetes: &KubernetesSettings,
        settings: &TunnelSettings,
        target: &Target,
        sink: Sink,
    ) -> Tunnels {
        let (look, asked) = mpsc::channel(1);
        let tunnels = Tunnels {
            opener: Opener::new(kubernetes),
            settings: settings.clone(),
            label: target.environment.clone(),
            namespace: target.namespace.clone(),
            sink,
            open: Arc::default(),
            openings: Openings::default(),
            look,
        };
        tokio::spawn(looking::run(
            tunnels.opener.api.clone(),
            tunnels.namespace.clone(),
            Sink::clone(&tunnels.sink),
            Arc::clone(&tunnels.open),
            asked,
        ));
        tunnels.look_for_pods();
        tunnels
    }

    /// Lists the pods that stand for tunnels, soon; the sink is told which.
    pub fn look_for_pods(&self) {
        // Full: a look is asked for already.
        let _ = self.look.try_send(());
    }

    /// Opens a tunnel; its news come by the sink. Where it leads, in words.
    ///
    /// # Errors
    /// It could not be opened.
    pub async fn open(&self, request: &TunnelRequest) -> Result<String, Fault> {
        let wish = Wish::of(request, &self.settings, &self.label);
        let (sink, look, all) = (Sink::clone(&self.sink), self.look.clone(), Arc::clone(&self.open));
        let opening = self.openings.begin(request.id);
        let open = tokio::select! {
            open = self.opener.open(&wish, |news| drop(tokio::spawn(tell(news, sink, look, all)))) => open?,
            () = opening.given_up() => return Err(Fault::Setup { why: GIVEN_UP.to_owned() }),
        };
        let now = open.now();
        self.lock().insert(request.id, Arc::new(open));
        let pod = now.via.pod.unwrap_or_default();
        let port = now.local_port.unwrap_or_default();
        Ok(format!("{} {}/{} on 127.0.0.1:{port} through {pod}", now.which.word(), now.server, now.database))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TunnelId, Arc<Open>>> {
        locked(&self.open)
    }

    pub fn close(&self, id: TunnelId) {
        let open = self.lock().remove(&id);
        match open {
            Some(open) => self.opener.api.owe(async move { open.close("closed").await }),
            None => self.openings.give_up(id),
        }
    }

    /// Closes all, also those that are being opened, before the program ends.
    pub async fn close_all(&self) {
        self.openings.give_up_all().await;
        let all = std::mem::take(&mut *self.lock());
        futures::future::join_all(all.values().map(|open| open.close("the cockpit ends"))).await;
        // Only now: closing adds to what is owed.
        self.opener.cleared().await;
    }

    pub fn reconnect(&self, id: TunnelId) {
        if let Some(open) = self.lock().get(&id) {
            open.reconnect();
        }
    }

    /// Connections of this process to a Postgres server: through an open tunnel that leads there, else through this one,
    /// which is opened and stays.
    ///
    /// # Errors
    /// It could not be opened.
    pub async fn reach(&self, request: &TunnelRequest) -> Result<Connect, Fault> {
        let leads = |open: &&Arc<Open>| {
            let now = open.now();
            // Not one whose server was not verified: whoever asks here has not said that this will do.
            now.state.is_open() && open.board.verified && Some(&now.server) == request.server.as_ref()
        };
        let found = self.lock().values().find(leads).and_then(|open| open.connect());
        if let Some(connect) = found {
            return Ok(connect);
        }
        self.open(request).await?;
        let gone = || Fault::NotFound { what: format!("tunnel {} is not open", request.id) };
        self.connect(request.id).ok_or_else(gone)
    }

    /// Connections of this process through an open tunnel.
    pub fn connect(&self, id: TunnelId) -> Option<Connect> {
        self.lock().get(&id)?.connect()
    }

    /// Deletes a pod that was left behind.
    ///
    /// # Errors
    /// It could not be deleted.
    pub async fn delete_pod(&self, namespace: &str, pod: &str) -> Result<(), Fault> {
        let done = self.opener.delete_pod(namespace, pod).await;
        self.look_for_pods();
        done
    }

    /// The program to give the terminal to, connected through its tunnel.
    ///
    /// # Errors
    /// There is no such tunnel, or the program does not fit it.
    pub fn child(&self, hand_off: &HandOff) -> Result<std::process::Command, Fault> {
        let open = self.lock().get(&hand_off.tunnel).cloned();
        let gone = || Fault::NotFound { what: format!("tunnel {} is not open", hand_off.tunnel) };
        open.filter(|open| open.now().state.is_alive()).ok_or_else(gone)?.client().command(&Run {
            tool: hand_off.tool,
            args: &hand_off.args,
            read_only: hand_off.read_only && hand_off.tool != Tool::PgRestore,
            statement_timeout_ms: hand_off.statement_timeout_ms,
            interactive: matches!(hand_off.tool, Tool::Psql | Tool::Shell),
            colour: std::env::var_os("NO_COLOR").is_none(),
        })
    }
}

fn locked(all: &AllOpen) -> MutexGuard<'_, BTreeMap<TunnelId, Arc<Open>>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes a tunnel's news on until it has ended; it is let go then, and what became of its pod is looked for.
async fn tell(mut news: watch::Receiver<Tunnel>, sink: Sink, look: mpsc::Sender<()>, all: AllOpen) {
    loop {
        let tunnel = Box::new(news.borrow_and_update().clone());
        let (id, had_pod, over) = (tunnel.id, tunnel.via.own_pod, !tunnel.state.is_alive());
        sink(Update::Tunnel { tunnel }, chrono::Utc::now());
        let given_up = !over && news.changed().await.is_err();
        if given_up {
            // Whoever opened it waits no longer, and nobody said how it ended.
            let mut tunnel = Box::new(news.borrow().clone());
            if tunnel.state.is_alive() {
                let why = GIVEN_UP.to_owned();
                tunnel.state = TunnelState::Failed { why, fix: String::new() };
                sink(Update::Tunnel { tunnel }, chrono::Utc::now());
            }
        }
        if over || given_up {
            // One that ended by itself is closed by nobody: its password must not stay on disk. Let go when the lock is.
            let ended = locked(&all).remove(&id);
            drop(ended);
            if had_pod {
                let _ = look.try_send(());
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::redis::RedisUrl;
    use super::wish::request;
    use super::*;
    use crate::domain::ServerClass;

    #[tokio::test]
    async fn a_tunnel_that_ends_by_itself_is_let_go_with_what_it_has_on_disk() {
        let api = Api::new(Arc::new(Link::new(KubernetesSettings::default())));
        let wish = Wish::of(&request(), &TunnelSettings::default(), "production");
        let (board, way) = (Board::new(&wish), Way::new(api));
        board.state(TunnelState::Open);
        let url = RedisUrl::parse("redis://:s3cret@far.example:6379/0").unwrap();
        let client = Client::redis(&url, 1, None, ServerClass::Live, "production").unwrap();
        let kept = Kept { orders: mpsc::channel(1).0, way, far: Far::Redis(url) };
        let open = Arc::new(Open { kept, client, board: board.clone() });
        let (still, all) = (Arc::downgrade(&open), AllOpen::default());
        locked(&all).insert(wish.id, open);

        let (look, _asked) = mpsc::channel(1);
        let telling = tokio::spawn(tell(board.subscribe(), Arc::new(|_, _| {}), look, Arc::clone(&all)));
        board.state(TunnelState::Closed { why: "its time is up".into() });
        telling.await.unwrap();
        assert!(still.upgrade().is_none(), "it is still held, with its private files");
    }
}
