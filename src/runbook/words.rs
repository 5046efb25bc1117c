//! The small language of `dr` blocks: probes, expectations, scopes, changes. Each is written as it is read.

use std::fmt;

use super::error::{At, short};
use super::model::{Compare, Do, Expect, Probe, Record, Scope, Value, Which};

const PROBES: &[&str] = &[
    "replicas.wanted",
    "replicas.ready",
    "server.state",
    "server.count",
    "service.health",
    "undo.open",
    "compare.recoverable",
    "compare.differing",
];
const CHANGES: &[&str] = &["scale", "restore"];
/// Longest word or name in a `dr` block.
const WORD_MAX: usize = 63;
/// More replicas than this are a typing error.
const REPLICAS_MAX: i32 = 1_000;

pub(super) fn probe(line: usize, text: &str) -> Result<Probe, At> {
    let (name, args) = call(line, "sense", text)?;
    let scope = || one(line, "sense", text, &args).and_then(|a| scope(line, a));
    let which = || one(line, "sense", text, &args).and_then(|a| which(line, a));
    let none = |probe| {
        if args.is_empty() { Ok(probe) } else { Err(At::value(line, "sense", text, "empty brackets")) }
    };
    match name {
        "replicas.wanted" => Ok(Probe::ReplicasWanted { scope: scope()? }),
        "replicas.ready" => Ok(Probe::ReplicasReady { scope: scope()? }),
        "server.state" => Ok(Probe::ServerState { which: which()? }),
        "server.count" => Ok(Probe::ServerCount { which: which()? }),
        "service.health" => none(Probe::ServiceHealth),
        "undo.open" => none(Probe::UndoOpen),
        "compare.recoverable" => none(Probe::CompareRecoverable),
        "compare.differing" => none(Probe::CompareDiffering),
        _ => Err(At::unknown(line, "probe", name, PROBES)),
    }
}

pub(super) fn expect(line: usize, text: &str) -> Result<Expect, At> {
    let bad =
        || At::value(line, "verify", text, "`== 0`, `!= 0`, `>= 1`, `<= 1`, `== Ready` or `== captured`");
    let (compare, rest) = [
        ("==", Compare::Equal),
        ("!=", Compare::NotEqual),
        (">=", Compare::AtLeast),
        ("<=", Compare::AtMost),
    ]
    .into_iter()
    .find_map(|(sign, compare)| Some((compare, text.strip_prefix(sign)?.trim())))
    .ok_or_else(bad)?;
    let value = if rest == "captured" {
        Value::Captured
    } else if let Ok(number) = rest.parse::<i64>() {
        Value::Number(number)
    } else if is_word(rest) {
        Value::Word(rest.to_owned())
    } else {
        return Err(bad());
    };
    Ok(Expect { compare, value })
}

pub(super) fn capture(line: usize, text: &str) -> Result<Scope, At> {
    match call(line, "capture", text)? {
        ("replicas", args) => scope(line, one(line, "capture", text, &args)?),
        (name, _) => Err(At::unknown(line, "capture", name, &["replicas"])),
    }
}

pub(super) fn change(line: usize, text: &str) -> Result<Do, At> {
    let (name, args) = call(line, "do", text)?;
    match (name, args.as_slice()) {
        ("scale", [target, to]) => {
            let to = to
                .parse::<i32>()
                .ok()
                .filter(|n| (0..=REPLICAS_MAX).contains(n))
                .ok_or_else(|| At::value(line, "do", text, "a number of replicas from 0 to 1000"))?;
            Ok(Do::Scale { scope: scope(line, target)?, to })
        }
        ("restore", [target]) => Ok(Do::Restore { scope: scope(line, target)? }),
        ("scale" | "restore", _) => Err(At::value(line, "do", text, "`scale(app, 0)` or `restore(app)`")),
        _ => Err(At::unknown(line, "change", name, CHANGES)),
    }
}

pub(super) fn record(line: usize, text: &str) -> Result<Record, At> {
    match text {
        "time" => return Ok(Record::Time),
        "time utc" => return Ok(Record::TimeUtc),
        _ => {}
    }
    let words: Vec<String> = text.split('|').map(|word| word.trim().to_owned()).collect();
    let twice =
        words.iter().enumerate().any(|(n, w)| words.iter().take(n).any(|o| o.eq_ignore_ascii_case(w)));
    if words.len() < 2 || twice || !words.iter().all(|w| is_word(w)) {
        return Err(At::value(
            line,
            "record",
            text,
            "`time`, `time utc`, or words to choose from: `full | partial`",
        ));
    }
    Ok(Record::OneOf(words))
}

/// What a probe gives: a number or a word. Says what does not fit.
pub(super) fn fits(probe: &Probe, expect: &Expect) -> Result<(), &'static str> {
    let number = !matches!(probe, Probe::ServerState { .. } | Probe::ServiceHealth);
    let replicas = matches!(probe, Probe::ReplicasWanted { .. } | Probe::ReplicasReady { .. });
    let ordered = matches!(expect.compare, Compare::AtLeast | Compare::AtMost);
    match expect.value {
        Value::Captured if !replicas => {
            Err(if number { "a number that is never captured" } else { "a word" })
        }
        Value::Number(_) if !number => Err("a word"),
        Value::Word(_) if number => Err("a number"),
        Value::Word(_) if ordered => Err("a word, which is neither more nor less than another"),
        _ => Ok(()),
    }
}

