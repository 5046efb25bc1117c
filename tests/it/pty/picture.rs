//! A terminal screen as SVG: what a person sees, for the README.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;
use vt100::{Cell, Color, Screen};

/// Width and height of a cell in pixels, and the baseline inside it.
const CELL: (f64, f64, f64) = (8.43, 16.5, 13.0);
const MARGIN: f64 = 12.0;
const GROUND: &str = "#16181d";
const INK: &str = "#d8dade";
const SIXTEEN: [&str; 16] = [
    "#000000", "#cd0000", "#00cd00", "#cdcd00", "#0000ee", "#cd00cd", "#00cdcd", "#e5e5e5", "#7f7f7f",
    "#ff0000", "#00ff00", "#ffff00", "#5c5cff", "#ff00ff", "#00ffff", "#ffffff",
];

/// Draws `screen` with a window frame and `title` above it.
pub fn svg(screen: &Screen, title: &str) -> String {
    let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
    let (w, h, _) = CELL;
    let bar = 30.0;
    let width = f64::from(columns) * w + 2.0 * MARGIN;
    let height = f64::from(rows) * h + 2.0 * MARGIN + bar;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" xml:space=\"preserve\" aria-label=\"{label}\">\n\
         <style>text{{font-family:ui-monospace,'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,monospace;\
         font-size:14px;white-space:pre}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n\
         <circle cx=\"18\" cy=\"17\" r=\"5\" fill=\"#ff5f57\"/><circle cx=\"36\" cy=\"17\" r=\"5\" fill=\"#febc2e\"/>\
         <circle cx=\"54\" cy=\"17\" r=\"5\" fill=\"#28c840\"/>\n\
         <text x=\"50%\" y=\"22\" fill=\"#9a9da5\" text-anchor=\"middle\">{label}</text>\n",
        label = escape(title)
    );
    for row in 0..rows {
        let top = MARGIN + bar + f64::from(row) * h;
        for run in runs(screen, row, columns) {
            run.draw(&mut out, top);
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Neighbouring cells that look alike.
struct Run {
    column: u16,
    cells: u16,
    text: String,
    look: Look,
}

#[derive(Clone, PartialEq)]
struct Look {
    fg: String,
    bg: Option<String>,
    bold: bool,
    italic: bool,
    underline: bool,
    dim: bool,
}

fn runs(screen: &Screen, row: u16, columns: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else { continue };
        let look = look(cell);
        let text = if cell.contents().is_empty() { " " } else { cell.contents() };
        match runs.last_mut() {
            Some(run) if cell.is_wide_continuation() => run.cells += 1,
            Some(run) if run.look == look && !cell.is_wide() => {
                run.text.push_str(text);
                run.cells += 1;
            }
            _ => runs.push(Run { column, cells: 1, text: text.to_owned(), look }),
        }
    }
    runs
}

fn look(cell: &Cell) -> Look {
    let fg = colour(cell.fgcolor());
    let bg = colour(cell.bgcolor());
    let (fg, bg) = if cell.inverse() {
        (Some(bg.unwrap_or_else(|| GROUND.to_owned())), Some(fg.unwrap_or_else(|| INK.to_owned())))
    } else {
        (fg, bg)
    };
    Look {
        fg: fg.unwrap_or_else(|| INK.to_owned()),
        bg,
        bold: cell.bold(),
        italic: cell.italic(),
        underline: cell.underline(),
        dim: cell.dim(),
    }
}

fn colour(colour: Color) -> Option<String> {
    match colour {
        Color::Default => None,
        Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        Color::Idx(n @ 0..=15) => Some(SIXTEEN[usize::from(n)].to_owned()),
        Color::Idx(n @ 16..=231) => {
            let level = |v: u8| if v == 0 { 0 } else { 55 + 40 * v };
            let n = n - 16;
            Some(format!("#{:02x}{:02x}{:02x}", level(n / 36), level(n / 6 % 6), level(n % 6)))
        }
        Color::Idx(n) => {
            let v = 8 + (n - 232) * 10;
            Some(format!("#{v:02x}{v:02x}{v:02x}"))
        }
    }
}

impl Run {
    fn draw(&self, out: &mut String, top: f64) {
        let (w, h, baseline) = CELL;
        let x = MARGIN + f64::from(self.column) * w;
        let width = f64::from(self.cells) * w;
        if let Some(bg) = &self.look.bg {
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{h:.1}\" fill=\"{bg}\"/>"
            );
        }
        let mut style = String::new();
        for (on, attribute) in [
            (self.look.bold, " font-weight=\"bold\""),
            (self.look.italic, " font-style=\"italic\""),
            (self.look.underline, " text-decoration=\"underline\""),
            (self.look.dim, " opacity=\"0.65\""),
        ] {
            style.push_str(if on { attribute } else { "" });
        }
        // Each word stands at its own place and is given its length, so that every font keeps the columns.
        for (start, word) in words(&self.text) {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
                 fill=\"{}\"{style}>{}</text>",
                x + start as f64 * w,
                top + baseline,
                UnicodeWidthStr::width(word) as f64 * w,
                self.look.fg,
                escape(word)
            );
        }
    }
}

/// The words of `text`, each with the column at which it starts.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut column = 0;
    let mut words = Vec::new();
    for part in text.split(' ') {
        if !part.is_empty() {
            words.push((column, part));
        }
        column += UnicodeWidthStr::width(part) + 1;
    }
    words
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn words_stand_in_their_columns() {
    assert_eq!(words("  ab デ x "), vec![(2, "ab"), (5, "デ"), (8, "x")]);
}

#[test]
fn a_screen_becomes_a_picture() {
    let size = |n| std::num::NonZeroU16::new(n).unwrap();
    let mut parser = vt100::Parser::new(size(3), size(12), 0);
    parser.process("a<b \x1b[1;31mred\x1b[0m\r\n\x1b[7minv\x1b[0m \x1b[38;5;196mx".as_bytes());
    let picture = svg(parser.screen(), "drtui & co");
    assert!(picture.contains(">a&lt;b</text>"), "{picture}");
    assert!(picture.contains("fill=\"#cd0000\" font-weight=\"bold\">red<"), "{picture}");
    assert!(picture.contains(&format!("fill=\"{INK}\"/>")) && picture.contains("#ff0000"), "{picture}");
    assert!(picture.contains("drtui &amp; co"));
    assert_eq!(picture.matches("<svg").count(), picture.matches("</svg>").count());
}
