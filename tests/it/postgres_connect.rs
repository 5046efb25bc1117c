//! Connections to a real server over streams that we open ourselves: who is let in, and what is said when not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use drtui::providers::postgres::{
    BoxStream, Connect, Dial, DialError, Direct, Host, PostgresError, Tls, Url,
};
use drtui::sandbox::certs::Authority;
use drtui::sandbox::postgres::fleet::{Rules, Servers};
use drtui::sandbox::postgres::seed::Recipe;
use drtui::sandbox::postgres::{Credentials, DATABASE, HOST};
use drtui::sandbox::rundir::{CLUSTERS, RunDir};
use drtui::sandbox::{Say, Scale};
use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::ExposeSecret;
use tokio_postgres::error::SqlState;

/// Finds servers as the sandbox's cluster does, so that names are real and ports are not.
#[derive(Debug)]
struct Cluster {
    port: u16,
}

impl Dial for Cluster {
    fn dial<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<BoxStream, DialError>> {
        async move {
            if !host.name.starts_with("s189p01-rsm-pd-pg") {
                return Err(DialError::UnknownHost { host: host.name.clone(), whence: "the pod".into() });
            }
            Direct.dial(&Host { name: "127.0.0.1".into(), port: self.port }).await
        }
        .boxed()
    }
}

struct Ground {
    port: u16,
    url: String,
    ca: PathBuf,
    servers: Servers,
    _dir: RunDir,
}

async fn ground() -> Ground {
    let say: Say = Arc::new(|line| println!("{line}"));
    let dir = RunDir::create(&say).unwrap();
    let authority = Arc::new(Authority::new().unwrap());
    let ca = dir.write("ca.pem", authority.ca_pem()).unwrap();
    let credentials = Credentials::random();
    let folder = dir.path().join(CLUSTERS);
    let servers = Servers::new(&folder, authority, credentials.clone(), Rules::default()).unwrap();
    let as_of = chrono::NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
    let live = servers.start_live(&Recipe { seed: 1, scale: Scale::Small, as_of }, &say).await.unwrap();
    let password = credentials.password.expose_secret();
    let url = format!("postgres://{}:{password}@{HOST}:5432/{DATABASE}?sslmode=require", credentials.user);
    Ground { port: live.port, url, ca, servers, _dir: dir }
}

impl Ground {
    async fn connect(&self, url: Url) -> Connect {
        let tls = Tls::load(Some(&self.ca)).await.unwrap();
        Connect::through(url, tls, Arc::new(Cluster { port: self.port }))
    }

    async fn error(&self, url: Url) -> PostgresError {
        self.connect(url).await.client().await.unwrap_err()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_in_and_what_is_said_when_not() {
    let ground = ground().await;
    let url = Url::parse(&ground.url).unwrap();
    let connect = ground.connect(url.clone()).await;

    let safe = connect.clone().application("drtui compare").setting("default_transaction_read_only", "on");
    let client = safe.client().await.unwrap();
    let row = client.query_one("SELECT current_setting('application_name'), inet_server_port()", &[]).await;
    assert_eq!(row.unwrap().get::<_, String>(0), "drtui compare");
    let refused = client.batch_execute("CREATE TABLE x ()").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));

    // What runs is cancelled over a connection of its own.
    let token = client.cancel_token();
    let sleeping = async { client.batch_execute("SELECT pg_sleep(60)").await.unwrap_err() };
    let cancelling = async {
        let watching = connect.client().await.unwrap();
        let seen =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
        while watching.query_one(seen, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
        safe.cancel(&token).await.unwrap();
    };
    let both = async { tokio::join!(sleeping, cancelling).0 };
    let ended = tokio::time::timeout(Duration::from_secs(20), both).await.expect("it is cancelled");
    assert_eq!(ended.code(), Some(&SqlState::QUERY_CANCELED));

    // The name is what the certificate says, wherever the bytes go.
    let error = ground.error(url.clone().on_server("s189p01-rsm-pd-pg-ptr")).await;
    assert!(
        matches!(&error, PostgresError::TlsName { presented, .. } if presented.contains(HOST)),
        "{error:?}"
    );
    let error = ground.error(url.clone().on_server("elsewhere")).await;
    assert!(error.to_string().contains("elsewhere.postgres.database.azure.com"), "{error}");
    assert!(matches!(error, PostgresError::UnknownServer { .. }), "{error:?}");

    let wrong = Url::parse(&ground.url.replace("@s189", "wrong@s189")).unwrap();
    assert!(matches!(ground.error(wrong).await, PostgresError::Password { .. }));
    let error = ground.error(url.clone().in_database("nowhere")).await;
    assert!(matches!(error, PostgresError::UnknownDatabase { .. }), "{error:?}");

    // Somebody else's authority; nobody's; a file that is none.
    let other = ground._dir.write("other.pem", Authority::new().unwrap().ca_pem()).unwrap();
    let tls = Tls::load(Some(&other)).await.unwrap();
    let cluster = Arc::new(Cluster { port: ground.port });
    let error = Connect::through(url.clone(), tls, cluster.clone()).client().await.unwrap_err();
    assert!(matches!(error, PostgresError::TlsUntrusted { .. }), "{error:?}");
    let anybody =
        Connect::through(url.clone().on_server("s189p01-rsm-pd-pg-x"), Tls::unverified().unwrap(), cluster);
    anybody.client().await.unwrap();
    let none = ground._dir.write("none.pem", "nothing").unwrap();
    assert!(Tls::load(Some(&none)).await.unwrap_err().to_string().contains("none.pem"));

    // Of several hosts the first that answers serves.
    let several = ground.url.replace(HOST, &format!("gone.example:1,{HOST}")).replace(":5432/", "/");
    let tls = Tls::load(Some(&ground.ca)).await.unwrap();
    let cluster = Arc::new(Cluster { port: ground.port });
    Connect::through(Url::parse(&several).unwrap(), tls, cluster).client().await.unwrap();

    // Without a listener nothing answers.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tls = Tls::load(Some(&ground.ca)).await.unwrap();
    let url = url.clone();
    let error = Connect::through(url, tls, Arc::new(Cluster { port: nobody })).client().await.unwrap_err();
    assert!(matches!(error, PostgresError::Refused { .. }), "{error:?}");
    ground.servers.end().await;
}
