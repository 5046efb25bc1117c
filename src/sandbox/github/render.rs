//! Objects of the Actions API as GitHub writes them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::catalogue::Workflow;
use super::model::{Deployment, Environment, Job, Run, user};
use super::{BRANCH, LOGIN, OWNER, REPOSITORY};
use crate::sandbox::clock::Clock;

/// Where links of an answer begin.
#[derive(Debug, Clone)]
pub struct Links {
    /// `https://127.0.0.1:<port>`.
    pub origin: String,
    /// The origin, with `/api/v3` if the client came that way.
    pub api: String,
    /// What the times of an answer are told by.
    pub clock: Clock,
}

impl Links {
    pub fn repo(&self) -> String {
        format!("{}/repos/{OWNER}/{REPOSITORY}", self.api)
    }

    pub fn html(&self) -> String {
        format!("{}/{OWNER}/{REPOSITORY}", self.origin)
    }

    pub fn user(&self) -> Value {
        user(&self.api, LOGIN)
    }

    /// A real time as this GitHub says it.
    pub fn time(&self, real: DateTime<Utc>) -> String {
        self.clock.shown(real).format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

pub fn workflow(links: &Links, workflow: &Workflow) -> Value {
    let (api, html) = (links.repo(), links.html());
    json!({
        "id": workflow.id, "node_id": format!("W_kwDOHq{}", workflow.id), "name": workflow.name, "path": workflow.path(),
        "state": "active", "created_at": "2024-08-14T09:21:07.000Z", "updated_at": "2026-06-22T10:03:44.000Z",
        "url": format!("{api}/actions/workflows/{}", workflow.id),
        "html_url": format!("{html}/blob/{BRANCH}/{}", workflow.path()),
        "badge_url": format!("{html}/actions/workflows/{}/badge.svg", workflow.file),
    })
}

pub fn short_repository(links: &Links) -> Value {
    let api = links.repo();
    json!({
        "id": 504_233_871, "node_id": "R_kgDOHg4Pjw", "name": REPOSITORY, "full_name": format!("{OWNER}/{REPOSITORY}"),
        "private": false, "html_url": links.html(), "description": "Refer serious misconduct by a teacher in England",
        "fork": false, "url": api,
        "owner": {"login": OWNER, "id": 36_006_823, "node_id": "MDEyOk9yZ2FuaXphdGlvbjM2MDA2ODIz", "type": "Organization",
                  "site_admin": false, "url": format!("{}/users/{OWNER}", links.api)},
    })
}

pub fn run(links: &Links, run: &Run, head: &str) -> Value {
    let api = format!("{}/actions/runs/{}", links.repo(), run.id);
    let previous = (run.attempt > 1).then(|| format!("{api}/attempts/{}", run.attempt - 1));
    let by = if run.event == "schedule" { user(&links.api, "github-actions") } else { links.user() };
    let signed = json!({"name": "Sandbox", "email": "sandbox@localhost"});
    json!({
        "id": run.id, "name": run.workflow.name, "node_id": format!("WFR_kwLOHg4Pj{}", run.id),
        "check_suite_id": run.id + 1, "check_suite_node_id": format!("CS_kwDOHg4Pj{}", run.id),
        "head_branch": run.branch, "head_sha": head, "path": run.workflow.path(), "display_title": run.workflow.name,
        "run_number": run.number, "event": run.event, "status": run.status, "conclusion": run.conclusion,
        "workflow_id": run.workflow.id, "url": api, "html_url": format!("{}/actions/runs/{}", links.html(), run.id),
        "pull_requests": [], "created_at": links.time(run.created), "updated_at": links.time(run.updated), "actor": by,
        "run_attempt": run.attempt, "referenced_workflows": [], "run_started_at": links.time(run.started),
        "triggering_actor": by, "jobs_url": format!("{api}/jobs"), "logs_url": format!("{api}/logs"),
        "check_suite_url": format!("{}/check-suites/{}", links.repo(), run.id + 1),
        "artifacts_url": format!("{api}/artifacts"), "cancel_url": format!("{api}/cancel"),
        "rerun_url": format!("{api}/rerun"), "previous_attempt_url": previous,
        "workflow_url": format!("{}/actions/workflows/{}", links.repo(), run.workflow.id),
        "head_commit": {"id": head, "tree_id": head, "message": "Merge pull request #2140",
                        "timestamp": "2026-06-22T10:03:44Z", "author": signed, "committer": signed},
        "repository": short_repository(links), "head_repository": short_repository(links),
    })
}

pub fn job(links: &Links, run: &Run, job: &Job, head: &str) -> Value {
    let (api, html) = (links.repo(), links.html());
    let time = |at| links.time(at);
    let steps: Vec<Value> = (1..)
        .zip(&job.steps)
        .map(|(number, step)| {
            json!({
                "name": step.name, "status": step.status, "conclusion": step.conclusion, "number": number,
                "started_at": step.started.map(time), "completed_at": step.completed.map(time),
            })
        })
        .collect();
    let runner = (job.status != "queued").then_some("GitHub Actions 1000000412");
    json!({
        "id": job.id, "run_id": run.id, "workflow_name": run.workflow.name, "head_branch": run.branch,
        "run_url": format!("{api}/actions/runs/{}", run.id), "run_attempt": job.attempt,
        "node_id": format!("CR_kwDOHg4Pj{}", job.id), "head_sha": head,
        "url": format!("{api}/actions/jobs/{}", job.id),
        "html_url": format!("{html}/actions/runs/{}/job/{}", run.id, job.id), "status": job.status,
        "conclusion": job.conclusion, "created_at": time(job.created), "started_at": time(job.started),
        "completed_at": job.completed.map(time), "name": job.name, "steps": steps,
        "check_run_url": format!("{api}/check-runs/{}", job.id), "labels": ["ubuntu-latest"], "runner_id": 1_000_000_412,
        "runner_name": runner, "runner_group_id": 0, "runner_group_name": "GitHub Actions",
    })
}

pub fn short_environment(links: &Links, environment: &Environment) -> Value {
    json!({
        "id": environment.id, "node_id": format!("EN_kwDOHg4Pj{}", environment.id), "name": environment.name,
        "url": format!("{}/environments/{}", links.repo(), environment.name),
        "html_url": format!("{}/deployments/activity_log?environments_filter={}", links.html(), environment.name),
    })
}

pub fn environment(links: &Links, environment: &Environment) -> Value {
    let mut rules = vec![json!({"id": environment.id + 500, "node_id": "GA_1", "type": "branch_policy"})];
    if environment.asks {
        rules.push(json!({
            "id": environment.id + 501, "node_id": "GA_2", "type": "required_reviewers", "prevent_self_review": false,
            "reviewers": [{"type": "User", "reviewer": links.user()}],
        }));
    }
    let mut value = short_environment(links, environment);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("created_at".into(), "2024-08-14T09:21:07Z".into());
        fields.insert("updated_at".into(), "2025-03-03T15:40:12Z".into());
        fields.insert("protection_rules".into(), rules.into());
        fields.insert(
            "deployment_branch_policy".into(),
            json!({"protected_branches": true, "custom_branch_policies": false}),
        );
    }
    value
}

pub fn deployment(links: &Links, deployment: &Deployment, sha: &str) -> Value {
    let url = format!("{}/deployments/{}", links.repo(), deployment.id);
    json!({
        "url": url, "id": deployment.id, "node_id": format!("DE_kwDOHg4Pj{}", deployment.id), "sha": sha, "ref": BRANCH,
        "task": "deploy", "payload": {}, "original_environment": deployment.environment,
        "environment": deployment.environment, "description": null, "creator": links.user(),
        "created_at": links.time(deployment.created), "updated_at": links.time(deployment.created),
        "statuses_url": format!("{url}/statuses"), "repository_url": links.repo(), "transient_environment": false,
        "production_environment": deployment.environment == "production",
    })
}
