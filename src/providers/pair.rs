//! Live and a restored copy of it, as a comparison reads them and as one question is asked of both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_postgres::SimpleQueryMessage;

use super::postgres::Connect;
use crate::compare::link;
use crate::domain::{Backend, CompareRequest, Fault, ServerClass, TunnelRequest};

/// Rows that an answer has at most.
const ROWS: usize = 200;
/// Characters of a value that an answer has at most.
const CHARACTERS: usize = 2_000;
/// Milliseconds after which the server gives up a question.
const PATIENCE_MS: u64 = 10_000;

/// Both databases, through tunnels that stay open.
#[derive(Debug)]
pub struct Pair {
    pub live: Database,
    pub restored: Database,
}

/// One of the two.
#[derive(Debug)]
pub struct Database {
    connect: Connect,
}

/// What a database answered. Texts are as the server wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub columns: Vec<String>,
    /// `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// There are more rows than these.
    pub more: bool,
    pub took: Duration,
}

/// The tunnels that a comparison asks for: to live, and to the copy.
pub fn ways(request: &CompareRequest) -> (TunnelRequest, TunnelRequest) {
    let way = |id, which, server: &String| TunnelRequest {
        id,
        backend: Backend::Postgres,
        which,
        server: Some(server.clone()),
        database: None,
        app: request.app.clone(),
        own_pod: request.own_pod,
        local_port: None,
        incident: request.incident.clone(),
    };
    (
        way(request.live_tunnel, ServerClass::Live, &request.live),
        way(request.restored_tunnel, ServerClass::Ptr, &request.restored),
    )
}

impl Pair {
    /// Both databases, of one name.
    ///
    /// # Errors
    /// An open tunnel leads into another database.
    pub fn new(live: Connect, restored: Connect) -> Result<Pair, Fault> {
        let (a, b) = (&live.url().database, &restored.url().database);
        if a != b {
            let why =
                format!("the tunnel to live leads into {a}, the one to the copy into {b}: close one (5)");
            return Err(Fault::Setup { why });
        }
        Ok(Pair { live: Database::new(live), restored: Database::new(restored) })
    }
}

impl Database {
    pub fn new(connect: Connect) -> Database {
        Database { connect }
    }

    /// Connections for the engine.
    pub fn connect(&self) -> Arc<dyn link::Connect> {
        Arc::new(self.connect.clone())
    }

    /// Asks one question, read-only. A cursor takes nothing but one SELECT (or VALUES).
    ///
    /// # Errors
    /// In words: the connection's, or the server's.
    pub async fn select(&self, sql: &str) -> Result<Answer, String> {
        let limits = [
            ("default_transaction_read_only", "on".to_owned()),
            ("statement_timeout", PATIENCE_MS.to_string()),
            ("lock_timeout", "2000".to_owned()),
            ("idle_in_transaction_session_timeout", (PATIENCE_MS * 2).to_string()),
            ("TimeZone", "UTC".to_owned()),
            ("DateStyle", "ISO".to_owned()),
        ];
        let connect = limits.iter().fold(self.connect.clone(), |c, (name, value)| c.setting(name, value));
        let link = link::Connect::connect(&connect).await.map_err(|e| e.why)?;
        let asked =
            tokio::time::timeout(Duration::from_millis(PATIENCE_MS * 2), ask(&link.client, sql)).await;
        match asked {
            Ok(answer) => answer,
            Err(_) => {
                link.cancel.cancel().await;
                Err(format!("no answer within {} s", PATIENCE_MS * 2 / 1000))
            }
        }
    }
}

async fn ask(client: &tokio_postgres::Client, sql: &str) -> Result<Answer, String> {
    let words = |e: tokio_postgres::Error| match e.as_db_error() {
        Some(e) => format!("{} ({})", e.message(), e.code().code()),
        None => e.to_string(),
    };
    let sql = sql.trim().trim_end_matches(';');
    client.batch_execute("BEGIN READ ONLY").await.map_err(words)?;
    let began = Instant::now();
    // Prepared, so that the server itself refuses a second statement after a semicolon.
    let declare = format!("DECLARE drtui_question NO SCROLL CURSOR FOR {sql}");
    client.execute(&declare, &[]).await.map_err(words)?;
    let fetch = format!("FETCH {} FROM drtui_question", ROWS + 1);
    let mut answer = Answer { columns: Vec::new(), rows: Vec::new(), more: false, took: Duration::ZERO };
    let mut stream = std::pin::pin!(client.simple_query_raw(&fetch).await.map_err(words)?);
    while let Some(message) = stream.next().await {
        match message.map_err(words)? {
            SimpleQueryMessage::RowDescription(columns) => {
                answer.columns = columns.iter().map(|c| c.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(_) if answer.rows.len() >= ROWS => answer.more = true,
            SimpleQueryMessage::Row(row) => {
                let value = |n| row.get(n).map(|text| text.chars().take(CHARACTERS).collect());
                answer.rows.push((0..row.len()).map(value).collect());
            }
            _ => {}
        }
    }
    answer.took = began.elapsed();
    client.batch_execute("ROLLBACK").await.map_err(words)?;
    Ok(answer)
}
