//! How a session is set up so that it reads only, gives way to others, and answers the same on both sides.

use std::time::Duration;

use crate::compare::model::Side;

/// Name under which the sessions stand in `pg_stat_activity`.
pub const APPLICATION: &str = "drtui compare";

/// Settings of a new connection. `limit`: longest statement.
pub fn settings(side: Side, limit: Duration) -> String {
    let mut sql = format!(
        "SET default_transaction_read_only = on; SET statement_timeout = {}; SET lock_timeout = '2s';
         SET idle_in_transaction_session_timeout = '300s'; SET row_security = off; SET search_path = '';
         SET jit = off; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';
         SET extra_float_digits = 1; SET bytea_output = 'hex'; SET intervalstyle = 'postgres';
         SET xmlbinary = 'base64'; SET quote_all_identifiers = off; SET standard_conforming_strings = on;
         SET client_encoding = 'UTF8'; SET client_connection_check_interval = '1s'; SET work_mem = '32MB';
         SET application_name = '{APPLICATION}'; ",
        limit.as_millis()
    );
    sql.push_str(match side {
        // A scan in pieces goes on where the last one stopped; no answer depends on where it begins.
        Side::Live => "SET max_parallel_workers_per_gather = 0; SET synchronize_seqscans = on; ",
        Side::Restored => "SET synchronize_seqscans = off; ",
    });
    sql
}

/// Begins a transaction that sees one moment; `snapshot` joins that of another session.
pub fn begin(snapshot: Option<&str>) -> String {
    let join = snapshot.map(|s| format!("; SET TRANSACTION SNAPSHOT {}", super::literal(s)));
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY{}", join.unwrap_or_default())
}

/// After a statement that failed: the copy's sessions live in a transaction, live's do not.
pub fn renew(side: Side) -> String {
    match side {
        Side::Live => END.to_owned(),
        Side::Restored => format!("{END}; {}", begin(None)),
    }
}

/// Which transactions this one sees, as one text: the same text, the same rows.
pub const SNAPSHOT: &str = "SELECT pg_current_snapshot()::text";

/// Gives the snapshot to other sessions: one text.
pub const EXPORT: &str = "SELECT pg_export_snapshot()";

/// Ends the transaction and with it the hold on old row versions.
pub const END: &str = "ROLLBACK";

/// Within a transaction a session sees the others as they were at its first look, unless it asks for this.
pub const LOOK_AGAIN: &str = "SELECT pg_stat_clear_snapshot()::text";

/// How busy the server is: other sessions at work, ours apart. Who may not see what others do (`pg_read_all_stats`) sees
/// at least which of them look at rows.
pub const LOAD: &str = "SELECT count(*)::int8 FROM pg_catalog.pg_stat_activity a
    WHERE a.application_name NOT LIKE 'drtui %' AND a.pid <> pg_backend_pid() AND a.datid IS NOT NULL
    AND CASE WHEN a.backend_type IS NULL THEN coalesce(a.backend_xid, a.backend_xmin) IS NOT NULL
      ELSE a.state = 'active' AND a.backend_type = 'client backend' END";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_reads_only_and_gives_way() {
        let sql = settings(Side::Live, Duration::from_secs(5));
        for part in ["read_only = on", "statement_timeout = 5000", "row_security = off", "per_gather = 0"] {
            assert!(sql.contains(part), "{part}");
        }
        assert!(!settings(Side::Restored, Duration::from_secs(5)).contains("per_gather"));
        assert!(begin(None).contains("REPEATABLE READ READ ONLY"));
        assert!(begin(Some("00-1")).ends_with("SET TRANSACTION SNAPSHOT '00-1'"));
    }
}
