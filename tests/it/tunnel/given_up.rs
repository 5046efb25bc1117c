//! What is given up: an opening while the first connection is waited for, a tunnel that nobody holds any more, a pod that
//! another stands in for. The pod that was made for it goes, too.

use std::sync::Arc;

use drtui::domain::{Backend, DeploymentKey, ServerClass, Target, TunnelId, TunnelRequest};
use drtui::providers::tunnel::{Open, Opener, Tunnels, Wish};
use drtui::providers::{KubernetesSettings, TunnelSettings};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::ground::{APP, Ground, NS, PATIENCE, until};
use crate::incident::ground::shows;
use crate::incident::{arm, open};
use crate::pty::harness::{Home, Spawn};
use crate::pty::tunnels::ask_for_a_pod;

/// The connection to the server that never says a word: a pod was made for it.
async fn asked(ground: &Ground, silent: &TcpListener) -> TcpStream {
    let (connection, _) = timeout(PATIENCE, silent.accept()).await.expect("it is asked").unwrap();
    assert_eq!(ground.made().await.len(), 1);
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_is_given_up_leaves_no_pod() {
    let ground = Ground::of(|_| Vec::new(), false).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ground.names.set("silent.postgres.database.azure.com", 5432, silent.local_addr().unwrap());
    by_a_signal(&ground, &silent).await;
    in_the_cockpit(&ground, &silent).await;
    ground.end().await;
}

async fn by_a_signal(ground: &Ground, silent: &TcpListener) {
    let mut child = ground.tunnel(&["-x", "-s", "silent", APP, "--", "psql"]).spawn().unwrap();
    let _connection = asked(ground, silent).await;
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(143));
    assert_eq!(ground.made().await, Vec::<String>::new());
}

/// By `x` on it, and by leaving.
async fn in_the_cockpit(ground: &Ground, silent: &TcpListener) {
    let home = Home::new();
    let mut pty = Spawn::drtui(&home, &["--config", &ground.config(&home, "silent")]).size(120, 40).start();
    shows(&pty, "● kubernetes");
    open(&mut pty);
    arm(&mut pty);
    ask_for_a_pod(&mut pty, "y");
    let _first = asked(ground, silent).await;
    pty.send("5x");
    shows(
        &pty,
        "NOT done: drtui tunnel -n tra-test -x -s silent --listen 0 web: given up before it was open",
    );
    shows(&pty, "u1 put back");
    until("its pod is deleted", async || ground.made().await.is_empty()).await;
    ask_for_a_pod(&mut pty, "y");
    let _second = asked(ground, silent).await;
    pty.send("q");
    assert_eq!(pty.wait_exit().code, 0);
    shows(&pty, "Closing 1 tunnel…");
    assert_eq!(ground.made().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_nobody_goes_through_any_more_is_deleted() {
    let ground = Ground::of(|_| Vec::new(), false).await;
    for_another(&ground).await;
    while_another_is_made(&ground).await;
    with_its_tunnel(&ground).await;
    at_the_very_end(&ground).await;
    ground.end().await;
}

fn kubernetes(ground: &Ground) -> KubernetesSettings {
    KubernetesSettings { kubeconfig: Some(ground.kubeconfig.clone()), context: None }
}

/// To the redis, through a pod of its own: nothing has to answer at the far end before it is open.
fn request() -> TunnelRequest {
    TunnelRequest {
        id: TunnelId(1),
        backend: Backend::Redis,
        which: ServerClass::Live,
        server: None,
        database: None,
        app: DeploymentKey { namespace: NS.into(), name: APP.into() },
        own_pod: true,
        local_port: None,
        incident: None,
        unverified: false,
    }
}

/// A tunnel, and the pod that was made for it.
async fn opened(ground: &Ground, opener: &Opener) -> (Open, String) {
    let wish = Wish::of(&request(), &TunnelSettings::default(), "test");
    let open = opener.open(&wish, drop).await.unwrap();
    let pod = open.now().via.pod.unwrap();
    assert_eq!(ground.made().await, [pod.as_str()]);
    (open, pod)
}

async fn for_another(ground: &Ground) {
    let opener = Opener::new(&kubernetes(ground));
    let (open, first) = opened(ground, &opener).await;
    let mut news = open.watch();
    open.reconnect();
    let moved = news.wait_for(|now| now.state.is_open() && now.via.pod.as_ref() != Some(&first));
    let second = timeout(PATIENCE, moved).await.expect("it goes through another").unwrap().via.pod.clone();
    let second = second.unwrap();
    until("the first is deleted", async || ground.made().await == [second.as_str()]).await;
    open.close("done").await;
    assert_eq!(ground.made().await, Vec::<String>::new());
}

async fn while_another_is_made(ground: &Ground) {
    let opener = Opener::new(&kubernetes(ground));
    let (open, first) = opened(ground, &opener).await;
    open.reconnect();
    until("another is made", async || ground.made().await.iter().any(|pod| *pod != first)).await;
    open.close("done").await;
    opener.cleared().await;
    assert_eq!(ground.made().await, Vec::<String>::new());
}

/// A signal drops it while another is being opened beside it.
async fn with_its_tunnel(ground: &Ground) {
    let opener = Opener::new(&kubernetes(ground));
    let (open, _) = opened(ground, &opener).await;
    drop(open);
    opener.cleared().await;
    assert_eq!(ground.made().await, Vec::<String>::new());
}

/// By `x`, and `q` at once.
async fn at_the_very_end(ground: &Ground) {
    let target = Target {
        service: "refer-serious-misconduct".into(),
        environment: "test".into(),
        production: false,
        exercise: true,
        namespace: NS.into(),
        cluster: "c".into(),
        app: APP.into(),
        whole_namespace: false,
        resource_group: "g".into(),
        server: "s-pg".into(),
        health_url: None,
        sandbox: None,
    };
    let settings = TunnelSettings::default();
    let tunnels = Tunnels::start(&kubernetes(ground), &settings, &target, Arc::new(|_, _| {}));
    tunnels.open(&request()).await.unwrap();
    assert_eq!(ground.made().await.len(), 1);
    tunnels.close(TunnelId(1));
    tunnels.close_all().await;
    assert_eq!(ground.made().await, Vec::<String>::new());
}
