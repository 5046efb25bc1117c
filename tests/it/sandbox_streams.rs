//! exec, attach, logs and port-forward of the simulated cluster, by kube's own client over WebSocket.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use drtui::sandbox::certs::Authority;
use drtui::sandbox::faults::{Faults, Kind, Provider};
use drtui::sandbox::kubernetes::{Cluster, ClusterSpec, DeploymentSpec, Names, Pace, SecretSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, AttachedProcess, DeleteParams, ListParams, LogParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

const NS: &str = "tra-production";
const DB: &str = "db.postgres.database.azure.com";
const PATIENCE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(120);

struct World {
    cluster: Cluster,
    faults: Faults,
    names: Names,
    client: Client,
    stop: watch::Sender<bool>,
}

async fn world() -> World {
    world_of(ClusterSpec::default()).await
}

async fn world_of(spec: ClusterSpec) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (stop, stopped) = watch::channel(false);
    let (faults, names) = (Faults::default(), Names::default());
    let deployment = DeploymentSpec {
        namespace: NS.into(),
        name: "web".into(),
        replicas: 1,
        image: "alpine:3.20.1".into(),
        hpa: None,
        secrets: vec!["s".into()],
    };
    let secret = SecretSpec {
        namespace: NS.into(),
        name: "s".into(),
        data: [("DATABASE_URL".to_owned(), "postgres://u:p@db/x".to_owned())].into(),
    };
    let spec = ClusterSpec {
        deployments: vec![deployment],
        secrets: vec![secret],
        names: names.clone(),
        pace: Pace::fast(),
        ..spec
    };
    let authority = Authority::new().unwrap();
    let cluster = Cluster::start(spec, &authority, faults.clone(), stopped).await.unwrap();
    let client = client(&cluster.kubeconfig()).await;
    World { cluster, faults, names, client, stop }
}

async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

impl World {
    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NS)
    }

    async fn pod(&self) -> String {
        let pods = self.pods().list(&ListParams::default().labels("app=web")).await.unwrap();
        pods.items[0].metadata.name.clone().unwrap()
    }

    async fn exec(&self, argv: &[&str], stdin: bool) -> AttachedProcess {
        let wanted = AttachParams::default().stdin(stdin).stdout(true).stderr(true);
        self.pods().exec(&self.pod().await, argv.iter().copied(), &wanted).await.unwrap()
    }

    /// Output, errors and the exit code; 0 for success.
    async fn run(&self, argv: &[&str]) -> (String, String, i32) {
        let mut process = self.exec(argv, false).await;
        let (mut out, mut err) = (process.stdout().unwrap(), process.stderr().unwrap());
        let status = process.take_status().unwrap();
        let (out, err) = tokio::join!(text(&mut out), text(&mut err));
        (out, err, exit_code(timeout(PATIENCE, status).await.unwrap()))
    }
}

fn exit_code(status: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Status>) -> i32 {
    let status = status.expect("a status");
    if status.status.as_deref() == Some("Success") {
        return 0;
    }
    let causes = status.details.and_then(|details| details.causes).unwrap_or_default();
    let code = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    code.and_then(|cause| cause.message.clone()).map_or(-1, |code| code.parse().unwrap())
}

async fn text(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    timeout(PATIENCE, from.read_to_string(&mut text)).await.expect("the stream ends").unwrap();
    text
}

/// Everything that `from` gives: its length and its hash.
async fn measure(mut from: impl AsyncRead + Unpin) -> (u64, String) {
    let (mut total, mut hash, mut buffer) = (0, Sha256::new(), vec![0; 64 << 10]);
    loop {
        let read = from.read(&mut buffer).await.unwrap();
        if read == 0 {
            return (total, format!("{:x}", hash.finalize()));
        }
        total += read as u64;
        hash.update(&buffer[..read]);
    }
}

/// `total` bytes that differ, none of them text; their hash.
async fn pour(to: &mut (impl tokio::io::AsyncWrite + Unpin), total: usize) -> String {
    let block: Vec<u8> = (0..65_537_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut left, mut hash) = (total, Sha256::new());
    while left > 0 {
        let part = &block[..left.min(block.len())];
        to.write_all(part).await.unwrap();
        hash.update(part);
        left -= part.len();
    }
    format!("{:x}", hash.finalize())
}

/// A server that gives back all it gets, each connection for itself.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    address
}

#[tokio::test]
async fn commands_end_with_their_code() {
    let world = world().await;
    assert_eq!(world.run(&["echo", "hello"]).await, ("hello\n".into(), String::new(), 0));
    let (out, err, code) = world.run(&["sh", "-c", "echo $DATABASE_URL; echo bad >&2; exit 7"]).await;
    assert_eq!((out.as_str(), err.as_str(), code), ("postgres://u:p@db/x\n", "bad\n", 7));
    assert_eq!(world.run(&["nc", "nowhere.example", "1"]).await.1, "nc: bad address 'nowhere.example'\n");
    let mut process = world.exec(&["psql"], false).await;
    let status = timeout(PATIENCE, process.take_status().unwrap()).await.unwrap().unwrap();
    let message = status.message.unwrap();
    assert!(message.contains("exec: \"psql\": executable file not found in $PATH"), "{message}");
}

