//! What goes wrong: each fault is told in words that say what to do, and an open tunnel outlives what can be outlived.

use std::process::Stdio;
use std::time::{Duration, Instant};

use drtui::sandbox::faults::{Kind, Provider};
use drtui::sandbox::postgres::HOST;
use drtui::sandbox::postgres::fleet::LIVE;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

use super::ground::{APP, Ground, NS, PATIENCE, Ran, SECRETLESS, first_line, port_of, ran, until};

/// How long the API server is away.
const CUT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_told_and_what_can_be_outlived_is() {
    let apps = |url: &str| {
        let wrong = url.replace("@s189", "x@s189");
        vec![
            ("wrong", vec![("DATABASE_URL", wrong)]),
            ("malformed", vec![("DATABASE_URL", "postgres://u:s3cret%zz@h/d".to_owned())]),
            ("bare", Vec::new()),
            (SECRETLESS, vec![("DATABASE_URL", url.to_owned())]),
            ("no-nc", vec![("DATABASE_URL", url.to_owned())]),
        ]
    };
    let ground = Ground::of(apps, true).await;
    refusals(&ground).await;
    rights(&ground).await;
    ways(&ground).await;
    konduit(&ground).await;
    without_nc(&ground).await;
    pod_lost(&ground).await;
    cut(&ground).await;
    ground.end().await;
}

async fn refusals(ground: &Ground) {
    let select = ["--", "psql", "-Atc", "select 1"];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let other = "other.postgres.database.azure.com";
    ground.names.set(other, 5432, ground.servers.resolve(HOST).unwrap());
    for (words, says) in [
        (vec!["wrong"], "refuses the password of u"),
        (vec!["malformed"], "DATABASE_URL of tra-test/malformed: not a Postgres URL"),
        (vec!["bare"], "has no DATABASE_URL"),
        (vec![SECRETLESS], "has no DATABASE_URL: looked in secretless-secret, which does not exist"),
        (vec!["nowhere"], "deployments.apps \"nowhere\" not found"),
        (vec!["-s", "nowhere", APP], "no server called nowhere.postgres.database.azure.com"),
        (vec!["-s", "other", APP], "certificate for"),
        (vec!["-b", "nowhere", APP], "has no database called nowhere"),
        (vec!["--listen", &port, APP], "is taken"),
    ] {
        let ran = ground.run(&[words.as_slice(), &select].concat()).await;
        assert!(ran.code == 125 && ran.err.contains(says), "{words:?}: {ran:?}");
        assert!(!ran.err.contains("s3cret") && !ran.err.contains(&ground.password), "{ran:?}");
    }
    // The way out has to name the server, and the right one.
    let named = [&["--tls-unverified", other, "-s", "other", APP], &select[..]].concat();
    assert_eq!(ground.run(&named).await.out, "1\n");
    let misnamed = [&["--tls-unverified", "other", "-s", "other", APP], &select[..]].concat();
    assert!(ground.run(&misnamed).await.err.contains("the tunnel leads to other.postgres"));
    // psql verifies by itself: on its own, through the local port, it refuses the wrong name too.
    let ran = ground
        .run(&[
            "--tls-unverified",
            other,
            "-s",
            "other",
            APP,
            "--",
            "psql",
            "host=other2 sslmode=verify-full",
            "-c",
            "",
        ])
        .await;
    assert_eq!(ran.code, 2, "{ran:?}");
}

/// Whoever may not is told what.
async fn rights(ground: &Ground) {
    let mut command = ground.tunnel(&[APP, "--", "psql"]);
    command.env("KUBECONFIG", ground.dir.path().join("kubeconfig-viewer"));
    let refused = ran(command).await;
    assert!(refused.code == 125 && refused.err.contains("cannot get resource \"secrets\""), "{refused:?}");
    for (words, right) in [
        (vec!["--no-fallback"], "pods/exec"),
        (vec![], "neither create pods/exec nor create pods/portforward"),
        (vec!["-x"], "neither create pods/exec nor create pods/portforward"),
    ] {
        let mut command = ground.tunnel(&[words.as_slice(), &[APP, "--", "psql"]].concat());
        command.env("DRTUI_TUNNEL_URL", &ground.url);
        command.env("KUBECONFIG", ground.dir.path().join("kubeconfig-viewer"));
        let refused = ran(command).await;
        assert!(refused.code == 125 && refused.err.contains(right), "{words:?}: {refused:?}");
    }
}

