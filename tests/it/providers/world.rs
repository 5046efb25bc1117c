//! A cluster and an Azure of the sandbox, and the settings that point the providers at them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use drtui::domain::{DeploymentKey, Target};
use drtui::providers::{AzureSettings, KubernetesSettings, Settings, TunnelSettings, WebSettings};
use drtui::sandbox::azure::{Azure, Principal, RESOURCE_GROUP, SERVER, SIDE_COPY};
use drtui::sandbox::certs::Authority;
use drtui::sandbox::clock::Clock;
use drtui::sandbox::faults::Faults;
use drtui::sandbox::kubernetes::{Cluster, ClusterSpec, DeploymentSpec, Pace};
use drtui::sandbox::postgres::Credentials;
use drtui::sandbox::postgres::fleet::{Lifecycle, Rules, Servers};
use secrecy::ExposeSecret;
use tokio::sync::watch;

pub const NAMESPACE: &str = "tra-production";
pub const APP: &str = "refer-serious-misconduct-production";
pub const WORKER: &str = "refer-serious-misconduct-production-worker";

/// Ends, with its files, when dropped.
pub struct World {
    pub cluster: Cluster,
    pub faults: Faults,
    pub settings: Settings,
    pub target: Target,
    pub dir: Dir,
    _stop: watch::Sender<bool>,
    _azure: Azure,
}

/// A folder of one test, removed when dropped.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("drtui-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl World {
    pub async fn start(name: &str) -> World {
        crypto();
        let authority = std::sync::Arc::new(Authority::new().unwrap());
        let faults = Faults::default();
        let (stop, stopped) = watch::channel(false);
        let deployment = |name: &str, replicas, hpa| DeploymentSpec {
            namespace: NAMESPACE.into(),
            name: name.into(),
            replicas,
            image: "ghcr.io/dfe-digital/rsm:1".into(),
            hpa,
            secrets: Vec::new(),
        };
        let spec = ClusterSpec {
            deployments: vec![
                deployment(APP, 2, Some((2, 5))),
                deployment(WORKER, 1, None),
                deployment("other-service-production", 1, None),
            ],
            pace: Pace::fast(),
            ..ClusterSpec::default()
        };
        let cluster = Cluster::start(spec, &authority, faults.clone(), stopped.clone()).await.unwrap();
        let principal = Principal::random();
        let dir = Dir::new(name);
        let servers =
            Servers::new(&dir.0, authority.clone(), Credentials::random(), Rules::default()).unwrap();
        let created = chrono::Utc::now() - chrono::Duration::days(3);
        for (name, state) in [
            (SERVER, Lifecycle::Ready),
            (SIDE_COPY, Lifecycle::Stopped),
            ("s189p01-rsm-pd-pg-ptr", Lifecycle::Updating),
        ] {
            servers.put_on_paper(name, state, (17, 5), created).unwrap();
        }
        let clock = Clock::default();
        let azure = Azure::start(principal.clone(), servers, clock, &authority, faults.clone(), stopped)
            .await
            .unwrap();
        let ca = dir.write("ca.pem", authority.ca_pem());
        let secret = dir.write("secret", principal.client_secret.expose_secret());
        let kubeconfig = dir.write("kubeconfig", &cluster.kubeconfig());
        let settings = Settings {
            kubernetes: KubernetesSettings { kubeconfig: Some(kubeconfig), context: None },
            azure: AzureSettings {
                subscription: principal.subscription.clone(),
                side_copies: vec![SIDE_COPY.into()],
                tenant: Some(principal.tenant.clone()),
                client_id: Some(principal.client_id.clone()),
                client_secret_file: Some(secret),
                endpoint: azure.endpoint.clone(),
                authority: azure.endpoint.clone(),
                key_vaults: String::new(),
                ca_file: Some(ca),
            },
            web: WebSettings::default(),
            tunnel: TunnelSettings::default(),
        };
        World { cluster, faults, settings, target: target(), dir, _stop: stop, _azure: azure }
    }

    /// A configuration file that points at this world.
    pub fn config(&self) -> PathBuf {
        let (t, a) = (&self.target, &self.settings.azure);
        self.dir.write(
            "drtui.toml",
            &format!(
                "service = \"{}\"\n[environments.production]\nnamespace = \"{}\"\napp = \"{}\"\n\
                 [environments.production.cluster]\nname = \"sandbox\"\nkubeconfig = \"kubeconfig\"\n\
                 [environments.production.azure]\nsubscription = \"{}\"\nresource_group = \"{}\"\nserver = \"{}\"\n\
                 tenant = \"{}\"\nclient_id = \"{}\"\nclient_secret_file = \"secret\"\nendpoint = \"{}\"\n\
                 authority = \"{}\"\nca_file = \"ca.pem\"\n",
                t.service,
                t.namespace,
                t.app,
                a.subscription,
                t.resource_group,
                t.server,
                a.tenant.as_deref().unwrap(),
                a.client_id.as_deref().unwrap(),
                a.endpoint,
                a.authority,
            ),
        )
    }
}

/// As main does, first thing.
pub fn crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub fn target() -> Target {
    Target {
        service: "refer-serious-misconduct".into(),
        environment: "production".into(),
        production: true,
        exercise: true,
        namespace: NAMESPACE.into(),
        cluster: "sandbox".into(),
        app: APP.into(),
        whole_namespace: false,
        resource_group: RESOURCE_GROUP.into(),
        server: SERVER.into(),
        health_url: None,
        sandbox: None,
    }
}

pub fn key(name: &str) -> DeploymentKey {
    DeploymentKey { namespace: NAMESPACE.into(), name: name.into() }
}

/// Settings whose Azure is nowhere and whose cluster is that of a kubeconfig.
pub fn only_kubernetes(kubeconfig: &Path) -> Settings {
    Settings {
        kubernetes: KubernetesSettings { kubeconfig: Some(kubeconfig.to_owned()), context: None },
        azure: AzureSettings {
            subscription: "none".into(),
            side_copies: Vec::new(),
            tenant: Some("none".into()),
            client_id: Some("none".into()),
            client_secret_file: Some("/nonexistent/secret".into()),
            endpoint: "https://127.0.0.1:9".into(),
            authority: "https://127.0.0.1:9".into(),
            key_vaults: String::new(),
            ca_file: None,
        },
        web: WebSettings::default(),
        tunnel: TunnelSettings::default(),
    }
}
