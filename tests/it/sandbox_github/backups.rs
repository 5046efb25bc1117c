//! Backups and restores by workflows.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::world::{LIMIT, PRODUCTION, World};

fn gzip(text: &str) -> Vec<u8> {
    let mut child =
        Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_and_restores_move_real_rows_and_a_green_restore_may_have_failed() {
    let world = World::start("rows");
    let backup =
        world.dispatch("backup-db.yml", json!({"environment": PRODUCTION, "backup-file": "before"})).await;
    assert_eq!(world.until(backup, "completed").await["conclusion"], "success");
    let again =
        world.dispatch("backup-db.yml", json!({"environment": PRODUCTION, "backup-file": "before"})).await;
    assert_eq!(world.until(again, "completed").await["conclusion"], "failure", "the name is taken");
    assert!(world.log(again).await.contains("before.sql.gz already exists"));

    let whole = world.count("allegations").await;
    assert!(whole > 1_000);
    world.postgres().await.batch_execute("DELETE FROM allegations WHERE id % 2 = 0").await.unwrap();
    assert!(world.count("allegations").await < whole);

    let inputs = json!({"environment": PRODUCTION, "backup-file": "before.sql.gz"});
    let skipped = world.dispatch("postgres-restore.yml", inputs).await;
    let run = world.until(skipped, "completed").await;
    assert_eq!(run["conclusion"], "skipped", "production was not confirmed");
    assert!(world.count("allegations").await < whole);

    let confirmed =
        json!({"environment": PRODUCTION, "backup-file": "before.sql.gz", "confirm-production": "true"});
    let rejected = world.dispatch("postgres-restore.yml", confirmed.clone()).await;
    world.approve(rejected, "rejected").await;
    assert_eq!(world.until(rejected, "completed").await["conclusion"], "failure");
    let restore = world.dispatch(".github%2Fworkflows%2Fpostgres-restore.yml", confirmed).await;
    world.approve(restore, "approved").await;
    assert_eq!(world.until(restore, "completed").await["conclusion"], "success");
    // The service went on writing a few rows between the backup and the count; the job had taken half of all.
    let back = world.count("allegations").await;
    assert!(back.abs_diff(whole) < 100, "{back} of {whole}: {}", world.log(restore).await);

    let token = world.storage_token("https://storage.azure.com/.default").await;
    let bad = "CREATE TABLE good (id int);\nINSERT INTO good VALUES (1), (2);\nINSERT INTO nowhere VALUES (3);\n\
               INSERT INTO good SELECT id FROM missing;\nINSERT INTO good VALUES (4);\n";
    let put = world.blob(Method::PUT, "database-backup/bad.sql.gz", &token, Some(gzip(bad))).await;
    assert_eq!(put.status(), 201);
    let inputs =
        json!({"environment": PRODUCTION, "backup-file": "bad.sql.gz", "confirm-production": "true"});
    let green = world.dispatch("postgres-restore.yml", inputs).await;
    world.approve(green, "approved").await;
    assert_eq!(world.until(green, "completed").await["conclusion"], "success", "green although SQL failed");
    let log = world.log(green).await;
    assert!(log.contains("ERROR:  relation \"nowhere\" does not exist"), "{log}");
    assert_eq!(world.count("good").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_to_a_time_by_a_workflow_is_the_source_of_a_backup_that_restores_live() {
    let world = World::start("ptr");
    let whole = world.count("allegations").await;
    let restored = async {
        loop {
            // Too early it fails, as on Azure: the first base backup must be complete.
            let before = chrono::Utc::now() - chrono::TimeDelta::seconds(6);
            let time = before.format("%Y-%m-%dT%H:%M:%S").to_string();
            let inputs =
                json!({"environment": PRODUCTION, "confirm-production": "true", "restore-time": time});
            let run = world.dispatch("postgres-ptr.yml", inputs).await;
            world.approve(run, "approved").await;
            if world.until(run, "completed").await["conclusion"] == "success" {
                return;
            }
            let log = world.log(run).await;
            assert!(log.contains("InvalidParameterValue") && log.contains("cannot be restored to"), "{log}");
        }
    };
    timeout(LIMIT, restored).await.unwrap();
    world.postgres().await.batch_execute("DELETE FROM allegations").await.unwrap();

    let ptr = "s189p01-rsm-pd-pg-ptr";
    let inputs = json!({"environment": PRODUCTION, "backup-file": "ptr", "db-server": ptr});
    let backup = world.dispatch("backup-db.yml", inputs).await;
    assert_eq!(
        world.until(backup, "completed").await["conclusion"],
        "success",
        "{}",
        world.log(backup).await
    );
    let inputs =
        json!({"environment": PRODUCTION, "confirm-production": "true", "backup-file": "ptr.sql.gz"});
    let restore = world.dispatch("postgres-restore.yml", inputs).await;
    world.approve(restore, "approved").await;
    world.until(restore, "completed").await;
    assert!(
        world.count("allegations").await.abs_diff(whole) < 100,
        "the service writes a few rows meanwhile"
    );

    // Reviving a server that was never deleted: refused by the action; one that nobody knows: green all the same.
    for (server, conclusion) in [(ptr, "failure"), ("s189p01-rsm-pd-pg-gone", "success")] {
        let inputs = json!({
            "environment": PRODUCTION, "confirm-production": "true", "deleted-server": server,
            "restore-time": "2026-11-20T12:00:00",
        });
        let revive = world.dispatch("restore-deleted-postgres.yml", inputs).await;
        world.approve(revive, "approved").await;
        assert_eq!(world.until(revive, "completed").await["conclusion"], conclusion, "{server}");
        let said = if conclusion == "success" { "\"error\"" } else { "already exists" };
        assert!(world.log(revive).await.contains(said));
    }
}
