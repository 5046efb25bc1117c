//! Themes hold what they promise: whole, readable, told apart by colour-blind eyes and without any colour.

use ratatui::style::{Color, Modifier};

use super::colour::Rgb;
use super::{Depth, EMBEDDED, Ground, NAMES, Role, Theme, ThemeError};

/// Roles that carry no text of their own.
const SHAPES: [Role; 3] = [Role::Border, Role::BorderFocus, Role::Spark];

fn all() -> impl Iterator<Item = Theme> {
    NAMES.iter().map(|name| Theme::named(name).unwrap())
}

fn luminance(c: Rgb) -> f64 {
    let (r, g, b) = c.linear();
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// WCAG 2 contrast ratio.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
const DEUTERANOPIA: [[f64; 3]; 3] = [
    [0.367_322, 0.860_646, -0.227_968],
    [0.280_085, 0.672_501, 0.047_413],
    [-0.011_820, 0.042_940, 0.968_881],
];
const PROTANOPIA: [[f64; 3]; 3] = [
    [0.152_286, 1.052_583, -0.204_868],
    [0.114_503, 0.786_281, 0.099_216],
    [-0.003_882, -0.048_116, 1.051_998],
];

fn seen_through(matrix: [[f64; 3]; 3], c: Rgb) -> Rgb {
    let (r, g, b) = c.linear();
    let channel = |row: [f64; 3]| {
        let v = (row[0] * r + row[1] * g + row[2] * b).clamp(0.0, 1.0);
        let v = if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
        (v * 255.0).round() as u8
    };
    Rgb(channel(matrix[0]), channel(matrix[1]), channel(matrix[2]))
}

fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
}

#[test]
fn every_theme_loads_and_names_agree() {
    assert_eq!(EMBEDDED.map(|(name, _)| name), NAMES);
    assert_eq!(all().count(), Theme::names().len());
    for (at, role) in Role::ALL.into_iter().enumerate() {
        assert_eq!(role as usize, at, "{role:?} is out of order in Role::ALL");
    }
}

#[test]
fn text_is_readable_on_its_background() {
    for theme in all() {
        let grounds: &[Rgb] = match theme.ground {
            Ground::Dark => &[Rgb(0, 0, 0), Rgb(0x1e, 0x1e, 0x1e)],
            Ground::Light => &[Rgb(255, 255, 255), Rgb(0xf5, 0xf5, 0xf0)],
            Ground::Any => &[],
        };
        for role in Role::ALL {
            let look = theme.looks[role as usize];
            let least = if SHAPES.contains(&role) { 3.0 } else { 4.5 };
            assert!(look.bg.is_none() || look.fg.is_some(), "{} {role:?}: bg without fg", theme.name);
            let own = look.bg.map(|bg| vec![bg]);
            for ground in own.as_deref().unwrap_or(grounds) {
                if let Some(fg) = look.fg {
                    let ratio = contrast(fg, *ground);
                    assert!(ratio >= least, "{} {role:?}: {ratio:.2} on {ground:?}", theme.name);
                }
            }
        }
    }
}

#[test]
fn colour_blind_eyes_tell_good_from_bad() {
    let theme = Theme::named("colour-blind").unwrap();
    let fg = |role: Role| theme.looks[role as usize].fg.unwrap();
    for matrix in [DEUTERANOPIA, PROTANOPIA] {
        for (a, b) in [(Role::Ok, Role::Danger), (Role::Ok, Role::Warn), (Role::Verified, Role::Overridden)] {
            let apart = seen_through(matrix, fg(a)).distance(seen_through(matrix, fg(b)));
            assert!(apart >= 0.15, "{a:?} and {b:?} are {apart:.3} apart");
        }
        let dark = Theme::named("dark").unwrap();
        let plain = |role: Role| seen_through(matrix, dark.looks[role as usize].fg.unwrap());
        let apart = seen_through(matrix, fg(Role::Ok)).distance(seen_through(matrix, fg(Role::Danger)));
        assert!(apart > plain(Role::Ok).distance(plain(Role::Danger)), "no better than the default theme");
    }
}

#[test]
fn the_default_leaves_the_terminals_own_background() {
    let text = Theme::named("dark").unwrap().style(Role::Text);
    assert_eq!((text.fg, text.bg), (None, None));
}

#[test]
fn without_colour_only_modifiers_are_left_and_they_still_tell() {
    for theme in all() {
        let theme = theme.with_depth(Depth::None);
        for role in Role::ALL {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{} {role:?}", theme.name);
        }
        let mods = |role: Role| theme.style(role).add_modifier;
        assert!(mods(Role::Selected).contains(Modifier::REVERSED));
        assert!(mods(Role::BandProduction).contains(Modifier::REVERSED | Modifier::BOLD));
        assert_ne!(mods(Role::BandProduction), mods(Role::BandOther));
        assert_ne!(mods(Role::BorderFocus), mods(Role::Border));
        assert_ne!(mods(Role::Selected), mods(Role::SelectedInactive));
        assert_ne!(mods(Role::SelectedInactive), mods(Role::Text));
        assert_ne!(mods(Role::Danger), mods(Role::Ok));
        assert_ne!(mods(Role::Armed), mods(Role::ReadOnly));
    }
}

