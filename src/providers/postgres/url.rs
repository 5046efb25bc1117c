//! Where a database is and who asks: libpq's connection URL, and the key-value form that .NET services use. Pure.
//!
//! Syntax: PostgreSQL's documentation, "Connection URIs". Parameters that only an application understands (Rails' `pool`)
//! are kept aside and never passed on.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use thiserror::Error;

/// What Azure appends to a flexible server's name.
pub const AZURE_SUFFIX: &str = ".postgres.database.azure.com";
/// Longer is not a connection URL.
const URL_MAX: usize = 8 << 10;
const PORT: u16 = 5432;

/// Why a text is no connection URL. Never quotes the text, which holds a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a Postgres URL: {why}")]
pub struct UrlError {
    pub why: String,
}

fn bad(why: impl Into<String>) -> UrlError {
    UrlError { why: why.into() }
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') { write!(f, "[{}]", self.name) } else { f.write_str(&self.name) }?;
        write!(f, ":{}", self.port)
    }
}

/// libpq's `sslmode`, as the URL has it. How it is honoured: [`super::Tls`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    fn parse(text: &str) -> Result<SslMode, UrlError> {
        // .NET writes `Require` and `VerifyFull`.
        match text.to_ascii_lowercase().replace('-', "").as_str() {
            "disable" => Ok(SslMode::Disable),
            "allow" => Ok(SslMode::Allow),
            "prefer" => Ok(SslMode::Prefer),
            "require" => Ok(SslMode::Require),
            "verifyca" => Ok(SslMode::VerifyCa),
            "verifyfull" => Ok(SslMode::VerifyFull),
            _ => Err(bad("its sslmode is none of disable, allow, prefer, require, verify-ca, verify-full")),
        }
    }
}

/// A database and a user's way in. `Display` and `Debug` leave the password out.
#[derive(Debug, Clone)]
pub struct Url {
    /// In the order to try; at least one.
    pub hosts: Vec<Host>,
    pub user: String,
    pub password: Option<SecretString>,
    pub database: String,
    /// `None`: the URL does not say, which to libpq means `prefer`.
    pub ssl: Option<SslMode>,
    /// `sslrootcert`: a file, or `system`. Means something only on the machine that the URL was written for.
    pub root: Option<String>,
    /// `options`: server settings for the session, as `-c name=value`.
    pub options: Option<String>,
    /// Further parameters, by name.
    pub rest: BTreeMap<String, String>,
}

impl Url {
    /// Reads `postgres://…`, `postgresql://…`, or `Host=…;Username=…`.
    ///
    /// # Errors
    /// Says what is missing or malformed, without quoting.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let text = text.trim();
        if text.len() > URL_MAX {
            return Err(bad("it is too long"));
        }
        let schemes = ["postgresql://", "postgres://"];
        let mut parts = match schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            Some(rest) => from_uri(rest)?,
            None if text.contains('=') && !text.contains("://") => from_pairs(text)?,
            None => return Err(bad("it does not begin with postgres:// or postgresql://")),
        };
        let user = parts.remove("user").filter(|user| !user.is_empty()).ok_or(bad("it names no user"))?;
        let hosts =
            hosts(&parts.remove("host").unwrap_or_default(), &parts.remove("port").unwrap_or_default())?;
        let database = parts.remove("dbname").filter(|name| !name.is_empty()).unwrap_or_else(|| user.clone());
        let jdbc = parts.remove("ssl").is_some_and(|value| value == "true");
        let ssl = parts.remove("sslmode").map(|mode| SslMode::parse(&mode)).transpose()?;
        Ok(Url {
            hosts,
            password: parts.remove("password").map(SecretString::from),
            ssl: ssl.or(jdbc.then_some(SslMode::Require)),
            root: parts.remove("sslrootcert"),
            options: parts.remove("options"),
            user,
            database,
            rest: parts,
        })
    }

    /// The same database on another server: `name` gets Azure's suffix unless it has a dot, the port stays.
    #[must_use]
    pub fn on_server(mut self, name: &str) -> Url {
        let port = self.hosts.first().map_or(PORT, |host| host.port);
        self.hosts = vec![Host { name: full_name(name), port }];
        self
    }

    /// The same server, another database.
    #[must_use]
    pub fn in_database(mut self, name: &str) -> Url {
        name.clone_into(&mut self.database);
        self
    }

    /// The first server, which is the one that is shown.
    pub fn server(&self) -> &str {
        self.hosts.first().map_or("", |host| &host.name)
    }

    /// The server's name without Azure's suffix.
    pub fn short_server(&self) -> &str {
        let server = self.server();
        server.strip_suffix(AZURE_SUFFIX).unwrap_or(server)
    }
}

