//! The catalogue's answer, and which table of live belongs to which of the copy.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::model::{Options, ServerFacts, TableName};
use crate::domain::Utc;

/// What [`super::ask::catalogue::catalogue`] answers.
#[derive(Debug, Clone, Deserialize)]
pub struct Catalogue {
    version: String,
    version_num: u32,
    system_identifier: String,
    database: String,
    database_oid: u32,
    user: String,
    timeline: u32,
    in_recovery: bool,
    next_xid: String,
    now: Option<f64>,
    started: Option<f64>,
    replayed_to: Option<f64>,
    counting_since: Option<f64>,
    block_size: u32,
    shared_buffers: u64,
    commit_timestamps: bool,
    prepared: u32,
    /// Other sessions at work.
    pub active: u64,
    pub relations: Vec<Relation>,
    /// `pg_largeobject`, if there is any large object.
    pub large_objects: Option<Relation>,
    pub sequences: Vec<Sequence>,
}

/// A table, materialised view, partitioned or foreign table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Relation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// `r` table, `p` partitioned, `m` materialised view, `f` foreign.
    pub kind: String,
    /// `p` permanent, `u` unlogged.
    pub persistence: String,
    pub am: Option<String>,
    pub filenode: Option<u32>,
    pub xmin: String,
    pub tuples: f64,
    pub bytes: u64,
    /// Row-level security hides rows from us.
    pub rls: bool,
    pub readable: bool,
    /// Process that holds it exclusively.
    pub held_by: Option<i32>,
    /// Rows written since the statistics began.
    pub writes: Option<i64>,
    pub parent: Option<TableName>,
    pub columns: Vec<Column>,
    pub keys: Vec<KeyIndex>,
    /// Columns that lead an index.
    pub leading: Vec<i32>,
}

impl Relation {
    pub fn table(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.name.clone() }
    }

    /// Rows as the server estimates them; never below 0.
    pub fn estimate(&self) -> u64 {
        // The cast saturates; an estimate is all it is.
        self.tuples.max(0.0) as u64
    }

    pub fn column(&self, num: i32) -> Option<&Column> {
        self.columns.iter().find(|c| c.num == num)
    }
}

/// A column that is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    pub num: i32,
    pub name: String,
    #[serde(rename = "type")]
    pub type_name: String,
    pub type_oid: u32,
    /// `b` base, `e` enum, `c` composite, `d` domain, `r` range, `m` multirange.
    pub type_kind: String,
    pub category: String,
    /// The function that writes it in binary; `None` if the type has none.
    #[serde(deserialize_with = "send")]
    pub send: Option<String>,
    pub not_null: bool,
    pub generated: String,
    pub identity: String,
}

fn send<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|s| s != "-"))
}

/// A unique index over plain columns.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeyIndex {
    pub primary: bool,
    pub columns: Vec<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sequence {
    pub schema: String,
    pub name: String,
    /// `None` when it was never used, or we may not read it.
    pub last: Option<i64>,
    pub step: i64,
}

impl Catalogue {
    /// Reads the answer.
    ///
    /// # Errors
    /// In words, when it is not what we asked for.
    pub fn read(text: &str) -> Result<Catalogue, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    pub fn facts(&self) -> ServerFacts {
        ServerFacts {
            version: self.version.clone(),
            version_num: self.version_num,
            system_identifier: self.system_identifier.clone(),
            database: self.database.clone(),
            database_oid: self.database_oid,
            user: self.user.clone(),
            timeline: self.timeline,
            in_recovery: self.in_recovery,
            next_xid: self.next_xid.parse().unwrap_or(0),
            now: self.now.and_then(instant),
            started: self.started.and_then(instant),
            replayed_to: self.replayed_to.and_then(instant),
            counting_since: self.counting_since.and_then(instant),
            block_size: self.block_size.max(1_024),
            shared_buffers: self.shared_buffers,
            commit_timestamps: self.commit_timestamps,
            prepared_transactions: self.prepared,
        }
    }
}

/// Seconds since 1970 as a time.
fn instant(seconds: f64) -> Option<Utc> {
    // Microseconds of any date fit an i64; the cast saturates.
    Utc::from_timestamp_micros((seconds * 1e6).round() as i64)
}

/// A table of live and what it is in the copy. At least one is there.
#[derive(Debug, Clone)]
pub struct Pair {
    pub live: Option<Relation>,
    pub restored: Option<Relation>,
}

impl Pair {
    /// Live's name, or that in the copy.
    pub fn table(&self) -> TableName {
        self.live
            .as_ref()
            .or(self.restored.as_ref())
            .map(Relation::table)
            .unwrap_or_else(|| TableName { schema: String::new(), name: String::new() })
    }

    pub fn bytes(&self) -> u64 {
        let bytes = |r: &Option<Relation>| r.as_ref().map_or(0, |r| r.bytes);
        bytes(&self.live).max(bytes(&self.restored))
    }

    pub fn rows(&self) -> u64 {
        let rows = |r: &Option<Relation>| r.as_ref().map_or(0, Relation::estimate);
        rows(&self.live).max(rows(&self.restored))
    }
}

