//! Copies through the terminal (OSC 52), which works over SSH. Pure: returns what to send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Most bytes of text that terminals are known to take in one copy (their limit is 100,000 for the whole sequence).
pub const MAX_BYTES: usize = 74_994;
/// GNU screen takes only short strings: the sequence is passed through in pieces of this many bytes.
const SCREEN_PIECE: usize = 76;

/// What stands between us and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    Nothing,
    Tmux,
    Screen,
}

impl Through {
    /// Reads the multiplexer off the environment.
    pub fn detect(env: &dyn Fn(&str) -> Option<String>) -> Through {
        let set = |name: &str| env(name).is_some_and(|v| !v.is_empty());
        match (set("TMUX"), set("STY")) {
            (true, _) => Through::Tmux,
            (false, true) => Through::Screen,
            (false, false) => Through::Nothing,
        }
    }
}

/// A copy ready to be sent to the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// For `TerminalGuard::send`.
    pub sequence: String,
    /// Characters of the text that are in it.
    pub chars: usize,
    /// True if the text was longer than a terminal takes.
    pub cut: bool,
}

/// Encodes `text` for the clipboard of the terminal. Whether the terminal allows it cannot be known.
pub fn encode(text: &str, through: Through) -> Copy {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_BYTES).last();
    let kept = text.get(..end.unwrap_or(0)).unwrap_or_default();
    let plain = format!("\x1b]52;c;{}\x07", STANDARD.encode(kept));
    let sequence = match through {
        Through::Nothing => plain,
        // tmux takes the plain form with `set-clipboard on` and the wrapped one with `allow-passthrough on`.
        Through::Tmux => format!("{plain}\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")),
        Through::Screen => {
            let pieces = plain.as_bytes().chunks(SCREEN_PIECE).map(String::from_utf8_lossy);
            pieces.map(|piece| format!("\x1bP{piece}\x1b\\")).collect()
        }
    };
    Copy { sequence, chars: kept.chars().count(), cut: kept.len() < text.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(sequence: &str) -> String {
        let encoded = sequence.strip_prefix("\x1b]52;c;").unwrap().strip_suffix('\x07').unwrap();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn the_text_arrives_whole() {
        let copy = encode("kubectl -n é get pods", Through::Nothing);
        assert_eq!(payload(&copy.sequence), "kubectl -n é get pods");
        assert_eq!((copy.chars, copy.cut), (21, false));
    }

    #[test]
    fn too_long_a_text_is_cut_between_characters() {
        let copy = encode(&"é".repeat(60_000), Through::Nothing);
        assert!(copy.cut);
        assert_eq!(copy.chars, MAX_BYTES / 2);
        assert_eq!(payload(&copy.sequence).chars().count(), copy.chars);
        assert!(copy.sequence.len() <= 100_000);
    }

    #[test]
    fn tmux_gets_both_of_its_forms() {
        let plain = encode("x", Through::Nothing).sequence;
        let tmux = encode("x", Through::Tmux).sequence;
        assert_eq!(tmux, format!("{plain}\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\"));
    }

    #[test]
    fn screen_gets_short_pieces_that_join_to_the_whole() {
        let text = "y".repeat(500);
        let screen = encode(&text, Through::Screen).sequence;
        let pieces: Vec<_> = screen.split("\x1b\\").filter(|p| !p.is_empty()).collect();
        assert!(pieces.len() > 1 && pieces.iter().all(|p| p.len() <= SCREEN_PIECE + 2));
        let joined: String = pieces.iter().map(|p| p.strip_prefix("\x1bP").unwrap()).collect();
        assert_eq!(payload(&joined), text);
    }

    #[test]
    fn the_multiplexer_is_read_off_the_environment() {
        let through = |name: &'static str| Through::detect(&move |n| (n == name).then(|| "1".to_owned()));
        assert_eq!(through("TMUX"), Through::Tmux);
        assert_eq!(through("STY"), Through::Screen);
        assert_eq!(through("TERM"), Through::Nothing);
    }
}
