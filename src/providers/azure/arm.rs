//! Asks Azure Resource Manager and Monitor: tokens, pages, errors in words.

use std::time::Duration;

use reqwest::{Client, Url};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::super::fetch::{self, Answer};
use super::super::settings::AzureSettings;
use super::super::words;
use super::token::{self, Tokens};
use super::{Classes, parse};
use crate::domain::{Fault, Metrics, Server, Utc};

/// Flexible servers. Pinned: newer versions have renamed fields before.
const SERVERS_API: &str = "2025-08-01";
const METRICS_API: &str = "2024-02-01";
const NAMESPACE: &str = "Microsoft.DBforPostgreSQL/flexibleServers";
const PATIENCE: Duration = Duration::from_secs(10);
const BODY_MAX: usize = 8 << 20;
const PAGES_MAX: usize = 20;

/// A client of Azure for one subscription.
pub struct Arm {
    settings: AzureSettings,
    client: OnceCell<Client>,
    tokens: Tokens,
}

impl Arm {
    pub fn new(settings: AzureSettings) -> Arm {
        Arm { settings, client: OnceCell::new(), tokens: Tokens::default() }
    }

    /// The flexible servers of a resource group: live, then possible copies, then side copies.
    pub async fn servers(&self, group: &str, classes: &Classes) -> Result<Vec<Server>, Fault> {
        let path = format!(
            "/subscriptions/{}/resourceGroups/{group}/providers/{NAMESPACE}",
            self.settings.subscription
        );
        let mut url = self.url(&path, &[("api-version", SERVERS_API)])?;
        let what = format!("list the servers of {group}");
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let page: parse::Page = self.get(url.clone(), &what).await?;
            all.extend(page.value.into_iter().map(|s| parse::server(s, classes)));
            match page.next_link.filter(|l| !l.is_empty()) {
                Some(link) => url = next(&url, &link)?,
                None => {
                    all.sort_by(|a, b| (a.class, &a.name).cmp(&(b.class, &b.name)));
                    return Ok(all);
                }
            }
        }
        Err(Fault::Garbled { why: format!("the answer to {what} has no end") })
    }

    /// The last hour of a server's metrics, by the minute, up to `now`.
    pub async fn metrics(&self, id: &str, now: Utc) -> Result<Metrics, Fault> {
        let path = format!("{id}/providers/Microsoft.Insights/metrics");
        let minute = |t: Utc| t.format("%Y-%m-%dT%H:%M:00Z").to_string();
        let span = format!("{}/{}", minute(now - chrono::Duration::hours(1)), minute(now));
        let url = self.url(
            &path,
            &[
                ("api-version", METRICS_API),
                ("metricnames", &parse::METRICS.join(",")),
                ("metricnamespace", NAMESPACE),
                ("timespan", &span),
                ("interval", "PT1M"),
                ("aggregation", "Average"),
            ],
        )?;
        let name = id.rsplit('/').next().unwrap_or(id);
        let what = format!("read the metrics of {}", words::plain(name));
        self.get(url, &what).await.map(parse::metrics)
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, Fault> {
        let mut url = fetch::parse(&self.settings.endpoint)?;
        if path.split('/').any(|part| part == "..") {
            return Err(Fault::Garbled { why: "a resource id that leads elsewhere".to_owned() });
        }
        url.set_path(path);
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    /// Asks once; a refused token is renewed once.
    async fn get<T: DeserializeOwned>(&self, url: Url, what: &str) -> Result<T, Fault> {
        let client = self
            .client
            .get_or_try_init(|| {
                fetch::client(&self.settings.endpoint, self.settings.ca_file.as_deref(), PATIENCE)
            })
            .await?;
        let ask = |token: token::Token| {
            let request = client.get(url.clone()).bearer_auth(token.secret.expose_secret());
            fetch::fetch(request, BODY_MAX, PATIENCE)
        };
        let token = self.tokens.get(&self.settings, None).await?;
        let mut answer = ask(token.clone()).await?;
        if answer.status == 401 {
            let renewed = self.tokens.get(&self.settings, Some(&token)).await?;
            answer = ask(renewed).await?;
        }
        self.read(&answer, what)
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer, what: &str) -> Result<T, Fault> {
        if answer.cut {
            let why = format!("the answer to {what} is larger than {} MB", BODY_MAX >> 20);
            return Err(Fault::Garbled { why });
        }
        if answer.status == 200 {
            return serde_json::from_slice(&answer.body).map_err(|e| Fault::Garbled {
                why: words::not_json(&format!("the answer to {what}"), &answer.body, &e),
            });
        }
        let (code, message) = parse::error(&answer.body);
        let said = || match (code.as_str(), message.as_str()) {
            ("", "") => "no reason given".to_owned(),
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => words::plain(&format!("{code}: {message}")),
        };
        Err(match answer.status {
            401 => Fault::AuthExpired {
                why: format!("Azure refuses the token: {}", if code.is_empty() { "401" } else { &code }),
                fix: token::fix(&self.settings),
            },
            403 => Fault::Denied {
                what: match parse::denied_action(&message) {
                    Some(action) => format!("{what}: needs {action}"),
                    None => format!("{what}: {}", said()),
                },
            },
            404 => Fault::NotFound { what: format!("{what}: {}", said()) },
            429 => {
                Fault::Throttled { retry_after_s: words::retry_after(&answer.headers, chrono::Utc::now()) }
            }
            status @ 300..=399 => Fault::Garbled {
                why: format!("Azure's address answers with a redirect ({status}): a proxy or sign-in page?"),
            },
            status => Fault::Server { status, why: said() },
        })
    }
}

/// The next page's address, taken as it is, on the same host only: the token goes with it.
fn next(from: &Url, link: &str) -> Result<Url, Fault> {
    let url =
        Url::parse(link).map_err(|_| Fault::Garbled { why: "the next page has no address".to_owned() })?;
    if url.origin() == from.origin() {
        Ok(url)
    } else {
        let host = words::plain(url.host_str().unwrap_or_default());
        Err(Fault::Garbled { why: format!("the next page is said to be on another host, {host}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm() -> Arm {
        Arm::new(AzureSettings {
            subscription: "s".into(),
            side_copies: Vec::new(),
            tenant: None,
            client_id: None,
            client_secret_file: None,
            endpoint: "https://management.azure.com".into(),
            authority: "https://login.microsoftonline.com".into(),
            key_vaults: String::new(),
            ca_file: None,
        })
    }

    fn fault(status: u16, sample: &str) -> String {
        let samples: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/wire/errors.json")).unwrap();
        let body = samples[sample]["body"].to_string().into_bytes();
        let answer = Answer { status, headers: http::HeaderMap::new(), body, cut: false };
        arm().read::<parse::Page>(&answer, "list the servers of rg").unwrap_err().to_string()
    }

    #[test]
    fn refusals_say_what_is_missing_and_what_to_run() {
        let says = fault(403, "403_AuthorizationFailed");
        assert!(says.ends_with("needs Microsoft.DBforPostgreSQL/flexibleServers/write"), "{says}");
        assert_eq!(
            fault(401, "401_ExpiredAuthenticationToken"),
            "sign in again: Azure refuses the token: ExpiredAuthenticationToken"
        );
        assert!(fault(404, "404_ResourceGroupNotFound").contains("Resource group 'rg' could not be found"));
        assert!(fault(500, "500_bad_pointInTime").starts_with("server error 500: InternalServerError"));
    }

    #[test]
    fn pages_are_followed_on_the_same_host_only() {
        let from = Url::parse("https://management.azure.com/x").unwrap();
        let link = "https://management.azure.com/y?api-version=1&$skiptoken=a%2Bb";
        assert_eq!(next(&from, link).unwrap().as_str(), link);
        for other in ["https://evil.example/y", "http://management.azure.com/y", "y"] {
            assert!(next(&from, other).is_err(), "{other}");
        }
    }

    #[test]
    fn addresses_are_built_and_never_lead_elsewhere() {
        let url = arm().url("/subscriptions/s/x y", &[("timespan", "a/b")]).unwrap();
        assert_eq!(url.as_str(), "https://management.azure.com/subscriptions/s/x%20y?timespan=a%2Fb");
        assert!(arm().url("/subscriptions/../evil", &[]).is_err());
    }
}
