//! What the repository knows: runs with their jobs and logs, environments, protection, rulesets, pull requests. Bounded.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::catalogue::{Inputs, Workflow, environment_of};
use super::{BRANCH, LOGIN};
use crate::sandbox::clock::Clock;
use crate::sandbox::estate::SHA;

/// Runs that are remembered.
const MOST_RUNS: usize = 500;
/// Bytes of one step's log.
const MOST_LOG: usize = 4 << 20;
/// Bytes of a line's time, with what keeping it costs.
const STAMP: usize = 48;
const MOST_LOG_URLS: usize = 200;

/// One run with all its attempts.
#[derive(Debug)]
pub struct Run {
    pub id: u64,
    pub workflow: &'static Workflow,
    pub number: u64,
    pub attempt: u64,
    pub event: &'static str,
    pub branch: String,
    pub inputs: Inputs,
    pub status: &'static str,
    pub conclusion: Option<&'static str>,
    pub created: DateTime<Utc>,
    pub started: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    /// Of all attempts.
    pub jobs: Vec<Job>,
    pub approvals: Vec<Value>,
    /// The decision on the environment's gate; `None` while it waits or is not asked.
    pub approved: Option<bool>,
    pub cancel: watch::Sender<bool>,
}

/// One job of one attempt.
#[derive(Debug)]
pub struct Job {
    pub id: u64,
    pub attempt: u64,
    pub name: String,
    pub status: &'static str,
    pub conclusion: Option<&'static str>,
    pub created: DateTime<Utc>,
    pub started: DateTime<Utc>,
    pub completed: Option<DateTime<Utc>>,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub struct Step {
    pub name: String,
    pub status: &'static str,
    pub conclusion: Option<&'static str>,
    pub started: Option<DateTime<Utc>>,
    pub completed: Option<DateTime<Utc>>,
    /// Lines with their real times.
    log: Vec<(DateTime<Utc>, String)>,
    /// Bytes of all lines.
    size: usize,
}

impl Step {
    pub fn new(name: &str) -> Step {
        Step {
            name: name.to_owned(),
            status: "queued",
            conclusion: None,
            started: None,
            completed: None,
            log: Vec::new(),
            size: 0,
        }
    }

    /// Adds a line, now.
    pub fn say(&mut self, line: &str) {
        if self.size > MOST_LOG {
            return;
        }
        self.size += line.len() + STAMP;
        let fits = self.size <= MOST_LOG;
        let line = if fits { line } else { "##[warning]The log is longer than the sandbox keeps." };
        self.log.push((Utc::now(), line.to_owned()));
    }

    /// The log in GitHub's form: UTC to the tenth of a microsecond, a blank, the text.
    pub fn log(&self, clock: &Clock) -> String {
        let mut whole = String::with_capacity(self.size);
        for (real, line) in &self.log {
            let at = clock.shown(*real);
            let tenths = at.timestamp_subsec_nanos() / 100 % 10_000_000;
            // Writing to a string cannot fail.
            let _ = writeln!(whole, "{}.{tenths:07}Z {line}", at.format("%Y-%m-%dT%H:%M:%S"));
        }
        whole
    }
}

/// A deployment environment.
#[derive(Debug)]
pub struct Environment {
    pub id: u64,
    pub name: &'static str,
    /// A required reviewer must approve.
    pub asks: bool,
}

/// A deployment record.
#[derive(Debug)]
pub struct Deployment {
    pub id: u64,
    pub environment: String,
    pub created: DateTime<Utc>,
    pub state: &'static str,
}

/// An open or merged pull request.
#[derive(Debug)]
pub struct Pull {
    pub number: u64,
    pub title: &'static str,
    pub approvals: u64,
    pub merged: bool,
}

/// A comment on an issue or a pull request.
#[derive(Debug)]
pub struct Comment {
    pub id: u64,
    pub text: String,
    pub created: DateTime<Utc>,
}

/// Everything that changes. Times are real; they are told by the sandbox's clock.
#[derive(Debug)]
pub struct State {
    pub runs: Vec<Run>,
    pub environments: Vec<Environment>,
    pub deployments: Vec<Deployment>,
    pub pulls: Vec<Pull>,
    /// Comments by issue number.
    pub comments: BTreeMap<u64, Vec<Comment>>,
    /// Classic protection of the default branch, as PUT stores it; `None` when it is off.
    pub protection: Option<Value>,
    pub rulesets: Vec<Value>,
    /// Run that holds a concurrency group, and the one that waits for it.
    pub held: HashMap<String, u64>,
    pub waiting: HashMap<String, u64>,
    /// Log addresses: key, until when, run and job (`None`: the whole run, zipped).
    pub log_urls: Vec<(String, DateTime<Utc>, u64, Option<u64>)>,
    /// The head of the default branch.
    pub head: String,
    next: u64,
    numbers: HashMap<u64, u64>,
}

impl State {
    pub fn new() -> State {
        let environment = |id: u64, name, asks| Environment { id: 161_088_000 + id, name, asks };
        State {
            runs: Vec::new(),
            environments: vec![
                environment(1, "preprod", false),
                environment(2, "production", true),
                environment(3, "test", false),
            ],
            deployments: vec![Deployment {
                id: 1_902_117_340,
                environment: "production".into(),
                created: Utc::now() - TimeDelta::hours(26),
                state: "success",
            }],
            pulls: vec![
                Pull { number: 2_147, title: "Bump the rails group", approvals: 1, merged: false },
                Pull { number: 2_151, title: "Reword the reminder e-mail", approvals: 2, merged: false },
            ],
            comments: BTreeMap::new(),
            protection: Some(super::guard::first_protection()),
            rulesets: vec![super::guard::first_ruleset()],
            held: HashMap::new(),
            waiting: HashMap::new(),
            log_urls: Vec::new(),
            head: SHA.to_owned(),
            next: 7_312_448_101,
            numbers: HashMap::new(),
        }
    }

