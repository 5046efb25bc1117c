//! May this table take the physical path? Every condition is looked at and said; one that fails names itself and chooses
//! the fallback.

use super::ask::content::{Agreement, Key, Shared};
use super::catalogue::Relation;
use super::model::{Gate, GateName, Mode, Path, ServerFacts};

/// What is true of both servers together.
#[derive(Debug, Clone)]
pub struct Ground {
    pub live: ServerFacts,
    pub restored: ServerFacts,
    pub mode: Mode,
}

/// How a table will be compared.
#[derive(Debug, Clone)]
pub struct Plan {
    pub path: Path,
    pub why: String,
    pub gates: Vec<Gate>,
    pub agreement: Agreement,
    /// Columns on both sides, in live's order.
    pub shared: Vec<Shared>,
    pub key: Option<Key>,
}

impl Ground {
    /// Both come from one `initdb` and one `CREATE DATABASE`, so that numbers of relations and types mean the same.
    pub fn one_origin(&self) -> bool {
        self.live.system_identifier == self.restored.system_identifier
            && self.live.database_oid == self.restored.database_oid
    }

    /// The two addresses lead to one and the same database.
    pub fn is_one_server(&self) -> bool {
        self.one_origin() && self.live.started == self.restored.started && self.live.started.is_some()
    }

    fn gates_of_servers(&self) -> Vec<Gate> {
        let (live, restored) = (&self.live, &self.restored);
        let gate = |gate, passed, saw: String| Gate { gate, passed, saw };
        let timeline = if restored.in_recovery {
            restored.timeline == live.timeline
        } else {
            restored.timeline > live.timeline
        };
        vec![
            gate(
                GateName::Mode,
                self.mode != Mode::Logical,
                if self.mode == Mode::Logical { "contents were asked for" } else { "allowed" }.to_owned(),
            ),
            gate(
                GateName::SystemIdentifier,
                live.system_identifier == restored.system_identifier,
                format!("live {}, copy {}", live.system_identifier, restored.system_identifier),
            ),
            gate(
                GateName::Database,
                live.database_oid == restored.database_oid,
                format!("live {}, copy {}", live.database_oid, restored.database_oid),
            ),
            gate(
                GateName::Version,
                live.version_num / 10_000 == restored.version_num / 10_000
                    && live.block_size == restored.block_size,
                format!("live {}, copy {}", live.version, restored.version),
            ),
            gate(
                GateName::Timeline,
                timeline && restored.next_xid <= live.next_xid,
                format!(
                    "live on {}, next transaction {}; copy on {}{}, next transaction {}",
                    live.timeline,
                    live.next_xid,
                    restored.timeline,
                    if restored.in_recovery { " in recovery" } else { "" },
                    restored.next_xid
                ),
            ),
        ]
    }

    /// Chooses the path of a table that both sides have.
    ///
    /// # Errors
    /// Why it cannot be compared.
    pub fn plan(&self, live: &Relation, restored: &Relation) -> Result<Plan, String> {
        comparable(live, "live")?;
        comparable(restored, "the copy")?;
        let shared = share(live, restored, self.one_origin());
        let mut gates = self.gates_of_servers();
        gates.extend(gates_of_table(live, restored));
        let agreement = Agreement { one_origin: self.one_origin() };
        let key = Key::over(key_columns(live, restored, &shared));
        let failed: Vec<GateName> = gates.iter().filter(|g| !g.passed).map(|g| g.gate).collect();
        if shared.is_empty() {
            return Err("no column is on both sides".to_owned());
        }
        if !failed.is_empty() && self.mode == Mode::Physical {
            let said: Vec<String> =
                gates.iter().filter(|g| !g.passed).map(|g| format!("{}: {}", word(g.gate), g.saw)).collect();
            return Err(format!("the physical path is not open ({}); try --mode auto", said.join("; ")));
        }
        // Changing a column's type writes every row again.
        let retyped = shared.iter().any(|s| s.live.type_oid != s.restored.type_oid);
        let path = choose(&failed, key.is_some(), retyped);
        let why = match failed.first() {
            None => "same files: every gate holds".to_owned(),
            Some(first) => format!("{}: {}", word(*first), reason(*first)),
        };
        Ok(Plan { path, why, gates, agreement, shared, key })
    }
}

impl Plan {
    /// The same table by the next slower path, because `gate` failed or a sketch could not hold the differences.
    pub fn fall_back(&mut self, why: &str) {
        self.path = if self.key.is_some() { Path::Content } else { Path::ContentCounts };
        self.why = why.to_owned();
    }
}

