//! Which fault is injected into which provider, until when. Only the state: `serve` acts on it, and so does the
//! Kubernetes simulator for names. No task and no tick: a fault ends because the clock passes its end.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whose answers are spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    Kubernetes,
    Azure,
    Service,
    Github,
    Blobs,
}

impl Provider {
    pub const ALL: [Provider; 5] =
        [Provider::Kubernetes, Provider::Azure, Provider::Service, Provider::Github, Provider::Blobs];

    pub fn name(self) -> &'static str {
        match self {
            Provider::Kubernetes => "kubernetes",
            Provider::Azure => "azure",
            Provider::Service => "service",
            Provider::Github => "github",
            Provider::Blobs => "blobs",
        }
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Provider::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| {
            format!("no provider is called {text:?}; there are kubernetes, azure, service, github and blobs")
        })
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The listener is closed: connections are refused, and open ones end.
    Refused,
    /// Open and new connections get an RST, also in the middle of a watch.
    Reset,
    Unauthorized,
    Forbidden,
    /// 410 to requests, and as an ERROR event in running watches.
    Gone,
    /// 429 with `Retry-After`.
    Throttled,
    ServerError,
    /// Requests are taken and not answered before the fault ends; running watches go silent.
    Stall,
    /// 200 with bytes that are not JSON.
    Garbage,
    /// A 50 MB answer.
    Huge,
    /// Kubernetes objects whose names and reasons carry control sequences or 300 wide characters.
    HostileNames,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Refused,
        Kind::Reset,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::Gone,
        Kind::Throttled,
        Kind::ServerError,
        Kind::Stall,
        Kind::Garbage,
        Kind::Huge,
        Kind::HostileNames,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Refused => "refused",
            Kind::Reset => "reset",
            Kind::Unauthorized => "401",
            Kind::Forbidden => "403",
            Kind::Gone => "410",
            Kind::Throttled => "429",
            Kind::ServerError => "500",
            Kind::Stall => "stall",
            Kind::Garbage => "garbage",
            Kind::Huge => "huge",
            Kind::HostileNames => "hostile-names",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Kind::ALL.into_iter().find(|k| k.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.iter().map(|k| k.name()).collect();
            format!("no fault is called {text:?}; there are {}", names.join(", "))
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    kind: Kind,
    until: Instant,
}

impl Slot {
    fn left(self) -> Option<Duration> {
        self.until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// The faults of one sandbox; clones share them. None at first.
#[derive(Debug, Clone)]
pub struct Faults {
    kubernetes: Arc<watch::Sender<Option<Slot>>>,
    azure: Arc<watch::Sender<Option<Slot>>>,
    service: Arc<watch::Sender<Option<Slot>>>,
    github: Arc<watch::Sender<Option<Slot>>>,
    blobs: Arc<watch::Sender<Option<Slot>>>,
}

impl Default for Faults {
    fn default() -> Self {
        let none = || Arc::new(watch::Sender::new(None));
        Faults { kubernetes: none(), azure: none(), service: none(), github: none(), blobs: none() }
    }
}

impl Faults {
    fn of(&self, provider: Provider) -> &watch::Sender<Option<Slot>> {
        match provider {
            Provider::Kubernetes => &self.kubernetes,
            Provider::Azure => &self.azure,
            Provider::Service => &self.service,
            Provider::Github => &self.github,
            Provider::Blobs => &self.blobs,
        }
    }

    /// Injects `kind` for the time `lasts` from now (at most a day), in place of any other of this provider.
    pub fn set(&self, provider: Provider, kind: Kind, lasts: Duration) {
        let until = Instant::now() + lasts.min(Duration::from_secs(86_400));
        self.of(provider).send_replace(Some(Slot { kind, until }));
    }

    /// Ends the provider's fault now.
    pub fn clear(&self, provider: Provider) {
        self.of(provider).send_replace(None);
    }

    /// The fault that acts now.
    pub fn active(&self, provider: Provider) -> Option<Kind> {
        self.remaining(provider).map(|(kind, _)| kind)
    }

    /// The fault that acts now and how long it still will.
    pub fn remaining(&self, provider: Provider) -> Option<(Kind, Duration)> {
        let slot = (*self.of(provider).borrow())?;
        slot.left().map(|left| (slot.kind, left))
    }

    /// Follows one provider's fault.
    pub fn follow(&self, provider: Provider) -> FaultWatch {
        let receiver = self.of(provider).subscribe();
        let mut follow = FaultWatch { receiver, seen: None };
        follow.seen = follow.now();
        follow
    }
}

/// Waits for a provider's fault to begin, change or end.
#[derive(Debug, Clone)]
pub struct FaultWatch {
    receiver: watch::Receiver<Option<Slot>>,
    seen: Option<Kind>,
}

impl FaultWatch {
    /// The fault that acts now.
    pub fn now(&self) -> Option<Kind> {
        let slot = (*self.receiver.borrow())?;
        slot.left().map(|_| slot.kind)
    }

    /// Returns when the active fault is another than at the last call (or at the start), and says which. Cancel-safe.
    pub async fn changed(&mut self) -> Option<Kind> {
        loop {
            let slot = *self.receiver.borrow_and_update();
            let now = self.now();
            if now != self.seen {
                self.seen = now;
                return now;
            }
            let until = slot.filter(|_| now.is_some()).map(|slot| slot.until);
            tokio::select! {
                closed = self.receiver.changed() => {
                    if closed.is_err() && until.is_none() {
                        // Every handle that could set a fault is gone: nothing will ever change.
                        std::future::pending::<()>().await;
                    }
                }
                () = sleep_until(until) => {}
            }
        }
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        for provider in Provider::ALL {
            assert_eq!(provider.name().parse(), Ok(provider));
        }
        assert!("418".parse::<Kind>().unwrap_err().contains("429"));
        assert!("gcp".parse::<Provider>().unwrap_err().contains("azure"));
    }

    #[tokio::test]
    async fn a_fault_begins_ends_by_itself_and_is_the_providers_own() {
        let faults = Faults::default();
        let mut follow = faults.follow(Provider::Azure);
        faults.set(Provider::Kubernetes, Kind::Stall, Duration::from_secs(60));
        faults.set(Provider::Azure, Kind::Throttled, Duration::from_millis(40));
        assert_eq!(follow.changed().await, Some(Kind::Throttled));
        assert_eq!(follow.changed().await, None);
        assert_eq!(faults.active(Provider::Azure), None);
        assert_eq!(faults.active(Provider::Kubernetes), Some(Kind::Stall));
        faults.clear(Provider::Kubernetes);
        assert_eq!(faults.active(Provider::Kubernetes), None);
    }
}
