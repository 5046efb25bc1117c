//! Where host names lead as seen from inside the cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

/// What a container gets when it looks up a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Address(SocketAddr),
    /// The host is known, but nothing listens on that port.
    NoPort,
    NoHost,
}

type Ask = Arc<dyn Fn(&str) -> Option<SocketAddr> + Send + Sync>;

#[derive(Default)]
struct Table {
    fixed: BTreeMap<(String, u16), SocketAddr>,
    /// Whom to ask about hosts that are not in the table, for one port.
    asked: Option<(u16, Ask)>,
}

/// A table of hosts that can change while the cluster runs; clones are handles to the same one. Nothing else is ever
/// reached from a container: no name is looked up outside of it.
#[derive(Clone, Default)]
pub struct Names(Arc<RwLock<Table>>);

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Names").field(&self.read().fixed).finish()
    }
}

impl Names {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `host:port` lead to `to`, from the next connection on.
    pub fn set(&self, host: &str, port: u16, to: SocketAddr) {
        self.write().fixed.insert((host.to_lowercase(), port), to);
    }

    /// Forgets a host that was set: it does not resolve any more.
    pub fn remove(&self, host: &str) {
        let host = host.to_lowercase();
        self.write().fixed.retain(|(known, _), _| *known != host);
    }

    /// Lets `ask` say, at each connection to `port`, where hosts lead that are not set.
    pub fn ask(&self, port: u16, ask: impl Fn(&str) -> Option<SocketAddr> + Send + Sync + 'static) {
        self.write().asked = Some((port, Arc::new(ask)));
    }

    pub(super) fn find(&self, host: &str, port: u16) -> Found {
        let host = host.trim_end_matches('.').to_lowercase();
        let table = self.read();
        if let Some(address) = table.fixed.get(&(host.clone(), port)) {
            return Found::Address(*address);
        }
        let known = host.parse::<IpAddr>().is_ok() || table.fixed.keys().any(|(known, _)| *known == host);
        let asked = table.asked.clone();
        drop(table);
        match asked.and_then(|(asked, ask)| Some((asked, ask(&host)?))) {
            Some((asked, address)) if asked == port => Found::Address(address),
            Some(_) => Found::NoPort,
            None if known => Found::NoPort,
            None => Found::NoHost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_and_go() {
        let names = Names::default();
        let to = SocketAddr::from(([127, 0, 0, 1], 5999));
        names.set("DB.example", 5432, to);
        assert_eq!(names.find("db.example.", 5432), Found::Address(to));
        assert_eq!(names.find("db.example", 80), Found::NoPort);
        assert_eq!(names.find("10.0.0.1", 80), Found::NoPort);
        names.clone().remove("db.EXAMPLE");
        assert_eq!(names.find("db.example", 5432), Found::NoHost);
        names.ask(5432, move |host| (host == "db.example").then_some(to));
        assert_eq!(names.find("db.example", 5432), Found::Address(to));
        assert_eq!(names.find("db.example", 80), Found::NoPort);
        assert_eq!(names.find("other.example", 5432), Found::NoHost);
    }
}
