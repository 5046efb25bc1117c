//! The emulated shell and its programs, on a container of their own.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::kinds::Resource;
use super::super::names::Names;
use super::super::pod::{self, Stage};
use super::super::runtime::Runtime;
use super::super::store::Store;
use super::*;

fn container_in(names: Names, annotations: Value) -> Arc<Container> {
    let mut pod = json!({
        "kind": "Pod", "metadata": {"namespace": "ns", "name": "web-1", "annotations": annotations},
        "spec": {"containers": [{"name": "web", "image": "i", "envFrom": [{"secretRef": {"name": "s"}}],
                 "env": [{"name": "MODE", "value": "a  b"}]}]},
    });
    pod::step(&mut pod, Stage::Ready, "", "2026-11-20T00:00:00Z");
    let store = Arc::new(Store::default());
    let secret =
        json!({"metadata": {"namespace": "ns", "name": "s"}, "data": {"DATABASE_URL": "cG9zdGdyZXM6Ly94"}});
    let pod = store.write(|inner| {
        inner.put(Resource::Secret, secret);
        inner.put(Resource::Pod, pod)
    });
    Arc::new(Runtime::new(store, names, false)).container(&pod.value).unwrap()
}

fn container() -> Arc<Container> {
    container_in(Names::default(), json!({}))
}

/// Exit code, output and errors.
async fn go(container: &Arc<Container>, argv: &[&str], input: &[u8]) -> (i32, String, String) {
    let (out, mut read_out) = tokio::io::duplex(1 << 20);
    let (err, mut read_err) = tokio::io::duplex(1 << 20);
    let io = Io {
        stdin: Input::new(std::io::Cursor::new(input.to_vec())),
        stdout: Output::new(out),
        stderr: Output::new(err),
    };
    let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    let code = run(&mut container.process(false), &argv, io).await;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    read_out.read_to_end(&mut out).await.unwrap();
    read_err.read_to_end(&mut err).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (code, text(out), text(err))
}

#[tokio::test]
async fn scripts_do_what_sh_does() {
    let container = container();
    for (script, code, out) in [
        ("echo hello", 0, "hello\n"),
        ("echo -n a; echo b", 0, "ab\n"),
        ("true && echo yes || echo no", 0, "yes\n"),
        ("false && echo yes || echo no", 0, "no\n"),
        ("echo $DATABASE_URL", 0, "postgres://x\n"),
        ("echo \"$MODE\" $MODE '$MODE' ${NONE:-other} \\$x", 0, "a  b a b $MODE other $x\n"),
        ("exit 3; echo never", 3, ""),
        ("false; echo $?", 0, "1\n"),
        ("X=1; echo $X; Y=2 printenv Y", 0, "1\n2\n"),
        ("printenv NOTHING", 1, ""),
        ("export A=b && sh -c 'echo $A'", 0, "b\n"),
        ("hostname; which nc sh", 0, "web-1\n/usr/bin/nc\n/bin/sh\n"),
        ("echo quiet >/dev/null 2>&1; echo loud # comment", 0, "loud\n"),
        ("", 0, ""),
        ("echo \"\" | cat", 2, ""),
        ("if true; then echo x; fi", 2, ""),
        ("echo 'open", 2, ""),
        ("exec echo replaced; echo never", 0, "replaced\n"),
        ("cat /etc/passwd || sleep 0", 0, ""),
    ] {
        let (got, said, err) = go(&container, &["sh", "-c", script], b"").await;
        assert_eq!((got, said.as_str()), (code, out), "{script}: {err}");
    }
    let (code, _, err) = go(&container, &["sh", "-c", "frobnicate"], b"").await;
    assert_eq!((code, err.as_str()), (127, "sh: frobnicate: not found\n"));
    assert_eq!(go(&container, &["cat"], b"\x00a\n").await, (0, "\0a\n".into(), String::new()));
    let (_, out, _) = go(&container, &["sh"], b"echo one\necho two\nexit 4\necho three\n").await;
    assert_eq!(out, "one\ntwo\n");
}

#[tokio::test]
async fn what_an_image_lacks_cannot_start() {
    let with = container();
    let argv = |word: &str| vec![word.to_owned()];
    assert!(cannot_start(&with, &argv("nc")).is_none());
    assert!(cannot_start(&with, &argv("/bin/sh")).is_none());
    let why = cannot_start(&with, &argv("psql")).unwrap();
    assert!(why.ends_with("exec: \"psql\": executable file not found in $PATH: unknown"), "{why}");
    assert!(
        cannot_start(&with, &argv("/usr/bin/psql")).unwrap().contains("stat /usr/bin/psql: no such file")
    );
    let without = container_in(Names::default(), json!({"drtui.sandbox/no-nc": "true"}));
    assert!(cannot_start(&without, &argv("nc")).is_some());
    assert_eq!(go(&without, &["sh", "-c", "nc x 1"], b"").await.0, 127);
}

async fn upper() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                stream.write_all(&all.to_ascii_uppercase()).await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn nc_reaches_what_the_table_has_and_nothing_else() {
    let names = Names::default();
    names.set("db.example", 5432, upper().await);
    let container = container_in(names, json!({}));
    assert_eq!(
        go(&container, &["nc", "db.example", "5432"], b"hello").await,
        (0, "HELLO".into(), String::new())
    );
    for (argv, why) in [
        (["nc", "nobody.example", "5432"], "nc: bad address 'nobody.example'\n"),
        (["nc", "db.example", "80"], "nc: db.example (db.example:80): Connection refused\n"),
        (["nc", "127.0.0.1", "1"], "nc: 127.0.0.1 (127.0.0.1:1): Connection refused\n"),
        (["nc", "db.example", "x"], "nc: bad port 'x'\n"),
    ] {
        assert_eq!(go(&container, &argv, b"").await, (1, String::new(), why.into()));
    }
}

#[tokio::test]
async fn konduits_relay_serves_many_connections() {
    let names = Names::default();
    names.set("db.example", 5432, upper().await);
    let container = container_in(names, json!({}));
    let relay = Arc::clone(&container);
    let line = "nc -lk -p 31000 -e /usr/bin/nc db.example 5432";
    let running = tokio::spawn(async move { go(&relay, &["sh", "-c", line], b"").await });
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50 {
        let container = Arc::clone(&container);
        tasks.spawn(async move {
            let mut stream = loop {
                match container.connect(31000).await {
                    Ok(stream) => break stream,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            stream.write_all(format!("row {n}").as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut all = String::new();
            stream.read_to_string(&mut all).await.unwrap();
            assert_eq!(all, format!("ROW {n}"));
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(container.listen(31000).is_none(), "the port is taken");
    running.abort();
}
