//! Assembles the world, tells where everything is, and takes it down again without a trace.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{NaiveTime, TimeDelta};
use secrecy::ExposeSecret;
use thiserror::Error;
use tokio::task::JoinHandle;

use super::azure::{Azure, AzureError, Principal, RESOURCE_GROUP, SERVER, SIDE_COPY};
use super::certs::{Authority, CertError};
use super::clock::Clock;
use super::control::Control;
use super::dependencies::{Dependencies, Outside};
use super::disaster::{self, DisasterError, Scene};
use super::estate::{self, NAMESPACE, WEB};
use super::faults::Faults;
use super::kubernetes::{Cluster, ClusterError};
use super::postgres::connect::Access;
use super::postgres::fleet::{Lifecycle, Rules, Servers, Tempo};
use super::postgres::{Credentials, PostgresError};
use super::rundir::{CLUSTERS, RunDir, RunDirError};
use super::serve::{Stop, stopped};
use super::service::{Service, ServiceError};
use super::state::{self, State, StateError};
use super::{Options, Say, Scale, traffic};

/// Why the sandbox does not run.
#[derive(Debug, Error)]
pub enum WorldError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Azure(#[from] AzureError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("cannot listen on 127.0.0.1 for the sandbox's control: {0}")]
    Control(io::Error),
    #[error(transparent)]
    Disaster(#[from] DisasterError),
}

/// Runs a sandbox until `stop`: clears leftovers, starts everything, writes the state file, calls `ready`, waits, and
/// removes what it made.
///
/// # Errors
/// Something cannot be started, or cannot be removed at the end.
pub async fn run(
    options: &Options,
    mut stop: Stop,
    say: &Say,
    ready: impl FnOnce(&State),
) -> Result<(), WorldError> {
    State::free(&options.state_file)?;
    let run_dir = RunDir::create(say)?;
    let inner = stop.clone();
    let ran = tokio::select! {
        biased;
        () = stopped(&mut stop) => None,
        started = World::start(&run_dir, options, inner.clone(), say) => Some(started),
    };
    let ran = match ran {
        None => Ok(()),
        Some(Err(error)) => Err(error),
        Some(Ok(world)) => live(world, options, inner, ready).await,
    };
    let removed = run_dir.remove();
    ran.and(removed.map_err(WorldError::from))
}

async fn live(
    world: World,
    options: &Options,
    mut stop: Stop,
    ready: impl FnOnce(&State),
) -> Result<(), WorldError> {
    let written = world.state.write(&options.state_file);
    if written.is_ok() {
        ready(&world.state);
        stopped(&mut stop).await;
        world.state.remove(&options.state_file);
    }
    let ended = world.end().await;
    written?;
    ended
}

/// Everything that runs.
struct World {
    state: State,
    servers: Servers,
    azure: Azure,
    service: Service,
    outside: Outside,
    control: Control,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    async fn start(run_dir: &RunDir, options: &Options, stop: Stop, say: &Say) -> Result<World, WorldError> {
        let authority = Arc::new(Authority::new()?);
        let clock = Clock::default();
        let faults = Faults::default();
        let credentials = Credentials::random();
        let estate = estate::cluster(options.recipe.scale, &credentials);
        let folder = run_dir.path().join(CLUSTERS);
        let servers = Servers::new(&folder, Arc::clone(&authority), credentials, rules(options))?;
        let (live, cluster) = tokio::try_join!(
            async { Ok::<_, WorldError>(servers.start_live(&options.recipe, say).await?) },
            async { Ok(Cluster::start(estate, &authority, faults.clone(), stop.clone()).await?) },
        )?;

        say("starting Azure and the service");
        let days_ago = (options.recipe.as_of - TimeDelta::days(9)).and_time(NaiveTime::MIN).and_utc();
        let version = servers.get(SERVER).map(|live| live.version).unwrap_or_default();
        servers.put_on_paper(SIDE_COPY, Lifecycle::Stopped, version, days_ago)?;
        let principal = Principal::random();
        let azure = Azure::start(
            principal.clone(),
            servers.clone(),
            clock.clone(),
            &authority,
            faults.clone(),
            stop.clone(),
        )
        .await?;
        let service =
            Service::start(live.clone(), cluster.clone(), &authority, faults.clone(), stop.clone()).await?;
        azure.diagnostics.give(SERVER);
        azure.locks.protect(SERVER, &format!("{SERVER}-lock"));
        let dependencies = Dependencies::default();
        let outside =
            Outside::start(dependencies.clone(), cluster.clone(), clock.clone(), &authority, stop.clone())
                .await?;
        let scene = Scene {
            servers: servers.clone(),
            faults,
            clock,
            locks: Arc::clone(&azure.locks),
            diagnostics: Arc::clone(&azure.diagnostics),
            dependencies,
        };
        let ca_file = run_dir.write("ca.pem", authority.ca_pem())?;
        let rights = Arc::clone(&azure.reads_only);
        let control = Control::start(scene.clone(), ca_file.clone(), rights, cluster.clone(), stop.clone())
            .await
            .map_err(WorldError::Control)?;
        let tasks = vec![tokio::spawn(traffic::run(live.clone(), cluster.clone(), stop))];
        let parts =
            Parts { run_dir, options, ca_file, principal: &principal, live: &live, cluster: &cluster };
        let mut state = parts.state(&azure, &service, &control)?;
        state.dependencies = outside.addresses.clone();
        state.webhooks = state::Webhooks(outside.webhooks.clone());
        if let Some(chosen) = options.disaster {
            say(&disaster::strike(chosen, &scene).await?.words());
        }
        Ok(World { state, servers, azure, service, outside, control, tasks })
    }

    /// Takes everything down; `stop` has been given.
    async fn end(self) -> Result<(), WorldError> {
        for task in self.tasks {
            // They end with `stop`; one that panicked has nothing left to end.
            let _ = task.await;
        }
        tokio::join!(
            self.azure.ended(),
            self.service.ended(),
            self.outside.ended(),
            self.control.ended(),
            self.servers.end()
        );
        Ok(())
    }
}

fn rules(options: &Options) -> Rules {
    let tempo = match (options.fast, options.realistic) {
        (true, _) => Tempo::Fast,
        (false, true) => Tempo::Realistic,
        (false, false) => Tempo::Short,
    };
    let delta = |of| TimeDelta::from_std(of).unwrap_or(TimeDelta::days(1));
    Rules { tempo, lag: delta(options.restore_lag), kept: delta(options.day) * 5 }
}

/// What the state file is made from.
struct Parts<'a> {
    run_dir: &'a RunDir,
    options: &'a Options,
    ca_file: PathBuf,
    principal: &'a Principal,
    live: &'a Access,
    cluster: &'a Cluster,
}

