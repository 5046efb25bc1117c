//! Where the watches of a cluster meet: merges what they bring, decides how we stand with Kubernetes as a whole, and
//! tells the sink. Synchronous, called under a lock, reads no clock.

use std::collections::{BTreeSet, HashMap};

use super::merge::{Kind, Merge, Thing};
use crate::domain::feed::Sink;
use crate::domain::{Deployment, Fault, Phase, Source, Target, Update, Utc};

/// A part of our standing: one of the watches, or the probe that checks on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Watch(Kind),
    Probe,
}

#[derive(Debug, Default)]
struct State {
    /// A complete list has arrived.
    listed: bool,
    /// The watch runs.
    up: bool,
    /// Why it does not, and when the next try is due.
    fault: Option<(Fault, Utc)>,
}

/// All parts together.
pub struct Board {
    merge: Merge,
    sink: Sink,
    watches: [(Kind, State); 3],
    probe: Option<(Fault, Utc)>,
    /// What the sink knows of each deployment, once it knows any.
    shown: Option<HashMap<String, Deployment>>,
    said: Option<(Phase, Option<Utc>)>,
    /// When the watch of deployments last spoke (UTC). No other watch, and no probe on another connection, vouches for
    /// what it shows.
    heard: Option<Utc>,
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("said", &self.said).finish_non_exhaustive()
    }
}

impl Board {
    pub fn new(target: &Target, sink: Sink) -> Board {
        Board {
            merge: Merge::new(target),
            sink,
            watches: Kind::ALL.map(|kind| (kind, State::default())),
            probe: None,
            shown: None,
            said: None,
            heard: None,
        }
    }

    fn watch(&mut self, kind: Kind) -> Option<&mut State> {
        self.watches.iter_mut().find(|(k, _)| *k == kind).map(|(_, s)| s)
    }

    /// True while every watch runs.
    pub fn all_up(&self) -> bool {
        self.watches.iter().all(|(_, s)| s.up && s.fault.is_none())
    }

    /// A complete list arrived.
    pub fn listed(&mut self, kind: Kind, things: Vec<Thing>, at: Utc) {
        self.merge.replace(kind, things);
        if let Some(state) = self.watch(kind) {
            state.listed = true;
        }
        if kind == Kind::Deployments {
            self.heard = Some(at);
        }
        self.tell_all(at);
    }

    /// A watched thing is new or changed.
    pub fn applied(&mut self, thing: Thing, at: Utc) {
        let names = self.merge.apply(thing);
        self.tell(&names, at);
    }

    /// A watched thing is gone.
    pub fn removed(&mut self, thing: &Thing, at: Utc) {
        let names = self.merge.remove(thing);
        self.tell(&names, at);
    }

    /// The watch runs.
    pub fn up(&mut self, kind: Kind, at: Utc) {
        if let Some(state) = self.watch(kind) {
            state.up = true;
            state.fault = None;
        }
        if self.all_up() {
            self.probe = None;
        }
        self.heard(kind, at);
        self.stand(at);
    }

    /// A watch spoke: it was taken up, sent an event or a bookmark.
    pub fn heard(&mut self, kind: Kind, at: Utc) {
        if kind == Kind::Deployments && self.shown.is_some() {
            self.heard = Some(at);
            (self.sink)(Update::Heard { source: Source::Kubernetes }, at);
        }
    }

    /// The probe got its answer. True if it had failed before.
    pub fn probed(&mut self, at: Utc) -> bool {
        let failed = self.probe.take().is_some();
        self.stand(at);
        failed
    }

    /// A part failed and will try again at `next`.
    pub fn down(&mut self, part: Part, fault: Fault, next: Utc, at: Utc) {
        match part {
            Part::Probe => self.probe = Some((fault, next)),
            Part::Watch(kind) => {
                if let Some(state) = self.watch(kind) {
                    state.fault = Some((fault, next));
                }
                // A part that cannot be listed at all must not hold back the others.
                if self.shown.is_none() {
                    self.tell_all(at);
                }
            }
        }
        self.stand(at);
    }

