//! The cluster in view: what is there, what changes, who may scale, and signing in.

use std::time::Duration;

use drtui::domain::{Fault, Phase, Source, Update};
use drtui::providers::{self, Scaled};

use super::ear::Ear;
use super::world::{APP, Dir, WORKER, World, crypto, key, only_kubernetes, target};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scale_is_seen_on_its_way_down_and_up() {
    let world = World::start("watch").await;
    let ear = Ear::default();
    let providers = providers::start(&world.settings, &world.target, ear.sink());
    ear.stands(Source::Kubernetes, "live", 0, SOON, |p| *p == Phase::Live).await;
    let all = ear
        .hear("all deployments", 0, SOON, |u, _| match u {
            Update::Deployments { all } => Some(all.clone()),
            _ => None,
        })
        .await;
    let names: Vec<_> = all.iter().map(|d| d.key.name.as_str()).collect();
    assert_eq!(names, [APP, WORKER], "only the service's own");
    assert_eq!((all[0].wanted, all[0].ready), (2, 2));
    let hpa = all[0].hpa.as_ref().unwrap();
    assert_eq!((hpa.min, hpa.max), (2, 5));

    let from = ear.len();
    assert_eq!(providers.scale(&key(APP), 2, 0).await, Ok(Scaled { from: 2, to: 0 }));
    ear.deployment(APP, "wants none", from, SOON, |d| d.wanted == 0).await;
    ear.deployment(APP, "has none", from, SOON, |d| d.wanted == 0 && d.total == 0 && d.ready == 0).await;
    let from = ear.len();
    assert_eq!(providers.scale(&key(APP), 0, 2).await, Ok(Scaled { from: 0, to: 2 }));
    ear.deployment(APP, "is back", from, SOON, |d| d.wanted == 2 && d.ready == 2).await;
    let noise = ear
        .since(0)
        .iter()
        .filter(|(u, _)| matches!(u, Update::Standing { source: Source::Kubernetes, .. }))
        .count();
    assert_eq!(noise, 1, "a standing is said when it changes only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_while_it_is_still_news() {
    let world = World::start("prompt").await;
    let ear = Ear::default();
    let _providers = providers::start(&world.settings, &world.target, ear.sink());
    ear.stands(Source::Kubernetes, "live", 0, SOON, |p| *p == Phase::Live).await;
    let mut took = Vec::new();
    for round in 0..60 {
        let (from, wanted) = (ear.len(), 2 + round % 3);
        let begun = std::time::Instant::now();
        world.cluster.set_replicas("tra-production", WORKER, wanted);
        let wanted = i32::try_from(wanted).unwrap();
        ear.deployment(WORKER, "wanted", from, SOON, |d| d.wanted == wanted).await;
        took.push(begun.elapsed());
    }
    took.sort();
    println!("from accepted to told: median {:?}, worst {:?}", took[30], took[59]);
    assert!(took[54] <= Duration::from_millis(100), "nine in ten within 100 ms: {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_scaled_meanwhile_is_not_overruled() {
    let world = World::start("drift").await;
    let ear = Ear::default();
    let providers = providers::start(&world.settings, &world.target, ear.sink());
    assert!(world.cluster.set_replicas("tra-production", WORKER, 3));
    let error = providers.scale(&key(WORKER), 1, 0).await.unwrap_err();
    assert!(!error.maybe_applied);
    let Fault::Conflict { what } = &error.fault else { panic!("{error:?}") };
    assert_eq!(what, &format!("{WORKER} now wants 3, not 1: someone scaled it meanwhile"));
    ear.deployment(WORKER, "as another user scaled it", 0, SOON, |d| d.wanted == 3 && d.ready == 3).await;
    let error = providers.scale(&key("no-such-deployment"), 1, 0).await.unwrap_err();
    assert!(matches!(error.fault, Fault::NotFound { .. }) && !error.maybe_applied, "{error:?}");
    let error = providers.scale(&key("../../secrets"), 1, 0).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Setup { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_may_look_and_is_told_what_right_is_missing() {
    let world = World::start("viewer").await;
    let kubeconfig = world.cluster.kubeconfig().replace(world.cluster.token(), world.cluster.viewer_token());
    world.dir.write("kubeconfig", &kubeconfig);
    let ear = Ear::default();
    let providers = providers::start(&world.settings, &world.target, ear.sink());
    ear.stands(Source::Kubernetes, "live", 0, SOON, |p| *p == Phase::Live).await;
    let error = providers.scale(&key(APP), 2, 0).await.unwrap_err();
    assert!(!error.maybe_applied);
    let Fault::Denied { what } = &error.fault else { panic!("{error:?}") };
    assert!(what.contains("scale tra-production/") && what.contains("cannot"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_sign_in_is_cut_off_and_says_what_to_run() {
    crypto();
    let dir = Dir::new("hang");
    let kubeconfig = dir.write(
        "kubeconfig",
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9'}}]\n\
         contexts: [{name: c, context: {cluster: c, user: u}}]\n\
         users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep, \
         args: ['1000']}}}]\n",
    );
    let ear = Ear::default();
    let providers = providers::start(&only_kubernetes(&kubeconfig), &target(), ear.sink());
    let (phase, next, at) =
        ear.stands(Source::Kubernetes, "sign in", 0, Duration::from_secs(14), |p| *p != Phase::Loading).await;
    assert_eq!(
        phase,
        Phase::AuthExpired { why: "sleep did not finish within 10 s".into(), fix: "sleep 1000".into() }
    );
    assert!(next.unwrap() > at);
    // Nobody else waited for it.
    let setup = ear.stands(Source::Azure, "bad secret file", 0, Duration::ZERO, |p| !p.is_healthy()).await.0;
    assert!(matches!(setup, Phase::Stale { why } if why.contains("client secret file")));
    drop(providers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_s_token_is_used_and_renewed_when_refused() {
    let world = World::start("plugin").await;
    // The plugin prints what is in a file: first a token that nobody knows, later the right one.
    let answer = |token: &str| {
        format!(
            "{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\
             \"status\":{{\"token\":\"{token}\"}}}}"
        )
    };
    let file = world.dir.write("answer.json", &answer("stale"));
    let user = format!(
        "user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: cat\n      args: ['{}']",
        file.display()
    );
    let plain = world.cluster.kubeconfig();
    let line = plain.lines().find(|l| l.contains(world.cluster.token())).unwrap();
    let kubeconfig = with_exec(&plain, line, &user);
    world.dir.write("kubeconfig", &kubeconfig);
    let ear = Ear::default();
    let providers = providers::start(&world.settings, &world.target, ear.sink());
    let (phase, ..) = ear.stands(Source::Kubernetes, "refused", 0, SOON, |p| *p != Phase::Loading).await;
    let Phase::AuthExpired { why, fix } = phase else { panic!("{phase:?}") };
    assert!(why.contains("401") && fix.starts_with("cat "), "{why} {fix}");
    world.dir.write("answer.json", &answer(world.cluster.token()));
    providers.retry_now(Source::Kubernetes);
    ear.stands(Source::Kubernetes, "live", 0, SOON, |p| *p == Phase::Live).await;
}

/// The kubeconfig with the user's token line and everything of `user:` replaced.
fn with_exec(plain: &str, token_line: &str, user: &str) -> String {
    let indent = token_line.len() - token_line.trim_start().len();
    let exec = user.trim_start_matches("user:\n");
    let exec: String = exec
        .lines()
        .map(|l| format!("{}{}\n", " ".repeat(indent), l.strip_prefix("    ").unwrap_or(l)))
        .collect();
    plain.replace(&format!("{token_line}\n"), &exec).replace(token_line, exec.trim_end())
}
