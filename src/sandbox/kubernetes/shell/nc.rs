//! `nc`, as busybox has it: connects to a host of the cluster's table, or listens inside the pod.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

use super::super::names::Found;
use super::{Input, Io, Output, Process, run as run_other};

/// How long a connection attempt takes at most when `-w` does not say.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes that are taken from a connection at once: a busy server writes faster than its parts can be passed on.
const PART: usize = 64 << 10;
/// Connections that one listener serves at once.
const MOST: usize = 256;

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    listen: bool,
    keep: bool,
    verbose: bool,
    only_probe: bool,
    port: Option<u16>,
    wait: Option<Duration>,
    /// What to run for each connection.
    program: Vec<String>,
    /// Host and port.
    rest: Vec<String>,
}

const USAGE: &str = "BusyBox v1.36.1 (2024-06-10 07:11:47 UTC) multi-call binary.\n\nUsage: nc [OPTIONS] HOST PORT  - \
                     connect\nnc [OPTIONS] -l -p PORT [HOST] [PORT]  - listen\n";

fn read(arguments: &[String]) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            wish.rest.push(word.clone());
            continue;
        };
        for (at, letter) in letters.char_indices() {
            match letter {
                // A second l keeps listening, as k does.
                'l' => wish.keep |= std::mem::replace(&mut wish.listen, true),
                'k' => wish.keep = true,
                'v' => wish.verbose = true,
                'z' => wish.only_probe = true,
                'n' | 'r' => {}
                'p' | 'w' | 'i' | 's' | 'e' => {
                    let attached = word.get(at + 2..).unwrap_or_default().to_owned();
                    let value = if attached.is_empty() { words.next().cloned() } else { Some(attached) };
                    let value =
                        value.ok_or(format!("nc: option requires an argument -- '{letter}'\n{USAGE}"))?;
                    let bad = || format!("nc: invalid number '{value}'\n");
                    match letter {
                        'p' => wish.port = Some(value.parse().map_err(|_| bad())?),
                        'w' => wish.wait = Some(Duration::from_secs(value.parse().map_err(|_| bad())?)),
                        'e' => {
                            wish.program = std::iter::once(value).chain(words.by_ref().cloned()).collect();
                        }
                        _ => {}
                    }
                    break;
                }
                other => return Err(format!("nc: unrecognized option: {other}\n{USAGE}")),
            }
        }
    }
    Ok(wish)
}

/// Runs it.
pub async fn run(process: &Process, arguments: &[String], io: &Io) -> i32 {
    let done = match read(arguments) {
        Ok(wish) if wish.listen => listen(process, &wish, io).await,
        Ok(wish) => connect(process, &wish, io).await,
        Err(why) => Err(why),
    };
    match done {
        Ok(code) => code,
        Err(why) => {
            let _ = io.stderr.say(&why).await;
            1
        }
    }
}

async fn connect(process: &Process, wish: &Wish, io: &Io) -> Result<i32, String> {
    let [host, port] = wish.rest.as_slice() else { return Err(USAGE.to_owned()) };
    let number: u16 = port.parse().map_err(|_| format!("nc: bad port '{port}'\n"))?;
    if matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1") {
        let refused = || format!("nc: {host} (127.0.0.1:{number}): Connection refused\n");
        let stream = process.container.connect(number).await.map_err(|_| refused())?;
        let (read, write) = tokio::io::split(stream);
        return relay(wish, io, read, write).await;
    }
    let address = match process.container.names().find(host, number) {
        Found::Address(address) => address,
        Found::NoHost => return Err(format!("nc: bad address '{host}'\n")),
        Found::NoPort => return Err(format!("nc: {host} ({host}:{number}): Connection refused\n")),
    };
    let limit = wish.wait.unwrap_or(PATIENCE);
    let stream = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("nc: {host} ({address}): {}\n", words(&error))),
        Err(_) => return Err("nc: timed out\n".to_owned()),
    };
    let _ = stream.set_nodelay(true);
    if wish.verbose {
        let _ = io.stderr.say(&format!("{host} ({address}) open\n")).await;
    }
    let (read, write) = stream.into_split();
    relay(wish, io, read, write).await
}