fn call<'a>(line: usize, key: &str, text: &'a str) -> Result<(&'a str, Vec<&'a str>), At> {
    let bad = || At::value(line, key, text, "a name with brackets, e.g. `replicas.ready(app)`");
    let (name, rest) = text.split_once('(').ok_or_else(bad)?;
    let inside = rest.strip_suffix(')').ok_or_else(bad)?;
    let args = if inside.trim().is_empty() { Vec::new() } else { inside.split(',').map(str::trim).collect() };
    Ok((name.trim(), args))
}

fn one<'a>(line: usize, key: &str, text: &str, args: &[&'a str]) -> Result<&'a str, At> {
    match args {
        [arg] => Ok(arg),
        _ => Err(At::value(line, key, text, "one name in brackets, e.g. `(app)` or `(live)`")),
    }
}

fn scope(line: usize, text: &str) -> Result<Scope, At> {
    match text {
        "app" => Ok(Scope::App),
        "web" => Ok(Scope::Web),
        _ if is_word(text)
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') =>
        {
            Ok(Scope::Suffix(text.to_owned()))
        }
        _ => Err(At::value(
            line,
            "scope",
            text,
            "`app`, `web` or the end of a deployment's name, e.g. `worker`",
        )),
    }
}

fn which(line: usize, text: &str) -> Result<Which, At> {
    match text {
        "live" => Ok(Which::Live),
        "ptr" => Ok(Which::Ptr),
        _ => Err(At::unknown(line, "server", &short(text), &["live", "ptr"])),
    }
}

fn is_word(text: &str) -> bool {
    text.len() <= WORD_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::App => f.write_str("app"),
            Scope::Web => f.write_str("web"),
            Scope::Suffix(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Which::Live => "live",
            Which::Ptr => "ptr",
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Time => f.write_str("time"),
            Record::TimeUtc => f.write_str("time utc"),
            Record::OneOf(words) => f.write_str(&words.join(" | ")),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::ReplicasWanted { scope } => write!(f, "replicas.wanted({scope})"),
            Probe::ReplicasReady { scope } => write!(f, "replicas.ready({scope})"),
            Probe::ServerState { which } => write!(f, "server.state({which})"),
            Probe::ServerCount { which } => write!(f, "server.count({which})"),
            Probe::ServiceHealth => f.write_str("service.health()"),
            Probe::UndoOpen => f.write_str("undo.open()"),
            Probe::CompareRecoverable => f.write_str("compare.recoverable()"),
            Probe::CompareDiffering => f.write_str("compare.differing()"),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.compare {
            Compare::Equal => "==",
            Compare::NotEqual => "!=",
            Compare::AtLeast => ">=",
            Compare::AtMost => "<=",
        };
        match &self.value {
            Value::Number(n) => write!(f, "{sign} {n}"),
            Value::Word(w) => write!(f, "{sign} {w}"),
            Value::Captured => write!(f, "{sign} captured"),
        }
    }
}

impl fmt::Display for Do {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Do::Scale { scope, to } => write!(f, "scale({scope}, {to})"),
            Do::Restore { scope } => write!(f, "restore({scope})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_written_as_it_is_read() {
        for text in [
            "replicas.wanted(app)",
            "replicas.ready(worker)",
            "server.state(live)",
            "server.count(ptr)",
            "service.health()",
            "undo.open()",
            "compare.recoverable()",
            "compare.differing()",
        ] {
            assert_eq!(probe(1, text).unwrap().to_string(), text);
        }
        for text in ["== 0", "!= 3", ">= 1", "<= -1", "== Ready", "== captured"] {
            assert_eq!(expect(1, text).unwrap().to_string(), text);
        }
        for text in ["scale(app, 0)", "restore(web)", "scale(clock-worker, 2)"] {
            assert_eq!(change(1, text).unwrap().to_string(), text);
        }
        assert_eq!(capture(1, "replicas(app)").unwrap(), Scope::App);
        for text in ["time", "full | partial", "P1 | P2 | P3"] {
            assert_eq!(record(1, text).unwrap().to_string(), text);
        }
        for text in ["", "date", "full |", "full | Full", "a b | c"] {
            assert!(record(1, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_probe_gives_must_fit_what_is_expected() {
        let fit = |p: &str, e: &str| fits(&probe(1, p).unwrap(), &expect(1, e).unwrap()).is_ok();
        assert!(fit("replicas.ready(app)", "== captured") && fit("server.state(live)", "!= absent"));
        assert!(!fit("server.count(ptr)", "== captured") && !fit("service.health()", "== 1"));
        assert!(!fit("undo.open()", "== none") && !fit("server.state(live)", ">= Ready"));
    }
}
