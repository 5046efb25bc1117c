//! An opening that is given up while the first connection is waited for: the pod that was made for it goes, too.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::ground::{APP, Ground, PATIENCE, until};
use crate::incident::ground::shows;
use crate::incident::{arm, open};
use crate::pty::harness::{Home, Pty, Spawn};

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
    ask_for_a_pod(&mut pty);
    let _first = asked(ground, silent).await;
    pty.send("5x");
    shows(
        &pty,
        "NOT done: drtui tunnel -n tra-test -x -s silent --listen 0 web: given up before it was open",
    );
    shows(&pty, "u1 put back");
    until("its pod is deleted", async || ground.made().await.is_empty()).await;
    ask_for_a_pod(&mut pty);
    let _second = asked(ground, silent).await;
    pty.send("q");
    assert_eq!(pty.wait_exit().code, 0);
    shows(&pty, "Closing 1 tunnel…");
    assert_eq!(ground.made().await, Vec::<String>::new());
}

fn ask_for_a_pod(pty: &mut Pty) {
    pty.send("5t");
    shows(pty, "a pod of the app");
    pty.send("\t ");
    shows(pty, "a pod made for it");
    pty.send("\r");
    shows(pty, "through a new pod");
    pty.send("y");
}
