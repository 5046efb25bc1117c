//! Explains what is wrong with a configuration file: unknown and missing keys with their lines and the nearest known
//! name. Pure.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::load::Problem;
use super::schema::{AZURE, CLUSTER, ENVIRONMENT, Key, TOP, TUNNEL};
use crate::domain::text::{clean, nearest};

/// The text with the means to say on which line something stands.
pub struct Text<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Text<'_> {
    /// Line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
    }

    pub fn problem(&self, offset: usize, text: String) -> Problem {
        Problem { file: self.file.to_owned(), line: self.line(offset), text }
    }
}

/// All unknown and missing keys of the file.
pub fn keys(source: &Text<'_>, root: &Spanned<DeTable<'_>>) -> Vec<Problem> {
    let mut found = Vec::new();
    let table = root.get_ref();
    check(source, table, 0, "the file", TOP, &mut found);
    let Some(environments) = table.get("environments") else {
        return found;
    };
    let Some(all) = environments.get_ref().as_table() else {
        found.push(wrong_kind(source, environments, "environments"));
        return found;
    };
    if all.is_empty() {
        let at = environments.span().start;
        found.push(source.problem(at, "no environment: add [environments.production]".to_owned()));
    }
    for (name, value) in all {
        environment(source, name.get_ref(), value, &mut found);
    }
    found
}

fn environment(source: &Text<'_>, name: &str, value: &Spanned<DeValue<'_>>, found: &mut Vec<Problem>) {
    let path = format!("environments.{name}");
    let Some(table) = value.get_ref().as_table() else {
        found.push(wrong_kind(source, value, &path));
        return;
    };
    check(source, table, value.span().start, &format!("[{path}]"), ENVIRONMENT, found);
    for (part, keys) in [("cluster", CLUSTER), ("azure", AZURE), ("tunnel", TUNNEL)] {
        let Some(inner) = table.get(part) else { continue };
        let path = format!("{path}.{part}");
        match inner.get_ref().as_table() {
            Some(table) => check(source, table, inner.span().start, &format!("[{path}]"), keys, found),
            None => found.push(wrong_kind(source, inner, &path)),
        }
    }
}

fn wrong_kind(source: &Text<'_>, value: &Spanned<DeValue<'_>>, path: &str) -> Problem {
    let kind = value.get_ref().type_str();
    source.problem(value.span().start, format!("`{path}` must be a table, and is a {kind}: write [{path}]"))
}

fn check(
    source: &Text<'_>,
    table: &DeTable<'_>,
    at: usize,
    place: &str,
    known: &[Key],
    found: &mut Vec<Problem>,
) {
    for (key, _) in table {
        let name: &str = key.get_ref();
        if !known.iter().any(|k| k.name == name) {
            found.push(source.problem(key.span().start, unknown(name, place, known)));
        }
    }
    for key in known.iter().filter(|k| k.needed && !table.contains_key(k.name)) {
        let environment = place.trim_matches(['[', ']']).trim_start_matches("environments.");
        let example = key.example.replace("NAME", environment);
        found.push(source.problem(at, format!("missing key `{}` in {place}: add `{example}`", key.name)));
    }
}

fn unknown(name: &str, place: &str, known: &[Key]) -> String {
    let name = clean(name);
    let names = known.iter().map(|k| k.name);
    match nearest(&name, names, name.len().max(4) / 2) {
        Some(nearest) => format!("unknown key `{name}` in {place}; did you mean `{nearest}`?"),
        None => {
            let all: Vec<_> = known.iter().map(|k| k.name).collect();
            format!("unknown key `{name}` in {place}; known are {}", all.join(", "))
        }
    }
}
