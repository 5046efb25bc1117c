//! Keeps an open tunnel: takes connections on the local port, follows the pod and finds the next one when it goes,
//! watches the limits, and clears away at the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::super::postgres::{Connect, Dial, Host};
use super::FAREWELL;
use super::api::Api;
use super::open::{Far, Opened, ask, make, of_app};
use super::place::{How, Place, Way};
use super::pods::{Follow, PodView, Views};
use super::state::Board;
use super::wish::Wish;
use crate::domain::{Fault, TunnelState, backoff};

/// Connections at once through one tunnel.
const MOST: usize = 256;
const BUFFER: usize = 64 << 10;
const TICK: Duration = Duration::from_secs(1);
const MEASURE: Duration = Duration::from_secs(15);

/// What a keeper can be told.
#[derive(Debug)]
pub enum Order {
    /// Look for a pod again now.
    Reconnect,
    /// End; answered when all is cleared away.
    Close { why: String, done: oneshot::Sender<()> },
}

/// Runs until told to close, or a limit is reached.
pub struct Keeper {
    pub api: Api,
    pub wish: Wish,
    pub board: Board,
    pub way: Way,
    pub far: Far,
    pub selector: String,
    pub own_pod: bool,
    /// The pod gone through now, or last: also when the way has left it.
    last: Option<Arc<Place>>,
    /// What new pods are made with.
    how: How,
    orders: mpsc::Receiver<Order>,
    done: Option<oneshot::Sender<()>>,
    ends: Instant,
}

impl Keeper {
    /// Starts keeping, until whoever asked, with whom the client stays, says so or is gone.
    pub fn start(
        api: &Api,
        wish: &Wish,
        board: &Board,
        opened: Opened,
    ) -> (super::Kept, super::client::Client) {
        let Opened { far, way, client, listener, selector, own_pod } = opened;
        let (send, orders) = mpsc::channel(8);
        let how = way.here().map_or(How::Exec, |place| place.how.clone());
        let keeper = Keeper {
            api: api.clone(),
            wish: wish.clone(),
            board: board.clone(),
            way: way.clone(),
            far: far.clone(),
            selector,
            own_pod,
            last: way.here(),
            how,
            orders,
            done: None,
            ends: Instant::now() + wish.limit,
        };
        if let Ok(address) = listener.local_addr() {
            board.listening(address.port(), client.line());
        }
        board.state(TunnelState::Open);
        api.owe(keeper.run(listener));
        (super::Kept { orders: send, way, far }, client)
    }

    async fn run(mut self, listener: TcpListener) {
        let mut work = JoinSet::new();
        if let Some(host) = self.far.host() {
            work.spawn(accept(listener, self.way.clone(), host.clone()));
        }
        if let (true, Far::Postgres { url, tls }) = (self.wish.measure, &self.far) {
            let way = Arc::new(self.way.uncounted());
            let connect = Connect::through(url.clone(), tls.clone(), way).application("drtui latency");
            work.spawn(measure(connect, self.board.clone(), self.way.wanted.subscribe()));
        }
        let why = self.keep().await;
        // Connections end with the tasks that carry them.
        work.shutdown().await;
        self.way.leave();
        if let Some(last) = self.last.take().filter(|_| self.own_pod) {
            // If this fails its deadline ends it, and the next start offers to.
            let _ = timeout(FAREWELL, self.api.delete_pod(&last.namespace, &last.pod)).await;
        }
        self.board.traffic(self.way.report.traffic());
        self.board.state(TunnelState::Closed { why });
        if let Some(done) = self.done.take() {
            let _ = done.send(());
        }
    }

    /// Until the end; why it ended.
    async fn keep(&mut self) -> String {
        let mut follow = self.follow();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut busy = Instant::now();
        loop {
            let bad = Arc::clone(&self.way.bad);
            let lost = tokio::select! {
                view = follow.next() => self.judge(view.as_ref()),
                // It may have been rung for a pod that was left since.
                () = bad.notified() => {
                    self.way.here().is_none().then(|| "its pod does not answer".to_owned())
                }
                _ = tick.tick() => {
                    if self.board.traffic(self.way.report.traffic()) {
                        busy = Instant::now();
                    }
                    if let Some(why) = self.limit(busy) {
                        return why;
                    }
                    None
                }
                order = self.orders.recv() => match self.obey(order) {
                    Ok(why) => Some(why),
                    Err(why) => return why,
                },
            };
            if let Some(why) = lost {
                // What the old pod is seen to do says nothing of the next.
                drop(follow);
                if let Some(ended) = self.replace(why).await {
                    return ended;
                }
                follow = self.follow();
            }
        }
    }

    fn follow(&self) -> Views {
        let (namespace, pod) = match self.way.here() {
            Some(place) => (place.namespace.clone(), place.pod.clone()),
            None => (self.wish.app.namespace.clone(), String::new()),
        };
        Follow::new(&self.api, &namespace, &pod).telling(&self.board, &self.way).in_background()
    }

    /// Why the pod must be left, if it must. Its streams are cut only when it is gone: one that is being deleted may
    /// still bring them to their end.
    fn judge(&self, view: Option<&PodView>) -> Option<String> {
        let pod = self.way.here().map(|p| p.pod.clone()).unwrap_or_default();
        match view {
            None => {
                self.way.leave();
                Some(format!("pod {pod} is gone"))
            }
            Some(view) if view.over => {
                self.way.leave();
                Some(format!("pod {pod} ended: {}", view.why))
            }
            Some(view) if view.going => Some(format!("pod {pod} is being deleted")),
            Some(_) => None,
        }
    }

