//! Each task, step by step, saying what the platform's actions say.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::json;

use super::maintenance::{self, TEMPORARY_HOST};
use super::{Failed, Log, Recovery, Refusal, Task, backup_name};
use crate::sandbox::azure::SERVER;
use crate::sandbox::blobs::CONTAINER;
use crate::sandbox::blobs::store::Properties;
use crate::sandbox::estate::{HOST, NAMESPACE, WEB};

impl Recovery {
    /// Does `task`.
    ///
    /// # Errors
    /// The job fails; its log says why. A job may also end well although its work did not: so it is on the platform.
    pub async fn perform(&self, task: &Task, log: &Log) -> Result<(), Failed> {
        match task {
            Task::Backup { file, server, scheduled } => self.backup(file, server, *scheduled, log).await,
            Task::Restore { file } => self.restore(file, log).await,
            Task::PointInTime { time, new_server } => self.point_in_time(time, new_server, log).await,
            Task::Revive { time, server } => self.revive(time, server, log).await,
            Task::Maintenance { enable } => self.set_maintenance(*enable, log).await,
            Task::Deploy { image } => self.deploy(image, log).await,
        }
    }

    async fn backup(&self, file: &str, server: &str, scheduled: bool, log: &Log) -> Result<(), Failed> {
        let name = match file {
            "" | "default" => backup_name(scheduled, self.clock.now()),
            given => format!("{given}.sql.gz"),
        };
        log(&format!("Backup file: {name}"));
        if self.blobs.get(CONTAINER, &name).is_ok() {
            log(&format!("Backup file {name} already exists in container {CONTAINER}"));
            return exit(log, 1);
        }
        let server = if server.is_empty() { SERVER } else { server };
        let access = self.servers.access(server).await.map_err(|refusal| failed(&refusal, log))?;
        log(&format!(
            "Run: konduit.sh -t 7200 -x {WEB} -- pg_dump --clean --if-exists --no-owner --compress=1"
        ));
        let mut upload = self.blobs.upload().await.map_err(|refused| broken(refused.message, log))?;
        let ended =
            self.take_dump(&access, &mut upload, log).await.map_err(|e| broken(&e.to_string(), log))?;
        if !ended.success() {
            return exit(log, ended.code().unwrap_or(1));
        }
        let size = upload.size();
        let properties =
            Properties { content_type: Some("application/gzip".into()), ..Properties::default() };
        log("Run: azcopy copy to the storage account");
        match self.blobs.put(CONTAINER, &name, upload, properties, true).await {
            Ok(_) => {
                log(&format!("Number of Bytes Transferred: {size}"));
                log("Final Job Status: Completed");
                Ok(())
            }
            Err(refused) => {
                log(&format!("RESPONSE {}: {}", refused.status, refused.code));
                log("Final Job Status: Failed");
                exit(log, 1)
            }
        }
    }

    async fn restore(&self, file: &str, log: &Log) -> Result<(), Failed> {
        let name = if file.is_empty() { backup_name(true, self.clock.now()) } else { file.to_owned() };
        log(&format!("Run: azcopy copy {CONTAINER}/{name}"));
        let Ok(blob) = self.blobs.get(CONTAINER, &name) else {
            log("RESPONSE 404: 404 The specified blob does not exist. ERROR CODE: BlobNotFound");
            log("Final Job Status: Failed");
            return exit(log, 1);
        };
        log(&format!("Number of Bytes Transferred: {}", blob.size));
        let access = self.servers.access(SERVER).await.map_err(|refusal| failed(&refusal, log))?;
        log(&format!("Run: konduit.sh -i {name} -c -t 7200 -x {WEB} -- psql"));
        let ended = self.load(&access, &blob.file, log).await.map_err(|e| broken(&e.to_string(), log))?;
        // Without ON_ERROR_STOP psql ends well whatever the statements did.
        if ended.success() { Ok(()) } else { exit(log, ended.code().unwrap_or(1)) }
    }

    async fn point_in_time(&self, time: &str, new_server: &str, log: &Log) -> Result<(), Failed> {
        let ptr = format!("{SERVER}-ptr");
        let target = if new_server.is_empty() { &ptr } else { new_server };
        log(&format!(
            "Run: az postgres flexible-server restore --source-server {SERVER} --name {target} --restore-time {time}"
        ));
        let Some(at) = utc(time) else {
            log(&format!("ERROR: unable to parse the restore time '{time}'; use YYYY-MM-DDTHH:MM:SS"));
            return exit(log, 1);
        };
        let restored = self.servers.point_in_time_restore(SERVER, self.clock.real(at), target).await;
        restored.map_err(|refusal| failed(&refusal, log))?;
        log(&json!({"name": target, "state": "Ready", "restorePoint": time}).to_string());
        Ok(())
    }