/// A rewrite keeps each row's writer, unless it changes the rows: only these gates may fail for (key, xmin).
fn choose(failed: &[GateName], keyed: bool, retyped: bool) -> Path {
    let rewritten =
        |g: &GateName| matches!(g, GateName::RelationOid | GateName::Filenode | GateName::CatalogueRow);
    match failed {
        [] => Path::Physical,
        all if keyed && !retyped && all.iter().all(rewritten) && !all.contains(&GateName::RelationOid) => {
            Path::KeyXmin
        }
        _ if keyed => Path::Content,
        _ => Path::ContentCounts,
    }
}

fn comparable(relation: &Relation, side: &str) -> Result<(), String> {
    if relation.kind == "f" {
        return Err("a foreign table: its rows are elsewhere".to_owned());
    }
    if !relation.readable {
        return Err(format!(
            "on {side} we may not read it: GRANT SELECT ON {} or the role pg_read_all_data",
            relation.table()
        ));
    }
    if relation.rls {
        return Err(format!("on {side} row-level security hides rows from us: use a role with BYPASSRLS"));
    }
    Ok(())
}

fn gates_of_table(live: &Relation, restored: &Relation) -> Vec<Gate> {
    let gate = |gate, passed, saw: String| Gate { gate, passed, saw };
    let node = |r: &Relation| r.filenode.map_or_else(|| "none".to_owned(), |n| n.to_string());
    let writes = restored.writes.unwrap_or(0);
    vec![
        gate(
            GateName::RelationOid,
            live.oid == restored.oid,
            format!("live {}, copy {}", live.oid, restored.oid),
        ),
        gate(
            GateName::Filenode,
            live.filenode == restored.filenode && live.filenode.is_some(),
            format!("live {}, copy {}", node(live), node(restored)),
        ),
        gate(
            GateName::CatalogueRow,
            live.xmin == restored.xmin,
            format!("live {}, copy {}", live.xmin, restored.xmin),
        ),
        gate(
            GateName::Heap,
            [live, restored].iter().all(|r| r.am.as_deref() == Some("heap")),
            live.am.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        gate(
            GateName::Logged,
            live.persistence == "p" && restored.persistence == "p",
            if live.persistence == "u" || restored.persistence == "u" { "unlogged" } else { "logged" }
                .to_owned(),
        ),
        gate(GateName::CopyUnwritten, writes == 0, format!("{writes} writes counted in the copy")),
    ]
}

/// Columns of both: by number within one origin (so that a renamed one is found), else by name.
fn share(live: &Relation, restored: &Relation, one_origin: bool) -> Vec<Shared> {
    let by_number = one_origin && live.oid == restored.oid;
    live.columns
        .iter()
        .filter_map(|l| {
            let same =
                |r: &&super::catalogue::Column| if by_number { r.num == l.num } else { r.name == l.name };
            let other = restored.columns.iter().find(same)?;
            Some(Shared { live: l.clone(), restored: other.clone() })
        })
        .collect()
}

/// The best key that both have: primary first; columns that cannot be NULL.
fn key_columns(live: &Relation, restored: &Relation, shared: &[Shared]) -> Vec<Shared> {
    let find = |num: &i32| shared.iter().find(|s| s.live.num == *num);
    for key in &live.keys {
        let columns: Option<Vec<&Shared>> = key.columns.iter().map(find).collect();
        let Some(columns) = columns else { continue };
        let theirs: Vec<i32> = columns.iter().map(|s| s.restored.num).collect();
        let also = restored.keys.iter().any(|k| k.columns == theirs);
        if also && columns.iter().all(|s| s.live.not_null && s.restored.not_null) {
            return columns.into_iter().cloned().collect();
        }
    }
    Vec::new()
}

/// A gate's name in words.
pub fn word(gate: GateName) -> &'static str {
    match gate {
        GateName::Mode => "mode",
        GateName::SystemIdentifier => "system identifier",
        GateName::Database => "database",
        GateName::Version => "version",
        GateName::Timeline => "timeline",
        GateName::RelationOid => "relation",
        GateName::Filenode => "file",
        GateName::CatalogueRow => "catalogue row",
        GateName::Heap => "storage",
        GateName::Logged => "logged",
        GateName::CopyUnwritten => "copy unwritten",
        GateName::YoungRows => "young rows",
    }
}

