//! SPDY/3.1 frames: read, written, and their header blocks, which share one compression dictionary and stream a direction.

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

const DICTIONARY: &[u8] = include_bytes!("dictionary.bin");
/// Largest frame and largest unpacked header block that are taken, in bytes.
const LARGEST: usize = 1 << 20;
pub const FIN: u8 = 1;

/// Names (lower case) and values.
pub type Headers = Vec<(String, String)>;

/// What peers say to each other; what is of no consequence here is `Other`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Open { id: u32, fin: bool, headers: Headers },
    Accept { id: u32 },
    Reset { id: u32, status: u32 },
    Ping { id: u32 },
    GoAway { last: u32 },
    Data { id: u32, fin: bool, data: Vec<u8> },
    Other,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("SPDY: {what}"))
}

/// Reads frames.
pub struct Reader<R> {
    from: R,
    unpack: Decompress,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub fn new(from: R) -> Self {
        Reader { from, unpack: Decompress::new(true) }
    }

    /// The next frame; `None` at a clean end.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0_u8; 8];
        if self.from.read(head.get_mut(..1).unwrap_or_default()).await? == 0 {
            return Ok(None);
        }
        self.from.read_exact(head.get_mut(1..).unwrap_or_default()).await?;
        let [a, b, c, d, flags, x, y, z] = head;
        let length = usize::try_from(u32::from_be_bytes([0, x, y, z])).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(broken("frame too large"));
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).await?;
        let fin = flags & FIN != 0;
        if a & 0x80 == 0 {
            let id = u32::from_be_bytes([a, b, c, d]);
            return Ok(Some(Frame::Data { id, fin, data: body }));
        }
        if u16::from_be_bytes([a & 0x7f, b]) != 3 {
            return Err(broken("not version 3"));
        }
        self.control(u16::from_be_bytes([c, d]), fin, &body).map(Some)
    }

    fn control(&mut self, kind: u16, fin: bool, body: &[u8]) -> io::Result<Frame> {
        let first = number(body, 0)?;
        let id = first & 0x7fff_ffff;
        Ok(match kind {
            1 => {
                let block = body.get(10..).ok_or_else(|| broken("short SYN_STREAM"))?;
                Frame::Open { id, fin, headers: self.headers(block)? }
            }
            2 | 8 => {
                // The block is of no interest, but the stream of blocks must be followed.
                self.headers(body.get(4..).unwrap_or_default())?;
                if kind == 2 { Frame::Accept { id } } else { Frame::Other }
            }
            3 => Frame::Reset { id, status: number(body, 4)? },
            6 => Frame::Ping { id: first },
            7 => Frame::GoAway { last: id },
            _ => Frame::Other,
        })
    }

    fn headers(&mut self, block: &[u8]) -> io::Result<Headers> {
        let plain = self.unpack(block)?;
        let count = number(&plain, 0)?;
        let mut at = 4;
        let mut text = || -> io::Result<String> {
            let length = usize::try_from(number(&plain, at)?).unwrap_or(usize::MAX);
            let end = at.saturating_add(4).saturating_add(length);
            let bytes = plain.get(at + 4..end).ok_or_else(|| broken("short header block"))?;
            at = end;
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        let mut headers = Headers::new();
        for _ in 0..count {
            headers.push((text()?.to_lowercase(), text()?));
        }
        Ok(headers)
    }

    fn unpack(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        let mut rest = block;
        loop {
            if plain.len() > LARGEST {
                return Err(broken("header block too large"));
            }
            plain.reserve(4 << 10);
            let (taken, given) = (self.unpack.total_in(), plain.len());
            let status = match self.unpack.decompress_vec(rest, &mut plain, FlushDecompress::Sync) {
                Ok(status) => status,
                Err(error) if error.needs_dictionary().is_some() => {
                    self.unpack.set_dictionary(DICTIONARY).map_err(|_| broken("unknown dictionary"))?;
                    Status::Ok
                }
                Err(_) => return Err(broken("header block not readable")),
            };
            let taken = usize::try_from(self.unpack.total_in() - taken).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            let moved = taken > 0 || plain.len() > given;
            if status == Status::StreamEnd || (rest.is_empty() && plain.len() < plain.capacity()) {
                return Ok(plain);
            }
            if !moved && status == Status::BufError {
                return Err(broken("header block is cut"));
            }
        }
    }
}

