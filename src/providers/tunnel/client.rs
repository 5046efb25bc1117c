//! The program at this end of a tunnel: its command line, its environment and the private files that it needs. No
//! secret is on a command line; TLS is verified against the server's real name though the bytes go to 127.0.0.1.

use std::path::{Path, PathBuf};
use std::process::Command;

use secrecy::ExposeSecret;

use super::super::postgres::{AZURE_SUFFIX, SslMode, Tls, Url, system_roots_pem};
use super::private::Private;
use super::redis::RedisUrl;
use crate::domain::{Fault, ServerClass, Tool};

/// What a program connects to: this end of an open tunnel.
#[derive(Debug)]
pub struct Client {
    backend: Backend,
    port: u16,
    label: String,
    class: ServerClass,
    folder: Private,
    roots: Option<PathBuf>,
    unverified: bool,
    /// Section of the service file.
    service: String,
}

#[derive(Debug)]
enum Backend {
    Postgres(Box<Url>),
    Redis(RedisUrl),
}

/// How a program is to be run.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    pub tool: Tool,
    /// The program's own arguments.
    pub args: &'a [String],
    /// Sessions begin read-only.
    pub read_only: bool,
    /// The server ends a statement after this many milliseconds; 0: never.
    pub statement_timeout_ms: u32,
    /// Somebody types at it: the prompt says where they are.
    pub interactive: bool,
    pub colour: bool,
}

impl Client {
    /// A database on local `port`. `label` names the environment for the prompt (`production`), `service` the
    /// connection in the service file.
    ///
    /// # Errors
    /// The private files cannot be written, or this system has no certificate authorities.
    pub fn postgres(
        url: &Url,
        port: u16,
        tls: &Tls,
        class: ServerClass,
        label: &str,
        service: &str,
    ) -> Result<Client, Fault> {
        let folder = Private::create()?;
        let roots =
            match &tls.ca_file {
                _ if tls.unverified => None,
                Some(file) => Some(std::path::absolute(file).unwrap_or_else(|_| file.clone())),
                // Older libpq does not know `system`: it gets the same authorities in a file.
                None => Some(folder.write(
                    "roots.pem",
                    &system_roots_pem().map_err(|e| Fault::Setup { why: e.to_string() })?,
                )?),
            };
        let client = Client {
            backend: Backend::Postgres(Box::new(url.clone())),
            port,
            label: label.to_owned(),
            class,
            folder,
            roots,
            unverified: tls.unverified,
            service: service.to_owned(),
        };
        client.folder.write("passfile", &client.passfile(url))?;
        client.folder.write("service", &client.service_file(url))?;
        Ok(client)
    }

    /// A redis on local `port`.
    ///
    /// # Errors
    /// As [`Client::postgres`].
    pub fn redis(
        url: &RedisUrl,
        port: u16,
        ca_file: Option<&Path>,
        class: ServerClass,
        label: &str,
    ) -> Result<Client, Fault> {
        let folder = Private::create()?;
        let roots = ca_file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        Ok(Client {
            backend: Backend::Redis(url.clone()),
            port,
            label: label.to_owned(),
            class,
            folder,
            roots,
            unverified: false,
            service: String::new(),
        })
    }

    /// A command line that connects from another terminal, without a password in it; read-only unless told otherwise.
    pub fn line(&self) -> String {
        match &self.backend {
            Backend::Postgres(_) => {
                format!(
                    "PGSERVICEFILE={} psql service={}",
                    self.folder.path("service").display(),
                    self.service
                )
            }
            Backend::Redis(url) => format!("redis-cli -h 127.0.0.1 -p {} -n {}", self.port, url.database),
        }
    }

