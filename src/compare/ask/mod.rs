//! The questions, as SQL. Names are quoted, values are literals that we made ourselves; every answer column is `int8`,
//! `text`, `text[]` or `bytea`, so that no type has to be looked up on the server.

pub mod catalogue;
pub mod content;
pub mod logical;
pub mod physical;
pub mod rows;
pub mod session;

use super::model::TableName;

/// An identifier, quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal that means the same whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// A table, quoted and with its schema. `ONLY`: children are compared by themselves.
pub fn table(name: &TableName) -> String {
    format!("ONLY {}.{}", ident(&name.schema), ident(&name.name))
}

/// ` AND (condition)` or nothing.
pub fn and(filter: Option<&str>) -> String {
    // The line break ends a comment that somebody left at the end of the condition.
    filter.map_or_else(String::new, |f| format!(" AND ({f}\n)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
        let name = TableName { schema: "s".into(), name: "t; drop".into() };
        assert_eq!(table(&name), "ONLY \"s\".\"t; drop\"");
    }
}
