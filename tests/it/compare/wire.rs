//! Connections of the tests to a pair's servers, and a proxy that can be slow, far away, or cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use drtui::compare::engine::{CompareError, Job, run};
use drtui::compare::link::{Cancel, Connect, Later, Link, LinkError};
use drtui::compare::{Event, Options, Summary, TableResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_postgres::{CancelToken, NoTls};

use super::pair::Pair;

/// Plain connections to a port on this machine.
#[derive(Debug, Clone)]
pub struct Wire {
    pub port: u16,
    pub user: String,
}

impl Connect for Wire {
    fn connect(&self) -> Later<'_, Result<Link, LinkError>> {
        Box::pin(async {
            let config = format!("host=127.0.0.1 port={} user={} dbname=app", self.port, self.user);
            let opened = tokio_postgres::connect(&config, NoTls).await;
            let (client, connection) = opened.map_err(|e| LinkError {
                again: e.as_db_error().is_none_or(|e| e.code().code().starts_with("57P")),
                why: e.to_string(),
            })?;
            tokio::spawn(connection);
            let cancel = Arc::new(Canceller(client.cancel_token()));
            Ok(Link { client, cancel })
        })
    }
}

struct Canceller(CancelToken);

impl Cancel for Canceller {
    fn cancel(&self) -> Later<'static, ()> {
        let token = self.0.clone();
        Box::pin(async move {
            let _ = token.cancel_query(NoTls).await;
        })
    }
}

/// What a comparison told.
#[derive(Debug)]
pub struct Told {
    pub tables: Vec<TableResult>,
    pub events: Vec<Event>,
    /// When each event came, counted from the beginning.
    pub came: Vec<Duration>,
    pub outcome: Result<Summary, CompareError>,
}

impl Told {
    pub fn table(&self, name: &str) -> &TableResult {
        let found = self.tables.iter().find(|t| t.table.name == name || t.table.to_string() == name);
        found.unwrap_or_else(|| panic!("no result for {name}: {:?}", self.outcome))
    }
}

/// Compares over these two ports.
pub async fn compare(live: u16, restored: u16, user: &str, options: Options) -> Told {
    let (stop, stopped) = watch::channel(false);
    let told = compare_until(live, restored, user, options, stopped).await;
    drop(stop);
    told
}

/// Compares until it is told to stop.
pub async fn compare_until(
    live: u16,
    restored: u16,
    user: &str,
    options: Options,
    stop: watch::Receiver<bool>,
) -> Told {
    begin(live, restored, user, options, stop).finish().await
}

/// Begins a comparison.
pub fn begin(live: u16, restored: u16, user: &str, options: Options, stop: watch::Receiver<bool>) -> At {
    let (events, news) = mpsc::channel(64);
    let wire = |port| Arc::new(Wire { port, user: user.to_owned() });
    let job = Job { live: wire(live), restored: wire(restored), options, events, stop };
    let told = Told { tables: vec![], events: vec![], came: vec![], outcome: Err(CompareError::Cancelled) };
    At { running: tokio::spawn(run(job)), news, began: Instant::now(), told }
}

/// A comparison at work.
#[derive(Debug)]
pub struct At {
    running: tokio::task::JoinHandle<Result<Summary, CompareError>>,
    news: mpsc::Receiver<Event>,
    began: Instant,
    told: Told,
}

impl At {
    async fn next(&mut self) -> Option<Event> {
        let event = self.news.recv().await?;
        if let Event::Table { table } = &event {
            self.told.tables.push((**table).clone());
        }
        self.told.events.push(event.clone());
        self.told.came.push(self.began.elapsed());
        Some(event)
    }

    /// Goes on until this is said.
    pub async fn until_note(&mut self, said: &str) {
        while let Some(event) = self.next().await {
            if matches!(&event, Event::Note { text } if text.contains(said)) {
                return;
            }
        }
        panic!("never said: {said}; {:?}", self.told.events);
    }

    pub async fn finish(mut self) -> Told {
        while self.next().await.is_some() {}
        self.told.outcome = self.running.await.unwrap();
        self.told
    }
}

/// Compares a pair directly, as the role that only reads.
pub async fn directly(pair: &Pair, options: Options) -> Told {
    compare(pair.live.port, pair.restored.port, "reader", options).await
}

/// A TCP proxy on this machine.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Microseconds each way.
    delay: AtomicU64,
    /// Bytes a second towards the client; 0 is no limit.
    rate: u64,
    /// Bytes towards the client after which every connection is cut, once; below 0 never.
    fuse: AtomicI64,
    received: AtomicU64,
    cuts: AtomicU64,
}

impl Proxy {
    /// Bytes that went towards the client.
    pub fn received(&self) -> u64 {
        self.state.received.load(Ordering::Relaxed)
    }

    /// From now on, each way.
    pub fn set_delay(&self, delay: Duration) {
        self.state.delay.store(delay.as_micros() as u64, Ordering::Relaxed);
    }

    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::Relaxed)
    }

    /// Listens before `server`. `cut_after`: bytes towards the client after which the connection at hand breaks.
    pub async fn before(server: u16, delay: Duration, rate: u64, cut_after: Option<u64>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State {
            delay: AtomicU64::new(delay.as_micros() as u64),
            rate,
            fuse: AtomicI64::new(cut_after.map_or(-1, |n| n as i64)),
            received: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
        });
        let proxy = Proxy { port: listener.local_addr().unwrap().port(), state: Arc::clone(&state) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (client_in, client_out) = client.into_split();
                    let (server_in, server_out) = server.into_split();
                    // Whichever way ends first ends both.
                    tokio::select! {
                        () = pump(client_in, server_out, Arc::clone(&state), false) => {}
                        () = pump(server_in, client_out, state, true) => {}
                    }
                });
            }
        });
        proxy
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    state: Arc<State>,
    down: bool,
) {
    let (queue, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(256);
    let at_read = Arc::clone(&state);
    let read = async move {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(n) = from.read(&mut buffer).await {
            let delay = Duration::from_micros(at_read.delay.load(Ordering::Relaxed));
            if n == 0 || queue.send((Instant::now() + delay, buffer[..n].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        let mut free = Instant::now();
        while let Some((at, bytes)) = arriving.recv().await {
            if down && spent(&state, bytes.len()) {
                return;
            }
            tokio::time::sleep_until(at.max(free)).await;
            if down && state.rate > 0 {
                let takes = Duration::from_secs_f64(bytes.len() as f64 / state.rate as f64);
                free = at.max(free) + takes;
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

/// Counts, and says whether the connection is to be cut now.
fn spent(state: &State, bytes: usize) -> bool {
    state.received.fetch_add(bytes as u64, Ordering::Relaxed);
    let before = state.fuse.load(Ordering::Relaxed);
    if before < 0 {
        return false;
    }
    let left = before - bytes as i64;
    state.fuse.store(left.max(-1), Ordering::Relaxed);
    if left < 0 {
        state.cuts.fetch_add(1, Ordering::Relaxed);
    }
    left < 0
}