    async fn revive(&self, time: &str, server: &str, log: &Log) -> Result<(), Failed> {
        if self.servers.access(server).await.is_ok() {
            log(&format!("Server {server} already exists"));
            return exit(log, 1);
        }
        log(&format!(
            "Run: curl -X PUT https://management.azure.com/…/flexibleServers/{server}?api-version=2024-08-01 \
             (createMode ReviveDropped, pointInTimeUTC {time})"
        ));
        // Fire and forget, as the action does it: curl without --fail, and nobody looks at the answer.
        let answer = match utc(time) {
            None => Err(Refusal::new(
                400,
                "InvalidParameterValue",
                "Invalid value given for parameter pointInTimeUTC.",
            )),
            Some(at) => self.servers.revive(server, self.clock.real(at)).await,
        };
        let body = match answer {
            Ok(()) => json!({"operation": "ReviveDroppedManagementOperation", "startTime": self.clock.now()}),
            Err(refusal) => json!({"error": {"code": refusal.code, "message": refusal.message}}),
        };
        log(&body.to_string());
        Ok(())
    }

    async fn set_maintenance(&self, enable: bool, log: &Log) -> Result<(), Failed> {
        let done = if enable {
            log("Run: make ci production maintenance-fail-over");
            maintenance::fail_over(&self.cluster, log.as_ref()).await
        } else {
            log("Run: make ci production disable-maintenance");
            maintenance::fail_back(&self.cluster, log.as_ref())
        };
        done.map_err(|why| broken(&why, log))?;
        if enable {
            log(&format!("Temporary URL: https://{TEMPORARY_HOST} (namespace {NAMESPACE})"));
        }
        Ok(())
    }

    async fn deploy(&self, image: &str, log: &Log) -> Result<(), Failed> {
        log(&format!("Run: make ci production terraform-apply DOCKER_IMAGE_TAG={image}"));
        match self.servers.ensure(SERVER).await {
            Ok(true) => log("module.postgres.azurerm_postgresql_flexible_server.main[0]: Creation complete"),
            Ok(false) => {
                log("module.postgres.azurerm_postgresql_flexible_server.main[0]: Refreshing state...")
            }
            Err(refusal) => {
                log(&format!("Error: {refusal}"));
                return exit(log, 1);
            }
        }
        if let Err(refusal) = self.servers.diagnose(SERVER).await {
            log(&format!("Error: {refusal}"));
            return exit(log, 1);
        }
        // Any deployment reverts maintenance mode; what else it made stays.
        match maintenance::put_back(&self.cluster) {
            Ok(true) => {
                log(&format!("kubernetes_ingress_v1.main[\"{HOST}\"]: Modifications complete after 1s"))
            }
            Ok(false) => {}
            Err(why) => return Err(broken(&format!("Error: {why}"), log)),
        }
        log("Apply complete!");
        Ok(())
    }
}

/// A time in UTC as the workflows take it; an offset or a `Z` is understood too.
fn utc(text: &str) -> Option<DateTime<Utc>> {
    let plain = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").map(|t| t.and_utc());
    plain.ok().or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc()))
}

fn failed(refusal: &Refusal, log: &Log) -> Failed {
    broken(&format!("ERROR: {refusal}"), log)
}

fn broken(why: &str, log: &Log) -> Failed {
    log(why);
    log("##[error]Process completed with exit code 1.");
    Failed
}

fn exit(log: &Log, code: i32) -> Result<(), Failed> {
    log(&format!("##[error]Process completed with exit code {code}."));
    Err(Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restore_times_are_utc() {
        let noon = DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").unwrap().to_utc();
        assert_eq!(utc("2026-11-20T12:00:00"), Some(noon));
        assert_eq!(utc("2026-11-20T13:00:00+01:00"), Some(noon));
        assert_eq!(utc("20/11/2026 12:00"), None);
        assert_eq!(backup_name(true, noon), "rsm_pd_2026-11-20.sql.gz");
        assert_eq!(backup_name(false, noon), "rsm_pd_adhoc_2026-11-20.sql.gz");
    }
}
