//! T0: the catalogue in one round trip, as one JSON text. It takes no lock on any user table but for the sizes, which are
//! left out for tables that somebody holds exclusively (`with_sizes` false leaves them all out).

use super::session::LOAD;

/// Server, relations, sequences. Fields are those of [`crate::compare::catalogue::Catalogue`].
pub fn catalogue(with_sizes: bool) -> String {
    format!(
        "WITH held AS (
  SELECT l.relation, min(l.pid) AS pid FROM pg_catalog.pg_locks l
  WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.relation IS NOT NULL AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
  GROUP BY 1)
SELECT json_build_object({SERVER}, 'active', ({LOAD}),
 'relations', (SELECT coalesce(json_agg(json_build_object({RELATION}, 'bytes', {size}) ORDER BY c.oid), '[]')
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam LEFT JOIN held h ON h.relation = c.oid
  WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND {USER_SCHEMA}),
 'large_objects', (SELECT json_build_object({RELATION}, 'bytes', pg_relation_size(c.oid))
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam LEFT JOIN held h ON h.relation = c.oid
  WHERE c.oid = 2613 AND EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)),
 'sequences', (SELECT coalesce(json_agg(json_build_object('schema', s.schemaname, 'name', s.sequencename,
   'last', s.last_value, 'step', s.increment_by)), '[]') FROM pg_catalog.pg_sequences s
   WHERE NOT EXISTS (SELECT FROM held JOIN pg_catalog.pg_class c ON c.oid = held.relation WHERE c.relkind = 'S')
  ))::text",
        // An analysed partitioned table has -1 pages.
        size = if with_sizes {
            "CASE WHEN h.pid IS NULL AND c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) ELSE greatest(c.relpages, 0)::int8 * current_setting('block_size')::int8 END"
        } else {
            "greatest(c.relpages, 0)::int8 * current_setting('block_size')::int8"
        },
    )
}

const USER_SCHEMA: &str = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp\\_%'";

// The timeline comes from the name of the segment being written: the control file tells the old one until the first
// checkpoint after a promotion.
const SERVER: &str = "
 'version', current_setting('server_version'),
 'version_num', current_setting('server_version_num')::int8,
 'system_identifier', (SELECT s.system_identifier::text FROM pg_catalog.pg_control_system() s),
 'database', current_database(),
 'database_oid', (SELECT d.oid::int8 FROM pg_catalog.pg_database d WHERE d.datname = current_database()),
 'user', current_user,
 'timeline', CASE WHEN pg_is_in_recovery() THEN (SELECT k.timeline_id FROM pg_catalog.pg_control_checkpoint() k)
   ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
 'in_recovery', pg_is_in_recovery(),
 'next_xid', pg_snapshot_xmax(pg_current_snapshot())::text,
 'now', extract(epoch FROM clock_timestamp())::float8,
 'started', extract(epoch FROM pg_postmaster_start_time())::float8,
 'replayed_to', extract(epoch FROM pg_last_xact_replay_timestamp())::float8,
 'counting_since', (SELECT extract(epoch FROM b.stats_reset)::float8 FROM pg_catalog.pg_stat_bgwriter b),
 'block_size', current_setting('block_size')::int8,
 'shared_buffers', pg_size_bytes(current_setting('shared_buffers')),
 'commit_timestamps', current_setting('track_commit_timestamp')::bool,
 'prepared', (SELECT count(*) FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database())";

const RELATION: &str = "
  'oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
  'am', a.amname, 'filenode', pg_relation_filenode(c.oid)::int8, 'xmin', c.xmin::text, 'tuples', c.reltuples::float8,
  'rls', row_security_active(c.oid),
  'readable', has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'),
  'held_by', h.pid,
  'writes', pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid),
  'parent', (SELECT json_build_object('schema', pn.nspname, 'name', p.relname) FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
    WHERE i.inhrelid = c.oid AND c.relispartition),
  'columns', (SELECT coalesce(json_agg(json_build_object('num', t.attnum, 'name', t.attname,
      'type', format_type(t.atttypid, t.atttypmod), 'type_oid', t.atttypid::int8, 'type_kind', y.typtype,
      'category', y.typcategory, 'send', y.typsend::regproc::text,
      'not_null', t.attnotnull, 'generated', t.attgenerated, 'identity', t.attidentity)
      ORDER BY t.attnum), '[]')
    FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_type y ON y.oid = t.atttypid
    WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped),
  'keys', (SELECT coalesce(json_agg(json_build_object('primary', x.indisprimary, 'columns',
      (SELECT json_agg(k.n ORDER BY k.o) FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(n, o) WHERE k.o <= x.indnkeyatts))
      ORDER BY x.indisprimary DESC, x.indnkeyatts, x.indexrelid), '[]')
    FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indimmediate
      AND x.indpred IS NULL AND x.indexprs IS NULL),
  'leading', (SELECT coalesce(json_agg(DISTINCT x.indkey[0]), '[]') FROM pg_catalog.pg_index x
    JOIN pg_catalog.pg_class xc ON xc.oid = x.indexrelid JOIN pg_catalog.pg_am xa ON xa.oid = xc.relam
    WHERE x.indrelid = c.oid AND x.indisvalid AND x.indpred IS NULL AND x.indkey[0] > 0 AND xa.amname = 'btree')";

