//! The options of `drtui tunnel`, and what they come to with the configuration, if there is one.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::super::Global;
use crate::config::{Config, ConfigError};
use crate::domain::{Backend, DeploymentKey, Fault, ServerClass, Target, Tool, TunnelId};
use crate::providers::tunnel::{UrlFrom, Wish};
use crate::providers::{AzureSettings, KubernetesSettings, TunnelSettings};

/// konduit.sh's time-outs, in seconds.
const INTERACTIVE: u64 = 28_800;
const BATCH: u64 = 3_600;
const USAGE: &str = "\
Exit code: that of the program; 125 no tunnel, 124 time is up, 126 and 127 the program cannot be run or is not installed.
psql at a terminal begins read-only (--write for more); the password is in no command line; TLS is verified against the
server's real name.

Examples:
  drtui tunnel -n tra-production refer-serious-misconduct-production -- psql
  drtui tunnel -x -n tra-test -s s189t01-rsm-ts-pg-ptr refer-serious-misconduct-test -- psql -c 'select 1'
  drtui tunnel -n tra-production APP -- pg_dump -Fc > app.dump
  drtui tunnel -n tra-test -i app.sql.gz -c -t 7200 -x APP -- psql
  drtui tunnel --pair -s s189p01-rsm-pd-pg-ptr -n tra-production APP";

/// Runs psql, `pg_dump`, `pg_restore` or redis-cli through a tunnel, or keeps a local port open
#[derive(Debug, Clone, Args)]
#[command(after_help = USAGE)]
pub struct TunnelArgs {
    /// Namespace [default: the configuration's]
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Go through a pod made for this, deleted at the end
    #[arg(short = 'x', long)]
    pub separate_pod: bool,
    /// Another Postgres server with the app's credentials, e.g. the PTR copy; .postgres.database.azure.com is added
    #[arg(short = 's', long, value_name = "SERVER")]
    pub server: Option<String>,
    /// Another database (redis: its index)
    #[arg(short = 'b', long, value_name = "DB")]
    pub database: Option<String>,
    /// The app's variable that holds the Postgres URL [default: `DATABASE_URL`]
    #[arg(short = 'p', long, value_name = "VAR")]
    pub postgres_var: Option<String>,
    /// The app's variable that holds the redis URL [default: `REDIS_URL`]
    #[arg(short = 'r', long, value_name = "VAR")]
    pub redis_var: Option<String>,
    /// The whole URL; better from the environment than from here, where process lists show it
    #[arg(short = 'u', long, value_name = "URL", env = "DRTUI_TUNNEL_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// Seconds until everything ends [default: 28800 at a terminal, 3600 for dumps, restores and -i]
    #[arg(short = 't', long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
    /// Input for psql; errors end it (ON_ERROR_STOP) unless the program's arguments say otherwise
    #[arg(short = 'i', long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The input is gzip
    #[arg(short = 'c', long, requires = "input")]
    pub compressed: bool,
    /// The backend is a pod in the cluster: redis without TLS
    #[arg(short = 'a', long)]
    pub in_cluster: bool,
    /// Say nothing but errors
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Key vault that holds the URL, in secret NAME-database-url
    #[arg(short = 'k', long, value_name = "VAULT", requires = "vault_name")]
    pub key_vault: Option<String>,
    /// Name for -k
    #[arg(short = 'd', long, value_name = "NAME", requires = "key_vault")]
    pub vault_name: Option<String>,
    /// Keep this local port open instead of running a program (0: a free one)
    #[arg(long, value_name = "PORT")]
    pub listen: Option<u16>,
    /// LIVE and the copy named by -s side by side: two ports, or the program on one after the other
    #[arg(long, requires = "server")]
    pub pair: bool,
    /// psql at a terminal may write
    #[arg(long)]
    pub write: bool,
    /// Image of the pod of -x; needs nc and sleep
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// PEM file of the database's certificate authorities [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Do not verify the certificate of SERVER; must be the whole name of the server that the tunnel leads to
    #[arg(long, value_name = "SERVER")]
    pub tls_unverified: Option<String>,
    /// By port-forward to a pod made for this, instead of exec
    #[arg(long)]
    pub port_forward: bool,
    /// Fail rather than make a pod that was not asked for, when the app's own does not serve
    #[arg(long)]
    pub no_fallback: bool,
    /// Hand everything to the konduit.sh of this machine instead (bin/konduit.sh or in PATH)
    #[arg(long)]
    pub konduit: bool,
    /// List pods that a killed drtui left behind, and offer to delete them
    #[arg(long)]
    pub orphans: bool,
    /// Deployment whose database it is [default: the configuration's app]
    pub app: Option<String>,
    /// psql, `pg_dump`, `pg_restore` or redis-cli, with its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    pub program: Vec<String>,
}

/// The program to run.
#[derive(Debug, Clone)]
pub struct Program {
    pub tool: Tool,
    pub args: Vec<String>,
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    pub kubernetes: KubernetesSettings,
    pub namespace: String,
    pub wishes: Vec<Wish>,
    pub program: Option<Program>,
    pub input: Option<PathBuf>,
    pub compressed: bool,
    pub write: bool,
    pub orphans: bool,
    pub limit: Duration,
    /// konduit.sh, if that is to do it.
    pub konduit: Option<PathBuf>,
    pub args: TunnelArgs,
}

