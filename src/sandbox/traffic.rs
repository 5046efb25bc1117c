//! The service's own use of its database: every ready replica holds connections and works on them, so that connections
//! and load follow the replicas, live moves on after any restore point, and the newest row tells when the service last
//! worked.

use std::time::Duration;

use rand::Rng;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::estate::{NAMESPACE, WEB, WORKER};
use super::kubernetes::Cluster;
use super::postgres::connect::Access;
use super::serve::{Stop, stopped};
use crate::domain::backoff;

/// Connections of one replica of the web deployment, and of the worker.
const WEB_POOL: usize = 3;
const WORKER_POOL: usize = 2;
/// Between two pieces of work of one connection.
const PAUSE_MS: std::ops::Range<u64> = 1_500..4_500;
/// Share of requests that make a new referral, and of those that move one on.
const NEW_REFERRALS: f64 = 0.15;
const MOVED_ON: f64 = 0.25;

#[derive(Debug, Clone, Copy)]
enum Work {
    Web,
    Worker,
}

/// Works until `stop`.
pub async fn run(access: Access, cluster: Cluster, mut stop: Stop) {
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = follow(&access, &cluster, WEB, WEB_POOL, Work::Web) => {}
        () = follow(&access, &cluster, WORKER, WORKER_POOL, Work::Worker) => {}
    }
}

/// Keeps `pool` connections for each ready replica of `deployment`.
async fn follow(access: &Access, cluster: &Cluster, deployment: &'static str, pool: usize, work: Work) {
    let mut replicas = cluster.ready_replicas(NAMESPACE, deployment);
    let mut running: Vec<JoinSet<()>> = Vec::new();
    loop {
        // A dropped set ends its tasks, and with them their connections.
        running.truncate(replicas);
        while running.len() < replicas {
            let mut set = JoinSet::new();
            for _ in 0..pool {
                set.spawn(hold(access.clone(), deployment, work));
            }
            running.push(set);
        }
        replicas = cluster.ready_changed(NAMESPACE, deployment, replicas).await;
    }
}

/// One connection, for ever: works, and reconnects when it breaks.
async fn hold(access: Access, name: &'static str, work: Work) {
    let mut failures = 0;
    loop {
        if let Ok(client) = access.connect(name).await {
            failures = 0;
            // Ends with an error only: the connection is broken or the tables are gone.
            if let Err(error) = keep_working(&client, work).await {
                tracing::debug!(%error, name, "the sandbox's service could not work on its database");
            }
        }
        failures += 1;
        let wait = backoff::wait(failures, rand::rng().random(), None);
        tokio::time::sleep(wait).await;
    }
}

async fn keep_working(client: &Client, work: Work) -> Result<(), tokio_postgres::Error> {
    loop {
        let pause = rand::rng().random_range(PAUSE_MS);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        match work {
            Work::Web => request(client).await?,
            Work::Worker => job(client).await?,
        }
    }
}

/// Somebody uses the service: mostly reads; sometimes a new referral is made or one is moved on. The request is recorded.
async fn request(client: &Client) -> Result<(), tokio_postgres::Error> {
    let (some, what): (f64, f64) = rand::rng().random();
    if what < NEW_REFERRALS {
        client.batch_execute(NEW_REFERRAL).await?;
    } else if what < NEW_REFERRALS + MOVED_ON {
        client.execute(MOVE_ON, &[&some]).await?;
    } else {
        let read = "SELECT r.id, count(a.id) FROM referrals r LEFT JOIN allegations a ON a.referral_id = r.id
                    WHERE r.id = (SELECT 1 + floor($1::float8 * max(id))::bigint FROM referrals) GROUP BY r.id";
        client.query_opt(read, &[&some]).await?;
    }
    client.execute(RECORD, &[]).await.map(drop)
}

/// What the service does in a minute: a referral is made, another is moved on.
///
/// # Errors
/// The database refuses.
pub async fn minute(client: &Client) -> Result<(), tokio_postgres::Error> {
    let some: f64 = rand::rng().random();
    client.batch_execute(NEW_REFERRAL).await?;
    client.execute(MOVE_ON, &[&some]).await?;
    client.execute(RECORD, &[]).await.map(drop)
}

/// `$1`, from 0 to 1, chooses among the newest.
const MOVE_ON: &str = "
UPDATE referrals SET status = CASE status WHEN 'draft' THEN 'submitted'::referral_status
                     WHEN 'submitted' THEN 'under_review' ELSE status END,
  submitted_at = coalesce(submitted_at, now()), updated_at = now()
WHERE id = (SELECT id FROM referrals WHERE status IN ('draft', 'submitted')
            ORDER BY created_at DESC OFFSET floor($1::float8 * 200)::int LIMIT 1)";

const RECORD: &str = "INSERT INTO analytics_events (occurred_at, event_type, request)
                      VALUES (now(), 'web_request', '{\"path\": \"/referrals\", \"method\": \"GET\"}')";

/// A person checks whether they should refer, refers a teacher, and says what happened: one transaction.
const NEW_REFERRAL: &str = "
WITH eligible AS (
  INSERT INTO eligibility_checks (reporting_as, is_teacher, teaching_in_england, serious_misconduct, created_at, updated_at)
  VALUES ('public', 'yes', 'yes', 'yes', now(), now()) RETURNING id
), referral AS (
  INSERT INTO referrals (reference, user_id, eligibility_check_id, organisation_id, first_name, last_name, contact,
                         created_at, updated_at)
  SELECT gen_random_uuid(), (SELECT id FROM users ORDER BY id OFFSET floor(random() * 1000)::int LIMIT 1), e.id,
         (SELECT id FROM organisations ORDER BY id OFFSET floor(random() * 1000)::int LIMIT 1),
         (ARRAY['Amira', 'Ben', 'Carys', 'Dev', 'Elin', 'Femi'])[1 + floor(random() * 6)::int],
         (ARRAY['Ashworth', 'Begum', 'Clarke', 'Davies', 'Evans', 'Farrow'])[1 + floor(random() * 6)::int],
         '{}', now(), now()
  FROM eligible e RETURNING id
)
INSERT INTO allegations (referral_id, kind, details, created_at, updated_at)
SELECT id, 'conduct', 'Reported by a member of the public', now(), now() FROM referral";

/// The worker looks for drafts to remind people of.
async fn job(client: &Client) -> Result<(), tokio_postgres::Error> {
    let due = "SELECT count(*) FROM (SELECT id FROM referrals WHERE status = 'draft' ORDER BY created_at DESC LIMIT 50) d
               LEFT JOIN reminder_emails e ON e.referral_id = d.id";
    client.query_one(due, &[]).await.map(drop)
}
