//! The Actions API: workflows, dispatch, runs, jobs, approvals.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, NaiveDate, Utc};
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Reply, page};
use super::catalogue::{Inputs, WORKFLOWS, Workflow};
use super::model::{Run, is_branch};
use super::render::{self, Links};
use super::route::Query;
use super::{Hub, LOGIN, engine, logs};

/// Inputs of a dispatch at most.
const MOST_INPUTS: usize = 25;

/// `…/actions/workflows…`.
pub fn workflows(
    hub: &Arc<Hub>,
    links: &Links,
    method: &str,
    rest: &[&str],
    query: &Query,
    body: &Value,
) -> Reply {
    let Some((reference, rest)) = rest.split_first() else {
        let all = WORKFLOWS.iter().map(|w| render::workflow(links, w)).collect();
        return page(all, Some("workflows"), &format!("{}/actions/workflows", links.repo()), query);
    };
    let Some(workflow) = Workflow::find(reference) else { return Reply::not_found() };
    match (method, rest) {
        ("GET", []) => Reply::ok(render::workflow(links, workflow)),
        ("GET", ["runs"]) => list(hub, links, Some(workflow), query),
        ("GET", ["timing"]) => Reply::ok(json!({"billable": {}})),
        ("POST", ["dispatches"]) => dispatch(hub, links, workflow, body),
        _ => Reply::not_found(),
    }
}

fn dispatch(hub: &Arc<Hub>, links: &Links, workflow: &'static Workflow, body: &Value) -> Reply {
    let Some(reference) = body.get("ref").and_then(Value::as_str) else {
        return Reply::unprocessable("Invalid request.\n\n\"ref\" wasn't supplied.");
    };
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference);
    if !is_branch(branch) {
        return Reply::unprocessable(&format!("No ref found for: {reference}"));
    }
    if !workflow.dispatchable() {
        return Reply::unprocessable("Workflow does not have 'workflow_dispatch' trigger");
    }
    let given = match body.get("inputs") {
        None | Some(Value::Null) => Inputs::new(),
        Some(Value::Object(fields)) => fields.iter().map(|(k, v)| (k.clone(), text(v))).collect(),
        Some(_) => {
            return Reply::unprocessable("Invalid request.\n\nFor 'properties/inputs', is not an object.");
        }
    };
    if given.len() > MOST_INPUTS {
        return Reply::unprocessable(&format!(
            "Invalid request.\n\nNo more than {MOST_INPUTS} properties are allowed."
        ));
    }
    let inputs = match workflow.complete(given) {
        Ok(inputs) => inputs,
        Err(why) => return Reply::unprocessable(&why),
    };
    let id = engine::start(hub, workflow, "workflow_dispatch", branch, inputs);
    let told = body.get("return_run_details") == Some(&Value::Bool(true));
    if !told || hub.old_dispatch.load(Ordering::Relaxed) {
        return Reply::empty();
    }
    Reply::ok(json!({
        "workflow_run_id": id,
        "run_url": format!("{}/actions/runs/{id}", links.repo()),
        "html_url": format!("{}/actions/runs/{id}", links.html()),
    }))
}

/// Inputs arrive as strings, but numbers and booleans are taken too.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

/// `…/actions/runs…`.
pub fn runs(
    hub: &Arc<Hub>,
    links: &Links,
    method: &str,
    rest: &[&str],
    query: &Query,
    body: &Value,
) -> Reply {
    let Some((id, rest)) = rest.split_first() else { return list(hub, links, None, query) };
    let Ok(id) = id.parse::<u64>() else { return Reply::not_found() };
    if hub.state().run(id).is_none() {
        return Reply::not_found();
    }
    match (method, rest) {
        ("GET", []) | ("GET", ["attempts", _]) => {
            let state = hub.state();
            state.run(id).map_or_else(Reply::not_found, |r| Reply::ok(render::run(links, r, &state.head)))
        }
        ("GET", ["jobs"]) | ("GET", ["attempts", _, "jobs"]) => jobs(hub, links, id, query),
        ("GET", ["logs"]) | ("GET", ["attempts", _, "logs"]) => logs::redirect(hub, id, None),
        ("GET", ["artifacts"]) => Reply::ok(json!({"total_count": 0, "artifacts": []})),
        ("GET", ["timing"]) => Reply::ok(json!({"billable": {}, "run_duration_ms": 0})),
        ("GET", ["approvals"]) => {
            Reply::ok(hub.state().run(id).map(|r| r.approvals.clone()).unwrap_or_default().into())
        }
        ("GET", ["pending_deployments"]) => pending(hub, links, id),
        ("POST", ["pending_deployments"]) => review(hub, links, id, body),
        ("POST", ["cancel" | "force-cancel"]) => cancel(hub, id),
        ("POST", ["rerun" | "rerun-failed-jobs"]) => rerun(hub, id),
        _ => Reply::not_found(),
    }
}

