//! Asks a database one question of a person's: one SELECT, in a transaction that reads only and stays so, calling nothing
//! that may change something, with limits of time, rows and bytes that the server keeps.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::postgres::Connect;
use crate::compare::link::{self, Connect as _};
use crate::compare::question::{self, HARMLESS, Question};

/// Rows that an answer has at most.
const ROWS: usize = 200;
/// Characters of a value that an answer has at most.
const CHARACTERS: usize = 2_000;
/// Bytes of all values of an answer, after which no more rows are read.
const BYTES: usize = 4 << 20;
/// Milliseconds after which the server gives up a question.
const PATIENCE_MS: u64 = 10_000;

/// What a database answered. Texts are as the server wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub columns: Vec<String>,
    /// `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// There are more rows than these.
    pub more: bool,
    /// A value is longer than what is here of it.
    pub cut: bool,
    pub took: Duration,
}

/// Asks, over a connection of its own.
///
/// # Errors
/// In words: why it is not asked, the connection's failure, or the server's.
pub async fn ask(connect: &Connect, sql: &str) -> Result<Answer, String> {
    let question = question::read(sql)?;
    let link = limited(connect).await?;
    let patience = Duration::from_millis(PATIENCE_MS * 2);
    match tokio::time::timeout(patience, answer(&link.client, &question)).await {
        Ok(Ok(answer)) if !answer.more => Ok(answer),
        Ok(Ok(answer)) => {
            // What has not been read of it is not worth sending.
            link.cancel.cancel().await;
            Ok(answer)
        }
        Ok(Err(why)) => Err(why),
        Err(_) => {
            link.cancel.cancel().await;
            Err(format!("No answer within {} s: it was cancelled.", patience.as_secs()))
        }
    }
}

/// A connection that reads only, and not for long.
async fn limited(connect: &Connect) -> Result<link::Link, String> {
    let limits = [
        ("default_transaction_read_only", "on".to_owned()),
        ("statement_timeout", PATIENCE_MS.to_string()),
        ("lock_timeout", "2000".to_owned()),
        ("idle_in_transaction_session_timeout", (PATIENCE_MS * 2).to_string()),
        ("standard_conforming_strings", "on".to_owned()),
        ("TimeZone", "UTC".to_owned()),
        ("DateStyle", "ISO".to_owned()),
    ];
    let connect = limits.iter().fold(connect.clone(), |c, (name, value)| c.setting(name, value));
    connect.connect().await.map_err(|e| e.why)
}

/// Refuses a condition that calls what may change something: it runs for every row of every table.
///
/// # Errors
/// In words: that it is not one expression, what it calls, or the connection's failure.
pub async fn condition(connect: &Connect, sql: &str) -> Result<(), String> {
    let calls = question::condition(sql)?;
    let link = limited(connect).await?;
    let patience = Duration::from_millis(PATIENCE_MS * 2);
    let harmful = tokio::time::timeout(patience, harmful(&link.client, &calls)).await;
    match harmful.map_err(|_| format!("no answer about the condition within {} s", patience.as_secs()))?? {
        Some(names) => Err(format!("the condition calls {names}, which may change something: leave it out")),
        None => Ok(()),
    }
}

async fn answer(client: &Client, question: &Question) -> Result<Answer, String> {
    client.batch_execute("BEGIN READ ONLY").await.map_err(|e| words(&e))?;
    // Parsing runs nothing, and takes one statement only.
    let parsed = client.prepare(&question.sql).await.map_err(|e| words(&e))?;
    if !parsed.params().is_empty() {
        return Err("There are no parameters here: write the value in place of $1.".into());
    }
    let columns: Vec<String> = parsed.columns().iter().map(|c| c.name().to_owned()).collect();
    if columns.is_empty() {
        return Err("It answers no column (SELECT INTO makes a table): select one.".into());
    }
    refuse(client, &question.calls).await?;
    let limited = cut(&question.sql, columns.len());
    let plan = client.query(&format!("EXPLAIN (VERBOSE, COSTS OFF) {limited}"), &[]).await;
    let plan: String = plan
        .map_err(|e| words(&e))?
        .iter()
        .filter_map(|r| r.try_get::<_, &str>(0).ok())
        .fold(String::new(), |all, line| all + line + "\n");
    // What a view or a policy calls, too.
    refuse(client, &question::called(&plan)?).await?;
    read(client, &limited, columns).await
}

