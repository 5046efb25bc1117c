//! Red, green, blue; and the nearest colour that a terminal with fewer colours has.

use ratatui::style::Color;

use super::Depth;

/// A colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rgb(pub u8, pub u8, pub u8);

/// xterm's sixteen, in order of their codes. Terminals change them a little; their meaning stays.
const SIXTEEN: [(Rgb, Color); 16] = [
    (Rgb(0, 0, 0), Color::Black),
    (Rgb(205, 0, 0), Color::Red),
    (Rgb(0, 205, 0), Color::Green),
    (Rgb(205, 205, 0), Color::Yellow),
    (Rgb(0, 0, 238), Color::Blue),
    (Rgb(205, 0, 205), Color::Magenta),
    (Rgb(0, 205, 205), Color::Cyan),
    (Rgb(229, 229, 229), Color::Gray),
    (Rgb(127, 127, 127), Color::DarkGray),
    (Rgb(255, 0, 0), Color::LightRed),
    (Rgb(0, 255, 0), Color::LightGreen),
    (Rgb(255, 255, 0), Color::LightYellow),
    (Rgb(92, 92, 255), Color::LightBlue),
    (Rgb(255, 0, 255), Color::LightMagenta),
    (Rgb(0, 255, 255), Color::LightCyan),
    (Rgb(255, 255, 255), Color::White),
];

/// Levels of the 6×6×6 cube of the 256-colour palette.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

impl Rgb {
    /// Reads `#rrggbb`.
    pub(super) fn parse(text: &str) -> Option<Rgb> {
        let hex = text.strip_prefix('#').filter(|h| h.len() == 6 && h.is_ascii())?;
        let part = |at: usize| hex.get(at..at + 2).and_then(|p| u8::from_str_radix(p, 16).ok());
        Some(Rgb(part(0)?, part(2)?, part(4)?))
    }

    /// The nearest colour of `depth`; `None` where there are no colours.
    pub(super) fn at(self, depth: Depth) -> Option<Color> {
        match depth {
            Depth::None => None,
            Depth::Ansi16 => nearest(self, SIXTEEN),
            Depth::Ansi256 => nearest(self, palette_256()),
            Depth::TrueColor => Some(Color::Rgb(self.0, self.1, self.2)),
        }
    }

    /// Distance as the eye sees it (Euclidean in OKLab): 0 is equal, black to white is 1.
    pub(super) fn distance(self, other: Rgb) -> f64 {
        let (a, b) = (self.oklab(), other.oklab());
        ((a.0 - b.0).powi(2) + (a.1 - b.1).powi(2) + (a.2 - b.2).powi(2)).sqrt()
    }

    /// The three channels without gamma, 0..=1.
    pub(super) fn linear(self) -> (f64, f64, f64) {
        let channel = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        (channel(self.0), channel(self.1), channel(self.2))
    }

    /// Björn Ottosson's OKLab, D65.
    fn oklab(self) -> (f64, f64, f64) {
        let (r, g, b) = self.linear();
        let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
        let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
        let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
        (
            0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s,
            1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s,
            0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s,
        )
    }
}

fn nearest(wanted: Rgb, palette: impl IntoIterator<Item = (Rgb, Color)>) -> Option<Color> {
    palette
        .into_iter()
        .min_by(|a, b| wanted.distance(a.0).total_cmp(&wanted.distance(b.0)))
        .map(|(_, color)| color)
}

/// Colours 16 to 255: the cube and the greys. The first sixteen are left out because users redefine them.
fn palette_256() -> impl Iterator<Item = (Rgb, Color)> {
    let cube = LEVELS
        .iter()
        .flat_map(|r| LEVELS.iter().flat_map(move |g| LEVELS.iter().map(move |b| Rgb(*r, *g, *b))));
    let greys = (0..24).map(|n| 8 + n * 10).map(|v| Rgb(v, v, v));
    cube.chain(greys).zip(16..=255).map(|(rgb, code)| (rgb, Color::Indexed(code)))
}