    fn limit(&self, busy: Instant) -> Option<String> {
        if Instant::now() >= self.ends {
            return Some(format!("its time is up ({})", minutes(self.wish.limit)));
        }
        let idle = self.wish.idle.filter(|idle| busy.elapsed() >= *idle)?;
        Some(format!("no byte for {}", minutes(idle)))
    }

    fn obey(&mut self, order: Option<Order>) -> Result<String, String> {
        match order {
            Some(Order::Reconnect) => {
                self.way.leave();
                Ok("asked to look again".to_owned())
            }
            Some(Order::Close { why, done }) => {
                self.done = Some(done);
                Err(why)
            }
            None => Err("closed".to_owned()),
        }
    }

    /// Finds another pod, for as long as it takes; `Some` when the tunnel ends meanwhile.
    async fn replace(&mut self, why: String) -> Option<String> {
        self.way.place.send_replace(None);
        let old = self.last.take();
        if let Some(old) = old.clone() {
            if self.own_pod {
                // Nobody comes back to it, and one that has ended stands until it is deleted.
                self.api.delete_pod_soon(&old.namespace, &old.pod);
            }
            // Whoever still goes through the old one notices when it is gone.
            tokio::spawn(cut_when_gone(self.api.clone(), old));
        }
        self.board.reconnecting(why.clone(), None);
        let mut failures = 0;
        loop {
            let found = tokio::select! {
                found = self.search().find(old.as_deref()) => found,
                order = self.orders.recv() => match self.obey(order) {
                    Ok(_) => continue,
                    Err(ended) => return Some(ended),
                },
            };
            match found {
                Ok(place) => {
                    let place = Arc::new(place);
                    self.last = Some(Arc::clone(&place));
                    self.way.place.send_replace(Some(place));
                    self.board.via(&self.way, self.own_pod);
                    self.board.state(TunnelState::Open);
                    return None;
                }
                Err(fault) => {
                    failures += 1;
                    let wait = backoff::wait(failures, rand::random(), fault.retry_after());
                    let next = chrono::TimeDelta::from_std(wait).ok().map(|wait| chrono::Utc::now() + wait);
                    self.board.reconnecting(format!("{why}; {fault}"), next);
                    tokio::select! {
                        () = sleep(wait) => {}
                        order = self.orders.recv() => if let Err(ended) = self.obey(order) {
                            return Some(ended);
                        },
                    }
                }
            }
            if Instant::now() >= self.ends {
                return Some(format!("its time is up ({})", minutes(self.wish.limit)));
            }
        }
    }

    /// What looking for another pod needs to know.
    fn search(&self) -> Search {
        let limit = self.ends.saturating_duration_since(Instant::now());
        Search {
            api: self.api.clone(),
            wish: Wish { limit, ..self.wish.clone() },
            selector: self.selector.clone(),
            how: self.own_pod.then(|| self.how.clone()),
        }
    }
}

struct Search {
    api: Api,
    wish: Wish,
    selector: String,
    /// A pod is made that carries connections like this.
    how: Option<How>,
}

impl Search {
    async fn find(self, old: Option<&Place>) -> Result<Place, Fault> {
        match self.how {
            None => of_app(&self.api, &self.wish, &self.selector, old.map(|o| o.pod.as_str())).await,
            Some(how) => {
                let (place, made) = make(&self.api, &self.wish, how, &Board::new(&self.wish)).await?;
                made.keep();
                Ok(place)
            }
        }
    }
}

fn minutes(time: Duration) -> String {
    match time.as_secs() {
        s if s < 120 => format!("{s} s"),
        s => format!("{} minutes", s / 60),
    }
}

/// Ends the streams through a pod that is on its way out, once it is out.
async fn cut_when_gone(api: Api, place: Arc<Place>) {
    let mut follow = Follow::new(&api, &place.namespace, &place.pod);
    while let Some(view) = follow.next().await {
        if view.over {
            break;
        }
        // An old pod that recovers is left to its streams.
        if !view.going && view.ready {
            return;
        }
    }
    place.lost.send_replace(true);
}

async fn accept(listener: TcpListener, way: Way, host: Host) {
    let room = Arc::new(Semaphore::new(MOST));
    let mut carried = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        // Finished ones are forgotten as new ones come.
        while carried.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let (way, host) = (way.clone(), host.clone());
                carried.spawn(async move {
                    carry(stream, &way, &host).await;
                    drop(permit);
                });
            }
            // Out of descriptors, or the peer has gone already.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// One connection, from its first byte to its last.
async fn carry(mut near: TcpStream, way: &Way, host: &Host) {
    let _ = near.set_nodelay(true);
    // Why it failed is in the way's report, and is told by whoever keeps the tunnel.
    let Ok(mut far) = way.dial(host).await else { return };
    let _ = tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await;
}

/// Measures now and then, on a connection that stands; none stands while somebody wants the room.
async fn measure(connect: Connect, board: Board, mut wanted: watch::Receiver<u32>) {
    let mut tick = interval(MEASURE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            Ok(()) = wanted.changed() => {}
        }
        let elbowed = async { drop(wanted.wait_for(|n| *n > 0).await) };
        let done = tokio::select! {
            biased;
            () = elbowed => false,
            () = once(&connect, &mut client, &board) => true,
        };
        if !done {
            client = None;
        }
    }
}

async fn once(connect: &Connect, client: &mut Option<tokio_postgres::Client>, board: &Board) {
    if client.as_ref().is_none_or(tokio_postgres::Client::is_closed) {
        *client = connect.client().await.ok();
    }
    let Some(standing) = &client else {
        // A whole connection is slower than what is shown, but tells that there is none.
        let _ = ask(connect).await;
        return;
    };
    let began = Instant::now();
    match timeout(MEASURE, standing.simple_query("SELECT 1")).await {
        Ok(Ok(_)) => board.latency(began.elapsed()),
        _ => *client = None,
    }
}
