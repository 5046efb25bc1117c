//! The machine sleeps: the clock on the wall goes on, ours does not, and whatever stood before is silent for ever. The
//! whole program under a wall clock that jumps (libfaketime), its way to the API server dead but not closed.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use drtui::sandbox::postgres::fleet::LIVE;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::faults::{output, psql};
use super::ground::{APP, Ground, first_line, port_of, until};
use crate::installed::libfaketime;

/// A beat of 20 s may have begun just before the sleep; after it there are 3 s for a sign of life.
const FOUND: Duration = Duration::from_secs(27);

/// Passes connections on to `to`. What stands when the number changes is neither carried nor closed from then on.
async fn network(to: String) -> (u16, watch::Sender<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sleeps = watch::Sender::new(0);
    let told = sleeps.clone();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (mut slept, to) = (told.subscribe(), to.clone());
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(to).await else { return };
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    _ = slept.changed() => {
                        // Held, so that nobody is told.
                        std::future::pending::<()>().await;
                    }
                }
            });
        }
    });
    (port, sleeps)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleep_of_the_machine_is_noticed_and_the_tunnel_goes_on() {
    let library: PathBuf = libfaketime();
    let ground = Ground::start().await;
    let text = std::fs::read_to_string(&ground.kubeconfig).unwrap();
    let server = text.split("server: https://").nth(1).unwrap().lines().next().unwrap().to_owned();
    let (port, sleeps) = network(server.clone()).await;
    let kubeconfig =
        ground.dir.write("kubeconfig-network", &text.replace(&server, &format!("127.0.0.1:{port}"))).unwrap();
    let clock = ground.dir.write("clock", "+0\n").unwrap();
    let mut command = ground.tunnel(&["--listen", "0", APP]);
    command
        .env("KUBECONFIG", kubeconfig)
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut tunnel = command.stdout(Stdio::piped()).spawn().unwrap();
    let port = port_of(&first_line(&mut tunnel).await);
    let sql = "select pg_sleep(300) /* asleep */";
    let asleep = psql(&ground, port, sql);
    let admin = ground.servers.admin(LIVE).unwrap().connect("test").await.unwrap();
    let seen = format!("SELECT count(*) FROM pg_stat_activity WHERE query = '{sql}'");
    let active = async || admin.query_one(&seen, &[]).await.unwrap().get::<_, i64>(0) == 1;
    until("the query runs", active).await;

    sleeps.send_replace(1);
    std::fs::write(&clock, "+7200\n").unwrap();
    let woke = Instant::now();
    let (_, err, code) = timeout(FOUND, output(asleep)).await.expect("the dead connection is found");
    assert!(code == 2 && err.contains("connection"), "{code} {err}");
    println!("found after {:?}", woke.elapsed());
    // The same port, and whatever was pooled before the sleep does not stand in the way.
    let (out, err, _) = output(psql(&ground, port, "select 'awake'")).await;
    assert_eq!(out, "awake\n", "{err}");
    assert!(tunnel.try_wait().unwrap().is_none(), "the tunnel has ended");
    tunnel.kill().await.unwrap();
    ground.end().await;
}