    fn tell_all(&mut self, at: Utc) {
        let at = self.heard.unwrap_or(at);
        let listed = |kind| self.watches.iter().any(|(k, s)| *k == kind && s.listed);
        let settled = self.watches.iter().all(|(_, s)| s.listed || s.fault.is_some());
        if !listed(Kind::Deployments) || !settled {
            return;
        }
        let all = self.merge.all();
        self.shown = Some(all.iter().map(|d| (d.key.name.clone(), d.clone())).collect());
        (self.sink)(Update::Deployments { all }, at);
    }

    fn tell(&mut self, names: &BTreeSet<String>, at: Utc) {
        let Some(shown) = &mut self.shown else { return };
        for name in names {
            match self.merge.get(name) {
                Some(deployment) if shown.get(name) != Some(&deployment) => {
                    shown.insert(name.clone(), deployment.clone());
                    (self.sink)(Update::DeploymentChanged { deployment }, at);
                }
                None if shown.remove(name).is_some() => {
                    (self.sink)(Update::DeploymentGone { key: self.merge.key(name) }, at);
                }
                _ => {}
            }
        }
    }

    /// Says how we stand, if that changed.
    fn stand(&mut self, at: Utc) {
        let faults = || self.watches.iter().filter_map(|(_, s)| s.fault.as_ref()).chain(self.probe.as_ref());
        let worst = faults().min_by_key(|(fault, _)| rank(fault));
        let now = match worst {
            Some((fault, _)) => (fault.phase(), faults().map(|(_, next)| *next).min()),
            None if self.all_up() => (Phase::Live, None),
            None => return,
        };
        if self.said.as_ref() != Some(&now) {
            self.said = Some(now.clone());
            let (phase, next_try) = now;
            (self.sink)(Update::Standing { source: Source::Kubernetes, phase, next_try }, at);
        }
    }
}

