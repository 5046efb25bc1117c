//! redis-cli through a tunnel, against a real redis: its password out of sight, TLS where the URL asks for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::ground::{APP, Ground, PATIENCE, until};
use crate::incident::ground::{SOON, rows, shows};
use crate::incident::{arm, open};
use crate::installed;
use crate::pty::handoff::{holders, told_on_a_command_line, tunnel_is_open};
use crate::pty::harness::{Home, Pty, Spawn};

const PASSWORD: &str = "s3cret";

/// A redis that wants a password, with TLS beside it; both addresses. It ends with its handle.
async fn redis(program: &Path, ground: &Ground) -> (Child, SocketAddr, SocketAddr) {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (plain, tls) = (free(), free());
    let issued = ground.authority.issue(&["far.example"]).unwrap();
    let file = |name: &str, text: &str| ground.dir.write(name, text).unwrap().display().to_string();
    let (certificate, key) = (file("redis.pem", &issued.cert_pem), file("redis.key", &issued.key_pem));
    let config = format!(
        "bind 127.0.0.1\nport {}\ntls-port {}\ntls-cert-file {certificate}\ntls-key-file {key}\n\
         tls-ca-cert-file {}\ntls-auth-clients no\nrequirepass {PASSWORD}\nsave \"\"\nappendonly no\nlogfile /dev/null\n",
        plain.port(),
        tls.port(),
        ground.ca.display()
    );
    let config = file("redis.conf", &config);
    let mut command = Command::new(program);
    command.arg0("redis-server").arg(config).current_dir(ground.dir.path()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    for address in [plain, tls] {
        until("redis listens", async || TcpStream::connect(address).await.is_ok()).await;
    }
    (child, plain, tls)
}

/// While redis-cli runs, no command line holds the password.
async fn out_of_sight(ground: &Ground) {
    let mut child = ground.tunnel(&["-q", APP, "--", "redis-cli", "BLPOP", "nothing", "60"]).spawn().unwrap();
    let lines = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains("BLPOP nothing 60")).collect::<Vec<_>>()
    };
    // drtui's own, and that of the redis-cli that it started.
    until("redis-cli runs", async || lines().len() == 2).await;
    assert!(lines().iter().all(|line| !line.contains(PASSWORD)), "{:?}", lines());
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
}

/// `:tunnel redis`, and redis-cli with the terminal in its hands; through the guard, for it can write.
fn in_the_cockpit(ground: &Ground) {
    let home = Home::new();
    let config = ground.config(&home, "s-pg");
    let mut pty = Spawn::drtui(&home, &["--config", &config]).size(120, 40).start();
    shows(&pty, "● kubernetes");
    open(&mut pty);
    pty.send(":tunnel redis\r");
    shows(&pty, "Done: LIVE far.example/0 on 127.0.0.1:");
    tunnel_is_open(&pty, "t1");
    arm(&mut pty);
    pty.send(":redis-cli GET greeting\r");
    shows(&pty, "redis-cli CAN WRITE to LIVE");
    pty.send("y");
    shows(&pty, "Done: redis-cli on LIVE far.example/0 ended with code 0");
    // At its prompt: what is typed reaches it, and its answer the terminal.
    pty.send(":redis-cli\r");
    shows(&pty, "redis-cli CAN WRITE to LIVE");
    pty.send("y");
    // redis-cli drops what is typed before it asks.
    let asks = |pty: &Pty, times: usize| {
        pty.wait("redis-cli's prompt", SOON, |s| {
            let lines = rows(s.screen());
            let prompts: Vec<_> = lines.iter().filter(|line| line.starts_with("127.0.0.1:")).collect();
            let waits = prompts.len() == times && prompts.last().is_some_and(|line| line.ends_with('>'));
            (!s.screen().alternate_screen() && waits).then_some(())
        });
    };
    asks(&pty, 1);
    pty.send("GET greeting\r");
    asks(&pty, 2);
    assert_eq!(pty.text().matches("\"hello\"").count(), 2, "{}", pty.text());
    assert_eq!(told_on_a_command_line(PASSWORD), Vec::<String>::new());
    pty.send("QUIT\r");
    shows(&pty, "ended with code 0 after");
    pty.send("q");
    assert_eq!(pty.wait_exit().code, 0);
    let mut found = Vec::new();
    holders(home.path(), PASSWORD, &mut found);
    assert_eq!(found, Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_talks_to_a_real_redis_with_and_without_tls() {
    let (_, server) = installed::redis();
    let apps =
        |_: &str| vec![("tls", vec![("REDIS_URL", format!("rediss://:{PASSWORD}@tls.example:6380/1"))])];
    let ground = Ground::of(apps, false).await;
    let (mut redis, plain, tls) = redis(&server, &ground).await;
    ground.names.set("far.example", 6379, plain);
    ground.names.set("tls.example", 6380, tls);

    let said = ground.run(&[APP, "--", "redis-cli", "SET", "greeting", "hello"]).await;
    assert_eq!((said.out.as_str(), said.code), ("OK\n", 0), "{said:?}");
    assert!(said.err.contains("LIVE far.example/0") && !said.err.contains(PASSWORD), "{}", said.err);
    // Another database of the same server, by the index of -b.
    let said = ground.run(&["-q", "-b", "1", APP, "--", "redis-cli", "EXISTS", "greeting"]).await;
    assert_eq!((said.out.as_str(), said.err.as_str()), ("0\n", ""), "{said:?}");
    // Through a pod of its own, and over TLS, which the plain port would not speak.
    let said = ground.run(&["-q", "-x", "-b", "0", "tls", "--", "redis-cli", "GET", "greeting"]).await;
    assert_eq!((said.out.as_str(), said.code), ("hello\n", 0), "{said:?}");
    let said = ground.run(&["-q", "-a", "tls", "--", "redis-cli", "PING"]).await;
    assert_ne!(said.out, "PONG\n", "-a says: no TLS, and this port speaks nothing else: {said:?}");
    let said = ground.run(&["-q", APP, "--", "redis-cli", "NONSENSE"]).await;
    assert!(said.out.contains("unknown command"), "{said:?}");
    out_of_sight(&ground).await;
    in_the_cockpit(&ground);
    until("pods are deleted", async || ground.made().await.is_empty()).await;
    redis.kill().await.unwrap();
    ground.end().await;
}