impl Parts<'_> {
    fn state(&self, azure: &Azure, service: &Service, control: &Control) -> Result<State, WorldError> {
        let ca_file = self.ca_file.clone();
        let kubeconfig = self.run_dir.write("kubeconfig", &self.cluster.kubeconfig())?;
        let secret_file =
            self.run_dir.write("azure-client-secret", self.principal.client_secret.expose_secret())?;
        let config = self.config(azure, service, &ca_file, &kubeconfig, &secret_file);
        let config = self.run_dir.write("drtui.toml", &config)?;
        let access = self.live;
        let parameters = format!("sslmode=verify-full&sslrootcert={}", ca_file.display());
        let live_url = access.url("127.0.0.1", access.port, &parameters).expose_secret().to_owned();
        Ok(State {
            pid: std::process::id(),
            run_dir: self.run_dir.path().to_path_buf(),
            seed: self.options.recipe.seed,
            scale: self.options.recipe.scale.name().into(),
            as_of: self.options.recipe.as_of,
            ca_file,
            kubeconfig,
            azure: state::Azure {
                endpoint: azure.endpoint.clone(),
                tenant: self.principal.tenant.clone(),
                client_id: self.principal.client_id.clone(),
                client_secret: self.principal.client_secret.expose_secret().to_owned(),
                subscription: self.principal.subscription.clone(),
                resource_group: RESOURCE_GROUP.into(),
            },
            github: None,
            blobs: None,
            postgres: state::Postgres { live_url },
            service: state::Service { url: service.url.clone() },
            dependencies: BTreeMap::new(),
            webhooks: state::Webhooks::default(),
            config,
            control: state::Control {
                endpoint: control.endpoint.clone(),
                token: control.token.expose_secret().to_owned(),
            },
        })
    }

    /// A drtui configuration for this world.
    fn config(
        &self,
        azure: &Azure,
        service: &Service,
        ca_file: &std::path::Path,
        kubeconfig: &std::path::Path,
        secret_file: &std::path::Path,
    ) -> String {
        let deployments = if self.options.recipe.scale == Scale::Large { "namespace" } else { "service" };
        let (ca_file, kubeconfig) = (ca_file.display().to_string(), kubeconfig.display().to_string());
        let secret_file = secret_file.display().to_string();
        let health_url = format!("{}/health/all", service.url);
        let state_file = self.options.state_file.display().to_string();
        let mut text = String::from(
            "# Written by `drtui sandbox` for this run; gone when it ends.\nservice = \"refer-serious-misconduct\"\n\n\
             [environments.production]\nproduction = true\nexercise = true\n",
        );
        section(
            &mut text,
            &[
                ("sandbox", &state_file),
                ("namespace", NAMESPACE),
                ("app", WEB),
                ("deployments", deployments),
                ("health_url", &health_url),
                ("health_ca_file", &ca_file),
            ],
        );
        text.push_str("\n[environments.production.cluster]\n");
        // The name says what it is, and which run: nobody shall take it for the real cluster, nor for another run.
        let name = format!("sandbox-{}", std::process::id());
        section(&mut text, &[("name", &name), ("kubeconfig", &kubeconfig)]);
        text.push_str("\n[environments.production.azure]\n");
        let _ = writeln!(text, "side_copies = [{}]", quoted(SIDE_COPY));
        section(
            &mut text,
            &[
                ("subscription", &self.principal.subscription),
                ("resource_group", RESOURCE_GROUP),
                ("server", SERVER),
                ("tenant", &self.principal.tenant),
                ("client_id", &self.principal.client_id),
                ("client_secret_file", &secret_file),
                ("endpoint", &azure.endpoint),
                ("authority", &azure.endpoint),
                ("ca_file", &ca_file),
            ],
        );
        text
    }
}

fn section(text: &mut String, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        let _ = writeln!(text, "{key} = {}", quoted(value));
    }
}

fn quoted(value: &str) -> String {
    toml::Value::from(value).to_string()
}
