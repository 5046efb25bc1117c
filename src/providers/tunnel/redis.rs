//! A redis URL: `redis://` or, with TLS, `rediss://[user][:password]@host[:port][/index]`. Pure.

use secrecy::SecretString;

use super::super::postgres::{Host, Url, UrlError};

/// A redis and a way in. Never shows the password.
#[derive(Debug, Clone)]
pub struct RedisUrl {
    pub host: Host,
    pub user: String,
    pub password: Option<SecretString>,
    pub database: u32,
    pub tls: bool,
}

impl RedisUrl {
    /// # Errors
    /// Says what is malformed, without quoting.
    pub fn parse(text: &str) -> Result<RedisUrl, UrlError> {
        let bad = |why: &str| UrlError { why: why.to_owned() };
        let text = text.trim();
        let (tls, rest) = match (text.strip_prefix("rediss://"), text.strip_prefix("redis://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            _ => return Err(bad("it does not begin with redis:// or rediss://")),
        };
        let anonymous = rest.split(['/', '?']).next().is_some_and(|authority| !authority.contains('@'));
        let named = if rest.starts_with(':') { format!("-{rest}") } else { rest.to_owned() };
        let named = if anonymous { format!("-@{named}") } else { named };
        let port = if named
            .split(['/', '?'])
            .next()
            .and_then(|a| a.rsplit('@').next())
            .is_some_and(|h| h.contains(':'))
        {
            None
        } else {
            Some(6379)
        };
        // The same syntax but for the scheme, the default port and the empty user.
        let url = Url::parse(&format!("postgres://{named}"))?;
        let host = url.hosts.first().cloned().ok_or(bad("it names no host"))?;
        let named_user = url.user != "-";
        let database = match url.database.as_str() {
            same if same == url.user => 0,
            index => index.parse().map_err(|_| bad("what follows the host is no index of a database"))?,
        };
        Ok(RedisUrl {
            host: Host { port: port.unwrap_or(host.port), name: host.name },
            user: if named_user { url.user } else { String::new() },
            password: url.password,
            database,
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        let url = RedisUrl::parse("rediss://:p%40w@r.example:6380/3").unwrap();
        assert_eq!((url.host.to_string().as_str(), url.database, url.tls), ("r.example:6380", 3, true));
        assert_eq!((url.user.as_str(), url.password.is_some()), ("", true));
        let url = RedisUrl::parse("redis://cache").unwrap();
        assert_eq!((url.host.to_string().as_str(), url.database, url.tls), ("cache:6379", 0, false));
        assert!(RedisUrl::parse("redis://me:s3cret@r/x").is_err_and(|e| !e.to_string().contains("s3cret")));
        assert!(RedisUrl::parse("http://r").is_err());
    }
}