/// `name` as a host name: Azure's suffix is added unless it has a dot (konduit's `-s`).
fn full_name(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{name}{AZURE_SUFFIX}") }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", encode(&self.user))?;
        for (n, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if n == 0 { "" } else { "," })?;
        }
        write!(f, "/{}", encode(&self.database))
    }
}

type Parts = BTreeMap<String, String>;

/// `[user[:password]@][host[:port][,…]][/database][?name=value[&…]]`; parameters win over the rest, as in libpq.
fn from_uri(rest: &str) -> Result<Parts, UrlError> {
    let mut parts = Parts::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = match authority.split_once('@') {
        None => authority,
        Some((who, hosts)) => {
            if hosts.contains('@') {
                return Err(bad("it has two @; in a password it is written %40"));
            }
            let (user, password) = match who.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (who, None),
            };
            parts.insert("user".to_owned(), decode(user)?);
            if let Some(password) = password {
                parts.insert("password".to_owned(), decode(password)?);
            }
            hosts
        }
    };
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for one in hosts.split(',') {
        let (name, port) = split_port(one)?;
        names.push(decode(name)?);
        ports.push(decode(port)?);
    }
    parts.insert("host".to_owned(), names.join(","));
    parts.insert("port".to_owned(), ports.join(","));
    if !database.is_empty() {
        parts.insert("dbname".to_owned(), decode(database)?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(bad("a parameter after ? has no ="))?;
        parts.insert(decode(name)?, decode(value)?);
    }
    Ok(parts)
}

/// `host:port`, where an IPv6 address stands in brackets.
fn split_port(one: &str) -> Result<(&str, &str), UrlError> {
    let Some(inside) = one.strip_prefix('[') else { return Ok(one.split_once(':').unwrap_or((one, ""))) };
    let (address, after) = inside.split_once(']').ok_or(bad("an IPv6 address has no closing ]"))?;
    match after.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if after.is_empty() => Ok((address, "")),
        None => Err(bad("something other than a port follows an IPv6 address")),
    }
}

/// `Host=…;Port=…;Database=…;Username=…;Password=…`, as Npgsql writes it.
fn from_pairs(text: &str) -> Result<Parts, UrlError> {
    let mut parts = Parts::new();
    for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(bad("one of its ;-separated parts has no ="))?;
        let name = match name.to_ascii_lowercase().replace([' ', '_'], "").as_str() {
            "host" | "server" => "host".to_owned(),
            "port" => "port".to_owned(),
            "database" | "db" => "dbname".to_owned(),
            "username" | "userid" | "user" | "uid" => "user".to_owned(),
            "password" | "pwd" => "password".to_owned(),
            "sslmode" => "sslmode".to_owned(),
            other => other.to_owned(),
        };
        let quoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        parts.insert(name, quoted.unwrap_or(value.trim()).to_owned());
    }
    Ok(parts)
}

fn hosts(names: &str, ports: &str) -> Result<Vec<Host>, UrlError> {
    let ports: Vec<&str> = ports.split(',').collect();
    let names: Vec<&str> = names.split(',').collect();
    if ports.len() != 1 && ports.len() != names.len() {
        return Err(bad("it has not as many ports as hosts"));
    }
    let mut hosts = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let port = ports.get(n).or(ports.first()).copied().unwrap_or_default();
        let port = match port {
            "" => PORT,
            text => text.parse().ok().filter(|p| *p != 0).ok_or(bad("a port is not a number up to 65535"))?,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        if name.is_empty() {
            return Err(bad("it names no host"));
        }
        // It goes on a command line in the pod.
        if name.len() > 253 || !name.chars().all(plain) || name.starts_with('-') {
            return Err(bad("a host in it is no name: letters, digits, - and . only"));
        }
        hosts.push(Host { name: (*name).to_owned(), port });
    }
    Ok(hosts)
}

