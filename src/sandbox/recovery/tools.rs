//! PostgreSQL's own client programs on the sandbox's servers. Passwords go through the environment, never through
//! arguments.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Log, Recovery};
use crate::sandbox::blobs::store::Upload;
use crate::sandbox::postgres::connect::Access;

const CHUNK: usize = 128 * 1024;

/// Bytes of a dump are lost, or a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("cannot run {program}: {source}")]
    Run { program: String, source: std::io::Error },
    #[error("the dump cannot be kept: {0}")]
    Keep(&'static str),
}

impl Recovery {
    fn client(&self, program: &Path, name: &str, access: &Access) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", access.port.to_string())
            .env("PGUSER", &access.user)
            .env("PGPASSWORD", access.password.expose_secret())
            .env("PGDATABASE", &access.database)
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", &self.ca_file)
            .env("PGAPPNAME", name)
            .arg("--no-password")
            .current_dir("/")
            .kill_on_drop(true);
        command
    }

    /// Dumps the database into `upload`, compressed, with the options of the platform's workflow.
    pub(super) async fn take_dump(
        &self,
        access: &Access,
        upload: &mut Upload,
        log: &Log,
    ) -> Result<ExitStatus, ToolError> {
        let mut command = self.client(&self.dump, "pg_dump", access);
        command.args(["--clean", "--if-exists", "--no-owner", "--compress=1", "--format=plain"]);
        let mut child = spawn(&mut command, Stdio::null())?;
        let words = follow(child.stderr.take(), log);
        let bytes = async {
            let Some(mut out) = child.stdout.take() else { return Ok(()) };
            let mut buffer = vec![0; CHUNK];
            loop {
                match out.read(&mut buffer).await {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(read) => {
                        let bytes = buffer.get(..read).unwrap_or_default();
                        upload.write(bytes).await.map_err(|refused| ToolError::Keep(refused.message))?;
                    }
                }
            }
        };
        let ((), kept) = tokio::join!(words, bytes);
        kept?;
        ended(&mut child, "pg_dump").await
    }

    /// Feeds the compressed `dump` to psql, which goes on after SQL errors as the platform's workflow lets it.
    pub(super) async fn load(
        &self,
        access: &Access,
        dump: &Path,
        log: &Log,
    ) -> Result<ExitStatus, ToolError> {
        let run = |program: &'static str| move |source| ToolError::Run { program: program.into(), source };
        let file = std::fs::File::open(dump).map_err(run("gzip"))?;
        let mut unpack = Command::new("gzip");
        unpack.arg("-dc").env_clear().env("PATH", "/usr/bin:/bin").kill_on_drop(true);
        let mut unpacking = spawn(&mut unpack, Stdio::from(file))?;
        let Some(sql) = unpacking.stdout.take() else {
            return Err(run("gzip")(std::io::ErrorKind::BrokenPipe.into()));
        };
        let sql: Stdio = sql.try_into().map_err(run("gzip"))?;
        let mut command = self.client(&self.psql, "psql", access);
        command.arg("--no-psqlrc");
        let mut child = spawn(&mut command, sql)?;
        tokio::join!(
            follow(unpacking.stderr.take(), log),
            follow(child.stderr.take(), log),
            follow(child.stdout.take(), log)
        );
        let unpacked = ended(&mut unpacking, "gzip").await?;
        let loaded = ended(&mut child, "psql").await?;
        Ok(if unpacked.success() { loaded } else { unpacked })
    }
}

fn spawn(command: &mut Command, input: Stdio) -> Result<Child, ToolError> {
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|source| ToolError::Run { program, source })
}

async fn ended(child: &mut Child, program: &str) -> Result<ExitStatus, ToolError> {
    child.wait().await.map_err(|source| ToolError::Run { program: program.into(), source })
}

/// Every line of `output` to the log, until it ends.
async fn follow(output: Option<impl AsyncRead + Unpin>, log: &Log) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(lines.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
        log(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}