    /// A number that was not used before.
    pub fn id(&mut self) -> u64 {
        self.next += 7;
        self.next
    }

    /// A new queued run; the oldest finished one is forgotten when there are too many.
    pub fn add(
        &mut self,
        workflow: &'static Workflow,
        event: &'static str,
        branch: &str,
        inputs: Inputs,
    ) -> u64 {
        if self.runs.len() >= MOST_RUNS
            && let Some(old) = self.runs.iter().position(|r| r.status == "completed")
        {
            self.runs.remove(old);
        }
        let number = self.numbers.entry(workflow.id).and_modify(|n| *n += 1).or_insert(41);
        let (number, id, now) = (*number, self.id(), Utc::now());
        let mut run = Run {
            id,
            workflow,
            number,
            attempt: 1,
            event,
            branch: branch.to_owned(),
            inputs,
            status: "queued",
            conclusion: None,
            created: now,
            started: now,
            updated: now,
            jobs: Vec::new(),
            approvals: Vec::new(),
            approved: None,
            cancel: watch::Sender::new(false),
        };
        run.jobs.push(self.job(&run));
        self.runs.push(run);
        id
    }

    fn job(&mut self, run: &Run) -> Job {
        let (before, work, after) = run.workflow.steps();
        let names = before.iter().map(|s| s.0).chain([work]).chain(after.iter().map(|s| s.0));
        let now = Utc::now();
        Job {
            id: self.id(),
            attempt: run.attempt,
            name: run.workflow.job.replace("{}", environment_of(&run.inputs)),
            status: "queued",
            conclusion: None,
            created: now,
            started: now,
            completed: None,
            steps: names.map(Step::new).collect(),
        }
    }

    /// Starts a finished run's next attempt. False if there is none such.
    pub fn again(&mut self, id: u64) -> bool {
        let Some(at) = self.runs.iter().position(|r| r.id == id && r.status == "completed") else {
            return false;
        };
        let mut run = self.runs.remove(at);
        run.attempt += 1;
        run.status = "queued";
        run.conclusion = None;
        run.approved = None;
        run.started = Utc::now();
        run.updated = run.started;
        run.cancel = watch::Sender::new(false);
        let job = self.job(&run);
        run.jobs.push(job);
        self.runs.insert(at.min(self.runs.len()), run);
        true
    }

    pub fn run(&self, id: u64) -> Option<&Run> {
        self.runs.iter().find(|r| r.id == id)
    }

    pub fn run_mut(&mut self, id: u64) -> Option<&mut Run> {
        self.runs.iter_mut().find(|r| r.id == id)
    }

    pub fn asks(&self, environment: &str) -> bool {
        self.environments.iter().any(|e| e.name == environment && e.asks)
    }

    pub fn set_approval(&mut self, environment: &str, asked: bool) -> bool {
        let found = self.environments.iter_mut().find(|e| e.name == environment);
        found.map(|e| e.asks = asked).is_some()
    }

    /// Keeps an address under which a log can be had for a minute.
    pub fn log_url(&mut self, key: String, run: u64, job: Option<u64>) {
        let now = Utc::now();
        self.log_urls.retain(|(_, until, ..)| *until > now);
        if self.log_urls.len() >= MOST_LOG_URLS {
            self.log_urls.remove(0);
        }
        self.log_urls.push((key, now + TimeDelta::minutes(1), run, job));
    }
}

impl Run {
    /// The latest attempt's job.
    pub fn job_mut(&mut self) -> Option<&mut Job> {
        self.jobs.last_mut()
    }

    pub fn environment(&self) -> &str {
        environment_of(&self.inputs)
    }

    pub fn touch(&mut self, status: &'static str) {
        self.status = status;
        self.updated = Utc::now();
        if let Some(job) = self.job_mut() {
            job.status = status;
        }
    }

    pub fn end(&mut self, conclusion: &'static str) {
        let now = Utc::now();
        (self.status, self.conclusion, self.updated) = ("completed", Some(conclusion), now);
        let Some(job) = self.job_mut() else { return };
        (job.status, job.conclusion, job.completed) = ("completed", Some(conclusion), Some(now));
        if conclusion == "skipped" {
            job.steps.clear();
        }
        for step in &mut job.steps {
            if step.status != "completed" {
                let open = step.status == "in_progress";
                (step.status, step.completed) = ("completed", Some(now));
                step.conclusion = Some(if open { conclusion } else { "skipped" });
                step.started.get_or_insert(now);
            }
        }
    }
}

/// A user as GitHub shows one in other objects.
pub fn user(origin: &str, login: &str) -> Value {
    let id = if login == LOGIN { 583_231 } else { 583_232 };
    let api = format!("{origin}/users/{login}");
    json!({
        "login": login, "id": id, "node_id": format!("MDQ6VXNlcjU4{id}"), "avatar_url": "", "gravatar_id": "",
        "url": api, "html_url": format!("{origin}/{login}"), "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"), "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"), "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"), "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"), "received_events_url": format!("{api}/received_events"),
        "type": "User", "site_admin": false,
    })
}

/// True for the branches that the repository has.
pub fn is_branch(name: &str) -> bool {
    name == BRANCH || name == "maintenance-text"
}