fn words(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "Connection refused",
        io::ErrorKind::ConnectionReset => "Connection reset by peer",
        _ => "Host is unreachable",
    }
}

/// Passes bytes both ways until the far end closes; the end of the standard input closes only this direction.
async fn relay<R, W>(wish: &Wish, io: &Io, mut far_read: R, mut far_write: W) -> Result<i32, String>
where
    R: tokio::io::AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    if wish.only_probe {
        return Ok(0);
    }
    let out = async {
        let mut buffer = vec![0; PART];
        loop {
            let read = io.stdin.read(&mut buffer).await.unwrap_or_default();
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
            if far_write.write_all(part).await.is_err() {
                break;
            }
        }
        let _ = far_write.shutdown().await;
        std::future::pending::<()>().await;
    };
    let back = async {
        let mut buffer = vec![0; PART];
        loop {
            let read = far_read
                .read(&mut buffer)
                .await
                .map_err(|error| format!("nc: read error: {}\n", words(&error)))?;
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { return Ok(0) };
            if io.stdout.write(part).await.is_err() {
                return Ok(141);
            }
        }
    };
    tokio::select! {
        () = out => Ok(0),
        done = back => done,
    }
}

async fn listen(process: &Process, wish: &Wish, io: &Io) -> Result<i32, String> {
    let last = wish.rest.last().and_then(|port| port.parse().ok());
    let port = wish.port.or(last).ok_or_else(|| USAGE.to_owned())?;
    let mut listening =
        process.container.listen(port).ok_or_else(|| "nc: bind: Address in use\n".to_owned())?;
    if wish.verbose {
        let _ = io.stderr.say(&format!("listening on [::]:{port} ...\n")).await;
    }
    let mut serving = tokio::task::JoinSet::new();
    loop {
        let stream = tokio::select! {
            Some(_) = serving.join_next() => continue,
            stream = listening.accept(), if serving.len() < MOST => stream,
        };
        let Some(stream) = stream else { return Ok(0) };
        if wish.verbose {
            let _ = io.stderr.say("connect to [::ffff:127.0.0.1] from localhost\n").await;
        }
        if wish.program.is_empty() {
            let (read, write) = tokio::io::split(stream);
            let code = relay(wish, io, read, write).await?;
            if !wish.keep {
                return Ok(code);
            }
            continue;
        }
        if !wish.keep {
            return Ok(serve(process.clone(), wish.program.clone(), io.stderr.clone(), stream).await);
        }
        serving.spawn(serve(process.clone(), wish.program.clone(), io.stderr.clone(), stream));
    }
}

/// Runs a program with a connection as its input and output.
async fn serve(mut process: Process, program: Vec<String>, stderr: Output, stream: DuplexStream) -> i32 {
    let (read, write) = tokio::io::split(stream);
    let io = Io { stdin: Input::new(read), stdout: Output::new(write), stderr };
    let stdout = io.stdout.clone();
    let code = run_other(&mut process, &program, io).await;
    stdout.close().await;
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn konduits_line_is_understood() {
        let line = "-v -lk -p 31000 -w 3600 -e /usr/bin/nc -w 3600 db.example 5432";
        let words: Vec<String> = line.split(' ').map(Into::into).collect();
        let wish = read(&words).unwrap();
        assert!(wish.listen && wish.keep && wish.verbose);
        assert_eq!((wish.port, wish.wait), (Some(31000), Some(Duration::from_secs(3600))));
        assert_eq!(wish.program, ["/usr/bin/nc", "-w", "3600", "db.example", "5432"]);
        assert!(read(&["-Q".into()]).is_err() && read(&["-p".into()]).is_err());
        assert_eq!(read(&["-w5".into(), "h".into(), "1".into()]).unwrap().wait, Some(Duration::from_secs(5)));
    }
}
