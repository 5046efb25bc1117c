//! Jobs: pods that run to their end, as often as it takes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::json::{self, int, text};
use super::super::kinds::Resource;
use super::super::objects;
use super::super::pod::{self, Stage};
use super::super::store::{Inner, Key, Work, job_of};
use super::{Controller, Due, end};

impl Controller {
    /// Brings one job a step nearer to its end.
    pub(super) fn reconcile_job(&mut self, inner: &mut Inner, key: &Key, now: Instant) {
        let job = inner.get(Resource::Job, &key.0, &key.1).map(|job| job.value.clone());
        let uid = job.as_ref().map(|job| text(job, "/metadata/uid").to_owned()).unwrap_or_default();
        let (pods, lost): (Vec<Value>, Vec<Value>) = inner
            .prefixed(Resource::Pod, &key.0, &key.1)
            .filter(|pod| job_of(&pod.value) == key.1)
            .map(|pod| pod.value.clone())
            .partition(|pod| text(pod, "/metadata/ownerReferences/0/uid") == uid);
        for pod in lost.iter().filter(|pod| pod::stage(pod) != Stage::Ending) {
            end(inner, pod);
        }
        if let Some(job) = job {
            self.run_job(inner, key, job, &pods, now);
        }
        let all: Vec<Value> = inner
            .prefixed(Resource::Pod, &key.0, &key.1)
            .filter(|pod| job_of(&pod.value) == key.1)
            .map(|pod| pod.value.clone())
            .collect();
        for pod in &all {
            self.drive(pod, 0, now);
        }
    }

    fn run_job(&mut self, inner: &mut Inner, key: &Key, mut job: Value, pods: &[Value], now: Instant) {
        if finished(&job) {
            self.forget_job(inner, key, &job, now);
            return;
        }
        let at = json::now();
        if job.pointer("/status/startTime").is_none() {
            json::set(&mut job, &["status", "startTime"], at.as_str().into());
        }
        let late = self.overdue(key, &job, now);
        let count = Count::of(pods);
        let verdict = count.verdict(&job, late);
        let mut running = count.active.len();
        if verdict.is_some() {
            count.active.iter().for_each(|pod| end(inner, pod));
            running = 0;
        } else {
            let suspended = job.pointer("/spec/suspend") == Some(&Value::Bool(true));
            let left = number(&job, "/spec/completions", 1).saturating_sub(count.succeeded);
            let room = if suspended { 0 } else { number(&job, "/spec/parallelism", 1).min(left) };
            for _ in running..room {
                let pod = inner.put(Resource::Pod, pod::of_job(&job));
                let message = format!("Created pod: {}", text(&pod.value, "/metadata/name"));
                objects::record_event(inner, &job, "job-controller", "SuccessfulCreate", &message);
            }
            running = running.max(room);
        }
        let mut status = count.status(text(&job, "/status/startTime"), running);
        if let Some(verdict) = verdict {
            conclude(inner, &job, &mut status, verdict, &at);
        }
        json::set(&mut job, &["status"], status);
        inner.put(Resource::Job, job);
    }

    /// True once a job has run longer than it may; sets the timer for that.
    fn overdue(&mut self, key: &Key, job: &Value, now: Instant) -> bool {
        let Some(seconds) = job.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_u64) else {
            return false;
        };
        let left = left(text(job, "/status/startTime"), seconds);
        if left.is_zero() {
            return true;
        }
        self.look_at_job(key, now + left);
        false
    }

    /// Deletes a finished job after its `ttlSecondsAfterFinished`.
    fn forget_job(&mut self, inner: &mut Inner, key: &Key, job: &Value, now: Instant) {
        let Some(seconds) = job.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_u64) else {
            return;
        };
        let left = left(text(job, "/status/conditions/0/lastTransitionTime"), seconds);
        if left.is_zero() {
            inner.delete(Resource::Job, &key.0, &key.1);
        } else {
            self.look_at_job(key, now + left);
        }
    }

    fn look_at_job(&mut self, key: &Key, at: Instant) {
        if self.limited.insert(timer_of(key)) {
            self.at(at, Due::Look(Work::Job(key.clone())));
        }
    }
}

/// What a job's timer is called among the limited.
pub(super) fn timer_of(key: &Key) -> String {
    format!("job {}/{}", key.0, key.1)
}

/// Condition, reason and message of a job that has ended.
type Verdict = (&'static str, &'static str, &'static str);

/// What a job's pods have come to.
struct Count<'a> {
    active: Vec<&'a Value>,
    succeeded: usize,
    failed: usize,
}

impl Count<'_> {
    fn of(pods: &[Value]) -> Count<'_> {
        let phase = |wanted: &str| pods.iter().filter(|pod| text(pod, "/status/phase") == wanted).count();
        let up = |pod: &&Value| !matches!(pod::stage(pod), Stage::Ending | Stage::Done);
        Count {
            active: pods.iter().filter(up).collect(),
            succeeded: phase("Succeeded"),
            failed: phase("Failed"),
        }
    }

    fn verdict(&self, job: &Value, late: bool) -> Option<Verdict> {
        if self.succeeded >= number(job, "/spec/completions", 1) {
            return Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods"));
        }
        if self.failed > number(job, "/spec/backoffLimit", 6) {
            let message = "Job has reached the specified backoff limit";
            return Some(("Failed", "BackoffLimitExceeded", message));
        }
        late.then_some(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    }

    fn status(&self, began: &str, running: usize) -> Value {
        let ready = self.active.iter().filter(|pod| pod::stage(pod) == Stage::Ready).count();
        let mut status = json!({"startTime": began, "ready": ready});
        for (name, count) in [("active", running), ("succeeded", self.succeeded), ("failed", self.failed)] {
            if count > 0 {
                json::set(&mut status, &[name], count.into());
            }
        }
        status
    }
}

/// Writes into a job's status how it ended.
fn conclude(inner: &mut Inner, job: &Value, status: &mut Value, verdict: Verdict, at: &str) {
    let (kind, reason, message) = verdict;
    json::set(status, &["ready"], 0.into());
    if kind == "Complete" {
        json::set(status, &["completionTime"], at.into());
        objects::record_event(inner, job, "job-controller", "Completed", "Job completed");
    } else {
        objects::record_event(inner, job, "job-controller", reason, message);
    }
    let condition = json!([{
        "type": kind, "status": "True", "reason": reason, "message": message,
        "lastProbeTime": at, "lastTransitionTime": at,
    }]);
    json::set(status, &["conditions"], condition);
}

fn number(job: &Value, path: &str, default: u64) -> usize {
    let number = job.pointer(path).and_then(Value::as_u64).unwrap_or(default);
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn finished(job: &Value) -> bool {
    json::list(job, "/status/conditions").iter().any(|c| text(c, "/status") == "True")
        && int(job, "/status/active") == 0
}

/// What is left of `seconds` since a Kubernetes time; nothing if that is no time.
fn left(since: &str, seconds: u64) -> Duration {
    let Ok(since) = DateTime::parse_from_rfc3339(since) else { return Duration::ZERO };
    let end = since.with_timezone(&Utc) + Duration::from_secs(seconds.min(1 << 32));
    (end - Utc::now()).to_std().unwrap_or_default()
}
