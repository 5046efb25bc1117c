//! Listing a container: prefix, delimiter, pages with a marker, metadata when asked for.

use std::fmt::Write as _;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};

use super::Desk;
use super::answer::{Refused, escape, xml};
use super::route::Query;
use super::store::Blob;
use crate::sandbox::clock::rfc_1123 as when;

/// Items on a page at most, and when nothing is said.
const PAGE: usize = 5_000;

/// One line of a listing.
#[derive(Debug)]
enum Item {
    Blob(String, Box<Blob>),
    Prefix(String),
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Item::Blob(name, _) | Item::Prefix(name) => name,
        }
    }
}

/// `GET /{container}?restype=container&comp=list`.
pub fn blobs(desk: &Desk, container: &str, query: &Query) -> Result<Response<Body>, Refused> {
    let (prefix, delimiter) = (query.get("prefix").unwrap_or_default(), query.get("delimiter"));
    let marker = query.get("marker").filter(|m| !m.is_empty());
    let from = marker.map(|m| unmark(m).ok_or_else(|| Refused::parameter("marker", m))).transpose()?;
    let asked = query.get("maxresults");
    let page = match asked.map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(n)) if n > 0 => n.min(PAGE),
        Some(_) => {
            let message =
                "One of the query parameters specified in the request URI is outside the permissible range.";
            return Err(Refused::new(StatusCode::BAD_REQUEST, "OutOfRangeQueryParameterValue", message)
                .with("QueryParameterName", "maxresults")
                .with("QueryParameterValue", asked.unwrap_or_default()));
        }
    };
    let items = items(desk.store.all(container)?, prefix, delimiter);
    let mut left = items.into_iter().filter(|i| from.as_deref().is_none_or(|from| i.name() >= from));
    let shown: Vec<Item> = left.by_ref().take(page).collect();
    let next = left.next().map(|i| mark(i.name())).unwrap_or_default();
    let metadata = query.get("include").is_some_and(|i| i.split(',').any(|i| i.trim() == "metadata"));

    let mut body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"{}/\" \
         ContainerName=\"{}\">",
        escape(&desk.endpoint),
        escape(container)
    );
    for (element, value) in
        [("Prefix", query.get("prefix")), ("Marker", marker), ("MaxResults", asked), ("Delimiter", delimiter)]
    {
        if let Some(value) = value {
            let _ = write!(body, "<{element}>{}</{element}>", escape(value));
        }
    }
    body.push_str("<Blobs>");
    for item in &shown {
        body.push_str(&one(item, metadata));
    }
    let _ = match next.as_str() {
        "" => write!(body, "</Blobs><NextMarker /></EnumerationResults>"),
        next => write!(body, "</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"),
    };
    Ok(xml(body))
}

fn items(all: Vec<(String, Blob)>, prefix: &str, delimiter: Option<&str>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for (name, blob) in all {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        match delimiter.filter(|d| !d.is_empty()).and_then(|d| rest.find(d).map(|at| at + d.len())) {
            None => items.push(Item::Blob(name, Box::new(blob))),
            Some(end) => {
                let folder = format!("{prefix}{}", rest.get(..end).unwrap_or_default());
                if items.last().is_none_or(|last| last.name() != folder) {
                    items.push(Item::Prefix(folder));
                }
            }
        }
    }
    items
}

fn one(item: &Item, metadata: bool) -> String {
    let (name, blob) = match item {
        Item::Prefix(name) => return format!("<BlobPrefix>{}</BlobPrefix>", element_name(name)),
        Item::Blob(name, blob) => (name, blob),
    };
    let mut text = format!("<Blob>{}<Properties>", element_name(name));
    let properties = [
        ("Creation-Time", when(blob.created)),
        ("Last-Modified", when(blob.modified)),
        ("Etag", blob.etag.trim_matches('"').to_owned()),
        ("Content-Length", blob.size.to_string()),
        (
            "Content-Type",
            blob.properties.content_type.clone().unwrap_or_else(|| "application/octet-stream".into()),
        ),
        ("Content-Encoding", blob.properties.content_encoding.clone().unwrap_or_default()),
        ("Content-Language", String::new()),
        ("Content-MD5", blob.md5.clone().unwrap_or_default()),
        ("Cache-Control", String::new()),
        ("Content-Disposition", String::new()),
        ("BlobType", "BlockBlob".into()),
        ("AccessTier", "Hot".into()),
        ("AccessTierInferred", "true".into()),
        ("LeaseStatus", "unlocked".into()),
        ("LeaseState", "available".into()),
        ("ServerEncrypted", "true".into()),
    ];
    for (element, value) in properties {
        let _ = match value.as_str() {
            "" => write!(text, "<{element} />"),
            value => write!(text, "<{element}>{}</{element}>", escape(value)),
        };
    }
    text.push_str("</Properties>");
    if metadata {
        text.push_str("<Metadata>");
        for (key, value) in &blob.properties.metadata {
            let _ = write!(text, "<{key}>{}</{key}>", escape(value));
        }
        text.push_str("</Metadata>");
    }
    text.push_str("<OrMetadata /></Blob>");
    text
}

/// Names that XML cannot hold are percent-encoded and say so.
fn element_name(name: &str) -> String {
    if name.chars().any(|c| c.is_control() || c == '\u{fffe}' || c == '\u{ffff}') {
        let encoded: String = name.bytes().map(|b| format!("%{b:02X}")).collect();
        return format!("<Name Encoded=\"true\">{encoded}</Name>");
    }
    format!("<Name>{}</Name>", escape(name))
}

/// `GET /?comp=list`.
pub fn containers(desk: &Desk) -> Response<Body> {
    let mut body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"{}/\"><Containers>",
        escape(&desk.endpoint)
    );
    for (name, immutable) in desk.store.containers() {
        let _ = write!(
            body,
            "<Container><Name>{}</Name><Properties><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>\
             <HasImmutabilityPolicy>{immutable}</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold></Properties>\
             </Container>",
            escape(&name)
        );
    }
    body.push_str("</Containers><NextMarker /></EnumerationResults>");
    xml(body)
}

/// Opaque to clients: the name that comes next.
fn mark(name: &str) -> String {
    format!("2!{}!{}", name.len(), URL_SAFE_NO_PAD.encode(name))
}

fn unmark(marker: &str) -> Option<String> {
    let encoded = marker.strip_prefix("2!")?.split_once('!')?.1;
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_back_and_nonsense_does_not() {
        assert_eq!(unmark(&mark("rsm_pd_2026-11-20.sql.gz")).as_deref(), Some("rsm_pd_2026-11-20.sql.gz"));
        assert_eq!(unmark("rsm_pd"), None);
    }

    #[test]
    fn names_that_xml_cannot_hold_are_encoded() {
        assert_eq!(element_name("a&b"), "<Name>a&amp;b</Name>");
        assert_eq!(element_name("\u{1b}a"), "<Name Encoded=\"true\">%1B%61</Name>");
    }
}
