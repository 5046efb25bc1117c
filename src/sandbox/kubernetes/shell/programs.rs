//! The programs of the emulated containers.

use std::time::Duration;

use chrono::Utc;

use super::super::runtime::Container;
use super::{Io, Process, nc, run as run_other};

const BIN: [&str; 9] = ["ash", "cat", "date", "echo", "false", "hostname", "sh", "sleep", "true"];
const USR_BIN: [&str; 7] = ["env", "id", "nc", "printenv", "test", "whoami", "which"];

/// The program that a name or a path means.
pub fn find(container: &Container, name: &str) -> Option<&'static str> {
    let known = |list: &[&'static str], name: &str| list.iter().find(|known| **known == name).copied();
    let found = match name.rsplit_once('/') {
        Some(("/bin", name)) => known(&BIN, name),
        Some(("/usr/bin", name)) => known(&USR_BIN, name),
        Some(_) => None,
        None => known(&BIN, name).or_else(|| known(&USR_BIN, name)),
    };
    found.filter(|name| *name != "nc" || container.has_nc())
}

/// Runs a program that is no shell.
pub async fn run(process: &mut Process, program: &str, arguments: &[String], io: &Io) -> i32 {
    let result = match program {
        "true" => return 0,
        "false" => return 1,
        "echo" => echo(arguments, io).await,
        "cat" => return cat(arguments, io).await,
        "sleep" => return sleep(arguments, io).await,
        "hostname" => io.stdout.say(&format!("{}\n", process.container.pod())).await,
        "whoami" => io.stdout.say("nobody\n").await,
        "id" => io.stdout.say("uid=65534(nobody) gid=65534(nobody) groups=65534(nobody)\n").await,
        "date" => io.stdout.say(&format!("{}\n", Utc::now().format("%a %b %e %H:%M:%S UTC %Y"))).await,
        "env" => return env(process, arguments, io).await,
        "printenv" => return printenv(process, arguments, io).await,
        "which" => return which(process, arguments, io).await,
        "test" => return test(arguments),
        "nc" => return nc::run(process, arguments, io).await,
        _ => return 127,
    };
    // Nobody reads any more: the process ends as by SIGPIPE.
    if result.is_ok() { 0 } else { 141 }
}

async fn echo(arguments: &[String], io: &Io) -> std::io::Result<()> {
    let (end, words) = match arguments.split_first() {
        Some((first, rest)) if first == "-n" => ("", rest),
        _ => ("\n", arguments),
    };
    io.stdout.say(&format!("{}{end}", words.join(" "))).await
}

async fn cat(arguments: &[String], io: &Io) -> i32 {
    let mut code = 0;
    let files: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for file in if files.is_empty() { vec!["-"] } else { files } {
        match file {
            "-" => {
                let mut buffer = vec![0; 32 << 10];
                loop {
                    let read = io.stdin.read(&mut buffer).await.unwrap_or_default();
                    let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
                    if io.stdout.write(part).await.is_err() {
                        return 141;
                    }
                }
            }
            "/dev/null" => {}
            "/etc/alpine-release" => {
                let _ = io.stdout.say("3.20.1\n").await;
            }
            other => {
                let why = format!("cat: can't open '{other}': No such file or directory\n");
                let _ = io.stderr.say(&why).await;
                code = 1;
            }
        }
    }
    code
}

async fn sleep(arguments: &[String], io: &Io) -> i32 {
    let mut total = Duration::ZERO;
    for argument in arguments {
        let (number, unit) = match argument.strip_suffix(['s', 'm', 'h', 'd']) {
            Some(number) => (number, argument.chars().last().unwrap_or('s')),
            None => (argument.as_str(), 's'),
        };
        let seconds = match (argument.as_str(), number.parse::<f64>(), unit) {
            ("infinity" | "inf", ..) => f64::from(u32::MAX),
            (_, Ok(n), 's') => n,
            (_, Ok(n), 'm') => n * 60.0,
            (_, Ok(n), 'h') => n * 3_600.0,
            (_, Ok(n), _) => n * 86_400.0,
            (_, Err(_), _) => -1.0,
        };
        match Duration::try_from_secs_f64(seconds.min(f64::from(u32::MAX))) {
            Ok(more) => total += more,
            Err(_) => {
                let _ = io.stderr.say(&format!("sleep: invalid number '{argument}'\n")).await;
                return 1;
            }
        }
    }
    tokio::time::sleep(total).await;
    0
}

async fn env(process: &mut Process, arguments: &[String], io: &Io) -> i32 {
    let mut rest = arguments;
    let mut own = process.clone();
    while let Some(((name, value), more)) =
        rest.split_first().and_then(|(first, more)| Some((super::assignment(first)?, more)))
    {
        own.environment.insert(name, value);
        rest = more;
    }
    if !rest.is_empty() {
        return run_other(&mut own, rest, io.clone()).await;
    }
    let text: String = own.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    if io.stdout.say(&text).await.is_ok() { 0 } else { 141 }
}

async fn printenv(process: &mut Process, arguments: &[String], io: &Io) -> i32 {
    if arguments.is_empty() {
        return env(process, &[], io).await;
    }
    let mut code = 0;
    for name in arguments {
        match process.environment.get(name) {
            Some(value) if io.stdout.say(&format!("{value}\n")).await.is_err() => return 141,
            Some(_) => {}
            None => code = 1,
        }
    }
    code
}

async fn which(process: &Process, arguments: &[String], io: &Io) -> i32 {
    let mut code = 0;
    for name in arguments {
        let folder = if BIN.contains(&name.as_str()) { "/bin" } else { "/usr/bin" };
        match find(&process.container, name) {
            Some(_) if name.contains('/') => drop(io.stdout.say(&format!("{name}\n")).await),
            Some(program) => drop(io.stdout.say(&format!("{folder}/{program}\n")).await),
            None => code = 1,
        }
    }
    code
}

/// `test -n X`, `test -z X`, `test A = B`, `test A != B`.
fn test(arguments: &[String]) -> i32 {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let holds = match words.as_slice() {
        ["-n", text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        [a, "=", b] => a == b,
        [a, "!=", b] => a != b,
        [text] => !text.is_empty(),
        _ => false,
    };
    i32::from(!holds)
}
