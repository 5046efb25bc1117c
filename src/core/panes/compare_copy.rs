//! A differing row as CSV, JSON or INSERT. The text is exact: what cannot be said exactly is refused and not altered.

use std::fmt::Write;

use serde_json::{Map, json};

use super::compare_rows::{kind, version};
use crate::compare::model::{RowDiff, RowVersion};
use crate::compare::{RowKind, Side, TableResult, Value};

/// A form to copy a row in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Csv,
    Json,
    Insert,
}

/// The row as text, each version with its side.
///
/// # Errors
/// In words, if this form cannot say exactly what the row holds.
pub fn copy(result: &TableResult, row: &RowDiff, form: Form) -> Result<String, String> {
    match form {
        Form::Csv => csv(result, row),
        Form::Json => Ok(as_json(result, row)),
        Form::Insert => insert(result, row),
    }
}

fn versions(row: &RowDiff) -> impl Iterator<Item = (&'static str, &RowVersion)> {
    let of = |side| version(row, side);
    [("live", of(Side::Live)), ("ptr", of(Side::Restored))].into_iter().filter_map(|(s, v)| Some((s, v?)))
}

fn as_json(result: &TableResult, row: &RowDiff) -> String {
    let object = |version: &RowVersion| {
        let named = result.columns.iter().zip(&version.values);
        named.map(|(c, v)| (c.clone(), v.as_ref().map_or(json!(null), whole))).collect::<Map<_, _>>()
    };
    let mut out = Map::new();
    out.insert("table".into(), json!(result.table.to_string()));
    out.insert("kind".into(), json!(kind(row.kind)));
    for (side, version) in versions(row) {
        out.insert(side.into(), json!(object(version)));
    }
    serde_json::Value::Object(out).to_string()
}

/// A cut value says so: it is an object and no text.
fn whole(value: &Value) -> serde_json::Value {
    match &value.cut {
        None => json!(value.text),
        Some(cut) => json!({"begins": value.text, "bytes": cut.bytes, "md5": cut.md5}),
    }
}

fn complete(version: &RowVersion) -> Result<(), String> {
    if version.values.iter().flatten().any(|v| v.cut.is_some()) {
        return Err(
            "A value is here only in part: f on it (Enter) fetches it whole; J copies the row as JSON, \
                    which says so."
                .into(),
        );
    }
    Ok(())
}

/// As `COPY … CSV` writes it: NULL is nothing, the empty text is `""`.
fn csv(result: &TableResult, row: &RowDiff) -> Result<String, String> {
    let mut out = String::from("side");
    for column in &result.columns {
        write!(out, ",{}", quoted(column)).unwrap_or_default();
    }
    for (side, version) in versions(row) {
        complete(version)?;
        write!(out, "\n{side}").unwrap_or_default();
        for value in &version.values {
            let text = value.as_ref().map_or(String::new(), |v| quoted(&v.text));
            if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
                return Err(
                    "A value holds control characters: J copies the row as JSON, which escapes them.".into(),
                );
            }
            write!(out, ",{text}").unwrap_or_default();
        }
    }
    Ok(out)
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text != "\\."
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.contains([',', '"', '\n', '\r']);
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// The version that live lacks; of a row that is new on live, live's.
fn insert(result: &TableResult, row: &RowDiff) -> Result<String, String> {
    let side = if row.kind == RowKind::New { Side::Live } else { Side::Restored };
    let version = version(row, side).ok_or("This row has no such version.")?;
    complete(version)?;
    let identifier = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = result.columns.iter().map(|c| identifier(c)).collect();
    let values: Vec<String> = version.values.iter().map(|v| literal(v.as_ref())).collect();
    let (schema, name) = (identifier(&result.table.schema), identifier(&result.table.name));
    Ok(format!("INSERT INTO {schema}.{name} ({}) VALUES ({});", columns.join(", "), values.join(", ")))
}

/// A literal that means the same whatever `standard_conforming_strings` is, in one line.
fn literal(value: Option<&Value>) -> String {
    let Some(value) = value else { return "NULL".into() };
    let doubled = value.text.replace('\'', "''");
    if !doubled.contains('\\') && !doubled.chars().any(char::is_control) {
        return format!("'{doubled}'");
    }
    let mut out = String::from("E'");
    for c in doubled.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::compared;

    #[test]
    fn each_form_keeps_null_empty_and_quotes_apart() {
        let result = compared::table(7, "orders", &[compared::odd()]);
        let row = &result.rows[0];
        let csv = copy(&result, row, Form::Csv).unwrap();
        assert_eq!(csv, "side,id,name,note,state\nptr,4711,\"O\"\"Hara, Ada\",\"\",");
        let json = copy(&result, row, Form::Json).unwrap();
        assert_eq!(
            json,
            r#"{"kind":"lost","ptr":{"id":"4711","name":"O\"Hara, Ada","note":"","state":null},"table":"public.orders"}"#
        );
        let insert = copy(&result, row, Form::Insert).unwrap();
        assert_eq!(
            insert,
            r#"INSERT INTO "public"."orders" ("id", "name", "note", "state") VALUES ('4711', 'O"Hara, Ada', '', NULL);"#
        );
    }

    #[test]
    fn control_characters_are_escaped_or_refused() {
        let value = |text: &str| Value { text: text.into(), cut: None };
        assert_eq!(literal(Some(&value("a\u{1b}[2J\\ 'x'\n"))), "E'a\\u001b[2J\\\\ ''x''\\n'");
        let mut row = compared::odd();
        row.restored.as_mut().unwrap().values[1] = Some(value("\u{1b}]0;x\u{7}"));
        let result = compared::table(7, "orders", &[row]);
        assert!(copy(&result, &result.rows[0], Form::Csv).is_err());
        assert!(copy(&result, &result.rows[0], Form::Json).unwrap().contains("\\u001b"));
    }
}
