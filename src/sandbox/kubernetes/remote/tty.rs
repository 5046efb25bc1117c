//! The line discipline of a terminal: echoes what is typed, ends lines, erases, and turns newlines into what a raw
//! terminal needs.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::super::runtime::PIPE;
use super::super::shell::{Input, Output};

/// Longest line that can be typed, in bytes; what is more is not taken, as in a real terminal.
const LONGEST: usize = 4_095;

/// Puts a terminal between the streams of a client and a process. The task ends when all that the process wrote has been
/// shown.
pub fn over(client_in: Input, client_out: Output) -> (Input, Output, JoinHandle<()>) {
    let (typed, process_in) = tokio::io::duplex(PIPE);
    let (process_out, shown) = tokio::io::duplex(PIPE);
    tokio::spawn(read(client_in, client_out.clone(), typed));
    let showing = tokio::spawn(show(shown, client_out));
    (Input::new(process_in), Output::new(process_out), showing)
}

async fn read(from: Input, echo: Output, mut to: DuplexStream) {
    let mut line: Vec<u8> = Vec::new();
    loop {
        let mut byte = [0_u8];
        if from.read(&mut byte).await.unwrap_or_default() == 0 {
            return;
        }
        let [typed] = byte;
        let shown: &[u8] = match typed {
            b'\r' | b'\n' => {
                line.push(b'\n');
                if to.write_all(&std::mem::take(&mut line)).await.is_err() {
                    return;
                }
                b"\r\n"
            }
            // Ctrl-D: the end of the input, or of what is typed so far.
            4 if line.is_empty() => return,
            4 => {
                if to.write_all(&std::mem::take(&mut line)).await.is_err() {
                    return;
                }
                b""
            }
            // Ctrl-C gives up the line.
            3 => {
                line = Vec::new();
                if to.write_all(b"\n").await.is_err() {
                    return;
                }
                b"^C\r\n"
            }
            8 | 127 if line.pop().is_some() => b"\x08 \x08",
            8 | 127 => b"",
            _ if line.len() >= LONGEST => b"\x07",
            _ => {
                line.push(typed);
                &byte
            }
        };
        if echo.write(shown).await.is_err() {
            return;
        }
    }
}

async fn show(mut from: DuplexStream, to: Output) {
    let mut buffer = vec![0; 4 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or_default();
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        let mut shown = Vec::with_capacity(part.len());
        for byte in part {
            if *byte == b'\n' {
                shown.push(b'\r');
            }
            shown.push(*byte);
        }
        if to.write(&shown).await.is_err() {
            return;
        }
    }
    to.close().await;
}
