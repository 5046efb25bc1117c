//! Colours by meaning. Views name a [`Role`]; a theme says how it looks; the terminal's depth decides what is left.
//! The only place (with its parts in `theme/`) that may name a colour.
#![allow(clippy::disallowed_types)]

mod colour;
mod load;
#[cfg(test)]
mod tests;

use ratatui::style::{Modifier, Style};

use colour::Rgb;
pub use load::ThemeError;

/// What a piece of the screen means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Text,
    /// Less important text.
    Dim,
    Title,
    Border,
    /// Border of the pane with the keyboard.
    BorderFocus,
    /// The cursor's row in the pane with the keyboard.
    Selected,
    /// The cursor's row in any other pane.
    SelectedInactive,
    Ok,
    Warn,
    Danger,
    Info,
    /// A value whose source does not answer.
    Stale,
    /// The header band of production.
    BandProduction,
    /// The header band of any other environment.
    BandOther,
    /// The EXERCISE stamp.
    Exercise,
    Armed,
    ReadOnly,
    /// A key in the footer or help.
    Key,
    /// `[x]`
    Verified,
    /// `[~]`
    Said,
    /// `[!]`
    Overridden,
    /// `[ ]`
    Open,
    /// Sparklines.
    Spark,
    /// The live server.
    Live,
    /// A point-in-time restore copy.
    Ptr,
    /// A field being typed in.
    Input,
    /// The part of a row that a filter matched.
    Match,
}

impl Role {
    pub const ALL: [Role; 27] = [
        Role::Text,
        Role::Dim,
        Role::Title,
        Role::Border,
        Role::BorderFocus,
        Role::Selected,
        Role::SelectedInactive,
        Role::Ok,
        Role::Warn,
        Role::Danger,
        Role::Info,
        Role::Stale,
        Role::BandProduction,
        Role::BandOther,
        Role::Exercise,
        Role::Armed,
        Role::ReadOnly,
        Role::Key,
        Role::Verified,
        Role::Said,
        Role::Overridden,
        Role::Open,
        Role::Spark,
        Role::Live,
        Role::Ptr,
        Role::Input,
        Role::Match,
    ];

    /// The role's name in a theme file.
    pub fn name(self) -> &'static str {
        match self {
            Role::Text => "text",
            Role::Dim => "dim",
            Role::Title => "title",
            Role::Border => "border",
            Role::BorderFocus => "border_focus",
            Role::Selected => "selected",
            Role::SelectedInactive => "selected_inactive",
            Role::Ok => "ok",
            Role::Warn => "warn",
            Role::Danger => "danger",
            Role::Info => "info",
            Role::Stale => "stale",
            Role::BandProduction => "band_production",
            Role::BandOther => "band_other",
            Role::Exercise => "exercise",
            Role::Armed => "armed",
            Role::ReadOnly => "read_only",
            Role::Key => "key",
            Role::Verified => "verified",
            Role::Said => "said",
            Role::Overridden => "overridden",
            Role::Open => "open",
            Role::Spark => "spark",
            Role::Live => "live",
            Role::Ptr => "ptr",
            Role::Input => "input",
            Role::Match => "match",
        }
    }
}

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Depth {
    /// No colour at all: only bold, dim, underlined and reversed are left.
    None,
    Ansi16,
    Ansi256,
    TrueColor,
}

impl Depth {
    /// Reads the depth off the environment: `NO_COLOR` (any non-empty value) and `TERM=dumb` mean none; `COLORTERM`,
    /// `WT_SESSION` and `TERM` tell the rest. Without `TERM` nothing is assumed.
    pub fn detect(env: &dyn Fn(&str) -> Option<String>) -> Depth {
        let var = |name: &str| env(name).unwrap_or_default().to_ascii_lowercase();
        let term = var("TERM");
        let known_true = ["kitty", "alacritty", "wezterm", "ghostty", "foot", "-direct"];
        if !var("NO_COLOR").is_empty() || term.is_empty() || term == "dumb" {
            Depth::None
        } else if matches!(var("COLORTERM").as_str(), "truecolor" | "24bit")
            || !var("WT_SESSION").is_empty()
            || known_true.iter().any(|t| term.contains(t))
        {
            Depth::TrueColor
        } else if term.contains("256color") {
            Depth::Ansi256
        } else {
            Depth::Ansi16
        }
    }
}

/// The background a theme is made for; assumed wherever a role sets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    Dark,
    Light,
    /// No colours are used: nothing to assume.
    Any,
}

/// How one role looks, before the terminal's depth is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    fg: Option<Rgb>,
    bg: Option<Rgb>,
    mods: Modifier,
}

const PLAIN: Look = Look { fg: None, bg: None, mods: Modifier::empty() };

/// A look for every role, at one colour depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    name: String,
    ground: Ground,
    depth: Depth,
    looks: [Look; Role::ALL.len()],
    styles: [Style; Role::ALL.len()],
}

const EMBEDDED: [(&str, &str); 5] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../themes/colour-blind.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
];
const NAMES: [&str; 5] = ["dark", "light", "high-contrast", "colour-blind", "mono"];

impl Theme {
    /// One of the embedded themes, in true colour. An unknown name is refused with the nearest known one.
    pub fn named(name: &str) -> Result<Theme, ThemeError> {
        let found = EMBEDDED.iter().find(|(known, _)| *known == name);
        let (name, text) = found.ok_or_else(|| ThemeError::Unknown {
            name: name.to_owned(),
            nearest: load::nearest(name, NAMES.iter().copied()),
        })?;
        load::parse(name, text)
    }

    /// A user's theme file's text. `origin` names the file in errors.
    pub fn from_toml(origin: &str, text: &str) -> Result<Theme, ThemeError> {
        load::parse(origin, text)
    }

    /// Names of the embedded themes, in the order in which a key cycles through them.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// The embedded theme that suits the terminal's background as far as `COLORFGBG` tells: `light` or `dark`.
    pub fn suited(env: &dyn Fn(&str) -> Option<String>) -> &'static str {
        let hint = env("COLORFGBG").unwrap_or_default();
        match hint.rsplit(';').next() {
            Some("7" | "15") => "light",
            _ => "dark",
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// How `role` looks at this theme's depth.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    /// The same theme for a terminal of `depth`: every colour becomes the nearest that the terminal has. Without any
    /// colour every theme looks like `mono`, whose looks are told apart by bold, dim, underlined and reversed.
    pub fn with_depth(mut self, depth: Depth) -> Theme {
        self.depth = depth;
        if depth == Depth::None {
            if let Ok(mono) = Theme::named("mono") {
                self.styles = mono.styles;
            }
            return self;
        }
        for (style, look) in self.styles.iter_mut().zip(&self.looks) {
            *style = look.at(depth);
        }
        self
    }

    fn new(name: &str, ground: Ground, looks: [Look; Role::ALL.len()]) -> Theme {
        let styles = looks.map(|look| look.at(Depth::TrueColor));
        Theme { name: name.to_owned(), ground, depth: Depth::TrueColor, looks, styles }
    }
}

impl Look {
    fn at(self, depth: Depth) -> Style {
        let mut style = Style::new().add_modifier(self.mods);
        style.bg = self.bg.and_then(|c| c.at(depth));
        style.fg = self.fg.and_then(|c| c.at(depth));
        style
    }
}
