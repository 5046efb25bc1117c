//! For terminals of sixteen colours: crossterm writes the named colours as `38;5;n`, which those that know only SGR 30–37
//! and 90–97 do not understand (crossterm issue 844; it has no setting for it). A finished frame is translated.

/// The frame with each of the sixteen colours in the oldest form that there is.
pub fn translate(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.len());
    let mut rest = frame;
    while let Some(at) = rest.windows(2).position(|w| w == b"\x1b[") {
        let (before, sequence) = rest.split_at(at + 2);
        out.extend_from_slice(before);
        let end = sequence.iter().position(|b| (0x40..=0x7e).contains(b)).unwrap_or(sequence.len());
        let (body, after) = sequence.split_at(end);
        match std::str::from_utf8(body) {
            Ok(body) if after.first() == Some(&b'm') => out.extend_from_slice(rendition(body).as_bytes()),
            _ => out.extend_from_slice(body),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// The parameters of one SGR sequence.
fn rendition(body: &str) -> String {
    let mut words = body.split(';');
    let mut out = Vec::new();
    while let Some(word) = words.next() {
        let ahead: Vec<&str> = words.clone().take(2).collect();
        let named = match (word, ahead.as_slice()) {
            ("38", ["5", n]) => n.parse::<u8>().ok().and_then(|n| short(n, 30, 90)),
            ("48", ["5", n]) => n.parse::<u8>().ok().and_then(|n| short(n, 40, 100)),
            _ => None,
        };
        match named {
            Some(code) => {
                out.push(code.to_string());
                words.nth(1);
            }
            None => out.push(word.to_owned()),
        }
    }
    out.join(";")
}

fn short(n: u8, plain: u8, bright: u8) -> Option<u8> {
    match n {
        0..=7 => Some(plain + n),
        8..=15 => Some(bright + n - 8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(text: &str) -> String {
        String::from_utf8(translate(text.as_bytes())).unwrap()
    }

    #[test]
    fn named_colours_take_their_oldest_form() {
        assert_eq!(translated("a\x1b[38;5;9mred\x1b[39m"), "a\x1b[91mred\x1b[39m");
        assert_eq!(translated("\x1b[38;5;0;48;5;11mx"), "\x1b[30;103mx");
        assert_eq!(translated("\x1b[1;38;5;1;4mx\x1b[0m"), "\x1b[1;31;4mx\x1b[0m");
    }

    #[test]
    fn everything_else_stays() {
        for same in
            ["", "plain ● text", "\x1b[38;5;78mx", "\x1b[38;2;1;2;3mx", "\x1b[2;5H", "\x1b[?2026h", "\x1b["]
        {
            assert_eq!(translated(same), same);
        }
    }
}
