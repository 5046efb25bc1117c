//! Getting a blob, whole or in ranges, and its properties.

use std::io::SeekFrom;

use axum::body::Body;
use futures::Stream;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::answer::{Refused, plain};
use super::store::Blob;
use crate::sandbox::clock::rfc_1123 as when;

const CHUNK: usize = 128 * 1024;

/// `GET` or `HEAD` of a blob.
pub async fn get(blob: &Blob, asked: &HeaderMap, head: bool) -> Result<Response<Body>, Refused> {
    if let Some(response) = conditions(blob, asked)? {
        return Ok(response);
    }
    let range = if head { None } else { range(asked, blob.size)? };
    let mut headers = facts(blob);
    let (status, from, length) = match range {
        None => {
            headers.extend(blob.md5.clone().map(|md5| ("content-md5", md5)));
            (StatusCode::OK, 0, blob.size)
        }
        Some((from, to)) => {
            headers.push(("content-range", format!("bytes {from}-{to}/{}", blob.size)));
            headers.extend(blob.md5.clone().map(|md5| ("x-ms-blob-content-md5", md5)));
            (StatusCode::PARTIAL_CONTENT, from, to - from + 1)
        }
    };
    headers.push(("content-length", length.to_string()));
    if head {
        return Ok(plain(status, &headers, Body::empty()));
    }
    let mut file = File::open(&blob.file).await.map_err(|e| Refused::internal(&e))?;
    file.seek(SeekFrom::Start(from)).await.map_err(|e| Refused::internal(&e))?;
    Ok(plain(status, &headers, Body::from_stream(bytes(file, length))))
}

fn facts(blob: &Blob) -> Vec<(&'static str, String)> {
    let kind = blob.properties.content_type.clone();
    let mut headers = vec![
        ("content-type", kind.unwrap_or_else(|| "application/octet-stream".into())),
        ("etag", blob.etag.clone()),
        ("last-modified", when(blob.modified)),
        ("x-ms-creation-time", when(blob.created)),
        ("x-ms-blob-type", "BlockBlob".into()),
        ("x-ms-lease-status", "unlocked".into()),
        ("x-ms-lease-state", "available".into()),
        ("x-ms-server-encrypted", "true".into()),
        ("x-ms-access-tier", "Hot".into()),
        ("x-ms-access-tier-inferred", "true".into()),
        ("accept-ranges", "bytes".into()),
    ];
    headers.extend(blob.properties.content_encoding.clone().map(|e| ("content-encoding", e)));
    headers
}

/// `If-Match` and `If-None-Match`; a response when nothing is to be sent.
fn conditions(blob: &Blob, asked: &HeaderMap) -> Result<Option<Response<Body>>, Refused> {
    let tag = |name: &str| asked.get(name).and_then(|v| v.to_str().ok());
    let same = |tags: &str| tags == "*" || tags.split(',').any(|t| t.trim() == blob.etag);
    if tag("if-match").is_some_and(|tags| !same(tags)) {
        return Err(Refused::condition());
    }
    if tag("if-none-match").is_some_and(same) {
        let headers = [("etag", blob.etag.clone()), ("x-ms-error-code", "ConditionNotMet".into())];
        return Ok(Some(plain(StatusCode::NOT_MODIFIED, &headers, Body::empty())));
    }
    Ok(None)
}

/// First and last byte asked for. A range that cannot be read is no range.
fn range(asked: &HeaderMap, size: u64) -> Result<Option<(u64, u64)>, Refused> {
    let header = asked.get("x-ms-range").or_else(|| asked.get("range"));
    let Some(text) = header.and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("bytes=")) else {
        return Ok(None);
    };
    let Some((from, to)) = text.split_once('-') else { return Ok(None) };
    let Ok(from) = from.trim().parse::<u64>() else { return Ok(None) };
    let to = to.trim().parse::<u64>().unwrap_or(u64::MAX).min(size.saturating_sub(1));
    if from >= size || to < from {
        let message = "The range specified is invalid for the current size of the resource.";
        return Err(Refused::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message));
    }
    Ok(Some((from, to)))
}

fn bytes(file: File, length: u64) -> impl Stream<Item = std::io::Result<Bytes>> {
    futures::stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut buffer = vec![0; wanted];
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(read);
        Ok(Some((Bytes::from(buffer), (file, left.saturating_sub(read as u64)))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_blob() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-ms-range", text.parse().unwrap());
            range(&headers, 10).map_err(|r| r.code)
        };
        assert_eq!(asked("bytes=0-33554431"), Ok(Some((0, 9))));
        assert_eq!(asked("bytes=4-"), Ok(Some((4, 9))));
        assert_eq!(asked("bytes=2-3"), Ok(Some((2, 3))));
        assert_eq!(asked("bytes=10-11"), Err("InvalidRange"));
        assert_eq!(asked("lines=1-2"), Ok(None));
    }
}
