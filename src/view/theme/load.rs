//! Theme files: TOML in, a whole theme out. What is not known is refused with its line and the nearest known name.

use std::collections::HashMap;
use std::ops::Range;

use ratatui::style::Modifier;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::colour::Rgb;
use super::{Ground, Look, PLAIN, Role, Theme};

/// Why a theme cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ThemeError {
    #[error("no theme is called \"{name}\"; the nearest is \"{nearest}\"")]
    Unknown { name: String, nearest: String },
    #[error("theme {origin}, line {line}: {what} \"{found}\" is not known; the nearest is \"{nearest}\"")]
    UnknownWord { origin: String, line: usize, what: &'static str, found: String, nearest: String },
    #[error("theme {origin}, line {line}: {why}")]
    Malformed { origin: String, line: usize, why: String },
    #[error(
        "theme {origin} says nothing of: {roles}; add them under [roles], or start with inherits = \"dark\""
    )]
    Incomplete { origin: String, roles: String },
}

const TOP_KEYS: [&str; 4] = ["inherits", "ground", "palette", "roles"];
const ROLE_KEYS: [&str; 3] = ["fg", "bg", "mods"];
const MODS: [(&str, Modifier); 5] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underlined", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
];

/// The known name that is least different from `name`.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    crate::domain::text::nearest(name, known, usize::MAX).unwrap_or_default().to_owned()
}

/// Parses a theme. `origin` is its name, or the file it came from.
pub(super) fn parse(origin: &str, text: &str) -> Result<Theme, ThemeError> {
    let reader = Reader { origin, text };
    let table = DeTable::parse(text)
        .map_err(|e| reader.malformed(e.span().unwrap_or_default(), e.message().to_owned()))?;
    let top = table.get_ref();
    for key in top.keys() {
        reader.known(key, "key", &TOP_KEYS)?;
    }
    let (mut ground, mut looks) = reader.inherited(top)?;
    if let Some(value) = top.get("ground") {
        ground = match reader.string(value)? {
            "dark" => Ground::Dark,
            "light" => Ground::Light,
            "any" => Ground::Any,
            _ => return Err(reader.malformed(value.span(), "ground is dark, light or any".into())),
        };
    }
    let palette = reader.palette(top)?;
    if let Some(roles) = top.get("roles") {
        for (key, value) in reader.table(roles)? {
            let role = reader.role(key)?;
            let look = reader.look(value, &palette)?;
            if let Some(slot) = looks.get_mut(role as usize) {
                *slot = Some(look);
            }
        }
    }
    complete(origin, ground, looks)
}

fn complete(
    origin: &str,
    ground: Ground,
    looks: [Option<Look>; Role::ALL.len()],
) -> Result<Theme, ThemeError> {
    let missing: Vec<_> =
        Role::ALL.iter().zip(&looks).filter(|(_, l)| l.is_none()).map(|(r, _)| r.name()).collect();
    if missing.is_empty() {
        Ok(Theme::new(origin, ground, looks.map(|l| l.unwrap_or(PLAIN))))
    } else {
        Err(ThemeError::Incomplete { origin: origin.to_owned(), roles: missing.join(", ") })
    }
}

struct Reader<'a> {
    origin: &'a str,
    text: &'a str,
}

type Looks = [Option<Look>; Role::ALL.len()];
type Palette<'a> = HashMap<&'a str, Rgb>;

impl<'a> Reader<'a> {
    fn inherited(&self, top: &DeTable<'_>) -> Result<(Ground, Looks), ThemeError> {
        let Some(value) = top.get("inherits") else {
            return Ok((Ground::Dark, [None; Role::ALL.len()]));
        };
        let name = self.string(value)?;
        if name == self.origin {
            return Err(self.malformed(value.span(), "a theme cannot inherit from itself".into()));
        }
        let parent = Theme::named(name).map_err(|e| self.malformed(value.span(), e.to_string()))?;
        Ok((parent.ground, parent.looks.map(Some)))
    }

