//! Carries out runs: conditions, concurrency, approvals, steps and their time; one task a run.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;

use super::catalogue::{Inputs, Workflow};
use super::model::{Deployment, Run, State};
use super::{BRANCH, Hub, Pace};
use crate::sandbox::recovery::Log;

/// Adds a run and starts it.
pub fn start(
    hub: &Arc<Hub>,
    workflow: &'static Workflow,
    event: &'static str,
    branch: &str,
    inputs: Inputs,
) -> u64 {
    let id = hub.change(|state| state.add(workflow, event, branch, inputs));
    spawn(hub, id);
    id
}

/// Starts the present attempt of a run that was added.
pub fn spawn(hub: &Arc<Hub>, id: u64) {
    let (task_hub, mut running) =
        (Arc::clone(hub), hub.running.lock().unwrap_or_else(PoisonError::into_inner));
    while running.try_join_next().is_some() {}
    running.spawn(async move { Attempt { hub: task_hub, id }.run().await });
}

/// The scheduled backup of today, taken now.
pub fn nightly(hub: &Arc<Hub>) {
    if let Some(workflow) = Workflow::find("backup-db.yml") {
        start(hub, workflow, "schedule", BRANCH, Inputs::new());
    }
}

struct Attempt {
    hub: Arc<Hub>,
    id: u64,
}

/// The run was cancelled, or is gone.
struct Ended;

impl Attempt {
    async fn run(self) {
        let Some(mut cancelled) = self.read(|run| run.cancel.subscribe()) else { return };
        let group = self.read(|run| run.workflow.group(&run.inputs)).unwrap_or_default();
        let conclusion = tokio::select! {
            biased;
            () = told(&mut cancelled) => "cancelled",
            done = self.work(&group) => done.unwrap_or("cancelled"),
        };
        self.hub.change(|state| {
            state.held.retain(|_, holder| *holder != self.id);
            state.waiting.retain(|_, next| *next != self.id);
            let Some(run) = state.run_mut(self.id) else { return };
            run.end(conclusion);
            let environment = run.environment().to_owned();
            finish_deployment(state, &environment, conclusion);
        });
    }

    fn read<T>(&self, read: impl FnOnce(&Run) -> T) -> Option<T> {
        self.hub.state().run(self.id).map(read)
    }

    fn write(&self, change: impl FnOnce(&mut Run)) {
        self.hub.change(|state| state.run_mut(self.id).map(change));
    }

    fn pace(&self) -> Pace {
        // At night nobody watches: the backup of the day is taken at once.
        let scheduled = self.read(|run| run.event == "schedule").unwrap_or_default();
        if scheduled { Pace { queue: Duration::ZERO, percent: 0 } } else { self.hub.pace }
    }