/// Without the right to exec it goes by port-forward and says so; without either nothing is made, and both are named.
async fn ways(ground: &Ground) {
    let by = |who: &str, words: &[&str]| {
        let mut command = ground.tunnel(&[words, &["--", "psql", "-Atc", "select 1"]].concat());
        command.env("KUBECONFIG", ground.dir.path().join(format!("kubeconfig-{who}")));
        ran(command)
    };
    for words in [&[APP][..], &["-x", APP]] {
        let ran = by("no-exec", words).await;
        let said = "note: create pods/exec is not allowed: it goes by port-forward to a pod of its own";
        assert!(ran.out == "1\n" && ran.err.contains(said), "{words:?}: {ran:?}");
        assert!(ran.err.contains("(port-forward)"), "{ran:?}");
        until("its pod is deleted", async || ground.made().await.is_empty()).await;
    }
    let ran = by("no-exec", &["--no-fallback", APP]).await;
    assert!(ran.code == 125 && ran.err.contains("create pods/exec. A pod of its own (-x"), "{ran:?}");
    for words in [&[APP][..], &["-x", APP]] {
        let ran = by("no-streams", words).await;
        let both = "neither create pods/exec nor create pods/portforward";
        assert!(ran.code == 125 && ran.err.contains(both), "{words:?}: {ran:?}");
        assert!(ran.err.contains("drtui tunnel --konduit") && ran.err.contains("no-streams@"), "{ran:?}");
        assert!(!ran.err.contains("making pod"), "a pod was made for nothing: {ran:?}");
    }
    assert!(ground.made().await.is_empty());
}

/// The third way is the user's own konduit.sh: it gets the options that it knows, and its exit code is ours. A password
/// is not handed to it.
async fn konduit(ground: &Ground) {
    let bin = ground.dir.path().join("konduit");
    std::fs::create_dir_all(&bin).unwrap();
    let script = bin.join("konduit.sh");
    std::fs::write(&script, "#!/bin/sh\nprintf '%s|' \"$@\"\nexit 7\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let with = |who: &str, words: &[&str]| {
        let mut command = ground.tunnel(words);
        command.env("PATH", &path).env("KUBECONFIG", ground.dir.path().join(who));
        ran(command)
    };
    let hint = with("kubeconfig-no-streams", &[APP, "--", "psql"]).await;
    assert!(
        hint.err.contains(&format!("--konduit hands the same options to {}", script.display())),
        "{hint:?}"
    );
    let words = ["--konduit", "-x", "-s", "s-pg-ptr", "-t", "7200", APP, "--", "psql", "-c", "select 1"];
    let Ran { out, err, code } = with("kubeconfig", &words).await;
    assert_eq!(
        (out.as_str(), code),
        ("-n|tra-test|-s|s-pg-ptr|-t|7200|-x|web|--|psql|-c|select 1|", 7),
        "{err}"
    );
    assert!(err.contains("konduit.sh takes over") && err.contains("process list"), "{err}");
    let Ran { out, err, code } =
        with("kubeconfig", &["--konduit", "-u", &ground.url, APP, "--", "psql"]).await;
    assert!(code == 125 && out.is_empty() && err.contains("without --konduit"), "{err}");
    assert!(!err.contains(&ground.password), "{err}");
}

/// An image without `nc`: a pod of its own serves, unless that was excluded.
async fn without_nc(ground: &Ground) {
    let api: Api<Deployment> = Api::namespaced(ground.client.clone(), NS);
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {"drtui.sandbox/no-nc": "true"}}}}});
    api.patch("no-nc", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    until("the new pods are there", async || {
        let d = api.get("no-nc").await.unwrap();
        let (status, meta) = (d.status.unwrap(), d.metadata);
        status.observed_generation == meta.generation
            && status.updated_replicas == Some(1)
            && status.replicas == Some(1)
            && status.ready_replicas == Some(1)
    })
    .await;
    let refused = ground.run(&["--no-fallback", "no-nc", "--", "psql", "-Atc", "select 1"]).await;
    assert!(refused.code == 125 && refused.err.contains("has no nc"), "{refused:?}");
    let served = ground.run(&["no-nc", "--", "psql", "-Atc", "select 1"]).await;
    assert!(served.out == "1\n" && served.err.contains("a pod of its own"), "{served:?}");
    let relayed = ground.run(&["--port-forward", APP, "--", "psql", "-Atc", "select 2"]).await;
    assert!(relayed.out == "2\n" && relayed.err.contains("port-forward"), "{relayed:?}");
    until("their pods are deleted", async || ground.made().await.is_empty()).await;
}

