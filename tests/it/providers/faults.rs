//! Every fault of the sandbox, on every provider: the values stay, the reason is said in words with the next try, and
//! the provider recovers by itself.

use std::time::Duration;

use drtui::domain::{Health, Phase, Source, Target, Update};
use drtui::providers::{self, Settings};
use drtui::sandbox::certs::Authority;
use drtui::sandbox::faults::{Faults, Kind, Provider};
use drtui::sandbox::serve::{Served, serve};
use unicode_width::UnicodeWidthStr;

use super::ear::Ear;
use super::world::{APP, Dir, NAMESPACE, WORKER, World, crypto, only_kubernetes, target};

const SOON: Duration = Duration::from_secs(10);
/// A probe's turn, its patience, and a little.
const NOTICED: Duration = Duration::from_secs(36);
/// The longest wait after a few failures, and a little.
const RECOVERED: Duration = Duration::from_secs(24);

/// Which words a phase must have.
fn expected(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Refused => ("stale", "cannot reach it"),
        Kind::Reset => ("stale", "cannot reach it"),
        Kind::Unauthorized => ("auth", "401"),
        Kind::Forbidden => ("denied", "in namespace tra-production"),
        Kind::Gone => ("stale", "410"),
        Kind::Throttled => ("stale", "asked to wait"),
        Kind::ServerError => ("stale", "server error 500"),
        Kind::Stall => ("stale", "no answer within"),
        Kind::Garbage => ("stale", "not understood"),
        Kind::Huge => ("stale", "larger than"),
        Kind::HostileNames => ("", ""),
    }
}

fn says(phase: &Phase) -> (&'static str, String) {
    match phase {
        Phase::Stale { why } => ("stale", why.clone()),
        Phase::AuthExpired { why, .. } => ("auth", why.clone()),
        Phase::Denied { what } => ("denied", what.clone()),
        _ => ("well", String::new()),
    }
}

/// No update took a value away.
fn nothing_lost(ear: &Ear, from: usize) {
    for (update, _) in ear.since(from) {
        match update {
            Update::DeploymentGone { key } => panic!("{key} was taken away"),
            Update::Deployments { all } => assert_eq!(all.len(), 2, "{all:?}"),
            Update::Servers { all } => assert_eq!(all.len(), 3, "{all:?}"),
            _ => {}
        }
    }
}