/// Faults that a person can mend come first.
fn rank(fault: &Fault) -> u8 {
    match fault {
        Fault::AuthExpired { .. } | Fault::Setup { .. } => 0,
        Fault::Denied { .. } => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::merge::tests::{deployment, target};
    use super::*;

    type Said = Arc<Mutex<Vec<(Update, Utc)>>>;

    fn board() -> (Board, Said) {
        let said = Said::default();
        let ear = Arc::clone(&said);
        let sink: Sink = Arc::new(move |update, at| ear.lock().unwrap().push((update, at)));
        (Board::new(&target(false), sink), said)
    }

    fn at(second: i64) -> Utc {
        chrono::DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn drain(said: &Said) -> Vec<(Update, Utc)> {
        std::mem::take(&mut said.lock().unwrap())
    }

    fn reset() -> Fault {
        Fault::Unreachable { why: "connection reset by peer".into() }
    }

    fn running() -> (Board, Said) {
        let (mut board, said) = board();
        board.listed(Kind::Deployments, vec![deployment("rsm-test", 2, 2)], at(0));
        assert!(drain(&said).is_empty(), "nothing is shown before pods and autoscalers are known too");
        board.listed(Kind::Pods, Vec::new(), at(0));
        board.listed(Kind::Autoscalers, Vec::new(), at(0));
        for kind in Kind::ALL {
            board.up(kind, at(1));
        }
        (board, said)
    }

    #[test]
    fn all_is_shown_once_all_is_known_and_then_changes_only() {
        let (mut board, said) = running();
        let first = drain(&said);
        assert!(matches!(&first[0].0, Update::Deployments { all } if all.len() == 1));
        assert!(matches!(&first[1].0, Update::Heard { source: Source::Kubernetes }));
        assert!(matches!(&first[2].0, Update::Standing { phase: Phase::Live, next_try: None, .. }));
        assert_eq!(first.len(), 3);
        board.applied(deployment("rsm-test", 2, 2), at(2));
        assert!(drain(&said).is_empty(), "no news is not news");
        board.applied(deployment("rsm-test", 0, 2), at(3));
        board.removed(&deployment("rsm-test", 0, 0), at(4));
        let news = drain(&said);
        assert!(matches!(&news[0].0, Update::DeploymentChanged { deployment } if deployment.wanted == 0));
        assert!(matches!(&news[1].0, Update::DeploymentGone { key } if key.name == "rsm-test"));
    }

    #[test]
    fn values_are_as_of_the_last_word_of_the_watch_of_deployments() {
        let (mut board, said) = running();
        drain(&said);
        let heard = |news: &[(Update, Utc)]| {
            news.iter()
                .filter(|(u, _)| matches!(u, Update::Heard { .. }))
                .map(|(_, at)| *at)
                .collect::<Vec<_>>()
        };
        board.heard(Kind::Deployments, at(50));
        assert_eq!(heard(&drain(&said)), [at(50)], "a bookmark, say");
        board.heard(Kind::Pods, at(61));
        assert!(!board.probed(at(62)));
        assert!(drain(&said).is_empty(), "neither another watch nor the probe vouches for it");
        board.listed(Kind::Pods, Vec::new(), at(63));
        assert!(matches!(&drain(&said)[..], [(Update::Deployments { .. }, when)] if *when == at(50)));
    }

    #[test]
    fn a_fall_and_a_rise_are_said_once() {
        let (mut board, said) = running();
        drain(&said);
        board.down(Part::Watch(Kind::Pods), reset(), at(62), at(60));
        let news = drain(&said);
        let [(Update::Standing { phase: Phase::Stale { why }, next_try, .. }, _)] = &news[..] else {
            panic!()
        };
        assert_eq!((why.as_str(), *next_try), ("cannot reach it: connection reset by peer", Some(at(62))));
        board.down(Part::Watch(Kind::Deployments), reset(), at(61), at(60));
        board.up(Kind::Pods, at(61));
        drain(&said);
        board.up(Kind::Deployments, at(63));
        let news = drain(&said);
        assert_eq!(news.len(), 2);
        assert!(matches!(news[0], (Update::Heard { .. }, when) if when == at(63)));
        assert!(matches!(&news[1].0, Update::Standing { phase: Phase::Live, .. }));
    }

    #[test]
    fn what_a_person_can_mend_is_named_first() {
        let (mut board, said) = running();
        board.down(Part::Watch(Kind::Deployments), reset(), at(61), at(60));
        board.down(Part::Watch(Kind::Pods), Fault::Denied { what: "list pods".into() }, at(90), at(60));
        let last = drain(&said).pop().unwrap().0;
        let Update::Standing { phase, next_try, .. } = last else { panic!() };
        assert_eq!((phase, next_try), (Phase::Denied { what: "list pods".into() }, Some(at(61))));
    }

    #[test]
    fn a_part_that_may_not_be_read_does_not_hide_the_rest() {
        let (mut board, said) = board();
        board.listed(Kind::Deployments, vec![deployment("rsm-test", 2, 2)], at(0));
        board.listed(Kind::Pods, Vec::new(), at(0));
        board.down(Part::Watch(Kind::Autoscalers), Fault::Denied { what: "x".into() }, at(9), at(1));
        let news = drain(&said);
        assert!(news.iter().any(|(u, _)| matches!(u, Update::Deployments { all } if all.len() == 1)));
        assert!(news.iter().any(|(u, _)| matches!(u, Update::Standing { phase: Phase::Denied { .. }, .. })));
    }

    #[test]
    fn the_probe_marks_stale_and_its_recovery_asks_for_new_watches() {
        let (mut board, said) = running();
        drain(&said);
        assert!(!board.probed(at(15)));
        assert!(drain(&said).is_empty(), "a confirmation wakes nobody");
        board.down(Part::Probe, Fault::TimedOut { after_s: 5 }, at(36), at(35));
        assert!(matches!(&drain(&said)[0].0, Update::Standing { phase: Phase::Stale { .. }, .. }));
        assert!(board.probed(at(36)));
        assert!(matches!(&drain(&said)[0].0, Update::Standing { phase: Phase::Live, .. }));
    }
}
