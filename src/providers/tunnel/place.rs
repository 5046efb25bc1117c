//! Where a tunnel's bytes go through now, and the way to a server from there, for whoever asks for a stream.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::super::postgres::{BoxStream, Dial, DialError, Host, Room};
use super::api::Api;
use super::channel::Channel;
use super::report::{Counted, Report};
use crate::domain::{Fault, backoff};

/// A new connection waits this long for a lost pod or API server to come back.
const PATIENCE: Duration = Duration::from_secs(25);

/// How bytes get from a pod to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// `nc` is run for each connection.
    Exec,
    /// The pod's main process passes this port on to `to` and to nothing else.
    Forward { port: u16, to: Host },
}

/// A pod to go through.
#[derive(Debug)]
pub struct Place {
    pub namespace: String,
    pub pod: String,
    pub container: Option<String>,
    pub how: How,
    /// Becomes true when the pod is gone: its streams end at once.
    pub lost: watch::Sender<bool>,
}

impl Place {
    pub fn new(namespace: &str, pod: &str, container: Option<String>, how: How) -> Place {
        let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
        Place { namespace, pod, container, how, lost: watch::Sender::new(false) }
    }
}

/// The tunnel's way: asks for a stream, gets one through the pod of the moment. Clones are the same way.
#[derive(Debug, Clone)]
pub struct Way {
    api: Api,
    pub place: watch::Sender<Option<Arc<Place>>>,
    /// Rung when a pod turned out to be unusable.
    pub bad: Arc<Notify>,
    pub report: Arc<Report>,
    /// How many want that no connection is kept that is not theirs.
    pub wanted: watch::Sender<u32>,
}

/// What a failed attempt means for the next.
enum Setback {
    /// Another pod is needed.
    Place(DialError),
    /// The same again, a little later.
    Moment(DialError),
    Final(DialError),
}

impl Way {
    pub fn new(api: Api) -> Way {
        Way {
            api,
            place: watch::Sender::new(None),
            bad: Arc::default(),
            report: Arc::default(),
            wanted: watch::Sender::new(0),
        }
    }

    /// The same way for connections that are not the user's and do not count.
    #[must_use]
    pub fn uncounted(&self) -> Way {
        Way { report: Arc::default(), ..self.clone() }
    }

    /// The pod of the moment.
    pub fn here(&self) -> Option<Arc<Place>> {
        self.place.borrow().clone()
    }

    /// Ends all streams through the present pod and sends new ones elsewhere, once there is an elsewhere.
    pub fn leave(&self) {
        if let Some(place) = self.place.send_replace(None) {
            place.lost.send_replace(true);
        }
    }

    /// Does `then` if the way leads through `pod`. Whoever would lead it elsewhere waits meanwhile.
    pub fn if_through(&self, pod: &str, then: impl FnOnce()) {
        let here = self.place.borrow();
        if here.as_ref().is_some_and(|here| here.pod == pod) {
            then();
        }
    }

    async fn stream(&self, host: &Host) -> Result<BoxStream, DialError> {
        let deadline = Instant::now() + PATIENCE;
        let mut places = self.place.subscribe();
        let mut last = DialError::NoWay { why: "no pod to go through is ready".to_owned() };
        let mut failures = 0;
        loop {
            let Ok(Ok(place)) = timeout_at(deadline, places.wait_for(Option::is_some))
                .await
                .map(|found| found.map(|p| p.clone()))
            else {
                return Err(last);
            };
            let Some(place) = place else { continue };
            match self.open(&place, host).await {
                Ok(stream) => return Ok(stream),
                Err(Setback::Final(error)) => return Err(error),
                Err(Setback::Place(error)) => {
                    last = error;
                    // Whoever keeps the tunnel finds another, unless it has already.
                    self.place.send_if_modified(|now| {
                        let same = now.as_ref().is_some_and(|now| Arc::ptr_eq(now, &place));
                        if same {
                            *now = None;
                        }
                        same
                    });
                    self.bad.notify_one();
                }
                Err(Setback::Moment(error)) => {
                    last = error;
                    failures += 1;
                    let wait =
                        backoff::wait(failures, rand::random(), None).min(Duration::from_millis(1_500));
                    if Instant::now() + wait >= deadline {
                        return Err(last);
                    }
                    sleep(wait).await;
                }
            }
        }
    }

    async fn open(&self, place: &Arc<Place>, host: &Host) -> Result<BoxStream, Setback> {
        let opened = match &place.how {
            How::Exec => {
                let port = host.port.to_string();
                let command = ["nc", host.name.as_str(), port.as_str()];
                let container = place.container.as_deref();
                self.api.exec(&place.namespace, &place.pod, container, &command, true).await
            }
            How::Forward { port, to } if to == host => {
                self.api.port_forward(&place.namespace, &place.pod, *port).await
            }
            How::Forward { to, .. } => {
                let why = format!("pod {} leads to {to} only, not to {host}", place.pod);
                return Err(Setback::Final(DialError::NoWay { why }));
            }
        };
        match opened {
            Ok(connection) => {
                let (place, report) = (Arc::clone(place), Arc::clone(&self.report));
                let channel = Channel::new(connection, place, host.clone(), Arc::clone(&report)).await;
                Ok(BoxStream::new(Counted::new(channel, report)))
            }
            Err(fault) => Err(setback(fault, place)),
        }
    }
}

fn setback(fault: Fault, place: &Place) -> Setback {
    let why = DialError::NoWay { why: format!("no connection through {}: {fault}", place.pod) };
    match fault {
        Fault::Denied { what } => Setback::Final(DialError::Denied { what }),
        Fault::AuthExpired { fix, why } => {
            Setback::Final(DialError::NoWay { why: format!("sign in again: {why} ({fix})") })
        }
        Fault::NotFound { .. } => Setback::Place(why),
        // The kubelet's word for a container that does not run.
        Fault::Server { why: said, .. } if said.contains("container not found") => Setback::Place(why),
        Fault::Unreachable { .. }
        | Fault::TimedOut { .. }
        | Fault::Throttled { .. }
        | Fault::Server { .. } => Setback::Moment(why),
        _ => Setback::Final(why),
    }
}

impl Dial for Way {
    fn dial<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<BoxStream, DialError>> {
        async move {
            let stream = self.stream(host).await;
            if let Err(error) = &stream {
                self.report.failed(error);
            }
            stream
        }
        .boxed()
    }

    fn make_room(&self) -> Option<Room> {
        Some(Room::at(&self.wanted))
    }
}