fn reason(gate: GateName) -> &'static str {
    match gate {
        GateName::Mode => "contents were asked for",
        GateName::SystemIdentifier => "the servers have nothing in common",
        GateName::Database => "not copies of one database",
        GateName::Version => "not the same PostgreSQL",
        GateName::Timeline => "the copy's history cannot be followed to live's",
        GateName::RelationOid => "the table was made anew",
        GateName::Filenode => "the table was rewritten",
        GateName::CatalogueRow => "the table was altered",
        GateName::Heap => "not PostgreSQL's own storage",
        GateName::Logged => "unlogged: a restore leaves it empty",
        GateName::CopyUnwritten => "somebody wrote to the copy",
        GateName::YoungRows => "rows of the copy were written after its recovery",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::catalogue::tests::{catalogue, column, relation};
    use crate::domain::Utc;

    fn ground() -> Ground {
        let facts = catalogue(vec![]).facts();
        let restored =
            ServerFacts { timeline: 2, next_xid: 900, started: Utc::from_timestamp(1, 0), ..facts.clone() };
        Ground { live: facts, restored, mode: Mode::Auto }
    }

    fn path(ground: &Ground, live: &Relation, restored: &Relation) -> (Path, Option<GateName>) {
        let plan = ground.plan(live, restored).unwrap();
        (plan.path, plan.gates.iter().find(|g| !g.passed).map(|g| g.gate))
    }

    #[test]
    fn all_gates_open_is_physical() {
        assert_eq!(path(&ground(), &relation(1, "a"), &relation(1, "a")), (Path::Physical, None));
    }

    #[test]
    fn each_gate_of_the_table_names_itself_and_its_fallback() {
        let base = relation(1, "a");
        type Change = fn(&mut Relation);
        let cases: [(Change, Path, GateName); 6] = [
            (|r| r.oid = 9, Path::Content, GateName::RelationOid),
            (|r| r.filenode = Some(9), Path::KeyXmin, GateName::Filenode),
            (|r| r.xmin = "701".into(), Path::KeyXmin, GateName::CatalogueRow),
            (|r| r.am = Some("columnar".into()), Path::Content, GateName::Heap),
            (|r| r.persistence = "u".into(), Path::Content, GateName::Logged),
            (|r| r.writes = Some(3), Path::Content, GateName::CopyUnwritten),
        ];
        for (change, expected, gate) in cases {
            let mut restored = base.clone();
            change(&mut restored);
            assert_eq!(path(&ground(), &base, &restored), (expected, Some(gate)));
        }
        let keyless = |filenode| Relation { keys: vec![], filenode, ..base.clone() };
        assert_eq!(path(&ground(), &keyless(Some(1)), &keyless(Some(2))).0, Path::ContentCounts);
    }

    #[test]
    fn servers_that_cannot_be_copies_are_compared_by_content() {
        let (a, base) = (relation(1, "a"), ground());
        let with = |change: fn(&mut ServerFacts)| {
            let mut other = base.clone();
            change(&mut other.restored);
            path(&other, &a, &a)
        };
        assert_eq!(
            with(|f| f.system_identifier = "1".into()),
            (Path::Content, Some(GateName::SystemIdentifier))
        );
        assert_eq!(with(|f| f.database_oid = 9), (Path::Content, Some(GateName::Database)));
        assert_eq!(with(|f| f.timeline = 1), (Path::Content, Some(GateName::Timeline)));
        assert_eq!(with(|f| f.next_xid = 5_000), (Path::Content, Some(GateName::Timeline)));
        assert_eq!(with(|f| (f.timeline, f.in_recovery) = (1, true)).0, Path::Physical, "a standby");
        let logical = Ground { mode: Mode::Logical, ..base.clone() };
        assert_eq!(path(&logical, &a, &a), (Path::Content, Some(GateName::Mode)));
        let physical = Ground { mode: Mode::Physical, ..base };
        let why = physical.plan(&a, &Relation { filenode: Some(3), ..a.clone() }).unwrap_err();
        assert!(why.contains("file") && why.contains("--mode auto"), "{why}");
    }

    #[test]
    fn half_a_table_is_never_compared_in_silence() {
        let (ground, a) = (ground(), relation(1, "a"));
        let why = |r: Relation| ground.plan(&r, &a).unwrap_err();
        assert!(why(Relation { rls: true, ..a.clone() }).contains("BYPASSRLS"));
        assert!(why(Relation { readable: false, ..a.clone() }).contains("GRANT SELECT ON public.a"));
        assert!(why(Relation { kind: "f".into(), ..a.clone() }).contains("foreign"));
    }

    #[test]
    fn a_key_must_be_whole_on_both_sides_and_never_null() {
        let live = relation(1, "a");
        let mut restored = relation(1, "a");
        restored.columns[0] = column(1, "renamed", 20);
        let shared = share(&live, &restored, true);
        assert_eq!(key_columns(&live, &restored, &shared).len(), 1, "renamed, but the same column");
        assert!(share(&live, &restored, false).iter().all(|s| s.live.name == "a"));
        restored.columns[0].not_null = false;
        assert!(key_columns(&live, &restored, &share(&live, &restored, true)).is_empty());
    }
}