    /// The program, ready to start but for its standard streams.
    ///
    /// # Errors
    /// The program does not fit the backend, or the prompt's file cannot be written.
    pub fn command(&self, run: &Run<'_>) -> Result<Command, Fault> {
        let shell = || {
            std::env::var("SHELL").ok().filter(|s| s.starts_with('/')).unwrap_or_else(|| "/bin/sh".to_owned())
        };
        let mut command = match run.tool {
            Tool::Shell => Command::new(shell()),
            tool => Command::new(tool.word()),
        };
        command.env("DRTUI_TUNNEL", format!("{} {}", self.class.word(), self.label));
        match (&self.backend, run.tool) {
            (Backend::Postgres(url), Tool::Psql | Tool::PgDump | Tool::PgRestore | Tool::Shell) => {
                self.environment(url, run, &mut command);
                self.arguments(url, run, &mut command)?;
            }
            (Backend::Redis(url), Tool::RedisCli | Tool::Shell) => self.redis_cli(url, run, &mut command),
            (_, tool) => {
                let why = format!("{} does not speak to what this tunnel leads to", tool.word());
                return Err(Fault::Setup { why });
            }
        }
        Ok(command)
    }

    /// Nothing of the caller's own libpq settings is left, or they would lead elsewhere.
    fn environment(&self, url: &Url, run: &Run<'_>, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let keep = ["PGDATESTYLE", "PGTZ", "PGCLIENTENCODING", "PGLOCALEDIR"];
            if name.to_str().is_some_and(|name| name.starts_with("PG") && !keep.contains(&name)) {
                command.env_remove(&name);
            }
        }
        for (name, value) in self.parameters(url) {
            command.env(format!("PG{}", name.to_ascii_uppercase()), value);
        }
        command.env("PGAPPNAME", format!("drtui {}", run.tool.word()));
        let mut options: Vec<String> = url.options.iter().cloned().collect();
        if run.read_only {
            options.push("-c default_transaction_read_only=on".to_owned());
        }
        if run.statement_timeout_ms > 0 {
            options.push(format!("-c statement_timeout={}", run.statement_timeout_ms));
        }
        if !options.is_empty() {
            command.env("PGOPTIONS", options.join(" "));
        }
    }

    /// Connection parameters that libpq takes from the environment (as `PG…`) and, most of them, from a service file.
    fn parameters(&self, url: &Url) -> Vec<(&'static str, String)> {
        let server = url.server();
        let mode = match url.ssl {
            _ if self.unverified => "require",
            _ if server.ends_with(AZURE_SUFFIX) => "verify-full",
            Some(SslMode::Disable) => "disable",
            None | Some(SslMode::Allow | SslMode::Prefer) => "prefer",
            Some(SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => "verify-full",
        };
        // libpq verifies even `require` if it finds a file of authorities; nowhere is where it finds none.
        let nowhere = || self.folder.path("none");
        let roots = if mode == "verify-full" { self.roots.clone() } else { None };
        vec![
            ("host", server.to_owned()),
            ("hostaddr", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("user", url.user.clone()),
            ("database", url.database.clone()),
            ("passfile", self.folder.path("passfile").display().to_string()),
            ("sslmode", mode.to_owned()),
            ("sslrootcert", roots.unwrap_or_else(nowhere).display().to_string()),
            ("gssencmode", "disable".to_owned()),
            ("connect_timeout", "30".to_owned()),
        ]
    }

    fn passfile(&self, url: &Url) -> String {
        let Some(password) = &url.password else { return String::new() };
        let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let (host, user) = (escape(url.server()), escape(&url.user));
        format!("{host}:{}:*:{user}:{}\n", self.port, escape(password.expose_secret()))
    }

    fn service_file(&self, url: &Url) -> String {
        let mut text = format!(
            "# {} {}: sessions begin read-only; SET default_transaction_read_only = off to write.\n[{}]\n",
            self.class.word(),
            self.label,
            self.service
        );
        for (name, value) in self.parameters(url) {
            let name = if name == "database" { "dbname" } else { name };
            text.push_str(&format!("{name}={value}\n"));
        }
        let own = url.options.as_deref().map(|o| format!("{o} ")).unwrap_or_default();
        text.push_str(&format!("options={own}-c default_transaction_read_only=on\n"));
        text
    }

    fn arguments(&self, url: &Url, run: &Run<'_>, command: &mut Command) -> Result<(), Fault> {
        match run.tool {
            Tool::Psql => {
                command.arg("--no-password");
                if run.interactive {
                    let file = self.folder.write("psqlrc", &self.psqlrc(run))?;
                    command.env("PSQLRC", file);
                }
            }
            Tool::PgDump => drop(command.arg("--no-password")),
            Tool::PgRestore => {
                command.arg("--no-password");
                let elsewhere = ["-d", "--dbname", "-f", "--file", "-l", "--list"];
                let told = |arg: &String| elsewhere.iter().any(|e| arg.starts_with(e));
                // Without a database it prints instead of restoring.
                if !run.args.iter().any(told) {
                    command.arg("--dbname").arg(&url.database);
                }
            }
            // A psql in it says where it is, too.
            Tool::Shell if run.interactive => {
                let file = self.folder.write("psqlrc", &self.psqlrc(run))?;
                command.env("PSQLRC", file);
            }
            Tool::RedisCli | Tool::Shell => {}
        }
        command.args(run.args);
        Ok(())
    }

    /// The user's own start-up file, and then our prompt, so that nothing hides where they are.
    fn psqlrc(&self, run: &Run<'_>) -> String {
        let mut text = String::new();
        let own = std::env::var_os("PSQLRC").map(PathBuf::from);
        let home = directories::BaseDirs::new().map(|d| d.home_dir().join(".psqlrc"));
        if let Some(file) = own.or(home).filter(|f| f.is_file()) {
            text.push_str(&format!("\\i '{}'\n", file.display().to_string().replace('\'', "''")));
        }
        // The colours of the cockpit's own badges; green would say that all is well. Without colour live is reversed.
        let (colour, plain) = match self.class {
            ServerClass::Live => ("1;97;41", "1;7"),
            ServerClass::Ptr => ("1;97;45", "1"),
            ServerClass::SideCopy => ("1;30;46", "1"),
        };
        let place = self.class.place(&self.label);
        let words = if run.read_only { place } else { format!("{place} WRITE") };
        let words: String =
            words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.')).collect();
        let sgr = if run.colour { colour } else { plain };
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let shown = if dumb { words } else { format!("%[%033[{sgr}m%] {words} %[%033[0m%]") };
        let state = if run.read_only { " read-only" } else { "" };
        text.push_str(&format!(
            "\\set PROMPT1 '{shown} %/{state}%R%x%# '\n\\set PROMPT2 '{shown} %/{state}%R%x%# '\n"
        ));
        text
    }

    fn redis_cli(&self, url: &RedisUrl, run: &Run<'_>, command: &mut Command) {
        if let Some(password) = &url.password {
            command.env("REDISCLI_AUTH", password.expose_secret());
        }
        if run.tool == Tool::Shell {
            return;
        }
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-n", &url.database.to_string()]);
        if !url.user.is_empty() {
            command.args(["--user", &url.user]);
        }
        if url.tls {
            command.args(["--tls", "--sni", &url.host.name]);
            if let Some(roots) = &self.roots {
                command.arg("--cacert").arg(roots);
            }
        }
        command.args(run.args);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    async fn client(url: &str, class: ServerClass) -> Client {
        let ca = std::env::temp_dir().join(format!(
            "drtui-client-{}-{:x}.pem",
            std::process::id(),
            rand::random::<u32>()
        ));
        let authority = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        std::fs::write(&ca, authority.cert.pem()).unwrap();
        let tls = Tls::load(Some(&ca)).await.unwrap();
        std::fs::remove_file(&ca).unwrap();
        Client::postgres(&Url::parse(url).unwrap(), 6001, &tls, class, "production", "drtui-t1").unwrap()
    }

    fn run(tool: Tool, args: &[String]) -> Run<'_> {
        Run { tool, args, read_only: true, statement_timeout_ms: 1_000, interactive: true, colour: false }
    }

    fn words(command: &Command) -> Vec<String> {
        command.get_args().map(|a| a.to_string_lossy().into_owned()).collect()
    }

    fn env(command: &Command) -> BTreeMap<String, String> {
        let text = |o: &std::ffi::OsStr| o.to_string_lossy().into_owned();
        command.get_envs().filter_map(|(k, v)| Some((text(k), text(v?)))).collect()
    }

    const URL: &str = "postgres://me:p%3Aa%5Cs3@s-pg.postgres.database.azure.com/db?sslmode=require";

    #[tokio::test]
    async fn psql_is_told_all_but_the_password() {
        let client = client(URL, ServerClass::Live).await;
        let args = ["-c".to_owned(), "select 1".to_owned()];
        let command = client.command(&run(Tool::Psql, &args)).unwrap();
        assert_eq!(words(&command), ["--no-password", "-c", "select 1"]);
        let env = env(&command);
        let is = |name: &str, value: &str| assert_eq!(env[name], value, "{name}");
        is("PGHOST", "s-pg.postgres.database.azure.com");
        is("PGHOSTADDR", "127.0.0.1");
        is("PGPORT", "6001");
        is("PGSSLMODE", "verify-full");
        is("PGOPTIONS", "-c default_transaction_read_only=on -c statement_timeout=1000");
        assert!(!env.values().any(|v| v.contains("s3")), "{env:?}");
        let passfile = std::fs::read_to_string(&env["PGPASSFILE"]).unwrap();
        assert_eq!(passfile, "s-pg.postgres.database.azure.com:6001:*:me:p\\:a\\\\s3\n");
        let prompt = std::fs::read_to_string(&env["PSQLRC"]).unwrap();
        assert!(
            prompt.contains("PROMPT1 '%[%033[1;7m%] LIVE production %[%033[0m%] %/ read-only%R%x%# '"),
            "{prompt}"
        );
        let line = client.line();
        let service = line.strip_prefix("PGSERVICEFILE=").unwrap().split(' ').next().unwrap();
        let service = std::fs::read_to_string(service).unwrap();
        assert!(
            service.contains("dbname=db\n") && service.contains("passfile=") && !service.contains("s3"),
            "{service}"
        );
        assert!(line.ends_with(" psql service=drtui-t1"), "{line}");
        let folder = PathBuf::from(&env["PGPASSFILE"]);
        drop(client);
        assert!(!folder.exists(), "the password outlives the tunnel");
    }

    #[tokio::test]
    async fn pg_restore_restores_unless_it_is_told_where_to() {
        let client = client(URL, ServerClass::Ptr).await;
        let plain = ["dump".to_owned()];
        let args = words(&client.command(&run(Tool::PgRestore, &plain)).unwrap());
        assert_eq!(args, ["--no-password", "--dbname", "db", "dump"]);
        let list = ["--list".to_owned(), "dump".to_owned()];
        assert_eq!(
            words(&client.command(&run(Tool::PgRestore, &list)).unwrap()),
            ["--no-password", "--list", "dump"]
        );
        assert!(client.command(&run(Tool::RedisCli, &plain)).is_err());
        let shown = client.psqlrc(&Run { colour: true, ..run(Tool::Psql, &plain) });
        assert!(shown.contains("%[%033[1;97;45m%] PTR copy %[%033[0m%]"), "{shown}");
        let writes = client.psqlrc(&Run { read_only: false, ..run(Tool::Psql, &plain) });
        assert!(writes.contains("%] PTR copy WRITE %[%033[0m%] %/%R%x%# '"), "{writes}");
    }

    #[tokio::test]
    async fn redis_cli_gets_its_password_by_environment() {
        let url = RedisUrl::parse("rediss://:s3cret@r.example:6380/2").unwrap();
        let client = Client::redis(&url, 6002, None, ServerClass::Live, "production").unwrap();
        let args = ["PING".to_owned()];
        let command = client.command(&run(Tool::RedisCli, &args)).unwrap();
        assert_eq!(words(&command).join(" "), "-h 127.0.0.1 -p 6002 -n 2 --tls --sni r.example PING");
        assert_eq!(env(&command)["REDISCLI_AUTH"], "s3cret");
    }

    #[tokio::test]
    async fn a_database_in_the_cluster_may_do_without_tls() {
        let client = client("postgres://u:p@web-postgres/db?sslmode=disable", ServerClass::Live).await;
        assert_eq!(env(&client.command(&run(Tool::PgDump, &[])).unwrap())["PGSSLMODE"], "disable");
    }
}
