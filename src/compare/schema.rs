//! Differences of definitions: columns from the catalogue, everything else from printed definitions, sequences by value.

use std::collections::BTreeMap;

use super::catalogue::{Catalogue, Pair, Relation, Sequence};
use super::model::SchemaChange;

/// A sequence logs this many values ahead, and a restored one goes on behind them.
const SEQUENCE_AHEAD: i64 = 32;

/// A printed definition: what it is, whose, its name, its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub what: String,
    pub on: String,
    pub name: String,
    pub text: String,
}

fn change(what: &str, on: &str, says: String) -> SchemaChange {
    SchemaChange { what: what.to_owned(), on: on.to_owned(), says, normal: false }
}

/// Differences of the tables themselves: names, columns, kinds.
pub fn of_table(pair: &Pair, one_origin: bool) -> Vec<SchemaChange> {
    let (Some(live), Some(restored)) = (&pair.live, &pair.restored) else { return Vec::new() };
    let on = live.table().to_string();
    let mut found = Vec::new();
    if live.table() != restored.table() {
        found.push(change("table", &on, format!("renamed: {} in the copy", restored.table())));
    }
    if one_origin && live.oid != restored.oid {
        found.push(change("table", &on, "dropped and created again on live".to_owned()));
    }
    if live.persistence != restored.persistence {
        found.push(change("table", &on, "logged on one side, unlogged on the other".to_owned()));
    }
    if live.parent != restored.parent {
        let of = |r: &Relation| r.parent.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        found.push(change(
            "partition",
            &on,
            format!("of {} on live, of {} in the copy", of(live), of(restored)),
        ));
    }
    columns(live, restored, one_origin && live.oid == restored.oid, &on, &mut found);
    found
}

fn columns(live: &Relation, restored: &Relation, by_number: bool, on: &str, found: &mut Vec<SchemaChange>) {
    let same = |a: &super::catalogue::Column, b: &super::catalogue::Column| {
        if by_number { a.num == b.num } else { a.name == b.name }
    };
    for l in &live.columns {
        let Some(r) = restored.columns.iter().find(|r| same(l, r)) else {
            found.push(change("column", on, format!("{} {}: only on live", l.name, l.type_name)));
            continue;
        };
        if l.name != r.name {
            found.push(change("column", on, format!("{}: named {} in the copy", l.name, r.name)));
        }
        if l.type_name != r.type_name {
            let says = format!("{}: {} on live, {} in the copy", l.name, l.type_name, r.type_name);
            found.push(change("column", on, says));
        }
        let traits = |c: &super::catalogue::Column| {
            let mut all = Vec::new();
            all.extend(c.not_null.then_some("NOT NULL"));
            all.extend((!c.generated.is_empty()).then_some("generated"));
            all.extend((!c.identity.is_empty()).then_some("identity"));
            if all.is_empty() { "plain".to_owned() } else { all.join(" ") }
        };
        if traits(l) != traits(r) {
            found.push(change(
                "column",
                on,
                format!("{}: {} on live, {} in the copy", l.name, traits(l), traits(r)),
            ));
        }
    }
    for r in &restored.columns {
        if !live.columns.iter().any(|l| same(l, r)) {
            found.push(change("column", on, format!("{} {}: only in the copy", r.name, r.type_name)));
        }
    }
}

/// Differences of everything that is printed. Definitions of tables that one side lacks are left to the table's verdict.
pub fn of_definitions(
    live: &[Definition],
    restored: &[Definition],
    renamed: &[(String, String)],
) -> Vec<SchemaChange> {
    type Name = (String, String, String);
    let name = |d: &Definition| -> Name { (d.what.clone(), d.on.clone(), d.name.clone()) };
    // The copy's name of a table, as live calls it.
    let as_live = |on: &str| renamed.iter().find(|(_, r)| r == on).map_or(on, |(l, _)| l.as_str()).to_owned();
    let mut theirs: BTreeMap<Name, &str> = BTreeMap::new();
    for d in restored {
        theirs.insert((d.what.clone(), as_live(&d.on), d.name.clone()), &d.text);
    }
    let mut found = Vec::new();
    for d in live {
        match theirs.remove(&name(d)) {
            None => found.push(change(&d.what, &d.on, format!("{}only on live", prefix(&d.name)))),
            Some(text) if text != d.text && !text_follows_name(d, renamed) => found.push(change(
                &d.what,
                &d.on,
                format!("{}{} on live, {} in the copy", prefix(&d.name), short(&d.text), short(text)),
            )),
            Some(_) => {}
        }
    }
    for (what, on, name) in theirs.into_keys() {
        found.push(change(&what, &on, format!("{}only in the copy", prefix(&name))));
    }
    found
}