/// psql on the local port of a tunnel that somebody else keeps.
pub fn psql(ground: &Ground, port: u16, sql: &str) -> Child {
    let credentials = ground.servers.credentials();
    tokio::process::Command::new("psql")
        .args(["-AtX", "-c", sql])
        .env("PGHOST", HOST)
        .env("PGHOSTADDR", "127.0.0.1")
        .env("PGPORT", port.to_string())
        .env("PGUSER", &credentials.user)
        .env("PGPASSWORD", &ground.password)
        .env("PGDATABASE", "rsm_production")
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", &ground.ca)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

pub async fn output(child: Child) -> (String, String, i32) {
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("psql ends").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
}

/// The client of a lost pod is told within three seconds; the next connection goes through another on the same port.
async fn pod_lost(ground: &Ground) {
    for words in [vec![APP], vec!["-x", APP]] {
        let (mut tunnel, port) = ground.listen(&words).await;
        // The server does not notice at once that the one before is gone: each is told apart.
        let sql = format!("select pg_sleep(60) /* lost {} */", words.len());
        let sleeping = psql(ground, port, &sql);
        let admin = ground.servers.admin(LIVE).unwrap().connect("test").await.unwrap();
        let seen = format!("SELECT count(*) FROM pg_stat_activity WHERE query = '{sql}'");
        let active = async || admin.query_one(&seen, &[]).await.unwrap().get::<_, i64>(0) == 1;
        until("the query runs", active).await;
        let pods = if words.contains(&"-x") { ground.made().await } else { apps_pods(ground).await };
        let began = Instant::now();
        for pod in &pods {
            ground.pods().delete(pod, &DeleteParams::default().grace_period(0)).await.unwrap();
        }
        let (_, err, code) = output(sleeping).await;
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert!(code == 2 && err.contains("connection"), "{code} {err}");
        let (out, err, _) = output(psql(ground, port, "select 'again'")).await;
        assert_eq!(out, "again\n", "{words:?}: {err}");
        tunnel.start_kill().unwrap();
        tunnel.wait().await.unwrap();
    }
}

async fn apps_pods(ground: &Ground) -> Vec<String> {
    let labels = kube::api::ListParams::default().labels("app=web");
    let pods = ground.pods().list(&labels).await.unwrap().items;
    pods.into_iter().filter_map(|p| p.metadata.name).collect()
}

/// The API server is away for a while: connections end, a new one waits and is served.
async fn cut(ground: &Ground) {
    let mut command = ground.tunnel(&["--listen", "0", APP]);
    let mut tunnel = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let port = port_of(&first_line(&mut tunnel).await);
    let sleeping = psql(ground, port, "select pg_sleep(60) /* cut */");
    let admin = ground.servers.admin(LIVE).unwrap().connect("test").await.unwrap();
    let seen = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'select pg_sleep(60) /* cut */'";
    let active = async || admin.query_one(seen, &[]).await.unwrap().get::<_, i64>(0) == 1;
    until("the query runs", active).await;
    ground.faults.set(Provider::Kubernetes, Kind::Refused, CUT);
    let began = Instant::now();
    let (_, err, code) = output(sleeping).await;
    assert!(code == 2 && began.elapsed() < Duration::from_secs(3), "{code} {err}");
    let (out, err, _) = output(psql(ground, port, "select 'back'")).await;
    assert_eq!(out, "back\n", "{err}");
    assert!(began.elapsed() >= CUT - Duration::from_secs(1), "the cut was none: {:?}", began.elapsed());
    // What happened was said, on the way and at the end of it.
    let mut said = BufReader::new(tunnel.stderr.take().unwrap()).lines();
    let told = async {
        let mut all = Vec::new();
        while let Some(line) = said.next_line().await.unwrap() {
            let over = line.contains("connected again");
            all.push(line);
            if over {
                break;
            }
        }
        all.join("\n")
    };
    let told = timeout(PATIENCE, told).await.expect("it says that it is connected again");
    assert!(told.contains("reconnecting: the cluster cannot be asked: cannot reach it"), "{told}");
    tunnel.start_kill().unwrap();
    tunnel.wait().await.unwrap();
}
