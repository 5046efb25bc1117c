//! Logs: a redirect to an address that works for a minute, on another host name, without `Authorization`.

use chrono::Utc;
use http::StatusCode;

use super::Hub;
use super::answer::Reply;
use super::model::Run;
use super::zip;
use crate::sandbox::clock::Clock;
use crate::sandbox::postgres::plain;

/// Where logs are had from, on the server's port.
pub const PREFIX: &str = "_logs";

/// 302 to a job's log, or to the zip of a whole run.
pub fn redirect(hub: &Hub, run: u64, job: Option<u64>) -> Reply {
    let key = plain(40);
    hub.state().log_url(key.clone(), run, job);
    // Another host than the API's, so that clients do not take their token there.
    let host = hub.endpoint.replace("127.0.0.1", "localhost");
    let until = hub.clock().now() + chrono::TimeDelta::minutes(1);
    let until = until.format("%Y-%m-%dT%H%%3A%M%%3A%SZ");
    let url = format!("{host}/{PREFIX}/{key}?se={until}&sig={}", plain(43));
    Reply { status: StatusCode::FOUND, ..Reply::empty() }.header("location", url)
}

/// What the address holds.
pub fn fetch(hub: &Hub, key: &str, has_bearer: bool) -> Reply {
    let state = hub.state();
    let now = Utc::now();
    let found = state.log_urls.iter().find(|(k, until, ..)| k == key && *until > now);
    // A token next to the signature is one credential too many for the store behind the address. Older `gh` sends its own,
    // as scheme `token`, to every host that is not github.com: that one is let through.
    let (Some((_, _, run, job)), false) = (found, has_bearer) else {
        let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code><Message>Server \
                   failed to authenticate the request. Make sure the value of Authorization header is formed correctly \
                   including the signature.</Message></Error>";
        return Reply::bytes("application/xml", xml.into()).with_status(StatusCode::FORBIDDEN);
    };
    let Some(run) = state.run(*run) else { return Reply::not_found() };
    match job {
        None => Reply::bytes("application/zip", zip::archive(&files(run, hub.clock()))),
        Some(job) => match run.jobs.iter().find(|j| j.id == *job) {
            Some(job) => {
                let text: String = job.steps.iter().map(|s| s.log(hub.clock())).collect();
                Reply::bytes("text/plain; charset=utf-8", format!("\u{feff}{text}").into_bytes())
            }
            None => Reply::not_found(),
        },
    }
}

/// Each job's log whole, and each step's in the job's folder.
fn files(run: &Run, clock: &Clock) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let jobs = run.jobs.iter().filter(|j| j.attempt == run.attempt);
    for (index, job) in jobs.enumerate() {
        let folder = job.name.replace('/', "");
        let whole: String = job.steps.iter().map(|s| s.log(clock)).collect();
        files.push((format!("{index}_{folder}.txt"), whole));
        for (number, step) in job.steps.iter().enumerate() {
            let name = step.name.replace('/', "");
            files.push((format!("{folder}/{}_{name}.txt", number + 1), step.log(clock)));
        }
    }
    files
}