    async fn work(&self, group: &str) -> Result<&'static str, Ended> {
        let pace = self.pace();
        tokio::time::sleep(pace.queue).await;
        if self.read(|run| run.workflow.skips(&run.inputs)).ok_or(Ended)? {
            return Ok("skipped");
        }
        self.take_group(group).await;
        if !self.pass_gate().await? {
            return Ok("failure");
        }
        self.hub.change(|state| {
            let Some(run) = state.run_mut(self.id) else { return };
            run.touch("in_progress");
            if let Some(job) = run.job_mut() {
                job.started = Utc::now();
            }
            if run.workflow.gated || run.event == "push" {
                let environment = run.environment().to_owned();
                begin_deployment(state, environment);
            }
        });
        self.steps(pace).await
    }

    /// Waits until no other run of the group is under way. A newer one that waits takes the older one's place.
    async fn take_group(&self, group: &str) {
        let mut revision = self.hub.revision.subscribe();
        loop {
            revision.mark_unchanged();
            if self.try_group(group) {
                return;
            }
            if revision.changed().await.is_err() {
                return;
            }
        }
    }

    fn try_group(&self, group: &str) -> bool {
        let mut state = self.hub.state();
        if state.held.get(group).is_none_or(|holder| *holder == self.id) {
            state.held.insert(group.to_owned(), self.id);
            state.waiting.retain(|_, next| *next != self.id);
            return true;
        }
        if state.waiting.get(group) != Some(&self.id) {
            let older = state.waiting.insert(group.to_owned(), self.id);
            if let Some(older) = older.and_then(|id| state.run(id)) {
                older.cancel.send_replace(true);
            }
            if let Some(run) = state.run_mut(self.id) {
                run.touch("pending");
            }
        }
        false
    }

    /// Waits for the environment's approval if it asks for one. False if it was refused.
    async fn pass_gate(&self) -> Result<bool, Ended> {
        let mut revision = self.hub.revision.subscribe();
        loop {
            revision.mark_unchanged();
            let (waits, decision) = {
                let state = self.hub.state();
                let run = state.run(self.id).ok_or(Ended)?;
                (run.workflow.gated && state.asks(run.environment()), run.approved)
            };
            match (waits, decision) {
                (false, _) => return Ok(true),
                (true, Some(decision)) => return Ok(decision),
                (true, None) => {}
            }
            if self.read(|run| run.status) != Some("waiting") {
                self.write(|run| run.touch("waiting"));
            }
            revision.changed().await.map_err(|_| Ended)?;
        }
    }

    async fn steps(&self, pace: Pace) -> Result<&'static str, Ended> {
        let (before, _, after) = self.read(|run| run.workflow.steps()).ok_or(Ended)?;
        for (index, (name, ms)) in before.iter().enumerate() {
            self.pause(index, name, *ms, pace).await;
        }
        let good = self.perform(before.len()).await?;
        for (index, (name, ms)) in after.iter().enumerate() {
            self.pause(before.len() + 1 + index, name, *ms, pace).await;
        }
        Ok(if good { "success" } else { "failure" })
    }

    async fn pause(&self, index: usize, name: &str, ms: u64, pace: Pace) {
        self.open(index);
        for line in words(name) {
            self.say(index, line);
        }
        tokio::time::sleep(Duration::from_millis(ms * pace.percent / 100)).await;
        self.close(index, "success");
    }

    async fn perform(&self, index: usize) -> Result<bool, Ended> {
        let (task, environment, uses) = {
            let state = self.hub.state();
            let run = state.run(self.id).ok_or(Ended)?;
            let task = run.workflow.task(&run.inputs, run.event == "schedule", &state.head);
            (task, run.environment().to_owned(), uses(run.workflow))
        };
        self.open(index);
        self.say(index, &format!("##[group]Run {uses}"));
        self.say(index, "##[endgroup]");
        let (hub, id) = (Arc::clone(&self.hub), self.id);
        let log: Log = Arc::new(move |line: &str| say(&mut hub.state(), id, index, line));
        let good = if environment == "production" {
            self.hub.recovery.perform(&task, &log).await.is_ok()
        } else {
            log(&format!(
                "ERROR: (ResourceGroupNotFound) The sandbox holds production only, not {environment}."
            ));
            log("##[error]Process completed with exit code 1.");
            false
        };
        self.close(index, if good { "success" } else { "failure" });
        Ok(good)
    }

    fn open(&self, index: usize) {
        self.write(|run| {
            if let Some(step) = run.job_mut().and_then(|job| job.steps.get_mut(index)) {
                (step.status, step.started) = ("in_progress", Some(Utc::now()));
            }
        });
    }

    fn say(&self, index: usize, line: &str) {
        say(&mut self.hub.state(), self.id, index, line);
    }

    fn close(&self, index: usize, conclusion: &'static str) {
        self.write(|run| {
            run.updated = Utc::now();
            if let Some(step) = run.job_mut().and_then(|job| job.steps.get_mut(index)) {
                (step.status, step.conclusion) = ("completed", Some(conclusion));
                step.completed = Some(Utc::now());
            }
        });
    }
}

fn say(state: &mut State, id: u64, index: usize, line: &str) {
    let step = state.run_mut(id).and_then(|run| run.job_mut()).and_then(|job| job.steps.get_mut(index));
    if let Some(step) = step {
        step.say(line);
    }
}

async fn told(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|told| *told).await.is_err() {
        // Nobody can cancel it any more.
        std::future::pending::<()>().await;
    }
}

/// The action that does the work, read from the workflow's file.
fn uses(workflow: &Workflow) -> &'static str {
    let line = workflow.text.lines().filter_map(|l| l.trim().strip_prefix("uses: ")).next_back();
    line.unwrap_or(workflow.file)
}

fn words(step: &str) -> &'static [&'static str] {
    match step {
        "Set up job" => &[
            "Current runner version: '2.329.0'",
            "##[group]Operating System",
            "Ubuntu",
            "24.04.3",
            "LTS",
            "##[endgroup]",
            "Prepare workflow directory",
            "Prepare all required actions",
        ],
        "Azure login" => &["Running Azure CLI Login.", "Azure CLI login succeeds by using OIDC."],
        "Complete job" => &["Cleaning up orphan processes"],
        _ => &[],
    }
}

fn begin_deployment(state: &mut State, environment: String) {
    const MOST: usize = 200;
    if state.deployments.len() >= MOST {
        state.deployments.remove(0);
    }
    let id = state.id();
    state.deployments.push(Deployment { id, environment, created: Utc::now(), state: "in_progress" });
}

fn finish_deployment(state: &mut State, environment: &str, conclusion: &str) {
    let open = |d: &&mut Deployment| d.environment == environment && d.state == "in_progress";
    if let Some(deployment) = state.deployments.iter_mut().rev().find(open) {
        deployment.state = if conclusion == "success" { "success" } else { "failure" };
    }
}