/// What the configuration knows, if there is one.
struct Known {
    kubernetes: KubernetesSettings,
    tunnel: TunnelSettings,
    azure: Option<Box<AzureSettings>>,
    side_copies: Vec<String>,
    target: Option<Target>,
}

/// Turns options into a plan.
///
/// # Errors
/// In words, for a person.
pub fn plan(global: &Global, args: TunnelArgs) -> Result<Plan, String> {
    let known = known(global)?;
    let namespace = args.namespace.clone().or(known.target.as_ref().map(|t| t.namespace.clone()));
    let namespace = namespace.ok_or("name the namespace (-n): there is no configuration that does")?;
    let app = args.app.clone().or(known.target.as_ref().map(|t| t.app.clone()));
    let app = if args.orphans { app.or(Some(String::new())) } else { app };
    let app = app.ok_or("name the deployment: there is no configuration that does")?;
    let program = program(&args.program)?;
    if program.is_none() && args.listen.is_none() && !args.pair && !args.orphans {
        return Err(
            "name a program after -- (psql, pg_dump, pg_restore, redis-cli), or --listen PORT".to_owned()
        );
    }
    if args.input.is_some() && program.as_ref().is_none_or(|p| p.tool != Tool::Psql) {
        return Err("-i is input for psql, and this does not run psql".to_owned());
    }
    let batch = args.input.is_some()
        || program.as_ref().is_some_and(|p| matches!(p.tool, Tool::PgDump | Tool::PgRestore));
    let limit = Duration::from_secs(args.timeout.unwrap_or(if batch { BATCH } else { INTERACTIVE }));
    let wish =
        wish(&args, &known, DeploymentKey { namespace: namespace.clone(), name: app }, &program, limit);
    let wishes = match (&args.server, args.pair) {
        (Some(_), true) => {
            let live = Wish { server: None, which: ServerClass::Live, unverified: None, ..wish.clone() };
            let port = wish.local_port.filter(|port| *port > 0).map(|port| port.saturating_add(1));
            vec![live, Wish { id: TunnelId(2), local_port: port, ..wish }]
        }
        _ => vec![wish],
    };
    let konduit = args
        .konduit
        .then(|| find_konduit().ok_or("there is no konduit.sh in bin/ or in PATH"))
        .transpose()?;
    Ok(Plan {
        kubernetes: known.kubernetes,
        namespace,
        wishes,
        program,
        input: args.input.clone(),
        compressed: args.compressed,
        write: args.write,
        orphans: args.orphans,
        limit,
        konduit,
        args,
    })
}

/// Without a configuration the kubeconfig's current context is used, as konduit.sh does.
fn known(global: &Global) -> Result<Known, String> {
    let env = global.env.as_deref();
    let config = match Config::find(global.config.as_deref()) {
        Ok(config) => config,
        Err(ConfigError::Missing { .. }) if global.config.is_none() && env.is_none() => {
            return Ok(Known {
                kubernetes: KubernetesSettings::default(),
                tunnel: TunnelSettings::default(),
                azure: None,
                side_copies: Vec::new(),
                target: None,
            });
        }
        Err(error) => return Err(error.to_string()),
    };
    let words = |e: ConfigError| e.to_string();
    let (target, settings) = (config.target(env).map_err(words)?, config.settings(env).map_err(words)?);
    Ok(Known {
        kubernetes: settings.kubernetes,
        tunnel: settings.tunnel,
        side_copies: settings.azure.side_copies.clone(),
        azure: Some(Box::new(settings.azure)),
        target: Some(target),
    })
}

fn wish(
    args: &TunnelArgs,
    known: &Known,
    app: DeploymentKey,
    program: &Option<Program>,
    limit: Duration,
) -> Wish {
    let redis = program.as_ref().is_some_and(|p| p.tool == Tool::RedisCli)
        || (program.is_none() && args.redis_var.is_some());
    let variable = match redis {
        true => args.redis_var.clone().unwrap_or(known.tunnel.redis_variable.clone()),
        false => args.postgres_var.clone().unwrap_or(known.tunnel.variable.clone()),
    };
    let url = match (&args.url, &args.key_vault, &args.vault_name) {
        (Some(url), ..) => UrlFrom::Given(SecretString::from(url.clone())),
        (None, Some(vault), Some(name)) => {
            UrlFrom::KeyVault { vault: vault.clone(), name: name.clone(), azure: known.azure.clone() }
        }
        _ => UrlFrom::Deployment { variable },
    };
    let label = match &known.target {
        Some(target) if target.namespace == app.namespace => target.environment.clone(),
        _ => app.namespace.clone(),
    };
    Wish {
        id: TunnelId(1),
        backend: if redis { Backend::Redis } else { Backend::Postgres },
        which: class(args.server.as_deref(), known),
        live: known.target.as_ref().map(|t| t.server.clone()),
        side_copies: known.side_copies.clone(),
        label,
        app,
        url,
        server: args.server.clone().filter(|_| !redis),
        database: args.database.clone(),
        own_pod: args.separate_pod,
        port_forward: args.port_forward,
        may_make_pod: !args.no_fallback,
        image: args.image.clone().unwrap_or(known.tunnel.image.clone()),
        local_port: args.listen.filter(|port| *port > 0),
        incident: None,
        ca_file: args.ca_file.clone().or(known.tunnel.ca_file.clone()),
        unverified: args.tls_unverified.clone(),
        in_cluster: args.in_cluster,
        limit,
        idle: None,
        measure: false,
    }
}