/// Pairs tables: by number within one origin, so that a renamed table is found; then by name. Smallest first.
pub fn pair(live: &Catalogue, restored: &Catalogue, one_origin: bool, wanted: &Options) -> Vec<Pair> {
    let of = |c: &Catalogue| c.relations.iter().chain(&c.large_objects).cloned().collect::<Vec<_>>();
    let mut left: BTreeMap<u32, Relation> = of(restored).into_iter().map(|r| (r.oid, r)).collect();
    let mut pairs = Vec::new();
    let mut alone = Vec::new();
    for relation in of(live) {
        match left.remove(&relation.oid).filter(|_| one_origin) {
            Some(other) if other.kind == relation.kind => {
                pairs.push(Pair { live: Some(relation), restored: Some(other) })
            }
            other => {
                left.extend(other.map(|o| (o.oid, o)));
                alone.push(relation);
            }
        }
    }
    if !one_origin {
        left = of(restored).into_iter().map(|r| (r.oid, r)).collect();
    }
    let mut by_name: BTreeMap<TableName, u32> = left.values().map(|r| (r.table(), r.oid)).collect();
    for relation in alone {
        let other = by_name.remove(&relation.table()).and_then(|oid| left.remove(&oid));
        pairs.push(Pair { live: Some(relation), restored: other });
    }
    pairs.extend(left.into_values().map(|r| Pair { live: None, restored: Some(r) }));
    pairs.retain(|p| chosen(p, wanted));
    pairs.sort_by_key(|p| (p.bytes(), p.table()));
    pairs
}

fn chosen(pair: &Pair, wanted: &Options) -> bool {
    let names: BTreeSet<TableName> =
        [&pair.live, &pair.restored].into_iter().flatten().map(Relation::table).collect();
    let any = |patterns: &[String]| patterns.iter().any(|p| names.iter().any(|n| matches(p, n)));
    (wanted.tables.is_empty() || any(&wanted.tables)) && !any(&wanted.exclude)
}

/// Whether `pattern` (`*` any text, `?` one character) names the table, with or without its schema.
pub fn matches(pattern: &str, table: &TableName) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let full: Vec<char> = table.to_string().chars().collect();
    let name: Vec<char> = table.name.chars().collect();
    glob(&pattern, &full) || glob(&pattern, &name)
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            glob(rest, text) || text.split_first().is_some_and(|(_, tail)| glob(pattern, tail))
        }
        (Some(('?', rest)), Some((_, tail))) => glob(rest, tail),
        (Some((p, rest)), Some((t, tail))) => p == t && glob(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A built-in column.
    pub fn column(num: i32, name: &str, type_oid: u32) -> Column {
        Column {
            num,
            name: name.into(),
            type_name: format!("type{type_oid}"),
            type_oid,
            type_kind: "b".into(),
            category: "N".into(),
            send: Some("int4send".into()),
            not_null: true,
            generated: String::new(),
            identity: String::new(),
        }
    }

    /// An ordinary table with a key on column 1.
    pub fn relation(oid: u32, name: &str) -> Relation {
        Relation {
            oid,
            schema: "public".into(),
            name: name.into(),
            kind: "r".into(),
            persistence: "p".into(),
            am: Some("heap".into()),
            filenode: Some(oid),
            xmin: "700".into(),
            tuples: 10.0,
            bytes: 8_192,
            rls: false,
            readable: true,
            held_by: None,
            writes: Some(0),
            parent: None,
            columns: vec![column(1, "id", 20), column(2, "a", 25)],
            keys: vec![KeyIndex { primary: true, columns: vec![1] }],
            leading: vec![1],
        }
    }

    pub fn catalogue(relations: Vec<Relation>) -> Catalogue {
        Catalogue {
            version: "15.18".into(),
            version_num: 150_018,
            system_identifier: "7000".into(),
            database: "app".into(),
            database_oid: 16_384,
            user: "reader".into(),
            timeline: 1,
            in_recovery: false,
            next_xid: "1000".into(),
            now: Some(1_700_000_000.25),
            started: Some(1_699_000_000.0),
            replayed_to: None,
            counting_since: None,
            block_size: 8_192,
            shared_buffers: 1 << 27,
            commit_timestamps: false,
            prepared: 0,
            active: 0,
            relations,
            large_objects: None,
            sequences: vec![],
        }
    }

    fn names(pairs: &[Pair]) -> Vec<(Option<&str>, Option<&str>)> {
        pairs
            .iter()
            .map(|p| (p.live.as_ref().map(|r| r.name.as_str()), p.restored.as_ref().map(|r| r.name.as_str())))
            .collect()
    }

    #[test]
    fn a_renamed_table_is_found_by_its_number_a_recreated_one_by_its_name() {
        let live = catalogue(vec![relation(1, "people"), relation(9, "orders"), relation(4, "fresh")]);
        let restored = catalogue(vec![relation(1, "users"), relation(2, "orders"), relation(3, "dropped")]);
        let pairs = pair(&live, &restored, true, &Options::default());
        assert_eq!(
            names(&pairs),
            [
                (None, Some("dropped")),
                (Some("fresh"), None),
                (Some("orders"), Some("orders")),
                (Some("people"), Some("users")),
            ]
        );
    }

    #[test]
    fn numbers_mean_nothing_between_unrelated_databases() {
        let live = catalogue(vec![relation(1, "a"), relation(2, "b")]);
        let restored = catalogue(vec![relation(1, "b"), relation(2, "a")]);
        let pairs = pair(&live, &restored, false, &Options::default());
        assert_eq!(names(&pairs), [(Some("a"), Some("a")), (Some("b"), Some("b"))]);
    }

    #[test]
    fn patterns_choose_with_or_without_schema() {
        let table = TableName { schema: "app".into(), name: "order_lines".into() };
        for yes in ["order_lines", "order*", "app.*", "*.order_?ines", "*"] {
            assert!(matches(yes, &table), "{yes}");
        }
        for no in ["order", "public.*", "orders", ""] {
            assert!(!matches(no, &table), "{no}");
        }
        let all = catalogue(vec![relation(1, "a"), relation(2, "b")]);
        let wanted =
            Options { tables: vec!["*".into()], exclude: vec!["public.b".into()], ..Options::default() };
        assert_eq!(pair(&all, &all, true, &wanted).len(), 1);
    }
}