/// An index or trigger prints its table's name: renaming the table is told once.
fn text_follows_name(d: &Definition, renamed: &[(String, String)]) -> bool {
    renamed.iter().any(|(l, r)| l != r && *l == d.on)
}

fn prefix(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name}: ") }
}

fn short(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    crate::domain::text::fit(&line.join(" "), 160)
}

/// Differences of sequences. Live ahead is ordinary life; the copy ahead by what is logged in advance is normal.
pub fn of_sequences(live: &[Sequence], restored: &[Sequence]) -> Vec<SchemaChange> {
    let mut found = Vec::new();
    for l in live {
        let on = format!("{}.{}", l.schema, l.name);
        let Some(r) = restored.iter().find(|r| r.schema == l.schema && r.name == l.name) else {
            found.push(change("sequence", &on, "only on live".to_owned()));
            continue;
        };
        let (Some(mine), Some(theirs)) = (l.last, r.last) else { continue };
        let ahead = (theirs - mine).checked_div(l.step).unwrap_or(0);
        if ahead > 0 {
            let normal = ahead <= SEQUENCE_AHEAD;
            let why = if normal {
                "normal: a restored sequence goes on behind what was logged ahead"
            } else {
                "live went back"
            };
            let says = format!("{theirs} in the copy, {mine} on live, {ahead} ahead ({why})");
            found.push(SchemaChange { what: "sequence".to_owned(), on, says, normal });
        }
    }
    for r in restored {
        if !live.iter().any(|l| l.schema == r.schema && l.name == r.name) {
            found.push(change(
                "sequence",
                &format!("{}.{}", r.schema, r.name),
                "only in the copy".to_owned(),
            ));
        }
    }
    found
}

/// Whether the copy's prepared transactions matter, in words.
pub fn cautions(live: &Catalogue, restored: &Catalogue) -> Vec<String> {
    let mut all = Vec::new();
    let prepared = restored.facts().prepared_transactions;
    if prepared > 0 {
        all.push(format!(
            "{prepared} prepared transactions are open in the copy: what they wrote is not visible and their locks are held"
        ));
    }
    if live.facts().in_recovery {
        all.push("live is a standby: it may lag behind its primary".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::catalogue::tests::{column, relation};

    fn says(pair: &Pair) -> Vec<String> {
        of_table(pair, true).into_iter().map(|c| c.says).collect()
    }

    #[test]
    fn columns_are_known_by_number() {
        let (mut live, mut restored) = (relation(1, "people"), relation(1, "users"));
        live.columns = vec![column(1, "id", 20), column(2, "mail", 25), column(4, "new", 16)];
        restored.columns = vec![column(1, "id", 20), column(2, "email", 1_043), column(3, "old", 16)];
        let said = says(&Pair { live: Some(live), restored: Some(restored) });
        assert_eq!(
            said,
            [
                "renamed: public.users in the copy",
                "mail: named email in the copy",
                "mail: type25 on live, type1043 in the copy",
                "new type16: only on live",
                "old type16: only in the copy",
            ]
        );
    }

    fn definition(what: &str, on: &str, name: &str, text: &str) -> Definition {
        Definition { what: what.into(), on: on.into(), name: name.into(), text: text.into() }
    }

    #[test]
    fn definitions_differ_by_name_and_text() {
        let live = [
            definition("constraint", "public.a", "c", "CHECK (x > 0)"),
            definition("index", "public.a", "i", "CREATE INDEX"),
            definition("index", "public.people", "p", "CREATE INDEX p ON people"),
        ];
        let restored = [
            definition("constraint", "public.a", "c", "CHECK (x > 1)"),
            definition("view", "public.v", "", "SELECT 1"),
            definition("index", "public.users", "p", "CREATE INDEX p ON users"),
        ];
        let renamed = [("public.people".to_owned(), "public.users".to_owned())];
        let said: Vec<String> = of_definitions(&live, &restored, &renamed)
            .into_iter()
            .map(|c| format!("{} {} {}", c.what, c.on, c.says))
            .collect();
        assert_eq!(
            said,
            [
                "constraint public.a c: CHECK (x > 0) on live, CHECK (x > 1) in the copy",
                "index public.a i: only on live",
                "view public.v only in the copy",
            ]
        );
    }

    #[test]
    fn a_copy_is_up_to_32_ahead_and_that_is_normal() {
        let sequence = |last| Sequence { schema: "public".into(), name: "s".into(), last, step: 1 };
        let changes = |live, restored| of_sequences(&[sequence(live)], &[sequence(restored)]);
        assert!(changes(Some(2), Some(33))[0].normal);
        assert!(!changes(Some(2), Some(35))[0].normal);
        assert!(changes(Some(99), Some(33)).is_empty() && changes(None, Some(1)).is_empty());
    }
}
