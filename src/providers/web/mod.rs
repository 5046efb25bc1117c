//! The service's own health page, polled. An answer is a value, also a bad one; only silence is a fault.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::beat::Beat;
use super::fetch::{self, Answer};
use super::settings::WebSettings;
use super::standing::Standing;
use super::words;
use crate::domain::feed::Sink;
use crate::domain::{Fault, Health, Source, Update, text};

/// On the beat of the cluster's sign of life and, each second time, of Azure: an idle machine wakes once for all.
const EVERY: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(5);
const BODY_MAX: usize = 64 << 10;
/// Longest words that are kept of a page.
const SAYS_MAX: usize = 120;

/// Starts the poll of `url` in `tasks` and returns at once.
pub fn start(
    settings: &WebSettings,
    url: String,
    sink: Sink,
    beat: Beat,
    skip: watch::Receiver<u64>,
    tasks: &mut JoinSet<()>,
) {
    let standing = Standing::new(Source::Web, std::sync::Arc::clone(&sink), EVERY, beat, skip);
    tasks.spawn(poll(settings.clone(), url, sink, standing));
}

async fn poll(settings: WebSettings, url: String, sink: Sink, mut standing: Standing) {
    let mut client = None;
    loop {
        let answer = match &client {
            Some(client) => ask(client, &url).await,
            None => match fetch::client(&url, settings.ca_file.as_deref(), PATIENCE).await {
                Ok(made) => {
                    let answer = ask(&made, &url).await;
                    client = Some(made);
                    answer
                }
                Err(fault) => Err(fault),
            },
        };
        match answer {
            Ok(answer) => {
                let health = Health { url: url.clone(), status: Some(answer.status), says: says(&answer) };
                sink(Update::Health { health }, chrono::Utc::now());
                standing.well().await;
            }
            // That we got no answer says nothing about the service: the last answer stays, with its age.
            Err(fault) => standing.failed(&fault).await,
        }
    }
}

async fn ask(client: &reqwest::Client, url: &str) -> Result<Answer, Fault> {
    fetch::fetch(client.get(url), BODY_MAX, PATIENCE).await
}

/// First words of a page: its title if it is HTML.
fn says(answer: &Answer) -> String {
    if (300..400).contains(&answer.status) {
        let to = answer.headers.get(http::header::LOCATION).and_then(|l| l.to_str().ok()).unwrap_or_default();
        let host = reqwest::Url::parse(to).ok().and_then(|u| u.host_str().map(str::to_owned));
        return format!("redirects to {}", words::plain(host.as_deref().unwrap_or("another page")));
    }
    let body = String::from_utf8_lossy(&answer.body);
    let lower = body.to_ascii_lowercase();
    let title = lower.find("<title>").map(|i| i + "<title>".len()).and_then(|from| {
        let length = lower.get(from..)?.find("</title>")?;
        body.get(from..from + length)
    });
    text::fit(&words::plain(title.unwrap_or(&body)), SAYS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16, body: &str) -> Answer {
        Answer { status, headers: http::HeaderMap::new(), body: body.into(), cut: false }
    }

    #[test]
    fn a_page_is_told_in_its_first_words() {
        assert_eq!(says(&page(503, "{\"database\": \"down\"}\n")), "{\"database\": \"down\"}");
        assert_eq!(says(&page(502, "<HTML><head><Title>502 Bad\n Gateway</Title>…")), "502 Bad Gateway");
        assert_eq!(says(&page(200, "ok\u{1b}[2J\u{7}")), "ok");
        assert_eq!(
            text::fit(&says(&page(200, &"界".repeat(9_000))), 200),
            says(&page(200, &"界".repeat(9_000)))
        );
        let mut moved = page(302, "");
        moved.headers.insert("location", "https://login.example/x?token=hush".parse().unwrap());
        assert_eq!(says(&moved), "redirects to login.example");
    }
}