fn number(bytes: &[u8], at: usize) -> io::Result<u32> {
    let four = bytes.get(at..at.saturating_add(4)).and_then(|four| <[u8; 4]>::try_from(four).ok());
    four.map(u32::from_be_bytes).ok_or_else(|| broken("short frame"))
}

/// Writes frames into buffers.
pub struct Writer {
    pack: Compress,
    begun: bool,
}

impl Writer {
    pub fn new() -> Self {
        Writer { pack: Compress::new(Compression::fast(), true), begun: false }
    }

    pub fn encode(&mut self, frame: &Frame) -> io::Result<Vec<u8>> {
        Ok(match frame {
            Frame::Data { id, fin, data } => {
                let mut bytes = Vec::with_capacity(8 + data.len());
                bytes.extend_from_slice(&id.to_be_bytes());
                length(&mut bytes, u8::from(*fin) * FIN, data.len());
                bytes.extend_from_slice(data);
                bytes
            }
            Frame::Open { id, fin, headers } => {
                let mut body = id.to_be_bytes().to_vec();
                body.extend_from_slice(&[0; 6]);
                body.extend(self.headers(headers)?);
                control(1, u8::from(*fin) * FIN, &body)
            }
            Frame::Accept { id } => {
                let mut body = id.to_be_bytes().to_vec();
                body.extend(self.headers(&Headers::new())?);
                control(2, 0, &body)
            }
            Frame::Reset { id, status } => control(3, 0, &[id.to_be_bytes(), status.to_be_bytes()].concat()),
            Frame::Ping { id } => control(6, 0, &id.to_be_bytes()),
            Frame::GoAway { last } => control(7, 0, &[last.to_be_bytes(), [0; 4]].concat()),
            Frame::Other => Vec::new(),
        })
    }

    fn headers(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
        plain.extend_from_slice(&count(headers.len()));
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&count(text.len()));
            plain.extend_from_slice(text.as_bytes());
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.pack.set_dictionary(DICTIONARY).map_err(|_| broken("no dictionary"))?;
        }
        // Enough for what cannot be packed: no header block here is large.
        let mut packed = Vec::with_capacity(2 * plain.len() + 256);
        self.pack
            .compress_vec(&plain, &mut packed, FlushCompress::Sync)
            .map_err(|_| broken("header block cannot be packed"))?;
        Ok(packed)
    }
}

fn control(kind: u16, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 3];
    bytes.extend_from_slice(&kind.to_be_bytes());
    length(&mut bytes, flags, body.len());
    bytes.extend_from_slice(body);
    bytes
}

/// Flags and a length of 24 bits.
fn length(bytes: &mut Vec<u8>, flags: u8, length: usize) {
    let [_, x, y, z] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    bytes.extend_from_slice(&[flags, x, y, z]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn there_and_back(frames: &[Frame]) -> Vec<Frame> {
        let mut writer = Writer::new();
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| writer.encode(frame).unwrap()).collect();
        let mut reader = Reader::new(bytes.as_slice());
        let mut found = Vec::new();
        while let Some(frame) = reader.next().await.unwrap() {
            found.push(frame);
        }
        found
    }

    #[tokio::test]
    async fn frames_are_read_as_written() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let frames = [
            Frame::Open {
                id: 1,
                fin: true,
                headers: vec![header("streamtype", "error"), header("port", "5432")],
            },
            Frame::Open {
                id: 3,
                fin: false,
                headers: vec![header("streamtype", "data"), header("port", "5432")],
            },
            Frame::Accept { id: 1 },
            Frame::Data { id: 3, fin: false, data: vec![0, 255, 10] },
            Frame::Data { id: 3, fin: true, data: Vec::new() },
            Frame::Ping { id: 7 },
            Frame::Reset { id: 3, status: 5 },
            Frame::GoAway { last: 3 },
        ];
        assert_eq!(there_and_back(&frames).await, frames);
    }

    #[tokio::test]
    async fn long_header_blocks_are_unpacked_whole() {
        let headers: Headers = (0..300).map(|n| (format!("name-{n}"), "x".repeat(50))).collect();
        let frames = [Frame::Open { id: 1, fin: false, headers: headers.clone() }, Frame::Accept { id: 1 }];
        assert_eq!(there_and_back(&frames).await, frames);
    }

    proptest! {
        #[test]
        fn rubbish_is_an_error_and_no_more(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut reader = Reader::new(bytes.as_slice());
                while let Ok(Some(_)) = reader.next().await {}
            });
        }
    }
}