    fn palette<'t>(&self, top: &'t DeTable<'_>) -> Result<Palette<'t>, ThemeError> {
        let Some(value) = top.get("palette") else { return Ok(Palette::new()) };
        let mut palette = Palette::new();
        for (name, value) in self.table(value)? {
            let colour = self.colour(value, &Palette::new())?;
            palette.insert(name.get_ref().as_ref(), colour);
        }
        Ok(palette)
    }

    fn role(&self, key: &Spanned<std::borrow::Cow<'_, str>>) -> Result<Role, ThemeError> {
        let name = key.get_ref().as_ref();
        Role::ALL.into_iter().find(|r| r.name() == name).ok_or_else(|| ThemeError::UnknownWord {
            origin: self.origin.to_owned(),
            line: self.line(&key.span()),
            what: "role",
            found: name.to_owned(),
            nearest: nearest(name, Role::ALL.iter().map(|r| r.name())),
        })
    }

    fn look(&self, value: &Spanned<DeValue<'_>>, palette: &Palette<'_>) -> Result<Look, ThemeError> {
        let mut look = PLAIN;
        for (key, value) in self.table(value)? {
            self.known(key, "key", &ROLE_KEYS)?;
            match key.get_ref().as_ref() {
                "fg" => look.fg = Some(self.colour(value, palette)?),
                "bg" => look.bg = Some(self.colour(value, palette)?),
                _ => look.mods = self.mods(value)?,
            }
        }
        Ok(look)
    }

    fn mods(&self, value: &Spanned<DeValue<'_>>) -> Result<Modifier, ThemeError> {
        let list = value.get_ref().as_array();
        let list = list.ok_or_else(|| self.malformed(value.span(), "mods is a list of words".into()))?;
        let mut mods = Modifier::empty();
        for item in list.iter() {
            let word = self.string(item)?;
            let found = MODS.iter().find(|(name, _)| *name == word);
            let (_, modifier) = found.ok_or_else(|| ThemeError::UnknownWord {
                origin: self.origin.to_owned(),
                line: self.line(&item.span()),
                what: "modifier",
                found: word.to_owned(),
                nearest: nearest(word, MODS.iter().map(|(name, _)| *name)),
            })?;
            mods |= *modifier;
        }
        Ok(mods)
    }

    fn colour(&self, value: &Spanned<DeValue<'_>>, palette: &Palette<'_>) -> Result<Rgb, ThemeError> {
        let word = self.string(value)?;
        if let Some(rgb) = Rgb::parse(word).or_else(|| palette.get(word).copied()) {
            return Ok(rgb);
        }
        if word.starts_with('#') || palette.is_empty() {
            return Err(self.malformed(value.span(), format!("\"{word}\" is not a colour like #5fd787")));
        }
        Err(ThemeError::UnknownWord {
            origin: self.origin.to_owned(),
            line: self.line(&value.span()),
            what: "palette colour",
            found: word.to_owned(),
            nearest: nearest(word, palette.keys().copied()),
        })
    }

    fn known(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        what: &'static str,
        known: &[&str],
    ) -> Result<(), ThemeError> {
        let name = key.get_ref().as_ref();
        if known.contains(&name) {
            return Ok(());
        }
        Err(ThemeError::UnknownWord {
            origin: self.origin.to_owned(),
            line: self.line(&key.span()),
            what,
            found: name.to_owned(),
            nearest: nearest(name, known.iter().copied()),
        })
    }

    fn string<'v>(&self, value: &'v Spanned<DeValue<'_>>) -> Result<&'v str, ThemeError> {
        value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.malformed(value.span(), "a text in quotes belongs here".into()))
    }

    fn table<'v, 'i>(&self, value: &'v Spanned<DeValue<'i>>) -> Result<&'v DeTable<'i>, ThemeError> {
        value.get_ref().as_table().ok_or_else(|| {
            self.malformed(value.span(), "a table like { fg = \"#5fd787\" } belongs here".into())
        })
    }

    fn malformed(&self, span: Range<usize>, why: String) -> ThemeError {
        ThemeError::Malformed { origin: self.origin.to_owned(), line: self.line(&span), why }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        self.text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1
    }
}
