//! The command palette: every command by name, run with what is typed after it.

use crossterm::event::{KeyCode, KeyEvent};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use tui_input::Input;

use super::{Overlay, edit, open};
use crate::core::command::{Command, Danger, REGISTRY, Spec};
use crate::core::effect::Effect;
use crate::core::model::Model;
use crate::core::run;

/// The palette's field and selection.
#[derive(Debug, Clone, Default)]
pub struct Palette {
    pub input: Input,
    pub selected: usize,
    /// The text is a suggestion: a letter typed replaces it, every other key keeps it.
    pub suggested: bool,
    /// A row was chosen with ↑ or ↓. Until then Enter runs only what the text names.
    pub chosen: bool,
}

impl Palette {
    /// A palette with text already typed.
    pub fn with(text: &str) -> Palette {
        Palette { input: Input::new(text.to_owned()), ..Palette::default() }
    }

    /// A palette that suggests a whole command.
    pub fn suggesting(text: &str) -> Palette {
        Palette { suggested: true, ..Palette::with(text) }
    }

    /// The commands that match, best first: the one named exactly, those whose names match, those that speak of the word.
    pub fn matches(&self, model: &Model) -> Vec<&'static Spec> {
        let text = self.input.value().trim();
        let name = text.split_whitespace().next().unwrap_or("");
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(name, CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut found: Vec<(u32, &Spec)> = REGISTRY
            .iter()
            .filter(|s| available(model, s))
            // With an argument typed it must be that very command: nothing is run that only looks alike.
            .filter(|s| !text.contains(' ') || s.name == name)
            .filter_map(|s| {
                let exact = if s.name == name {
                    10_000
                } else if s.name.starts_with(name) {
                    5_000
                } else {
                    0
                };
                let by_name =
                    pattern.score(Utf32Str::new(s.name, &mut buffer), &mut matcher).map(|n| n + 100);
                let by_words = s.summary.to_lowercase().contains(&name.to_lowercase()).then_some(0);
                by_name.or(by_words).map(|n| (n + exact, s))
            })
            .collect();
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, s)| s).collect()
    }

    /// The command that Enter runs: one chosen from the list, or the one that the text names whole or begins. What only
    /// looks alike is never run by itself: `:stop` must not quit.
    pub fn entered(&self, model: &Model) -> Option<&'static Spec> {
        let name = self.input.value().split_whitespace().next().unwrap_or("");
        let spec = self.matches(model).get(self.selected).copied()?;
        (self.chosen || (!name.is_empty() && spec.name.starts_with(name))).then_some(spec)
    }

    /// True once what is typed is the argument of a command that takes any words: a note, or a program's arguments.
    pub fn takes_free_text(&self) -> bool {
        let name = self.input.value().trim_start().split_once(' ').map(|(name, _)| name);
        let free = |s: &&Spec| matches!(s.argument, "TEXT" | "ARGS");
        name.is_some_and(|name| REGISTRY.iter().filter(free).any(|s| s.name == name))
    }

    pub(super) fn key(mut self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        let count = self.matches(model).len();
        match key.code {
            KeyCode::Esc => return Vec::new(),
            // The first ↓ chooses the row that is marked.
            KeyCode::Up | KeyCode::Down if !self.chosen => self.chosen = count > 0,
            KeyCode::Up => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down => self.selected = (self.selected + 1).min(count.saturating_sub(1)),
            KeyCode::Tab => {
                if let Some(spec) = self.matches(model).get(self.selected) {
                    self = Palette::with(&format!("{} ", spec.name));
                }
            }
            KeyCode::Enter => {
                let Some(spec) = self.entered(model) else {
                    let typed = self.input.value().trim().to_owned();
                    let choose = if count > 0 { " ↓ chooses one of those that are listed." } else { "" };
                    let text = format!("No command here is called `{typed}`: nothing was done.{choose}");
                    model.tell(crate::core::model::Level::Warning, text);
                    open(model, Overlay::Palette(self));
                    return Vec::new();
                };
                let argument =
                    self.input.value().trim().split_once(' ').map_or("", |(_, a)| a.trim()).to_owned();
                return run::run(model, spec.command, &argument);
            }
            _ => {
                if matches!(key.code, KeyCode::Char(_)) && self.suggested {
                    self.input.reset();
                }
                self.suggested = false;
                if edit(&mut self.input, key) {
                    self.selected = 0;
                    self.chosen = false;
                }
            }
        }
        open(model, Overlay::Palette(self));
        Vec::new()
    }
}

/// False for commands that do not exist here: the sandbox's outside it, test switches in earnest.
pub fn available(model: &Model, spec: &Spec) -> bool {
    match spec.command {
        Command::Panic => model.test_switches,
        _ => spec.danger != Danger::Sandbox || model.target.sandbox.is_some(),
    }
}
