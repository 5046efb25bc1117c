//! Putting a blob, in one piece or in blocks.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use http::{HeaderMap, Response, StatusCode};

use super::Desk;
use super::answer::{Refused, plain};
use super::store::{Blob, Properties, Upload};
use crate::sandbox::clock::rfc_1123 as when;

/// Largest body of one request.
const MOST_BODY: u64 = 2 << 30;
/// Largest block list.
const MOST_LIST: usize = 4 << 20;
const MOST_METADATA: usize = 64;

/// `PUT` of a whole block blob.
pub async fn put(
    desk: &Desk,
    (container, name): (&str, &str),
    asked: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, Refused> {
    match text(asked, "x-ms-blob-type") {
        None => return Err(Refused::missing_header("x-ms-blob-type")),
        Some("BlockBlob") => {}
        Some(other) => return Err(Refused::header("x-ms-blob-type", other)),
    }
    let only_new = text(asked, "if-none-match") == Some("*");
    desk.store.may_write(container, name, only_new)?;
    let upload = receive(desk, asked, body).await?;
    let blob = desk.store.put(container, name, upload, properties(asked), only_new).await?;
    Ok(created(&blob))
}

/// `PUT …?comp=block&blockid=…`.
pub async fn put_block(
    desk: &Desk,
    (container, name): (&str, &str),
    id: &str,
    asked: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, Refused> {
    if STANDARD.decode(id).map_or(true, |raw| raw.is_empty() || raw.len() > 64) {
        return Err(Refused::parameter("blockid", id));
    }
    desk.store.may_write(container, name, false)?;
    let upload = receive(desk, asked, body).await?;
    let md5 = desk.store.put_block(container, name, id, upload).await?;
    let headers = [("content-md5", md5), ("x-ms-request-server-encrypted", "true".to_owned())];
    Ok(plain(StatusCode::CREATED, &headers, Body::empty()))
}

/// `PUT …?comp=blocklist`.
pub async fn put_block_list(
    desk: &Desk,
    (container, name): (&str, &str),
    asked: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, Refused> {
    let bytes =
        axum::body::to_bytes(body, MOST_LIST).await.map_err(|_| Refused::too_large(MOST_LIST as u64))?;
    let ids = block_ids(&String::from_utf8_lossy(&bytes));
    let only_new = text(asked, "if-none-match") == Some("*");
    let blob = desk.store.put_block_list(container, name, &ids, properties(asked), only_new).await?;
    Ok(created(&blob))
}

/// The text of every `Latest`, `Uncommitted` or `Committed` element.
fn block_ids(xml: &str) -> Vec<String> {
    let elements = xml.split('<').filter_map(|part| part.split_once('>'));
    elements
        .filter(|(name, _)| matches!(*name, "Latest" | "Uncommitted" | "Committed"))
        .map(|(_, id)| id.trim().to_owned())
        .collect()
}

fn created(blob: &Blob) -> Response<Body> {
    let mut headers = vec![
        ("etag", blob.etag.clone()),
        ("last-modified", when(blob.modified)),
        ("x-ms-request-server-encrypted", "true".to_owned()),
    ];
    headers.extend(blob.md5.clone().map(|md5| ("content-md5", md5)));
    plain(StatusCode::CREATED, &headers, Body::empty())
}

/// Takes the body into a file and checks the digest that came with it.
async fn receive(desk: &Desk, asked: &HeaderMap, body: Body) -> Result<Upload, Refused> {
    let length = text(asked, "content-length").and_then(|l| l.parse::<u64>().ok());
    let Some(length) = length else {
        let message = "The content length HTTP header was not specified.";
        return Err(Refused::new(StatusCode::LENGTH_REQUIRED, "MissingContentLengthHeader", message));
    };
    if length > MOST_BODY {
        return Err(Refused::too_large(MOST_BODY));
    }
    let mut upload = desk.store.upload().await?;
    let mut data = body.into_data_stream();
    while let Some(bytes) = data.next().await {
        let bytes = bytes.map_err(|_| {
            let message = "The request body was cut off.";
            Refused::new(StatusCode::BAD_REQUEST, "IncompleteBody", message)
        })?;
        upload.write(&bytes).await?;
    }
    match text(asked, "content-md5") {
        Some(md5) if md5 != upload.digest() => {
            let message = "The MD5 value specified in the request did not match with the MD5 value calculated by the \
                           server.";
            Err(Refused::new(StatusCode::BAD_REQUEST, "Md5Mismatch", message)
                .with("UserSpecifiedMd5", md5)
                .with("ServerCalculatedMd5", upload.digest()))
        }
        _ => Ok(upload),
    }
}

fn text<'a>(asked: &'a HeaderMap, name: &str) -> Option<&'a str> {
    asked.get(name).and_then(|v| v.to_str().ok())
}

fn properties(asked: &HeaderMap) -> Properties {
    let one = |first: &str, second: &str| text(asked, first).or_else(|| text(asked, second)).map(Into::into);
    let metadata = asked.iter().filter_map(|(name, value)| {
        let key = name.as_str().strip_prefix("x-ms-meta-")?;
        // What cannot be an XML element's name could not be listed.
        let fine = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        fine.then(|| (key.to_owned(), value.to_str().unwrap_or_default().to_owned()))
    });
    Properties {
        content_type: one("x-ms-blob-content-type", "content-type"),
        content_encoding: one("x-ms-blob-content-encoding", "content-encoding"),
        metadata: metadata.take(MOST_METADATA).collect(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn block_lists_are_read_in_order() {
        let xml = "<?xml version='1.0'?>\n<BlockList><Latest>MDE=</Latest><Uncommitted>MDI=</Uncommitted></BlockList>";
        assert_eq!(super::block_ids(xml), ["MDE=", "MDI="]);
    }
}