fn list(hub: &Hub, links: &Links, workflow: Option<&Workflow>, query: &Query) -> Reply {
    let mut url = format!("{}/actions/runs", links.repo());
    if let Some(workflow) = workflow {
        url = format!("{}/actions/workflows/{}/runs", links.repo(), workflow.id);
    }
    let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let state = hub.state();
    let mut wanted: Vec<&Run> = state
        .runs
        .iter()
        .filter(|r| workflow.is_none_or(|w| w.id == r.workflow.id))
        .filter(|r| is("event", r.event) && is("branch", &r.branch))
        .filter(|r| is("actor", if r.event == "schedule" { "github-actions" } else { LOGIN }))
        .filter(|r| query.get("status").is_none_or(|s| s == r.status || Some(s) == r.conclusion))
        .filter(|r| query.get("created").is_none_or(|range| created_in(range, links.clock.shown(r.created))))
        .filter(|r| is("head_sha", &state.head) || r.event.is_empty())
        .collect();
    wanted.sort_by_key(|r| std::cmp::Reverse(r.id));
    let all = wanted.into_iter().map(|r| render::run(links, r, &state.head)).collect();
    page(all, Some("workflow_runs"), &url, query)
}

/// GitHub's search syntax for dates: `>=T`, `>T`, `<=T`, `<T`, `A..B` (either end may be `*`), or a day or second.
fn created_in(range: &str, at: DateTime<Utc>) -> bool {
    // Compared to the second, which is what the API tells.
    let at = at.timestamp();
    let point = |text: &str| -> Option<(i64, i64)> {
        if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            let start = day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
            return Some((start, start + 86_399));
        }
        DateTime::parse_from_rfc3339(text).ok().map(|t| (t.timestamp(), t.timestamp()))
    };
    if let Some((from, to)) = range.split_once("..") {
        let after = from == "*" || point(from).is_some_and(|(start, _)| at >= start);
        return after && (to == "*" || point(to).is_some_and(|(_, end)| at <= end));
    }
    for (sign, holds) in [
        (">=", (|at, (start, _)| at >= start) as fn(i64, (i64, i64)) -> bool),
        ("<=", |at, (_, end)| at <= end),
        (">", |at, (_, end)| at > end),
        ("<", |at, (start, _)| at < start),
    ] {
        if let Some(text) = range.strip_prefix(sign) {
            return point(text).is_some_and(|p| holds(at, p));
        }
    }
    point(range).is_some_and(|(start, end)| (start..=end).contains(&at))
}

fn jobs(hub: &Hub, links: &Links, id: u64, query: &Query) -> Reply {
    let state = hub.state();
    let Some(run) = state.run(id) else { return Reply::not_found() };
    let all = query.get("filter") == Some("all");
    let jobs = run.jobs.iter().filter(|j| all || j.attempt == run.attempt);
    let jobs = jobs.map(|j| render::job(links, run, j, &state.head)).collect();
    page(jobs, Some("jobs"), &format!("{}/actions/runs/{id}/jobs", links.repo()), query)
}