#[test]
fn fewer_colours_stay_apart_and_inside_the_palette() {
    for theme in all() {
        let few = theme.clone().with_depth(Depth::Ansi16);
        let more = theme.clone().with_depth(Depth::Ansi256);
        for role in Role::ALL {
            for style in [few.style(role), more.style(role)] {
                if let (Some(fg), Some(bg)) = (style.fg, style.bg) {
                    assert_ne!(fg, bg, "{} {role:?} vanishes", theme.name);
                }
            }
            let (few, more) = (few.style(role), more.style(role));
            assert!(
                ![few.fg, few.bg].iter().flatten().any(|c| matches!(c, Color::Rgb(..) | Color::Indexed(_)))
            );
            assert!([more.fg, more.bg].iter().flatten().all(|c| matches!(c, Color::Indexed(16..))));
        }
        if theme.ground != Ground::Any {
            assert_ne!(few.style(Role::Ok).fg, few.style(Role::Danger).fg, "{}", theme.name);
            assert_ne!(few.style(Role::BandProduction).bg, few.style(Role::BandOther).bg, "{}", theme.name);
        }
    }
}

#[test]
fn nearest_colours_are_near() {
    assert_eq!(Rgb(255, 0, 0).at(Depth::Ansi16), Some(Color::LightRed));
    assert_eq!(Rgb(10, 10, 10).at(Depth::Ansi16), Some(Color::Black));
    assert_eq!(Rgb(0x5f, 0xd7, 0x87).at(Depth::Ansi256), Some(Color::Indexed(78)));
    assert_eq!(Rgb(0x80, 0x80, 0x80).at(Depth::Ansi256), Some(Color::Indexed(244)));
    assert_eq!(Rgb(1, 2, 3).at(Depth::TrueColor), Some(Color::Rgb(1, 2, 3)));
    assert_eq!(Rgb(1, 2, 3).at(Depth::None), None);
}

#[test]
fn depth_is_read_off_the_environment() {
    let depth = |pairs: &'static [(&str, &str)]| Depth::detect(&env(pairs));
    assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::TrueColor);
    assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "24bit")]), Depth::TrueColor);
    assert_eq!(depth(&[("TERM", "xterm-256color")]), Depth::Ansi256);
    assert_eq!(depth(&[("TERM", "tmux-256color")]), Depth::Ansi256);
    assert_eq!(depth(&[("TERM", "xterm-kitty")]), Depth::TrueColor);
    assert_eq!(depth(&[("TERM", "screen")]), Depth::Ansi16);
    assert_eq!(depth(&[("TERM", "linux")]), Depth::Ansi16);
    assert_eq!(depth(&[("TERM", "dumb"), ("COLORTERM", "truecolor")]), Depth::None);
    assert_eq!(depth(&[]), Depth::None);
    assert_eq!(depth(&[("TERM", "xterm"), ("NO_COLOR", "1"), ("COLORTERM", "truecolor")]), Depth::None);
    assert_eq!(depth(&[("TERM", "xterm"), ("NO_COLOR", "")]), Depth::Ansi16);
}

#[test]
fn a_light_terminal_gets_the_light_theme() {
    assert_eq!(Theme::suited(&env(&[("COLORFGBG", "0;15")])), "light");
    assert_eq!(Theme::suited(&env(&[("COLORFGBG", "15;default;0")])), "dark");
    assert_eq!(Theme::suited(&env(&[])), "dark");
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let error = Theme::named("color-blind").unwrap_err();
    assert_eq!(
        error,
        ThemeError::Unknown { name: "color-blind".into(), nearest: "colour-blind".into() },
        "{error}"
    );
}

#[test]
fn what_a_file_gets_wrong_is_named_with_its_line() {
    let wrong = |text: &str| Theme::from_toml("mine.toml", text).unwrap_err().to_string();
    let start = "inherits = \"dark\"\n";
    let role = wrong(&format!("{start}[roles]\ndangr = {{ fg = \"#ff0000\" }}\n"));
    assert!(role.contains("line 3") && role.contains("dangr") && role.contains("\"danger\""), "{role}");
    let key = wrong(&format!("{start}[roles]\n\ndanger = {{ foreground = \"#ff0000\" }}\n"));
    assert!(key.contains("line 4") && key.contains("foreground"), "{key}");
    let top = wrong("[pallete]\nred = \"#ff0000\"\n");
    assert!(top.contains("line 1") && top.contains("\"palette\""), "{top}");
    let modifier = wrong(&format!("{start}[roles]\nok = {{ mods = [\"blod\"] }}\n"));
    assert!(modifier.contains("\"bold\""), "{modifier}");
    let colour = wrong(&format!("{start}[palette]\nred = \"#f00000\"\n[roles]\nok = {{ fg = \"rad\" }}\n"));
    assert!(colour.contains("line 5") && colour.contains("\"red\""), "{colour}");
    assert!(wrong("[roles]\ntext = {}\n").contains("border_focus"));
    assert!(wrong("roles = 3\n").contains("line 1"));
    assert!(wrong("inherits = \"drak\"\n").contains("\"dark\""));
    assert!(wrong("x = = 1\n").contains("line 1"));
}

#[test]
fn a_users_theme_changes_only_what_it_says() {
    let mine =
        Theme::from_toml("mine.toml", "inherits = \"dark\"\n[roles]\nok = { fg = \"#00ff00\" }\n").unwrap();
    let dark = Theme::named("dark").unwrap();
    assert_eq!(mine.style(Role::Ok).fg, Some(Color::Rgb(0, 255, 0)));
    assert_eq!(mine.style(Role::Danger), dark.style(Role::Danger));
}
