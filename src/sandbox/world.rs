//! Assembles the world, tells where everything is, and takes it down again without a trace.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{NaiveTime, TimeDelta};
use secrecy::ExposeSecret;
use thiserror::Error;
use tokio::task::JoinHandle;

use super::azure::{Azure, AzureError, Principal, RESOURCE_GROUP, SERVER, SIDE_COPY};
use super::blobs::{self, Blobs, BlobsError, SignIn};
use super::certs::{Authority, CertError};
use super::clock::Clock;
use super::control::Control;
use super::dependencies::{Dependencies, Outside};
use super::disaster::{self, DisasterError, Scene};
use super::estate::{self, NAMESPACE, WEB};
use super::faults::Faults;
use super::github::{self, Github, GithubError};
use super::kubernetes::{Cluster, ClusterError, Names};
use super::postgres::connect::Access;
use super::postgres::fleet::{Lifecycle, Rules, Servers, Tempo};
use super::postgres::{Credentials, PostgresError};
use super::recovery::Recovery;
use super::recovery::fleet::Fleet;
use super::rundir::{CLUSTERS, RunDir, RunDirError};
use super::serve::{Stop, stopped};
use super::service::{Service, ServiceError};
use super::state::{self, State, StateError};
use super::{Options, Say, Scale, history, traffic};

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
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    #[error(transparent)]
    Github(#[from] GithubError),
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
    blobs: Blobs,
    github: Github,
    service: Service,
    outside: Outside,
    control: Control,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    async fn start(run_dir: &RunDir, options: &Options, stop: Stop, say: &Say) -> Result<World, WorldError> {
        let authority = Arc::new(Authority::new()?);
        let ca_file = run_dir.write("ca.pem", authority.ca_pem())?;
        let (clock, faults) = (Clock::default(), Faults::default());
        let credentials = Credentials::random();
        let estate = estate::cluster(options.recipe.scale, &credentials);
        let folder = run_dir.path().join(CLUSTERS);
        let servers = Servers::new(&folder, Arc::clone(&authority), credentials, rules(options))?;
        lead_to_fleet(&estate.names, &servers);
        let (live, cluster) = tokio::try_join!(start_live(&servers, options, say), async {
            Ok(Cluster::start(estate, &authority, faults.clone(), stop.clone()).await?)
        },)?;

        say("starting Azure, GitHub and the service");
        let principal = Principal::random();
        let ground = Ground {
            run_dir,
            options,
            authority: &authority,
            ca_file: &ca_file,
            clock: &clock,
            faults: &faults,
            stop: &stop,
        };
        let azure = ground.azure(&servers, &principal).await?;
        let (blobs, github) = ground.delivery(&servers, &azure, &principal, &cluster).await?;
        let (access, watched) = (live.clone(), cluster.clone());
        let service = Service::start(access, watched, &authority, faults.clone(), stop.clone()).await?;
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
            blobs: blobs.store.clone(),
        };
        let (rights, lever) = (Arc::clone(&azure.reads_only), github.lever());
        let (ca, watched) = (ca_file.clone(), cluster.clone());
        let control = Control::start(scene.clone(), ca, rights, lever, watched, stop.clone())
            .await
            .map_err(WorldError::Control)?;
        let tasks = vec![tokio::spawn(traffic::run(live.clone(), cluster.clone(), stop))];
        let parts =
            Parts { run_dir, options, ca_file, principal: &principal, live: &live, cluster: &cluster };
        let mut state = parts.state(&azure, &service, &control)?;
        (state.github, state.blobs) = (Some(github_state(&github)), Some(blobs_state(&blobs)));
        state.dependencies = outside.addresses.clone();
        state.webhooks = state::Webhooks(outside.webhooks.clone());
        if let Some(chosen) = options.disaster {
            say(&disaster::strike(chosen, &scene).await?.words());
        }
        Ok(World { state, servers, azure, blobs, github, service, outside, control, tasks })
    }

    /// Takes everything down; `stop` has been given.
    async fn end(self) -> Result<(), WorldError> {
        for task in self.tasks {
            // They end with `stop`; one that panicked has nothing left to end.
            let _ = task.await;
        }
        tokio::join!(
            self.azure.ended(),
            self.github.ended(),
            self.blobs.ended(),
            self.service.ended(),
            self.outside.ended(),
            self.control.ended(),
            self.servers.end()
        );
        Ok(())
    }
}

/// What the simulators are started with.
struct Ground<'a> {
    run_dir: &'a RunDir,
    options: &'a Options,
    authority: &'a Authority,
    ca_file: &'a Path,
    clock: &'a Clock,
    faults: &'a Faults,
    stop: &'a Stop,
}

