//! Bytes: many connections at once, much in both directions, one direction closed before the other.

use std::net::SocketAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::ground::{APP, Ground};

const LONG: Duration = Duration::from_secs(90);

/// Gives back all it gets, and closes when it has given back all.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    address
}

async fn pour(to: &mut (impl AsyncWrite + Unpin), total: usize, seed: u32) -> String {
    let block: Vec<u8> =
        (0..65_537_u32).map(|n| ((n ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut left, mut hash) = (total, Sha256::new());
    while left > 0 {
        let part = &block[..left.min(block.len())];
        to.write_all(part).await.unwrap();
        hash.update(part);
        left -= part.len();
    }
    // Half-close: what comes back is still read.
    to.shutdown().await.unwrap();
    format!("{:x}", hash.finalize())
}

async fn measure(mut from: impl AsyncRead + Unpin) -> (u64, String) {
    let (mut total, mut hash, mut buffer) = (0, Sha256::new(), vec![0; 64 << 10]);
    loop {
        let read = from.read(&mut buffer).await.unwrap();
        if read == 0 {
            return (total, format!("{:x}", hash.finalize()));
        }
        total += read as u64;
        hash.update(&buffer[..read]);
    }
}

async fn round(port: u16, total: usize, seed: u32) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (read, mut write) = stream.split();
    let both = async { tokio::join!(pour(&mut write, total, seed), measure(read)) };
    let (sent, got) = timeout(LONG, both).await.expect("in time");
    assert_eq!(got, (total as u64, sent), "connection {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_connections_and_two_hundred_megabytes_each_way_arrive_intact() {
    let ground = Ground::of(|_| Vec::new(), false).await;
    ground.names.set("far.example", 6379, echo().await);
    // By exec through the app's pod, and by port-forward through a pod of its own.
    let (mut exec, port) = ground.listen(&["-r", "REDIS_URL", APP]).await;
    let many: Vec<_> = (0..20).map(|n| tokio::spawn(round(port, 300_000 + n as usize * 7, n))).collect();
    for one in many {
        one.await.unwrap();
    }
    round(port, 200_000_000, 99).await;
    exec.kill().await.unwrap();
    let (mut relay, port) = ground.listen(&["-r", "REDIS_URL", "--port-forward", APP]).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let (mut read, mut write) = stream.split();
    let mut got = vec![0; sent.len()];
    let both = async { tokio::join!(write.write_all(&sent), read.read_exact(&mut got)) };
    let (wrote, came) = timeout(LONG, both).await.expect("in time");
    wrote.unwrap();
    came.unwrap();
    assert_eq!(got, sent);
    relay.kill().await.unwrap();
    ground.end().await;
}
