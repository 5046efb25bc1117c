//! What the simulators need of web addresses: percent-coding and queries.

/// Percent-decoding of a path or a part of one; `None` for what is not UTF-8 or ends in the middle.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |b: u8| char::from(b).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Percent-coding of all that is not plain in a query.
pub fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Names and values of a query, decoded, in order; none if it cannot be read.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let uri = format!("/?{query}").parse::<http::Uri>().ok();
    let pairs = uri.and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    pairs.map(|pairs| pairs.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_whole_or_not_at_all() {
        assert_eq!(decode("a%2Fb%20c").as_deref(), Some("a/b c"));
        assert_eq!(decode("a%2"), None);
        assert_eq!(decode("%FF"), None);
        assert_eq!(decode(&encode("ä b&c=d/e")).as_deref(), Some("ä b&c=d/e"));
    }

    #[test]
    fn queries_are_read_in_order() {
        let read = pairs("created=%3E%3D2026-11-20&page=2&event=");
        let expected = [("created", ">=2026-11-20"), ("page", "2"), ("event", "")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