impl Ground<'_> {
    /// Azure, with what the platform gives the live server, and a side copy that is stopped.
    async fn azure(&self, servers: &Servers, principal: &Principal) -> Result<Azure, WorldError> {
        let days_ago = (self.options.recipe.as_of - TimeDelta::days(9)).and_time(NaiveTime::MIN).and_utc();
        let version = servers.get(SERVER).map(|live| live.version).unwrap_or_default();
        servers.put_on_paper(SIDE_COPY, Lifecycle::Stopped, version, days_ago)?;
        let (servers, clock) = (servers.clone(), self.clock.clone());
        let (faults, stop) = (self.faults.clone(), self.stop.clone());
        let azure = Azure::start(principal.clone(), servers, clock, self.authority, faults, stop).await?;
        azure.diagnostics.give(SERVER);
        azure.locks.protect(SERVER, &format!("{SERVER}-lock"));
        Ok(azure)
    }

    /// Blob storage, and GitHub with the workflows that use it.
    async fn delivery(
        &self,
        servers: &Servers,
        azure: &Azure,
        principal: &Principal,
        cluster: &Cluster,
    ) -> Result<(Blobs, Github), WorldError> {
        let folder = self.run_dir.path().join("blobs");
        let sign_in = SignIn { authority: azure.endpoint.clone(), tenant: principal.tenant.clone() };
        let tokens = azure.tokens.clone();
        let (faults, stop) = (self.faults.clone(), self.stop.clone());
        let clock = self.clock.clone();
        let blobs = Blobs::start(&folder, clock, tokens, sign_in, self.authority, faults, stop).await?;
        let fleet = Fleet { servers: servers.clone(), diagnostics: Arc::clone(&azure.diagnostics) };
        let recovery = Recovery {
            servers: Arc::new(fleet),
            blobs: blobs.store.clone(),
            cluster: cluster.clone(),
            clock: self.clock.clone(),
            dump: servers.program("pg_dump")?,
            psql: servers.program("psql")?,
            ca_file: self.ca_file.to_path_buf(),
        };
        let pace = if self.options.fast { github::Pace::fast() } else { github::Pace::believable() };
        let (faults, stop) = (self.faults.clone(), self.stop.clone());
        let github = Github::start(recovery, pace, self.authority, faults, stop).await?;
        Ok((blobs, github))
    }
}

/// The service's server, with its history.
async fn start_live(servers: &Servers, options: &Options, say: &Say) -> Result<Access, WorldError> {
    let mut loaded = servers.load_live(&options.recipe, say).await?;
    if let Some(history) = options.history {
        history::live_through(history, servers, &mut loaded, say).await?;
    }
    Ok(servers.run_live(loaded, say).await?)
}

fn github_state(github: &Github) -> state::Github {
    state::Github {
        endpoint: github.endpoint.clone(),
        token: github.token.expose_secret().to_owned(),
        repository: format!("{}/{}", github::OWNER, github::REPOSITORY),
    }
}

fn blobs_state(blobs: &Blobs) -> state::Blobs {
    state::Blobs { endpoint: blobs.endpoint.clone(), container: blobs::CONTAINER.into() }
}

/// Lets containers find the servers by their names.
fn lead_to_fleet(names: &Names, servers: &Servers) {
    let servers = servers.clone();
    names.ask(5432, move |host| servers.resolve(host));
}

fn rules(options: &Options) -> Rules {
    let tempo = match (options.fast, options.realistic) {
        (true, _) => Tempo::Fast,
        (false, true) => Tempo::Realistic,
        (false, false) => Tempo::Short,
    };
    let delta = |of| TimeDelta::from_std(of).unwrap_or(TimeDelta::days(1));
    Rules { tempo, lag: delta(options.restore_lag), kept: delta(options.day) * 5, ..Rules::default() }
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
        self.run_dir.write("kubeconfig-viewer", &self.cluster.viewer_kubeconfig())?;
        self.run_dir.write("kubeconfig-no-pim", &self.cluster.no_pim_kubeconfig())?;
        self.run_dir.write("kubeconfig-no-exec", &self.cluster.no_exec_kubeconfig())?;
        self.run_dir.write("kubeconfig-no-streams", &self.cluster.no_streams_kubeconfig())?;
        self.run_dir.write("kubeconfig-no-secrets", &self.cluster.no_secrets_kubeconfig())?;
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
                ("key_vaults", &azure.endpoint),
                ("ca_file", &ca_file),
            ],
        );
        text.push_str("\n[environments.production.tunnel]\n");
        section(&mut text, &[("ca_file", &ca_file)]);
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