/// Definitions beside columns: rows of (what, on, name, definition). Tables that somebody holds exclusively are left
/// out, because printing their definitions would wait for them.
pub const DEFINITIONS: &str = "
WITH held AS (SELECT DISTINCT l.relation FROM pg_catalog.pg_locks l WHERE l.mode = 'AccessExclusiveLock' AND l.granted
   AND l.relation IS NOT NULL AND l.pid <> pg_backend_pid()),
 own AS (SELECT c.oid, c.relkind, c.relname, n.nspname, n.nspname || '.' || c.relname AS full_name
   FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
     AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND c.oid NOT IN (SELECT relation FROM held)),
 plain_schema AS (SELECT oid, nspname FROM pg_catalog.pg_namespace
   WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\\_%')
SELECT 'default'::text, o.full_name::text, a.attname::text, pg_get_expr(d.adbin, d.adrelid)
  FROM pg_catalog.pg_attrdef d JOIN own o ON o.oid = d.adrelid AND o.relkind IN ('r', 'p')
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
UNION ALL SELECT 'constraint', o.full_name, k.conname, pg_get_constraintdef(k.oid)
  FROM pg_catalog.pg_constraint k JOIN own o ON o.oid = k.conrelid
  WHERE k.confrelid NOT IN (SELECT relation FROM held)
UNION ALL SELECT 'index', o.full_name, i.relname, pg_get_indexdef(x.indexrelid)
  FROM pg_catalog.pg_index x JOIN own o ON o.oid = x.indrelid JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
UNION ALL SELECT 'trigger', o.full_name, t.tgname, t.tgenabled::text || ' ' || pg_get_triggerdef(t.oid)
  FROM pg_catalog.pg_trigger t JOIN own o ON o.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL SELECT 'policy', o.full_name, p.polname, concat_ws(' ', p.polcmd, p.polpermissive,
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_catalog.pg_policy p JOIN own o ON o.oid = p.polrelid
UNION ALL SELECT CASE o.relkind WHEN 'v' THEN 'view' ELSE 'materialised view' END, o.full_name, '', pg_get_viewdef(o.oid)
  FROM own o WHERE o.relkind IN ('v', 'm') AND NOT EXISTS (SELECT FROM held)
UNION ALL SELECT 'function', n.nspname || '.' || p.proname, pg_get_function_identity_arguments(p.oid),
    concat_ws(' ', pg_get_function_result(p.oid), l.lanname, p.prosrc, p.probin)
  FROM pg_catalog.pg_proc p JOIN plain_schema n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT 'extension', e.extname, '', e.extversion FROM pg_catalog.pg_extension e
UNION ALL SELECT 'enum', n.nspname || '.' || t.typname, '',
    (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)
  FROM pg_catalog.pg_type t JOIN plain_schema n ON n.oid = t.typnamespace WHERE t.typtype = 'e'
UNION ALL SELECT 'row security', o.full_name, '', CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE 'on' END
  FROM own o JOIN pg_catalog.pg_class c ON c.oid = o.oid WHERE c.relrowsecurity
UNION ALL SELECT 'sequence', o.full_name, '', concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
    s.seqmin, s.seqmax, s.seqcycle) FROM pg_catalog.pg_sequence s JOIN own o ON o.oid = s.seqrelid";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_can_be_left_out_because_they_take_a_lock() {
        assert!(catalogue(true).contains("THEN pg_relation_size(c.oid)"));
        assert!(!catalogue(false).contains("THEN pg_relation_size(c.oid)"));
    }
}