#[tokio::test]
async fn closing_the_input_ends_it_and_bytes_stay_as_they_are() {
    let world = world().await;
    let mut process = world.exec(&["cat"], true).await;
    let (mut stdin, stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
    let status = process.take_status().unwrap();
    let sending = async {
        let hash = pour(&mut stdin, 200_000_000).await;
        stdin.shutdown().await.unwrap();
        hash
    };
    let (sent, (total, got)) = timeout(LONG, async { tokio::join!(sending, measure(stdout)) })
        .await
        .expect("200 MB each way in time");
    assert_eq!((total, got), (200_000_000, sent));
    assert_eq!(exit_code(timeout(PATIENCE, status).await.unwrap()), 0);
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_waited_for() {
    let world = world().await;
    let mut process = world.exec(&["cat"], true).await;
    let (mut stdin, stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
    let block = vec![7_u8; 1 << 20];
    let mut taken = 0;
    // Nobody reads: buffers fill, and then no more is taken.
    while taken < 64 && timeout(Duration::from_millis(500), stdin.write_all(&block)).await.is_ok() {
        taken += 1;
    }
    assert!(taken < 64, "everything is taken though nobody reads");
    let both = async { tokio::join!(stdin.shutdown(), measure(stdout)).1 };
    let (total, _) = timeout(LONG, both).await.expect("it goes on when it is read");
    assert!(total >= taken << 20, "{total} bytes");
}

#[tokio::test]
async fn a_deleted_pod_ends_its_streams() {
    let world = world().await;
    let name = world.pod().await;
    let mut process = world.exec(&["sleep", "1000"], false).await;
    let status = process.take_status().unwrap();
    let echo = echo().await;
    world.names.set("web.tra-production", 8080, echo);
    let mut forward = world.pods().portforward(&name, &[8080]).await.unwrap();
    let mut stream = forward.take_stream(8080).unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut got = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut got)).await.unwrap().unwrap();
    let began = Instant::now();
    world.pods().delete(&name, &DeleteParams::default()).await.unwrap();
    assert_eq!(exit_code(timeout(PATIENCE, status).await.unwrap()), 137, "killed");
    let end = timeout(PATIENCE, stream.read(&mut got)).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_reset_cuts_streams() {
    let world = world().await;
    let mut process = world.exec(&["sleep", "1000"], false).await;
    let status = process.take_status().unwrap();
    world.faults.set(Provider::Kubernetes, Kind::Reset, Duration::from_secs(1));
    assert!(timeout(PATIENCE, status).await.expect("the stream ends").is_none(), "cut off without a word");
}

#[tokio::test]
async fn forty_connections_at_once_through_konduits_relay() {
    let world = world().await;
    world.names.set(DB, 5432, echo().await);
    let name = world.pod().await;
    let relay = ["nc", "-lk", "-p", "31000", "-w", "3600", "-e", "/usr/bin/nc", DB, "5432"];
    let _relay = world.exec(&relay, false).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40_usize {
        let (pods, name) = (world.pods(), name.clone());
        tasks.spawn(async move {
            let total = 100_000 + n;
            let deadline = Instant::now() + PATIENCE;
            loop {
                let mut forward = pods.portforward(&name, &[31000]).await.unwrap();
                let error = forward.take_error(31000).unwrap();
                let stream = forward.take_stream(31000).unwrap();
                let (read, mut write) = tokio::io::split(stream);
                let block = vec![n as u8; total];
                let got = tokio::spawn(async move {
                    let mut got = Vec::new();
                    let _ = read.take(total as u64).read_to_end(&mut got).await;
                    got
                });
                let sent = write.write_all(&block).await;
                let got = timeout(PATIENCE, got).await.expect("an answer").unwrap();
                if sent.is_ok() && got == block {
                    return;
                }
                // The relay may not listen yet.
                let why = timeout(PATIENCE, error).await.ok().flatten().unwrap_or_default();
                assert!(why.contains("connection refused"), "{} of {total} bytes: {why}", got.len());
                assert!(Instant::now() < deadline, "the relay never listens");
            }
        });
    }
    while let Some(done) = timeout(LONG, tasks.join_next()).await.unwrap() {
        done.unwrap();
    }
}

#[tokio::test]
async fn two_hundred_megabytes_through_a_forwarded_port() {
    let world = world().await;
    world.names.set("web.tra-production", 8080, echo().await);
    let mut forward = world.pods().portforward(&world.pod().await, &[8080]).await.unwrap();
    let (read, mut write) = tokio::io::split(forward.take_stream(8080).unwrap());
    const TOTAL: u64 = 200_000_000;
    let writing = tokio::spawn(async move {
        let hash = pour(&mut write, TOTAL as usize).await;
        (hash, write)
    });
    let (total, got) = timeout(LONG, measure(read.take(TOTAL))).await.expect("in time");
    let (sent, _write) = writing.await.unwrap();
    assert_eq!((total, got), (TOTAL, sent));
}

#[tokio::test]
async fn nobody_without_the_right_comes_in() {
    let world = world().await;
    let name = world.pod().await;
    for kubeconfig in [world.cluster.viewer_kubeconfig(), world.cluster.no_pim_kubeconfig()] {
        let pods: Api<Pod> = Api::namespaced(client(&kubeconfig).await, NS);
        assert!(pods.exec(&name, ["true"], &AttachParams::default()).await.is_err());
        assert!(pods.portforward(&name, &[1]).await.is_err());
    }
}

#[tokio::test]
async fn a_job_runs_to_its_end_and_says_what_it_did() {
    let world = world().await;
    let jobs: Api<Job> = Api::namespaced(world.client.clone(), NS);
    let job = |name: &str, script: &str| -> Job {
        let container = json!({"name": "c", "image": "alpine", "command": ["sh", "-c", script]});
        let spec = json!({"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}});
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    };
    for (name, script, kind) in [("good", "echo done", "Complete"), ("bad", "echo no; exit 3", "Failed")] {
        jobs.create(&PostParams::default(), &job(name, script)).await.unwrap();
        let ended = kube::runtime::wait::await_condition(jobs.clone(), name, move |job: Option<&Job>| {
            let conditions = job.and_then(|job| job.status.as_ref()?.conditions.as_ref());
            conditions.is_some_and(|all| all.iter().any(|c| c.type_ == kind && c.status == "True"))
        });
        timeout(PATIENCE, ended).await.expect(name).unwrap();
        let found =
            world.pods().list(&ListParams::default().labels(&format!("job-name={name}"))).await.unwrap();
        let pod = found.items[0].metadata.name.clone().unwrap();
        let said = world.pods().logs(&pod, &LogParams::default()).await.unwrap();
        assert!(script.contains(said.trim()), "{said}");
    }
}

#[tokio::test]
async fn an_attached_client_sees_what_is_printed_until_the_pod_ends() {
    let world = world().await;
    let script: String = (1..=600).map(|n| format!("echo tick {n}; sleep 0.1; ")).collect();
    let container = json!({"name": "c", "image": "alpine", "command": ["sh", "-c", script]});
    let pod = json!({"metadata": {"name": "ticking"}, "spec": {"containers": [container]}});
    world.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let up = kube::runtime::wait::conditions::is_pod_running();
    timeout(PATIENCE, kube::runtime::wait::await_condition(world.pods(), "ticking", up))
        .await
        .unwrap()
        .unwrap();
    let wanted = AttachParams::default().stdin(false).stdout(true).stderr(false);
    let mut attached = world.pods().attach("ticking", &wanted).await.unwrap();
    let mut lines = BufReader::new(attached.stdout().unwrap()).lines();
    let mut number = async || {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("nothing is printed").unwrap();
        line.map(|line| line.strip_prefix("tick ").unwrap().parse::<u32>().unwrap())
    };
    let (first, second) = (number().await.unwrap(), number().await.unwrap());
    assert_eq!(second, first + 1, "a line is missing");
    world.pods().delete("ticking", &DeleteParams::default().grace_period(0)).await.unwrap();
    while number().await.is_some() {}
}

#[tokio::test]
async fn a_pod_past_its_deadline_fails() {
    let world = world().await;
    let container = json!({"name": "c", "image": "alpine", "command": ["sleep", "10800"]});
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "short"}, "spec": {"activeDeadlineSeconds": 1, "containers": [container]},
    }))
    .unwrap();
    world.pods().create(&PostParams::default(), &pod).await.unwrap();
    let failed = kube::runtime::wait::await_condition(world.pods(), "short", |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        status.is_some_and(|s| {
            s.reason.as_deref() == Some("DeadlineExceeded") && s.phase.as_deref() == Some("Failed")
        })
    });
    timeout(PATIENCE, failed).await.expect("it fails").unwrap();
}

#[tokio::test]
async fn no_stream_outlives_the_sandbox() {
    let world = world().await;
    let mut process = world.exec(&["sleep", "1000"], false).await;
    let status = process.take_status().unwrap();
    world.stop.send(true).unwrap();
    assert!(timeout(PATIENCE, status).await.expect("the stream ends").is_none(), "cut off without a word");
}

#[tokio::test]
async fn images_without_nc() {
    let world = world_of(ClusterSpec { no_nc: true, ..ClusterSpec::default() }).await;
    assert_eq!(world.run(&["sh", "-c", "nc x 1"]).await, (String::new(), "sh: nc: not found\n".into(), 127));
}