/// What a server is: the app's own is LIVE, another one what the configuration calls it, or a copy.
fn class(server: Option<&str>, known: &Known) -> ServerClass {
    let Some(server) = server else { return ServerClass::Live };
    let short = server.split('.').next().unwrap_or(server);
    let live = known.target.as_ref().map_or("", |t| t.server.as_str());
    ServerClass::of(short, live, &known.side_copies)
}

fn program(words: &[String]) -> Result<Option<Program>, String> {
    let Some((name, args)) = words.split_first() else { return Ok(None) };
    let tools = [Tool::Psql, Tool::PgDump, Tool::PgRestore, Tool::RedisCli, Tool::Shell];
    let tool = tools.into_iter().find(|tool| tool.word() == name).ok_or_else(|| {
        format!("{name} is not run through a tunnel: psql, pg_dump, pg_restore, redis-cli or shell; --listen PORT serves any tool")
    })?;
    Ok(Some(Program { tool, args: args.to_vec() }))
}

fn find_konduit() -> Option<PathBuf> {
    let here = ["bin/konduit.sh", "konduit.sh"].map(PathBuf::from).into_iter().find(|p| p.is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    here.or_else(|| std::env::split_paths(&path).map(|dir| dir.join("konduit.sh")).find(|p| p.is_file()))
}

/// After a failure of the way itself: the user's own tool may know another.
pub fn konduit_hint(fault: &Fault) {
    let way = matches!(fault, Fault::Denied { .. } | Fault::Garbled { .. } | Fault::Unreachable { .. });
    if let (true, Some(program)) = (way, find_konduit()) {
        super::say(false, &format!("drtui: --konduit hands the same options to {}", program.display()));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn plan_of(words: &str) -> Result<Plan, String> {
        let cli = Cli::try_parse_from(words.split(' ')).map_err(|e| e.to_string())?;
        let Some(Command::Tunnel(args)) = cli.command else { panic!("not a tunnel") };
        plan(&cli.global, args)
    }

    #[test]
    fn konduits_command_lines_mean_what_they_meant() {
        let plan = plan_of("drtui tunnel -x -n tra-test -s s-pg-ptr app -- psql -c select+1").unwrap();
        let wish = &plan.wishes[0];
        assert!(wish.own_pod && wish.which == ServerClass::Ptr && wish.label == "tra-test");
        assert_eq!(plan.program.unwrap().args, ["-c", "select+1"]);
        assert_eq!(plan.limit, Duration::from_secs(28_800));
        let plan = plan_of("drtui tunnel -i f.gz -c -t 7200 -n ns -x app -- psql").unwrap();
        assert!(plan.compressed && plan.limit == Duration::from_secs(7_200));
        let plan = plan_of("drtui tunnel -n ns app -- pg_dump --clean --if-exists").unwrap();
        assert_eq!(plan.limit, Duration::from_secs(3_600));
        let plan = plan_of("drtui tunnel -n ns -r CACHE_URL -a app -- redis-cli -x").unwrap();
        assert!(plan.wishes[0].backend == Backend::Redis && plan.wishes[0].in_cluster);
        assert!(matches!(&plan.wishes[0].url, UrlFrom::Deployment { variable } if variable == "CACHE_URL"));
        let plan = plan_of("drtui tunnel -n ns -k vault -d side app -- psql").unwrap();
        assert!(matches!(&plan.wishes[0].url, UrlFrom::KeyVault { name, .. } if name == "side"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (words, says) in [
            ("drtui tunnel -n ns app", "name a program"),
            ("drtui tunnel -n ns app -- mysql", "mysql is not run"),
            ("drtui tunnel -n ns -i f app -- pg_dump", "-i is input for psql"),
            ("drtui tunnel -n ns --pair app -- psql", "--server"),
            ("drtui tunnel app -- psql", "-n"),
        ] {
            let said = plan_of(words).err().unwrap_or_else(|| panic!("{words} is taken"));
            assert!(said.contains(says), "{words}: {said}");
        }
    }

    #[test]
    fn a_pair_is_live_and_copy_on_two_ports() {
        let plan = plan_of("drtui tunnel --pair -s s-pg-ptr -n ns --listen 6000 app").unwrap();
        let ports: Vec<_> = plan.wishes.iter().map(|w| (w.which, w.local_port)).collect();
        assert_eq!(ports, [(ServerClass::Live, Some(6000)), (ServerClass::Ptr, Some(6001))]);
    }
}
