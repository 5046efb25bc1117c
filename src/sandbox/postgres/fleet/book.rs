//! The register: which servers there are, which were dropped, which port each name has, and what was done.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::net::TcpSocket;

use super::backup::Base;
use super::server::{Lifecycle, Operation, Refusal, Server, Shape};
use super::{Inner, MOST_SERVERS, not_found};
use crate::sandbox::postgres::PostgresError;
use crate::sandbox::postgres::cluster::Cluster;
use crate::sandbox::postgres::postmaster::Postmaster;

/// Operations that are remembered; the oldest ended ones are forgotten first.
const MOST_OPERATIONS: usize = 1_000;
/// Names that ever had a server.
const MOST_NAMES: usize = 200;

/// A server and what stands behind it.
#[derive(Debug)]
pub(super) struct Entry {
    pub server: Server,
    /// `None` for a server on paper, and until its cluster is made.
    pub cluster: Option<Cluster>,
    pub postmaster: Option<Postmaster>,
    pub base: Option<Arc<Base>>,
}

impl Entry {
    pub fn new(name: &str, port: u16, created: DateTime<Utc>, folder: &str) -> Entry {
        let server = Server {
            name: name.to_owned(),
            state: Lifecycle::Provisioning,
            version: (0, 0),
            created,
            earliest_restore: None,
            dropped: None,
            tags: BTreeMap::from([
                ("Environment".to_owned(), "Prod".to_owned()),
                ("Product".to_owned(), "Refer Serious Misconduct".to_owned()),
            ]),
            shape: Shape::default(),
            port,
            folder: folder.to_owned(),
            starts: 0,
            backups: Vec::new(),
        };
        Entry { server, cluster: None, postmaster: None, base: None }
    }

    pub fn runs(&mut self, cluster: Cluster, postmaster: Postmaster) {
        self.cluster = Some(cluster);
        self.postmaster = Some(postmaster);
        self.server.starts += 1;
    }
}

/// A port that belongs to a name for the whole run. Where the system allows it, a socket that is bound and does not
/// listen keeps others off while no server runs on it.
#[derive(Debug)]
struct Port {
    number: u16,
    _held: Option<TcpSocket>,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    /// By name in lower case.
    pub entries: BTreeMap<String, Entry>,
    pub dropped: Vec<Entry>,
    pub operations: VecDeque<Operation>,
    ports: HashMap<String, Port>,
    folders: u32,
}

impl Book {
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(&name.to_ascii_lowercase())
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.get_mut(&name.to_ascii_lowercase())
    }

    pub fn put(&mut self, entry: Entry) {
        self.entries.insert(entry.server.name.to_ascii_lowercase(), entry);
    }

    pub fn remove(&mut self, name: &str) -> Option<Entry> {
        self.entries.remove(&name.to_ascii_lowercase())
    }

    /// The server, if nothing is being done to it.
    pub fn settled(&mut self, name: &str) -> Result<&mut Entry, Refusal> {
        let entry = self.get_mut(name).ok_or_else(|| not_found(name))?;
        if entry.server.state.is_settled() { Ok(entry) } else { Err(Refusal::Busy { name: name.to_owned() }) }
    }

    /// The dropped server of that name that was dropped last.
    pub fn last_dropped(&self, name: &str) -> Option<&Entry> {
        self.dropped.iter().rev().find(|e| e.server.name.eq_ignore_ascii_case(name))
    }

    pub fn remember(&mut self, operation: Operation) {
        if self.operations.len() >= MOST_OPERATIONS {
            let oldest = self.operations.iter().position(|o| o.ended.is_some()).unwrap_or_default();
            self.operations.remove(oldest);
        }
        self.operations.push_back(operation);
    }

    /// The port that belongs to `name`: the same for every server that ever has it.
    pub fn port_of(&mut self, name: &str) -> Result<u16, PostgresError> {
        let name = name.to_ascii_lowercase();
        if let Some(port) = self.ports.get(&name) {
            return Ok(port.number);
        }
        let failed =
            |e: std::io::Error| PostgresError::Start { why: format!("no free port on 127.0.0.1: {e}") };
        let socket = TcpSocket::new_v4().map_err(failed)?;
        socket.set_reuseaddr(true).map_err(failed)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let number = socket.local_addr().map_err(failed)?.port();
        let held = cfg!(target_os = "linux").then_some(socket);
        self.ports.insert(name, Port { number, _held: held });
        Ok(number)
    }
}

impl Inner {
    /// An entry for a new server called `name`, not yet in the book.
    pub(super) fn room_for(&self, book: &mut Book, name: &str) -> Result<Entry, Refusal> {
        if !is_name(name) {
            return Err(Refusal::BadName { name: name.to_owned() });
        }
        if book.get(name).is_some() {
            return Err(Refusal::NameTaken { name: name.to_owned() });
        }
        self.forget_old(book);
        let many = book.entries.len() + book.dropped.len() >= MOST_SERVERS || book.ports.len() >= MOST_NAMES;
        let port = book.port_of(name).ok().filter(|_| !many);
        let port = port.ok_or(Refusal::TooMany { most: MOST_SERVERS })?;
        book.folders += 1;
        let folder = format!("{name}-{}", book.folders);
        Ok(Entry::new(name, port, Utc::now(), &folder))
    }

    /// Removes dropped servers whose time is over, with their files.
    pub(super) fn forget_old(&self, book: &mut Book) {
        let oldest = Utc::now() - self.rules.kept;
        let (kept, gone): (Vec<Entry>, Vec<Entry>) =
            book.dropped.drain(..).partition(|e| e.server.dropped.is_none_or(|dropped| dropped > oldest));
        book.dropped = kept;
        for entry in gone {
            self.remove_files(&entry.server.folder);
        }
    }
}

/// 3 to 63 lower-case letters, digits and hyphens, no hyphen at the ends.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (3..=63).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_azures() {
        for good in ["s189p01-rsm-pd-pg-ptr", "abc"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["ab", "-abc", "abc-", "Abc", "a_b", "a.b", &"x".repeat(64), "a/../b"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_keeps_its_port_and_another_has_another() {
        let mut book = Book::default();
        let first = book.port_of("live").unwrap();
        assert_eq!(book.port_of("LIVE").unwrap(), first);
        assert_ne!(book.port_of("ptr").unwrap(), first);
    }
}