/// `…/actions/jobs/{id}…`.
pub fn job(hub: &Hub, links: &Links, id: &str, rest: &[&str]) -> Reply {
    let Ok(id) = id.parse::<u64>() else { return Reply::not_found() };
    let found = {
        let state = hub.state();
        let found = state.runs.iter().find_map(|r| r.jobs.iter().find(|j| j.id == id).map(|j| (r, j)));
        found.map(|(r, j)| (r.id, j.status, render::job(links, r, j, &state.head)))
    };
    match (found, rest) {
        (Some((_, _, job)), []) => Reply::ok(job),
        (Some((run, "completed", _)), ["logs"]) => logs::redirect(hub, run, Some(id)),
        _ => Reply::not_found(),
    }
}

fn pending(hub: &Hub, links: &Links, id: u64) -> Reply {
    let state = hub.state();
    let waiting = state.run(id).filter(|r| r.status == "waiting");
    let gates = state.environments.iter().filter(|e| waiting.is_some_and(|r| r.environment() == e.name));
    let gates: Vec<Value> = gates
        .map(|environment| {
            json!({
                "environment": render::short_environment(links, environment), "wait_timer": 0,
                "wait_timer_started_at": null, "current_user_can_approve": true,
                "reviewers": [{"type": "User", "reviewer": links.user()}],
            })
        })
        .collect();
    Reply::ok(gates.into())
}

fn review(hub: &Hub, links: &Links, id: u64, body: &Value) -> Reply {
    let approved = match body.get("state").and_then(Value::as_str) {
        Some("approved") => true,
        Some("rejected") => false,
        _ => return Reply::unprocessable("Invalid request.\n\n\"state\" must be one of: approved, rejected"),
    };
    if body.get("comment").and_then(Value::as_str).is_none() {
        return Reply::unprocessable("Invalid request.\n\n\"comment\" wasn't supplied.");
    }
    let ids: Vec<u64> = body
        .get("environment_ids")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(Value::as_u64).collect())
        .unwrap_or_default();
    hub.change(|state| {
        let environment = state.run(id).map(|r| r.environment().to_owned()).unwrap_or_default();
        let Some(gate) = state.environments.iter().find(|e| e.name == environment && ids.contains(&e.id)) else {
            return Reply::unprocessable("Environment ids are not waiting for approval");
        };
        let shown = render::short_environment(links, gate);
        let sha = state.head.clone();
        let record = state.deployments.last().map(|d| render::deployment(links, d, &sha));
        let Some(run) = state.run_mut(id).filter(|r| r.status == "waiting") else {
            return Reply::unprocessable("There are no pending deployments for this run");
        };
        run.approved = Some(approved);
        run.approvals.push(json!({
            "state": body.get("state"), "comment": body.get("comment"), "environments": [shown], "user": links.user(),
        }));
        Reply::ok(json!([record]))
    })
}

fn cancel(hub: &Hub, id: u64) -> Reply {
    let state = hub.state();
    match state.run(id) {
        Some(run) if run.status == "completed" => {
            Reply::error(StatusCode::CONFLICT, "Cannot cancel a workflow run that is completed.")
        }
        Some(run) => {
            run.cancel.send_replace(true);
            Reply::json(StatusCode::ACCEPTED, json!({}))
        }
        None => Reply::not_found(),
    }
}

fn rerun(hub: &Arc<Hub>, id: u64) -> Reply {
    if !hub.change(|state| state.again(id)) {
        let words = "This workflow is already running";
        return Reply::error(StatusCode::FORBIDDEN, words);
    }
    engine::spawn(hub, id);
    Reply::json(StatusCode::CREATED, json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creation_times_are_searched_as_github_searches_them() {
        let at = DateTime::parse_from_rfc3339("2026-11-20T12:00:05Z").unwrap().to_utc();
        for inside in [
            ">=2026-11-20T12:00:05Z",
            "2026-11-20",
            "2026-11-19..2026-11-21",
            "*..2026-11-20T13:00:00Z",
            ">2026-11-20T12:00:04Z",
            "<=2026-11-20",
        ] {
            assert!(created_in(inside, at), "{inside}");
        }
        for outside in [">2026-11-20", "<2026-11-20", "2026-11-21..*", "yesterday", ">=2026-11-20T12:00:06Z"]
        {
            assert!(!created_in(outside, at), "{outside}");
        }
    }
}
