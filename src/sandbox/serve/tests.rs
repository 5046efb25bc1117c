//! Serving without TLS: what the kernel and the peer see.

use std::time::Duration;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(600);

async fn served(provider: Provider) -> (Served, Faults, watch::Sender<bool>) {
    let (stop, stopped) = watch::channel(false);
    let faults = Faults::default();
    let app = Router::new().route("/", get(|| async { "well" }));
    let served = serve(None, app, None, provider, faults.clone(), stopped).await.unwrap();
    (served, faults, stop)
}

/// One request on a connection of its own; everything that comes back.
async fn ask(addr: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    let mut text = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("no answer")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn short_answers_keep_their_length() {
    let (served, _faults, _stop) = served(Provider::Service).await;
    let answer = ask(served.addr).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("content-length: 4") && answer.ends_with("well"), "{answer}");
}

#[tokio::test]
async fn azure_errs_in_its_envelope() {
    let (served, faults, _stop) = served(Provider::Azure).await;
    faults.set(Provider::Service, Kind::ServerError, LONG);
    assert!(ask(served.addr).await.unwrap().ends_with("well"), "another provider's fault");
    faults.set(Provider::Azure, Kind::Unauthorized, LONG);
    let answer = ask(served.addr).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("www-authenticate") && answer.contains("ExpiredAuthenticationToken"), "{answer}");
    faults.set(Provider::Azure, Kind::Throttled, LONG);
    assert!(ask(served.addr).await.unwrap().contains("retry-after: 5"));
}

#[tokio::test]
async fn a_refusing_port_opens_again() {
    let (served, faults, _stop) = served(Provider::Service).await;
    faults.set(Provider::Service, Kind::Refused, LONG);
    while !ask(served.addr).await.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
        tokio::task::yield_now().await;
    }
    faults.clear(Provider::Service);
    let opened = async { while ask(served.addr).await.is_err() {} };
    timeout(PATIENCE, opened).await.expect("it does not open again");
}

#[tokio::test]
async fn a_stop_closes_everything() {
    let (served, _faults, stop) = served(Provider::Service).await;
    let addr = served.addr;
    let mut idle = TcpStream::connect(addr).await.unwrap();
    assert!(ask(addr).await.is_ok());
    stop.send(true).unwrap();
    timeout(PATIENCE, served.ended()).await.expect("it goes on");
    let mut byte = [0];
    assert!(matches!(timeout(PATIENCE, idle.read(&mut byte)).await.unwrap(), Ok(0) | Err(_)));
    assert!(TcpStream::connect(addr).await.is_err());
}