async fn kubernetes_survives(world: &World, ear: &Ear, kind: Kind) {
    let from = ear.len();
    world.faults.set(Provider::Kubernetes, kind, Duration::from_secs(60));
    let (sort, words) = expected(kind);
    let (_, next, at) = ear
        .stands(Source::Kubernetes, &format!("{sort}: {words}"), from, NOTICED, |p| {
            let (s, w) = says(p);
            s == sort && w.contains(words)
        })
        .await;
    let next = next.unwrap();
    assert!(next >= at && next - at <= chrono::Duration::seconds(31), "{next} {at}");
    // A change that nobody sees happens meanwhile.
    let wanted = world.cluster.ready_replicas(NAMESPACE, WORKER) as u32 + 1;
    assert!(world.cluster.set_replicas(NAMESPACE, WORKER, wanted));
    nothing_lost(ear, from);
    world.faults.clear(Provider::Kubernetes);
    let cleared = ear.len();
    ear.stands(Source::Kubernetes, "live again", cleared, RECOVERED, |p| *p == Phase::Live).await;
    let wanted = i32::try_from(wanted).unwrap();
    ear.deployment(WORKER, "changed meanwhile", from, SOON, |d| d.wanted == wanted && d.ready == wanted)
        .await;
    nothing_lost(ear, from);
    let drawn = format!("{:?}", ear.since(from));
    assert!(!drawn.contains('\u{1b}') && !drawn.contains("\\u{1b}"), "control sequences came through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_keeps_its_values_through_every_fault() {
    let world = World::start("faults-k").await;
    let ear = Ear::default();
    let _providers = providers::start(&world.settings, &world.target, ear.sink());
    ear.stands(Source::Kubernetes, "live", 0, SOON, |p| *p == Phase::Live).await;
    for kind in Kind::ALL.into_iter().filter(|k| !matches!(k, Kind::HostileNames | Kind::Stall)) {
        kubernetes_survives(&world, &ear, kind).await;
    }
    // Azure had nothing to do with it.
    let azure = ear.since(0).into_iter().filter(
        |(u, _)| matches!(u, Update::Standing { source: Source::Azure, phase, .. } if !phase.is_healthy()),
    );
    assert_eq!(azure.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_cluster_is_noticed_and_its_values_are_as_of_when_it_last_spoke() {
    let world = World::start("stall-k").await;
    let ear = Ear::default();
    let _providers = providers::start(&world.settings, &world.target, ear.sink());
    ear.stands(Source::Kubernetes, "live", 0, SOON, |p| *p == Phase::Live).await;
    let from = ear.len();
    kubernetes_survives(&world, &ear, Kind::Stall).await;
    let news = ear.since(from);
    let stale = |u: &Update| matches!(u, Update::Standing { phase: Phase::Stale { .. }, .. });
    let noticed = news.iter().position(|(u, _)| stale(u)).unwrap();
    let heard = news[..noticed].iter().find(|(u, _)| {
        matches!(u, Update::Heard { .. } | Update::Deployments { .. } | Update::DeploymentChanged { .. })
    });
    assert_eq!(heard, None, "nothing is as of a moment at which nothing was heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_hears_as_of_when_the_values_are_true() {
    let world = World::start("asked").await;
    let ear = Ear::default();
    let providers = providers::start(&world.settings, &world.target, ear.sink());
    ear.stands(Source::Kubernetes, "live", 0, SOON, |p| *p == Phase::Live).await;
    let (from, asked) = (ear.len(), chrono::Utc::now());
    providers.retry_now(Source::Kubernetes);
    let heard = ear.hear("the watch again", from, SOON, |u, at| {
        matches!(u, Update::Heard { source: Source::Kubernetes }).then_some(at)
    });
    assert!(heard.await >= asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_are_drawn_harmless_and_pass_for_nobody() {
    let world = World::start("hostile").await;
    let ear = Ear::default();
    let mut target = world.target.clone();
    target.whole_namespace = true;
    world.faults.set(Provider::Kubernetes, Kind::HostileNames, Duration::from_secs(60));
    let _providers = providers::start(&world.settings, &target, ear.sink());
    ear.stands(Source::Kubernetes, "live", 0, SOON, |p| *p == Phase::Live).await;
    let all = ear
        .hear("all deployments", 0, SOON, |u, _| match u {
            Update::Deployments { all } => Some(all.clone()),
            _ => None,
        })
        .await;
    for d in &all {
        let name = &d.key.name;
        assert!(!name.chars().any(char::is_control) && name.width() <= 254, "{name:?}");
        assert!(d.waiting.iter().all(|w| !w.chars().any(char::is_control) && w.width() <= 60), "{d:?}");
    }
    assert!(all.iter().any(|d| d.key.name.ends_with('\u{fffd}')), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_keeps_its_values_through_every_fault() {
    let world = World::start("faults-a").await;
    let ear = Ear::default();
    let providers = providers::start(&world.settings, &world.target, ear.sink());
    let polled = |p: &Phase| *p == Phase::Polling { every_s: 30 };
    ear.stands(Source::Azure, "polled", 0, SOON, polled).await;
    for kind in Kind::ALL.into_iter().filter(|k| *k != Kind::HostileNames) {
        let from = ear.len();
        world.faults.set(Provider::Azure, kind, Duration::from_secs(60));
        providers.retry_now(Source::Azure);
        let (sort, words) = match kind {
            Kind::Unauthorized => ("auth", "refuse"),
            Kind::Forbidden => ("denied", "needs Microsoft.DBforPostgreSQL/flexibleServers/read"),
            Kind::Gone => ("stale", "server error 410"),
            kind => expected(kind),
        };
        let (_, next, at) = ear
            .stands(Source::Azure, &format!("{kind:?} {sort}: {words}"), from, Duration::from_secs(14), |p| {
                let (s, w) = says(p);
                s == sort && w.contains(words)
            })
            .await;
        assert!(next.unwrap() >= at);
        world.faults.clear(Provider::Azure);
        let cleared = ear.len();
        ear.stands(Source::Azure, "polled again", cleared, RECOVERED, polled).await;
        nothing_lost(&ear, from);
    }
    let kubernetes = ear.since(0).into_iter().filter(|(u, _)| {
        matches!(u, Update::Standing { source: Source::Kubernetes, phase, .. } if !phase.is_healthy())
    });
    assert_eq!(kubernetes.count(), 0);
    ear.deployment(APP, "is there", 0, Duration::ZERO, |d| d.wanted == 2).await;
}

/// What the service's page is asked through: its own front door, with the sandbox's faults on it.
async fn page(dir: &Dir, faults: &Faults) -> (Served, Settings, Target, tokio::sync::watch::Sender<bool>) {
    crypto();
    let authority = Authority::new().unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let router = axum::Router::new().route("/health", axum::routing::get(|| async { "all well" }));
    let tls = authority.server_config(&["service.example"]).unwrap();
    let served = serve(None, router, Some(tls), Provider::Service, faults.clone(), stopped).await.unwrap();
    let mut settings = only_kubernetes("/nonexistent/kubeconfig".as_ref());
    settings.web.ca_file = Some(dir.write("ca.pem", authority.ca_pem()));
    let mut target = target();
    target.health_url = Some(format!("https://{}/health", served.addr));
    (served, settings, target, stop)
}

/// The newest answer of the service's page, as far as it was heard.
async fn answered(ear: &Ear, from: usize, what: &str, is: impl Fn(&Health) -> bool) -> Health {
    ear.hear(what, from, Duration::from_secs(14), |update, _| match update {
        Update::Health { health } => is(health).then(|| health.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_keeps_its_last_answer_through_every_fault() {
    let (dir, faults, ear) = (Dir::new("faults-w"), Faults::default(), Ear::default());
    let (_served, settings, target, _stop) = page(&dir, &faults).await;
    let providers = providers::start(&settings, &target, ear.sink());
    let well = |health: &Health| health.is_up() && health.says == "all well";
    answered(&ear, 0, "at first", well).await;
    for kind in Kind::ALL {
        let from = ear.len();
        faults.set(Provider::Service, kind, Duration::from_secs(60));
        providers.retry_now(Source::Web);
        let status = match kind {
            Kind::Refused | Kind::Reset | Kind::Stall => None,
            Kind::Unauthorized => Some(401),
            Kind::Forbidden => Some(403),
            Kind::Gone => Some(410),
            Kind::Throttled => Some(429),
            Kind::ServerError => Some(500),
            Kind::Garbage | Kind::Huge | Kind::HostileNames => Some(200),
        };
        if status.is_some() {
            // Somebody answered: that is the value, in harmless words.
            let health = answered(&ear, from, &format!("{kind:?}"), |h| {
                h.status == status && (kind == Kind::HostileNames || h.says != "all well")
            })
            .await;
            assert!(!health.says.chars().any(char::is_control) && health.says.width() <= 120, "{health:?}");
            assert_eq!(health.is_up(), status == Some(200), "{kind:?}: {health:?}");
        } else {
            let (sort, words) = expected(kind);
            let (_, next, at) = ear
                .stands(
                    Source::Web,
                    &format!("{kind:?} {sort}: {words}"),
                    from,
                    Duration::from_secs(14),
                    |p| {
                        let (s, w) = says(p);
                        s == sort && w.contains(words)
                    },
                )
                .await;
            assert!(next.unwrap() >= at);
            let taken = ear.since(from).into_iter().any(|(u, _)| matches!(u, Update::Health { .. }));
            assert!(!taken, "{kind:?}: no answer takes no value away");
        }
        faults.clear(Provider::Service);
        let cleared = ear.len();
        providers.retry_now(Source::Web);
        answered(&ear, cleared, &format!("well after {kind:?}"), well).await;
        ear.stands(Source::Web, "polled again", 0, RECOVERED, Phase::is_healthy).await;
    }
}