/// The question, with what it answers cut to a bearable size on the server.
fn cut(sql: &str, columns: usize) -> String {
    let each = |make: &dyn Fn(usize) -> String| (1..=columns).map(make).collect::<Vec<_>>().join(", ");
    let names = each(&|n| format!("c{n}"));
    let values = each(&|n| format!("left((q.c{n})::text, {})", CHARACTERS + 1));
    // The line breaks end a comment that somebody left at the end.
    format!("SELECT {values} FROM (\n{sql}\n) AS q({names}) LIMIT {}", ROWS + 1)
}

async fn refuse(client: &Client, calls: &BTreeSet<String>) -> Result<(), String> {
    match harmful(client, calls).await? {
        Some(names) => Err(format!(
            "NOT asked: {names} may change something. psql through a tunnel (5, p) asks what this box does not."
        )),
        None => Ok(()),
    }
}

/// Which of these functions may change something: that a transaction reads only stops no session from being ended, no lock,
/// no message.
async fn harmful(client: &Client, calls: &BTreeSet<String>) -> Result<Option<String>, String> {
    const BUILT_IN: &str = "SELECT DISTINCT p.proname::pg_catalog.text FROM pg_catalog.pg_proc p
        WHERE p.proname::pg_catalog.text = ANY ($1) AND CASE WHEN p.oid < 16384
            THEN p.provolatile = 'v' AND p.proname::pg_catalog.text <> ALL ($2)
                 AND NOT starts_with(p.proname::pg_catalog.text, 'pg_stat_get_')
            ELSE p.provolatile <> 'i' END
        ORDER BY 1";
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    let rows = client.query(BUILT_IN, &[&calls, &HARMLESS.as_slice()]).await.map_err(|e| words(&e))?;
    let may: Vec<String> = rows.iter().filter_map(|r| r.try_get::<_, String>(0).ok()).collect();
    let names = may.iter().map(|n| format!("{n}()")).collect::<Vec<_>>().join(", ");
    Ok((!names.is_empty()).then_some(names))
}

async fn read(client: &Client, limited: &str, columns: Vec<String>) -> Result<Answer, String> {
    let began = Instant::now();
    let mut answer = Answer { columns, rows: Vec::new(), more: false, cut: false, took: Duration::ZERO };
    let mut bytes = 0;
    let mut stream = std::pin::pin!(client.simple_query_raw(limited).await.map_err(|e| words(&e))?);
    while let Some(message) = stream.next().await {
        let SimpleQueryMessage::Row(row) = message.map_err(|e| words(&e))? else { continue };
        if answer.rows.len() >= ROWS || bytes > BYTES {
            answer.more = true;
            break;
        }
        let mut values = Vec::with_capacity(row.len());
        for n in 0..row.len() {
            let value: Option<String> = row.get(n).map(|text| text.chars().take(CHARACTERS).collect());
            let whole = row.get(n).map_or(0, str::len);
            let here = value.as_ref().map_or(0, String::len);
            (answer.cut, bytes) = (answer.cut || here < whole, bytes + here);
            values.push(value);
        }
        answer.rows.push(values);
    }
    answer.took = began.elapsed();
    Ok(answer)
}

fn words(error: &Error) -> String {
    match error.as_db_error() {
        Some(e) if e.code().code() == "57014" => {
            format!("It took longer than {} s: the server stopped it.", PATIENCE_MS / 1000)
        }
        Some(e) => format!("{} ({})", e.message(), e.code().code()),
        None => error.to_string(),
    }
}