/// Percent-decoding, as libpq does it: `+` stays, `%00` is refused.
fn decode(text: &str) -> Result<String, UrlError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) if high + low > 0 => out.push(u8::try_from(high * 16 + low).unwrap_or(0)),
            _ => return Err(bad("a % is not followed by two hexadecimal digits; % itself is written %25")),
        }
    }
    String::from_utf8(out).map_err(|_| bad("what its percent signs stand for is not UTF-8"))
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parse(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn why(text: &str) -> String {
        Url::parse(text).unwrap_err().why
    }

    fn secret(url: &Url) -> &str {
        url.password.as_ref().unwrap().expose_secret()
    }

    #[test]
    fn the_platforms_url_is_read_and_shown_without_its_password() {
        let url = parse(
            "postgres://u3f:p%40s%2Fs%25@s189p01-rsm-pd-pg.postgres.database.azure.com:5432/rsm_production?sslmode=require&pool=5",
        );
        assert_eq!(
            (url.user.as_str(), secret(&url), url.database.as_str()),
            ("u3f", "p@s/s%", "rsm_production")
        );
        assert_eq!((url.ssl, url.short_server()), (Some(SslMode::Require), "s189p01-rsm-pd-pg"));
        assert_eq!(url.rest, BTreeMap::from([("pool".to_owned(), "5".to_owned())]));
        assert_eq!(
            url.to_string(),
            "postgres://u3f@s189p01-rsm-pd-pg.postgres.database.azure.com:5432/rsm_production"
        );
        assert!(!format!("{url:?}").contains("p@s/s"));
    }

    #[test]
    fn several_hosts_brackets_and_parameters_are_libpqs() {
        let url = parse("postgresql://u@a.example:1,b.example,[::1]:3/db");
        let shown: Vec<String> = url.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a.example:1", "b.example:5432", "[::1]:3"]);
        let url = parse(
            "postgres:///?host=x.example,y.example&port=7&user=me&password=a%20b+c&dbname=d&options=-c%20a%3Db",
        );
        let ports: Vec<u16> = url.hosts.iter().map(|h| h.port).collect();
        assert_eq!((ports, secret(&url)), (vec![7, 7], "a b+c"));
        assert_eq!((url.database.as_str(), url.options.as_deref()), ("d", Some("-c a=b")));
        assert_eq!(parse("postgres://u@h?ssl=true&sslrootcert=system").root.as_deref(), Some("system"));
        assert_eq!(parse("postgres://who@h").database, "who", "libpq's default");
    }

    #[test]
    fn a_dotnet_services_form_is_read() {
        let url = parse(
            "Host=h.example;Port=6;Database=d;Username=u;Password=\"p;w\";SSL Mode=VerifyFull"
                .replace("p;w", "p=w")
                .as_str(),
        );
        assert_eq!((secret(&url), url.ssl, url.hosts[0].port), ("p=w", Some(SslMode::VerifyFull), 6));
        assert_eq!((url.user.as_str(), url.database.as_str(), url.server()), ("u", "d", "h.example"));
    }

    #[test]
    fn server_and_database_are_replaced() {
        let url = parse("postgres://u:p@a:6000,b/d").on_server("s189t01-x-pg-ptr").in_database("e");
        assert_eq!(url.to_string(), "postgres://u@s189t01-x-pg-ptr.postgres.database.azure.com:6000/e");
        assert_eq!(parse("postgres://u@a").on_server("db.internal").server(), "db.internal");
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_quoted() {
        let secret = "s3cret";
        for (text, says) in [
            ("mysql://u:s3cret@h/d", "does not begin with"),
            ("postgres://u:s3cret@x@h/d", "%40"),
            ("postgres://u:s3cret%zz@h/d", "%25"),
            ("postgres://u:s3cret%00@h/d", "%25"),
            ("postgres://u:s3cret@h:99999/d", "port"),
            ("postgres://u:s3cret@-e/d", "host"),
            ("postgres://u:s3cret@h;id/d", "host"),
            ("postgres://u:s3cret@/d", "no host"),
            ("postgres://h/d", "no user"),
            ("postgres://u:s3cret@h?sslmode=maybe", "sslmode"),
            ("postgres://u:s3cret@a,b/d?port=1,2,3", "as many"),
            ("s3cret", "does not begin with"),
            ("", "does not begin with"),
        ] {
            let why = why(text);
            assert!(why.contains(says) && !why.contains(secret), "{text}: {why}");
        }
    }
}
