//! HTTP for the sources that are asked and not watched: bounded in time and size, failures sorted into a [`Fault`].

use std::path::Path;
use std::time::Duration;

use http::HeaderMap;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, RequestBuilder, Url};

use super::words;
use crate::domain::Fault;

const CONNECT: Duration = Duration::from_secs(5);
const REDIRECTS_MAX: usize = 5;
/// A certificate file is not larger.
const CA_MAX: u64 = 1 << 20;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body is longer than was asked for.
    pub cut: bool,
}

/// A client for `url` and its host. `timeout` bounds a whole request. Redirects are followed on the same host only.
pub async fn client(url: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Client, Fault> {
    let address = parse(url)?;
    let local = matches!(address.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let ca = match ca_file {
        Some(path) => read_ca(path).await?,
        None => Vec::new(),
    };
    // Setting up TLS reads the system's certificates.
    let build = tokio::task::spawn_blocking(move || {
        let mut builder = Client::builder()
            .user_agent(concat!("drtui/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(timeout)
            .redirect(Policy::custom(same_host));
        if !ca.is_empty() {
            // What runs on this machine is not vouched for by public authorities.
            builder = if local { builder.tls_certs_only(ca) } else { builder.tls_certs_merge(ca) };
        }
        if local {
            builder = builder.no_proxy();
        }
        builder.build()
    });
    let setup = |why: String| Fault::Setup { why: format!("cannot set up a client for {url}: {why}") };
    match build.await {
        Ok(built) => built.map_err(|e| setup(words::cause(&e))),
        Err(error) => Err(setup(words::cause(&error))),
    }
}

fn same_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let first = attempt.previous().first();
    let same = first.is_some_and(|f| f.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
}

/// `text` as an address.
pub fn parse(text: &str) -> Result<Url, Fault> {
    Url::parse(text)
        .map_err(|e| Fault::Setup { why: format!("{} is not an address: {e}", words::plain(text)) })
}

async fn read_ca(path: &Path) -> Result<Vec<Certificate>, Fault> {
    let setup =
        |why: String| Fault::Setup { why: format!("cannot use the CA file {}: {why}", path.display()) };
    let size = tokio::fs::metadata(path).await.map_err(|e| setup(words::cause(&e)))?.len();
    if size > CA_MAX {
        return Err(setup("it is too large".to_owned()));
    }
    let pem = tokio::fs::read(path).await.map_err(|e| setup(words::cause(&e)))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(setup("it holds no PEM certificate".to_owned())),
        Err(error) => Err(setup(words::cause(&error))),
    }
}

/// Sends `request` and reads at most `limit` bytes of the answer. Only having no answer is a fault.
pub async fn fetch(request: RequestBuilder, limit: usize, timeout: Duration) -> Result<Answer, Fault> {
    let sort = |error: reqwest::Error| sort(&error, timeout);
    let mut response = request.send().await.map_err(sort)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let mut cut = false;
    while let Some(chunk) = response.chunk().await.map_err(sort)? {
        let room = limit - body.len();
        body.extend(chunk.iter().take(room));
        if chunk.len() > room {
            cut = true;
            break;
        }
    }
    Ok(Answer { status, headers, body, cut })
}

fn sort(error: &reqwest::Error, timeout: Duration) -> Fault {
    if error.is_timeout() {
        return Fault::TimedOut { after_s: timeout.as_secs() };
    }
    // Without the address: it may hold what is not for the screen, and the pane names the source anyway.
    Fault::Unreachable { why: words::cause(error) }
}
