//! A person's own question to both databases, as text: one SELECT, and the functions that it calls by name. Pure; what a
//! function may do, the server says.

use std::collections::BTreeSet;

/// One SELECT without its semicolon, and what it calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub sql: String,
    /// Names that stand before a parenthesis, as the catalogue has them.
    pub calls: BTreeSet<String>,
}

/// Volatile functions of PostgreSQL's own that change nothing.
pub const HARMLESS: [&str; 30] = [
    "random",
    "clock_timestamp",
    "timeofday",
    "gen_random_uuid",
    "pg_relation_size",
    "pg_total_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_database_size",
    "pg_tablespace_size",
    "pg_lock_status",
    "pg_blocking_pids",
    "pg_safe_snapshot_blocking_pids",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_current_wal_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_flush_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_wal_receive_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_xact_commit_timestamp",
    "pg_last_committed_xact",
    "pg_xact_status",
    "txid_status",
    "pg_control_system",
    "pg_control_checkpoint",
    "pg_control_recovery",
    "pg_control_init",
    "pg_prepared_xact",
];

/// Reads what a person typed.
///
/// # Errors
/// Why it is not one SELECT, in words.
pub fn read(text: &str) -> Result<Question, String> {
    let tokens = tokens(text)?;
    let mut tokens = tokens.as_slice();
    let mut end = text.len();
    if let Some(at) = tokens.iter().position(|t| t.kind == Kind::Sign(';')) {
        let (before, after) = tokens.split_at(at);
        if after.iter().any(|t| t.kind != Kind::Sign(';')) {
            return Err("Only one SELECT can be asked: after the semicolon there is more.".into());
        }
        end = after.first().map_or(end, |t| t.from);
        tokens = before;
    }
    let first = tokens.iter().find(|t| t.kind != Kind::Sign('('));
    match first.map(|t| &t.kind) {
        None => return Err("There is nothing to ask: type a SELECT.".into()),
        Some(Kind::Word(word)) if ["select", "with", "values", "table"].contains(&word.as_str()) => {}
        Some(Kind::Word(word)) => {
            let word = word.to_uppercase();
            return Err(format!("Only one SELECT can be asked, and this begins with {word}."));
        }
        Some(_) => return Err("Only one SELECT can be asked, and this does not begin like one.".into()),
    }
    Ok(Question { sql: text.get(..end).unwrap_or(text).trim().to_owned(), calls: calls(tokens) })
}

/// The functions that a plan calls, as `EXPLAIN VERBOSE` prints it: those of views and of row-level policies too.
///
/// # Errors
/// It cannot be read.
pub fn called(plan: &str) -> Result<BTreeSet<String>, String> {
    Ok(calls(&tokens(plan)?))
}

/// The functions that a condition calls; it stands in parentheses in statements of ours.
///
/// # Errors
/// Why it is not one expression, in words.
pub fn condition(text: &str) -> Result<BTreeSet<String>, String> {
    let tokens = tokens(text)?;
    let mut depth = 0_i32;
    for token in &tokens {
        match token.kind {
            Kind::Sign(';') => return Err("A condition is one expression: no semicolon.".into()),
            Kind::Sign('(') => depth += 1,
            Kind::Sign(')') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return Err("A condition is one expression: it closes a parenthesis that it did not open.".into());
        }
    }
    match depth {
        _ if tokens.is_empty() => Err("There is no condition: leave it out, or write one.".into()),
        0 => Ok(calls(&tokens)),
        _ => Err("A condition is one expression: a parenthesis is not closed.".into()),
    }
}

fn calls(tokens: &[Token]) -> BTreeSet<String> {
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    let call = |(name, sign): (&Token, &Token)| match (&name.kind, &sign.kind) {
        (Kind::Word(name) | Kind::Name(name), Kind::Sign('(')) => Some(name.clone()),
        _ => None,
    };
    pairs.filter_map(call).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A keyword or a name without quotes, in small letters.
    Word(String),
    /// A name in quotes.
    Name(String),
    /// A text, or a number.
    Value,
    Sign(char),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    kind: Kind,
    /// The byte at which it begins.
    from: usize,
}

/// PostgreSQL's tokens, as far as they matter here, with `standard_conforming_strings` on.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = Rest { text, at: 0 };
    while let Some(c) = rest.peek() {
        let from = rest.at;
        let kind = if c.is_whitespace() {
            rest.bump();
            continue;
        } else if rest.starts("--") {
            rest.line();
            continue;
        } else if rest.starts("/*") {
            rest.comment()?;
            continue;
        } else if rest.starts_word(&["e'"]) {
            rest.skip(1);
            rest.quoted('\'', true)?;
            Kind::Value
        } else if rest.starts_word(&["u&\""]) {
            return Err("Names with U& escapes are not asked for here: write the name itself.".into());
        } else if c == '\'' {
            rest.quoted('\'', false)?;
            Kind::Value
        } else if c == '"' {
            Kind::Name(rest.quoted('"', false)?)
        } else if is_first(c) {
            Kind::Word(rest.word())
        } else if c.is_ascii_digit() {
            rest.word();
            Kind::Value
        } else if c == '$' && rest.dollar()? {
            Kind::Value
        } else {
            rest.bump();
            Kind::Sign(c)
        };
        out.push(Token { kind, from });
    }
    Ok(out)
}

