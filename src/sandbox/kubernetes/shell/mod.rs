//! What runs inside the simulated containers: a small shell and the few programs that people start there, emulated. It
//! never starts a process of the host, opens no file, and reaches no address but those the cluster's table of names has.

mod nc;
mod parse;
mod pipe;
mod programs;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::runtime::Container;
pub use parse::parse;
use parse::{Link, Piece, Word};
pub use pipe::{Input, Io, Output, Sink};

/// Exit code of a process that was killed.
pub const KILLED: i32 = 137;

/// A process: where it runs and its environment.
#[derive(Clone)]
pub struct Process {
    pub container: Arc<Container>,
    pub environment: BTreeMap<String, String>,
    /// It was started with a terminal.
    pub terminal: bool,
}

/// Why a container cannot start a program, in the container runtime's words.
pub fn cannot_start(container: &Container, argv: &[String]) -> Option<String> {
    let name = argv.first().map(String::as_str).unwrap_or_default();
    if programs::find(container, name).is_some() {
        return None;
    }
    let why = if name.contains('/') {
        format!("stat {name}: no such file or directory")
    } else {
        "executable file not found in $PATH".to_owned()
    };
    Some(format!(
        "OCI runtime exec failed: exec failed: unable to start container process: exec: {name:?}: {why}: unknown"
    ))
}

/// Runs a program to its end; its exit code.
pub fn run<'a>(process: &'a mut Process, argv: &'a [String], io: Io) -> BoxFuture<'a, i32> {
    Box::pin(async move {
        let Some((name, arguments)) = argv.split_first() else { return 0 };
        match programs::find(&process.container, name) {
            Some("sh" | "ash") => shell(process, arguments, &io).await,
            Some(program) => programs::run(process, program, arguments, &io).await,
            None => {
                let _ = io.stderr.say(&format!("sh: {name}: not found\n")).await;
                127
            }
        }
    })
}

async fn shell(process: &mut Process, arguments: &[String], io: &Io) -> i32 {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-c" | "-ec" | "-ce" | "-lc" => {
                let Some(script) = rest.next() else {
                    let _ = io.stderr.say("sh: option requires an argument -- c\n").await;
                    return 2;
                };
                let stop_early = argument.contains('e');
                return Script { process, io, last: 0, stop_early }.run(script).await.code();
            }
            "-" | "-i" | "-l" => {}
            other => {
                let _ =
                    io.stderr.say(&format!("sh: can't open '{other}': No such file or directory\n")).await;
                return 2;
            }
        }
    }
    interactive(process, io).await
}

/// Commands from the standard input, line by line.
async fn interactive(process: &mut Process, io: &Io) -> i32 {
    let prompt = if process.terminal { "/ $ " } else { "" };
    let mut last = 0;
    loop {
        if io.stdout.say(prompt).await.is_err() {
            return last;
        }
        let Some(line) = io.stdin.line().await else { return last };
        match (Script { process, io, last, stop_early: false }).run(&line).await {
            Outcome::Went(code) => last = code,
            Outcome::Exit(code) => return code,
        }
    }
}

enum Outcome {
    Went(i32),
    Exit(i32),
}

impl Outcome {
    fn code(&self) -> i32 {
        match self {
            Outcome::Went(code) | Outcome::Exit(code) => *code,
        }
    }
}

struct Script<'a> {
    process: &'a mut Process,
    io: &'a Io,
    /// Exit code of the last command.
    last: i32,
    stop_early: bool,
}

impl Script<'_> {
    async fn run(mut self, text: &str) -> Outcome {
        let commands = match parse(text) {
            Ok(commands) => commands,
            Err(why) => {
                let _ = self.io.stderr.say(&format!("sh: syntax error: {why}\n")).await;
                return Outcome::Went(2);
            }
        };
        for command in commands {
            let wanted = match command.link {
                Link::Always => true,
                Link::And => self.last == 0,
                Link::Or => self.last != 0,
            };
            if !wanted {
                continue;
            }
            let words: Vec<String> = command.words.iter().flat_map(|word| self.expand(word)).collect();
            let io = self.io.redirected(&command.redirects);
            match self.command(words, io).await {
                Outcome::Went(code) => self.last = code,
                exit @ Outcome::Exit(_) => return exit,
            }
            if self.stop_early && self.last != 0 {
                return Outcome::Exit(self.last);
            }
        }
        Outcome::Went(self.last)
    }

    /// What a word stands for: none, one or several arguments.
    fn expand(&self, word: &Word) -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        let mut current: Option<String> = None;
        for piece in word {
            match piece {
                Piece::Text(text) => current.get_or_insert_default().push_str(text),
                Piece::Variable { name, default, quoted } => {
                    let value = self.variable(name).or_else(|| default.clone()).unwrap_or_default();
                    if *quoted {
                        current.get_or_insert_default().push_str(&value);
                        continue;
                    }
                    let mut fields = value.split_whitespace();
                    if let Some(first) = fields.next() {
                        current.get_or_insert_default().push_str(first);
                    }
                    for field in fields {
                        parts.extend(current.replace(field.to_owned()));
                    }
                }
            }
        }
        parts.extend(current);
        parts
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.last.to_string()),
            "$" => Some("7".to_owned()),
            "0" => Some("sh".to_owned()),
            name => self.process.environment.get(name).filter(|value| !value.is_empty()).cloned(),
        }
    }

    async fn command(&mut self, mut words: Vec<String>, io: Io) -> Outcome {
        let mut own = self.process.environment.clone();
        let mut assigned = false;
        while let Some((name, value)) = words.first().and_then(|word| assignment(word)) {
            own.insert(name, value);
            assigned = true;
            words.remove(0);
        }
        let Some((name, arguments)) = words.split_first() else {
            self.process.environment = own;
            return Outcome::Went(0);
        };
        match name.as_str() {
            ":" | "set" | "trap" | "cd" => Outcome::Went(0),
            "exit" => {
                let code = arguments.first().map_or(Ok(self.last), |code| code.parse());
                Outcome::Exit(code.map_or(2, |code| code & 0xff))
            }
            "export" => {
                self.process.environment.extend(arguments.iter().filter_map(|word| assignment(word)));
                Outcome::Went(0)
            }
            "unset" => {
                self.process.environment.retain(|name, _| !arguments.contains(name));
                Outcome::Went(0)
            }
            "exec" => {
                let mut process = self.process.clone();
                Outcome::Exit(run(&mut process, arguments, io).await)
            }
            _ => {
                let mut process = self.process.clone();
                if assigned {
                    process.environment = own;
                }
                Outcome::Went(run(&mut process, &words, io).await)
            }
        }
    }
}

/// `NAME=value`, if the word is that.
fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let first = name.chars().next()?;
    let fine = (first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    fine.then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests;