fn is_first(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    fn left(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.left().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn starts(&self, what: &str) -> bool {
        self.left().starts_with(what)
    }

    fn starts_word(&self, all: &[&str]) -> bool {
        all.iter().any(|w| self.left().get(..w.len()).is_some_and(|s| s.eq_ignore_ascii_case(w)))
    }

    fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.text.len());
    }

    fn line(&mut self) {
        let n = self.left().find(['\n', '\r']).unwrap_or(self.left().len());
        self.skip(n);
    }

    /// A comment; they nest.
    fn comment(&mut self) -> Result<(), String> {
        let mut depth = 0usize;
        loop {
            if self.starts("/*") {
                depth += 1;
                self.skip(2);
            } else if self.starts("*/") {
                depth -= 1;
                self.skip(2);
                if depth == 0 {
                    return Ok(());
                }
            } else if self.bump().is_none() {
                return Err("A comment is not closed: */ is missing.".into());
            }
        }
    }

    /// From an opening quote to its end; what stands between.
    fn quoted(&mut self, quote: char, escapes: bool) -> Result<String, String> {
        self.bump();
        let mut out = String::new();
        while let Some(c) = self.bump() {
            if c == quote {
                if self.peek() != Some(quote) {
                    return Ok(out);
                }
                self.bump();
            } else if escapes && c == '\\' {
                self.bump();
            }
            out.push(c);
        }
        Err(format!("A quote is not closed: {quote} is missing."))
    }

    fn word(&mut self) -> String {
        let whole = |c: char| is_first(c) || c.is_ascii_digit() || c == '$';
        let n = self.left().find(|c| !whole(c)).unwrap_or(self.left().len());
        let word = self.left().get(..n).unwrap_or("").to_ascii_lowercase();
        self.skip(n);
        word
    }

    /// `$tag$ … $tag$`; false if it is a parameter such as `$1`.
    fn dollar(&mut self) -> Result<bool, String> {
        let left = self.left();
        let Some(end) = left.get(1..).and_then(|l| l.find('$')) else { return Ok(false) };
        let tag = left.get(..end + 2).unwrap_or("");
        let name = tag.trim_matches('$');
        let fits = name.chars().next().is_none_or(is_first)
            && name.chars().all(|c| is_first(c) || c.is_ascii_digit());
        if !fits {
            return Ok(false);
        }
        self.skip(tag.len());
        let Some(n) = self.left().find(tag) else {
            return Err(format!("A quote is not closed: {tag} is missing."));
        };
        self.skip(n + tag.len());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        read(text).unwrap().calls.into_iter().collect()
    }

    #[test]
    fn one_select_and_nothing_else() {
        for good in [
            "select 1",
            " SELECT 1 ; ",
            "with a as (select 1) select * from a",
            "(select 1) union (select 2)",
            "table users",
            "values (1)",
            "-- why\nselect ';' -- here;\n;;",
            "select $$;$$, $a$ ' $$ $a$, E'\\';'",
            "select \"a;b\" from \"t\"",
            "select /* ; /* ; */ */ 1",
        ] {
            let read = read(good).unwrap_or_else(|e| panic!("{good}: {e}"));
            assert!(tokens(&read.sql).unwrap().iter().all(|t| t.kind != Kind::Sign(';')), "{good}");
        }
        for (bad, why) in [
            ("select 1; delete from users", "after the semicolon"),
            ("select 1; ;commit", "after the semicolon"),
            ("delete from users", "begins with DELETE"),
            ("COPY users TO PROGRAM 'rm'", "begins with COPY"),
            ("set default_transaction_read_only=off; delete from users", "after the semicolon"),
            ("explain analyze select 1", "begins with EXPLAIN"),
            ("do $$ begin end $$", "begins with DO"),
            ("", "nothing to ask"),
            (" ; ", "nothing to ask"),
            ("-- x", "nothing to ask"),
            ("'select'", "does not begin like one"),
            ("select 'a", "not closed"),
            ("select \"a", "not closed"),
            ("select /* a", "not closed"),
            ("select $$ a", "not closed"),
            ("select U&\"nextval\"('s')", "U& escapes"),
        ] {
            let said = read(bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn a_condition_is_one_expression() {
        let calls: Vec<_> = condition("id > 7 and lower(name) <> ';)' -- x").unwrap().into_iter().collect();
        assert_eq!(calls, ["lower"]);
        for (bad, why) in [
            ("true; select 1", "semicolon"),
            ("true) or (true", "did not open"),
            ("id in (1", "not closed"),
            ("-- nothing", "no condition"),
            ("name = 'x", "quote"),
        ] {
            let said = condition(bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn calls_are_seen_however_they_are_written() {
        assert_eq!(names("select NextVal ('s'), 'pg_sleep(1)', -- now()\n x"), ["nextval"]);
        assert_eq!(names("select pg_catalog.\"nextval\"/* */('s')"), ["nextval"]);
        assert_eq!(names("select E'\\'', dblink('x') from t"), ["dblink"]);
        assert_eq!(names("select '\\', pg_notify('a', 'b')"), ["pg_notify"], "a backslash ends nothing");
        assert_eq!(names("select $1$a$ from t"), [""; 0], "a parameter begins no quote");
        assert_eq!(names("select 1 where x in (1)"), ["in"]);
        let plan = "Result\n  Output: \"left\"((pg_terminate_backend(1))::text, 5), 'dblink('::text";
        assert_eq!(called(plan).unwrap().into_iter().collect::<Vec<_>>(), ["left", "pg_terminate_backend"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_survived(text in "[a-eéU&ES'\"$;/*\\- (\\\\\n1]{0,40}|.{0,60}") {
            let _ = read(&text);
        }

        /// Whatever stands in a text is no call, and whatever stands behind it is.
        #[test]
        fn a_text_hides_nothing_that_stands_behind_it(text in "[a-z(;'\"$\\\\ -]{0,12}") {
            let sql = format!("select '{}', danger(1)", text.replace('\'', "''"));
            prop_assert_eq!(names(&sql), ["danger"]);
        }
    }
}
